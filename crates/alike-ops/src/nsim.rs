//! Neighbour similarity: aggregation weighted by how alike a target's neighbours are among themselves.
//!
//! `x [C, d]`, a pattern of `R` targets over `C` nodes; with `n` the number of neighbours of target `t`:
//!
//! - `x̂_j = (x_j - mean(x_j)) / ‖x_j - mean(x_j)‖`, a zero row where the norm is below 1e-12 (Pearson 0)
//! - `α_j = 1/n Σ_k ReLU(x̂_j · x̂_k)` over all neighbours `k`, `j` included
//! - `y_t = c_t Σ_j α_j x_j`, `c_t = 1/√n` when scaled, else 1; 0 without neighbours
//!
//! Backward, with `g = c_t ∂y_t`, `a_j = g · x_j / n`, `M_jk = 1[x̂_j · x̂_k > 0]`:
//!
//! - `∂x_j += α_j g` and `∂x̂_j += Σ_k M_jk (a_j + a_k) x̂_k`
//! - `∂x = (I - 11ᵀ/d)(∂x̂ - x̂ (x̂ · ∂x̂)) / ‖x - mean‖`
//!
//! The cost is `Σ_t n_t² d`; nothing is padded to the largest degree. The forward pass keeps `α` and the bits of
//! `M` (one a pair). The gradients of a target's neighbours go to a buffer an entry and are summed a node at a
//! time over the transposed entries, one bounded set of targets after the other, so that the buffer stays in cache
//! and the order of summation depends on the pattern alone.

mod kernel;
mod plan;

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
use rayon::prelude::*;

use crate::Csr;
use crate::flex::{dense, slice, vector};
use crate::sparse::split_rows;
use kernel::{center, finish, gather, target_gradients, targets};
pub(crate) use plan::Plan;

/// `y_t = c_t Σ_j α_j x_j` over the neighbours of each of the pattern's rows: `x [C, d]` → `[R, d]`.
pub fn neighbor_similarity(pattern: &Arc<Csr>, x: Tensor<2>, scale: bool) -> Tensor<2> {
    let out = <Dispatch as SimilarityOps>::similarity(x.into_dispatch(), pattern.clone(), scale);
    Tensor::from_dispatch(out)
}

/// The operator on backend tensors.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait SimilarityOps: Backend {
    /// The result alone.
    fn similarity(x: FloatTensor<Self>, pattern: Arc<Csr>, scale: bool) -> FloatTensor<Self>;
    /// The result, `x̂`, the inverse norms, `α` and the packed bits of `M`.
    #[allow(clippy::type_complexity)]
    fn similarity_kept(
        x: FloatTensor<Self>,
        pattern: Arc<Csr>,
        scale: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
    /// Gradient of `x`.
    #[allow(clippy::too_many_arguments)]
    fn similarity_backward(
        g: FloatTensor<Self>,
        x: FloatTensor<Self>,
        x_hat: FloatTensor<Self>,
        inverse: FloatTensor<Self>,
        alpha: FloatTensor<Self>,
        bits: FloatTensor<Self>,
        pattern: Arc<Csr>,
        scale: bool,
    ) -> FloatTensor<Self>;
}

impl SimilarityOps for Flex {
    fn similarity(x: FloatTensor<Self>, pattern: Arc<Csr>, scale: bool) -> FloatTensor<Self> {
        Self::similarity_kept(x, pattern, scale).0
    }

    fn similarity_kept(
        x: FloatTensor<Self>,
        pattern: Arc<Csr>,
        scale: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let x = x.to_contiguous();
        let (c, d) = (x.shape()[0], x.shape()[1]);
        assert!(c == pattern.cols(), "x has {c} rows, the pattern {} columns", pattern.cols());
        let plan = Plan::of(&pattern);
        let xs = slice(&x);
        let mut inverse = vec![0f32; c];
        let x_hat = dense(c, d, |x_hat| {
            const ROWS: usize = 512;
            let outs = x_hat.par_chunks_mut(ROWS * d).zip(inverse.par_chunks_mut(ROWS));
            outs.zip(xs.par_chunks(ROWS * d)).for_each(|((x_hat, inverse), x)| center(x, d, x_hat, inverse));
        });
        let mut alpha = vec![0f32; pattern.nnz()];
        let mut bits = vec![0f32; plan.words()];
        let x_hats = slice(&x_hat);
        let y = dense(pattern.rows(), d, |y| {
            let y = split_rows(&plan.cuts, d, y);
            let alpha = plan.split(&plan.entry_starts(&pattern), &mut alpha);
            let bits = plan.split(&plan.word_starts(), &mut bits);
            y.into_par_iter().zip(alpha).zip(bits).for_each(|(((first, y), alpha), bits)| {
                targets(&pattern, (xs, x_hats, d), first, scale, y, alpha, bits);
            });
        });
        (y, x_hat, vector(inverse), vector(alpha), vector(bits))
    }

