//! Cosines between items in one modality, worked out for some rows at a time, and the best items of a row.

use std::ops::Range;

use alike_ops::dot;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

use crate::data::Dataset;
use crate::error::Result;
use crate::graph::items::no_modality;
use crate::graph::neighbors::Neighbors;

/// The cosines of one modality.
pub(super) enum Cosines {
    /// Of all pairs: feature rows of length 1, `[I, dim]`; an item without features has a row of 0.
    Features { unit: Vec<f32>, dim: usize },
    /// Of the pairs that a given kNN graph names: for each item the others, ascending, and itself with 1.
    /// The cosine of every other pair counts as 0.
    Listed(Vec<Vec<(u32, f32)>>),
}

impl Cosines {
    /// Those of modality `name`: of its features, or of its kNN graph where only that is there.
    pub(super) fn of(data: &Dataset, name: &str) -> Result<Self> {
        if let Some(features) = data.features.iter().find(|f| f.name == name) {
            return Ok(Self::of_features(features.values(), features.dim));
        }
        let given = data.knn.iter().find(|g| g.name == name).ok_or_else(|| no_modality(data, name))?;
        Ok(Self::of_lists(&given.idx, &given.cos, given.k))
    }

    pub(super) fn of_features(values: &[f32], dim: usize) -> Self {
        let mut unit = values.to_vec();
        unit.par_chunks_mut(dim).for_each(|row| {
            let norm = row.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>().sqrt();
            let scale = (1.0 / norm) as f32;
            let scale = if scale.is_finite() { scale } else { 0.0 };
            row.iter_mut().for_each(|v| *v *= scale);
        });
        Self::Features { unit, dim }
    }

    /// Lists of `k` neighbours, `u32::MAX` after the last. A pair counts if either item lists the other.
    pub(super) fn of_lists(idx: &[u32], cos: &[f32], k: usize) -> Self {
        let mut lists: Vec<Vec<(u32, f32)>> = vec![Vec::new(); idx.len() / k];
        let all = idx.iter().zip(cos).enumerate().map(|(at, (&j, &c))| (at / k, j as usize, c));
        let pairs: Vec<_> = all.filter(|&(i, j, _)| j < lists.len() && j != i).collect();
        // An item's own list comes first: where both have a pair, each keeps its own value.
        pairs.iter().for_each(|&(i, j, c)| lists[i].push((j as u32, c)));
        pairs.iter().for_each(|&(i, j, c)| lists[j].push((i as u32, c)));
        for (i, list) in (0u32..).zip(&mut lists) {
            list.extend((!list.is_empty()).then_some((i, 1.0)));
            list.sort_by_key(|&(j, _)| j);
            list.dedup_by_key(|&mut (j, _)| j);
        }
        Self::Listed(lists)
    }

    /// `Σ_{i ∈ set} cos(i, ·)` over all items for each of `sets`, `[sets, I]`.
    pub(super) fn sums(&self, sets: &[&[u32]]) -> Vec<f32> {
        match self {
            Self::Features { unit, dim } => {
                let items = unit.len() / dim;
                let mut rows = vec![0f32; sets.len() * dim];
                for (row, set) in rows.chunks_exact_mut(*dim).zip(sets) {
                    for &i in *set {
                        let own = &unit[i as usize * dim..][..*dim];
                        row.iter_mut().zip(own).for_each(|(sum, v)| *sum += v);
                    }
                }
                let mut out = vec![0f32; sets.len() * items];
                matmul(
                    MatMut::from_row_major_slice_mut(&mut out, sets.len(), items),
                    Accum::Replace,
                    MatRef::from_row_major_slice(&rows, sets.len(), *dim),
                    MatRef::from_row_major_slice(unit, items, *dim).transpose(),
                    1.0,
                    Par::Seq,
                );
                out
            }
            Self::Listed(lists) => {
                let mut out = vec![0f32; sets.len() * lists.len()];
                for (row, set) in out.chunks_exact_mut(lists.len()).zip(sets) {
                    let near = set.iter().flat_map(|&i| &lists[i as usize]);
                    near.for_each(|&(j, c)| row[j as usize] += c);
                }
                out
            }
        }
    }

    /// `cos(i, j)`, from features the same bits as `cos(j, i)`.
    pub(super) fn between(&self, i: u32, j: u32) -> f32 {
        match self {
            Self::Features { unit, dim } => {
                dot(&unit[i as usize * dim..][..*dim], &unit[j as usize * dim..][..*dim])
            }
            Self::Listed(lists) => {
                let list = &lists[i as usize];
                list.binary_search_by_key(&j, |&(o, _)| o).map_or(0.0, |at| list[at].1)
            }
        }
    }
}

