//! Maps against their formulas in double precision, and their gradients against finite differences.

use super::*;
use crate::testing::{close, gradient, read, same_bits_for_any_threads, tensor, values};

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
            let value_at = |at: &[Vec<f64>]| reference(&at[0], &at[1]);
            gradient(&[x.clone(), y.clone()], which, &found, &weights, value_at, 1e-3);
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
    // A row of zeros stays zero and passes no gradient.
    let leaf = tensor(&[0.0, 0.0, 3.0, 4.0], [2, 2], true).require_grad();
    let y = unit_rows(leaf.clone());
    let grads = y.clone().sum().backward();
    close(&read(y.inner()), &[0.0, 0.0, 0.6, 0.8], 1e-6);
    assert_eq!(read(leaf.grad(&grads).unwrap())[..2], [0.0, 0.0]);
}

#[inline(always)]
fn exp_body<V: F32x16>(x: &[f32], y: &mut [f32]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y = exp::<V>(*x);
    }
}

kernel! {
    fn exp_of = exp_body(x: &[f32], y: &mut [f32])
}

#[test]
fn exponentials_are_accurate_over_the_whole_range() {
    let x: Vec<f32> = (-87_000..88_000).map(|i| i as f32 / 1000.0).collect();
    let far = [-200.0, f32::NEG_INFINITY, 1e9];
    let near = [-30.0f32, -0.3, -1e-3, 1e-9, 0.299, 0.301, 5.0, 30.0];
    for isa in Isa::supported() {
        let mut found = vec![0.0; x.len()];
        exp_of(isa, &x, &mut found);
        for (&x, &found) in x.iter().zip(&found) {
            assert!((f64::from(found) / f64::from(x).exp() - 1.0).abs() < 3e-7, "{isa:?} {x}: {found}");
        }
        let mut ends = [1.0; 3];
        exp_of(isa, &far, &mut ends);
        assert!(ends[..2] == [0.0, 0.0] && ends[2].is_finite(), "{isa:?} {ends:?}");
        let mut found = [MaybeUninit::uninit(); 8];
        curve_of(isa, Curve::Tanh, &near, &mut found);
        for (x, found) in near.into_iter().zip(found) {
            // SAFETY: the kernel writes one value for each of `near`.
            let found = f64::from(unsafe { found.assume_init() });
            assert!((found / f64::from(x).tanh() - 1.0).abs() < 3e-7, "{isa:?} {x}: {found}");
        }
    }
}
