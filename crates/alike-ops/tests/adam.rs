//! The fused Adam step against the formula in double precision.
#![allow(clippy::unwrap_used)]

use alike_ops::{Adam, AdamState, adam_step};
use burn::backend::Flex;
use burn::tensor::{Device, Tensor, TensorData};

fn tensor<const D: usize>(values: &[f32], shape: [usize; D]) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), &Device::flex())
}

fn read<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec::<f32>().unwrap()
}

/// One parameter value and its moments.
#[derive(Clone, Copy)]
struct Scalar {
    p: f64,
    m: f64,
    v: f64,
}

impl Scalar {
    fn step(&mut self, g: f64, (lr, b1, b2, eps): (f64, f64, f64, f64), t: i32) {
        self.m = b1 * self.m + (1.0 - b1) * g;
        self.v = b2 * self.v + (1.0 - b2) * g * g;
        let (m, v) = (self.m / (1.0 - b1.powi(t)), self.v / (1.0 - b2.powi(t)));
        self.p -= lr * m / (v.sqrt() + eps);
    }
}

#[test]
fn first_step_is_the_learning_rate_against_the_sign() {
    let g = [3.0, -0.002, 1e-4, -50.0, 0.0];
    let mut state = AdamState::default();
    let adam = Adam { lr: 0.25, ..Adam::default() };
    let p = adam_step(tensor(&[1.0; 5], [5]), tensor(&g, [5]), &mut state, &adam, 1);
    for (p, g) in read(p).iter().zip(g) {
        let expected = if g == 0.0 { 1.0 } else { 1.0 - 0.25 * g.signum() };
        // eps = 1e-8 beside |g| = 1e-4 takes away a ten-thousandth of the step.
        assert!((p - expected).abs() < 5e-5, "{p} {expected}");
    }
    assert_eq!(state.values().map(|moments| moments.len()), [5, 5]);
}

#[test]
fn a_hundred_steps_follow_the_formula_for_vectors_and_matrices() {
    let constants = (0.02, 0.8, 0.95, 1e-3);
    let adam = Adam { lr: 0.02, beta1: 0.8, beta2: 0.95, eps: 1e-3 };
    let n = 35;
    let start: Vec<f32> = (0..n).map(|i| (i as f32 * 0.7).sin()).collect();
    let mut scalars: Vec<Scalar> =
        start.iter().map(|&p| Scalar { p: f64::from(p), m: 0.0, v: 0.0 }).collect();
    let (mut vector, mut matrix) = (tensor(&start, [n]), tensor(&start, [5, 7]));
    let (mut a, mut b) = (AdamState::default(), AdamState::default());
    for t in 1..=100u64 {
        let g: Vec<f32> = (0..n).map(|i| ((i as u64 * 31 + t * 17) as f32 * 0.37).sin() * 2.0).collect();
        scalars.iter_mut().zip(&g).for_each(|(s, &g)| s.step(f64::from(g), constants, t as i32));
        vector = adam_step(vector, tensor(&g, [n]), &mut a, &adam, t);
        matrix = adam_step(matrix, tensor(&g, [5, 7]), &mut b, &adam, t);
    }
    assert_eq!(matrix.dims(), [5, 7]);
    let [means, squares] = a.values();
    assert_eq!([&means, &squares], b.values().each_ref());
    let found = read(vector);
    assert_eq!(found, read(matrix));
    for ((found, m), s) in found.iter().zip(&means).zip(&scalars) {
        assert!((f64::from(*found) - s.p).abs() < 1e-5 && (f64::from(*m) - s.m).abs() < 1e-5);
    }
}

#[test]
fn a_shared_parameter_keeps_its_values_and_views_are_stepped_as_they_look() {
    let values: Vec<f32> = (0..12).map(|i| i as f32).collect();
    let (p, g) = (tensor(&values, [3, 4]), tensor(&[1.0; 12], [3, 4]));
    let kept = p.clone();
    let stepped = adam_step(p, g.clone(), &mut AdamState::default(), &Adam::default(), 1);
    assert_eq!(read(kept.clone()), values);
    assert!(read(stepped).iter().zip(&values).all(|(s, v)| (v - s - 1e-3).abs() < 1e-5));

    let step = |view: Tensor<2>, n: usize| {
        let before = read(view.clone());
        let grad = Tensor::ones(view.dims(), &Device::flex());
        let mut state = AdamState::default();
        let after = read(adam_step(view, grad, &mut state, &Adam::default(), 1));
        assert_eq!((before.len(), after.len(), state.values()[0].len()), (n, n, n));
        assert!(after.iter().zip(&before).all(|(a, b)| (b - a - 1e-3).abs() < 1e-5));
    };
    step(kept.clone().transpose(), 12);
    step(kept.clone().narrow(0, 1, 2), 8);
    step(kept.narrow(0, 0, 2), 8);
}

#[test]
fn an_unshared_parameter_changes_in_place() {
    let place = |p: Tensor<1>| {
        let raw = p.try_into_primitive::<Flex>().unwrap();
        raw.bytes().as_ptr() as usize
    };
    let p = tensor(&[0.5; 64], [64]);
    let before = place(p.clone());
    let p = adam_step(p, tensor(&[1.0; 64], [64]), &mut AdamState::default(), &Adam::default(), 1);
    assert_eq!(place(p.clone()), before);
    let moved =
        adam_step(p.clone(), tensor(&[1.0; 64], [64]), &mut AdamState::default(), &Adam::default(), 1);
    assert_ne!(place(moved), before);
}

#[test]
fn threads_change_no_bit() {
    let n = 100_003;
    let start: Vec<f32> = (0..n).map(|i| (i as f32 * 0.7).sin()).collect();
    let g: Vec<f32> = (0..n).map(|i| (i as f32 * 0.3).cos()).collect();
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut state = AdamState::default();
            let mut p = tensor(&start, [n]);
            for t in 1..=3 {
                p = adam_step(p, tensor(&g, [n]), &mut state, &Adam::default(), t);
            }
            read(p).iter().map(|v| v.to_bits()).collect::<Vec<_>>()
        })
    };
    let one = run(1);
    assert_eq!(one, run(2));
    assert_eq!(one, run(3));
}
