//! Sparse times dense.
//!
//! `Y = A X` with `A [R, C]` in compressed rows and `X [C, d]`: `y_r = Σ_e a_e x_{idx(e)}` over the entries of row
//! `r`. Backward: `∂X = Aᵀ ∂Y` over the transposed pattern, `∂a_e = ∂y_{row(e)} · x_{idx(e)}`.

use std::sync::{Arc, OnceLock};

use burn::backend::autodiff::{
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::{
    Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension, tensor::FloatTensor,
};
use burn::tensor::Tensor;
use rayon::prelude::*;

use crate::flex::{dense, slice, vector};
use crate::simd::{axpy, dispatch, dot};
use crate::{Csr, OpsError};

/// A sparse matrix with constant values.
#[derive(Debug)]
pub struct FixedSparse {
    pattern: Arc<Csr>,
    values: Vec<f32>,
    transposed: OnceLock<Option<(Csr, Vec<f32>)>>,
}

impl FixedSparse {
    /// A matrix of `pattern` with one value an entry.
    pub fn new(pattern: Arc<Csr>, values: Vec<f32>) -> Result<Self, OpsError> {
        if values.len() != pattern.nnz() {
            return Err(OpsError::Length { what: "values", found: values.len(), expected: pattern.nnz() });
        }
        Ok(Self { pattern, values, transposed: OnceLock::new() })
    }

    /// The pattern.
    pub fn pattern(&self) -> &Arc<Csr> {
        &self.pattern
    }

    /// Values in the order of the pattern's entries.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The transposed matrix, made once; the matrix itself where it is symmetric.
    fn transposed(&self) -> (&Csr, &[f32]) {
        let made = self.transposed.get_or_init(|| {
            let t = self.pattern.transposed();
            let values: Vec<f32> = t.edges.iter().map(|&e| self.values[e as usize]).collect();
            let symmetric =
                t.ptr == self.pattern.ptr() && t.rows == self.pattern.idx() && values == self.values;
            (!symmetric).then(|| (self.pattern.transpose(), values))
        });
        match made {
            Some((pattern, values)) => (pattern, values),
            None => (&self.pattern, &self.values),
        }
    }
}

/// `A X` with values that may have gradients: `values [nnz]`, `x [C, d]` → `[R, d]`.
pub fn spmm(a: &Arc<Csr>, values: Tensor<1>, x: Tensor<2>) -> Tensor<2> {
    Tensor::from_dispatch(<Dispatch as SparseOps>::spmm(values.into_dispatch(), x.into_dispatch(), a.clone()))
}

/// `A X` with constant values: `x [C, d]` → `[R, d]`.
pub fn spmm_fixed(a: &Arc<FixedSparse>, x: Tensor<2>) -> Tensor<2> {
    Tensor::from_dispatch(<Dispatch as SparseOps>::polynomial(
        x.into_dispatch(),
        a.clone(),
        Kind::Product,
        false,
    ))
}

/// `1/(L+1) Σ_{l=0..L} A^l X` for a square `A`, in one pass forward and one backward.
pub fn propagate_mean(a: &Arc<FixedSparse>, x: Tensor<2>, layers: usize) -> Tensor<2> {
    let kind = Kind::Mean(layers);
    Tensor::from_dispatch(<Dispatch as SparseOps>::polynomial(x.into_dispatch(), a.clone(), kind, false))
}

/// `X + A X` for a square `A`.
pub fn add_propagated(a: &Arc<FixedSparse>, x: Tensor<2>) -> Tensor<2> {
    Tensor::from_dispatch(<Dispatch as SparseOps>::polynomial(
        x.into_dispatch(),
        a.clone(),
        Kind::Residual,
        false,
    ))
}

/// Polynomials of a constant matrix; the backward pass of each is the same polynomial of its transpose.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    /// `A X`.
    Product,
    /// `X + A X`.
    Residual,
    /// `1/(L+1) Σ_l A^l X`.
    Mean(usize),
}

/// The operators on backend tensors.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait SparseOps: Backend {
    /// `A X` with given values.
    fn spmm(values: FloatTensor<Self>, x: FloatTensor<Self>, a: Arc<Csr>) -> FloatTensor<Self>;
    /// Gradients of values and `X`.
    fn spmm_backward(
        g: FloatTensor<Self>,
        values: FloatTensor<Self>,
        x: FloatTensor<Self>,
        a: Arc<Csr>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
    /// A polynomial of a constant matrix or of its transpose.
    fn polynomial(
        x: FloatTensor<Self>,
        a: Arc<FixedSparse>,
        kind: Kind,
        transposed: bool,
    ) -> FloatTensor<Self>;
}

/// Entries a task should have at least.
const WORK: usize = 4096;

