//! Logarithms of sums of exponentials over pairs of rows, fused: inner products, exponentials and sums in
//! blocks; and the losses that are made of them.
//!
//! For rows `a_r [b, d]` and `c_s [k, d]` and a temperature `τ`: `y_r = log Σ_s e^{a_r · c_s / τ}`. With `P_rs`
//! the softmax of row `r`: `∂a_r = g_r/τ Σ_s P_rs c_s` and `∂c_s = 1/τ Σ_r g_r P_rs a_r`. Rows of length at
//! most 1 are assumed, so that `e^{(x - 1)/τ}` does not overflow.

use burn::tensor::Tensor;
use rayon::prelude::*;

use crate::autodiff::{Operator, apply2};
use crate::dense::gemm::product;
use crate::dense::pointwise::{exp, multiply};
use crate::simd::f32x16::F32x16;
use crate::simd::isa::Isa;
use crate::simd::kernel::kernel;
use crate::simd::slices::sum16;
use crate::tensor::dense::Dense;

/// Rows per task.
const BLOCK: usize = 128;

/// `y_r = log Σ_s e^{a_r · c_s / τ}` for unit rows `a [b, d]` and `c [k, d]`: `[b, 1]`. With `others` a row of
/// `a` is not set against the row of `c` of the same number: for pairs among the rows of one matrix.
///
/// # Panics
/// When the widths differ or there are no pairs.
pub fn log_sum_exp(a: Tensor<2>, c: Tensor<2>, temperature: f32, others: bool) -> Tensor<2> {
    apply2(LogSumExp { temperature, others }, a, c)
}

/// `1/b Σ_r (log Σ_s e^{a_r · c_s / τ} - a_r · c_r / τ)` of two views `a` and `c`, `[b, d]` each, of unit rows
/// (InfoNCE, van den Oord et al. 2018): `[1]`.
///
/// # Panics
/// When the shapes differ or are empty.
pub fn info_nce(a: Tensor<2>, c: Tensor<2>, temperature: f32) -> Tensor<1> {
    let rows = a.dims()[0] as f32;
    let same = multiply(a.clone(), c.clone()).sum() / (rows * temperature);
    log_sum_exp(a, c, temperature, false).mean() - same
}

/// `log (1/(b(b-1)) Σ_{r ≠ s} e^{-t ‖x_r - x_s‖²})` of unit rows `[b, d]`, at least two: how unevenly they lie
/// on the sphere (Wang & Isola, ICML 2020): `[1]`.
///
/// # Panics
/// When there is one row.
pub fn uniformity(x: Tensor<2>, t: f32) -> Tensor<1> {
    let rows = x.dims()[0] as f32;
    assert!(rows > 1.0, "pairs of rows");
    // ‖x_r - x_s‖² = 2 - 2 x_r · x_s.
    let each = log_sum_exp(x.clone(), x, 1.0 / (2.0 * t), true) - 2.0 * t;
    (each.exp().sum() / (rows * (rows - 1.0))).log()
}

#[derive(Debug)]
struct LogSumExp {
    temperature: f32,
    others: bool,
}

/// Both matrices, `e^{(a_r · c_s - 1)/τ}` of each pair, and the sums over `s`.
#[derive(Debug, Clone)]
struct SavedPairs {
    a: Dense,
    c: Dense,
    pairs: Dense,
    sums: Vec<f32>,
}

#[inline(always)]
fn exponentials_body<V: F32x16>(row: &mut [f32], inverse: f32) -> f32 {
    let (chunks, rest) = row.as_chunks_mut::<16>();
    let (mut lanes, mut sum) = ([0f32; 16], 0.0);
    for chunk in chunks {
        for t in 0..16 {
            chunk[t] = exp::<V>((chunk[t] - 1.0) * inverse);
            lanes[t] += chunk[t];
        }
    }
    for v in rest {
        *v = exp::<V>((*v - 1.0) * inverse);
        sum += *v;
    }
    sum16(lanes) + sum
}

kernel! {
    /// `v = e^{(v - 1) · inverse}` in place; returns the sum.
    fn exponentials = exponentials_body(row: &mut [f32], inverse: f32) -> f32
}

