//! Row-wise and element-wise maps in one parallel pass each way: unit rows, activations, products.
//!
//! Exponentials are computed sixteen at a time by a polynomial (two units in the last place); block
//! boundaries are fixed, so that the bits do not depend on the number of threads.

use std::mem::MaybeUninit;

use burn::tensor::Tensor;
use rayon::prelude::*;

use crate::autodiff::{Operator, apply1, apply2};
use crate::simd::f32x16::F32x16;
use crate::simd::isa::Isa;
use crate::simd::kernel::kernel;
use crate::simd::slices::{dot, mul_add};
use crate::tensor::dense::Dense;
use crate::tensor::partition::{collect_rows, for_rows, uniform};

/// Output that is not initialised yet.
type Uninit = [MaybeUninit<f32>];

/// Values per task.
const BLOCK: usize = 16 * 1024;

/// Rows of `x [n, d]` scaled to length 1; rows shorter than 1e-12 become 0 and pass no gradient.
///
/// Gradient: `(g - y (y · g)) / ‖x‖`.
pub fn unit_rows(x: Tensor<2>) -> Tensor<2> {
    apply1(UnitRows, x)
}

/// `max(x, slope · x)` with a slope in (0, 1).
pub fn leaky(x: Tensor<2>, slope: f32) -> Tensor<2> {
    apply1(Map(Curve::Leaky(slope)), x)
}

/// `1 / (1 + e⁻ˣ)`.
pub fn sigmoid(x: Tensor<2>) -> Tensor<2> {
    apply1(Map(Curve::Sigmoid), x)
}

/// Hyperbolic tangent.
pub fn tanh(x: Tensor<2>) -> Tensor<2> {
    apply1(Map(Curve::Tanh), x)
}

/// `x ⊙ y`, of one shape.
///
/// # Panics
/// When the shapes differ.
pub fn multiply(x: Tensor<2>, y: Tensor<2>) -> Tensor<2> {
    apply2(Multiply, x, y)
}

/// `x + y`, of one shape.
///
/// # Panics
/// When the shapes differ.
pub fn add(x: Tensor<2>, y: Tensor<2>) -> Tensor<2> {
    apply2(Add, x, y)
}

/// `x + b` with the row `b [1, d]` added to every row of `x [n, d]`. Gradient to `b`: the sum over rows.
///
/// # Panics
/// When the widths differ.
pub fn add_row(x: Tensor<2>, b: Tensor<2>) -> Tensor<2> {
    apply2(AddRow, x, b)
}

/// Row `r` of `x [n, d]` times `s_r`, `s [n, 1]`.
///
/// Gradients: `s_r g_r`, and `g_r · x_r`.
///
/// # Panics
/// When `s` does not have one value per row of `x`.
pub fn scale_rows(x: Tensor<2>, s: Tensor<2>) -> Tensor<2> {
    apply2(ScaleRows, x, s)
}

/// `Σ x²` over all values, `[1]`. Gradient: `2 x g`.
pub fn sum_squares(x: Tensor<2>) -> Tensor<1> {
    apply1(SumSquares, x)
}

/// `eˣ`, 0 below -87 and at most e⁸⁸: `2ᵏ p(r)` with `x = k ln 2 + r`, `|r| ≤ ln 2 / 2`, and `p` the
/// polynomial of degree 6 of the Cephes library.
#[inline(always)]
pub(crate) fn exp<V: F32x16>(x: f32) -> f32 {
    /// Adding it leaves the nearest whole number in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let x = if x < 88.0 { x } else { 88.0 };
    let low = x < -87.0;
    let x = if low { 0.0 } else { x };
    let shifted = mul_add::<V>(x, std::f32::consts::LOG2_E, ROUND);
    let k = shifted - ROUND;
    let r = mul_add::<V>(k, 2.121_944_4e-4, mul_add::<V>(k, -0.693_359_4, x));
    let mut p = mul_add::<V>(1.987_569_1e-4, r, 1.398_199_9e-3);
    p = mul_add::<V>(p, r, 8.333_452e-3);
    p = mul_add::<V>(p, r, 4.166_579_6e-2);
    p = mul_add::<V>(p, r, 1.666_666_5e-1);
    p = mul_add::<V>(p, r, 0.5);
    p = mul_add::<V>(p, r * r, r) + 1.0;
    let power = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    if low { 0.0 } else { p * power }
}

