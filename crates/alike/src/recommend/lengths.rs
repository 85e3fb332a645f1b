//! Lengths of rows, worked out once: cosines divide by them.

use rayon::prelude::*;

use crate::data::{Dataset, Features};
use crate::scorer::{Hybrid, Matrix, Scorer, norm};

/// Lengths of the rows of features and of a scorer.
pub(super) struct Lengths {
    /// Those of the feature rows, one list per modality.
    pub(super) features: Vec<Vec<f32>>,
    /// Mean length of the item rows of an inner product; 1 for other scorers.
    pub(super) mean_item: f32,
    /// Lengths of the scorer's user rows; none where it has no such rows.
    pub(super) users: Vec<f32>,
}

impl Lengths {
    pub(super) fn new(data: &Dataset, scorer: &Scorer) -> Self {
        let of_rows = |f: &Features| f.values().par_chunks(f.dim).map(norm).collect();
        let mean_item = match scorer {
            Scorer::Dot { items, .. } | Scorer::Hybrid(Hybrid { items, .. }) => {
                (0..items.rows).map(|i| norm(items.row(i))).sum::<f32>() / items.rows.max(1) as f32
            }
            _ => 1.0,
        };
        let of_users = |users: &Matrix| users.data.par_chunks(users.cols.max(1)).map(norm).collect();
        let users = scorer.user_rows().map(of_users).unwrap_or_default();
        Self { features: data.features.iter().map(of_rows).collect(), mean_item, users }
    }
}
