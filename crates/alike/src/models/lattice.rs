//! LATTICE: Zhang et al., "Mining Latent Structures for Multimedia Recommendation", ACM MM 2021.
//!
//! - Frozen item graph of each modality: cosines of the `item_neighbors` nearest items (the item itself among
//!   them), `Ŝ_m = D^-1/2 S_m D^-1/2` (eqs. 1 to 3).
//! - Learned item graph: the same of mapped features `X_m W_m + b_m` (eqs. 4, 5). Which items are near is
//!   found again every epoch, in blocks; their cosines are differentiated in every step, and so are the row
//!   sums of `A = Σ_m α_m S̃_m`, `α = softmax(weights)`.
//! - `h = ((1-keep) D^-1/2 A D^-1/2 + keep Σ_m α_m Ŝ_m)^n e`, `n` = `item_layers`, `e [I, d]` item ids (eqs.
//!   7, 8).
//! - `Z_u`, `z_i` from LightGCN over the bipartite graph; `Z_i = z_i + unit rows of h` (eq. 9).
//! - Loss: mean BPR + `l2/b` times the squared norms of the batch's rows of `Z`.
//!
//! `reference_graph = true` takes the public code's bipartite graph, `D^-1 (A + I)`. Departures: raw features
//! stay frozen; the public code lets gradients reach the learned graph in the first batch of an epoch only,
//! here they always do; nothing of size `I × I`; no decay of the learning rate.

use alike_ops::{
    ConstSparse, Csr, knn_cosine, l2_rows, multiply, propagate_mean, spmm, spmm_const, unit_rows,
};
use burn::tensor::activation::{relu, softmax};

use super::prelude::*;
use crate::config::Draw;
use crate::graph::{self, Normalization};
use crate::scorer::matrix;

