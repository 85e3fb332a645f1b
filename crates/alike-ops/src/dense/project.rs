//! Projection of frozen dense features: `Y = X W` with `X [n, f]` constant and `W [f, d]` trained.
//!
//! Backward: `∂W = Xᵀ ∂Y`, read from a transposed copy of `X` that is made once, so that both products read
//! their large operand along its rows.

use std::mem::MaybeUninit;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use burn::tensor::Tensor;
use rayon::prelude::*;

use crate::autodiff::{Operator, apply1};
use crate::dense::gemm::product;
use crate::error::OpsError;
use crate::tensor::dense::Dense;
use crate::tensor::partition::{collect_rows, for_rows, uniform};

/// Constant features `[rows, cols]` with their transposed copy.
#[derive(Debug)]
pub struct FrozenFeatures {
    rows: usize,
    cols: usize,
    values: Vec<f32>,
    transposed: OnceLock<Vec<f32>>,
    #[cfg(feature = "gpu")]
    copies: crate::gpu::Cached<crate::gpu::Gpu>,
}

impl FrozenFeatures {
    /// Features from row-major `values`, `rows × cols` of them.
    pub fn new(values: Vec<f32>, rows: usize, cols: usize) -> Result<Self, OpsError> {
        if values.len() != rows * cols {
            return Err(OpsError::Length { what: "features", found: values.len(), expected: rows * cols });
        }
        Ok(Self {
            rows,
            cols,
            values,
            transposed: OnceLock::new(),
            #[cfg(feature = "gpu")]
            copies: Default::default(),
        })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Width of a row.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// The values, row-major.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    fn transposed(&self) -> &[f32] {
        self.transposed.get_or_init(|| {
            const TILE: usize = 32;
            let (rows, cols) = (self.rows, self.cols);
            let mut out = vec![0f32; rows * cols];
            if rows * cols == 0 {
                return out;
            }
            out.par_chunks_mut(TILE * rows).enumerate().for_each(|(block, out)| {
                let first = block * TILE;
                for from in (0..rows).step_by(TILE) {
                    for r in from..(from + TILE).min(rows) {
                        let row = &self.values[r * cols + first..];
                        for (c, out) in out.chunks_exact_mut(rows).enumerate() {
                            out[r] = row[c];
                        }
                    }
                }
            });
            out
        })
    }
}

/// `X W`: `weight [f, d]` → `[n, d]`; gradient to `weight` only.
pub fn project(x: &Arc<FrozenFeatures>, weight: Tensor<2>) -> Tensor<2> {
    apply1(Project(x.clone()), weight)
}

#[derive(Debug)]
struct Project(Arc<FrozenFeatures>);

/// The rows `rows` of `X W`, in that order: `weight [f, d]` → `[r, d]`; gradient to `weight` only.
///
/// # Panics
/// When a row is not one of `X` or the shapes do not fit.
pub fn project_rows(x: &Arc<FrozenFeatures>, rows: &[u32], weight: Tensor<2>) -> Tensor<2> {
    apply1(ProjectRows { x: x.clone(), rows: rows.to_vec() }, weight)
}

#[derive(Debug)]
struct ProjectRows {
    x: Arc<FrozenFeatures>,
    rows: Vec<u32>,
}

impl Operator<1> for ProjectRows {
    /// The rows of the features, `[r, f]`.
    type Saved = Arc<Vec<f32>>;

    fn forward(&self, [w]: [Dense; 1], _: bool) -> (Dense, Self::Saved) {
        let (n, f, d) = (self.rows.len(), self.x.cols, w.cols());
        assert_eq!(w.rows(), f, "one row of the weight per column of the features");
        let bounds = uniform(n, rows_per_task(n));
        let copy = |rows: Range<usize>, out: &mut [MaybeUninit<f32>]| {
            for (&row, out) in self.rows[rows].iter().zip(out.chunks_exact_mut(f.max(1))) {
                out.write_copy_of_slice(&self.x.values[row as usize * f..][..f]);
            }
        };
        // SAFETY: each row is written whole.
        let own = unsafe { collect_rows(f, &bounds, copy) };
        let mut out = vec![0f32; n * d];
        for_rows(&mut out, d, &bounds, |rows, out| {
            let from = &own[rows.start * f..rows.end * f];
            product(rows.len(), d, f, out, false, (from, [f as isize, 1]), (w.data(), [d as isize, 1]));
        });
        (Dense::new(out, [n, d]), Arc::new(own))
    }

    fn backward(&self, own: Self::Saved, grad: Dense, [needed]: [bool; 1]) -> [Option<Dense>; 1] {
        let (n, f, d) = (self.rows.len(), self.x.cols, grad.cols());
        let gradient = || {
            let mut out = vec![0f32; f * d];
            for_rows(&mut out, d, &uniform(f, rows_per_task(f)), |columns, out| {
                let (here, from) = (columns.len(), own.get(columns.start..).unwrap_or_default());
                product(here, d, n, out, false, (from, [1, f as isize]), (grad.data(), [d as isize, 1]));
            });
            Dense::new(out, [f, d])
        };
        [needed.then(gradient)]
    }
}

