//! What tests of graphs share.

use alike_ops::{ConstSparse, Csr};

/// Features of the four items in two modalities; the last item has none in the second.
pub(super) const IMAGE: [f32; 8] = [1.0, 0.2, 0.4, 1.0, -0.9, 0.3, 0.8, -0.5];
pub(super) const TEXT: [f32; 12] = [0.2, 0.9, 0.1, 0.7, 0.1, 0.4, 0.3, 0.8, 0.6, 0.0, 0.0, 0.0];

/// What five users took of four items: u0 0 1 2, u1 0 1, u2 2, u3 none, u4 0.
pub(super) fn toy() -> Csr {
    Csr::from_rows(4, &[vec![0, 1, 2], vec![0, 1], vec![2], vec![], vec![0]]).unwrap()
}

/// The cosine of two rows of `values`, `dim` wide; 0 where one has no length.
pub(super) fn cosine(values: &[f32], dim: usize, i: usize, j: usize) -> f64 {
    let row = |i: usize| values[i * dim..(i + 1) * dim].iter().map(|&v| f64::from(v));
    let product = |i, j| row(i).zip(row(j)).map(|(a, b)| a * b).sum::<f64>();
    let norms = (product(i, i) * product(j, j)).sqrt();
    if norms > 0.0 { product(i, j) / norms } else { 0.0 }
}

/// `D^-1/2 W D^-1/2` of a dense `W [n, n]` with the row sums in `D`, 0 where one is 0.
pub(super) fn normalised(w: &[f64], n: usize) -> Vec<f64> {
    let sums: Vec<f64> = w.chunks(n).map(|row| row.iter().sum()).collect();
    let scaled = |at: usize| (sums[at / n] * sums[at % n]).sqrt();
    (0..n * n).map(|at| if scaled(at) > 0.0 { w[at] / scaled(at) } else { 0.0 }).collect()
}

/// Asserts that `found` has the values `wanted`.
#[track_caller]
pub(super) fn assert_is(found: &ConstSparse, wanted: &[f64]) {
    let (rows, cols) = (found.pattern().rows(), found.pattern().cols());
    let mut all = vec![0f64; rows * cols];
    let (p, values) = (found.pattern(), found.values());
    for r in 0..rows {
        let places = p.ptr()[r] as usize..p.ptr()[r + 1] as usize;
        places.for_each(|at| all[r * cols + p.idx()[at] as usize] += f64::from(values[at]));
    }
    let near = all.len() == wanted.len() && all.iter().zip(wanted).all(|(f, w)| (f - w).abs() < 1e-6);
    assert!(near, "{all:?}, not {wanted:?}");
}