pub(super) const INFO: ModelInfo = ModelInfo::trained::<Lattice>(
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
        /// Nearest items per modality, the item itself among them.
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

struct Lattice {
    config: Config,
    users: usize,
    embedding: Table<NodeId>,
    weights: ParamId,
    inputs: Vec<FeatureInput>,
    bipartite: Arc<ConstSparse>,
    frozen: Vec<Arc<ConstSparse>>,
    /// Near items of each modality in this epoch; found before evaluation where no epoch has begun.
    near: Vec<NearPairs>,
}

/// The nearest items in one modality, `k` per row, and the matrices that pick both items of each pair.
struct NearPairs {
    k: usize,
    pattern: Arc<Csr>,
    item: Arc<ConstSparse>,
    neighbor: Arc<ConstSparse>,
}

impl Lattice {
    /// The nearest items by the present maps.
    fn nearest(&self, w: &Weights) -> Result<Vec<NearPairs>> {
        let near = |input: &FeatureInput| {
            let rows = matrix(input.forward(w));
            let k = self.config.item_neighbors.min(rows.rows);
            let knn = knn_cosine(&rows.data, rows.rows, rows.cols, k, true);
            let mut idx = knn.idx;
            idx.chunks_exact_mut(k).for_each(<[u32]>::sort_unstable);
            let ptr = (0..=rows.rows as u32).map(|r| r * k as u32).collect();
            let item: Vec<u32> = (0..rows.rows as u32).flat_map(|r| std::iter::repeat_n(r, k)).collect();
            let (item, neighbor) = (selection(&item, rows.rows), selection(&idx, rows.rows));
            Ok(NearPairs { k, pattern: Arc::new(Csr::new(rows.rows, rows.rows, ptr, idx)?), item, neighbor })
        };
        self.inputs.iter().map(near).collect()
    }

    /// `α_m ReLU(cos)` of each near pair of modality `m`, `[I, k]`.
    fn cosines(&self, w: &Weights, near: &NearPairs, input: &FeatureInput, share: Tensor<2>) -> Tensor<2> {
        let rows = unit_rows(input.forward(w));
        let cos = multiply(spmm_const(&near.item, rows.clone()), spmm_const(&near.neighbor, rows)).sum_dim(1);
        relu(cos).reshape([near.pattern.rows(), near.k]) * share
    }

    fn items(&self, w: &Weights, near: &[NearPairs], mut h: Tensor<2>) -> Tensor<2> {
        let shares = softmax(w.matrix(self.weights), 1);
        let share = |m: usize| shares.clone().narrow(1, m, 1);
        let keep = self.config.keep as f32;
        let cosines: Vec<Tensor<2>> =
            (0..near.len()).map(|m| self.cosines(w, &near[m], &self.inputs[m], share(m))).collect();
        let sums = cosines.iter().map(|c| c.clone().sum_dim(1)).reduce(|a, b| a + b).expect("a modality");
        let scale = sums.clamp_min(1e-12).powf_scalar(-0.5);
        let learned: Vec<Tensor<1>> = cosines
            .into_iter()
            .zip(near)
            .map(|(c, near)| {
                let [rows, k] = c.dims();
                let other = spmm_const(&near.neighbor, scale.clone()).reshape([rows, k]);
                (c * scale.clone() * other * (1.0 - keep)).reshape([rows * k])
            })
            .collect();
        for _ in 0..self.config.item_layers {
            let parts = (0..near.len()).map(|m| {
                let moved = spmm(&near[m].pattern, learned[m].clone(), h.clone());
                moved + spmm_const(&self.frozen[m], h.clone()) * (share(m) * keep)
            });
            h = parts.reduce(|a, b| a + b).expect("a modality");
        }
        unit_rows(h)
    }

    fn forward(&self, w: &Weights, near: &[NearPairs]) -> Tensor<2> {
        let e = w.table(self.embedding);
        let ids = e.clone().narrow(0, self.users, e.dims()[0] - self.users);
        let z = propagate_mean(&self.bipartite, e, self.config.layers);
        let users = z.clone().narrow(0, 0, self.users);
        let items = z.narrow(0, self.users, ids.dims()[0]) + self.items(w, near, ids);
        Tensor::cat(vec![users, items], 0)
    }
}

impl Model for Lattice {
    type Config = Config;
    const RANKS: bool = true;

    fn build(b: &mut Builder<'_>, config: Config) -> Result<Self> {
        let embedding = b.table("embedding", config.dim, Init::XavierSides(b.users()));
        let features = b.features()?;
        let weights = b.matrix("weights", 1, features.len(), Init::Constant(0.5));
        let inputs: Vec<_> = features.iter().map(|f| b.input(f, config.dim)).collect::<Result<_>>()?;
        let normalization =
            if config.reference_graph { Normalization::RowMean } else { Normalization::Symmetric };
        let bipartite = b.bipartite(normalization, config.reference_graph)?;
        let (data, k) = (b.data(), config.item_neighbors);
        let frozen =
            features.iter().map(|f| b.sparse(b.items() * k, || graph::item_cosine_graph(data, &f.name, k)));
        let frozen = frozen.collect::<Result<_>>()?;
        let edges = b.items() * k * features.len();
        b.holds(
            (8 * b.nodes() + 6 * features.len() * b.items()) * config.dim + edges * (4 * config.dim + 12),
        );
        Ok(Self { config, users: b.users(), embedding, weights, inputs, bipartite, frozen, near: Vec::new() })
    }

    fn start_epoch(&mut self, w: &Weights, _: Draw) -> Result<()> {
        self.near = self.nearest(w)?;
        Ok(())
    }

    fn loss(&self, w: &Weights, step: &Step) -> Tensor<1> {
        let z = self.forward(w, &self.near);
        step.ranking_loss(z.clone(), step.nodes()) + l2_rows(z, &step.node_rows(), step.share(self.config.l2))
    }

    fn vectors(&self, w: &Weights) -> Result<Tensor<2>> {
        match self.near.is_empty() {
            true => Ok(self.forward(w, &self.nearest(w)?)),
            false => Ok(self.forward(w, &self.near)),
        }
    }
}
