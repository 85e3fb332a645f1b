//! Progress bars: of a phase one over its parts, of a training one over all epochs and one over the batches
//! of the present epoch, of an experiment one over all runs and one for each at work.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use alike::checkpoint::RunDir;
use alike::experiment::{Job, RunCounts};
use alike::progress::Progress;
use alike::train::{EpochRecord, Summary, TrainEvent};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::{bytes, duration, grouped};

/// Between two drawings where there is no news.
const TICK: Duration = Duration::from_millis(250);

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template).expect("our templates are well-formed");
    style.progress_chars("━╸─")
}

fn bar(template: &str) -> ProgressBar {
    ProgressBar::no_length().with_style(style(template))
}

/// Bars of an experiment on standard error; where that is no terminal, a line a run.
pub(crate) struct ExperimentProgress {
    bars: MultiProgress,
    all: ProgressBar,
    runs: HashMap<PathBuf, ProgressBar>,
    counts: RunCounts,
    quiet: bool,
}

impl ExperimentProgress {
    /// Bars of an experiment that is about to start.
    pub(crate) fn new(quiet: bool) -> Self {
        let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bars = MultiProgress::with_draw_target(target);
        let all = bars.add(bar("{prefix:<12.bold} {bar:24.cyan/238} run {pos:>4}/{len} {elapsed:>5}  {msg}"));
        all.set_prefix("experiment");
        Self { bars, all, runs: HashMap::new(), counts: RunCounts::default(), quiet }
    }

    /// How far the whole is.
    pub(crate) fn show_counts(&mut self, counts: &RunCounts) {
        self.counts = *counts;
        self.all.set_length(counts.total as u64);
        self.all.set_position((counts.done + counts.failed) as u64);
        if counts.failed > 0 {
            self.all.set_message(format!("{} failed", counts.failed));
        }
    }

    /// A run starts.
    pub(crate) fn started(&mut self, job: &Job) {
        let run = self
            .bars
            .add(bar("{prefix:<12} {bar:24.blue/238} epoch {pos:>3}/{len} {elapsed:>5}  {msg:.dim}"));
        run.set_length(job.epochs as u64);
        run.set_prefix(job.entry.clone());
        run.set_message(format!("{}, seed {}: {}", job.data, job.seed, job.what));
        self.runs.insert(job.run.clone(), run);
    }

    /// Reads how far a run is from its log.
    pub(crate) fn look(&self, job: &Job) {
        let Some(bar) = self.runs.get(&job.run).filter(|_| !self.bars.is_hidden()) else { return };
        bar.tick();
        // A run that has just started has nothing to read yet.
        let Ok((run, _)) = RunDir::open(&job.run) else { return };
        let Ok(log) = run.read_log::<EpochRecord>() else { return };
        bar.set_position(log.len() as u64);
        let best = log.iter().filter_map(|r| Some(r.valid.as_ref()?.get("recall@20"))).fold(0.0, f64::max);
        bar.set_message(format!("{}, seed {}: {}, best {best:.4}", job.data, job.seed, job.what));
    }

    /// A run has ended; `problem` says why it failed.
    pub(crate) fn ended(&mut self, job: &Job, problem: Option<&str>) {
        if let Some(bar) = self.runs.remove(&job.run) {
            bar.finish_and_clear();
            self.bars.remove(&bar);
        }
        if self.quiet {
            return;
        }
        let summary = RunDir::open(&job.run).and_then(|(run, _)| run.read_json::<Summary>("metrics.json"));
        let how = match (problem, summary) {
            (Some(problem), _) => problem.to_string(),
            (None, Ok(Some(s))) => {
                format!("recall@20 {:.4} on validation, {}", s.valid.get("recall@20"), ended(&s))
            }
            _ => "ended".into(),
        };
        let RunCounts { done, failed, total } = self.counts;
        let at = done + failed + 1;
        let line =
            format!("[{at}/{total}] {} on {}, {}, seed {}: {how}", job.entry, job.data, job.what, job.seed);
        if self.bars.is_hidden() {
            eprintln!("{line}");
        } else {
            // Nothing can be done about a terminal that has gone.
            let _ = self.bars.println(line);
        }
    }
}

impl Drop for ExperimentProgress {
    fn drop(&mut self) {
        // Nothing can be done about a terminal that has gone.
        let _ = self.bars.clear();
    }
}

fn ended(summary: &Summary) -> String {
    match summary.epochs {
        0 => "solved at once".to_string(),
        n => format!("best epoch {} of {n}, {}", summary.best_epoch, duration(summary.seconds)),
    }
}

/// Which phase work is in and how far, on standard error: a bar where the number of parts is known, else what
/// is counted. It moves four times per second, news or not.
pub(crate) struct Phases {
    bar: ProgressBar,
    stop: Option<&'static AtomicBool>,
}

impl Phases {
    /// Of the work called `name`, which `stop` ends where it hears of it.
    pub(crate) fn new(name: &str, stop: Option<&'static AtomicBool>, quiet: bool) -> Self {
        let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let phases = Self::unseen(name, stop);
        phases.bar.set_draw_target(target);
        phases
    }

    /// Nothing is to be seen before the first phase.
    fn unseen(name: &str, stop: Option<&'static AtomicBool>) -> Self {
        let bar = ProgressBar::hidden().with_style(style("{msg}")).with_prefix(name.to_string());
        Self { bar, stop }
    }
}

