//! FREEDOM: Zhou and Shen, "A Tale of Two Graphs: Freezing and Denoising Graph Structures for Multimodal
//! Recommendation", ACM MM 2023.
//!
//! - Denoised interactions: every epoch keeps `1 - dropout` of the edges, drawn without replacement with weight
//!   `1/√(d_u d_i)`, normalised anew (eqs. 7, 8); evaluation uses all edges.
//! - `Z = 1/(L+1) Σ_{l=0..L} Â^l E`, `E [N, d]`, and for items `+ (S^n E)_i`, `S` the frozen item graph: the mean of
//!   each modality's `item_neighbors` nearest items (the item itself among them), mixed by `item_weights`; `n` =
//!   `item_layers`.
//! - Loss: mean BPR on `Z` + `auxiliary · Σ_m` mean BPR of `z_u · (X_m W_m + b_m)` (eqs. 13, 14).
//!
//! Departure: raw features stay frozen (the authors' code trains them, though they reach the auxiliary loss only).

use std::sync::Arc;

use alike_ops::{FixedSparse, SparseRows, Triples, add, bpr_dot, propagate_mean, spmm_fixed, spmm_rows};
use burn::tensor::Tensor;

use super::{Define, GradientModel, ModelInfo, feature_values, graph_values, held, info, nodes};
use crate::config::Weights;
use crate::data::Dataset;
use crate::error::Result;
use crate::graph::{self, Normalization};
use crate::layers::{
    FeatureInput, FeatureMap, Init, Local, ParamId, Params, Rows, Tracked, featured, gather,
};

pub(super) const INFO: ModelInfo = info::<Freedom>(
    "freedom",
    "LightGCN on a thinned graph, with a frozen item graph of features.",
    "Zhou and Shen, A Tale of Two Graphs: Freezing and Denoising Graph Structures for Multimodal Recommendation, ACM MM 2023",
);

crate::settings! {
    /// Settings of FREEDOM.
    pub(super) struct Config {
        /// Embedding width.
        dim: usize = 64, 1..=1024;
        /// Propagation layers over the bipartite graph.
        layers: usize = 2, 1..=8;
        /// Share of the interactions that an epoch leaves out of the graph.
        dropout: f64 = 0.8, 0.0..=0.99;
        /// Nearest items a modality, the item itself among them.
        item_neighbors: usize = 10, 1..=1_000;
        /// Share of each modality in the item graph; empty: equal shares.
        item_weights: Weights = graph::text_first(), ();
        /// Hops over the item graph.
        item_layers: usize = 1, 1..=4;
        /// Weight of the loss on mapped features.
        auxiliary: f64 = 1e-3, 0.0..=10.0;
    }
}

pub(super) struct Parts {
    embedding: ParamId,
    inputs: Vec<FeatureInput>,
}

struct Freedom {
    config: Config,
    seed: u64,
    users: usize,
    params: Params,
    parts: Parts,
    train: Arc<alike_ops::Csr>,
    whole: Arc<FixedSparse>,
    /// The graph of this epoch.
    thinned: Arc<FixedSparse>,
    /// The item graph; user rows are empty.
    items: Arc<FixedSparse>,
}

impl Define for Freedom {
    type Config = Config;
    type Parts = Parts;

    fn register(params: &mut Params, data: &Dataset, config: &Config) -> Result<Parts> {
        let embedding =
            params.table("embedding", Rows::Nodes, data, config.dim, Init::XavierSides(data.users.len()));
        let inputs = featured(data)?.iter().map(|f| {
            let name = &format!("input.{}", f.name);
            let map =
                FeatureMap { name, normalize: false, width: config.dim, bias: false, filled: config.dim };
            FeatureInput::new(params, f, map)
        });
        Ok(Parts { embedding, inputs: inputs.collect::<Result<_>>()? })
    }

    fn working_values(data: &Dataset, config: &Config) -> usize {
        let edges = data.items.len() * config.item_neighbors * data.features.len();
        feature_values(data)
            + 2 * graph_values(data)
            + 4 * edges
            + (6 + 3 * data.features.len()) * nodes(data) * config.dim
    }

    fn assemble(data: &Dataset, seed: u64, config: Config, params: Params, parts: Parts) -> Result<Self> {
        let whole = Arc::new(graph::bipartite(&data.train, Normalization::Symmetric, false)?);
        let names: Vec<&str> = data.features.iter().map(|f| f.name.as_str()).collect();
        let near = graph::item_mean_graph(data, &names, config.item_neighbors, &config.item_weights)?;
        let items = Arc::new(graph::block_diagonal(&graph::Neighbors::none(data.users.len()), &near)?);
        Ok(Self {
            config,
            seed,
            users: data.users.len(),
            params,
            parts,
            train: data.train.clone(),
            thinned: whole.clone(),
            whole,
            items,
        })
    }
}

impl Freedom {
    /// `Z [N, d]`, or the rows `rows` of it.
    fn forward(&self, p: &Tracked, bipartite: &Arc<FixedSparse>, rows: Option<&[u32]>) -> Tensor<2> {
        let e = p.matrix(self.parts.embedding);
        let before = (1..self.config.item_layers).fold(e.clone(), |h, _| spmm_fixed(&self.items, h));
        let mean = propagate_mean(bipartite, e, self.config.layers);
        match rows {
            Some(rows) => {
                add(gather(mean, rows), spmm_rows(&SparseRows::new(&self.items, rows, false), before))
            }
            None => add(mean, spmm_fixed(&self.items, before)),
        }
    }
}

impl GradientModel for Freedom {
    held!();

    fn start_epoch(&mut self, epoch: u64) -> Result<()> {
        if self.config.dropout > 0.0 {
            let kept = graph::thin(&self.train, 1.0 - self.config.dropout, self.seed, epoch)?;
            self.thinned = Arc::new(graph::bipartite(&kept, Normalization::Symmetric, false)?);
        }
        Ok(())
    }

    fn loss(&self, p: &Tracked, batch: &Arc<Triples>) -> Tensor<1> {
        let table = p.matrix(self.parts.embedding).dims()[0];
        let local = Local::of(batch, table);
        let z = self.forward(p, &self.thinned, Some(&local.rows));
        let loss = bpr_dot(z.clone(), &local.batch);
        if self.config.auxiliary == 0.0 {
            return loss;
        }
        let (users, items) = local.split(self.users);
        let users = z.narrow(0, 0, users.len());
        let of = |input: &FeatureInput| {
            let seen = input.forward_rows(p, &items);
            bpr_dot(Tensor::cat(vec![users.clone(), seen], 0), &local.batch)
        };
        let auxiliary = self.parts.inputs.iter().map(of).reduce(|a, b| a + b).expect("a modality at least");
        loss + auxiliary * self.config.auxiliary as f32
    }

    fn vectors(&self, p: &Tracked) -> Result<Tensor<2>> {
        Ok(self.forward(p, &self.whole, None))
    }
}
