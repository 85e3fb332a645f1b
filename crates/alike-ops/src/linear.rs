//! Affine map, activation and row scale in one pass: `y = s ⊙ φ(x W + b)`.
//!
//! `x [n, p]`, `W [p, q]`, `b [q]`, `y [n, q]`; `φ` the identity or a leaky rectifier with a positive slope;
//! `s_t = 1/√deg_t` of a pattern's row, 0 for an empty row, or 1. Backward, with `h = s ⊙ φ'(y) ⊙ g`:
//! `∂x = h Wᵀ`, `∂W = xᵀ h`, `∂b = Σ_t h_t`. The sign of `y` is that of the argument of `φ`, so only `y` is kept.

use std::mem::MaybeUninit;
use std::ops::Range;
use std::sync::Arc;

use burn::backend::autodiff::{
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::{
    Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension, tensor::FloatTensor,
};
use burn::tensor::Tensor;
use gemm::Parallelism;
use rayon::prelude::*;

use crate::Csr;
use crate::dense::{collect_rows, cut, uniform};
use crate::flex::{matrix, slice};

/// What follows an affine map.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Activation {
    /// Nothing.
    None,
    /// `max(v, slope · v)` with a slope in (0, 1).
    Leaky(f32),
}

/// `s ⊙ φ(x W + b)`, see the module's head.
pub fn linear(
    x: Tensor<2>,
    weight: Tensor<2>,
    bias: Tensor<1>,
    activation: Activation,
    row_scale: Option<&Arc<Csr>>,
) -> Tensor<2> {
    let spec = Spec { activation, row_scale: row_scale.cloned() };
    let out = <Dispatch as LinearOps>::affine(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        spec,
    );
    Tensor::from_dispatch(out)
}

/// `x W`.
pub fn matmul(x: Tensor<2>, weight: Tensor<2>) -> Tensor<2> {
    let device = x.device();
    let width = weight.dims()[1];
    let bias = if device.is_autodiff() {
        Tensor::from_inner(Tensor::<1>::zeros([width], &device.inner()))
    } else {
        Tensor::zeros([width], &device)
    };
    linear(x, weight, bias, Activation::None, None)
}

/// Everything but the tensors.
#[derive(Debug, Clone)]
pub(crate) struct Spec {
    activation: Activation,
    row_scale: Option<Arc<Csr>>,
}

impl Spec {
    fn scale(&self, row: usize) -> f32 {
        match &self.row_scale {
            None => 1.0,
            Some(p) if p.degree(row) == 0 => 0.0,
            Some(p) => 1.0 / (p.degree(row) as f32).sqrt(),
        }
    }
}