/// Splits rows into blocks of about [`WORK`] entries; a function of the pattern only.
pub(crate) fn row_blocks(ptr: &[u32]) -> Vec<usize> {
    let rows = ptr.len() - 1;
    let mut cuts = vec![0];
    let mut last = 0;
    for r in 0..rows {
        if (ptr[r + 1] as usize + r + 1) - (ptr[last] as usize + last) >= WORK {
            last = r + 1;
            cuts.push(last);
        }
    }
    if last < rows {
        cuts.push(rows);
    }
    cuts
}

/// Cuts `out` into the rows of each block.
pub(crate) fn split_rows<'a>(
    cuts: &[usize],
    width: usize,
    mut out: &'a mut [f32],
) -> Vec<(usize, &'a mut [f32])> {
    let mut parts = Vec::with_capacity(cuts.len());
    for w in cuts.windows(2) {
        let (part, rest) = out.split_at_mut((w[1] - w[0]) * width);
        parts.push((w[0], part));
        out = rest;
    }
    parts
}

#[inline(always)]
fn rows_body<const F: bool>(
    (ptr, idx): (&[u32], &[u32]),
    values: &[f32],
    (x, base, scale): (&[f32], Option<&[f32]>, f32),
    d: usize,
    first: usize,
    out: &mut [f32],
) {
    for (r, out) in out.chunks_exact_mut(d).enumerate() {
        let span = ptr[first + r] as usize..ptr[first + r + 1] as usize;
        let entries = idx[span.clone()].iter().zip(&values[span]);
        if d == 64 {
            let mut acc = [0f32; 64];
            if let Some(base) = base {
                acc.copy_from_slice(&base[(first + r) * 64..(first + r + 1) * 64]);
            }
            for (&j, &v) in entries {
                let row: &[f32; 64] =
                    x[j as usize * 64..].first_chunk().expect("indices are below the rows of x");
                for t in 0..64 {
                    acc[t] = crate::simd::mul_add::<F>(row[t], v, acc[t]);
                }
            }
            for t in 0..64 {
                out[t] = acc[t] * scale;
            }
        } else {
            match base {
                Some(base) => out.copy_from_slice(&base[(first + r) * d..(first + r + 1) * d]),
                None => out.fill(0.0),
            }
            for (&j, &v) in entries {
                axpy::<F>(v, &x[j as usize * d..(j as usize + 1) * d], out);
            }
            if scale != 1.0 {
                out.iter_mut().for_each(|o| *o *= scale);
            }
        }
    }
}

dispatch! {
    /// `out_r = scale · (base_r + Σ_e a_e x_e)` for the rows of one block, from row `first` on.
    fn rows = rows_body(
        pattern: (&[u32], &[u32]),
        values: &[f32],
        operands: (&[f32], Option<&[f32]>, f32),
        d: usize,
        first: usize,
        out: &mut [f32],
    )
}

fn product(a: &Csr, values: &[f32], x: &[f32], base: Option<&[f32]>, scale: f32, d: usize, out: &mut [f32]) {
    let cuts = row_blocks(a.ptr());
    split_rows(&cuts, d, out)
        .into_par_iter()
        .for_each(|(first, out)| rows((a.ptr(), a.idx()), values, (x, base, scale), d, first, out));
}

#[inline(always)]
fn edge_dots_body<const F: bool>(
    a: &Csr,
    g: &[f32],
    x: &[f32],
    d: usize,
    first: usize,
    last: usize,
    out: &mut [f32],
) {
    let mut out = out.iter_mut();
    for r in first..last {
        for &j in a.row(r) {
            let j = j as usize;
            *out.next().expect("one place an entry") =
                dot::<F>(&g[r * d..(r + 1) * d], &x[j * d..(j + 1) * d]);
        }
    }
}

dispatch! {
    /// `∂a_e = g_row · x_col` for the entries of rows `first..last`.
    fn edge_dots = edge_dots_body(a: &Csr, g: &[f32], x: &[f32], d: usize, first: usize, last: usize, out: &mut [f32])
}

impl SparseOps for Flex {
    fn spmm(values: FloatTensor<Self>, x: FloatTensor<Self>, a: Arc<Csr>) -> FloatTensor<Self> {
        let (values, x) = (values.to_contiguous(), x.to_contiguous());
        let d = x.shape()[1];
        assert!(
            x.shape()[0] == a.cols() && values.shape()[0] == a.nnz(),
            "x has a row a column, values one an entry"
        );
        dense(a.rows(), d, |out| product(&a, slice(&values), slice(&x), None, 1.0, d, out))
    }

