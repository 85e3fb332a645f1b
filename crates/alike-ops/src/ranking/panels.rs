//! Items packed for ranking, and which of them need no look.
//!
//! For dot products the items go by descending length: `a · b ≤ ‖a‖ ‖b‖`, so once a user has `k` items, panels whose longest
//! item cannot reach the worst of them are passed over (the length-based pruning of Teflioudi et al., "LEMP", SIGMOD 2015).
//! What is found is exact: bounds are rounded up, and the order of items is total.

use std::ops::Range;

use rayon::prelude::*;

use crate::score::{COLS, Formula, Packed, ROWS, Sweep};
use crate::topk::{Best, bits, valid};

/// Items `[I, dim]` in panels.
#[derive(Debug)]
pub(crate) struct Catalogue {
    packed: Packed,
    /// The item at each place.
    order: Vec<u32>,
    /// An upper bound of the lengths in each panel; infinite where lengths say nothing of scores.
    lengths: Vec<f32>,
}

/// Users `[B, dim]` in groups, with upper bounds of their lengths.
pub(crate) struct Crowd {
    packed: Packed,
    lengths: Vec<[f32; ROWS]>,
    count: usize,
}

/// An upper bound of the length of a row times `scale`, such that the product of two of them is above their dot product
/// even as it is rounded when summed.
fn length(row: &[f32], scale: f32) -> f32 {
    let square = row.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>();
    let slack = 1.0 + (row.len() + 8) as f64 * f64::from(f32::EPSILON);
    (square.sqrt() * f64::from(scale.abs()) * slack) as f32
}

impl Catalogue {
    /// Packs `items`, each row multiplied by its `scale` where given, to be scored by `formula`.
    pub(crate) fn new(items: &[f32], dim: usize, scale: Option<&[f32]>, formula: Formula<'_>) -> Self {
        let count = items.len() / dim;
        let mut order: Vec<u32> = (0..count as u32).collect();
        let panels = count.div_ceil(COLS);
        let lengths = match formula {
            Formula::PairMlp(_) => vec![f32::INFINITY; panels],
            Formula::Dot => {
                let of = |(i, row): (usize, &[f32])| {
                    let length = length(row, scale.map_or(1.0, |s| s[i]));
                    if length.is_nan() { f32::INFINITY } else { length }
                };
                let all: Vec<f32> = items.par_chunks_exact(dim).enumerate().map(of).collect();
                order.par_sort_by(|&a, &b| all[b as usize].total_cmp(&all[a as usize]));
                order.iter().step_by(COLS).map(|&i| all[i as usize]).collect()
            }
        };
        let packed = Packed::new(items, dim, count, COLS, scale, |at| order[at] as usize);
        Self { packed, order, lengths }
    }

    /// Number of items.
    pub(crate) fn items(&self) -> usize {
        self.order.len()
    }

    /// Number of panels.
    pub(crate) fn panels(&self) -> usize {
        self.lengths.len()
    }

    /// The scores of one user `[dim]` for all items, by item.
    pub(crate) fn scores(&self, sweep: &Sweep<'_>, user: &[f32]) -> Vec<f32> {
        let packed = sweep.row(user, &self.packed, self.items());
        let mut scores = vec![0f32; packed.len()];
        self.order.iter().zip(packed).for_each(|(&item, score)| scores[item as usize] = score);
        scores
    }

    /// Offers every user the items of the panels `among` that may be among the best of them. `best` has one entry a user.
    pub(crate) fn offer(&self, sweep: &Sweep<'_>, users: &Crowd, among: Range<usize>, best: &mut [Best]) {
        assert_eq!(best.len(), users.count, "the best of each user");
        let mut limits = vec![[f32::INFINITY; ROWS]; users.packed.groups()];
        limits.as_flattened_mut().iter_mut().zip(&*best).for_each(|(limit, best)| *limit = best.limit());
        let beyond = |group: usize, panel: usize, limits: &[f32; ROWS]| {
            let longest = self.lengths[panel];
            users.lengths[group]
                .iter()
                .zip(limits)
                .all(|(l, limit)| l * longest + f32::MIN_POSITIVE <= *limit)
        };
        let take = |group: usize, panel: usize, tile: &[f32], hits: [u64; ROWS], limits: &mut [f32; ROWS]| {
            let valid = valid(panel, self.items());
            for r in 0..ROWS {
                for c in bits(hits[r] & valid) {
                    let item = self.order[panel * COLS + c];
                    best[group * ROWS + r].offer(item, tile[r * COLS + c], &mut limits[r]);
                }
            }
        };
        sweep.run(&users.packed, &self.packed, among, &mut limits, beyond, take);
    }
}

impl Crowd {
    /// The rows `row(0), row(1), …` of `users [_, dim]`, `count` of them, each multiplied by its `scale` where given.
    pub(crate) fn new(
        users: &[f32],
        dim: usize,
        count: usize,
        scale: Option<&[f32]>,
        row: impl Fn(usize) -> usize + Sync,
    ) -> Self {
        let packed = Packed::new(users, dim, count, ROWS, scale, &row);
        let mut lengths = vec![[0.0; ROWS]; packed.groups()];
        lengths.as_flattened_mut().iter_mut().take(count).enumerate().for_each(|(at, out)| {
            let r = row(at);
            *out = length(&users[r * dim..(r + 1) * dim], scale.map_or(1.0, |s| s[r]));
        });
        Self { packed, lengths, count }
    }

    /// The vector of user `at`, `[dim]`.
    pub(crate) fn row(&self, at: usize) -> Vec<f32> {
        self.packed.row(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_above_the_rounded_product_of_what_it_bounds() {
        // Parallel rows reach the product of their lengths.
        for (dim, scale) in [(1, 1.0f32), (7, 0.1), (64, 3.0), (700, 1e-20), (700, 1e18)] {
            let row: Vec<f32> = (0..dim).map(|i| ((i * 37 % 101) as f32 + 1.0) / 7.0).collect();
            let other: Vec<f32> = row.iter().map(|v| v * 1.7).collect();
            let score: f32 = row.iter().zip(&other).fold(0.0, |sum, (a, b)| (a * scale).mul_add(*b, sum));
            let bound = length(&row, scale) * length(&other, 1.0);
            assert!(bound >= score && bound < score * 1.01, "{bound} {score}");
        }
    }

    #[test]
    fn what_cannot_be_among_the_best_is_passed_over() {
        // Panel 0 has the longest item and the one in the user's direction; the other panels are out of reach.
        let count = 5 * COLS;
        let items: Vec<f32> =
            (0..count).flat_map(|i| if i < COLS { [10.0, i as f32] } else { [0.1, 0.2] }).collect();
        let catalogue = Catalogue::new(&items, 2, None, Formula::Dot);
        let crowd = Crowd::new(&[1.0, 0.0], 2, 1, None, |i| i);
        let sweep = Sweep::new(Formula::Dot, 2);
        let mut best = vec![Best::without(Vec::new(), 1)];
        catalogue.offer(&sweep, &crowd, 0..1, &mut best);
        assert_eq!(best[0].limit(), 10f32.next_down());
        let longest = |panel: usize| crowd.lengths[0][0] * catalogue.lengths[panel];
        assert!(longest(0) > best[0].limit() && (1..5).all(|panel| longest(panel) < best[0].limit()));
        let mut rest = vec![best[0].beside()];
        catalogue.offer(&sweep, &crowd, 1..5, &mut rest);
        assert_eq!((best[0].kept.len(), rest[0].kept.len()), (COLS - 32, 0));
    }
}
