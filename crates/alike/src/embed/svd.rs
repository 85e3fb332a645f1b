//! Truncated singular value decomposition of a large sparse matrix: a randomised range finder with power
//! iterations (Halko, Martinsson, Tropp, SIAM Review 53, 2011, algorithms 4.4 and 5.1).
//!
//! Every sum is taken in a fixed order, so that the thread count changes no bit.

use alike_ops::Csr;
use rand::RngExt;
use rayon::prelude::*;

use crate::Result;
use crate::config::Stream;
use crate::linalg::eigen;
use crate::progress::Progress;

/// Directions more than are asked for, dropped at the end.
const SPARE: usize = 16;
/// Multiplications by `Xᵀ X`.
const POWERS: usize = 4;
/// Rows that one task sums over.
const BLOCK: usize = 4096;

/// A sparse matrix `X [n, m]`.
pub(crate) struct SparseRows {
    pattern: Csr,
    values: Vec<f32>,
}

impl SparseRows {
    /// From rows of (column, value), columns below `m`.
    pub(crate) fn new(rows: &[Vec<(u32, f32)>], m: usize) -> Result<Self> {
        let columns: Vec<Vec<u32>> =
            rows.iter().map(|row| row.iter().map(|entry| entry.0).collect()).collect();
        let values = rows.iter().flatten().map(|entry| entry.1).collect();
        Ok(Self { pattern: Csr::from_rows(m, &columns)?, values })
    }

    /// `X` times a dense `[m, l]`: `[n, l]`.
    fn times(&self, dense: &[f32], l: usize) -> Vec<f32> {
        let entry = |e: usize| (self.pattern.idx()[e], self.values[e]);
        row_sums(self.pattern.ptr(), entry, dense, l)
    }

    /// `Xᵀ` times a dense `[n, l]`: `[m, l]`.
    fn transposed_times(&self, dense: &[f32], l: usize) -> Vec<f32> {
        let transposed = self.pattern.transposed();
        let entry = |e: usize| (transposed.rows[e], self.values[transposed.edges[e] as usize]);
        row_sums(&transposed.ptr, entry, dense, l)
    }
}

/// For each row of a sparse matrix, the sum of the rows of `dense [_, l]` that its entries name, each times
/// its value, in the order of the entries. Row `r` has the entries `ptr[r]..ptr[r + 1]`.
fn row_sums(ptr: &[u32], entry: impl Fn(usize) -> (u32, f32) + Sync, dense: &[f32], l: usize) -> Vec<f32> {
    let mut out = vec![0f32; (ptr.len() - 1) * l];
    out.par_chunks_mut(l).zip(ptr.par_windows(2)).for_each(|(out, span)| {
        for e in span[0] as usize..span[1] as usize {
            let (row, value) = entry(e);
            let row = &dense[row as usize * l..][..l];
            out.iter_mut().zip(row).for_each(|(o, v)| *o += value * v);
        }
    });
    out
}

/// The first right singular vectors of `X`, `[m, k]` with `k ≤ dim` as the rank allows; column signs are
/// fixed by their largest entry. `progress` can end the work with [`Error::Interrupted`].
pub(crate) fn right_vectors(x: &SparseRows, dim: usize, progress: &dyn Progress) -> Result<Vec<f32>> {
    let (n, m) = (x.pattern.rows(), x.pattern.cols());
    let l = (dim + SPARE).min(n).min(m);
    let mut rng = Stream::Init.rng(0, 0);
    let mut z: Vec<f32> = (0..m * l).map(|_| rng.random_range(-1.0..1.0)).collect();
    let mut width = l;
    let rounds = progress.phase("learning the words of texts", POWERS)?;
    for _ in 0..POWERS {
        (z, width) = orthonormal(&z, width)?;
        z = x.transposed_times(&x.times(&z, width), width);
        rounds.add(1)?;
    }
    (z, width) = orthonormal(&z, width)?;
    // X restricted to the subspace: the eigenvectors of (X Z)ᵀ (X Z) turn Z onto the singular vectors.
    let restricted = x.times(&z, width);
    let (values, vectors) = eigen(&gram(&restricted, width), width)?;
    let kept = values.iter().take(dim).take_while(|&&v| v > 1e-9 * values[0]).count().max(1);
    let mut out = turn(&z, width, &vectors, &vec![1.0; kept]);
    for c in 0..kept {
        let column = out.iter().skip(c).step_by(kept);
        let largest = column.copied().fold(0f32, |best, v| if v.abs() > best.abs() { v } else { best });
        if largest < 0.0 {
            out.iter_mut().skip(c).step_by(kept).for_each(|v| *v = -*v);
        }
    }
    Ok(out)
}