#[inline(always)]
fn sigmoid_of<V: F32x16>(x: f32) -> f32 {
    1.0 / (1.0 + exp::<V>(-x))
}

#[inline(always)]
fn tanh_of<V: F32x16>(x: f32) -> f32 {
    // Near 0 the difference below would lose digits: the series to x¹¹.
    let s = x * x;
    let mut p = mul_add::<V>(-0.008_863_236, s, 0.021_869_488);
    p = mul_add::<V>(p, s, -0.053_968_254);
    p = mul_add::<V>(p, s, 0.133_333_33);
    p = mul_add::<V>(p, s, -0.333_333_34);
    let near = mul_add::<V>(p * s, x, x);
    let far = 1.0 - 2.0 * sigmoid_of::<V>(-2.0 * x);
    if s < 0.09 { near } else { far }
}

/// An activation; its slope is a function of its value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Curve {
    Leaky(f32),
    Sigmoid,
    Tanh,
}

#[inline(always)]
fn curve_body<V: F32x16>(curve: Curve, x: &[f32], y: &mut Uninit) {
    match curve {
        Curve::Leaky(slope) => {
            for (y, x) in y.iter_mut().zip(x) {
                y.write(x.max(slope * x));
            }
        }
        Curve::Sigmoid => {
            for (y, x) in y.iter_mut().zip(x) {
                y.write(sigmoid_of::<V>(*x));
            }
        }
        Curve::Tanh => {
            for (y, x) in y.iter_mut().zip(x) {
                y.write(tanh_of::<V>(*x));
            }
        }
    }
}

kernel! {
    /// `y = φ(x)`.
    fn curve_of = curve_body(curve: Curve, x: &[f32], y: &mut Uninit)
}

#[inline(always)]
fn slope_body<V: F32x16>(curve: Curve, y: &[f32], g: &[f32], out: &mut Uninit) {
    for ((o, y), g) in out.iter_mut().zip(y).zip(g) {
        let slope = match curve {
            Curve::Leaky(slope) => {
                if *y > 0.0 {
                    1.0
                } else {
                    slope
                }
            }
            Curve::Sigmoid => y * (1.0 - y),
            Curve::Tanh => mul_add::<V>(-y, *y, 1.0),
        };
        o.write(g * slope);
    }
}

kernel! {
    /// `out = g ⊙ φ'`, of the value `y = φ(x)`.
    fn slope_of = slope_body(curve: Curve, y: &[f32], g: &[f32], out: &mut Uninit)
}

/// New values of the shape of `like`, a block of rows at a time: `f(output of the block, offset of its first
/// value)`.
///
/// # Safety
/// `f` must write every value of its output.
unsafe fn rows_of(like: &Dense, f: impl Fn(&mut Uninit, usize) + Sync) -> Dense {
    let (n, d) = (like.rows(), like.cols());
    let bounds = uniform(n, BLOCK / d.max(1));
    // SAFETY: as the caller promises.
    let values = unsafe { collect_rows(d, &bounds, |rows, part| f(part, rows.start * d)) };
    Dense::new(values, [n, d])
}

#[derive(Debug)]
struct Map(Curve);

impl Operator<1> for Map {
    type Saved = Dense;

    fn forward(&self, [x]: [Dense; 1], _: bool) -> (Dense, Dense) {
        // SAFETY: the kernel writes one value for each of `x`.
        let y = unsafe {
            rows_of(&x, |out, at| curve_of(Isa::best(), self.0, &x.data()[at..at + out.len()], out))
        };
        (y.clone(), y)
    }

    fn backward(&self, y: Dense, grad: Dense, [needed]: [bool; 1]) -> [Option<Dense>; 1] {
        let g = grad.data();
        let slope = |out: &mut Uninit, at: usize| {
            let span = at..at + out.len();
            slope_of(Isa::best(), self.0, &y.data()[span.clone()], &g[span], out);
        };
        // SAFETY: the kernel writes one value for each of `y`.
        [needed.then(|| unsafe { rows_of(&y, slope) })]
    }
}

#[derive(Debug)]
struct Multiply;

impl Operator<2> for Multiply {
    type Saved = [Dense; 2];

