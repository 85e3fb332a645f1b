//! Progress bars: of encoding one over all items, of a training one over all epochs and one over the batches
//! of the present epoch, of an experiment one over all runs and one for each at work.

use std::collections::HashMap;
use std::path::PathBuf;

use alike::checkpoint::RunDir;
use alike::embed;
use alike::experiment::{Job, Progress};
use alike::train::{EpochRecord, Summary, TrainEvent};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::{bytes, duration, grouped};

fn bar(template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).expect("our templates are well-formed");
    ProgressBar::no_length().with_style(style.progress_chars("━╸─"))
}

/// Bars of an experiment on standard error; where that is no terminal, a line a run.
pub(crate) struct ExperimentProgress {
    bars: MultiProgress,
    all: ProgressBar,
    runs: HashMap<PathBuf, ProgressBar>,
    progress: Progress,
    quiet: bool,
}

impl ExperimentProgress {
    /// Bars of an experiment that is about to start.
    pub(crate) fn new(quiet: bool) -> Self {
        let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bars = MultiProgress::with_draw_target(target);
        let all = bars.add(bar("{prefix:<12.bold} {bar:24.cyan/238} run {pos:>4}/{len} {elapsed:>5}  {msg}"));
        all.set_prefix("experiment");
        Self { bars, all, runs: HashMap::new(), progress: Progress::default(), quiet }
    }

    /// How far the whole is.
    pub(crate) fn show_progress(&mut self, progress: &Progress) {
        self.progress = *progress;
        self.all.set_length(progress.total as u64);
        self.all.set_position((progress.done + progress.failed) as u64);
        if progress.failed > 0 {
            self.all.set_message(format!("{} failed", progress.failed));
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
        let Progress { done, failed, total } = self.progress;
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

/// A bar of encoding on standard error.
pub(crate) struct Encoding {
    bar: ProgressBar,
    known: usize,
}

impl Encoding {
    /// A bar that starts when the work is known.
    pub(crate) fn new(quiet: bool) -> Self {
        let bar = bar("{prefix:<12.bold} {bar:24.cyan/238} {pos:>4}/{len} {elapsed:>5}  {msg:.dim}");
        bar.set_draw_target(if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() });
        bar.set_prefix("embed");
        bar.set_message("reading");
        Self { bar, known: 0 }
    }

    /// Shows what happened.
    pub(crate) fn show(&mut self, event: &embed::EmbedEvent<'_>) {
        match event {
            embed::EmbedEvent::Planned { encoder, total, known } => {
                self.bar.set_length(*total as u64);
                self.bar.set_position(*known as u64);
                self.bar.reset_elapsed();
                self.bar.set_message(encoder.to_string());
                self.known = *known;
            }
            embed::EmbedEvent::Batch { done } => {
                self.bar.set_position(*done as u64);
                let speed = (*done - self.known) as f64 / self.bar.elapsed().as_secs_f64().max(1e-3);
                self.bar.set_message(format!("{speed:.0} items/s"));
            }
        }
    }
}

impl Drop for Encoding {
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
}

impl TrainingProgress {
    /// Bars of the training of `model`.
    pub(crate) fn new(model: &str, quiet: bool) -> Self {
        let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bars = MultiProgress::with_draw_target(target);
        let run =
            bars.add(bar("{prefix:<12.bold} {bar:24.cyan/238} epoch {pos:>4}/{len} {elapsed:>5}  {msg}"));
        let epoch = bars.add(bar("{prefix:<12} {bar:24.blue/238} batch {pos:>4}/{len} {msg:.dim}"));
        run.set_prefix(model.to_string());
        Self { bars, run, epoch, best: 0.0, model: model.to_string(), quiet }
    }

    /// Shows what happened.
    pub(crate) fn show(&mut self, event: &TrainEvent<'_>) {
        match event {
            TrainEvent::Planned { parameters, memory_bytes, epochs, batches, devices } => {
                self.run.set_length(*epochs as u64);
                self.epoch.set_length(*batches as u64);
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
                self.epoch.set_message(format!("loss {loss:.4}"));
            }
            TrainEvent::Epoch { record, expected_end } => {
                self.run.set_length(*expected_end as u64);
                self.run.set_position(record.epoch as u64);
                if let Some(valid) = &record.valid {
                    let now = valid.get("recall@20");
                    if record.best {
                        self.best = now;
                    }
                    self.run.set_message(format!("recall@20 {now:.4}, best {:.4}", self.best));
                }
                tracing::info!(epoch = record.epoch, loss = record.loss, best = record.best, "epoch");
            }
            TrainEvent::Finished(summary) => self.finish(summary),
        }
    }

    /// A line that stays, above the bars.
    fn say(&self, line: &str) {
        if self.quiet {
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
        if self.quiet {
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
