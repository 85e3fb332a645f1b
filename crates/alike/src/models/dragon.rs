//! DRAGON: Zhou et al., "Enhancing Dyadic Relations with Homogeneous Graphs for Multimodal Recommendation",
//! ECAI 2023.
//!
//! - A modality as in DualGNN: `H_m = Σ_{l=0..L} Â^l x`, `x` unit rows of preferences and mapped features,
//!   `[N, d]`.
//! - Fusion: `h_u = concat_m w_um H_m[u]`, `h_i = concat_m H_m[i]`, `d · M` wide.
//! - `Z_u = h_u + Σ_o softmax(e_uo) h_o` over the co-interaction graph; `Z_i = h_i + (S^n h)_i`, `S` the mean
//!   of each modality's `item_neighbors` nearest items (the item itself among them), mixed by `item_weights`,
//!   `n` = `item_layers`.
//! - Loss: mean BPR in bits + `l2/b` times the squared norms of the batch users' rows of `P_m` and `w`.
//!
//! Departures: `l2` weighs sums of squares over the batch size; the authors' code takes means over the
//! entries (divide its weight by `d`). Ties in the user graph go to the smaller user; short lists are not
//! padded. Evaluation uses the parameters after the last step, not vectors of the last training batch.

use alike_ops::{ConstSparse, spmm_const};

use super::prelude::*;
use crate::config::ModalityWeights as Shares;
use crate::graph::{self, Normalization, UserWeight};

pub(super) const INFO: ModelInfo = ModelInfo::trained::<Dragon>(
    "dragon",
    "DualGNN's convolutions side by side, with a user co-interaction graph and an item graph of features.",
    "Zhou et al., Enhancing Dyadic Relations with Homogeneous Graphs for Multimodal Recommendation, ECAI 2023",
);

crate::settings! {
    /// Settings of DRAGON.
    pub(super) struct Config {
        /// Embedding width of a modality.
        dim: usize = 64, 1..=1024;
        /// Width of the hidden layer over raw features.
        hidden: usize = 256, 1..=4096;
        /// Propagation layers.
        layers: usize = 2, 1..=8;
        /// Neighbours in the user graph.
        user_neighbors: usize = 40, 1..=10_000;
        /// What the edges of the user graph count.
        user_weight: UserWeight = UserWeight::Count, ();
        /// Nearest items per modality, the item itself among them.
        item_neighbors: usize = 10, 1..=1_000;
        /// Share of each modality in the item graph; empty: equal shares.
        item_weights: Shares = graph::text_first(), ();
        /// Hops over the item graph.
        item_layers: usize = 1, 1..=4;
        /// Weight of the squared norms of the batch users' preferences and modality weights.
        l2: f64 = 1e-5, 0.0..=10.0;
    }
}

struct Dragon {
    config: Config,
    towers: Towers,
    bipartite: Arc<ConstSparse>,
    /// User graph and item graph as two blocks: the last step.
    neighbors: Arc<ConstSparse>,
    /// The item graph of the hops before, which leave users as they are.
    item_step: Option<Arc<ConstSparse>>,
}

impl Dragon {
    /// The rows `rows` of `Z`, all of them when there are none.
    fn forward(&self, w: &Weights, rows: Option<&[u32]>) -> Tensor<2> {
        let h = Tensor::cat(self.towers.forward(w, &self.bipartite, self.config.layers), 1);
        let Some(item_step) = &self.item_step else { return propagated(&self.neighbors, h, rows) };
        let moved = (1..self.config.item_layers).fold(h.clone(), |h, _| spmm_const(item_step, h));
        plus_propagated(h, &self.neighbors, moved, rows)
    }
}

impl Model for Dragon {
    type Config = Config;
    const RANKS: bool = true;

    fn build(b: &mut Builder<'_>, config: Config) -> Result<Self> {
        let towers = Towers::new(b, config.hidden, config.dim, config.layers)?;
        let bipartite = b.bipartite(Normalization::Symmetric, false)?;
        let (data, names) = (b.data(), b.modalities());
        let items = || graph::item_mean_graph(data, &names, config.item_neighbors, &config.item_weights);
        let per_item = b.items() * config.item_neighbors * names.len();
        let neighbors = b.sparse(b.users() * config.user_neighbors + per_item, || {
            let neighbors = graph::user_graph(data, config.user_neighbors, config.user_weight)?.softmax();
            graph::block_diagonal(&neighbors, &items()?)
        })?;
        let item_step = (config.item_layers > 1).then(|| {
            b.sparse(b.users() + per_item, || {
                graph::block_diagonal(&graph::Neighbors::identity(data.users.len()), &items()?)
            })
        });
        b.holds(2 * b.nodes() * config.dim * names.len());
        Ok(Self { config, towers, bipartite, neighbors, item_step: item_step.transpose()? })
    }

    fn loss(&self, w: &Weights, step: &Step) -> Tensor<1> {
        let local = step.local();
        let z = self.forward(w, Some(&local.rows));
        self.towers.loss(w, step, z, &local, self.config.l2)
    }

    fn vectors(&self, w: &Weights) -> Result<Tensor<2>> {
        Ok(self.forward(w, None))
    }
}
