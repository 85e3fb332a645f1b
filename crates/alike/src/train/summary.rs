//! How a run ended, and what should be said of it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::eval::Metrics;

/// The metric that decides which epoch is the best.
pub const CRITERION: &str = "recall@20";

/// How a run ended, `metrics.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Model name.
    pub model: String,
    /// Epochs done.
    pub epochs: usize,
    /// Epoch whose parameters are kept; 0 for models that are solved at once.
    pub best_epoch: usize,
    /// Trained values.
    pub parameters: usize,
    /// Seconds of training and evaluation.
    pub seconds: f64,
    /// Validation metrics of the kept parameters.
    pub valid: Metrics,
    /// Test metrics, train items masked; empty where test was not scored.
    #[serde(default, skip_serializing_if = "Metrics::is_empty")]
    pub test_public: Metrics,
    /// Test metrics, train and validation items masked; empty where test was not scored.
    #[serde(default, skip_serializing_if = "Metrics::is_empty")]
    pub test_clean: Metrics,
    /// What the same lists for everybody, of what most people took, reach; absent in runs of versions before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub popularity: Option<Popularity>,
    /// Whether training used up its epochs with patience left.
    #[serde(default)]
    pub cut_short: bool,
}

/// Recall@20 of the most popular items, public protocol.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Popularity {
    /// On validation.
    pub valid: f64,
    /// On test, where it was scored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<f64>,
}

/// What somebody who reads the numbers of a run should know of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Remark {
    /// Training ended at its last epoch, of so many, and could still get better.
    CutShort(usize),
    /// Recall@20 on validation is hardly above that of the most popular items, or below it.
    NearPopularity {
        /// The model's.
        found: f64,
        /// That of the most popular items.
        popularity: f64,
    },
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CutShort(epochs) => write!(
                f,
                "training ended at its last epoch, {epochs}, and might still get better: allow more `epochs`"
            ),
            Self::NearPopularity { found, popularity } => write!(
                f,
                "validation Recall@20 {found:.4} is not clearly above the {popularity:.4} of the most popular items: the model \
                 learned little about single people; try more `patience_steps`, another `lr`, or look at the data"
            ),
        }
    }
}

/// How much better than the most popular items a model is that has clearly learned something.
const CLEARLY: f64 = 1.1;

impl Summary {
    /// What should be said of the run beside its numbers.
    pub fn remarks(&self) -> Vec<Remark> {
        let cut_short = self.cut_short.then_some(Remark::CutShort(self.epochs));
        let found = self.valid.get(CRITERION);
        let near = self.popularity.filter(|p| self.epochs > 0 && found < CLEARLY * p.valid);
        let near = near.map(|p| Remark::NearPopularity { found, popularity: p.valid });
        cut_short.into_iter().chain(near).collect()
    }
}