    fn forward(&self, [x, y]: [Dense; 2], _: bool) -> (Dense, Self::Saved) {
        assert_eq!((x.rows(), x.cols()), (y.rows(), y.cols()), "factors of one shape");
        (product_of(&x, &y), [x, y])
    }

    fn backward(&self, [x, y]: Self::Saved, grad: Dense, needs: [bool; 2]) -> [Option<Dense>; 2] {
        [needs[0].then(|| product_of(&y, &grad)), needs[1].then(|| product_of(&x, &grad))]
    }
}

fn product_of(a: &Dense, b: &Dense) -> Dense {
    pairwise(a, b, |a, b| a * b)
}

fn pairwise(a: &Dense, b: &Dense, f: impl Fn(f32, f32) -> f32 + Sync) -> Dense {
    let block = |out: &mut Uninit, at: usize| {
        let (a, b) = (&a.data()[at..at + out.len()], &b.data()[at..at + out.len()]);
        for ((o, a), b) in out.iter_mut().zip(a).zip(b) {
            o.write(f(*a, *b));
        }
    };
    // SAFETY: `a` and `b` have one value for each of the output.
    unsafe { rows_of(a, block) }
}

#[derive(Debug)]
struct Add;

impl Operator<2> for Add {
    type Saved = ();

    fn forward(&self, [x, y]: [Dense; 2], _: bool) -> (Dense, ()) {
        assert_eq!((x.rows(), x.cols()), (y.rows(), y.cols()), "terms of one shape");
        let sum = pairwise(&x, &y, |x, y| x + y);
        (sum, ())
    }

    fn backward(&self, (): (), grad: Dense, needs: [bool; 2]) -> [Option<Dense>; 2] {
        needs.map(|needed| needed.then(|| grad.clone()))
    }
}

#[derive(Debug)]
struct AddRow;

impl Operator<2> for AddRow {
    type Saved = ();

    fn forward(&self, [x, b]: [Dense; 2], _: bool) -> (Dense, ()) {
        assert_eq!((b.rows(), b.cols()), (1, x.cols()), "one row as wide as the others");
        let d = x.cols().max(1);
        let block = |out: &mut Uninit, at: usize| {
            for (out, x) in out.chunks_exact_mut(d).zip(x.data()[at..].chunks_exact(d)) {
                for ((o, x), b) in out.iter_mut().zip(x).zip(b.data()) {
                    o.write(x + b);
                }
            }
        };
        // SAFETY: blocks are whole rows, each as wide as `b`.
        let sum = unsafe { rows_of(&x, block) };
        (sum, ())
    }

    fn backward(&self, (): (), grad: Dense, needs: [bool; 2]) -> [Option<Dense>; 2] {
        let db = needs[1].then(|| {
            let d = grad.cols().max(1);
            let blocks: Vec<Vec<f32>> = grad
                .data()
                .par_chunks((BLOCK / d).max(1) * d)
                .map(|block| {
                    let mut sum = vec![0f32; d];
                    for row in block.chunks_exact(d) {
                        sum.iter_mut().zip(row).for_each(|(s, g)| *s += g);
                    }
                    sum
                })
                .collect();
            let mut sum = vec![0f32; grad.cols()];
            for block in &blocks {
                sum.iter_mut().zip(block).for_each(|(s, b)| *s += b);
            }
            Dense::new(sum, [1, grad.cols()])
        });
        [needs[0].then(|| grad.clone()), db]
    }
}

#[derive(Debug)]
struct ScaleRows;

impl Operator<2> for ScaleRows {
    type Saved = [Dense; 2];

    fn forward(&self, [x, s]: [Dense; 2], _: bool) -> (Dense, Self::Saved) {
        assert_eq!((s.rows(), s.cols()), (x.rows(), 1), "one factor per row");
        (scaled(&x, &s), [x, s])
    }

    fn backward(&self, [x, s]: Self::Saved, grad: Dense, needs: [bool; 2]) -> [Option<Dense>; 2] {
        let ds = needs[1].then(|| {
            let d = x.cols();
            let bounds = uniform(x.rows(), BLOCK / d.max(1));
            let mut out = vec![0f32; x.rows()];
            for_rows(&mut out, 1, &bounds, |rows, part| {
                dots(Isa::best(), &x.data()[rows.start * d..], &grad.data()[rows.start * d..], d, part);
            });
            Dense::new(out, [x.rows(), 1])
        });
        [needs[0].then(|| scaled(&grad, &s)), ds]
    }
}

