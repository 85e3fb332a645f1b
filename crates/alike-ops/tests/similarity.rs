//! Neighbour similarity against the formula in f64, forward and by finite differences.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use alike_ops::{Csr, neighbor_similarity};
use burn::tensor::{Device, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Irregular rows over `cols` nodes: empty, single, repeated, around the panel width and far above it.
fn pattern(cols: u32, rng: &mut ChaCha8Rng) -> Vec<Vec<u32>> {
    let mut rows: Vec<Vec<u32>> = vec![vec![], vec![3], vec![2, 2, 5], vec![]];
    for n in [2usize, 5, 7, 15, 16, 17, 31, 33, 48, 70, 95] {
        rows.push((0..n).map(|_| rng.random_range(0..cols)).collect());
    }
    rows
}

/// `α` of every entry, from rows `x`.
fn alphas(rows: &[Vec<u32>], x: &[f64], d: usize) -> Vec<Vec<f64>> {
    let hat: Vec<Vec<f64>> = x
        .chunks(d)
        .map(|r| {
            let mean = r.iter().sum::<f64>() / d as f64;
            let c: Vec<f64> = r.iter().map(|v| v - mean).collect();
            let norm = c.iter().map(|v| v * v).sum::<f64>().sqrt();
            c.iter().map(|v| if norm < 1e-12 { 0.0 } else { v / norm }).collect()
        })
        .collect();
    let like =
        |j: u32, k: u32| -> f64 { hat[j as usize].iter().zip(&hat[k as usize]).map(|(a, b)| a * b).sum() };
    let of = |row: &Vec<u32>| {
        let one = |&j: &u32| row.iter().map(|&k| like(j, k).max(0.0)).sum::<f64>() / row.len() as f64;
        row.iter().map(one).collect()
    };
    rows.iter().map(of).collect()
}

/// The formula at `x` with the weights of `fixed`, which are constants of the backward pass.
fn naive(rows: &[Vec<u32>], x: &[f64], fixed: &[f64], d: usize) -> Vec<f64> {
    let mut y = vec![0.0; rows.len() * d];
    for ((row, alphas), y) in rows.iter().zip(alphas(rows, fixed, d)).zip(y.chunks_mut(d)) {
        let n = row.len() as f64;
        let scale = 1.0 / ((alphas.iter().sum::<f64>() / n).max(1e-6) * n.sqrt());
        for (&j, alpha) in row.iter().zip(alphas) {
            let x = &x[j as usize * d..];
            y.iter_mut().zip(x).for_each(|(y, x)| *y += scale * alpha * x);
        }
    }
    y
}

fn run(rows: &[Vec<u32>], x: &[f32], g: &[f32], d: usize) -> (Vec<f32>, Vec<f32>) {
    let nodes = x.len() / d;
    let pattern = Arc::new(Csr::from_rows(nodes, rows).unwrap());
    let device = Device::flex().autodiff();
    let x = Tensor::<2>::from_data(TensorData::new(x.to_vec(), [nodes, d]), &device).require_grad();
    let y = neighbor_similarity(&pattern, x.clone());
    let g = Tensor::<2>::from_data(TensorData::new(g.to_vec(), [rows.len(), d]), &device);
    let grads = (y.clone() * g).sum().backward();
    let values = |t: Tensor<2>| t.into_data().try_into_vec::<f32>().unwrap();
    let plain = neighbor_similarity(&pattern, x.clone().inner());
    let y = values(y.inner());
    assert_eq!(y, values(plain), "with and without gradients");
    (y, values(x.grad(&grads).unwrap()))
}

#[test]
fn results_and_gradients_match_the_formula() {
    for d in [5usize, 20, 48, 64, 70] {
        let mut rng = ChaCha8Rng::seed_from_u64(d as u64);
        let nodes = 40u32;
        let rows = pattern(nodes, &mut rng);
        let mut x: Vec<f32> = (0..nodes as usize * d).map(|_| rng.random_range(-1.0..1.0)).collect();
        x[3 * d..4 * d].fill(0.5); // a constant row: Pearson is 0
        x[7 * d..8 * d].fill(0.0);
        let g: Vec<f32> = (0..rows.len() * d).map(|_| rng.random_range(-1.0..1.0)).collect();
        let (y, dx) = run(&rows, &x, &g, d);
        let mut wide: Vec<f64> = x.iter().map(|&v| f64::from(v)).collect();
        let fixed = wide.clone();
        for (a, b) in y.iter().zip(naive(&rows, &wide, &fixed, d)) {
            assert!((f64::from(*a) - b).abs() < 1e-4 * (1.0 + b.abs()), "d {d}: {a} {b}");
        }
        let mut checked = 0;
        for k in (0..wide.len()).step_by(7) {
            let node = k / d;
            if node == 3 || node == 7 {
                continue; // the formula jumps there
            }
            let mut objective = |delta: f64| -> f64 {
                wide[k] += delta;
                let y = naive(&rows, &wide, &fixed, d);
                wide[k] -= delta;
                y.iter().zip(&g).map(|(y, g)| y * f64::from(*g)).sum()
            };
            let h = 1e-6;
            let (up, here, down) = (objective(h), objective(0.0), objective(-h));
            if ((up - here) - (here - down)).abs() > 1e-8 {
                continue; // a pair changes sign within the step
            }
            let expected = (up - down) / (2.0 * h);
            let found = f64::from(dx[k]);
            assert!(
                (expected - found).abs() < 1e-3 * (1.0 + expected.abs()),
                "d {d} at {k}: {expected} {found}"
            );
            checked += 1;
        }
        assert!(checked > 20, "{checked} positions checked");
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let (nodes, d) = (3000u32, 64usize);
    let rows: Vec<Vec<u32>> = (0..2500)
        .map(|r| (0..[0usize, 3, 6, 12, 60][r % 5]).map(|_| rng.random_range(0..nodes)).collect())
        .collect();
    let x: Vec<f32> = (0..nodes as usize * d).map(|_| rng.random_range(-1.0..1.0)).collect();
    let g: Vec<f32> = (0..rows.len() * d).map(|_| rng.random_range(-1.0..1.0)).collect();
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| run(&rows, &x, &g, d))
    };
    let one = with(1);
    for threads in [2, 5] {
        assert!(one == with(threads), "{threads} threads");
    }
}