impl Operator<2> for LogSumExp {
    type Saved = SavedPairs;

    fn forward(&self, [a, c]: [Dense; 2], _: bool) -> (Dense, SavedPairs) {
        let (b, k, d) = (a.rows(), c.rows(), a.cols());
        assert!(d == c.cols() && b * k * d > 0, "rows of one width, not empty");
        assert!(!self.others || b == k, "pairs among the rows of one matrix");
        let inverse = 1.0 / self.temperature;
        let (av, cv) = (a.data(), c.data());
        let mut pairs = vec![0f32; b * k];
        let sums: Vec<Vec<f32>> = pairs
            .par_chunks_mut(BLOCK * k)
            .enumerate()
            .map(|(block, out)| {
                let (first, n) = (block * BLOCK, out.len() / k);
                product(n, k, d, out, false, (&av[first * d..], [d as isize, 1]), (cv, [1, d as isize]));
                let sum = |(r, row): (usize, &mut [f32])| {
                    if self.others {
                        row[r] = f32::NEG_INFINITY;
                    }
                    exponentials(Isa::best(), row, inverse)
                };
                (first..).zip(out.chunks_exact_mut(k)).map(sum).collect()
            })
            .collect();
        let sums = sums.concat();
        let logs = sums.iter().map(|sum| sum.ln() + inverse).collect();
        let pairs = Dense::new(pairs, [b, k]);
        (Dense::new(logs, [b, 1]), SavedPairs { a, c, pairs, sums })
    }

    fn backward(&self, saved: SavedPairs, grad: Dense, needs: [bool; 2]) -> [Option<Dense>; 2] {
        let SavedPairs { a, c, pairs, sums } = saved;
        let (b, k, d) = (a.rows(), c.rows(), a.cols());
        let (cv, pairs) = (c.data(), pairs.data());
        let wide = [d as isize, 1];
        // A row whose exponentials are all zero moves nothing.
        let share = |(g, sum): (&f32, &f32)| if *sum > 0.0 { g / (sum * self.temperature) } else { 0.0 };
        let shares: Vec<f32> = grad.data().iter().zip(&sums).map(share).collect();
        let da = needs[0].then(|| {
            let mut da = vec![0f32; b * d];
            da.par_chunks_mut(BLOCK * d).enumerate().for_each(|(block, out)| {
                let (first, n) = (block * BLOCK, out.len() / d);
                product(n, d, k, out, false, (&pairs[first * k..], [k as isize, 1]), (cv, wide));
                for (share, row) in shares[first..].iter().zip(out.chunks_exact_mut(d)) {
                    row.iter_mut().for_each(|v| *v *= share);
                }
            });
            Dense::new(da, [b, d])
        });
        let dc = needs[1].then(|| {
            let mut weighted = a.data().to_vec();
            for (share, row) in shares.iter().zip(weighted.chunks_exact_mut(d)) {
                row.iter_mut().for_each(|v| *v *= share);
            }
            let mut dc = vec![0f32; k * d];
            dc.par_chunks_mut(BLOCK * d).enumerate().for_each(|(block, out)| {
                let (first, n) = (block * BLOCK, out.len() / d);
                product(n, d, b, out, false, (&pairs[first..], [1, k as isize]), (&weighted, wide));
            });
            Dense::new(dc, [k, d])
        });
        [da, dc]
    }
}