fn scaled(x: &Dense, s: &Dense) -> Dense {
    let d = x.cols().max(1);
    let block = |out: &mut Uninit, at: usize| {
        let rows = out.chunks_exact_mut(d).zip(x.data()[at..].chunks_exact(d));
        for ((out, x), s) in rows.zip(&s.data()[at / d..]) {
            for (o, x) in out.iter_mut().zip(x) {
                o.write(s * x);
            }
        }
    };
    // SAFETY: blocks are whole rows, and each row has a factor.
    unsafe { rows_of(x, block) }
}

#[inline(always)]
fn dots_body<V: F32x16>(a: &[f32], b: &[f32], d: usize, out: &mut [f32]) {
    for (r, o) in out.iter_mut().enumerate() {
        *o = dot::<V>(&a[r * d..(r + 1) * d], &b[r * d..(r + 1) * d]);
    }
}

kernel! {
    /// `out_r = a_r · b_r`.
    pub(crate) fn dots = dots_body(a: &[f32], b: &[f32], d: usize, out: &mut [f32])
}

#[derive(Debug)]
struct UnitRows;

impl Operator<1> for UnitRows {
    /// The result, and `1/‖x‖` of each row, 0 where that is not defined.
    type Saved = (Dense, Vec<f32>);

    fn forward(&self, [x]: [Dense; 1], _: bool) -> (Dense, Self::Saved) {
        let (n, d) = (x.rows(), x.cols());
        let bounds = uniform(n, BLOCK / d.max(1));
        let mut scales = vec![0f32; n];
        for_rows(&mut scales, 1, &bounds, |rows, part| {
            let x = &x.data()[rows.start * d..];
            dots(Isa::best(), x, x, d, part);
            part.iter_mut().for_each(|s| *s = if *s > 1e-24 { s.sqrt().recip() } else { 0.0 });
        });
        let y = scaled(&x, &Dense::new(scales.clone(), [n, 1]));
        (y.clone(), (y, scales))
    }

    fn backward(&self, (y, scales): Self::Saved, grad: Dense, [needed]: [bool; 1]) -> [Option<Dense>; 1] {
        let d = y.cols().max(1);
        let block = |out: &mut Uninit, at: usize| {
            let span = at..at + out.len();
            unit_backward(
                Isa::best(),
                &y.data()[span.clone()],
                &grad.data()[span],
                &scales[at / d..],
                d,
                out,
            );
        };
        // SAFETY: blocks are whole rows, which the kernel writes.
        [needed.then(|| unsafe { rows_of(&y, block) })]
    }
}

#[derive(Debug)]
struct SumSquares;

impl Operator<1> for SumSquares {
    type Saved = Dense;

    fn forward(&self, [x]: [Dense; 1], _: bool) -> (Dense, Dense) {
        let blocks: Vec<f64> = x
            .data()
            .par_chunks(BLOCK)
            .map(|block| {
                let mut sum = [0f32];
                dots(Isa::best(), block, block, block.len(), &mut sum);
                f64::from(sum[0])
            })
            .collect();
        (Dense::new(vec![blocks.into_iter().sum::<f64>() as f32], [1]), x)
    }

    fn backward(&self, x: Dense, grad: Dense, [needed]: [bool; 1]) -> [Option<Dense>; 1] {
        let factor = 2.0 * grad.data()[0];
        [needed.then(|| pairwise(&x, &x, |x, _| factor * x))]
    }
}

#[inline(always)]
fn unit_backward_body<V: F32x16>(y: &[f32], g: &[f32], scales: &[f32], d: usize, out: &mut Uninit) {
    for (r, out) in out.chunks_exact_mut(d).enumerate() {
        let (y, g) = (&y[r * d..(r + 1) * d], &g[r * d..(r + 1) * d]);
        let along = dot::<V>(y, g);
        for t in 0..d {
            out[t].write(scales[r] * mul_add::<V>(-along, y[t], g[t]));
        }
    }
}

kernel! {
    /// `(g - y (y · g)) · scale` of each row.
    fn unit_backward = unit_backward_body(y: &[f32], g: &[f32], scales: &[f32], d: usize, out: &mut Uninit)
}

#[cfg(feature = "gpu")]
mod gpu;
#[cfg(test)]
mod tests;
