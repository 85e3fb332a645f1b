//! What the operators' tests share: gradients against finite differences, irregular patterns, naive products.

use burn::tensor::{Device, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::sparse::csr::Csr;

/// Uniform in -1..1, the same for the same seed.
pub(crate) fn values(n: usize, seed: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..n).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// A tensor of `values` on the plain device, or on the autodiff device.
pub(crate) fn tensor<const D: usize>(values: &[f32], shape: [usize; D], autodiff: bool) -> Tensor<D> {
    let device = if autodiff { Device::flex().autodiff() } else { Device::flex() };
    Tensor::from_data(TensorData::new(values.to_vec(), shape), &device)
}

/// The values of a tensor.
pub(crate) fn read<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec::<f32>().unwrap()
}

/// A rectangular pattern with an empty row, a repeated index, a row of one, a row of 70 entries and rows in
/// between.
pub(crate) fn irregular(cols: usize) -> Csr {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut rows: Vec<Vec<u32>> = vec![vec![], vec![0, 2, 2, 1], vec![cols as u32 - 1]];
    for n in [70, 2, 3, 5, 16, 0, 17, 33, 4, 61] {
        rows.push((0..n).map(|_| rng.random_range(0..cols as u32)).collect());
    }
    Csr::from_rows(cols, &rows).unwrap()
}

/// Compares the gradient of `Σ w ⊙ f(inputs)` (fixed random `w`) to `inputs[which]` with central differences
/// of `reference` (the same function in double precision, on all inputs, returning the result's values).
pub(crate) fn gradient(
    inputs: &[Vec<f32>],
    which: usize,
    found: &[f32],
    weights: &[f32],
    reference: impl Fn(&[Vec<f64>]) -> Vec<f64>,
    tolerance: f64,
) {
    let mut at: Vec<Vec<f64>> = inputs.iter().map(|v| v.iter().map(|&v| f64::from(v)).collect()).collect();
    let loss =
        |at: &[Vec<f64>]| -> f64 { reference(at).iter().zip(weights).map(|(&y, &w)| y * f64::from(w)).sum() };
    assert_eq!(found.len(), inputs[which].len());
    let step = 1e-5;
    let mut largest = 0f64;
    for i in 0..found.len() {
        let here = at[which][i];
        at[which][i] = here + step;
        let up = loss(&at);
        at[which][i] = here - step;
        let down = loss(&at);
        at[which][i] = here;
        let expected = (up - down) / (2.0 * step);
        largest = largest.max(expected.abs());
        let error = (expected - f64::from(found[i])).abs();
        assert!(
            error <= tolerance * (1.0 + expected.abs()),
            "input {which}, value {i}: found {}, expected {expected}",
            found[i]
        );
    }
    assert!(largest > 1e-3, "the check must see a gradient");
}

/// Asserts that two lists agree within `tolerance · (1 + |b|)`.
pub(crate) fn close(a: &[f32], b: &[f32], tolerance: f32) {
    assert_eq!(a.len(), b.len());
    for (i, (a, b)) in a.iter().zip(b).enumerate() {
        assert!((a - b).abs() <= tolerance * (1.0 + b.abs()), "value {i}: {a} and {b}");
    }
}

/// Runs `f` with 1, 2 and 3 threads and asserts equal bits.
pub(crate) fn same_bits_for_any_threads(f: impl Fn() -> Vec<f32> + Send + Sync) {
    let bits = |threads| -> Vec<u32> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(&f).iter().map(|v| v.to_bits()).collect()
    };
    let one = bits(1);
    assert_eq!(one, bits(2));
    assert_eq!(one, bits(3));
}
