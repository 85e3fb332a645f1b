//! Contrastive loss of two views, fused: similarities, exponentials and sums in blocks.
//!
//! For rows `a_r`, `c_r [b, d]`, two views of the same nodes, and temperature `τ`: `loss = 1/b Σ_r (log Σ_s
//! e^{a_r · c_s / τ} - a_r · c_r / τ)` (InfoNCE, van den Oord et al. 2018). With `P_rs` the softmax of row
//! `r`: `∂a_r = (Σ_s P_rs c_s - c_r) / (bτ)` and `∂c_s = (Σ_r P_rs a_r - a_s) / (bτ)`. Rows of length at most
//! 1 are assumed, so that `e^{(x - 1)/τ}` does not overflow.

use burn::tensor::Tensor;
use rayon::prelude::*;

use crate::autodiff::{Operator, apply2};
use crate::dense::gemm::product;
use crate::dense::pointwise::{dots, exp};
use crate::simd::f32x16::F32x16;
use crate::simd::isa::Isa;
use crate::simd::kernel::kernel;
use crate::simd::slices::sum16;
use crate::tensor::dense::Dense;

/// Rows per task.
const BLOCK: usize = 128;

/// The loss of views `a` and `c`, `[b, d]` each, of unit rows: `[1]`.
///
/// # Panics
/// When the shapes differ or are empty.
pub fn info_nce(a: Tensor<2>, c: Tensor<2>, temperature: f32) -> Tensor<1> {
    apply2(InfoNce { temperature }, a, c)
}

#[derive(Debug)]
struct InfoNce {
    temperature: f32,
}

/// Both views, `e^{(a_r · c_s - 1)/τ}` of each pair, and the sums over `s`.
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

impl Operator<2> for InfoNce {
    type Saved = SavedPairs;

    fn forward(&self, [a, c]: [Dense; 2], _: bool) -> (Dense, SavedPairs) {
        let (b, d) = (a.rows(), a.cols());
        assert!((b, d) == (c.rows(), c.cols()) && b * d > 0, "two views of one shape, not empty");
        let inverse = 1.0 / self.temperature;
        let (av, cv) = (a.data(), c.data());
        let mut pairs = vec![0f32; b * b];
        let rows: Vec<(f64, Vec<f32>)> = pairs
            .par_chunks_mut(BLOCK * b)
            .enumerate()
            .map(|(block, out)| {
                let (first, n) = (block * BLOCK, out.len() / b);
                product(n, b, d, out, false, (&av[first * d..], [d as isize, 1]), (cv, [1, d as isize]));
                let (mut loss, mut sums) = (0.0, Vec::with_capacity(n));
                let mut own = vec![0f32; n];
                dots(Isa::best(), &av[first * d..], &cv[first * d..], d, &mut own);
                for (same, row) in own.into_iter().zip(out.chunks_exact_mut(b)) {
                    let sum = exponentials(Isa::best(), row, inverse);
                    loss += f64::from(sum).ln() - f64::from((same - 1.0) * inverse);
                    sums.push(sum);
                }
                (loss, sums)
            })
            .collect();
        let loss: f64 = rows.iter().map(|(loss, _)| loss).sum::<f64>() / b as f64;
        let sums = rows.into_iter().flat_map(|(_, sums)| sums).collect();
        let pairs = Dense::new(pairs, [b, b]);
        (Dense::new(vec![loss as f32], [1]), SavedPairs { a, c, pairs, sums })
    }

