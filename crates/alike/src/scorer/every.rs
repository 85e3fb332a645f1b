//! The scores of all items.

use alike_ops::{scores_dot, scores_pair_mlp};

use super::{Hybrid, ItemItem, Scorer};

impl Scorer {
    /// The scores of a user for all items, `[I]`, by the bits that lists are ranked by.
    pub fn all_scores(&self, user: u32) -> Vec<f32> {
        let own = self.user_row(user).unwrap_or_default();
        match self {
            Self::Dot { items, .. } => scores_dot(own, &items.data, items.cols),
            Self::PairMlp { items, out, .. } => scores_pair_mlp(own, &items.data, out),
            Self::Hybrid(Hybrid { items, weights, .. }) => {
                let mut scores = scores_dot(own, &items.data, items.cols);
                add_weights(weights, user, &mut scores);
                scores
            }
            Self::ItemItem(weights) => {
                let mut scores = vec![0.0; self.items()];
                add_weights(weights, user, &mut scores);
                scores
            }
            Self::Static { scores, .. } => scores.clone(),
        }
    }
}

/// What the items of the history of `user` add.
fn add_weights(weights: &ItemItem, user: u32, scores: &mut [f32]) {
    for &taken in weights.history.row(user as usize) {
        weights.row(taken).for_each(|(item, weight)| scores[item as usize] += weight);
    }
}