/// For each of `rows` rows its `k` best items: `scores` works out some rows at a time, `[rows, I]`, and only
/// scores above 0 count.
pub(super) fn best_items(
    rows: usize,
    items: usize,
    k: usize,
    scores: impl Fn(Range<usize>) -> Vec<f32> + Sync,
) -> Neighbors {
    // Enough rows to make reading the items worth it; of many items, few megabytes of scores per thread.
    let block = ((1 << 22) / items.max(1)).clamp(8, 64);
    let mut out = Neighbors { k, idx: vec![u32::MAX; rows * k], weight: vec![0.0; rows * k] };
    let parts = out.idx.par_chunks_mut(block * k).zip(out.weight.par_chunks_mut(block * k));
    parts.enumerate().for_each(|(at, (idx, weight))| {
        let scores = scores(at * block..((at + 1) * block).min(rows));
        for (r, row) in scores.chunks_exact(items.max(1)).enumerate() {
            for (place, (j, score)) in best(row, k).into_iter().enumerate() {
                (idx[r * k + place], weight[r * k + place]) = (j, score);
            }
        }
    });
    out
}

/// The `k` largest scores above 0 and whose they are, largest first, equal ones by lower number.
fn best(scores: &[f32], k: usize) -> Vec<(u32, f32)> {
    let mut best: Vec<(u32, f32)> = Vec::new();
    let mut limit = 0.0;
    for (j, &score) in (0u32..).zip(scores) {
        if score > limit {
            best.insert(best.partition_point(|&(_, other)| other >= score), (j, score));
            if best.len() > k {
                best.pop();
            }
            if best.len() == k {
                limit = best[k - 1].1;
            }
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Five items in the plane; the last has no features.
    const VALUES: [f32; 10] = [3.0, 4.0, 1.0, 0.0, 0.0, 2.0, -1.0, 0.0, 0.0, 0.0];
    const COSINES: [[f32; 5]; 5] = [
        [1.0, 0.6, 0.8, -0.6, 0.0],
        [0.6, 1.0, 0.0, -1.0, 0.0],
        [0.8, 0.0, 1.0, 0.0, 0.0],
        [-0.6, -1.0, 0.0, 1.0, 0.0],
        [0.0; 5],
    ];

    fn close(found: &[f32], wanted: &[f32]) {
        let near = found.iter().zip(wanted).all(|(f, w)| (f - w).abs() < 1e-6);
        assert!(found.len() == wanted.len() && near, "{found:?}, not {wanted:?}");
    }

    #[test]
    fn features_give_all_cosines() {
        let cosines = Cosines::of_features(&VALUES, 2);
        close(
            &cosines.sums(&[&[0], &[], &[0, 2], &[4]]),
            &[
                1.0, 0.6, 0.8, -0.6, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.8, 0.6, 1.8, -0.6, 0.0, 0.0, 0.0, 0.0,
                0.0, 0.0,
            ],
        );
        for (i, row) in (0u32..).zip(&COSINES) {
            let found: Vec<f32> = (0..5).map(|j| cosines.between(i, j)).collect();
            close(&found, row);
        }
    }

    #[test]
    fn long_rows_are_multiplied_whole_and_alike_both_ways() {
        let values: Vec<f32> = (0..3 * 37).map(|v| ((v * 7919) % 101) as f32 / 50.0 - 1.0).collect();
        let cosines = Cosines::of_features(&values, 37);
        let row = |i: usize| &values[i * 37..(i + 1) * 37];
        let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        for (i, j) in [(0, 1), (0, 2), (1, 2), (2, 2)] {
            let norms = (product(row(i), row(i)) * product(row(j), row(j))).sqrt();
            let found = cosines.between(i as u32, j as u32);
            close(&[found], &[product(row(i), row(j)) / norms]);
            assert_eq!(found.to_bits(), cosines.between(j as u32, i as u32).to_bits());
        }
    }

    #[test]
    fn lists_give_the_pairs_that_either_item_names() {
        const NONE: u32 = u32::MAX;
        let idx = [0, 1, NONE, 2, 0, NONE, 0, NONE, NONE, NONE, NONE, NONE];
        let cos = [1.0, 0.5, 0.0, 0.25, 0.75, 0.0, 0.125, 0.0, 0.0, 0.0, 0.0, 0.0];
        let cosines = Cosines::of_lists(&idx, &cos, 3);
        // Items 0 and 1 name each other with different values: each keeps its own.
        close(
            &cosines.sums(&[&[0], &[1], &[2], &[3]]),
            &[1.0, 0.5, 0.125, 0.0, 0.75, 1.0, 0.25, 0.0, 0.125, 0.25, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        );
        assert_eq!((cosines.between(1, 0), cosines.between(2, 1), cosines.between(3, 3)), (0.75, 0.25, 0.0));
    }

    #[test]
    fn the_best_are_above_0_and_equal_ones_go_by_number() {
        assert_eq!(best(&[0.5, -1.0, 0.75, 0.5, 0.0, 0.5], 3), [(2, 0.75), (0, 0.5), (3, 0.5)]);
        assert_eq!(best(&[0.0, -1.0, f32::NAN, 0.25], 3), [(3, 0.25)]);
        // More rows than a block has.
        let scores = |rows: Range<usize>| rows.flat_map(|r| [r as f32, 1.0, 0.0]).collect();
        let found = best_items(100, 3, 2, scores);
        assert_eq!(found.row(0).collect::<Vec<_>>(), [(1, 1.0)]);
        assert_eq!(found.row(1).collect::<Vec<_>>(), [(0, 1.0), (1, 1.0)]);
        assert_eq!(found.row(99).collect::<Vec<_>>(), [(0, 99.0), (1, 1.0)]);
    }
}