    fn similarity_backward(
        g: FloatTensor<Self>,
        x: FloatTensor<Self>,
        x_hat: FloatTensor<Self>,
        inverse: FloatTensor<Self>,
        alpha: FloatTensor<Self>,
        bits: FloatTensor<Self>,
        pattern: Arc<Csr>,
        scale: bool,
    ) -> FloatTensor<Self> {
        let (g, x) = (g.to_contiguous(), x.to_contiguous());
        let (c, d) = (x.shape()[0], x.shape()[1]);
        let plan = Plan::of(&pattern);
        let (gs, xs, x_hats, alphas, bits) =
            (slice(&g), slice(&x), slice(&x_hat), slice(&alpha), slice(&bits));
        let mut buffer = vec![0f32; plan.largest_wave(&pattern) * d];
        let mut d_hat = vec![0f32; c * d];
        dense(c, d, |dx| {
            for wave in &plan.waves {
                let blocks = wave.blocks.clone();
                let starts = plan.entry_starts(&pattern);
                let base = starts[blocks.start];
                let sizes: Vec<usize> =
                    starts[blocks.start..=blocks.end].iter().map(|s| (s - base) * d).collect();
                let parts = plan.split(&sizes, &mut buffer[..sizes[sizes.len() - 1]]);
                parts.into_par_iter().zip(blocks).for_each(|(part, block)| {
                    let (first, last) = (plan.cuts[block], plan.cuts[block + 1]);
                    let words = &bits[plan.words_before[first]..plan.words_before[last]];
                    target_gradients(&pattern, (gs, xs, x_hats, d), (first, last), scale, words, part);
                });
                // Nodes of this wave in rising order; each block of them is summed by one task.
                let nodes = &wave.nodes;
                let tasks = wave.tasks(c);
                let mut rest_x = &mut dx[..];
                let mut rest_h = &mut d_hat[..];
                let mut done = 0;
                let mut parts = Vec::with_capacity(tasks.len());
                for task in tasks {
                    let (skip, upto) = ((task.first_node - done) * d, (task.last_node - done) * d);
                    let (x, tail) = rest_x.split_at_mut(upto);
                    rest_x = tail;
                    let (h, tail) = rest_h.split_at_mut(upto);
                    rest_h = tail;
                    done = task.last_node;
                    parts.push((task.entries, task.first_node, &mut x[skip..], &mut h[skip..]));
                }
                parts.into_par_iter().for_each(|(entries, first_node, dx, d_hat)| {
                    gather(
                        &pattern,
                        &nodes[entries],
                        (gs, alphas, &buffer),
                        scale,
                        (base, first_node, d),
                        dx,
                        d_hat,
                    );
                });
            }
            const ROWS: usize = 512;
            let inputs = d_hat.par_chunks(ROWS * d).zip(x_hats.par_chunks(ROWS * d));
            dx.par_chunks_mut(ROWS * d)
                .zip(inputs)
                .zip(slice(&inverse).par_chunks(ROWS))
                .for_each(|((dx, (d_hat, x_hat)), inverse)| finish(d_hat, x_hat, inverse, d, dx));
        })
    }
}

impl<B: SimilarityOps, C: CheckpointStrategy> SimilarityOps for Autodiff<B, C> {
    fn similarity(x: FloatTensor<Self>, pattern: Arc<Csr>, scale: bool) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Similarity;
        impl<B: SimilarityOps> Backward<B, 1> for Similarity {
            type State = ([FloatTensor<B>; 5], Arc<Csr>, bool);
            fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
                let g = grads.consume::<B>(&ops.node);
                let ([x, x_hat, inverse, alpha, bits], pattern, scale) = ops.state;
                if let [Some(node)] = ops.parents {
                    let dx = B::similarity_backward(g, x, x_hat, inverse, alpha, bits, pattern, scale);
                    grads.register::<B>(node.id, dx);
                }
            }
        }
        match Similarity.prepare::<C>([x.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let x = x.into_primitive();
                let (y, x_hat, inverse, alpha, bits) = B::similarity_kept(x.clone(), pattern.clone(), scale);
                prep.finish(([x, x_hat, inverse, alpha, bits], pattern, scale), y)
            }
            OpsKind::UnTracked(prep) => prep.finish(B::similarity(x.into_primitive(), pattern, scale)),
        }
    }

    fn similarity_kept(
        _: FloatTensor<Self>,
        _: Arc<Csr>,
        _: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        unreachable!("the kept values are the inner backend's")
    }

    fn similarity_backward(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: Arc<Csr>,
        _: bool,
    ) -> FloatTensor<Self> {
        unreachable!("a gradient is not differentiated again")
    }
}
