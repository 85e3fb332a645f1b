//! Affine map, activation and row scale in one pass: `y = s ⊙ φ(x W + b)`.
//!
//! `x [n, p]`, `W [p, q]`, `b [q]`, `y [n, q]`; `φ` the identity or a leaky rectifier with a positive slope;
//! `s_t = 1/√deg_t` of a pattern's row, 0 for an empty row, or 1. Backward, with `h = s ⊙ φ'(y) ⊙ g`: `∂x = h
//! Wᵀ`, `∂W = xᵀ h`, `∂b = Σ_t h_t`. The sign of `y` is that of the argument of `φ`, so only `y` is saved.
//!
//! `x` may come in parts, `[x₁ x₂]`: `x W = x₁ W₁ + x₂ W₂` with the rows of `W` cut likewise; the parts are
//! never joined.

use std::array::from_fn;
use std::borrow::Cow;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::sync::Arc;

use burn::tensor::Tensor;
use rayon::prelude::*;

use super::gemm::{product, product_to};
use crate::autodiff::{Operator, apply2, apply3, apply4};
use crate::sparse::csr::Csr;
use crate::tensor::dense::Dense;
use crate::tensor::partition::{collect_rows, cut, uniform};

/// What follows an affine map.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Activation {
    /// Nothing.
    None,
    /// `max(v, slope · v)` with a slope in (0, 1).
    Leaky(f32),
}

/// `s ⊙ φ(x W + b)`: `x [n, p]`, `W [p, q]`, `b [q]`, result `[n, q]`; with `row_scale`, `s_t = 1/√deg_t` of
/// its row `t`.
///
/// # Panics
/// When the shapes do not fit.
pub fn linear(
    x: Tensor<2>,
    weight: Tensor<2>,
    bias: Tensor<1>,
    activation: Activation,
    row_scale: Option<&Arc<Csr>>,
) -> Tensor<2> {
    apply3(Linear { activation, row_scale: row_scale.cloned() }, x, weight, bias)
}

/// `φ([x₁ x₂] W + b)`: `x₁ [n, p₁]`, `x₂ [n, p₂]`, `W [p₁ + p₂, q]`.
///
/// # Panics
/// When the shapes do not fit.
pub fn linear_pair(
    x: [Tensor<2>; 2],
    weight: Tensor<2>,
    bias: Tensor<1>,
    activation: Activation,
) -> Tensor<2> {
    let [first, second] = x;
    apply4(Linear { activation, row_scale: None }, first, second, weight, bias)
}

/// `x W`: `x [n, p]`, `W [p, q]`.
///
/// # Panics
/// When the shapes do not fit.
pub fn matmul(x: Tensor<2>, weight: Tensor<2>) -> Tensor<2> {
    apply2(Linear { activation: Activation::None, row_scale: None }, x, weight)
}

/// Rows per block; fixed, so that sums do not depend on the number of threads.
const BLOCK: usize = 1024;

/// The operator without its tensors.
#[derive(Debug)]
struct Linear {
    activation: Activation,
    row_scale: Option<Arc<Csr>>,
}

/// The parts of `x`, `W`, and `y` if the activation needs its sign.
#[derive(Debug, Clone)]
struct SavedAffine<const P: usize> {
    x: [Dense; P],
    w: Dense,
    y: Option<Dense>,
}

/// Rows, and the output for the gradient of each part of `x` that needs one.
type Block<'a, const P: usize> = (Range<usize>, [Option<&'a mut [MaybeUninit<f32>]>; P]);

/// The sum of lists of one length, in order.
fn total<'a>(mut lists: impl Iterator<Item = &'a Vec<f32>>) -> Vec<f32> {
    let mut sum = lists.next().cloned().unwrap_or_default();
    lists.for_each(|list| sum.iter_mut().zip(list).for_each(|(s, v)| *s += v));
    sum
}

impl Linear {
    fn scale(&self, row: usize) -> f32 {
        match &self.row_scale {
            None => 1.0,
            Some(p) if p.degree(row) == 0 => 0.0,
            Some(p) => 1.0 / (p.degree(row) as f32).sqrt(),
        }
    }

