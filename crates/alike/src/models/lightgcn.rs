//! LightGCN: He et al., "LightGCN: Simplifying and Powering Graph Convolution Network for Recommendation",
//! SIGIR 2020.
//!
//! - `E^(0) [N, d]` trained; `E^(l+1) = D^-1/2 A D^-1/2 E^(l)` (eqs. 3, 7) on the bipartite train graph, no
//!   self loops.
//! - `Z = 1/(L+1) Σ_{l=0..L} E^(l)` (eq. 4 with equal weights), `y_ui = z_u · z_i` (eq. 5).
//! - Loss (eq. 15): mean BPR over the batch + `l2/b · Σ (‖e_u‖² + ‖e_p‖² + ‖e_n‖²)` on the starting rows of the
//!   batch's triples. The paper sums over all parameters; its code, and this, over those the batch touches.
//!
//! Departure: `l2` multiplies the squared norms as they are (the authors' code halves them).

use std::sync::Arc;

use alike_ops::{FixedSparse, Triples, bpr_dot_l2, propagate_mean, spmm_fixed};
use burn::tensor::Tensor;

use super::{Define, FoldIn, GradientModel, ModelInfo, graph_values, held, info, nodes};
use crate::data::Dataset;
use crate::error::Result;
use crate::graph::{Normalization, bipartite};
use crate::layers::{Init, ParamId, Params, Rows, Tracked};
use crate::scorer::matrix;

pub(super) const INFO: ModelInfo = info::<LightGcn>(
    "lightgcn",
    "Collaborative filtering by linear propagation on the bipartite graph.",
    "He et al., LightGCN: Simplifying and Powering Graph Convolution Network for Recommendation, SIGIR 2020",
)
.folding();

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

struct LightGcn {
    config: Config,
    users: usize,
    graph: Arc<FixedSparse>,
    params: Params,
    embedding: ParamId,
}

impl Define for LightGcn {
    type Config = Config;
    type Parts = ParamId;

    fn register(params: &mut Params, data: &Dataset, config: &Config) -> Result<ParamId> {
        Ok(params.table("embedding", Rows::Nodes, data, config.dim, Init::XavierSides(data.users.len())))
    }

    fn working_values(data: &Dataset, config: &Config) -> usize {
        // The regulariser's gradient, the result and its gradient, two buffers of layers; the graph.
        5 * nodes(data) * config.dim + 3 * graph_values(data)
    }

    fn assemble(data: &Dataset, _: u64, config: Config, params: Params, embedding: ParamId) -> Result<Self> {
        let graph = Arc::new(bipartite(&data.train, config.normalization, config.self_loops)?);
        Ok(Self { users: data.users.len(), config, graph, params, embedding })
    }
}

impl GradientModel for LightGcn {
    held!();

    fn loss(&self, p: &Tracked, batch: &Arc<Triples>) -> Tensor<1> {
        let ego = p.matrix(self.embedding);
        let z = propagate_mean(&self.graph, ego.clone(), self.config.layers);
        bpr_dot_l2(z, ego, batch, self.config.l2 as f32)
    }

    fn vectors(&self, p: &Tracked) -> Result<Tensor<2>> {
        Ok(propagate_mean(&self.graph, p.matrix(self.embedding), self.config.layers))
    }

    /// A user's row but for what he started from, with items where they are: `1/√n_u Σ_j m_j`,
    /// `m_j = 1/√n_j · 1/(L+1) Σ_{l<L} e_j^(l)`. With other weights of edges than these the equations differ.
    fn fold_in(self: Box<Self>) -> Result<Option<FoldIn>> {
        let Config { normalization, self_loops, layers, dim, .. } = self.config;
        if normalization != Normalization::Symmetric || self_loops {
            return Ok(None);
        }
        let nodes = self.graph.pattern().rows();
        let mut layer = self.params.plain().matrix(self.embedding);
        let mut sum = Tensor::zeros([nodes - self.users, dim], &layer.device());
        for _ in 0..layers {
            sum = sum + layer.clone().narrow(0, self.users, nodes - self.users);
            layer = spmm_fixed(&self.graph, layer);
        }
        let mut messages = matrix(sum);
        for (j, row) in messages.data.chunks_exact_mut(dim).enumerate() {
            let taken = self.graph.pattern().degree(self.users + j).max(1) as f32;
            let scale = 1.0 / (taken.sqrt() * (layers + 1) as f32);
            row.iter_mut().for_each(|v| *v *= scale);
        }
        Ok(Some(FoldIn::Sum { power: 0.5, start: vec![0.0; dim], messages }))
    }
}
