//! SLIM: Ning and Karypis, "SLIM: Sparse Linear Methods for Top-N Recommender Systems", ICDM 2011.
//!
//! - `y_ui = Σ_{j ∈ R_u} w_ji`; column `w_i` minimises `½ ‖a_i - A w‖² + l2/2 ‖w‖² + l1 ‖w‖₁` with `w ≥ 0`,
//!   `w_ii = 0` (eq. 4), `A [U, I]` the train interactions.
//! - Coordinate descent on the sparse Gram matrix `G = AᵀA`: `w_j ← max(0, (r_j + G_jj w_j - l1) / (G_jj +
//!   l2))` with the residual `r = G_i - G w` kept up to date. `G ≥ 0` and `w ≥ 0`, so `r` only falls below
//!   `G_i`: items with `G_ji ≤ l1` are out from the start, exactly.
//! - `neighbors` > 0 (fsSLIM): only the items nearest by cosine of their columns take part.
//! - `feature_weight` `α` > 0 (collective SLIM: Ning and Karypis, "Sparse Linear Methods with Side
//!   Information for Top-N Recommendations", RecSys 2012): pseudo-users join in, per modality `m` one for
//!   each item, `F_m [I, I]`, with 1 at the item itself and the cosines of those nearest to it: `G = AᵀA +
//!   α Σ_m F_mᵀF_m`. Scores are of what people took, as before.
//!
//! Departures: pseudo-users have lists of nearest items, where that paper has the features themselves: `G`
//! stays sparse. Cosines below 0 are left out: `G ≥ 0`.
//!
//! scikit-learn's ElasticNet divides the squares by the number of users `U`: `l1 = U·alpha·l1_ratio`,
//! `l2 = U·alpha·(1 - l1_ratio)`. Columns are solved in parallel, each to `tolerance`.

use std::ops::Range;

use alike_ops::{Csr, SparseSums};
use rayon::prelude::*;

use super::item_item::{Gram, from_columns};
use super::prelude::*;
use crate::graph::{self, Neighbors};
use crate::scorer::ItemItem;

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
        l2: f64 = 100.0, 0.0..=1e6;
        /// Items that take part in the score of an item, nearest by cosine; 0: all.
        neighbors: usize = 0, 0..=1_000_000;
        /// Maximum of passes over a column.
        passes: usize = 200, 1..=100_000;
        /// A column is solved when no weight moves by more than this share of the largest.
        tolerance: f64 = 1e-4, 0.0..=1.0;
        /// Weight of a pseudo-user per item and modality, who has the item and its 9 nearest; 0: none.
        feature_weight: f64 = 0.3, 0.0..=1e6;
    }
}

/// Items of a pseudo-user, the item itself among them.
const NEAREST: usize = 10;

/// Modalities that have pseudo-users.
fn modalities<'a>(data: &'a Dataset, config: &Config) -> Vec<&'a str> {
    if config.feature_weight > 0.0 { graph::modalities(data) } else { Vec::new() }
}

struct Slim;

impl Solved for Slim {
    type Config = Config;

    fn memory(data: &Dataset, config: &Config) -> u64 {
        memory(data, config)
    }

    fn solve(data: &Dataset, config: &Config, progress: &dyn Progress) -> Result<Scorer> {
        weights(data, config, progress).map(Scorer::ItemItem)
    }
}

/// Peak memory of solving, bytes.
pub(super) fn memory(data: &Dataset, config: &Config) -> u64 {
    let items = data.items.len() as u64;
    // The lists and their pattern, and what they add to `G`.
    let of_item = (NEAREST * (2 + NEAREST)) as u64;
    Gram::memory(data) + 8 * items * of_item * modalities(data, config).len() as u64
}

/// The weights `w`.
///
/// # Errors
/// A modality has no lists of nearest items; [`Error::Interrupted`] when it was stopped.
pub(super) fn weights(data: &Dataset, config: &Config, progress: &dyn Progress) -> Result<ItemItem> {
    let near = modalities(data, config).into_iter().map(|name| {
        progress.check()?;
        graph::item_neighbors_and_self(data, name, NEAREST)
    });
    let near = near.collect::<Result<Vec<_>>>()?;
    let features = of_features(&near, data.items.len(), config.feature_weight, progress)?;
    let products = Products::new(Gram::new(&data.train, progress)?, features);
    let columns = solve(&products, config, progress)?;
    drop(products);
    from_columns(data.train.clone(), &columns)
}

