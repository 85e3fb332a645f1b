//! EASE: Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019.
//!
//! - `P = (AᵀA + l2 · 1)^-1`, `w_ji = -P_ji / P_ii`, `w_ii = 0` (eq. 8), `A [U, I]` the train interactions; `y_ui = Σ_{j ∈ R_u} w_ji`.
//!
//! `P` is dense, `I × I`: the one model here with a matrix of all pairs of items; the plan says how much. With `neighbors` only the
//! weights of largest size of each column are kept, so that what is saved stays sparse.

use rayon::prelude::*;

use super::item_item::{Gram, from_columns, largest};
use super::prelude::*;
use crate::linalg::inverse_definite;

pub(super) const INFO: ModelInfo = ModelInfo::solved::<Ease>(
    "ease",
    "Linear weights between items in closed form.",
    "Steck, Embarrassingly Shallow Autoencoders for Sparse Data, WWW 2019",
);

crate::settings! {
    /// Settings of EASE.
    pub(super) struct Config {
        /// Weight of the squared weights.
        l2: f64 = 500.0, 0.0..=1e9;
        /// Weights kept per item, those of largest size; 0: all.
        neighbors: usize = 0, 0..=1_000_000;
    }
}

struct Ease;

impl Solved for Ease {
    type Config = Config;

    /// The matrix, its factor and what the inverse takes.
    fn memory(data: &Dataset, _: &Config) -> u64 {
        3 * 8 * (data.items.len() as u64).pow(2)
    }

    fn solve(data: &Dataset, config: &Config, progress: &dyn Progress) -> Result<Scorer> {
        let (gram, items) = (Gram::new(&data.train, progress)?, data.items.len());
        let mut dense = vec![0f64; items * items];
        for (i, row) in dense.chunks_exact_mut(items.max(1)).enumerate() {
            gram.row(i).for_each(|(j, shared)| row[j] = f64::from(shared));
            row[i] += config.l2;
        }
        drop(gram);
        progress.phase("inverting", 0)?;
        let none = || Error::Data(format!("no inverse with l2 = {}; a larger one helps", config.l2));
        let p = inverse_definite(dense, items).ok_or_else(none)?;
        let column = |i: usize| {
            let row = p.row(i);
            let weight = |j: usize| (j as u32, (-row[j] / row[i]) as f32);
            largest((0..items).filter(|&j| j != i && row[j] != 0.0).map(weight).collect(), config.neighbors)
        };
        let columns: Vec<_> = (0..items).into_par_iter().map(column).collect();
        drop(p);
        Ok(Scorer::ItemItem(from_columns(data.train.clone(), &columns)?))
    }
}
