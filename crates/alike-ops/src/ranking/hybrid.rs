//! Rankings by inner products to which weights between items are added.

use std::sync::Arc;

use rayon::prelude::*;

use super::heap::TopKHeap;
use super::item_set::ItemSet;
use super::topk::TopK;
use crate::dense::inner::dot;
use crate::simd::f32x16::LANES;
use crate::simd::prefetch::prefetch;
use crate::sparse::csr::Csr;
use crate::sparse::sums::SparseSums;

/// Somebody whose items are ranked.
#[derive(Debug, Clone, Copy)]
pub struct HybridUser<'a> {
    /// Their vector, `[D]`.
    pub vector: &'a [f32],
    /// The items that they took.
    pub history: &'a [u32],
}

/// Score `z_u · z_i + scale · Σ_{j ∈ history(u)} w_ji` and top `k` for each of `scales`, from the `k` best of
/// each user by the inner product alone, `by_dot`, with the same items left out: `items [I, D]`, `weights [I,
/// I]` with one of `values` per entry; row `j` holds what item `j` contributes to others. Neither values nor
/// scales are below 0. `user` gives the user of a row of `by_dot`, `excluded` writes the items that are left
/// out for it, ascending, and gives the only ones that are not, if not all others. Several scales cost little
/// more than one.
///
/// Exact, up to the rounding of inner products: an item that no weight reaches keeps its inner product, and
/// there are `k` others not below it unless it is among the `k` best by that. So these and the items that a
/// weight reaches are all that can be among the best. The inner products of the latter are not above the
/// worst of the `k` best by it, so that most of those with small sums need none to be computed.
///
/// # Panics
/// When the shapes do not fit.
pub fn add_item_item<'a>(
    by_dot: &TopK,
    items: &[f32],
    weights: &Csr,
    values: &[f32],
    scales: &[f32],
    user: impl Fn(usize) -> HybridUser<'a> + Sync,
    excluded: impl Fn(usize, &mut Vec<u32>) -> Option<Arc<ItemSet>> + Sync,
) -> Vec<TopK> {
    assert_eq!(weights.rows(), weights.cols(), "weights are items x items");
    assert_eq!(values.len(), weights.nnz(), "one value per entry");
    debug_assert!(values.iter().chain(scales).all(|&w| w >= 0.0), "neither weights nor scales are below 0");
    let (rows, k) = (by_dot.rows(), by_dot.k);
    let mut tops = vec![TopK::empty(rows, k); scales.len()];
    if k == 0 {
        return tops;
    }
    let lists: Vec<Vec<TopKHeap>> = (0..rows)
        .into_par_iter()
        .map_init(
            || (SparseSums::new(weights.cols()), Vec::new(), Vec::new()),
            |(sums, list, reached), row| {
                let user = user(row);
                for &j in user.history {
                    let at = weights.ptr()[j as usize] as usize;
                    let reaches = weights.row(j as usize).iter().zip(&values[at..]);
                    reaches.filter(|(_, w)| **w > 0.0).for_each(|(&i, &w)| sums.add(i, w));
                }
                list.clear();
                let among = excluded(row, list);
                let empty = || TopKHeap::new(list.clone(), k).among(among.clone());
                let mut best = Best::new(user.vector, items, scales, empty);
                // A sum is 0 once it was taken: no item is offered twice.
                let (first, with) = by_dot.row(row);
                best.offer(first.iter().map(|&i| (i, sums.take_one(i))));
                reached.clear();
                reached.extend(sums.take().filter(|(_, sum)| *sum > 0.0));
                // The large sums first: what they leave of the limits spares most of the small ones.
                let total: f32 = reached.iter().map(|(_, sum)| sum).sum();
                let mean = total / reached.len().max(1) as f32;
                best.offer(reached.iter().copied().filter(|(_, sum)| *sum > mean));
                // What none of the others' inner products is above, however they are rounded.
                let slack = |worst: f32| ROUNDING * with[0].abs().max(worst.abs());
                let outside = with.get(k - 1).map_or(f32::INFINITY, |&worst| worst + slack(worst));
                let needed = best.needed(outside);
                best.offer(reached.iter().copied().filter(|(_, sum)| *sum <= mean && *sum >= needed));
                best.heaps
            },
        )
        .collect();
    for (row, best) in lists.into_iter().enumerate() {
        let span = row * k..(row + 1) * k;
        for (top, heap) in tops.iter_mut().zip(best) {
            heap.kept.write(&mut top.items[span.clone()], &mut top.scores[span.clone()]);
        }
    }
    tops
}

/// More than two ways to sum an inner product differ by, as a part of the largest of a list.
const ROUNDING: f32 = 1e-4;

/// How many items ahead their rows are asked for.
const AHEAD: usize = 4;

/// The best of one user for each of some scales.
struct Best<'a> {
    vector: &'a [f32],
    items: &'a [f32],
    scales: &'a [f32],
    heaps: Vec<TopKHeap>,
    /// What a score must be above, by scale.
    limits: Vec<f32>,
    /// Items and their sums, to be offered.
    waiting: Vec<(u32, f32)>,
}