/// `G = AᵀA + α Σ_m F_mᵀF_m`.
struct Products {
    /// `AᵀA` with the diagonal of `G`.
    users: Gram,
    /// The rows of `α Σ_m F_mᵀF_m`.
    features: Vec<Vec<(u32, f32)>>,
}

impl Products {
    fn new(mut users: Gram, features: Vec<Vec<(u32, f32)>>) -> Self {
        for (i, row) in features.iter().enumerate() {
            row.iter().filter(|e| e.0 as usize == i).for_each(|e| users.diagonal[i] += e.1);
        }
        Self { users, features }
    }

    /// The entries of row `i`. An item may come twice, once from users and once from features; both count.
    fn row(&self, i: usize) -> impl Iterator<Item = (usize, f32)> + '_ {
        self.users.row(i).chain(self.features[i].iter().map(|&(j, g)| (j as usize, g)))
    }

    /// The entries of row `i`, each item once, by item.
    fn summed(&self, i: usize) -> Vec<(usize, f32)> {
        graph::merged(self.row(i).collect())
    }
}

/// The rows of `α Σ_m F_mᵀF_m`, `[I, I]`, each by item; `F_m` is made of the lists `near[m]`.
fn of_features(
    near: &[Neighbors],
    items: usize,
    alpha: f64,
    progress: &dyn Progress,
) -> Result<Vec<Vec<(u32, f32)>>> {
    // √α times all F_m below one another.
    let (mut ptr, mut idx, mut values) = (vec![0u32], Vec::new(), Vec::new());
    for (list, r) in near.iter().flat_map(|list| (0..list.rows()).map(move |r| (list, r))) {
        for (j, cosine) in list.row(r) {
            let value = (alpha.sqrt() * f64::from(cosine.clamp(0.0, 1.0))) as f32;
            // The square of a smaller one could be 0.
            if value > 1e-18 {
                idx.push(j);
                values.push(value);
            }
        }
        ptr.push(idx.len() as u32);
    }
    let rows = Csr::new(ptr.len() - 1, items, ptr, idx)?;
    let t = rows.transposed();
    let parts = progress.phase("items alike by features", items)?;
    (0..items)
        .into_par_iter()
        .map_init(
            || SparseSums::new(items),
            |sums, i| {
                parts.add(1)?;
                let column = t.ptr[i] as usize..t.ptr[i + 1] as usize;
                for (&r, &edge) in t.rows[column.clone()].iter().zip(&t.edges[column]) {
                    let row = rows.ptr()[r as usize] as usize..rows.ptr()[r as usize + 1] as usize;
                    for (&j, value) in rows.idx()[row.clone()].iter().zip(&values[row]) {
                        sums.add(j, values[edge as usize] * value);
                    }
                }
                Ok(sums.take_sorted().collect())
            },
        )
        .collect()
}

