//! Products with a sparse matrix of constant values: adjacencies and similarity graphs.

use std::sync::{Arc, OnceLock};

use burn::tensor::Tensor;

use crate::autodiff::{Operator, apply1};
use crate::error::OpsError;
use crate::simd::isa::Isa;
use crate::sparse::csr::Csr;
use crate::sparse::product::{Sparse, product};
use crate::tensor::dense::Dense;

/// A sparse matrix with constant values.
#[derive(Debug)]
pub struct ConstSparse {
    pattern: Arc<Csr>,
    values: Vec<f32>,
    /// `None` inside when the matrix equals its transpose.
    transposed: OnceLock<Option<Transpose>>,
    /// The matrix and its transpose on other devices.
    #[cfg(feature = "gpu")]
    copies: [crate::gpu::Cached<crate::gpu::DeviceMatrix>; 2],
}

#[derive(Debug)]
struct Transpose {
    pattern: Csr,
    values: Vec<f32>,
}

impl ConstSparse {
    /// A matrix of one value per entry of `pattern`.
    pub fn new(pattern: Arc<Csr>, values: Vec<f32>) -> Result<Self, OpsError> {
        if values.len() != pattern.nnz() {
            return Err(OpsError::Length { what: "values", found: values.len(), expected: pattern.nnz() });
        }
        Ok(Self::unchecked(pattern, values))
    }

    fn unchecked(pattern: Arc<Csr>, values: Vec<f32>) -> Self {
        Self {
            pattern,
            values,
            transposed: OnceLock::new(),
            #[cfg(feature = "gpu")]
            copies: Default::default(),
        }
    }

    /// The pattern of the entries.
    pub fn pattern(&self) -> &Arc<Csr> {
        &self.pattern
    }

    /// One value per entry.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Whether the matrix equals its transpose, entry by entry; then no transposed copy is kept.
    pub fn is_symmetric(&self) -> bool {
        self.transpose().is_none()
    }

    fn transpose(&self) -> Option<&Transpose> {
        self.transposed
            .get_or_init(|| {
                let pattern = self.pattern.transpose();
                let values: Vec<f32> =
                    self.pattern.transposed().edges.iter().map(|&e| self.values[e as usize]).collect();
                let same = pattern.ptr() == self.pattern.ptr()
                    && pattern.idx() == self.pattern.idx()
                    && values == self.values;
                (!same).then_some(Transpose { pattern, values })
            })
            .as_ref()
    }

    /// The rows `rows` of this matrix, in that order; with `identity` the rows of `I + A`.
    pub(crate) fn rows(&self, rows: &[u32], identity: bool) -> Self {
        let (p, extra) = (&self.pattern, usize::from(identity));
        assert!(!identity || p.rows() == p.cols(), "only a square matrix can be added to the identity");
        let count: usize = rows.iter().map(|&r| p.degree(r as usize) + extra).sum();
        let (mut ptr, mut idx) = (Vec::with_capacity(rows.len() + 1), Vec::with_capacity(count));
        let mut values = Vec::with_capacity(count);
        ptr.push(0);
        for &r in rows {
            let span = p.ptr()[r as usize] as usize..p.ptr()[r as usize + 1] as usize;
            idx.extend_from_slice(&p.idx()[span.clone()]);
            values.extend_from_slice(&self.values[span]);
            if identity {
                idx.push(r);
                values.push(1.0);
            }
            ptr.push(idx.len() as u32);
        }
        let pattern = Csr::new(rows.len(), p.cols(), ptr, idx).expect("rows of a matrix are rows");
        Self::unchecked(Arc::new(pattern), values)
    }

    fn view(&self) -> (Sparse<'_>, usize) {
        let p = &self.pattern;
        (Sparse { ptr: p.ptr(), idx: p.idx(), values: &self.values }, p.cols())
    }

    fn transposed_view(&self) -> (Sparse<'_>, usize) {
        match self.transpose() {
            None => self.view(),
            Some(t) => {
                (Sparse { ptr: t.pattern.ptr(), idx: t.pattern.idx(), values: &t.values }, t.pattern.cols())
            }
        }
    }
}

/// `A x`: `A [R, C]`, `x [C, d]`, result `[R, d]`. Gradient to `x`: `Aᵀ g`.
///
/// # Panics
/// When `x` does not have `C` rows.
pub fn spmm_const(a: &Arc<ConstSparse>, x: Tensor<2>) -> Tensor<2> {
    apply1(Propagation { a: a.clone(), layers: 1, add: false, scale: 1.0 }, x)
}

