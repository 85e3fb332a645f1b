//! LightGCN: He et al., "LightGCN: Simplifying and Powering Graph Convolution Network for Recommendation", SIGIR 2020.
//!
//! - `Z = 1/(L+1) Σ_{l=0..L} Â^l E`, `Â = D^-1/2 A D^-1/2` of the bipartite train graph (eqs. 3, 4, 7), `y_ui = z_u · z_i` (eq. 5).
//! - Loss (eq. 15): mean BPR + `l2/b · Σ ‖e‖²` over the starting rows of the batch's triples, as the paper's code has it.
//! - Departure: `l2` multiplies the squared norms as they are (the authors' code halves them).

use alike_ops::{ConstSparse, propagate_mean};

use super::prelude::*;
use crate::graph::Normalization;

pub(super) const INFO: ModelInfo = ModelInfo::trained::<LightGcn>(
    "lightgcn",
    "Collaborative filtering by linear propagation on the bipartite graph.",
    "He et al., LightGCN: Simplifying and Powering Graph Convolution Network for Recommendation, SIGIR 2020",
);

crate::settings! {
    /// Settings of LightGCN.
    pub(super) struct Config {
        /// Embedding width.
        dim: usize = 64, 1..=1024;
        /// Propagation layers.
        layers: usize = 2, 1..=8;
        /// Weight of the squared norms of the batch's starting rows.
        l2: f64 = 1e-4, 0.0..=10.0;
        /// Edge weights of the bipartite graph.
        normalization: Normalization = Normalization::Symmetric, ();
        /// Whether each node is its own neighbour too.
        self_loops: bool = false, ();
    }
}

pub(super) struct LightGcn {
    pub(super) config: Config,
    users: usize,
    pub(super) graph: Arc<ConstSparse>,
    pub(super) embedding: Table<NodeId>,
}

impl Model for LightGcn {
    type Config = Config;
    const RANKS: bool = true;
    const FOLDS: bool = true;

    fn build(b: &mut Builder<'_>, config: Config) -> Result<Self> {
        let embedding = b.table("embedding", config.dim, Init::XavierSides(b.users()));
        let graph = b.bipartite(config.normalization, config.self_loops)?;
        // The regulariser's gradient, the result and its gradient, two buffers of layers.
        b.holds(5 * b.nodes() * config.dim);
        Ok(Self { config, users: b.users(), graph, embedding })
    }

    fn loss(&self, w: &Weights, step: &Step) -> Tensor<1> {
        let ego = w.table(self.embedding);
        let z = propagate_mean(&self.graph, ego.clone(), self.config.layers);
        step.ranking_loss_l2(z, ego, step.nodes(), self.config.l2)
    }

    fn vectors(&self, w: &Weights) -> Result<Tensor<2>> {
        Ok(propagate_mean(&self.graph, w.table(self.embedding), self.config.layers))
    }

    /// A user's row without the start of their own, with items as they are; with other weights of edges the equations differ.
    fn fold_in(self, w: Weights) -> Result<Option<FoldIn>> {
        let Config { normalization, self_loops, layers, .. } = self.config;
        let symmetric = normalization == Normalization::Symmetric && !self_loops;
        Ok(symmetric.then(|| FoldIn::propagated(&self.graph, w.table(self.embedding), self.users, layers)))
    }
}