/// For every item its positive weights, by item.
fn solve(products: &Products, config: &Config, progress: &dyn Progress) -> Result<Vec<Vec<(u32, f32)>>> {
    let items = products.users.diagonal.len();
    let parts = progress.phase("weights between items", items)?;
    (0..items)
        .into_par_iter()
        .map_init(
            || ColumnSolver::new(items),
            |column, i| {
                let solved = column.solve(products, config, progress, i)?;
                parts.add(1)?;
                Ok(solved)
            },
        )
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

    fn solve(
        &mut self,
        products: &Products,
        config: &Config,
        progress: &dyn Progress,
        i: usize,
    ) -> Result<Vec<(u32, f32)>> {
        let diagonal = &products.users.diagonal;
        let mut candidates = products.summed(i);
        candidates.retain(|&(j, g)| j != i && f64::from(g) > config.l1);
        if config.neighbors > 0 && candidates.len() > config.neighbors {
            let cosine = |&(j, g): &(usize, f32)| g / diagonal[j].sqrt();
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
            progress.check()?;
            let (mut moved, mut largest) = (0f64, 0f64);
            for &c in &active {
                let own = f64::from(diagonal[candidates[c].0]);
                let next = ((residual[c] + own * weight[c] - config.l1) / (own + config.l2)).max(0.0);
                let delta = next - weight[c];
                if delta != 0.0 {
                    if spans[c].is_empty() {
                        spans[c] = self.keep(products, candidates[c].0);
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

    /// Keeps what row `j` of `G` says of the candidates, and says where; `j` itself is among them.
    fn keep(&mut self, products: &Products, j: usize) -> Range<usize> {
        let start = self.kept.len();
        products.row(j).for_each(|(m, g)| {
            if let Some(at) = self.place[m].checked_sub(1) {
                self.kept.push((at, g));
            }
        });
        start..self.kept.len()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::data::{GivenKnn, PrepareOptions, SplitKind, prepare};
    use crate::error::Error;

    const ITEMS: usize = 5;
    const NONE: u32 = u32::MAX;

    /// What five users took; nobody took the last item.
    fn train() -> Csr {
        let rows = [vec![0, 1], vec![0, 1, 2], vec![1, 2, 3], vec![0, 3], vec![2]];
        Csr::from_rows(ITEMS, &rows).unwrap()
    }

    /// Two modalities; the second lacks item 1.
    fn lists() -> [Neighbors; 2] {
        let image = vec![0, 1, 4, 1, 0, 2, 2, 3, NONE, 3, 2, 4, 4, 0, 3];
        let cosines = vec![1.0, 0.8, 0.5, 1.0, 0.8, -0.3, 1.0, 0.6, 0.0, 1.0, 0.6, 0.4, 1.0, 0.5, 0.4];
        let text = vec![0, 2, NONE, NONE, 2, 0, 3, 4, 4, 3];
        let others = vec![1.0, 0.9, 0.0, 0.0, 1.0, 0.9, 1.0, 0.7, 1.0, 0.7];
        [Neighbors { k: 3, idx: image, weight: cosines }, Neighbors { k: 2, idx: text, weight: others }]
    }

    fn products(near: &[Neighbors], alpha: f64) -> Products {
        let progress: &dyn Progress = &();
        Products::new(
            Gram::new(&train(), progress).unwrap(),
            of_features(near, ITEMS, alpha, progress).unwrap(),
        )
    }

    /// `AᵀA + α Σ_m F_mᵀF_m` of dense matrices.
    fn dense(near: &[Neighbors], alpha: f64) -> Vec<Vec<f64>> {
        let train = train();
        let taken = |u: usize| -> Vec<f64> {
            (0..ITEMS as u32).map(|i| f64::from(u8::from(train.row(u).contains(&i)))).collect()
        };
        let mut rows: Vec<(f64, Vec<f64>)> = (0..train.rows()).map(|u| (1.0, taken(u))).collect();
        for (list, i) in near.iter().flat_map(|list| (0..ITEMS).map(move |i| (list, i))) {
            let mut row = vec![0.0; ITEMS];
            list.row(i).for_each(|(j, cosine)| row[j as usize] = f64::from(cosine.max(0.0)));
            rows.push((alpha, row));
        }
        let entry =
            |i: usize, j: usize| rows.iter().map(|(weight, row)| weight * row[i] * row[j]).sum::<f64>();
        (0..ITEMS).map(|i| (0..ITEMS).map(|j| entry(i, j)).collect()).collect()
    }

    /// Column `i`, one weight after the other, until nothing moves.
    fn descent(gram: &[Vec<f64>], config: &Config, i: usize) -> Vec<f64> {
        let mut weight = vec![0f64; ITEMS];
        for j in (0..5_000).flat_map(|_| (0..ITEMS).filter(move |&j| j != i)) {
            let others: f64 = (0..ITEMS).filter(|&m| m != j).map(|m| gram[j][m] * weight[m]).sum();
            weight[j] = ((gram[i][j] - others - config.l1) / (gram[j][j] + config.l2)).max(0.0);
        }
        weight
    }

    #[test]
    fn features_add_what_dense_matrices_say() {
        let alpha = 0.7;
        let (found, gram) = (products(&lists(), alpha), dense(&lists(), alpha));
        for (i, wanted) in gram.iter().enumerate() {
            let mut row = vec![0f64; ITEMS];
            found.row(i).for_each(|(j, g)| row[j] += f64::from(g));
            let summed = found.summed(i);
            assert!(summed.windows(2).all(|pair| pair[0].0 < pair[1].0), "{summed:?}");
            assert!(summed.iter().all(|&(j, g)| (f64::from(g) - wanted[j]).abs() < 1e-5), "{summed:?}");
            assert!(row.iter().zip(wanted).all(|(f, w)| (f - w).abs() < 1e-5), "{row:?}, not {wanted:?}");
            assert!((f64::from(found.users.diagonal[i]) - wanted[i]).abs() < 1e-5);
        }
        let exact = Config { l1: 0.1, l2: 1.0, passes: 10_000, tolerance: 1e-9, ..Config::default() };
        let columns = solve(&found, &exact, &()).unwrap();
        for (i, column) in columns.iter().enumerate() {
            let mut row = vec![0f64; ITEMS];
            column.iter().for_each(|&(j, w)| row[j as usize] = f64::from(w));
            let wanted = descent(&gram, &exact, i);
            assert!(row.iter().zip(&wanted).all(|(f, w)| (f - w).abs() < 1e-5), "{row:?}, not {wanted:?}");
        }
        // What nobody took is reached by its features.
        assert!(!columns[ITEMS - 1].is_empty());
        assert!(solve(&products(&[], alpha), &exact, &()).unwrap()[ITEMS - 1].is_empty());
    }

    #[test]
    fn values_that_are_no_cosines_leave_the_sums_finite() {
        let list = Neighbors { k: 3, idx: vec![0, 1, 2], weight: vec![1.0, f32::MAX, f32::NAN] };
        for alpha in [1e-300, 1e-30, 1e6] {
            let rows = of_features(std::slice::from_ref(&list), 3, alpha, &()).unwrap();
            assert!(rows.iter().flatten().all(|e| e.0 < 2 && e.1 > 0.0 && e.1 <= 1.01e6), "{rows:?}");
        }
    }

    #[test]
    fn the_weight_of_features_does_nothing_without_any() {
        let dir = tempfile::tempdir().unwrap();
        let (log, out) = (dir.path().join("log.inter"), dir.path().join("data"));
        // Nobody took item 6 in train.
        let mut text = String::from("userID\titemID\tx_label\n0\t6\t1\n1\t6\t2\n");
        for (u, k) in (0..8).flat_map(|u| (0..3).map(move |k| (u, k))) {
            text += &format!("{u}\t{}\t0\n", (u + k) % 6);
        }
        std::fs::write(&log, text).unwrap();
        prepare(&PrepareOptions { split: SplitKind::Label, ..PrepareOptions::new(&log, &out) }).unwrap();
        let mut data = Dataset::open(&out).unwrap();
        let weights = |data: &Dataset, feature_weight| {
            let config = Config { l1: 0.1, l2: 1.0, feature_weight, ..Config::default() };
            let Scorer::ItemItem(found) = Slim::solve(data, &config, &()).unwrap() else {
                panic!("weights between items")
            };
            found
        };
        let plain = weights(&data, 0.0);
        assert!(plain == weights(&data, 5.0), "there are no features");
        let items = data.items.len() as u32;
        let (name, idx) = ("given".into(), (1..=items).map(|j| j % items).collect());
        data.knn.push(GivenKnn { name, k: 1, idx, cos: vec![0.9; items as usize] });
        assert!(plain == weights(&data, 0.0), "features have no weight");
        assert!(plain != weights(&data, 5.0), "features have a weight");
    }

    #[test]
    fn a_stop_ends_both_parts_of_the_solution() {
        let train = Csr::from_rows(3, &[vec![0, 1], vec![0, 1, 2], vec![1, 2]]).unwrap();
        let flag = AtomicBool::new(false);
        let progress: &dyn Progress = &flag;
        let gram = Gram::new(&train, progress).unwrap();
        let products = Products::new(gram, of_features(&[], 3, 0.0, progress).unwrap());
        let config = Config { l1: 0.1, ..Config::default() };
        assert!(solve(&products, &config, progress).unwrap().iter().any(|column| !column.is_empty()));
        flag.store(true, Ordering::Relaxed);
        assert!(matches!(Gram::new(&train, progress), Err(Error::Interrupted)));
        assert!(matches!(of_features(&[], 3, 0.0, progress), Err(Error::Interrupted)));
        assert!(matches!(solve(&products, &config, progress), Err(Error::Interrupted)));
    }
}