    fn backward(&self, saved: SavedPairs, grad: Dense, needs: [bool; 2]) -> [Option<Dense>; 2] {
        let SavedPairs { a, c, pairs, sums } = saved;
        let (b, d) = (a.rows(), a.cols());
        let (av, cv, pairs) = (a.data(), c.data(), pairs.data());
        let scale = grad.data()[0] / (b as f32 * self.temperature);
        let wide = [d as isize, 1];
        let da = needs[0].then(|| {
            let mut da = vec![0f32; b * d];
            da.par_chunks_mut(BLOCK * d).enumerate().for_each(|(block, out)| {
                let (first, n) = (block * BLOCK, out.len() / d);
                product(n, d, b, out, false, (&pairs[first * b..], [b as isize, 1]), (cv, wide));
                for (r, out) in (first..).zip(out.chunks_exact_mut(d)) {
                    let (share, same) = (scale / sums[r], &cv[r * d..(r + 1) * d]);
                    out.iter_mut().zip(same).for_each(|(o, c)| *o = share * *o - scale * c);
                }
            });
            Dense::new(da, [b, d])
        });
        let dc = needs[1].then(|| {
            let mut shares = av.to_vec();
            shares.chunks_exact_mut(d).zip(&sums).for_each(|(row, s)| row.iter_mut().for_each(|v| *v /= s));
            let mut dc = vec![0f32; b * d];
            dc.par_chunks_mut(BLOCK * d).enumerate().for_each(|(block, out)| {
                let (first, n) = (block * BLOCK, out.len() / d);
                product(n, d, b, out, false, (&pairs[first..], [1, b as isize]), (&shares, wide));
                let same = &av[first * d..];
                out.iter_mut().zip(same).for_each(|(o, a)| *o = scale * (*o - a));
            });
            Dense::new(dc, [b, d])
        });
        [da, dc]
    }
}

#[cfg(feature = "gpu")]
mod gpu;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{gradient, read, same_bits_for_any_threads, tensor, values};

    fn unit(n: usize, d: usize, seed: u64) -> Vec<f32> {
        let mut v = values(n * d, seed);
        v.chunks_exact_mut(d).for_each(|row| {
            let norm = row.iter().map(|v| v * v).sum::<f32>().sqrt();
            row.iter_mut().for_each(|v| *v /= norm);
        });
        v
    }

    fn reference(a: &[f64], c: &[f64], d: usize, t: f64) -> Vec<f64> {
        let b = a.len() / d;
        let cos = |r: usize, s: usize| (0..d).map(|k| a[r * d + k] * c[s * d + k]).sum::<f64>();
        let row = |r: usize| (0..b).map(|s| (cos(r, s) / t).exp()).sum::<f64>().ln() - cos(r, r) / t;
        vec![(0..b).map(row).sum::<f64>() / b as f64]
    }

    #[test]
    fn the_loss_and_its_gradients_are_right() {
        for (b, d, t) in [(1, 3, 0.5), (5, 7, 0.2), (150, 6, 0.2)] {
            let (a, c) = (unit(b, d, 1), unit(b, d, 2));
            let leaves = [tensor(&a, [b, d], true).require_grad(), tensor(&c, [b, d], true).require_grad()];
            let loss = info_nce(leaves[0].clone(), leaves[1].clone(), t);
            let wide = |v: &[f32]| v.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
            let wanted = reference(&wide(&a), &wide(&c), d, f64::from(t))[0];
            let found = f64::from(loss.clone().inner().into_scalar::<f32>());
            assert!((found - wanted).abs() < 1e-5 * (1.0 + wanted), "{found} {wanted}");
            if b == 1 {
                continue;
            }
            // A weight that makes the gradients of single rows large enough to be seen.
            let weight = b as f32;
            let grads = (loss * weight).backward();
            for (which, leaf) in leaves.iter().enumerate() {
                let found = read(leaf.grad(&grads).unwrap());
                let loss_at = |at: &[Vec<f64>]| reference(&at[0], &at[1], d, f64::from(t));
                gradient(&[a.clone(), c.clone()], which, &found, &[weight], loss_at, 1e-3);
            }
        }
    }

    #[test]
    fn threads_do_not_change_bits() {
        let (a, c) = (unit(300, 16, 3), unit(300, 16, 4));
        same_bits_for_any_threads(|| {
            let leaves =
                [tensor(&a, [300, 16], true).require_grad(), tensor(&c, [300, 16], true).require_grad()];
            let loss = info_nce(leaves[0].clone(), leaves[1].clone(), 0.2);
            let mut all = vec![loss.clone().inner().into_scalar::<f32>()];
            let grads = loss.backward();
            all.extend(leaves.iter().flat_map(|l| read(l.grad(&grads).unwrap())));
            all
        });
    }
}