/// `(1/(L+1)) Σ_{l=0..L} Aˡ x`: LightGCN's mean over layers. `A [N, N]`, `x [N, d]`, result `[N, d]`;
/// gradient to `x`: the same with `Aᵀ`.
///
/// Computed as `x + A(x + A(… x))`, so that each layer is one pass and no layer is kept.
///
/// # Panics
/// When `A` is not square or `x` does not have `N` rows.
pub fn propagate_mean(a: &Arc<ConstSparse>, x: Tensor<2>, layers: usize) -> Tensor<2> {
    if layers == 0 {
        return x;
    }
    apply1(Propagation { a: a.clone(), layers, add: true, scale: 1.0 / (layers + 1) as f32 }, x)
}

/// `Σ_{l=0..L} Aˡ x`, as [`propagate_mean`] without the division.
pub fn propagate_sum(a: &Arc<ConstSparse>, x: Tensor<2>, layers: usize) -> Tensor<2> {
    if layers == 0 {
        return x;
    }
    apply1(Propagation { a: a.clone(), layers, add: true, scale: 1.0 }, x)
}

/// `x + A x`: `A [N, N]`, `x [N, d]`, result `[N, d]`. Gradient to `x`: `g + Aᵀ g`.
///
/// # Panics
/// When `A` is not square or `x` does not have `N` rows.
pub fn add_propagated(a: &Arc<ConstSparse>, x: Tensor<2>) -> Tensor<2> {
    propagate_sum(a, x, 1)
}

/// `z₀ = x`, `z_l = A z_{l-1} (+ x when add)`; result `scale · z_L`. Linear in `x`, so backward is the same
/// with `Aᵀ`.
#[derive(Debug)]
pub(crate) struct Propagation {
    pub(crate) a: Arc<ConstSparse>,
    pub(crate) layers: usize,
    pub(crate) add: bool,
    pub(crate) scale: f32,
}

impl Propagation {
    fn run(&self, (a, cols): (Sparse<'_>, usize), x: &Dense) -> Dense {
        let rows = a.ptr.len() - 1;
        assert!(
            rows == cols || !self.add,
            "only a square matrix can be applied and added, not {rows} × {cols}"
        );
        assert_eq!(x.rows(), cols, "rows of x and columns of the matrix");
        let d = x.cols();
        let add = self.add.then(|| x.data());
        let isa = Isa::best();
        let mut z = Vec::new();
        for layer in 1..=self.layers {
            let from = if layer == 1 { x.data() } else { &z };
            let scale = if layer == self.layers { self.scale } else { 1.0 };
            z = product(isa, a, from, cols, d, add, scale);
        }
        Dense::new(z, [rows, d])
    }
}

impl Operator<1> for Propagation {
    type Saved = ();

    fn forward(&self, [x]: [Dense; 1], _: bool) -> (Dense, ()) {
        (self.run(self.a.view(), &x), ())
    }

    fn backward(&self, (): (), grad: Dense, [needed]: [bool; 1]) -> [Option<Dense>; 1] {
        [needed.then(|| self.run(self.a.transposed_view(), &grad))]
    }
}

#[cfg(feature = "gpu")]
mod gpu;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::isa::Isa;
    use crate::testing::{close, gradient, irregular, read, same_bits_for_any_threads, tensor, values};

    fn rectangular(cols: usize) -> Arc<ConstSparse> {
        let pattern = Arc::new(irregular(cols));
        let nnz = pattern.nnz();
        Arc::new(ConstSparse::new(pattern, values(nnz, 1)).unwrap())
    }

    fn square() -> Arc<ConstSparse> {
        let rows: Vec<Vec<u32>> =
            vec![vec![1, 3, 3], vec![], vec![0], (0..9).map(|i| i % 5).collect(), vec![4, 2]];
        let pattern = Arc::new(Csr::from_rows(5, &rows).unwrap());
        let nnz = pattern.nnz();
        Arc::new(ConstSparse::new(pattern, values(nnz, 2)).unwrap())
    }

    fn naive(a: &ConstSparse, x: &[f64], d: usize) -> Vec<f64> {
        let p = a.pattern();
        let mut out = vec![0.0; p.rows() * d];
        for r in 0..p.rows() {
            for e in p.ptr()[r] as usize..p.ptr()[r + 1] as usize {
                let j = p.idx()[e] as usize;
                for t in 0..d {
                    out[r * d + t] += f64::from(a.values()[e]) * x[j * d + t];
                }
            }
        }
        out
    }