impl Progress for Phases {
    fn at(&self, phase: &'static str, done: u64, total: u64) {
        match (done, total) {
            (0, _) => {}
            (_, 0) => return self.bar.set_message(format!("{phase}, {}", grouped(done as usize))),
            _ => return self.bar.set_position(done),
        }
        let template = match total {
            0 => "{prefix:<12.bold} {spinner:.cyan} {elapsed:>5}  {msg}",
            _ => {
                "{prefix:<12.bold} {bar:24.cyan/238} {human_pos}/{human_len} {elapsed:>5}, {eta} left  {msg:.dim}"
            }
        };
        self.bar.set_style(style(template));
        self.bar.reset();
        if total > 0 {
            self.bar.set_length(total);
        }
        self.bar.set_message(phase);
        self.bar.enable_steady_tick(TICK);
    }

    fn stopped(&self) -> bool {
        self.stop.is_some_and(|stop| stop.load(Ordering::Relaxed))
    }
}

impl Drop for Phases {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Bars on standard error; nothing is drawn when that is no terminal, or when asked to be quiet.
pub(crate) struct TrainingProgress {
    bars: MultiProgress,
    run: ProgressBar,
    epoch: ProgressBar,
    best: f64,
    model: String,
    quiet: bool,
    plain: bool,
}

impl TrainingProgress {
    /// The same for people who know nothing of models: how far it is, and how much is found by now.
    pub(crate) fn in_plain_words(name: &str, quiet: bool) -> Self {
        let mut this = Self::new(name, quiet);
        this.plain = true;
        this.run
            .set_style(style("{prefix:<12.bold} {bar:24.cyan/238} round {pos:>4}/{len} {elapsed:>5}  {msg}"));
        this
    }

    /// Bars of the training of `model`.
    pub(crate) fn new(model: &str, quiet: bool) -> Self {
        let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bars = MultiProgress::with_draw_target(target);
        let run =
            bars.add(bar("{prefix:<12.bold} {bar:24.cyan/238} epoch {pos:>4}/{len} {elapsed:>5}  {msg}"));
        let epoch = bars.add(bar("{prefix:<12} {bar:24.blue/238} batch {pos:>4}/{len} {msg:.dim}"));
        run.set_prefix(model.to_string());
        Self { bars, run, epoch, best: 0.0, model: model.to_string(), quiet, plain: false }
    }

    /// What is not an epoch: solving, and evaluation at the end.
    pub(crate) fn phases(&self, stop: &'static AtomicBool) -> Phases {
        let phases = Phases::unseen("", Some(stop));
        self.bars.add(phases.bar.clone());
        phases
    }

    /// Shows what happened.
    pub(crate) fn show(&mut self, event: &TrainEvent<'_>) {
        match event {
            TrainEvent::Planned { parameters, memory_bytes, epochs, batches, devices } => {
                if *epochs > 0 {
                    self.run.set_length(*epochs as u64);
                    self.epoch.set_length(*batches as u64);
                    // So that a long evaluation is seen to be at work.
                    self.run.enable_steady_tick(TICK);
                } else {
                    self.run.finish_and_clear();
                    self.epoch.finish_and_clear();
                }
                let parts = match epochs {
                    0 => "solved at once".to_string(),
                    _ => format!("at most {} epochs of {} batches", grouped(*epochs), grouped(*batches)),
                };
                let (parameters, memory) = (grouped(*parameters), bytes(*memory_bytes));
                let place = match devices {
                    [] => String::new(),
                    devices => format!(", on {}", devices.join(" and ")),
                };
                self.say(&format!(
                    "{:<12} {parameters} parameters, about {memory} of memory, {parts}{place}",
                    self.model
                ));
            }
            TrainEvent::Batch { epoch, batch, batches, loss } => {
                self.run.set_position(*epoch as u64 - 1);
                self.epoch.set_length(*batches as u64);
                self.epoch.set_position(*batch as u64);
                if !self.plain {
                    self.epoch.set_message(format!("loss {loss:.4}"));
                }
            }
            TrainEvent::Epoch { record, expected_end } => {
                self.run.set_length(*expected_end as u64);
                self.run.set_position(record.epoch as u64);
                if let Some(valid) = &record.valid {
                    let now = valid.get("recall@20");
                    if record.best {
                        self.best = now;
                    }
                    self.run.set_message(match self.plain {
                        true => format!("{:.1} % found, at best {:.1} %", 100.0 * now, 100.0 * self.best),
                        false => format!("recall@20 {now:.4}, best {:.4}", self.best),
                    });
                }
                tracing::info!(epoch = record.epoch, loss = record.loss, best = record.best, "epoch");
            }
            TrainEvent::Finished(summary) => self.finish(summary),
        }
    }

    /// A line that stays, above the bars.
    fn say(&self, line: &str) {
        if self.quiet || self.plain {
            return;
        }
        if self.bars.is_hidden() {
            eprintln!("{line}");
        } else {
            // Nothing can be done about a terminal that has gone.
            let _ = self.bars.println(line);
        }
    }

    /// The bars make place for one line that stays.
    fn finish(&self, summary: &Summary) {
        self.epoch.finish_and_clear();
        self.run.finish_and_clear();
        if self.quiet || self.plain {
            return;
        }
        let recall = summary.valid.get("recall@20");
        eprintln!("{:<12} recall@20 {recall:.4} on validation, {}", summary.model, ended(summary));
    }
}

impl Drop for TrainingProgress {
    /// A training that failed leaves no half-drawn bars.
    fn drop(&mut self) {
        if !self.run.is_finished() {
            // Nothing can be done about a terminal that has gone.
            let _ = self.bars.clear();
        }
    }
}
