//! Nearest neighbours by cosine, block by block: nothing `n × n` is held.

use rayon::prelude::*;

use crate::linear::product;
use crate::topk::{Best, offer};

/// The `k` nearest rows of every row, by falling cosine, ties by rising index; `u32::MAX` and 0 pad.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Knn {
    /// Neighbours a row.
    pub k: usize,
    /// Neighbours, `rows × k`.
    pub idx: Vec<u32>,
    /// Their cosines, `rows × k`.
    pub cos: Vec<f32>,
}

/// Rows a task, and candidates a chunk.
const ROWS: usize = 32;
const CHUNK: usize = 2048;

/// Nearest neighbours of the rows of `x [rows, dim]`. A row of zeros has cosine 0 to every row.
pub fn knn_cosine(x: &[f32], rows: usize, dim: usize, k: usize, include_self: bool) -> Knn {
    assert_eq!(x.len(), rows * dim, "x holds rows × dim values");
    let mut out = Knn { k, idx: vec![u32::MAX; rows * k], cos: vec![0.0; rows * k] };
    if k == 0 || dim == 0 {
        return out;
    }
    let mut unit = x.to_vec();
    unit.par_chunks_mut(dim).for_each(|row| {
        let norm = row.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>().sqrt();
        let scale = if norm > 0.0 { (1.0 / norm) as f32 } else { 0.0 };
        row.iter_mut().for_each(|v| *v *= scale);
    });
    let lists = out.idx.par_chunks_mut(ROWS * k).zip(out.cos.par_chunks_mut(ROWS * k)).enumerate();
    lists.for_each_init(
        || (vec![0f32; ROWS * CHUNK], vec![Best::new(k); ROWS]),
        |(buffer, best), (block, (idx, cos))| {
            let (from, here) = (block * ROWS, idx.len() / k);
            let own = &unit[from * dim..(from + here) * dim];
            for first in (0..rows).step_by(CHUNK) {
                let n = CHUNK.min(rows - first);
                let buffer = &mut buffer[..here * n];
                let others = &unit[first * dim..(first + n) * dim];
                product(here, n, dim, buffer, false, (own, [dim as isize, 1]), (others, [1, dim as isize]));
                for (r, (scores, best)) in buffer.chunks_exact_mut(n).zip(&mut *best).enumerate() {
                    let this = from + r;
                    if !include_self && (first..first + n).contains(&this) {
                        scores[this - first] = f32::NEG_INFINITY;
                    }
                    offer(best, scores, first as u32);
                }
            }
            for ((idx, cos), best) in idx.chunks_exact_mut(k).zip(cos.chunks_exact_mut(k)).zip(best) {
                best.finish(idx, cos);
                cos.iter_mut().filter(|c| **c == f32::NEG_INFINITY).for_each(|c| *c = 0.0);
            }
        },
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_match_a_full_sort() {
        let (rows, dim, k) = (2500usize, 12usize, 7usize);
        let mut x: Vec<f32> =
            (0..rows * dim).map(|n| ((n * 2_654_435_761) % 1_000_003) as f32 / 1e6 - 0.5).collect();
        x[5 * dim..6 * dim].fill(0.0);
        let copy = x[8 * dim..9 * dim].to_vec();
        x[2400 * dim..2401 * dim].copy_from_slice(&copy);
        let cosine = |a: usize, b: usize| -> f64 {
            let row = |r: usize| x[r * dim..(r + 1) * dim].iter().map(|v| f64::from(*v));
            let norm = |r: usize| row(r).map(|v| v * v).sum::<f64>().sqrt();
            let n = norm(a) * norm(b);
            if n > 0.0 { row(a).zip(row(b)).map(|(x, y)| x * y).sum::<f64>() / n } else { 0.0 }
        };
        let without = knn_cosine(&x, rows, dim, k, false);
        let with = knn_cosine(&x, rows, dim, k, true);
        assert_eq!(without.idx[8 * k], 2400);
        for r in (0..rows).step_by(83) {
            let mut all: Vec<f64> = (0..rows).filter(|&j| j != r).map(|j| cosine(r, j)).collect();
            all.sort_by(|a, b| b.total_cmp(a));
            for p in 0..k {
                let (j, c) = (without.idx[r * k + p] as usize, f64::from(without.cos[r * k + p]));
                assert_ne!(j, r);
                assert!((c - all[p]).abs() < 1e-5 && (c - cosine(r, j)).abs() < 1e-5);
            }
            assert_eq!(with.idx[r * k], r as u32);
        }
        // A row of zeros is equally far from all: the lowest indices.
        assert_eq!(without.idx[5 * k..6 * k], [0, 1, 2, 3, 4, 6, 7]);
        assert_eq!(
            knn_cosine(&x[..2 * dim], 2, dim, 3, false).idx,
            [1, u32::MAX, u32::MAX, 0, u32::MAX, u32::MAX]
        );
    }
}