    fn check(
        x: &[f32],
        shape: [usize; 2],
        f: impl Fn(Tensor<2>) -> Tensor<2>,
        reference: impl Fn(&[f64]) -> Vec<f64>,
    ) {
        let plain = read(f(tensor(x, shape, false)));
        let wide: Vec<f64> = x.iter().map(|&v| f64::from(v)).collect();
        close(&plain, &reference(&wide).iter().map(|&v| v as f32).collect::<Vec<_>>(), 1e-5);
        let leaf = tensor(x, shape, true).require_grad();
        let y = f(leaf.clone());
        let weights = values(plain.len(), 9);
        let dims = y.dims();
        let grads = (y * tensor(&weights, dims, true)).sum().backward();
        let found = read(leaf.grad(&grads).unwrap());
        gradient(&[x.to_vec()], 0, &found, &weights, |at| reference(&at[0]), 1e-3);
    }

    #[test]
    fn product_and_gradient_are_right_on_a_rectangular_matrix() {
        for d in [1, 7, 16, 37, 64, 100] {
            let a = rectangular(11);
            check(&values(11 * d, 3), [11, d], |x| spmm_const(&a, x), |x| naive(&a, x, d));
        }
    }

    #[test]
    fn layers_and_gradients_are_right_on_an_asymmetric_matrix() {
        let (a, d) = (square(), 5);
        assert!(!a.is_symmetric());
        let x = values(5 * d, 4);
        for layers in [0, 1, 2, 3] {
            let reference = |x: &[f64]| {
                let (mut z, mut sum) = (x.to_vec(), x.to_vec());
                for _ in 0..layers {
                    z = naive(&a, &z, d);
                    sum.iter_mut().zip(&z).for_each(|(s, z)| *s += z);
                }
                sum.iter().map(|s| s / (layers + 1) as f64).collect()
            };
            check(&x, [5, d], |x| propagate_mean(&a, x, layers), reference);
        }
        let reference = |x: &[f64]| naive(&a, x, d).iter().zip(x).map(|(y, x)| x + y).collect();
        check(&x, [5, d], |x| add_propagated(&a, x), reference);
    }

    #[test]
    fn rows_are_those_of_the_product() {
        let (a, d) = (square(), 3);
        let x = tensor(&values(5 * d, 4), [5, d], false);
        let rows = [3u32, 0, 3];
        let pick = |full: Vec<f32>| {
            rows.iter().flat_map(|r| full[*r as usize * d..][..d].to_vec()).collect::<Vec<_>>()
        };
        let plain = read(spmm_const(&Arc::new(a.rows(&rows, false)), x.clone()));
        close(&plain, &pick(read(spmm_const(&a, x.clone()))), 1e-6);
        let with = read(spmm_const(&Arc::new(a.rows(&rows, true)), x.clone()));
        close(&with, &pick(read(add_propagated(&a, x))), 1e-6);
    }

    #[test]
    fn a_symmetric_matrix_is_known_as_such() {
        let pattern = Arc::new(Csr::from_rows(3, &[vec![1u32], vec![0, 2], vec![1]]).unwrap());
        let a = ConstSparse::new(pattern.clone(), vec![1.0, 1.0, 3.0, 3.0]).unwrap();
        assert!(a.is_symmetric());
        assert!(!ConstSparse::new(pattern, vec![1.0, 2.0, 3.0, 3.0]).unwrap().is_symmetric());
    }

    #[test]
    fn a_wrong_number_of_values_is_an_error() {
        let error = ConstSparse::new(Arc::new(irregular(5)), vec![1.0]).unwrap_err();
        assert!(matches!(error, OpsError::Length { found: 1, .. }));
    }

    #[test]
    fn threads_do_not_change_bits() {
        let a = rectangular(40);
        let x = values(40 * 20, 6);
        same_bits_for_any_threads(|| read(spmm_const(&a, tensor(&x, [40, 20], false))));
    }

    #[test]
    fn instruction_sets_agree() {
        let a = rectangular(40);
        for d in [3, 16, 50, 64, 130] {
            let x = values(40 * d, 6);
            let add = values(a.pattern().rows() * d, 7);
            let run = |isa| product(isa, a.view().0, &x, 40, d, Some(&add), 0.3);
            for isa in Isa::supported() {
                close(&run(isa), &run(Isa::Portable), 1e-5);
            }
        }
    }

    #[test]
    fn views_that_are_not_row_major_are_read_right() {
        let a = rectangular(11);
        let x = values(11 * 6, 3);
        let straight = read(spmm_const(&a, tensor(&x, [11, 6], false)));
        let turned: Vec<f32> = (0..66).map(|i| x[(i % 11) * 6 + i / 11]).collect();
        assert_eq!(straight, read(spmm_const(&a, tensor(&turned, [6, 11], false).transpose())));
        let longer: Vec<f32> = values(12, 8).into_iter().chain(x.iter().copied()).collect();
        let part = tensor(&longer, [13, 6], false).slice([2..13, 0..6]);
        assert_eq!(straight, read(spmm_const(&a, part)));
    }
}
