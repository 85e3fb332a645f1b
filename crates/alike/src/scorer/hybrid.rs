//! Inner products to which weights between items are added.

use std::sync::Arc;

use alike_ops::{Csr, Exclusions, HybridUser, ItemSet, SparseSums, TopK, add_item_item, dot, top_k_dot};
use rayon::prelude::*;

use super::dense::{Matrix, not_finite};
use super::item_item::ItemItem;

/// `users[u] · items[i] + Σ_{j ∈ history of u} w_ji`, no weight below 0.
#[derive(Debug, Clone, PartialEq)]
pub struct Hybrid {
    /// `[U, D]`.
    pub users: Matrix,
    /// `[I, D]`.
    pub items: Matrix,
    /// What is added.
    pub weights: ItemItem,
}

impl Hybrid {
    /// Weights scaled so that the spread of their sums is `share` times that of the inner products: the mean
    /// over users of the standard deviation over items. `spread` is that of the sums as they are.
    pub fn new(users: Matrix, items: Matrix, weights: &ItemItem, spread: f64, share: f64) -> Self {
        let scale = if spread > 0.0 { share * spread_of_dots(&users, &items) / spread } else { 0.0 };
        let values = weights.values.iter().map(|&w| (f64::from(w) * scale) as f32).collect();
        let (history, pattern) = (weights.history.clone(), weights.pattern.clone());
        Self { users, items, weights: ItemItem { history, pattern, values } }
    }

    /// The mean over users of the standard deviation over items of `Σ_{j ∈ history of u} w_ji`.
    pub fn spread_of_sums(weights: &ItemItem) -> f64 {
        let (users, items) = (weights.history.rows(), weights.history.cols());
        mean_deviation(
            users,
            |u, sums: &mut SparseSums<f32>| {
                for (i, w) in
                    weights.history.row(u).iter().flat_map(|&j| weights.row(j)).filter(|e| e.1 > 0.0)
                {
                    sums.add(i, w);
                }
                let (mut first, mut second) = (0f64, 0f64);
                for (_, sum) in sums.take() {
                    first += f64::from(sum);
                    second += f64::from(sum) * f64::from(sum);
                }
                second / items as f64 - (first / items as f64).powi(2)
            },
            || SparseSums::new(items),
        )
    }

    /// The same with weights `scale` times as large.
    pub fn rescaled(mut self, scale: f32) -> Self {
        self.weights.values.iter_mut().for_each(|w| *w *= scale);
        self
    }

    /// The best of the users `rows` by the whole score, from their best by the inner product alone; one
    /// ranking for each of `scales`, times which the weights are taken.
    pub fn with_sums(
        &self,
        by_dot: &TopK,
        rows: &[u32],
        exclude: &Exclusions<'_>,
        scales: &[f32],
    ) -> Vec<TopK> {
        let user = |row: usize| {
            let u = rows[row] as usize;
            (self.users.row(u), self.weights.history.row(u))
        };
        let excluded = |row: usize, list: &mut Vec<u32>| {
            exclude.list(rows[row], list);
            None
        };
        self.add_sums(by_dot, scales, user, excluded)
    }

    /// The same for anybody: `user` gives the vector and the history of a row of `by_dot`, `excluded` writes
    /// the items that are left out for it, ascending, and gives the only ones that are not.
    pub fn add_sums<'a>(
        &self,
        by_dot: &TopK,
        scales: &[f32],
        user: impl Fn(usize) -> (&'a [f32], &'a [u32]) + Sync,
        excluded: impl Fn(usize, &mut Vec<u32>) -> Option<Arc<ItemSet>> + Sync,
    ) -> Vec<TopK> {
        let user = |row: usize| {
            let (vector, history) = user(row);
            HybridUser { vector, history }
        };
        let ItemItem { pattern, values, .. } = &self.weights;
        add_item_item(by_dot, &self.items.data, pattern, values, scales, user, excluded)
    }

    /// The `k` best items of each of the users `rows`.
    pub fn top_k(&self, rows: &[u32], exclude: &Exclusions<'_>, k: usize) -> TopK {
        let by_dot = top_k_dot(&self.users.data, &self.items.data, self.users.cols, rows, exclude, k);
        self.with_sums(&by_dot, rows, exclude, &[1.0]).remove(0)
    }

    /// Score of one user for one item.
    pub fn score(&self, user: u32, item: u32) -> f32 {
        let u = user as usize;
        self.score_of(self.users.row(u), self.weights.history.row(u), item)
    }

    /// Score of somebody with the row `vector` and this history for one item.
    pub fn score_of(&self, vector: &[f32], history: &[u32], item: u32) -> f32 {
        dot(vector, self.items.row(item as usize)) + self.weights.sum(history, item)
    }

    /// What is wrong with the shapes or values, if anything.
    pub fn flaw(&self) -> Option<String> {
        let Self { users, items, weights } = self;
        if let Some(flaw) = users.unlike(items) {
            return Some(flaw);
        }
        let shape = |m: &Csr| (m.rows(), m.cols());
        if shape(&weights.history) != (users.rows, items.rows)
            || shape(&weights.pattern) != (items.rows, items.rows)
        {
            return Some("its parts describe different numbers of users or items".into());
        }
        if let Some(flaw) = not_finite(&[&users.data, &items.data, &weights.values]) {
            return Some(flaw);
        }
        weights.values.iter().any(|&w| w < 0.0).then(|| "it holds weights below 0".into())
    }
}

