//! EASE: Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019.
//!
//! - `P = (AᵀA + l2 · 1)^-1`, `w_ji = -P_ji / P_ii`, `w_ii = 0` (eq. 8), `A [U, I]` the train interactions; `y_ui = Σ_{j ∈ R_u} w_ji`.
//!
//! `P` is `I × I` and dense, in double precision: the one model here that needs a matrix of all pairs of items; the plan says how much. Of
//! each column the `neighbors` weights of largest size are kept, so that what is saved and ranked with stays sparse (0: all, as published).

use rayon::prelude::*;

use super::item_item::{Gram, from_columns, largest};
use super::{ModelInfo, Solved, Stop};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::linalg::inverse_definite;
use crate::scorer::Scorer;

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

    fn memory(data: &Dataset, config: &Config) -> u64 {
        let items = data.items.len() as u64;
        let kept = if config.neighbors == 0 { items } else { items.min(config.neighbors as u64) };
        // The matrix and its factor, then its inverse beside the kept weights by column and by row.
        items * (2 * 8 * items).max(8 * items + 2 * 8 * kept)
    }

    fn solve(data: &Dataset, config: &Config, stop: Stop<'_>) -> Result<Scorer> {
        let gram = Gram::new(&data.train, stop)?;
        let items = data.items.len();
        let mut dense = vec![0f64; items * items];
        for (i, row) in dense.chunks_exact_mut(items.max(1)).enumerate() {
            gram.row(i).for_each(|(j, shared)| row[j] = f64::from(shared));
            row[i] += config.l2;
        }
        drop(gram);
        stop.check()?;
        let p = inverse_definite(dense, items).ok_or_else(|| {
            Error::Data(format!("items cannot be told apart with l2 = {}; a larger l2 helps", config.l2))
        })?;
        let column = |i: usize| {
            let row = &p[i * items..(i + 1) * items];
            let weight = |j: usize| (j as u32, (-row[j] / row[i]) as f32);
            largest((0..items).filter(|&j| j != i && row[j] != 0.0).map(weight).collect(), config.neighbors)
        };
        let columns: Vec<_> = (0..items).into_par_iter().map(column).collect();
        Ok(Scorer::ItemItem(from_columns(data.train.clone(), &columns)?))
    }
}
