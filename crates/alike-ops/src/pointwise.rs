//! Row-wise and element-wise maps in one parallel pass each way: unit rows, activations, products.
//!
//! Exponentials are computed sixteen at a time by a polynomial (two units in the last place); block boundaries are fixed,
//! so that the bits do not depend on the threads.

use burn::tensor::Tensor;
use rayon::prelude::*;

use crate::Dense;
use crate::dense::{for_rows, uniform};
use crate::extension::{Operator, apply1, apply2};
use crate::simd::{dispatch, dot, mul_add};

/// Values a task handles.
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
/// Panics when the shapes differ.
pub fn multiply(x: Tensor<2>, y: Tensor<2>) -> Tensor<2> {
    apply2(Multiply, x, y)
}

/// `x + y`, of one shape.
///
/// Panics when the shapes differ.
pub fn add(x: Tensor<2>, y: Tensor<2>) -> Tensor<2> {
    apply2(Add, x, y)
}

/// `x + b` with the row `b [1, d]` added to every row of `x [n, d]`. Gradient to `b`: the sum over rows.
///
/// Panics when the widths differ.
pub fn add_row(x: Tensor<2>, b: Tensor<2>) -> Tensor<2> {
    apply2(AddRow, x, b)
}

/// Row `r` of `x [n, d]` times `s_r`, `s [n, 1]`.
///
/// Gradients: `s_r g_r`, and `g_r · x_r`.
///
/// Panics when `s` has not one value a row of `x`.
pub fn scale_rows(x: Tensor<2>, s: Tensor<2>) -> Tensor<2> {
    apply2(ScaleRows, x, s)
}

/// `eˣ`, 0 below -87 and at most e⁸⁸: `2ᵏ p(r)` with `x = k ln 2 + r`, `|r| ≤ ln 2 / 2`, and `p` the polynomial of degree
/// 6 of the Cephes library.
#[inline(always)]
pub(crate) fn exp<const F: bool>(x: f32) -> f32 {
    /// Adding it leaves the nearest whole number in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let x = if x < 88.0 { x } else { 88.0 };
    let low = x < -87.0;
    let x = if low { 0.0 } else { x };
    let shifted = mul_add::<F>(x, std::f32::consts::LOG2_E, ROUND);
    let k = shifted - ROUND;
    let r = mul_add::<F>(k, 2.121_944_4e-4, mul_add::<F>(k, -0.693_359_4, x));
    let mut p = mul_add::<F>(1.987_569_1e-4, r, 1.398_199_9e-3);
    p = mul_add::<F>(p, r, 8.333_452e-3);
    p = mul_add::<F>(p, r, 4.166_579_6e-2);
    p = mul_add::<F>(p, r, 1.666_666_5e-1);
    p = mul_add::<F>(p, r, 0.5);
    p = mul_add::<F>(p, r * r, r) + 1.0;
    let power = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    if low { 0.0 } else { p * power }
}

#[inline(always)]
fn sigmoid_of<const F: bool>(x: f32) -> f32 {
    1.0 / (1.0 + exp::<F>(-x))
}

