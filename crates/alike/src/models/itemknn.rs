//! ItemKNN: Deshpande and Karypis, "Item-Based Top-N Recommendation Algorithms", ACM TOIS 22(1), 2004.
//!
//! - `w_ji = |N_j ∩ N_i| / (√(|N_j| |N_i|) + shrink)` (cosine of train columns; `shrink` damps what few users say), kept for the `neighbors`
//!   items `j` nearest to `i`; `y_ui = Σ_{j ∈ R_u} w_ji`.
//!
//! Departure: columns of the similarity matrix are not scaled to length 1 (their §5.2), as in the public re-implementations.

use rayon::prelude::*;

use super::item_item::{Gram, from_columns, largest};
use super::prelude::*;

pub(super) const INFO: ModelInfo = ModelInfo::solved::<ItemKnn>(
    "itemknn",
    "Items by the cosine of who took them.",
    "Deshpande and Karypis, Item-Based Top-N Recommendation Algorithms, ACM TOIS 2004",
);

crate::settings! {
    /// Settings of ItemKNN.
    pub(super) struct Config {
        /// Items that take part in the score of an item.
        neighbors: usize = 100, 1..=1_000_000;
        /// Added to the denominator of each similarity.
        shrink: f64 = 10.0, 0.0..=1e6;
    }
}

struct ItemKnn;

impl Solved for ItemKnn {
    type Config = Config;

    fn memory(data: &Dataset, _: &Config) -> u64 {
        Gram::memory(data)
    }

    fn solve(data: &Dataset, config: &Config, progress: &dyn Progress) -> Result<Scorer> {
        let gram = Gram::new(&data.train, progress)?;
        let column = |i: usize| {
            let similar = |(j, shared): (usize, f32)| {
                let norms = f64::from(gram.diagonal[i] * gram.diagonal[j]).sqrt();
                (j as u32, (f64::from(shared) / (norms + config.shrink)) as f32)
            };
            largest(gram.row(i).filter(|&(j, _)| j != i).map(similar).collect(), config.neighbors)
        };
        let columns: Vec<_> = (0..data.items.len()).into_par_iter().map(column).collect();
        drop(gram);
        Ok(Scorer::ItemItem(from_columns(data.train.clone(), &columns)?))
    }
}