    fn affine<const P: usize>(&self, x: [Dense; P], w: Dense, b: Option<&Dense>) -> (Dense, SavedAffine<P>) {
        let (n, q) = (x[0].rows(), w.cols());
        let width: usize = x.iter().map(Dense::cols).sum();
        assert!(x.iter().all(|x| x.rows() == n), "parts of as many rows");
        assert!(w.rows() == width, "weight is [{width}, {q}], not [{}, {q}]", w.rows());
        assert!(b.is_none_or(|b| b.data().len() == q), "bias is [{q}]");
        let block = |rows: Range<usize>, out: &mut [MaybeUninit<f32>]| {
            if let Some(b) = b {
                out.chunks_exact_mut(q).for_each(|row| {
                    row.write_copy_of_slice(b.data());
                });
            }
            let (mut add, mut w) = (b.is_some(), w.data());
            for x in &x {
                let p = x.cols();
                let part = &x.data()[rows.start * p..rows.end * p];
                // SAFETY: what is added to was written, by the bias or by the part before.
                unsafe {
                    product_to(rows.len(), q, p, out, add, (part, [p as isize, 1]), (w, [q as isize, 1]))
                };
                (add, w) = (true, &w[p * q..]);
            }
            // SAFETY: the products wrote every value.
            let out = unsafe { out.assume_init_mut() };
            if self.row_scale.is_none() && self.activation == Activation::None {
                return;
            }
            for (r, row) in rows.zip(out.chunks_exact_mut(q)) {
                let s = self.scale(r);
                match self.activation {
                    Activation::None => row.iter_mut().for_each(|v| *v *= s),
                    Activation::Leaky(slope) => row.iter_mut().for_each(|v| *v = s * v.max(slope * *v)),
                }
            }
        };
        // SAFETY: each block is written whole.
        let y = Dense::new(unsafe { collect_rows(q, &uniform(n, BLOCK), block) }, [n, q]);
        let saved = (self.activation != Activation::None).then(|| y.clone());
        (y, SavedAffine { x, w, y: saved })
    }