impl<'a> Best<'a> {
    fn new(vector: &'a [f32], items: &'a [f32], scales: &'a [f32], empty: impl Fn() -> TopKHeap) -> Self {
        let heaps = scales.iter().map(|_| empty()).collect();
        let limits = vec![f32::NEG_INFINITY; scales.len()];
        Self { vector, items, scales, heaps, limits, waiting: Vec::new() }
    }

    /// Offers items with their sums.
    fn offer(&mut self, list: impl Iterator<Item = (u32, f32)>) {
        let dim = self.vector.len();
        self.waiting.clear();
        self.waiting.extend(list);
        for (at, &(item, sum)) in self.waiting.iter().enumerate() {
            if let Some((later, _)) = self.waiting.get(at + AHEAD) {
                prefetch(&raw const self.items[*later as usize * dim], dim.div_ceil(LANES));
            }
            let inner = dot(self.vector, &self.items[item as usize * dim..][..dim]);
            for ((heap, limit), scale) in self.heaps.iter_mut().zip(&mut self.limits).zip(self.scales) {
                heap.offer(item, inner + scale * sum, limit);
            }
        }
    }

    /// Below this, no sum brings an item whose inner product is at most `inner` among the best by any scale.
    fn needed(&mut self, inner: f32) -> f32 {
        let mut least = f32::INFINITY;
        for ((heap, limit), &scale) in self.heaps.iter_mut().zip(&mut self.limits).zip(self.scales) {
            *limit = heap.tighten();
            // At scale 0 the best by the inner product are the best.
            if scale > 0.0 {
                // Rounding of this and of the score, made small enough by a few of the last bits.
                let sum = (*limit - inner - 4.0 * f32::EPSILON * (limit.abs() + inner.abs())) / scale;
                least = if sum.is_nan() { 0.0 } else { least.min(sum * (1.0 - 4.0 * f32::EPSILON)) };
            }
        }
        least
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::ranking::exclusions::Exclusions;
    use crate::ranking::topk::top_k_dot;

    /// What the same formula gives over all items, one after the other.
    fn naive(scores: &[f32], excluded: &[u32], k: usize) -> Vec<(u32, f32)> {
        let left = (0u32..).zip(scores.iter().copied()).filter(|(i, _)| !excluded.contains(i));
        let mut all: Vec<(u32, f32)> = left.collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        all.truncate(k);
        all
    }

    #[test]
    fn the_best_of_the_sums_are_found_without_looking_at_all_items() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let (users, items, dim) = (23, 90, 6);
        let mut draw = |n: usize| (0..n).map(|_| rng.random::<f32>() - 0.5).collect::<Vec<_>>();
        let (z, x) = (draw(users * dim), draw(items * dim));
        let mut some = |most: usize| {
            let mut row: Vec<u32> = (0..most).map(|_| rng.random_range(0..items as u32)).collect();
            row.sort_unstable();
            row.dedup();
            row
        };
        let history: Vec<Vec<u32>> = (0..users).map(|u| some(u % 5)).collect();
        let weights = Csr::from_rows(items, &(0..items).map(|i| some(i % 9)).collect::<Vec<_>>()).unwrap();
        // 0 among them, and some that leave the inner products far behind.
        let values: Vec<f32> = (0..weights.nnz()).map(|e| [0.0, 0.1, 0.4, 3.0][e % 4]).collect();
        let seen = Csr::from_rows(items, &history).unwrap();
        let masks = Exclusions { seen: Some(&seen), extra: None };
        let rows: Vec<u32> = (0..users as u32).rev().collect();
        for k in [0, 1, 7, 88, 95] {
            let by_dot = top_k_dot(&z, &x, dim, &rows, &masks, k);
            let inner =
                |u: usize, i: u32| -> f32 { dot(&z[u * dim..][..dim], &x[i as usize * dim..][..dim]) };
            let of = |row: usize| {
                let u = rows[row] as usize;
                HybridUser { vector: &z[u * dim..][..dim], history: &history[u] }
            };
            let excluded = |row: usize, list: &mut Vec<u32>| {
                masks.list(rows[row], list);
                None
            };
            let scales = [1.0, 0.0, 0.25];
            let tops = add_item_item(&by_dot, &x, &weights, &values, &scales, of, excluded);
            let each = scales.iter().zip(&tops).flat_map(|st| (0..tops[0].rows()).map(move |row| (st, row)));
            for ((scale, top), row) in each {
                let u = rows[row] as usize;
                let mut scores: Vec<f32> = (0..items as u32).map(|i| inner(u, i)).collect();
                let mut sums = vec![0f32; items];
                for &j in &history[u] {
                    let at = weights.ptr()[j as usize] as usize;
                    let reaches = weights.row(j as usize).iter().zip(&values[at..]);
                    reaches.for_each(|(&i, w)| sums[i as usize] += w);
                }
                scores.iter_mut().zip(&sums).for_each(|(s, more)| *s += scale * more);
                let (found, with) = top.row(row);
                let pairs: Vec<(u32, f32)> = found.iter().copied().zip(with.iter().copied()).collect();
                assert_eq!(pairs, naive(&scores, &history[u], k), "user {u}, k {k}, scale {scale}");
            }
        }
    }
}
