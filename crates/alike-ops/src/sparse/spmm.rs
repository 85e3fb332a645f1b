//! Products with a sparse matrix whose values are trained: attention weights, gated graphs.

use std::mem::MaybeUninit;
use std::ops::Range;
use std::sync::Arc;

use burn::tensor::Tensor;
use rayon::prelude::*;

use crate::autodiff::{Operator, apply2};
use crate::simd::f32x16::{F32x16, LANES};
use crate::simd::isa::Isa;
use crate::simd::kernel::kernel;
use crate::simd::prefetch::prefetch;
use crate::sparse::csr::Csr;
use crate::sparse::product::{Sparse, product};
use crate::tensor::dense::Dense;
use crate::tensor::partition::{balanced, cut_at};

/// `y_r = Σ_e v_e x_{idx(e)}` over the entries `e` of row `r`: pattern `[R, C]`, `values [nnz]`, `x [C, d]`,
/// result `[R, d]`.
///
/// Gradients, each computed only when asked for: `∂x = Aᵀ g` over the transposed pattern, `∂v_e = g_row(e) ·
/// x_{idx(e)}`.
///
/// # Panics
/// When there is not one value per entry or `x` does not have `C` rows.
pub fn spmm(a: &Arc<Csr>, values: Tensor<1>, x: Tensor<2>) -> Tensor<2> {
    apply2(Product { pattern: a.clone(), isa: Isa::best() }, values, x)
}

#[derive(Debug)]
struct Product {
    pattern: Arc<Csr>,
    isa: Isa,
}

impl Operator<2> for Product {
    type Saved = [Dense; 2];

    fn forward(&self, [values, x]: [Dense; 2], _: bool) -> (Dense, [Dense; 2]) {
        let p = &self.pattern;
        let a = Sparse { ptr: p.ptr(), idx: p.idx(), values: values.data() };
        let d = x.cols();
        let y = product(self.isa, a, x.data(), p.cols(), d, None, 1.0);
        (Dense::new(y, [p.rows(), d]), [values, x])
    }

    fn backward(
        &self,
        [values, x]: [Dense; 2],
        grad: Dense,
        [to_values, to_x]: [bool; 2],
    ) -> [Option<Dense>; 2] {
        let (p, d) = (&self.pattern, x.cols());
        let to_values = to_values.then(|| {
            let dv = entry_dots(self.isa, p, grad.data(), x.data(), d);
            Dense::new(dv, [p.nnz()])
        });
        let to_x = to_x.then(|| transposed_product(self.isa, p, values.data(), &grad));
        [to_values, to_x]
    }
}

/// `Aᵀ g` of a matrix of `p`'s entries with `values`, in their order: `g [R, d]`, result `[C, d]`.
pub(crate) fn transposed_product(isa: Isa, p: &Csr, values: &[f32], g: &Dense) -> Dense {
    let (t, d) = (p.transposed(), g.cols());
    let moved: Vec<f32> = t.edges.iter().map(|&e| values[e as usize]).collect();
    let a = Sparse { ptr: &t.ptr, idx: &t.rows, values: &moved };
    Dense::new(product(isa, a, g.data(), p.rows(), d, None, 1.0), [p.cols(), d])
}

/// `g_row · x_col` for every entry: `g [R, d]`, `x [C, d]`, result `[nnz]`.
fn entry_dots(isa: Isa, p: &Csr, g: &[f32], x: &[f32], d: usize) -> Vec<f32> {
    assert!(g.len() == p.rows() * d && x.len() == p.cols() * d, "one row of g and x per row and column");
    let rows = balanced(p.rows(), 4096, |r| p.ptr()[r] as usize + r);
    let entries: Vec<usize> = rows.iter().map(|&r| p.ptr()[r] as usize).collect();
    let mut dots = Vec::with_capacity(p.nnz());
    let parts = cut_at(&mut dots.spare_capacity_mut()[..p.nnz()], &entries);
    let ranges: Vec<Range<usize>> = rows.windows(2).map(|w| w[0]..w[1]).collect();
    ranges.into_par_iter().zip(parts).for_each(|(rows, out)| dots_kernel(isa, p, rows, g, x, d, out));
    // SAFETY: the blocks cover every entry and the kernel writes each.
    unsafe { dots.set_len(p.nnz()) };
    dots
}

kernel! {
    /// The entries of `rows`.
    fn dots_kernel = dots_body(
        p: &Csr,
        rows: Range<usize>,
        g: &[f32],
        x: &[f32],
        d: usize,
        out: &mut [MaybeUninit<f32>],
    )
}

