//! The fused losses: values and gradients against the formulas in double precision.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use alike_ops::{Triples, bpr_dot, bpr_dot_l2, bpr_dot_own_l2, bpr_pair_mlp, l2_rows};
use burn::tensor::{Device, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn random(n: usize, seed: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..n).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// Triples over all of `rows` rows: the same row may be user, positive and negative, also in one triple.
fn triples(b: usize, rows: u32, seed: u64) -> Arc<Triples> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut draw = || (0..b).map(|_| rng.random_range(0..rows)).collect::<Vec<u32>>();
    let (mut users, mut positives, mut negatives) = (draw(), draw(), draw());
    if b > 4 {
        (users[0], positives[0], negatives[0]) = (1, 1, 1);
        (users[1], positives[1], negatives[1]) = (1, 2, 2);
        (users[2], positives[2], negatives[2]) = (1, 0, rows - 1);
    }
    Arc::new(Triples { users, positives, negatives })
}

fn tensor<const D: usize>(values: &[f32], shape: [usize; D], tracked: bool) -> Tensor<D> {
    let device = if tracked { Device::flex().autodiff() } else { Device::flex() };
    let tensor = Tensor::from_data(TensorData::new(values.to_vec(), shape), &device);
    if tracked { tensor.require_grad() } else { tensor }
}

fn read<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec::<f32>().unwrap()
}

fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// Mean loss of the batch with scores from `score(user, item)`.
fn mean_loss(t: &Triples, score: impl Fn(usize, usize) -> f64) -> f64 {
    let at = |k: usize| {
        let (u, p, n) = (t.users[k] as usize, t.positives[k] as usize, t.negatives[k] as usize);
        softplus(score(u, n) - score(u, p))
    };
    (0..t.len()).map(at).sum::<f64>() / t.len() as f64
}