    /// `h` of the rows `rows`.
    fn inner<'a>(&self, rows: Range<usize>, y: Option<&Dense>, g: &'a Dense) -> Cow<'a, [f32]> {
        let q = g.cols();
        let span = rows.start * q..rows.end * q;
        let g = &g.data()[span.clone()];
        if self.row_scale.is_none() && self.activation == Activation::None {
            return Cow::Borrowed(g);
        }
        let mut h = g.to_vec();
        for (at, (r, h)) in rows.zip(h.chunks_exact_mut(q)).enumerate() {
            let s = self.scale(r);
            match (self.activation, y) {
                (Activation::Leaky(slope), Some(y)) => {
                    let y = &y.data()[span.start + at * q..][..q];
                    let low = s * slope;
                    h.iter_mut().zip(y).for_each(|(h, y)| *h *= if *y > 0.0 { s } else { low });
                }
                _ => h.iter_mut().for_each(|h| *h *= s),
            }
        }
        Cow::Owned(h)
    }

    /// Gradients of the parts of `x`, of `W` and of `b`, those that are needed.
    fn affine_backward<const P: usize>(
        &self,
        saved: SavedAffine<P>,
        g: &Dense,
        needs: [bool; P],
        [need_w, need_b]: [bool; 2],
    ) -> ([Option<Dense>; P], Option<Dense>, Option<Dense>) {
        let SavedAffine { x, w, y } = saved;
        let (n, q) = (g.rows(), g.cols());
        let widths: [usize; P] = from_fn(|i| x[i].cols());
        let first = |i: usize| widths[..i].iter().sum::<usize>() * q;
        let bounds = uniform(n, BLOCK);
        let mut dx: [Vec<f32>; P] = from_fn(|i| Vec::with_capacity(if needs[i] { n * widths[i] } else { 0 }));
        let mut blocks: Vec<Block<'_, P>> =
            bounds.windows(2).map(|b| (b[0]..b[1], from_fn(|_| None))).collect();
        for (i, dx) in dx.iter_mut().enumerate().filter(|(i, _)| needs[*i]) {
            let positions = cut(&mut dx.spare_capacity_mut()[..n * widths[i]], widths[i], &bounds);
            blocks.iter_mut().zip(positions).for_each(|((_, parts), (_, place))| parts[i] = Some(place));
        }
        let sums: Vec<(Vec<f32>, Vec<f32>)> = blocks
            .into_par_iter()
            .map(|(rows, positions)| {
                let (m, h) = (rows.len(), self.inner(rows.clone(), y.as_ref(), g));
                let mut dw = vec![0f32; if need_w { w.data().len() } else { 0 }];
                let mut db = vec![0f32; if need_b { q } else { 0 }];
                for (i, place) in positions.into_iter().enumerate() {
                    let p = widths[i];
                    if let Some(place) = place {
                        let w = &w.data()[first(i)..];
                        // SAFETY: nothing is added to the uninitialised output.
                        unsafe {
                            product_to(m, p, q, place, false, (&h, [q as isize, 1]), (w, [1, q as isize]))
                        };
                    }
                    if need_w {
                        let x = &x[i].data()[rows.start * p..rows.end * p];
                        let dw = &mut dw[first(i)..];
                        product(p, q, m, dw, false, (x, [1, p as isize]), (&h, [q as isize, 1]));
                    }
                }
                if need_b {
                    h.chunks_exact(q).for_each(|h| db.iter_mut().zip(h).for_each(|(d, h)| *d += h));
                }
                (dw, db)
            })
            .collect();
        let dw = need_w.then(|| Dense::new(total(sums.iter().map(|s| &s.0)), [w.rows(), q]));
        let db = need_b.then(|| Dense::new(total(sums.iter().map(|s| &s.1)), [q]));
        let mut at = 0..;
        let dx = dx.map(|mut dx| {
            let i = at.next().expect("the range has no end");
            needs[i].then(|| {
                // SAFETY: the blocks cover `n` rows, and each was written by its product.
                unsafe { dx.set_len(n * widths[i]) };
                Dense::new(dx, [n, widths[i]])
            })
        });
        (dx, dw, db)
    }
}

impl Operator<2> for Linear {
    type Saved = SavedAffine<1>;

    fn forward(&self, [x, w]: [Dense; 2], _: bool) -> (Dense, SavedAffine<1>) {
        self.affine([x], w, None)
    }

    fn backward(&self, saved: SavedAffine<1>, grad: Dense, [x, w]: [bool; 2]) -> [Option<Dense>; 2] {
        let ([dx], dw, _) = self.affine_backward(saved, &grad, [x], [w, false]);
        [dx, dw]
    }
}

impl Operator<3> for Linear {
    type Saved = SavedAffine<1>;

    fn forward(&self, [x, w, b]: [Dense; 3], _: bool) -> (Dense, SavedAffine<1>) {
        self.affine([x], w, Some(&b))
    }

    fn backward(&self, saved: SavedAffine<1>, grad: Dense, [x, w, b]: [bool; 3]) -> [Option<Dense>; 3] {
        let ([dx], dw, db) = self.affine_backward(saved, &grad, [x], [w, b]);
        [dx, dw, db]
    }
}

impl Operator<4> for Linear {
    type Saved = SavedAffine<2>;

    fn forward(&self, [x1, x2, w, b]: [Dense; 4], _: bool) -> (Dense, SavedAffine<2>) {
        self.affine([x1, x2], w, Some(&b))
    }

    fn backward(&self, saved: SavedAffine<2>, grad: Dense, [x1, x2, w, b]: [bool; 4]) -> [Option<Dense>; 4] {
        let ([dx1, dx2], dw, db) = self.affine_backward(saved, &grad, [x1, x2], [w, b]);
        [dx1, dx2, dw, db]
    }
}

#[cfg(feature = "gpu")]
mod gpu;
#[cfg(test)]
mod tests;
