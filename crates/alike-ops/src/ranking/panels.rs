//! Items packed for ranking, and which of them can be skipped.
//!
//! For dot products the items are sorted by descending length: `a · b ≤ ‖a‖ ‖b‖`, so once a user has `k`
//! items, panels whose longest item cannot reach the worst of them are skipped (the length-based pruning of
//! Teflioudi et al., "LEMP", SIGMOD 2015). The result is exact: bounds are rounded up, and the order of items
//! is total.

use std::ops::Range;

use rayon::prelude::*;

use super::heap::TopKHeap;
use super::tile::{COLS, Formula, Packed, ROWS, TileScan, set_bits, valid_columns};

/// Items `[I, dim]` in panels.
#[derive(Debug)]
pub(super) struct ItemPanels {
    packed: Packed,
    /// The item at each position.
    order: Vec<u32>,
    /// An upper bound of the lengths in each panel; infinite where lengths do not bound scores.
    lengths: Vec<f32>,
}

/// Users `[B, dim]` in groups, with upper bounds of their lengths.
pub(super) struct UserBlock {
    packed: Packed,
    lengths: Vec<[f32; ROWS]>,
    count: usize,
}

/// An upper bound of the length of a row times `scale`, such that the product of two of them is above their
/// dot product even as it is rounded when summed.
fn length(row: &[f32], scale: f32) -> f32 {
    let square = row.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>();
    let slack = 1.0 + (row.len() + 8) as f64 * f64::from(f32::EPSILON);
    (square.sqrt() * f64::from(scale.abs()) * slack) as f32
}

impl ItemPanels {
    /// Packs `items`, each row multiplied by its `scale` where given, to be scored by `formula`.
    pub(super) fn new(items: &[f32], dim: usize, scale: Option<&[f32]>, formula: Formula<'_>) -> Self {
        let count = items.len() / dim;
        let mut order: Vec<u32> = (0..count as u32).collect();
        let panels = count.div_ceil(COLS);
        let lengths = match formula {
            Formula::PairMlp(_) => vec![f32::INFINITY; panels],
            Formula::Dot => {
                let length_of = |(i, row): (usize, &[f32])| {
                    let length = length(row, scale.map_or(1.0, |s| s[i]));
                    if length.is_nan() { f32::INFINITY } else { length }
                };
                let all: Vec<f32> = items.par_chunks_exact(dim).enumerate().map(length_of).collect();
                order.par_sort_by(|&a, &b| all[b as usize].total_cmp(&all[a as usize]));
                order.iter().step_by(COLS).map(|&i| all[i as usize]).collect()
            }
        };
        let packed = Packed::new(items, dim, count, COLS, scale, |at| order[at] as usize);
        Self { packed, order, lengths }
    }

    /// Number of items.
    pub(super) fn items(&self) -> usize {
        self.order.len()
    }

    /// Number of panels.
    pub(super) fn len(&self) -> usize {
        self.lengths.len()
    }

    /// The scores of one user `[dim]` for all items, by item.
    pub(super) fn scores(&self, scan: &TileScan<'_>, user: &[f32]) -> Vec<f32> {
        let packed = scan.row(user, &self.packed, self.items());
        let mut scores = vec![0f32; packed.len()];
        self.order.iter().zip(packed).for_each(|(&item, score)| scores[item as usize] = score);
        scores
    }

    /// Offers every user the items of the panels `among` that may be among their best. `best` has one entry
    /// per user.
    pub(super) fn offer(
        &self,
        scan: &TileScan<'_>,
        users: &UserBlock,
        among: Range<usize>,
        best: &mut [TopKHeap],
    ) {
        assert_eq!(best.len(), users.count, "the best of each user");
        let mut limits = vec![[f32::INFINITY; ROWS]; users.packed.groups()];
        limits.as_flattened_mut().iter_mut().zip(&*best).for_each(|(limit, best)| *limit = best.limit());
        let prune = |group: usize, panel: usize, limits: &[f32; ROWS]| {
            let longest = self.lengths[panel];
            users.lengths[group]
                .iter()
                .zip(limits)
                .all(|(l, limit)| l * longest + f32::MIN_POSITIVE <= *limit)
        };
        let visit =
            |group: usize, panel: usize, tile: &[f32], hits: [u64; ROWS], limits: &mut [f32; ROWS]| {
                let valid = valid_columns(panel, self.items());
                for r in 0..ROWS {
                    for c in set_bits(hits[r] & valid) {
                        let item = self.order[panel * COLS + c];
                        best[group * ROWS + r].offer(item, tile[r * COLS + c], &mut limits[r]);
                    }
                }
            };
        scan.run(&users.packed, &self.packed, among, &mut limits, prune, visit);
    }
}

impl UserBlock {
    /// The rows `row(0), row(1), …` of `users [_, dim]`, `count` of them, each multiplied by its `scale`
    /// where given.
    pub(super) fn new(
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
    pub(super) fn row(&self, at: usize) -> Vec<f32> {
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
    fn panels_that_cannot_reach_the_best_are_skipped() {
        // Panel 0 has the longest item and the one in the user's direction; the other panels are out of
        // reach.
        let count = 5 * COLS;
        let items: Vec<f32> =
            (0..count).flat_map(|i| if i < COLS { [10.0, i as f32] } else { [0.1, 0.2] }).collect();
        let panels = ItemPanels::new(&items, 2, None, Formula::Dot);
        let users = UserBlock::new(&[1.0, 0.0], 2, 1, None, |i| i);
        let scan = TileScan::new(Formula::Dot, 2);
        let mut best = vec![TopKHeap::new(Vec::new(), 1)];
        panels.offer(&scan, &users, 0..1, &mut best);
        assert_eq!(best[0].limit(), 10f32.next_down());
        let longest = |panel: usize| users.lengths[0][0] * panels.lengths[panel];
        assert!(longest(0) > best[0].limit() && (1..5).all(|panel| longest(panel) < best[0].limit()));
        let mut rest = vec![best[0].fork()];
        panels.offer(&scan, &users, 1..5, &mut rest);
        assert_eq!((best[0].kept.len(), rest[0].kept.len()), (COLS - 32, 0));
    }
}