/// An orthonormal basis of the columns of `a [r, l]`, and its width, less than `l` where columns depend on
/// each other. The second round removes what rounding left in the first.
fn orthonormal(a: &[f32], l: usize) -> Result<(Vec<f32>, usize)> {
    let round = |a: &[f32], l: usize| {
        let (values, vectors) = eigen(&gram(a, l), l)?;
        let kept = values.iter().take_while(|&&v| v > 1e-11 * values[0]).count().max(1);
        let scale: Vec<f64> = values[..kept].iter().map(|v| 1.0 / v.max(f64::MIN_POSITIVE).sqrt()).collect();
        Ok((turn(a, l, &vectors, &scale), kept))
    };
    let (first, width) = round(a, l)?;
    round(&first, width)
}

/// `aᵀ a` of `a [r, l]`, in f64.
fn gram(a: &[f32], l: usize) -> Vec<f64> {
    let blocks: Vec<Vec<f64>> = a
        .par_chunks(BLOCK * l)
        .map(|block| {
            let mut sum = vec![0f64; l * l];
            for row in block.chunks_exact(l) {
                for (i, &v) in row.iter().enumerate() {
                    let v = f64::from(v);
                    sum[i * l..=i * l + i].iter_mut().zip(row).for_each(|(s, &w)| *s += v * f64::from(w));
                }
            }
            sum
        })
        .collect();
    let mut sum = vec![0f64; l * l];
    for block in blocks {
        sum.iter_mut().zip(block).for_each(|(s, v)| *s += v);
    }
    for i in 0..l {
        for j in 0..i {
            sum[j * l + i] = sum[i * l + j];
        }
    }
    sum
}

/// `a [r, l]` times the first columns of `vectors [l, l]`, each scaled: `[r, scale.len()]`.
fn turn(a: &[f32], l: usize, vectors: &[f64], scale: &[f64]) -> Vec<f32> {
    let k = scale.len();
    let mut out = vec![0f32; a.len() / l * k];
    out.par_chunks_mut(k).zip(a.par_chunks(l)).for_each(|(out, row)| {
        let mut sum = vec![0f64; k];
        for (i, &v) in row.iter().enumerate() {
            let v = f64::from(v);
            sum.iter_mut().zip(&vectors[i * l..]).for_each(|(s, w)| *s += v * w);
        }
        for ((out, sum), scale) in out.iter_mut().zip(sum).zip(scale) {
            *out = (sum * scale) as f32;
        }
    });
    out
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::Error;

    /// A 60 × 40 matrix `U S Vᵀ` with known singular values, all entries stored.
    fn known() -> (SparseRows, Vec<f64>, Vec<f32>) {
        let (n, m, k) = (60, 40, 5);
        let mut rng = Stream::Init.rng(3, 1);
        let mut draw = |len: usize| (0..len).map(|_| rng.random_range(-1.0f32..1.0)).collect::<Vec<_>>();
        let (u, v) = (draw(n * k), draw(m * k));
        let ((u, _), (v, _)) = (orthonormal(&u, k).unwrap(), orthonormal(&v, k).unwrap());
        let s = [9.0, 5.0, 3.0, 1.0, 0.5];
        let entry = |i: usize, j: usize| -> f64 {
            (0..k).map(|c| f64::from(u[i * k + c]) * s[c] * f64::from(v[j * k + c])).sum()
        };
        let rows: Vec<Vec<(u32, f32)>> =
            (0..n).map(|i| (0..m).map(|j| (j as u32, entry(i, j) as f32)).collect()).collect();
        (SparseRows::new(&rows, m).unwrap(), s.to_vec(), v)
    }

    #[test]
    fn the_known_vectors_are_found() {
        let (x, s, v) = known();
        let found = right_vectors(&x, 4, &()).unwrap();
        assert_eq!(found.len(), 40 * 4);
        for c in 0..4 {
            let dot: f32 = (0..40).map(|j| found[j * 4 + c] * v[j * 5 + c]).sum();
            assert!(dot.abs() > 0.9999, "vector {c} of value {}: {dot}", s[c]);
        }
        // No more directions than the matrix has.
        let all = right_vectors(&x, 30, &()).unwrap();
        assert_eq!(all.len(), 40 * 5);
    }

    #[test]
    fn one_thread_and_three_give_the_same_bits() {
        let (x, ..) = known();
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| right_vectors(&x, 4, &()).unwrap())
        };
        assert_eq!(with(1), with(3));
    }

    #[test]
    fn a_stop_ends_the_work() {
        let (x, ..) = known();
        let stopped = right_vectors(&x, 4, &AtomicBool::new(true));
        assert!(matches!(stopped, Err(Error::Interrupted)));
    }
}
