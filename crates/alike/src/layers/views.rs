//! What models share that see items per modality: users by way of their items, attention over modalities.

use std::sync::Arc;

use alike_ops::{ConstSparse, RowSubset, gather, matmul, spmm_const, spmm_rows, tanh};
use burn::tensor::Tensor;
use burn::tensor::activation::softmax;

use super::{BatchRows, Builder, Init, Linear, ParamId, Weights};
use crate::ids::numbers;

/// `[R h ; h] [N, d]` of each `h [I, d]` of `items`, `R [U, I]`, or a batch's rows of it: what follows is
/// needed for these only.
pub fn with_users(r: &Arc<ConstSparse>, items: Vec<Tensor<2>>, batch: Option<&BatchRows>) -> Vec<Tensor<2>> {
    let wanted = batch.map(|b| (RowSubset::new(r, numbers(b.users()), false), b.items()));
    let parts = |h: Tensor<2>| match &wanted {
        Some((users, some)) => vec![spmm_rows(users, h.clone()), gather(h, numbers(some))],
        None => vec![spmm_const(r, h.clone()), h],
    };
    items.into_iter().map(|h| Tensor::cat(parts(h), 0)).collect()
}

/// Attention that all modalities share: `a_m = softmax_m(tanh(H_m W_q + b_q) · q)`, row by row.
#[derive(Debug)]
pub struct Attention {
    query: Linear,
    out: ParamId,
}

impl Attention {
    /// Declares `query`, `W_q [d, d]` with `b_q`, and `query.out`, `q [d, 1]`.
    pub fn new(b: &mut Builder<'_>, dim: usize) -> Self {
        let query = b.linear("query", dim, dim);
        Self { query, out: b.matrix("query.out", dim, 1, Init::Xavier) }
    }

    /// The shares `[n, M]` of the modalities' `rows`, `[n, d]` each.
    pub fn shares(&self, w: &Weights, rows: &[Tensor<2>]) -> Tensor<2> {
        let score = |h: &Tensor<2>| matmul(tanh(self.query.forward(w, h.clone())), w.matrix(self.out));
        softmax(Tensor::cat(rows.iter().map(score).collect(), 1), 1)
    }
}