/// Rows of the result per task: fewer where there are few, so that all threads have work.
fn rows_per_task(rows: usize) -> usize {
    (rows / 8).next_multiple_of(16).clamp(16, 512)
}

/// `values m`: `values [rows, inner]`, `m [inner, d]`.
fn times(values: &[f32], [rows, inner]: [usize; 2], m: &Dense) -> Dense {
    assert_eq!(m.rows(), inner, "the other operand has one row per column of the features");
    let (d, step) = (m.cols(), rows_per_task(rows));
    let mut out = vec![0f32; rows * d];
    out.par_chunks_mut((step * d).max(1)).enumerate().for_each(|(block, out)| {
        let here = out.len() / d;
        let from = &values[block * step * inner..(block * step + here) * inner];
        product(here, d, inner, out, false, (from, [inner as isize, 1]), (m.data(), [d as isize, 1]));
    });
    Dense::new(out, [rows, d])
}

impl Operator<1> for Project {
    type Saved = ();

    fn forward(&self, [weight]: [Dense; 1], _: bool) -> (Dense, ()) {
        let x = &self.0;
        (times(&x.values, [x.rows, x.cols], &weight), ())
    }

    fn backward(&self, (): (), grad: Dense, [needed]: [bool; 1]) -> [Option<Dense>; 1] {
        let x = &self.0;
        [needed.then(|| times(x.transposed(), [x.cols, x.rows], &grad))]
    }
}

#[cfg(feature = "gpu")]
mod gpu;
#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;
    use crate::testing::{close, read, tensor, values};

    #[test]
    fn the_product_is_linear_and_its_gradient_the_transposed_product() {
        let (n, f, d) = (301, 37, 5);
        let value = |k: usize| ((k * 37 + 11) % 101) as f32 / 50.0 - 1.0;
        let x: Vec<f32> = (0..n * f).map(value).collect();
        let features = Arc::new(FrozenFeatures::new(x.clone(), n, f).unwrap());
        let device = Device::flex().autodiff();
        let w: Vec<f32> = (0..f * d).map(|k| value(k + 7)).collect();
        let g: Vec<f32> = (0..n * d).map(|k| value(k + 3)).collect();
        let tw = Tensor::<2>::from_data(TensorData::new(w.clone(), [f, d]), &device).require_grad();
        let tg = Tensor::<2>::from_data(TensorData::new(g.clone(), [n, d]), &device);
        let y = project(&features, tw.clone());
        let grads = (y.clone() * tg).sum().backward();
        let y = y.into_data().try_into_vec::<f32>().unwrap();
        let dw = tw.grad(&grads).unwrap().into_data().try_into_vec::<f32>().unwrap();
        for (r, c) in [(0, 0), (300, 4), (129, 2)] {
            let expected: f64 = (0..f).map(|k| f64::from(x[r * f + k]) * f64::from(w[k * d + c])).sum();
            assert!((f64::from(y[r * d + c]) - expected).abs() < 1e-4);
        }
        for (k, c) in [(0, 0), (36, 4), (17, 3)] {
            let expected: f64 = (0..n).map(|r| f64::from(x[r * f + k]) * f64::from(g[r * d + c])).sum();
            assert!((f64::from(dw[k * d + c]) - expected).abs() < 1e-3);
        }
        assert!(FrozenFeatures::new(vec![0.0; 5], 2, 3).is_err());
    }

    #[test]
    fn some_rows_are_as_in_the_whole_product_and_so_is_their_gradient() {
        let (n, f, d) = (301, 37, 5);
        let features = Arc::new(FrozenFeatures::new(values(n * f, 1), n, f).unwrap());
        let (w, g) = (values(f * d, 2), values(n * d, 3));
        // Any order, one row twice, and none at all.
        let some: Vec<u32> = (0..90).map(|k| k * 77 % 301).chain([5, 5]).collect();
        for rows in [&some[..], &[]] {
            let mut whole = vec![0f32; n * d];
            for (k, &r) in rows.iter().enumerate() {
                for c in 0..d {
                    whole[r as usize * d + c] += g[k * d + c];
                }
            }
            let leaves = [(); 2].map(|()| tensor(&w, [f, d], true).require_grad());
            let (y, all) =
                (project_rows(&features, rows, leaves[0].clone()), project(&features, leaves[1].clone()));
            let wanted: Vec<f32> = {
                let all = read(all.clone());
                rows.iter().flat_map(|&r| all[r as usize * d..][..d].to_vec()).collect()
            };
            close(&read(y.clone()), &wanted, 1e-5);
            let own = (y * tensor(&g[..rows.len() * d], [rows.len(), d], true)).sum().backward();
            let all = (all * tensor(&whole, [n, d], true)).sum().backward();
            close(&read(leaves[0].grad(&own).unwrap()), &read(leaves[1].grad(&all).unwrap()), 1e-4);
        }
    }
}
