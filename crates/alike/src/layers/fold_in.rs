//! How people are placed whom a model was not trained on.

use std::sync::Arc;

use alike_ops::{ConstSparse, spmm_const};
use burn::tensor::Tensor;

use crate::error::Result;
use crate::scorer::{Matrix, UserHistory, matrix};

/// How people are placed by what they took, with items where training has left them.
pub enum FoldIn {
    /// `start + n^-power Σ_j messages_j` over the `n` items taken: `start [w]`, `messages [I, w]`.
    Sum {
        /// 1 for a mean, 1/2 for a sum damped as symmetric edge weights do.
        power: f32,
        /// What everybody starts from.
        start: Vec<f32>,
        /// What each item adds.
        messages: Matrix,
    },
    /// The model's forward pass over people: rows `[B, w]`.
    Forward(Forward),
    /// Both rows added: what the model's equations give, and what training gave its users as well.
    Both(Box<FoldIn>, Box<FoldIn>),
}

/// A forward pass over people, who are given by what they took.
pub type Forward = Box<dyn Fn(&[UserHistory]) -> Result<Matrix> + Send + Sync>;

impl FoldIn {
    /// A row of the mean of `layers` propagations of `start [N, d]`, the first `users` rows those of users,
    /// over the symmetric bipartite `graph`, without a start of its own: `1/√n_u Σ_j m_j`, `m_j = 1/√n_j ·
    /// 1/(L+1) Σ_{l<L} e_j^(l)`.
    pub fn propagated(graph: &Arc<ConstSparse>, start: Tensor<2>, users: usize, layers: usize) -> Self {
        let [nodes, dim] = start.dims();
        let mut layer = start;
        let mut sum = Tensor::zeros([nodes - users, dim], &layer.device());
        for _ in 0..layers {
            sum = sum + layer.clone().narrow(0, users, nodes - users);
            layer = spmm_const(graph, layer);
        }
        let mut messages = matrix(sum);
        for (j, row) in messages.data.chunks_exact_mut(dim).enumerate() {
            let taken = graph.pattern().degree(users + j).max(1) as f32;
            let scale = 1.0 / (taken.sqrt() * (layers + 1) as f32);
            row.iter_mut().for_each(|v| *v *= scale);
        }
        Self::Sum { power: 0.5, start: vec![0.0; dim], messages }
    }
}