fn row(z: &[f64], r: usize, d: usize) -> &[f64] {
    &z[r * d..(r + 1) * d]
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

fn dot_loss(z: &[f64], d: usize, t: &Triples) -> f64 {
    mean_loss(t, |u, i| dot(row(z, u, d), row(z, i, d)))
}

fn norms(e: &[f64], d: usize, rows: impl Iterator<Item = u32>) -> f64 {
    rows.map(|r| dot(row(e, r as usize, d), row(e, r as usize, d))).sum()
}

fn all_rows(t: &Triples) -> impl Iterator<Item = u32> {
    t.users.iter().chain(&t.positives).chain(&t.negatives).copied()
}

/// Central differences of `loss` at `inputs`, each scaled by `times`, against `found`.
fn compare(inputs: &[&[f32]], found: &[Vec<f32>], times: f64, loss: impl Fn(&[Vec<f64>]) -> f64) {
    let mut at: Vec<Vec<f64>> = inputs.iter().map(|v| v.iter().map(|&v| f64::from(v)).collect()).collect();
    for (part, found) in found.iter().enumerate() {
        assert_eq!(found.len(), at[part].len());
        let mut largest = 0f64;
        for k in 0..found.len() {
            let here = at[part][k];
            let mut value = |v: f64| {
                at[part][k] = v;
                loss(&at)
            };
            let expected = times * (value(here + 1e-6) - value(here - 1e-6)) / 2e-6;
            at[part][k] = here;
            largest = largest.max(expected.abs());
            let error = (f64::from(found[k]) - expected).abs();
            assert!(error < 2e-5 * (1.0 + expected.abs()), "input {part}, {k}: {} and {expected}", found[k]);
        }
        assert!(largest > 1e-3, "input {part} must matter for the check to see anything");
    }
}

#[test]
fn dot_loss_and_gradient_match_the_formula() {
    for (rows, d, b) in [(7, 3, 1), (40, 5, 60), (600, 17, 700)] {
        let z = random(rows * d, 1);
        let t = triples(b, rows as u32, 2);
        let table = tensor(&z, [rows, d], true);
        let loss = bpr_dot(table.clone(), &t);
        let wide: Vec<f64> = z.iter().map(|&v| f64::from(v)).collect();
        let expected = dot_loss(&wide, d, &t);
        assert!((f64::from(read(loss.clone())[0]) - expected).abs() < 1e-6 * (1.0 + expected));
        assert_eq!(read(bpr_dot(tensor(&z, [rows, d], false), &t)), read(loss.clone()));
        if rows < 100 {
            // A factor after the loss must reach the gradient.
            let grads = (loss * 3.0).backward();
            let found = [read(table.grad(&grads).unwrap())];
            compare(&[&z], &found, 3.0, |at| dot_loss(&at[0], d, &t));
        }
    }
}

#[test]
fn regularised_loss_has_gradients_to_both_tables() {
    let (rows, d, width, b, l2) = (30, 5, 3, 50, 0.7f32);
    let (z, e, t) = (random(rows * d, 1), random(rows * width, 2), triples(b, rows as u32, 3));
    let reference = |z: &[f64], e: &[f64], width: usize| {
        dot_loss(z, d, &t) + f64::from(l2) / b as f64 * norms(e, width, all_rows(&t))
    };
    let (table, ego) = (tensor(&z, [rows, d], true), tensor(&e, [rows, width], true));
    let loss = bpr_dot_l2(table.clone(), ego.clone(), &t, l2);
    let value = f64::from(read(loss.clone())[0]);
    let grads = (loss * 2.0).backward();
    let found = [read(table.grad(&grads).unwrap()), read(ego.grad(&grads).unwrap())];
    compare(&[&z, &e], &found, 2.0, |at| reference(&at[0], &at[1], width));
    let wide = |v: &[f32]| v.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
    assert!((value - reference(&wide(&z), &wide(&e), width)).abs() < 1e-5);

    // One table for both, as matrix factorisation has it.
    let table = tensor(&z, [rows, d], true);
    let grads = bpr_dot_own_l2(table.clone(), &t, l2).backward();
    compare(&[&z], &[read(table.grad(&grads).unwrap())], 1.0, |at| reference(&at[0], &at[0], d));

    // Only one of the two tracked.
    let table = tensor(&z, [rows, d], true);
    let fixed = Tensor::from_inner(tensor(&e, [rows, width], false));
    let grads = bpr_dot_l2(table.clone(), fixed, &t, l2).backward();
    let found = [read(table.grad(&grads).unwrap())];
    compare(&[&z], &found, 1.0, |at| dot_loss(&at[0], d, &t));
    let (fixed, ego) = (Tensor::from_inner(tensor(&z, [rows, d], false)), tensor(&e, [rows, width], true));
    let grads = bpr_dot_l2(fixed, ego.clone(), &t, l2).backward();
    compare(&[&e], &[read(ego.grad(&grads).unwrap())], 1.0, |at| {
        f64::from(l2) / b as f64 * norms(&at[0], width, all_rows(&t))
    });
}

#[test]
fn squared_norms_count_a_row_as_often_as_it_stands() {
    let (rows, d) = (9, 4);
    let e = random(rows * d, 1);
    let list = Arc::new(vec![8u32, 0, 3, 3, 0, 3, 7]);
    let table = tensor(&e, [rows, d], true);
    let loss = l2_rows(table.clone(), &list, 0.3);
    let wide: Vec<f64> = e.iter().map(|&v| f64::from(v)).collect();
    let expected = f64::from(0.3f32) * norms(&wide, d, list.iter().copied());
    assert!((f64::from(read(loss.clone())[0]) - expected).abs() < 1e-6);
    let grads = (loss * -2.0).backward();
    let found = read(table.grad(&grads).unwrap());
    assert!(found[d..3 * d].iter().all(|&g| g == 0.0), "rows 1 and 2 do not stand in the list");
    compare(&[&e], &[found], -2.0, |at| f64::from(0.3f32) * norms(&at[0], d, list.iter().copied()));
    assert_eq!(read(l2_rows(tensor(&e, [rows, d], false), &Arc::default(), 1.0)), [0.0]);
}

/// The five inputs of the pair MLP: table, user and item weights, bias, output weights.
fn pair_inputs(rows: usize, d: usize, h: usize) -> [Vec<f32>; 5] {
    [random(rows * d, 1), random(d * h, 2), random(d * h, 3), random(h, 4), random(h, 5)]
}

fn pair_loss(at: &[Vec<f64>], d: usize, t: &Triples) -> f64 {
    let [z, wu, wi, bias, out] = at else { unreachable!("five inputs") };
    let h = bias.len();
    let hidden = |r: usize, w: &[f64], j: usize| (0..d).map(|k| z[r * d + k] * w[k * h + j]).sum::<f64>();
    mean_loss(t, |u, i| {
        (0..h).map(|j| out[j] * (hidden(u, wu, j) + bias[j] + hidden(i, wi, j)).max(0.0)).sum()
    })
}

fn pair(inputs: &[Vec<f32>; 5], rows: usize, t: &Arc<Triples>, times: f32) -> (f32, [Vec<f32>; 5]) {
    let [z, wu, wi, bias, out] = inputs;
    let (d, h) = (z.len() / rows, bias.len());
    let (z, wu, wi) = (tensor(z, [rows, d], true), tensor(wu, [d, h], true), tensor(wi, [d, h], true));
    let (bias, out) = (tensor(bias, [h], true), tensor(out, [h], true));
    let loss = bpr_pair_mlp(z.clone(), wu.clone(), wi.clone(), bias.clone(), out.clone(), t);
    let value = read(loss.clone())[0];
    let grads = (loss * times).backward();
    let matrices = [z, wu, wi].map(|x| read(x.grad(&grads).unwrap()));
    let vectors = [bias, out].map(|x| read(x.grad(&grads).unwrap()));
    let ([z, wu, wi], [bias, out]) = (matrices, vectors);
    (value, [z, wu, wi, bias, out])
}

#[test]
fn pair_mlp_loss_and_five_gradients_match_the_formula() {
    // h = 18 leaves a rest after sixteen lanes.
    for (rows, d, h, b) in [(6, 3, 2, 1), (25, 5, 18, 40)] {
        let inputs = pair_inputs(rows, d, h);
        let t = triples(b, rows as u32, 6);
        let (value, found) = pair(&inputs, rows, &t, 3.0);
        let wide: Vec<Vec<f64>> = inputs.iter().map(|v| v.iter().map(|&v| f64::from(v)).collect()).collect();
        assert!((f64::from(value) - pair_loss(&wide, d, &t)).abs() < 1e-6);
        if b > 1 {
            let slices: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
            compare(&slices, &found, 3.0, |at| pair_loss(at, d, &t));
        }
    }
}

#[test]
fn pair_mlp_gives_weights_their_gradient_when_the_table_is_fixed() {
    let (rows, d, h) = (25, 5, 3);
    let inputs = pair_inputs(rows, d, h);
    let t = triples(40, rows as u32, 6);
    let [z, wu, wi, bias, out] = &inputs;
    let fixed = |v: &[f32], s: [usize; 2]| Tensor::<2>::from_inner(tensor(v, s, false));
    let vector = |v: &[f32]| Tensor::<1>::from_inner(tensor(v, [h], false));
    let weight = tensor(wi, [d, h], true);
    let loss =
        bpr_pair_mlp(fixed(z, [rows, d]), fixed(wu, [d, h]), weight.clone(), vector(bias), vector(out), &t);
    let found = read(weight.grad(&loss.backward()).unwrap());
    assert_eq!(found, pair(&inputs, rows, &t, 1.0).1[2]);
}

/// More triples than a block, more distinct rows than a block, all of them often repeated.
#[test]
fn large_batches_agree_with_the_formula_and_threads_change_no_bit() {
    let (rows, d, h, b) = (700, 6, 4, 65_536);
    let inputs = pair_inputs(rows, d, h);
    let t = triples(b, rows as u32, 7);
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let (value, gradients) = pair(&inputs, rows, &t, 1.0);
            let table = tensor(&inputs[0], [rows, d], true);
            let loss = bpr_dot_own_l2(table.clone(), &t, 0.1);
            let mut all = vec![value, read(loss.clone())[0]];
            all.extend(read(table.grad(&loss.backward()).unwrap()));
            all.extend(gradients.concat());
            all.iter().map(|v| v.to_bits()).collect::<Vec<_>>()
        })
    };
    let one = run(1);
    assert_eq!(one, run(2));
    assert_eq!(one, run(3));
    let wide: Vec<Vec<f64>> = inputs.iter().map(|v| v.iter().map(|&v| f64::from(v)).collect()).collect();
    assert!((f64::from(f32::from_bits(one[0])) - pair_loss(&wide, d, &t)).abs() < 1e-5);
    let regularised =
        dot_loss(&wide[0], d, &t) + f64::from(0.1f32) / b as f64 * norms(&wide[0], d, all_rows(&t));
    assert!((f64::from(f32::from_bits(one[1])) - regularised).abs() < 1e-5);
    // Some directions by differences: one value of each input.
    let (_, found) = pair(&inputs, rows, &t, 1.0);
    for (part, k) in [(0, 4321 % (rows * d)), (1, 5), (2, 7), (3, 1), (4, 2)] {
        let mut at = wide.clone();
        let mut value = |delta: f64| {
            at[part][k] += delta;
            let v = pair_loss(&at, d, &t);
            at[part][k] -= delta;
            v
        };
        let expected = (value(1e-5) - value(-1e-5)) / 2e-5;
        assert!((f64::from(found[part][k]) - expected).abs() < 1e-5, "input {part}");
    }
}

#[test]
fn losses_that_saturate_stay_finite_and_bad_input_shows() {
    let t = Arc::new(Triples { users: vec![0], positives: vec![1], negatives: vec![2] });
    let table = tensor(&[1e4, 0.0, 1e4], [3, 1], true);
    let loss = bpr_dot(table.clone(), &t);
    assert_eq!(read(loss.clone()), [1e8]);
    assert_eq!(read(table.grad(&loss.backward()).unwrap()), [1e4, -1e4, 1e4]);
    let table = tensor(&[1e4, 1e4, 0.0], [3, 1], true);
    let loss = bpr_dot(table.clone(), &t);
    assert_eq!(read(loss.clone()), [0.0]);
    assert!(read(table.grad(&loss.backward()).unwrap()).iter().all(|&g| g == 0.0));
    assert!(read(bpr_dot(tensor(&[1.0, f32::NAN, 0.0], [3, 1], false), &t))[0].is_nan());
}

#[test]
#[should_panic(expected = "every row of the batch is below 2")]
fn a_row_outside_the_table_is_named() {
    let t = Arc::new(Triples { users: vec![0], positives: vec![1], negatives: vec![2] });
    bpr_dot(tensor(&[0.0; 4], [2, 2], false), &t);
}