#[inline(always)]
fn tanh_of<const F: bool>(x: f32) -> f32 {
    // Near 0 the difference below would lose digits: the series to x¹¹.
    let s = x * x;
    let mut p = mul_add::<F>(-0.008_863_236, s, 0.021_869_488);
    p = mul_add::<F>(p, s, -0.053_968_254);
    p = mul_add::<F>(p, s, 0.133_333_33);
    p = mul_add::<F>(p, s, -0.333_333_34);
    let near = mul_add::<F>(p * s, x, x);
    let far = 1.0 - 2.0 * sigmoid_of::<F>(-2.0 * x);
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
fn curve_body<const F: bool>(curve: Curve, x: &[f32], y: &mut [f32]) {
    match curve {
        Curve::Leaky(slope) => y.iter_mut().zip(x).for_each(|(y, x)| *y = x.max(slope * x)),
        Curve::Sigmoid => {
            for (y, x) in y.iter_mut().zip(x) {
                *y = sigmoid_of::<F>(*x);
            }
        }
        Curve::Tanh => {
            for (y, x) in y.iter_mut().zip(x) {
                *y = tanh_of::<F>(*x);
            }
        }
    }
}

dispatch! {
    /// `y = φ(x)`.
    fn curve_of = curve_body(curve: Curve, x: &[f32], y: &mut [f32])
}

#[inline(always)]
fn slope_body<const F: bool>(curve: Curve, y: &[f32], g: &[f32], out: &mut [f32]) {
    for ((o, y), g) in out.iter_mut().zip(y).zip(g) {
        *o = g * match curve {
            Curve::Leaky(slope) => {
                if *y > 0.0 {
                    1.0
                } else {
                    slope
                }
            }
            Curve::Sigmoid => y * (1.0 - y),
            Curve::Tanh => mul_add::<F>(-y, *y, 1.0),
        };
    }
}

dispatch! {
    /// `out = g ⊙ φ'`, of the value `y = φ(x)`.
    fn slope_of = slope_body(curve: Curve, y: &[f32], g: &[f32], out: &mut [f32])
}

/// New values of the shape of `like`, a block of rows at a time: `f(values of the block, where they start)`.
fn rows_of(like: &Dense, f: impl Fn(&mut [f32], usize) + Sync) -> Dense {
    let (n, d) = (like.rows(), like.cols());
    let mut out = vec![0f32; n * d];
    let bounds = uniform(n, BLOCK / d.max(1));
    for_rows(&mut out, d, &bounds, |rows, part| f(part, rows.start * d));
    Dense::new(out, [n, d])
}

#[derive(Debug)]
struct Map(Curve);

impl Operator<1> for Map {
    type Saved = Dense;

    fn forward(&self, [x]: [Dense; 1], _: bool) -> (Dense, Dense) {
        let y = rows_of(&x, |out, at| curve_of(self.0, &x.data()[at..at + out.len()], out));
        (y.clone(), y)
    }

    fn backward(&self, y: Dense, grad: Dense, [needed]: [bool; 1]) -> [Option<Dense>; 1] {
        let g = grad.data();
        [needed.then(|| {
            rows_of(&y, |out, at| {
                let span = at..at + out.len();
                slope_of(self.0, &y.data()[span.clone()], &g[span], out);
            })
        })]
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
    rows_of(a, |out, at| {
        let (a, b) = (&a.data()[at..at + out.len()], &b.data()[at..at + out.len()]);
        out.iter_mut().zip(a).zip(b).for_each(|((o, a), b)| *o = a * b);
    })
}

#[derive(Debug)]
struct Add;

impl Operator<2> for Add {
    type Saved = ();

    fn forward(&self, [x, y]: [Dense; 2], _: bool) -> (Dense, ()) {
        assert_eq!((x.rows(), x.cols()), (y.rows(), y.cols()), "terms of one shape");
        let sum = rows_of(&x, |out, at| {
            let (x, y) = (&x.data()[at..at + out.len()], &y.data()[at..at + out.len()]);
            out.iter_mut().zip(x).zip(y).for_each(|((o, x), y)| *o = x + y);
        });
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
        let sum = rows_of(&x, |out, at| {
            for (out, x) in out.chunks_exact_mut(d).zip(x.data()[at..].chunks_exact(d)) {
                out.iter_mut().zip(x).zip(b.data()).for_each(|((o, x), b)| *o = x + b);
            }
        });
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
        assert_eq!((s.rows(), s.cols()), (x.rows(), 1), "one factor a row");
        (scaled(&x, &s), [x, s])
    }

    fn backward(&self, [x, s]: Self::Saved, grad: Dense, needs: [bool; 2]) -> [Option<Dense>; 2] {
        let ds = needs[1].then(|| {
            let d = x.cols();
            let bounds = uniform(x.rows(), BLOCK / d.max(1));
            let mut out = vec![0f32; x.rows()];
            for_rows(&mut out, 1, &bounds, |rows, part| {
                dots(&x.data()[rows.start * d..], &grad.data()[rows.start * d..], d, part);
            });
            Dense::new(out, [x.rows(), 1])
        });
        [needs[0].then(|| scaled(&grad, &s)), ds]
    }
}

fn scaled(x: &Dense, s: &Dense) -> Dense {
    let d = x.cols().max(1);
    rows_of(x, |out, at| {
        let rows = out.chunks_exact_mut(d).zip(x.data()[at..].chunks_exact(d));
        for ((out, x), s) in rows.zip(&s.data()[at / d..]) {
            out.iter_mut().zip(x).for_each(|(o, x)| *o = s * x);
        }
    })
}

#[inline(always)]
fn dots_body<const F: bool>(a: &[f32], b: &[f32], d: usize, out: &mut [f32]) {
    for (r, o) in out.iter_mut().enumerate() {
        *o = dot::<F>(&a[r * d..(r + 1) * d], &b[r * d..(r + 1) * d]);
    }
}

dispatch! {
    /// `out_r = a_r · b_r`.
    fn dots = dots_body(a: &[f32], b: &[f32], d: usize, out: &mut [f32])
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
            dots(x, x, d, part);
            part.iter_mut().for_each(|s| *s = if *s > 1e-24 { s.sqrt().recip() } else { 0.0 });
        });
        let y = scaled(&x, &Dense::new(scales.clone(), [n, 1]));
        (y.clone(), (y, scales))
    }

    fn backward(&self, (y, scales): Self::Saved, grad: Dense, [needed]: [bool; 1]) -> [Option<Dense>; 1] {
        let d = y.cols().max(1);
        [needed.then(|| {
            rows_of(&y, |out, at| {
                let span = at..at + out.len();
                unit_backward(&y.data()[span.clone()], &grad.data()[span], &scales[at / d..], d, out);
            })
        })]
    }
}

