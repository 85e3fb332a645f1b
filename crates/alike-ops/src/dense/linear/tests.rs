use burn::tensor::{Device, TensorData};

use super::*;
use crate::testing::{close, gradient, read, tensor, values};

/// The formula in f64, weighted sum of the outputs by `g`.
fn objective(x: &[f64], w: &[f64], b: &[f64], g: &[f32], slope: f64, scale: &[f64]) -> f64 {
    let q = b.len();
    let p = w.len() / q;
    let mut sum = 0.0;
    for t in 0..scale.len() {
        for j in 0..q {
            let v = b[j] + (0..p).map(|k| x[t * p + k] * w[k * q + j]).sum::<f64>();
            sum += scale[t] * v.max(slope * v) * f64::from(g[t * q + j]);
        }
    }
    sum
}

#[test]
fn gradients_match_finite_differences() {
    let (n, p, q) = (1500, 3, 5);
    let rows: Vec<Vec<u32>> = (0..n).map(|r| vec![0; r % 4]).collect();
    let pattern = Arc::new(Csr::from_rows(1, &rows).unwrap());
    let (x, w, b, g) = (values(n * p, 1), values(p * q, 2), values(q, 3), values(n * q, 4));
    let device = Device::flex().autodiff();
    for (activation, slope, scaled) in [
        (Activation::None, 1.0, false),
        (Activation::None, 1.0, true),
        (Activation::Leaky(0.25), 0.25, true),
        (Activation::Leaky(0.25), 0.25, false),
    ] {
        let tensor = |v: &[f32], s: [usize; 2]| {
            Tensor::<2>::from_data(TensorData::new(v.to_vec(), s), &device).require_grad()
        };
        let (tx, tw) = (tensor(&x, [n, p]), tensor(&w, [p, q]));
        let tb = Tensor::<1>::from_data(TensorData::new(b.clone(), [q]), &device).require_grad();
        let y = linear(tx.clone(), tw.clone(), tb.clone(), activation, scaled.then_some(&pattern));
        let weights = Tensor::<2>::from_data(TensorData::new(g.clone(), [n, q]), &device);
        let loss = (y * weights).sum();
        let scale: Vec<f64> = (0..n)
            .map(|r| match (scaled, r % 4) {
                (false, _) => 1.0,
                (true, 0) => 0.0,
                (true, d) => 1.0 / (d as f64).sqrt(),
            })
            .collect();
        let wide = |v: &[f32]| v.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
        let mut at = [wide(&x), wide(&w), wide(&b)];
        let expected = objective(&at[0], &at[1], &at[2], &g, slope, &scale);
        let found = f64::from(loss.clone().into_scalar::<f32>());
        assert!((expected - found).abs() < 1e-2, "{expected} {found}");
        let grads = loss.backward();
        let found = [
            tx.grad(&grads).unwrap().into_data().try_into_vec::<f32>().unwrap(),
            tw.grad(&grads).unwrap().into_data().try_into_vec::<f32>().unwrap(),
            tb.grad(&grads).unwrap().into_data().try_into_vec::<f32>().unwrap(),
        ];
        for part in 0..3 {
            let step = (at[part].len() / 20).max(1);
            for k in (0..at[part].len()).step_by(step) {
                let h = 1e-6;
                let mut value = |delta: f64| {
                    at[part][k] += delta;
                    let v = objective(&at[0], &at[1], &at[2], &g, slope, &scale);
                    at[part][k] -= delta;
                    v
                };
                let expected = (value(h) - value(-h)) / (2.0 * h);
                let found = f64::from(found[part][k]);
                assert!(
                    (expected - found).abs() < 2e-3 * (1.0 + expected.abs()),
                    "{part} {k}: {expected} {found}"
                );
            }
        }
    }
}

#[test]
fn two_matrices_side_by_side_are_as_one() {
    let (n, widths, q) = (1100, [3, 4], 5);
    let parts = [values(n * widths[0], 1), values(n * widths[1], 2)];
    let joined: Vec<f32> = parts[0]
        .chunks_exact(widths[0])
        .zip(parts[1].chunks_exact(widths[1]))
        .flat_map(|(a, b)| [a, b].concat())
        .collect();
    let (w, b, g) = (values(7 * q, 3), values(q, 4), values(n * q, 5));
    let leaf = |v: &[f32], s: [usize; 2]| tensor(v, s, true).require_grad();
    let all = |pair: bool| {
        let weight = leaf(&w, [7, q]);
        let bias = tensor(&b, [q], true).require_grad();
        let activation = Activation::Leaky(0.25);
        let (y, leaves) = if pair {
            let x = [leaf(&parts[0], [n, widths[0]]), leaf(&parts[1], [n, widths[1]])];
            (linear_pair(x.clone(), weight.clone(), bias.clone(), activation), x.to_vec())
        } else {
            let x = leaf(&joined, [n, 7]);
            (linear(x.clone(), weight.clone(), bias.clone(), activation, None), vec![x])
        };
        let grads = (y.clone() * tensor(&g, [n, q], true)).sum().backward();
        let dx = Tensor::cat(leaves.iter().map(|x| x.grad(&grads).unwrap()).collect(), 1);
        [read(y), read(dx), read(weight.grad(&grads).unwrap()), read(bias.grad(&grads).unwrap())]
    };
    for (pair, one) in all(true).iter().zip(all(false)) {
        close(pair, &one, 1e-4);
    }
}

#[test]
fn a_product_has_the_gradients_that_are_asked_for() {
    let (n, p, q) = (1030, 3, 2);
    let (x, w, g) = (values(n * p, 1), values(p * q, 2), values(n * q, 3));
    let weight = tensor(&w, [p, q], true).require_grad();
    let y = matmul(tensor(&x, [n, p], true), weight.clone());
    let wanted = linear(
        tensor(&x, [n, p], false),
        tensor(&w, [p, q], false),
        tensor(&[0.0; 2], [q], false),
        Activation::None,
        None,
    );
    assert_eq!(read(y.clone()), read(wanted));
    let grads = (y * tensor(&g, [n, q], true)).sum().backward();
    let found = read(weight.grad(&grads).unwrap());
    let value_at = |at: &[Vec<f64>]| -> Vec<f64> {
        let entry = |k: usize| (0..p).map(|t| at[0][k / q * p + t] * at[1][t * q + k % q]).sum();
        (0..n * q).map(entry).collect()
    };
    gradient(&[x, w], 1, &found, &g, value_at, 1e-3);
}
