//! LATTICE: Zhang et al., "Mining Latent Structures for Multimedia Recommendation", ACM MM 2021.
//!
//! - Frozen item graph of each modality: cosines of the `item_neighbors` nearest items (the item itself among them),
//!   `Ŝ_m = D^-1/2 S_m D^-1/2` (eqs. 1 to 3).
//! - Learned item graph: the same of mapped features `X_m W_m + b_m` (eqs. 4, 5). Which items are near is found anew
//!   every epoch, in blocks; their cosines are differentiated in every step, and so are the row sums of
//!   `A = Σ_m α_m S̃_m`, `α = softmax(weights)`.
//! - `h = ((1-keep) D^-1/2 A D^-1/2 + keep Σ_m α_m Ŝ_m)^n e`, `n` = `item_layers`, `e [I, d]` item ids (eqs. 7, 8).
//! - `Z_u`, `z_i` from LightGCN over the bipartite graph; `Z_i = z_i + unit rows of h` (eq. 9).
//! - Loss: mean BPR + `l2/b` times the squared norms of the batch's rows of `Z`.
//!
//! `reference_graph = true` takes the public code's bipartite graph, `D^-1 (A + I)`. Departures: raw features stay
//! frozen; the public code lets gradients reach the learned graph in the first batch of an epoch only, here they always
//! do; nothing of size `I × I`; no decay of the learning rate.

use std::sync::Arc;

use alike_ops::{
    Csr, FixedSparse, Triples, bpr_dot, knn_cosine, l2_rows, multiply, propagate_mean, spmm, spmm_fixed,
    unit_rows,
};
use burn::tensor::Tensor;
use burn::tensor::activation::{relu, softmax};

use super::{Define, GradientModel, ModelInfo, batch_rows, feature_values, graph_values, held, info, nodes};
use crate::data::Dataset;
use crate::error::Result;
use crate::graph::{self, Normalization};
use crate::layers::{FeatureInput, FeatureMap, Init, ParamId, Params, Rows, Tracked, featured, selection};
use crate::scorer::matrix;

pub(super) const INFO: ModelInfo = info::<Lattice>(
    "lattice",
    "LightGCN with an item graph that is learned from features.",
    "Zhang et al., Mining Latent Structures for Multimedia Recommendation, ACM MM 2021",
);

crate::settings! {
    /// Settings of LATTICE.
    pub(super) struct Config {
        /// Embedding width, and width of mapped features.
        dim: usize = 64, 1..=1024;
        /// Propagation layers over the bipartite graph.
        layers: usize = 2, 1..=8;
        /// Nearest items a modality, the item itself among them.
        item_neighbors: usize = 10, 2..=1_000;
        /// Hops over the item graph.
        item_layers: usize = 1, 1..=4;
        /// Share of the frozen graph in the item graph.
        keep: f64 = 0.9, 0.0..=1.0;
        /// Whether the bipartite graph is `D^-1 (A + I)`, as in the public code.
        reference_graph: bool = false, ();
        /// Weight of the squared norms of the batch's final rows.
        l2: f64 = 1e-4, 0.0..=10.0;
    }
}

pub(super) struct Parts {
    embedding: ParamId,
    weights: ParamId,
    inputs: Vec<FeatureInput>,
}

struct Lattice {
    config: Config,
    users: usize,
    params: Params,
    parts: Parts,
    bipartite: Arc<FixedSparse>,
    frozen: Vec<Arc<FixedSparse>>,
    /// Near items of each modality in this epoch.
    near: Vec<Near>,
}

/// The near items of one modality, `k` a row, and which rows their pairs take.
struct Near {
    k: usize,
    pattern: Arc<Csr>,
    from: Arc<FixedSparse>,
    to: Arc<FixedSparse>,
}

impl Define for Lattice {
    type Config = Config;
    type Parts = Parts;

    fn register(params: &mut Params, data: &Dataset, config: &Config) -> Result<Parts> {
        let embedding =
            params.table("embedding", Rows::Nodes, data, config.dim, Init::XavierSides(data.users.len()));
        let features = featured(data)?;
        let weights = params.add("weights", &[1, features.len()], Init::Constant(0.5));
        let inputs = features.iter().map(|f| {
            let name = &format!("input.{}", f.name);
            let map =
                FeatureMap { name, normalize: false, width: config.dim, bias: true, filled: config.dim };
            FeatureInput::new(params, f, map)
        });
        Ok(Parts { embedding, weights, inputs: inputs.collect::<Result<_>>()? })
    }

    fn working_values(data: &Dataset, config: &Config) -> usize {
        let edges = data.items.len() * config.item_neighbors * data.features.len();
        let rows = (8 * nodes(data) + 6 * data.features.len() * data.items.len()) * config.dim;
        feature_values(data) + graph_values(data) + rows + edges * (4 * config.dim + 16)
    }

