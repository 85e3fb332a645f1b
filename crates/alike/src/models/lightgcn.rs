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

use alike_ops::{FixedSparse, Triples, bpr_dot_l2, propagate_mean};
use burn::tensor::{Device, Tensor};

use super::bpr::dot_scorer;
use super::{GradientModel, Learner, ModelInfo, Plan, TrainConfig, infos, resolve, table};
use crate::data::Dataset;
use crate::error::Result;
use crate::graph::{Normalization, bipartite};
use crate::layers::{Init, ParamId, Params, Tracked};
use crate::scorer::Scorer;

pub(super) const INFO: ModelInfo = ModelInfo {
    name: "lightgcn",
    summary: "Collaborative filtering by linear propagation on the bipartite graph.",
    reference: "He et al., LightGCN: Simplifying and Powering Graph Convolution Network for Recommendation, SIGIR 2020",
    settings: || infos(&Config::default(), &train_defaults()),
    plan,
    build,
};

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

fn train_defaults() -> TrainConfig {
    TrainConfig::default()
}

fn plan(data: &Dataset, overrides: &toml::Table) -> Result<Plan> {
    let (config, train) = resolve(Config::default(), train_defaults(), overrides)?;
    let n = data.users.len() + data.items.len();
    // Value, two moments, gradient, regulariser gradient, result and its gradient, two layer buffers; the graph.
    let parameters = n * config.dim;
    let memory_bytes = (9 * parameters * 4 + 4 * data.train.nnz() * 12) as u64;
    Ok(Plan { settings: table(&config, &train), train, parameters, memory_bytes })
}

fn build(data: &Dataset, overrides: &toml::Table, seed: u64, device: &Device) -> Result<Learner> {
    let (config, _) = resolve(Config::default(), train_defaults(), overrides)?;
    let graph = Arc::new(bipartite(&data.train, config.normalization, config.self_loops)?);
    let mut params = Params::new(seed, device);
    let nodes = data.users.len() + data.items.len();
    let embedding = params.add("embedding", &[nodes, config.dim], Init::Xavier);
    Ok(Learner::Gradient(Box::new(LightGcn { users: data.users.len(), config, graph, params, embedding })))
}

struct LightGcn {
    config: Config,
    users: usize,
    graph: Arc<FixedSparse>,
    params: Params,
    embedding: ParamId,
}

impl GradientModel for LightGcn {
    fn params(&self) -> &Params {
        &self.params
    }

    fn params_mut(&mut self) -> &mut Params {
        &mut self.params
    }

    fn start_epoch(&mut self, _: u64) -> Result<()> {
        Ok(())
    }

    fn loss(&self, p: &Tracked, batch: &Arc<Triples>) -> Tensor<1> {
        let ego = p.matrix(self.embedding);
        let z = propagate_mean(&self.graph, ego.clone(), self.config.layers);
        bpr_dot_l2(z, ego, batch, self.config.l2 as f32)
    }

    fn vectors(&self, p: &Tracked) -> Result<Tensor<2>> {
        Ok(propagate_mean(&self.graph, p.matrix(self.embedding), self.config.layers))
    }

    fn scorer(&self) -> Result<Scorer> {
        dot_scorer(self.vectors(&self.params.plain())?, self.users)
    }
}
