//! Progress bars of a training: one over all epochs, one over the batches of the epoch at hand.

use alike::train::{Event, Summary};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::{bytes, duration, grouped};

/// Bars on standard error; nothing is drawn when that is no terminal, or when asked to be quiet.
pub(crate) struct Training {
    bars: MultiProgress,
    run: ProgressBar,
    epoch: ProgressBar,
    best: f64,
    model: String,
    quiet: bool,
}

impl Training {
    /// Bars of the training of `model`.
    pub(crate) fn new(model: &str, quiet: bool) -> Self {
        let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bars = MultiProgress::with_draw_target(target);
        let bar = |template: &str| {
            let style = ProgressStyle::with_template(template).expect("the templates below are well-formed");
            ProgressBar::no_length().with_style(style.progress_chars("━╸─"))
        };
        let run =
            bars.add(bar("{prefix:<12.bold} {bar:24.cyan/238} epoch {pos:>4}/{len} {elapsed:>5}  {msg}"));
        let epoch = bars.add(bar("{prefix:<12} {bar:24.blue/238} batch {pos:>4}/{len} {msg:.dim}"));
        run.set_prefix(model.to_string());
        Self { bars, run, epoch, best: 0.0, model: model.to_string(), quiet }
    }

    /// Shows what happened.
    pub(crate) fn on(&mut self, event: &Event<'_>) {
        match event {
            Event::Planned { parameters, memory_bytes, epochs, batches } => {
                self.run.set_length(*epochs as u64);
                self.epoch.set_length(*batches as u64);
                let parts = match epochs {
                    0 => "solved at once".to_string(),
                    _ => format!("at most {} epochs of {} batches", grouped(*epochs), grouped(*batches)),
                };
                let (parameters, memory) = (grouped(*parameters), bytes(*memory_bytes));
                self.say(&format!(
                    "{:<12} {parameters} parameters, about {memory} of memory, {parts}",
                    self.model
                ));
            }
            Event::Batch { epoch, batch, batches, loss } => {
                self.run.set_position(*epoch as u64 - 1);
                self.epoch.set_length(*batches as u64);
                self.epoch.set_position(*batch as u64);
                self.epoch.set_message(format!("loss {loss:.4}"));
            }
            Event::Epoch(record) => {
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
            Event::Finished(summary) => self.finish(summary),
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
        let how = match summary.epochs {
            0 => "solved at once".to_string(),
            n => format!("best epoch {} of {n}, {}", summary.best_epoch, duration(summary.seconds)),
        };
        eprintln!(
            "{:<12} recall@20 {:.4} on validation, {how}",
            summary.model,
            summary.valid.get("recall@20")
        );
    }
}

impl Drop for Training {
    /// A training that failed leaves no half-drawn bars.
    fn drop(&mut self) {
        if !self.run.is_finished() {
            // Nothing can be done about a terminal that has gone.
            let _ = self.bars.clear();
        }
    }
}