/// The operator on backend tensors.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait LinearOps: Backend {
    /// Forward.
    fn affine(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        b: FloatTensor<Self>,
        spec: Spec,
    ) -> FloatTensor<Self>;
    /// Gradients of `x`, `w` and `b` from that of the output.
    fn affine_backward(
        g: FloatTensor<Self>,
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        y: FloatTensor<Self>,
        spec: Spec,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

/// Rows a block; fixed, so that sums do not depend on the number of threads.
const BLOCK: usize = 1024;

/// `c[m, n] (+)= a[m, k] · b[k, n]`, each with row and column stride.
#[allow(clippy::too_many_arguments)]
pub(crate) fn product(
    m: usize,
    n: usize,
    k: usize,
    c: &mut [f32],
    add: bool,
    a: (&[f32], [isize; 2]),
    b: (&[f32], [isize; 2]),
) {
    assert!(c.len() >= m * n, "the result holds its shape");
    // SAFETY: a slice of `f32` is a place for `f32`, and valid values are written to it only.
    let c = unsafe { &mut *(std::ptr::from_mut(c) as *mut [MaybeUninit<f32>]) };
    // SAFETY: `c` was initialised.
    unsafe { product_to(m, n, k, c, add, a, b) }
}

/// [`product`] to a place that is not initialised unless `add` is set; the first `m · n` values are afterwards.
///
/// # Safety
/// With `add` the place must be initialised.
unsafe fn product_to(
    m: usize,
    n: usize,
    k: usize,
    c: &mut [MaybeUninit<f32>],
    add: bool,
    a: (&[f32], [isize; 2]),
    b: (&[f32], [isize; 2]),
) {
    assert!(c.len() >= m * n && a.0.len() >= m * k && b.0.len() >= k * n, "operands hold their shapes");
    if m * n == 0 {
        return;
    }
    // SAFETY: the operands are dense matrices of these sizes (asserted above) and `c` is not aliased; without `add` it is
    // written and not read.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c.as_mut_ptr().cast(),
            1,
            n as isize,
            add,
            a.0.as_ptr(),
            a.1[1],
            a.1[0],
            b.0.as_ptr(),
            b.1[1],
            b.1[0],
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

impl LinearOps for Flex {
    fn affine(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        b: FloatTensor<Self>,
        spec: Spec,
    ) -> FloatTensor<Self> {
        let (n, p, q) = (x.shape()[0], x.shape()[1], w.shape()[1]);
        let (x, w, b) = (x.to_contiguous(), w.to_contiguous(), b.to_contiguous());
        let (xs, ws, bs) = (slice(&x), slice(&w), slice(&b));
        assert!(ws.len() == p * q && bs.len() == q, "weight is [{p}, {q}] and bias [{q}]");
        let block = |rows: Range<usize>, out: &mut [MaybeUninit<f32>]| {
            for row in out.chunks_exact_mut(q) {
                row.write_copy_of_slice(bs);
            }
            // SAFETY: the loop above wrote every row.
            let out = unsafe { out.assume_init_mut() };
            let xs = &xs[rows.start * p..rows.end * p];
            product(rows.len(), q, p, out, true, (xs, [p as isize, 1]), (ws, [q as isize, 1]));
            if spec.row_scale.is_none() && spec.activation == Activation::None {
                return;
            }
            for (r, row) in rows.zip(out.chunks_exact_mut(q)) {
                let s = spec.scale(r);
                match spec.activation {
                    Activation::None => row.iter_mut().for_each(|v| *v *= s),
                    Activation::Leaky(slope) => row.iter_mut().for_each(|v| *v = s * v.max(slope * *v)),
                }
            }
        };
        // SAFETY: each block is written whole before anything else.
        matrix(unsafe { collect_rows(q, &uniform(n, BLOCK), block) }, n, q)
    }

    fn affine_backward(
        g: FloatTensor<Self>,
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        y: FloatTensor<Self>,
        spec: Spec,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let (n, p, q) = (x.shape()[0], x.shape()[1], w.shape()[1]);
        let (g, x, w, y) = (g.to_contiguous(), x.to_contiguous(), w.to_contiguous(), y.to_contiguous());
        let (gs, xs, ws, ys) = (slice(&g), slice(&x), slice(&w), slice(&y));
        let mut dw = vec![0f32; p * q];
        let mut db = vec![0f32; q];
        let mut dx = Vec::with_capacity(n * p);
        let parts: Vec<(Vec<f32>, Vec<f32>)> =
            cut(&mut dx.spare_capacity_mut()[..n * p], p, &uniform(n, BLOCK))
                .into_par_iter()
                .map(|(block, dx)| {
                    let rows = block.len();
                    let span = block.start * q..block.end * q;
                    let mut h = gs[span.clone()].to_vec();
                    let mut db = vec![0f32; q];
                    for ((r, h), y) in block.clone().zip(h.chunks_exact_mut(q)).zip(ys[span].chunks_exact(q))
                    {
                        let s = spec.scale(r);
                        match spec.activation {
                            Activation::None if spec.row_scale.is_none() => {}
                            Activation::None => h.iter_mut().for_each(|h| *h *= s),
                            Activation::Leaky(slope) => {
                                let low = s * slope;
                                h.iter_mut().zip(y).for_each(|(h, y)| *h *= if *y > 0.0 { s } else { low });
                            }
                        }
                        db.iter_mut().zip(&*h).for_each(|(d, h)| *d += h);
                    }
                    // SAFETY: nothing is added to what stands there.
                    unsafe {
                        product_to(rows, p, q, dx, false, (&h, [q as isize, 1]), (ws, [1, q as isize]))
                    };
                    let mut dw = vec![0f32; p * q];
                    let xs = &xs[block.start * p..block.end * p];
                    product(p, q, rows, &mut dw, false, (xs, [1, p as isize]), (&h, [q as isize, 1]));
                    (dw, db)
                })
                .collect();
        // SAFETY: the blocks cover `n` rows, and each was written by its product.
        unsafe { dx.set_len(n * p) };
        for (part_w, part_b) in &parts {
            dw.iter_mut().zip(part_w).for_each(|(d, v)| *d += v);
            db.iter_mut().zip(part_b).for_each(|(d, v)| *d += v);
        }
        let db = crate::flex::vector(db);
        (matrix(dx, n, p), matrix(dw, p, q), db)
    }
}

impl<B: LinearOps, C: CheckpointStrategy> LinearOps for Autodiff<B, C> {
    fn affine(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        b: FloatTensor<Self>,
        spec: Spec,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Linear;
        impl<B: LinearOps> Backward<B, 3> for Linear {
            type State = (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>, Spec);
            fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
                let g = grads.consume::<B>(&ops.node);
                let (x, w, y, spec) = ops.state;
                let (dx, dw, db) = B::affine_backward(g, x, w, y, spec);
                for (parent, d) in ops.parents.into_iter().zip([dx, dw, db]) {
                    if let Some(node) = parent {
                        grads.register::<B>(node.id, d);
                    }
                }
            }
        }
        let nodes = [x.node(), w.node(), b.node()];
        let (x, w, b) = (x.into_primitive(), w.into_primitive(), b.into_primitive());
        match Linear.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let y = B::affine(x.clone(), w.clone(), b, spec.clone());
                prep.finish((x, w, y.clone(), spec), y)
            }
            OpsKind::UnTracked(prep) => prep.finish(B::affine(x, w, b, spec)),
        }
    }

    fn affine_backward(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: Spec,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        unreachable!("a gradient is not differentiated again")
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};
    use rand::{RngExt, SeedableRng};

    use super::*;

    fn random(n: usize, seed: u64) -> Vec<f32> {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        (0..n).map(|_| rng.random_range(-1.0..1.0)).collect()
    }

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
        let (x, w, b, g) = (random(n * p, 1), random(p * q, 2), random(q, 3), random(n * q, 4));
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
}