/// The mean over users of the standard deviation over items of `users[u] · items[i]`, without all of these:
/// a user's variance is `zᵀ C z`, `C` the covariance of the items' rows.
fn spread_of_dots(users: &Matrix, items: &Matrix) -> f64 {
    let (d, n) = (items.cols, items.rows.max(1) as f64);
    let mut mean = vec![0f64; d];
    for row in items.data.chunks_exact(d.max(1)) {
        mean.iter_mut().zip(row).for_each(|(m, &v)| *m += f64::from(v) / n);
    }
    let of_column = |a: usize| {
        let mut sums = vec![0f64; d];
        for block in items.data.chunks(1024 * d.max(1)) {
            // Short sums in single precision, so that a block is quick; their sum is not.
            let mut part = vec![0f32; d];
            for row in block.chunks_exact(d) {
                let own = row[a] - mean[a] as f32;
                part.iter_mut().zip(row).for_each(|(p, &v)| *p += own * v);
            }
            sums.iter_mut().zip(part).for_each(|(s, p)| *s += f64::from(p) / n);
        }
        sums.into_iter().map(|s| s as f32).collect::<Vec<f32>>()
    };
    let covariance: Vec<Vec<f32>> = (0..d).into_par_iter().map(of_column).collect();
    mean_deviation(
        users.rows,
        |u, ()| {
            let z = users.row(u);
            z.iter().zip(&covariance).map(|(&v, row)| f64::from(v * dot(z, row))).sum()
        },
        || (),
    )
}

/// The mean over users of the root of `variance`, the same for any number of threads.
fn mean_deviation<T>(
    users: usize,
    variance: impl Fn(usize, &mut T) -> f64 + Sync,
    scratch: impl Fn() -> T + Sync + Send,
) -> f64 {
    let each: Vec<f64> =
        (0..users).into_par_iter().map_init(scratch, |own, u| variance(u, own).max(0.0).sqrt()).collect();
    each.iter().sum::<f64>() / users.max(1) as f64
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn hybrid() -> Hybrid {
        let users = Matrix::new(2, 2, vec![1.0, 0.0, 0.5, -1.0]);
        let items = Matrix::new(3, 2, vec![0.5, 1.0, 0.25, 0.5, -1.0, 2.0]);
        let csr = |rows: &[Vec<u32>]| Arc::new(Csr::from_rows(3, rows).unwrap());
        let history = csr(&[vec![0, 1], vec![]]);
        let pattern = csr(&[vec![1, 2], vec![2], vec![0]]);
        Hybrid { users, items, weights: ItemItem { history, pattern, values: vec![0.5, 1.0, 0.25, 2.0] } }
    }

    /// Standard deviations by the formula, from all scores.
    fn deviation(scores: &[f64]) -> f64 {
        let mean = scores.iter().sum::<f64>() / scores.len() as f64;
        (scores.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / scores.len() as f64).sqrt()
    }

    #[test]
    fn spreads_are_those_of_all_scores() {
        let Hybrid { users, items, weights } = hybrid();
        let dots = |u: usize| {
            let score = |i: usize| f64::from(dot(users.row(u), items.row(i)));
            deviation(&[score(0), score(1), score(2)])
        };
        assert!((spread_of_dots(&users, &items) - (dots(0) + dots(1)) / 2.0).abs() < 1e-6);
        let sums = deviation(&[0.0, 0.5, 1.25]) / 2.0;
        let spread = Hybrid::spread_of_sums(&weights);
        assert!((spread - sums).abs() < 1e-6);
        let scaled = Hybrid::new(users.clone(), items.clone(), &weights, spread, 0.2);
        let share = Hybrid::spread_of_sums(&scaled.weights) / spread_of_dots(&users, &items);
        assert!((share - 0.2).abs() < 1e-6);
        let none = Hybrid::new(users, items, &weights, 0.0, 0.2);
        assert!(none.weights.values.iter().all(|&w| w == 0.0));
    }

    #[test]
    fn scores_are_what_lists_are_ranked_by() {
        let hybrid = hybrid();
        let top = hybrid.top_k(&[0, 1], &Exclusions::default(), 3);
        assert_eq!(top.row(0), (&[1, 0, 2][..], &[0.75, 0.5, 0.25][..]));
        assert_eq!(top.row(1), (&[1, 0, 2][..], &[-0.375, -0.75, -2.5][..]));
        for (row, u) in [0u32, 1].into_iter().enumerate() {
            let (items, scores) = top.row(row);
            items.iter().zip(scores).for_each(|(&i, &s)| assert_eq!(hybrid.score(u, i), s));
        }
        let seen = Csr::from_rows(3, &[vec![1u32], vec![]]).unwrap();
        let masks = Exclusions { seen: Some(&seen), extra: None };
        assert_eq!(hybrid.top_k(&[0], &masks, 3).items, [0, 2, u32::MAX]);
    }

    #[test]
    fn parts_that_do_not_go_together_are_told() {
        assert_eq!(hybrid().flaw(), None);
        let says = |change: fn(&mut Hybrid), part: &str| {
            let mut wrong = hybrid();
            change(&mut wrong);
            let flaw = wrong.flaw().unwrap_or_default();
            assert!(flaw.contains(part), "{flaw:?} for {part:?}");
        };
        says(|h| h.items = Matrix::new(3, 1, vec![1.0; 3]), "users are 2 wide and its items 1");
        says(|h| h.users = Matrix::new(1, 2, vec![1.0; 2]), "numbers of users");
        says(|h| h.users.data[1] = f32::NAN, "not finite");
        says(|h| h.weights.values[1] = -1.0, "below 0");
    }
}