    fn assemble(data: &Dataset, _: u64, config: Config, params: Params, parts: Parts) -> Result<Self> {
        let normalization =
            if config.reference_graph { Normalization::RowMean } else { Normalization::Symmetric };
        let bipartite = Arc::new(graph::bipartite(&data.train, normalization, config.reference_graph)?);
        let of = |f: &crate::data::Features| {
            Ok(Arc::new(graph::item_cosine_graph(data, &f.name, config.item_neighbors)?))
        };
        let frozen = data.features.iter().map(of).collect::<Result<_>>()?;
        let mut model =
            Self { config, users: data.users.len(), params, parts, bipartite, frozen, near: Vec::new() };
        model.near = model.nearest()?;
        Ok(model)
    }
}

impl Lattice {
    /// The nearest items by the present maps.
    fn nearest(&self) -> Result<Vec<Near>> {
        let p = self.params.plain();
        let near = |input: &FeatureInput| {
            let rows = matrix(input.forward(&p));
            let k = self.config.item_neighbors.min(rows.rows);
            let knn = knn_cosine(&rows.data, rows.rows, rows.cols, k, true);
            let mut idx = knn.idx;
            idx.chunks_exact_mut(k).for_each(<[u32]>::sort_unstable);
            let ptr = (0..=rows.rows as u32).map(|r| r * k as u32).collect();
            let from: Vec<u32> = (0..rows.rows as u32).flat_map(|r| std::iter::repeat_n(r, k)).collect();
            let (from, to) = (selection(&from, rows.rows), selection(&idx, rows.rows));
            Ok(Near { k, pattern: Arc::new(Csr::new(rows.rows, rows.rows, ptr, idx)?), from, to })
        };
        self.parts.inputs.iter().map(near).collect()
    }

    /// `α_m ReLU(cos)` of each near pair of modality `m`, `[I, k]`.
    fn cosines(&self, p: &Tracked, m: usize, share: Tensor<2>) -> Tensor<2> {
        let near = &self.near[m];
        let rows = unit_rows(self.parts.inputs[m].forward(p));
        let cos = multiply(spmm_fixed(&near.from, rows.clone()), spmm_fixed(&near.to, rows)).sum_dim(1);
        relu(cos).reshape([near.pattern.rows(), near.k]) * share
    }

    fn items(&self, p: &Tracked, mut h: Tensor<2>) -> Tensor<2> {
        let shares = softmax(p.matrix(self.parts.weights), 1);
        let share = |m: usize| shares.clone().narrow(1, m, 1);
        let keep = self.config.keep as f32;
        let cosines: Vec<Tensor<2>> = (0..self.near.len()).map(|m| self.cosines(p, m, share(m))).collect();
        let sums = cosines.iter().map(|c| c.clone().sum_dim(1)).reduce(|a, b| a + b).expect("a modality");
        let scale = sums.clamp_min(1e-12).powf_scalar(-0.5);
        let learned: Vec<Tensor<1>> = cosines
            .into_iter()
            .zip(&self.near)
            .map(|(c, near)| {
                let [rows, k] = c.dims();
                let other = spmm_fixed(&near.to, scale.clone()).reshape([rows, k]);
                (c * scale.clone() * other * (1.0 - keep)).reshape([rows * k])
            })
            .collect();
        for _ in 0..self.config.item_layers {
            let parts = (0..self.near.len()).map(|m| {
                let moved = spmm(&self.near[m].pattern, learned[m].clone(), h.clone());
                moved + spmm_fixed(&self.frozen[m], h.clone()) * (share(m) * keep)
            });
            h = parts.reduce(|a, b| a + b).expect("a modality");
        }
        unit_rows(h)
    }

    fn forward(&self, p: &Tracked) -> Tensor<2> {
        let e = p.matrix(self.parts.embedding);
        let ids = e.clone().narrow(0, self.users, e.dims()[0] - self.users);
        let z = propagate_mean(&self.bipartite, e, self.config.layers);
        let users = z.clone().narrow(0, 0, self.users);
        let items = z.narrow(0, self.users, ids.dims()[0]) + self.items(p, ids);
        Tensor::cat(vec![users, items], 0)
    }
}

impl GradientModel for Lattice {
    held!();

    fn start_epoch(&mut self, _: u64) -> Result<()> {
        self.near = self.nearest()?;
        Ok(())
    }

    fn loss(&self, p: &Tracked, batch: &Arc<Triples>) -> Tensor<1> {
        let z = self.forward(p);
        let scale = self.config.l2 as f32 / batch.users.len() as f32;
        bpr_dot(z.clone(), batch) + l2_rows(z, &batch_rows(batch), scale)
    }

    fn vectors(&self, p: &Tracked) -> Result<Tensor<2>> {
        Ok(self.forward(p))
    }
}
