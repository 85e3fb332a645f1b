//! What a model adds to its inner products.

use crate::scorer::{DeviceScorer, Hybrid, ItemItem};

/// Weights between items, none below 0, whose sums over a user's history are added to the inner products.
#[derive(Debug, Clone)]
pub struct LinearPart {
    weights: ItemItem,
    /// That of the sums of `weights`, [`Hybrid::spread_of_sums`].
    spread: f64,
    share: Option<f64>,
}

impl LinearPart {
    /// Shares that are tried where none is set, the one that is taken where there is nothing to choose by
    /// first.
    pub const SHARES: [f64; 9] = [0.15, 0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2];

    /// Sums of `weights` that spread `share` times as much as the inner products, whatever the scales of both;
    /// without a share the one of [`Self::SHARES`] that is best on validation.
    pub fn new(weights: ItemItem, share: Option<f64>) -> Self {
        Self { spread: Hybrid::spread_of_sums(&weights), weights, share }
    }

    /// The shares to choose from.
    pub fn shares(&self) -> Vec<f64> {
        self.share.map_or_else(|| Self::SHARES.to_vec(), |share| vec![share])
    }

    /// Sums that spread as much as the inner products of `dot`, added to these.
    pub fn added(&self, dot: DeviceScorer) -> DeviceScorer {
        dot.with_weights(&self.weights, self.spread, 1.0)
    }
}
