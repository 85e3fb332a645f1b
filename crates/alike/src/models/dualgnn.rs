//! DualGNN: Wang et al., "DualGNN: Dual Graph Neural Network for Multimedia Recommendation", IEEE TMM 2021.
//!
//! - A modality `m`: `x = unit rows of [P_m ; f_2(leaky(f_1(X_m)))]`, `H_m = Σ_{l=0..L} Â^l x`, `Â` symmetric
//!   without self loops, `[N, d]` (single-modal representation learning).
//! - Fusion: `h_u = Σ_m w_um H_m[u]`, `h_i = Σ_m H_m[i]`; `w [U, M]` starts at equal shares and is free after
//!   that.
//! - Users take in their neighbours: `Z_u = h_u + Σ_o softmax(e_uo) h_o` over the `user_neighbors` users who
//!   share most items, `e_uo` of them; `Z_i = h_i`.
//! - Loss: mean BPR in bits (`log2`, as the authors' code has it) + `l2/b` times the squared norms of the
//!   batch users' rows of `P_m` and `w`.
//!
//! Departures: `l2` weighs sums of squares over the batch size, as everywhere here; the authors' code takes
//! means over the entries (divide its weight by `d`). Ties in the user graph go to the smaller user; short
//! lists are not padded.

use alike_ops::{ConstSparse, add};

use super::prelude::*;
use crate::graph::{self, Normalization, UserWeight};

pub(super) const INFO: ModelInfo = ModelInfo::trained::<DualGnn>(
    "dualgnn",
    "A graph convolution per modality, summed by each user's own weights, with a user co-interaction graph.",
    "Wang et al., DualGNN: Dual Graph Neural Network for Multimedia Recommendation, IEEE Transactions on Multimedia 2021",
);

crate::settings! {
    /// Settings of DualGNN.
    pub(super) struct Config {
        /// Embedding width.
        dim: usize = 64, 1..=1024;
        /// Width of the hidden layer over raw features.
        hidden: usize = 256, 1..=4096;
        /// Propagation layers.
        layers: usize = 2, 1..=8;
        /// Neighbours in the user graph.
        user_neighbors: usize = 40, 1..=10_000;
        /// What the edges of the user graph count.
        user_weight: UserWeight = UserWeight::Count, ();
        /// Weight of the squared norms of the batch users' preferences and modality weights.
        l2: f64 = 1e-3, 0.0..=10.0;
    }
}

struct DualGnn {
    config: Config,
    towers: Towers,
    bipartite: Arc<ConstSparse>,
    /// The user graph; item rows are empty.
    neighbors: Arc<ConstSparse>,
}

impl DualGnn {
    /// Before the user graph, `[N, d]`.
    fn summed(&self, w: &Weights) -> Tensor<2> {
        let rows = self.towers.forward(w, &self.bipartite, self.config.layers);
        rows.into_iter().reduce(add).expect("a modality at least")
    }
}

impl Model for DualGnn {
    type Config = Config;
    const RANKS: bool = true;

    fn build(b: &mut Builder<'_>, config: Config) -> Result<Self> {
        let towers = Towers::new(b, config.hidden, config.dim, config.layers)?;
        let bipartite = b.bipartite(Normalization::Symmetric, false)?;
        let (data, k) = (b.data(), config.user_neighbors);
        let neighbors = b.sparse(b.users() * k, || {
            let neighbors = graph::user_graph(data, k, config.user_weight)?.softmax();
            graph::block_diagonal(&neighbors, &vec![Vec::new(); data.items.len()])
        })?;
        Ok(Self { config, towers, bipartite, neighbors })
    }

    fn loss(&self, w: &Weights, step: &Step) -> Tensor<1> {
        let local = step.local();
        let z = propagated(&self.neighbors, self.summed(w), Some(&local.rows));
        self.towers.loss(w, step, z, &local, self.config.l2)
    }

    fn vectors(&self, w: &Weights) -> Result<Tensor<2>> {
        Ok(propagated(&self.neighbors, self.summed(w), None))
    }
}
