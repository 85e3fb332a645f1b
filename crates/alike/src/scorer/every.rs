//! The scores of all items.

use alike_ops::Ranker;

use super::{Hybrid, Scorer};

impl Scorer {
    /// The items packed to be ranked by rows of users; `None` where scores do not come from rows.
    pub fn ranker(&self) -> Option<Ranker> {
        match self {
            Self::Dot { items, .. } | Self::Hybrid(Hybrid { items, .. }) => {
                Some(Ranker::dot(&items.data, items.cols))
            }
            Self::PairMlp { items, out, .. } => Some(Ranker::pair_mlp(&items.data, out)),
            Self::ItemItem(_) | Self::Static { .. } => None,
        }
    }

    /// The scores of all items, `[I]`, for somebody with this row and this history. `ranker` is
    /// [`Self::ranker`]'s, kept by who asks more than once.
    pub fn scores(&self, ranker: Option<&Ranker>, row: &[f32], history: &[u32]) -> Vec<f32> {
        let mut scores = match (ranker, self) {
            (Some(ranker), _) => ranker.scores(row),
            (None, Self::Static { scores, .. }) => scores.clone(),
            (None, _) => vec![0.0; self.items()],
        };
        if let Self::Hybrid(Hybrid { weights, .. }) | Self::ItemItem(weights) = self {
            weights.add_sums(history, &mut scores);
        }
        scores
    }
}