#[inline(always)]
fn unit_backward_body<const F: bool>(y: &[f32], g: &[f32], scales: &[f32], d: usize, out: &mut [f32]) {
    for (r, out) in out.chunks_exact_mut(d).enumerate() {
        let (y, g) = (&y[r * d..(r + 1) * d], &g[r * d..(r + 1) * d]);
        let along = dot::<F>(y, g);
        for t in 0..d {
            out[t] = scales[r] * mul_add::<F>(-along, y[t], g[t]);
        }
    }
}

dispatch! {
    /// `(g - y (y · g)) · scale` of each row.
    fn unit_backward = unit_backward_body(y: &[f32], g: &[f32], scales: &[f32], d: usize, out: &mut [f32])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{close, gradient, read, same_bits_for_any_threads, tensor, values};

    type Function = fn(Tensor<2>, Tensor<2>) -> Tensor<2>;

    /// The function and its reference on `x [n, d]`, `y [n, dy]`, with gradients to both where both are used.
    fn check(f: Function, reference: impl Fn(&[f64], &[f64]) -> Vec<f64>, dy: usize, both: bool) {
        for (n, d) in [(3, 1), (70, 7), (5, 64)] {
            let (x, y) = (values(n * d, 1), values(n * if dy == 0 { d } else { dy }, 2));
            let shape_y = [n, if dy == 0 { d } else { dy }];
            let plain = read(f(tensor(&x, [n, d], false), tensor(&y, shape_y, false)));
            let wide = |v: &[f32]| v.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
            let expected: Vec<f32> = reference(&wide(&x), &wide(&y)).iter().map(|&v| v as f32).collect();
            close(&plain, &expected, 1e-6);
            let leaves = [tensor(&x, [n, d], true).require_grad(), tensor(&y, shape_y, true).require_grad()];
            let out = f(leaves[0].clone(), leaves[1].clone());
            let weights = values(plain.len(), 9);
            let grads = (out.clone() * tensor(&weights, out.dims(), true)).sum().backward();
            for (which, leaf) in leaves.iter().enumerate().take(1 + usize::from(both)) {
                let found = read(leaf.grad(&grads).unwrap());
                let of = |at: &[Vec<f64>]| reference(&at[0], &at[1]);
                gradient(&[x.clone(), y.clone()], which, &found, &weights, of, 1e-3);
            }
            same_bits_for_any_threads(|| read(f(tensor(&x, [n, d], false), tensor(&y, shape_y, false))));
        }
    }

    #[test]
    fn activations_and_their_gradients_are_right() {
        check(
            |x, _| sigmoid(x * 4.0),
            |x, _| x.iter().map(|x| 1.0 / (1.0 + (-4.0 * x).exp())).collect(),
            0,
            false,
        );
        check(|x, _| tanh(x * 2.0), |x, _| x.iter().map(|x| (2.0 * x).tanh()).collect(), 0, false);
        check(|x, _| leaky(x, 0.1), |x, _| x.iter().map(|x| x.max(0.1 * x)).collect(), 0, false);
    }

    #[test]
    fn products_and_their_gradients_are_right() {
        check(add, |x, y| x.iter().zip(y).map(|(x, y)| x + y).collect(), 0, true);
        check(multiply, |x, y| x.iter().zip(y).map(|(x, y)| x * y).collect(), 0, true);
        check(
            scale_rows,
            |x, s| {
                let d = x.len() / s.len();
                x.iter().enumerate().map(|(i, x)| x * s[i / d]).collect()
            },
            1,
            true,
        );
    }

    #[test]
    fn a_row_is_added_to_every_row() {
        for (n, d) in [(3, 1), (700, 40)] {
            let (x, b) = (values(n * d, 1), values(d, 2));
            let reference =
                |x: &[f64], b: &[f64]| x.iter().enumerate().map(|(i, x)| x + b[i % d]).collect::<Vec<_>>();
            let leaves = [tensor(&x, [n, d], true).require_grad(), tensor(&b, [1, d], true).require_grad()];
            let y = add_row(leaves[0].clone(), leaves[1].clone());
            let weights = values(n * d, 9);
            let grads = (y.clone() * tensor(&weights, [n, d], true)).sum().backward();
            let wide = |v: &[f32]| v.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
            let wanted: Vec<f32> = reference(&wide(&x), &wide(&b)).iter().map(|&v| v as f32).collect();
            close(&read(y.inner()), &wanted, 1e-6);
            assert_eq!(read(leaves[0].grad(&grads).unwrap()), weights);
            let found = read(leaves[1].grad(&grads).unwrap());
            gradient(&[x, b], 1, &found, &weights, |at| reference(&at[0], &at[1]), 1e-3);
        }
    }

    #[test]
    fn rows_get_length_one_and_gradients_know_it() {
        for (n, d) in [(4, 3), (70, 64)] {
            let x = values(n * d, 5);
            let reference = |x: &[f64]| -> Vec<f64> {
                let unit = |row: &[f64]| {
                    let norm = row.iter().map(|v| v * v).sum::<f64>().sqrt();
                    row.iter().map(|v| v / norm).collect::<Vec<_>>()
                };
                x.chunks(d).flat_map(unit).collect()
            };
            let leaf = tensor(&x, [n, d], true).require_grad();
            let y = unit_rows(leaf.clone());
            let weights = values(n * d, 9);
            let grads = (y.clone() * tensor(&weights, [n, d], true)).sum().backward();
            let wide: Vec<f64> = x.iter().map(|&v| f64::from(v)).collect();
            close(&read(y.inner()), &reference(&wide).iter().map(|&v| v as f32).collect::<Vec<_>>(), 1e-6);
            let found = read(leaf.grad(&grads).unwrap());
            gradient(&[x], 0, &found, &weights, |at| reference(&at[0]), 1e-3);
        }
        // A row of zeros stays so, and nothing flows through it.
        let leaf = tensor(&[0.0, 0.0, 3.0, 4.0], [2, 2], true).require_grad();
        let y = unit_rows(leaf.clone());
        let grads = y.clone().sum().backward();
        close(&read(y.inner()), &[0.0, 0.0, 0.6, 0.8], 1e-6);
        assert_eq!(read(leaf.grad(&grads).unwrap())[..2], [0.0, 0.0]);
    }

    #[test]
    fn exponentials_are_accurate_over_the_whole_range() {
        let mut worst = 0f64;
        for i in -87_000..88_000 {
            let x = i as f32 / 1000.0;
            let (wanted, found) = (f64::from(x).exp(), f64::from(exp::<true>(x)));
            worst = worst.max((found / wanted - 1.0).abs());
            worst = worst.max((f64::from(exp::<false>(x)) / wanted - 1.0).abs());
        }
        assert!(worst < 3e-7, "{worst}");
        assert_eq!((exp::<true>(-200.0), exp::<true>(f32::NEG_INFINITY)), (0.0, 0.0));
        assert!(exp::<true>(1e9).is_finite());
        for x in [-30.0f32, -0.3, -1e-3, 1e-9, 0.299, 0.301, 5.0, 30.0] {
            let found = f64::from(tanh_of::<true>(x));
            assert!((found / f64::from(x).tanh() - 1.0).abs() < 3e-7, "{x}: {found}");
        }
    }
}