#[inline(always)]
unsafe fn dots_body<V: F32x16>(
    p: &Csr,
    rows: Range<usize>,
    g: &[f32],
    x: &[f32],
    d: usize,
    out: &mut [MaybeUninit<f32>],
) {
    const AHEAD: usize = 12;
    let (groups, rest) = (d / LANES, d % LANES);
    let last = p.ptr()[rows.end] as usize;
    let mut out = out.iter_mut();
    for r in rows {
        let g = g[r * d..(r + 1) * d].as_ptr();
        for e in p.ptr()[r] as usize..p.ptr()[r + 1] as usize {
            if e + AHEAD < last {
                prefetch(x.as_ptr().wrapping_add(p.idx()[e + AHEAD] as usize * d), d.div_ceil(LANES));
            }
            // SAFETY: `Csr` keeps every index below the number of rows of `x`, each of `d` floats.
            let dot = unsafe {
                let x = x.as_ptr().add(p.idx()[e] as usize * d);
                let mut acc = V::zero();
                for k in 0..groups {
                    acc = acc.fma(V::load(g.add(k * LANES)), V::load(x.add(k * LANES)));
                }
                if rest > 0 {
                    let at = groups * LANES;
                    acc = acc.fma(V::load_part(g.add(at), rest), V::load_part(x.add(at), rest));
                }
                acc.sum()
            };
            out.next().expect("one output per entry").write(dot);
        }
    }
}

#[cfg(feature = "gpu")]
pub(crate) mod gpu;
#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::simd::isa::Isa;
    use crate::testing::{close, gradient, irregular, read, same_bits_for_any_threads, tensor, values};

    fn naive(p: &Csr, v: &[f64], x: &[f64], d: usize) -> Vec<f64> {
        let mut y = vec![0.0; p.rows() * d];
        for r in 0..p.rows() {
            for e in p.ptr()[r] as usize..p.ptr()[r + 1] as usize {
                for t in 0..d {
                    y[r * d + t] += v[e] * x[p.idx()[e] as usize * d + t];
                }
            }
        }
        y
    }

    #[test]
    fn both_gradients_are_right() {
        for d in [1, 6, 16, 21, 64, 75] {
            let p = Arc::new(irregular(9));
            let inputs = vec![values(p.nnz(), 1), values(9 * d, 2)];
            let (v, x) = (tensor(&inputs[0], [p.nnz()], true), tensor(&inputs[1], [9, d], true));
            let (v, x) = (v.require_grad(), x.require_grad());
            let y = spmm(&p, v.clone(), x.clone());
            let weights = values(p.rows() * d, 3);
            let grads = (y * tensor(&weights, [p.rows(), d], true)).sum().backward();
            let reference = |at: &[Vec<f64>]| naive(&p, &at[0], &at[1], d);
            gradient(&inputs, 0, &read(v.grad(&grads).unwrap()), &weights, reference, 1e-3);
            gradient(&inputs, 1, &read(x.grad(&grads).unwrap()), &weights, reference, 1e-3);
        }
    }

    #[test]
    fn one_gradient_alone_is_the_same_as_with_the_other() {
        let (p, d) = (Arc::new(irregular(9)), 5);
        let (v, x) = (values(p.nnz(), 1), values(9 * d, 2));
        let run = |to_v: bool, to_x: bool| {
            let (mut v, mut x) = (tensor(&v, [p.nnz()], true), tensor(&x, [9, d], true));
            if to_v {
                v = v.require_grad();
            }
            if to_x {
                x = x.require_grad();
            }
            let grads = spmm(&p, v.clone(), x.clone()).sum().backward();
            (v.grad(&grads).map(read), x.grad(&grads).map(read))
        };
        let (v_both, x_both) = run(true, true);
        assert_eq!(run(true, false), (v_both, None));
        assert_eq!(run(false, true), (None, x_both));
    }

    #[test]
    fn threads_do_not_change_bits() {
        let p = Arc::new(irregular(30));
        let (v, x) = (values(p.nnz(), 1), values(30 * 20, 2));
        same_bits_for_any_threads(|| {
            let (v, x) = (tensor(&v, [p.nnz()], true), tensor(&x, [30, 20], true));
            let (v, x) = (v.require_grad(), x.require_grad());
            let y = spmm(&p, v.clone(), x.clone());
            let grads = y.clone().powi_scalar(2).sum().backward();
            [read(y), read(v.grad(&grads).unwrap()), read(x.grad(&grads).unwrap())].concat()
        });
    }

    #[test]
    fn instruction_sets_agree_on_entry_gradients() {
        let p = irregular(30);
        for d in [3, 16, 40, 64] {
            let (g, x) = (values(p.rows() * d, 1), values(30 * d, 2));
            let portable = entry_dots(Isa::Portable, &p, &g, &x, d);
            for isa in Isa::supported() {
                close(&entry_dots(isa, &p, &g, &x, d), &portable, 1e-5);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn equals_the_dense_product(
            rows in prop::collection::vec(prop::collection::vec(0u32..13, 0..40), 0..20),
            d in 1usize..70,
            seed in 0u64..1000,
        ) {
            let p = Arc::new(Csr::from_rows(13, &rows).unwrap());
            let (v, x) = (values(p.nnz(), seed), values(13 * d, seed + 1));
            let wide = |v: &[f32]| v.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
            let expected: Vec<f32> = naive(&p, &wide(&v), &wide(&x), d).iter().map(|&v| v as f32).collect();
            // Burn has no empty tensors of rank 1 to hold no values.
            prop_assume!(p.nnz() > 0);
            let y = read(spmm(&p, tensor(&v, [p.nnz()], false), tensor(&x, [13, d], false)));
            close(&y, &expected, 1e-5);
        }
    }
}
