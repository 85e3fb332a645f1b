//! Settings of training.

crate::settings! {
    /// Settings of the training loop, the same for every gradient model.
    pub struct TrainConfig {
        /// Learning rate of Adam.
        lr: f64 = 1e-3, 0.0..=10.0;
        /// Positive pairs per step.
        batch: usize = 2048, 1..=1 << 20;
        /// Maximum number of epochs.
        epochs: usize = 1000, 1..=100_000;
        /// Evaluations without a better validation Recall@20 before training stops, at least.
        patience: usize = 20, 1..=100_000;
        /// Optimiser steps without one before training stops, at least: a small data set has few steps per epoch.
        patience_steps: usize = 1500, 0..=10_000_000;
        /// Epochs between evaluations.
        eval_every: usize = 1, 1..=100_000;
    }
}
