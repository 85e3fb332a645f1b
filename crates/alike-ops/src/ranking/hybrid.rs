//! Rankings by inner products to which weights between items are added.

use rayon::prelude::*;

use super::heap::TopKHeap;
use super::topk::TopK;
use crate::sparse::csr::Csr;
use crate::sparse::sums::SparseSums;

/// Somebody whose items are ranked.
#[derive(Debug, Clone, Copy)]
pub struct HybridUser<'a, S> {
    /// The items that they took.
    pub history: &'a [u32],
    /// The inner product of their vector and that of an item.
    pub dot: S,
}

/// Score `dot(u, i) + scale · Σ_{j ∈ history(u)} w_ji` and top `k` for each of `scales`, from the `k` best of
/// each user by the inner product alone, `by_dot`, with the same items left out: `weights [I, I]` with one of
/// `values` per entry; row `j` holds what item `j` contributes to others. Neither values nor scales are below
/// 0. `user` gives the user of a row of `by_dot`, `excluded` writes the items that are left out for it,
/// ascending. Several scales cost little more than one.
///
/// Exact: an item that no weight reaches keeps its inner product, and there are `k` others not below it
/// unless it is among the `k` best by that. So these and the items that a weight reaches are all that is
/// scored.
///
/// # Panics
/// When the shapes do not fit.
pub fn add_item_item<'a, S: Fn(u32) -> f32>(
    by_dot: &TopK,
    weights: &Csr,
    values: &[f32],
    scales: &[f32],
    user: impl Fn(usize) -> HybridUser<'a, S> + Sync,
    excluded: impl Fn(usize, &mut Vec<u32>) + Sync,
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
            || (SparseSums::new(weights.cols()), Vec::new()),
            |(sums, list), row| {
                let HybridUser { history, dot } = user(row);
                for &j in history {
                    let at = weights.ptr()[j as usize] as usize;
                    let reaches = weights.row(j as usize).iter().zip(&values[at..]);
                    reaches.filter(|(_, w)| **w > 0.0).for_each(|(&i, &w)| sums.add(i, w));
                }
                list.clear();
                excluded(row, list);
                let mut best: Vec<TopKHeap> = scales.iter().map(|_| TopKHeap::new(list.clone(), k)).collect();
                let mut limits = vec![f32::NEG_INFINITY; scales.len()];
                let mut offer = |i: u32, sum: f32| {
                    let inner = dot(i);
                    for ((best, limit), scale) in best.iter_mut().zip(&mut limits).zip(scales) {
                        best.offer(i, inner + scale * sum, limit);
                    }
                };
                // A sum is 0 once it was taken: no item is offered twice.
                by_dot.row(row).0.iter().for_each(|&i| offer(i, sums.take_one(i)));
                sums.take().filter(|(_, sum)| *sum > 0.0).for_each(|(i, sum)| offer(i, sum));
                best
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
            let inner = |u: usize, i: u32| -> f32 {
                let (a, b) = (&z[u * dim..][..dim], &x[i as usize * dim..][..dim]);
                a.iter().zip(b).map(|(a, b)| a * b).sum()
            };
            let of = |row: usize| {
                let u = rows[row] as usize;
                HybridUser { history: &history[u], dot: move |i| inner(u, i) }
            };
            let excluded = |row: usize, list: &mut Vec<u32>| masks.list(rows[row], list);
            let scales = [1.0, 0.0, 0.25];
            let tops = add_item_item(&by_dot, &weights, &values, &scales, of, excluded);
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