#[cfg(feature = "gpu")]
mod gpu;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{close, gradient, read, same_bits_for_any_threads, tensor, values};

    fn unit(n: usize, d: usize, seed: u64) -> Vec<f32> {
        let mut v = values(n * d, seed);
        v.chunks_exact_mut(d).for_each(|row| {
            let norm = row.iter().map(|v| v * v).sum::<f32>().sqrt();
            row.iter_mut().for_each(|v| *v /= norm);
        });
        v
    }

    /// The logarithms, of all pairs or of those with another row.
    fn logs(a: &[f64], c: &[f64], d: usize, t: f64, others: bool) -> Vec<f64> {
        let cos = |r: usize, s: usize| (0..d).map(|k| a[r * d + k] * c[s * d + k]).sum::<f64>();
        let sum = |r: usize| -> f64 {
            (0..c.len() / d).filter(|&s| !others || s != r).map(|s| (cos(r, s) / t).exp()).sum()
        };
        (0..a.len() / d).map(|r| sum(r).ln()).collect()
    }

    #[test]
    fn logarithms_and_their_gradients_are_right() {
        for (b, k, d, t, others) in
            [(1, 4, 3, 0.5, false), (5, 7, 7, 0.2, false), (150, 21, 6, 0.2, false), (140, 140, 5, 0.3, true)]
        {
            let (a, c) = (unit(b, d, 1), unit(k, d, 2));
            let weights = values(b, 3);
            let leaves = [tensor(&a, [b, d], true).require_grad(), tensor(&c, [k, d], true).require_grad()];
            let y = log_sum_exp(leaves[0].clone(), leaves[1].clone(), t, others);
            let wide = |v: &[f32]| v.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
            let wanted: Vec<f32> =
                logs(&wide(&a), &wide(&c), d, f64::from(t), others).iter().map(|&v| v as f32).collect();
            close(&read(y.clone().inner()), &wanted, 1e-5);
            let grads = (y * tensor(&weights, [b, 1], true)).sum().backward();
            for (which, leaf) in leaves.iter().enumerate() {
                let found = read(leaf.grad(&grads).unwrap());
                let at = |at: &[Vec<f64>]| logs(&at[0], &at[1], d, f64::from(t), others);
                gradient(&[a.clone(), c.clone()], which, &found, &weights, at, 1e-3);
            }
        }
    }

    #[test]
    fn losses_are_their_formulas() {
        let (b, d) = (40, 6);
        let (a, c) = (unit(b, d, 1), unit(b, d, 2));
        let cos = |x: &[f32], y: &[f32], r: usize, s: usize| -> f64 {
            (0..d).map(|k| f64::from(x[r * d + k]) * f64::from(y[s * d + k])).sum()
        };
        let t = |x: &[f32]| tensor(x, [b, d], false);
        let found = f64::from(info_nce(t(&a), t(&c), 0.2).into_scalar::<f32>());
        let row = |r: usize| {
            (0..b).map(|s| (cos(&a, &c, r, s) / 0.2).exp()).sum::<f64>().ln() - cos(&a, &c, r, r) / 0.2
        };
        let wanted = (0..b).map(row).sum::<f64>() / b as f64;
        assert!((found - wanted).abs() < 1e-5, "{found} {wanted}");
        let found = f64::from(uniformity(t(&a), 2.0).into_scalar::<f32>());
        let apart = |r: usize, s: usize| -> f64 {
            (0..d).map(|k| (f64::from(a[r * d + k]) - f64::from(a[s * d + k])).powi(2)).sum()
        };
        let pairs = (0..b).flat_map(|r| (0..b).filter(move |&s| s != r).map(move |s| (r, s)));
        let sum: f64 = pairs.map(|(r, s)| (-2.0 * apart(r, s)).exp()).sum();
        let wanted = (sum / (b * (b - 1)) as f64).ln();
        assert!((found - wanted).abs() < 1e-5, "{found} {wanted}");
    }

    #[test]
    fn what_is_far_away_moves_nothing_and_is_no_nan() {
        let a = tensor(&[1.0, 0.0], [1, 2], true).require_grad();
        let y = log_sum_exp(a.clone(), tensor(&[-1.0, 0.0], [1, 2], true), 0.01, false);
        let grads = y.sum().backward();
        assert_eq!(read(a.grad(&grads).unwrap()), [0.0, 0.0]);
    }

    #[test]
    fn threads_do_not_change_bits() {
        let (a, c) = (unit(300, 16, 3), unit(300, 16, 4));
        same_bits_for_any_threads(|| {
            let leaves =
                [tensor(&a, [300, 16], true).require_grad(), tensor(&c, [300, 16], true).require_grad()];
            let loss =
                info_nce(leaves[0].clone(), leaves[1].clone(), 0.2) + uniformity(leaves[0].clone(), 2.0);
            let mut all = vec![loss.clone().inner().into_scalar::<f32>()];
            let grads = loss.backward();
            all.extend(leaves.iter().flat_map(|l| read(l.grad(&grads).unwrap())));
            all
        });
    }
}