    fn spmm_backward(
        g: FloatTensor<Self>,
        values: FloatTensor<Self>,
        x: FloatTensor<Self>,
        a: Arc<Csr>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let (g, values, x) = (g.to_contiguous(), values.to_contiguous(), x.to_contiguous());
        let d = x.shape()[1];
        let mut dv = vec![0f32; a.nnz()];
        let cuts = row_blocks(a.ptr());
        let mut parts = Vec::with_capacity(cuts.len());
        let mut rest = &mut dv[..];
        for w in cuts.windows(2) {
            let (part, tail) = rest.split_at_mut((a.ptr()[w[1]] - a.ptr()[w[0]]) as usize);
            parts.push((w[0], w[1], part));
            rest = tail;
        }
        let (gs, xs) = (slice(&g), slice(&x));
        parts.into_par_iter().for_each(|(first, last, out)| edge_dots(&a, gs, xs, d, first, last, out));
        let t = a.transposed();
        let moved: Vec<f32> = t.edges.iter().map(|&e| slice(&values)[e as usize]).collect();
        let cuts = row_blocks(&t.ptr);
        let dx = dense(a.cols(), d, |out| {
            split_rows(&cuts, d, out)
                .into_par_iter()
                .for_each(|(first, out)| rows((&t.ptr, &t.rows), &moved, (gs, None, 1.0), d, first, out));
        });
        (vector(dv), dx)
    }

    fn polynomial(
        x: FloatTensor<Self>,
        a: Arc<FixedSparse>,
        kind: Kind,
        transposed: bool,
    ) -> FloatTensor<Self> {
        let x = x.to_contiguous();
        let (n, d) = (x.shape()[0], x.shape()[1]);
        let (pattern, values) = if transposed { a.transposed() } else { (&*a.pattern, &a.values[..]) };
        assert!(n == pattern.cols(), "x has {n} rows, the matrix {} columns", pattern.cols());
        assert!(kind == Kind::Product || pattern.rows() == pattern.cols(), "the matrix is square");
        let xs = slice(&x);
        match kind {
            Kind::Product => dense(pattern.rows(), d, |out| product(pattern, values, xs, None, 1.0, d, out)),
            Kind::Residual => dense(n, d, |out| product(pattern, values, xs, Some(xs), 1.0, d, out)),
            Kind::Mean(0) => x.clone(),
            // Horner: x + A(x + A(…)), divided by the number of terms in the last pass.
            Kind::Mean(layers) => {
                let mut sum: Option<FloatTensor<Self>> = None;
                for left in (0..layers).rev() {
                    let scale = if left == 0 { 1.0 / (layers + 1) as f32 } else { 1.0 };
                    let from = sum.as_ref().map_or(xs, |s| slice(s));
                    let next = dense(n, d, |out| product(pattern, values, from, Some(xs), scale, d, out));
                    sum = Some(next);
                }
                sum.expect("at least one layer")
            }
        }
    }
}

impl<B: SparseOps, C: CheckpointStrategy> SparseOps for Autodiff<B, C> {
    fn spmm(values: FloatTensor<Self>, x: FloatTensor<Self>, a: Arc<Csr>) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Spmm;
        impl<B: SparseOps> Backward<B, 2> for Spmm {
            type State = (FloatTensor<B>, FloatTensor<B>, Arc<Csr>);
            fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
                let g = grads.consume::<B>(&ops.node);
                let (values, x, a) = ops.state;
                let (dv, dx) = B::spmm_backward(g, values, x, a);
                for (parent, d) in ops.parents.into_iter().zip([dv, dx]) {
                    if let Some(node) = parent {
                        grads.register::<B>(node.id, d);
                    }
                }
            }
        }
        let nodes = [values.node(), x.node()];
        let (values, x) = (values.into_primitive(), x.into_primitive());
        match Spmm.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                prep.finish((values.clone(), x.clone(), a.clone()), B::spmm(values, x, a))
            }
            OpsKind::UnTracked(prep) => prep.finish(B::spmm(values, x, a)),
        }
    }

    fn spmm_backward(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: Arc<Csr>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        unreachable!("a gradient is not differentiated again")
    }

    fn polynomial(
        x: FloatTensor<Self>,
        a: Arc<FixedSparse>,
        kind: Kind,
        transposed: bool,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Polynomial;
        impl<B: SparseOps> Backward<B, 1> for Polynomial {
            type State = (Arc<FixedSparse>, Kind, bool);
            fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
                let g = grads.consume::<B>(&ops.node);
                let (a, kind, transposed) = ops.state;
                if let [Some(node)] = ops.parents {
                    grads.register::<B>(node.id, B::polynomial(g, a, kind, !transposed));
                }
            }
        }
        match Polynomial.prepare::<C>([x.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(
                (a.clone(), kind, transposed),
                B::polynomial(x.into_primitive(), a, kind, transposed),
            ),
            OpsKind::UnTracked(prep) => prep.finish(B::polynomial(x.into_primitive(), a, kind, transposed)),
        }
    }
}
