//! What a run leaves on disk. Every file is written beside its place, synced and renamed, so that whatever
//! was complete before a crash is complete after it.
//!
//! `run.json` says what the run is, `log.jsonl` has a line per epoch, `state.json` names the newest state and
//! best files with their hashes, `metrics.json` ends a finished run. Each JSON object ends with a hash of the
//! rest of it. See `docs/formats.md`.

mod run_dir;
mod sealed;
mod tensors;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::models::TrainConfig;

pub use run_dir::{RunDir, wait_until_free};

/// Version of the layout of run folders. From version 2 on every JSON object has its hash; of version 1 some
/// have none.
pub const FORMAT: u32 = 2;

/// What a run is; written once, before training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunInfo {
    /// Version of the layout.
    pub format: u32,
    /// Version of this library.
    pub version: String,
    /// Model name.
    pub model: String,
    /// Every setting.
    pub settings: toml::Table,
    /// Seed.
    pub seed: u64,
    /// The prepared data folder.
    pub data: PathBuf,
    /// The same as seen from the run's folder, for runs that are moved or copied together with their data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_from_run: Option<PathBuf>,
    /// Content hash of the data.
    pub data_hash: String,
    /// Hash of the parameters that training started from, where those of another run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm_start: Option<String>,
    /// Devices that trained it, where not the processor: these of the last time it went on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<String>,
}

/// The folder `data` as seen from the folder `run`, both absolute; `None` where no way leads there.
pub(crate) fn data_from_run(run: &Path, data: &Path) -> Option<PathBuf> {
    let shared = run.components().zip(data.components()).take_while(|(a, b)| a == b).count();
    // Not over the root: two places with nothing in common are not moved together.
    if shared < 2 {
        return None;
    }
    let up = run.components().skip(shared).map(|_| Path::new(".."));
    Some(up.chain(data.components().skip(shared).map(|part| Path::new(part.as_os_str()))).collect())
}

/// The state of a training; written after each evaluation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Epochs done.
    pub epoch: usize,
    /// Optimiser steps done.
    pub steps: u64,
    /// Epoch of the best validation Recall@20, 0 before the first.
    pub best_epoch: usize,
    /// That Recall@20.
    pub best: f64,
    /// Evaluations since then.
    pub since_best: usize,
    /// Optimiser steps done at the best evaluation.
    #[serde(default)]
    pub best_steps: u64,
    /// Seconds spent training and evaluating.
    pub seconds: f64,
    /// Lines of `log.jsonl` that belong to this state.
    pub log_lines: usize,
    /// Parameters and moments.
    pub state_file: Option<FileRef>,
    /// Best parameters and what ranks with them.
    pub best_file: Option<FileRef>,
}

impl State {
    /// Whether training has epochs and patience left.
    pub fn should_continue(&self, config: &TrainConfig) -> bool {
        self.epoch < config.epochs && self.patient(config.patience, config.patience_steps)
    }

    /// Whether fewer than `evaluations` evaluations or fewer than `steps` steps passed since the best.
    pub fn patient(&self, evaluations: usize, steps: usize) -> bool {
        self.since_best < evaluations || self.steps.saturating_sub(self.best_steps) < steps as u64
    }

    /// The epoch after which training ends if no evaluation is better than the best so far; `batches` steps
    /// per epoch.
    pub fn expected_end(&self, config: &TrainConfig, batches: usize) -> usize {
        let evaluations = config.patience.saturating_mul(config.eval_every);
        let steps = config.patience_steps.div_ceil(batches.max(1)).next_multiple_of(config.eval_every);
        self.best_epoch.saturating_add(evaluations.max(steps)).min(config.epochs)
    }
}

/// A file of the run and the hash of its content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FileRef {
    /// Name in the run folder.
    pub name: String,
    /// BLAKE3 of the content, hexadecimal.
    pub hash: String,
}

#[cfg(test)]
mod tests;
