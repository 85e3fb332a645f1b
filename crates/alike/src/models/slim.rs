//! SLIM: Ning and Karypis, "SLIM: Sparse Linear Methods for Top-N Recommender Systems", ICDM 2011.
//!
//! - `y_ui = Σ_{j ∈ R_u} w_ji`; column `w_i` minimises `½ ‖a_i - A w‖² + l2/2 ‖w‖² + l1 ‖w‖₁` with `w ≥ 0`,
//!   `w_ii = 0` (eq. 4), `A [U, I]` the train interactions.
//! - Coordinate descent on the sparse Gram matrix `G = AᵀA`: `w_j ← max(0, (r_j + G_jj w_j - l1) / (G_jj +
//!   l2))` with the residual `r = G_i - G w` kept up to date. `G ≥ 0` and `w ≥ 0`, so `r` only falls below
//!   `G_i`: items with `G_ji ≤ l1` are out from the start, exactly.
//! - `neighbors` > 0 (fsSLIM): only the items nearest by cosine of their columns take part.
//!
//! scikit-learn's ElasticNet divides the squares by the number of users `U`: `l1 = U·alpha·l1_ratio`,
//! `l2 = U·alpha·(1 - l1_ratio)`. Columns are solved in parallel, each to `tolerance`.

use std::ops::Range;

use rayon::prelude::*;

use super::item_item::{Gram, from_columns};
use super::prelude::*;

pub(super) const INFO: ModelInfo = ModelInfo::solved::<Slim>(
    "slim",
    "Sparse non-negative weights between items, solved by coordinate descent.",
    "Ning and Karypis, SLIM: Sparse Linear Methods for Top-N Recommender Systems, ICDM 2011",
);

crate::settings! {
    /// Settings of SLIM.
    pub(super) struct Config {
        /// Weight of the sum of the weights.
        l1: f64 = 0.5, 0.0..=1e6;
        /// Weight of half their squares.
        l2: f64 = 10.0, 0.0..=1e6;
        /// Items that take part in the score of an item, nearest by cosine; 0: all.
        neighbors: usize = 0, 0..=1_000_000;
        /// Maximum of passes over a column.
        passes: usize = 200, 1..=100_000;
        /// A column is solved when no weight moves by more than this share of the largest.
        tolerance: f64 = 1e-4, 0.0..=1.0;
    }
}

struct Slim;

impl Solved for Slim {
    type Config = Config;

    fn memory(data: &Dataset, _: &Config) -> u64 {
        Gram::memory(data)
    }

    fn solve(data: &Dataset, config: &Config, stop: Stop<'_>) -> Result<Scorer> {
        let gram = Gram::new(&data.train, stop)?;
        let columns = solve(&gram, config, stop)?;
        drop(gram);
        Ok(Scorer::ItemItem(from_columns(data.train.clone(), &columns)?))
    }
}

/// For every item its positive weights, by item.
fn solve(gram: &Gram, config: &Config, stop: Stop<'_>) -> Result<Vec<Vec<(u32, f32)>>> {
    let items = gram.diagonal.len();
    (0..items)
        .into_par_iter()
        .map_init(|| ColumnSolver::new(items), |column, i| column.solve(gram, config, stop, i))
        .collect()
}

/// One column at a time: only its candidates are looked at, by their place among them.
struct ColumnSolver {
    /// Place of an item among the candidates, from 1 on; 0: none. All 0 between columns.
    place: Vec<u32>,
    /// Rows of the Gram matrix cut down to the candidates, as (place from 0 on, count), one after the other.
    kept: Vec<(u32, f32)>,
}

impl ColumnSolver {
    fn new(items: usize) -> Self {
        Self { place: vec![0; items], kept: Vec::new() }
    }

    fn solve(&mut self, gram: &Gram, config: &Config, stop: Stop<'_>, i: usize) -> Result<Vec<(u32, f32)>> {
        let near = |&(j, g): &(usize, f32)| j != i && f64::from(g) > config.l1;
        let mut candidates: Vec<(usize, f32)> = gram.row(i).filter(near).collect();
        if config.neighbors > 0 && candidates.len() > config.neighbors {
            let cosine = |&(j, g): &(usize, f32)| g / gram.diagonal[j].sqrt();
            candidates.sort_unstable_by(|a, b| cosine(b).total_cmp(&cosine(a)).then(a.0.cmp(&b.0)));
            candidates.truncate(config.neighbors);
            candidates.sort_unstable_by_key(|&(j, _)| j);
        }
        (1..).zip(&candidates).for_each(|(at, &(j, _))| self.place[j] = at);
        self.kept.clear();
        let mut spans = vec![0..0; candidates.len()];
        let mut residual: Vec<f64> = candidates.iter().map(|c| f64::from(c.1)).collect();
        let mut weight = vec![0f64; candidates.len()];
        // After a pass over all, only those at work; then all again, until a pass over all moves nothing.
        let mut active: Vec<usize> = (0..candidates.len()).collect();
        let mut whole = true;
        for _ in 0..config.passes {
            stop.check()?;
            let (mut moved, mut largest) = (0f64, 0f64);
            for &c in &active {
                let own = f64::from(gram.diagonal[candidates[c].0]);
                let next = ((residual[c] + own * weight[c] - config.l1) / (own + config.l2)).max(0.0);
                let delta = next - weight[c];
                if delta != 0.0 {
                    if spans[c].is_empty() {
                        spans[c] = self.keep(gram, candidates[c].0);
                    }
                    for &(m, g) in &self.kept[spans[c].clone()] {
                        residual[m as usize] -= f64::from(g) * delta;
                    }
                    weight[c] = next;
                }
                moved = moved.max(delta.abs());
                largest = largest.max(next);
            }
            let settled = moved <= config.tolerance * largest;
            if settled && whole {
                break;
            }
            whole = settled;
            active.clear();
            active.extend((0..candidates.len()).filter(|&c| whole || weight[c] > 0.0));
        }
        candidates.iter().for_each(|&(j, _)| self.place[j] = 0);
        let taken = candidates.iter().zip(weight).filter(|(_, w)| *w > 0.0);
        Ok(taken.map(|(&(j, _), w)| (j as u32, w as f32)).collect())
    }

    /// Keeps what row `j` of the Gram matrix says of the candidates, and says where; `j` itself is among
    /// them.
    fn keep(&mut self, gram: &Gram, j: usize) -> Range<usize> {
        let start = self.kept.len();
        let of_candidates = gram.row(j).filter_map(|(m, g)| Some((self.place[m].checked_sub(1)?, g)));
        self.kept.extend(of_candidates);
        start..self.kept.len()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use alike_ops::Csr;

    use super::*;
    use crate::error::Error;

    #[test]
    fn a_stop_ends_both_parts_of_the_solution() {
        let train = Csr::from_rows(3, &[vec![0, 1], vec![0, 1, 2], vec![1, 2]]).unwrap();
        let flag = AtomicBool::new(false);
        let stop = Stop(Some(&flag));
        let gram = Gram::new(&train, stop).unwrap();
        let config = Config { l1: 0.1, ..Config::default() };
        assert!(solve(&gram, &config, stop).unwrap().iter().any(|column| !column.is_empty()));
        flag.store(true, Ordering::Relaxed);
        assert!(matches!(Gram::new(&train, stop), Err(Error::Interrupted)));
        assert!(matches!(solve(&gram, &config, stop), Err(Error::Interrupted)));
    }
}
