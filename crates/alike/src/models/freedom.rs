//! FREEDOM: Zhou and Shen, "A Tale of Two Graphs: Freezing and Denoising Graph Structures for Multimodal
//! Recommendation", ACM MM 2023.
//!
//! - Denoised interactions: every epoch keeps `1 - dropout` of the edges, drawn without replacement with
//!   weight `1/√(d_u d_i)`, normalised again (eqs. 7, 8); evaluation uses all edges.
//! - `Z = 1/(L+1) Σ_{l=0..L} Â^l E`, `E [N, d]`, and for items `+ (S^n E)_i`, `S` the frozen item graph: the
//!   mean of each modality's `item_neighbors` nearest items (the item itself among them), mixed by
//!   `item_weights`; `n` = `item_layers`.
//! - Loss: mean BPR on `Z` + `auxiliary · Σ_m` mean BPR of `z_u · (X_m W_m + b_m)` (eqs. 13, 14); with
//!   `neighbor_contrast` also the contrast of `layers/neighbor_contrast.rs` between the layers `Â^l E`.
//!
//! Departure: raw features stay frozen (the authors' code trains them, though they reach the auxiliary loss
//! only).

use alike_ops::{ConstSparse, propagate_mean, spmm_const};

use super::prelude::*;
use crate::config::{Draw, ModalityWeights as Shares};
use crate::graph;
use crate::layers::{NeighborContrast, ThinnedGraph, propagations};

pub(super) const INFO: ModelInfo = ModelInfo::trained::<Freedom>(
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
        /// Nearest items per modality, the item itself among them.
        item_neighbors: usize = 10, 1..=1_000;
        /// Share of each modality in the item graph; empty: equal shares.
        item_weights: Shares = graph::text_first(), ();
        /// Hops over the item graph.
        item_layers: usize = 1, 1..=4;
        /// Weight of the loss on mapped features.
        auxiliary: f64 = 1e-3, 0.0..=10.0;
        /// Weight of the contrast between neighbouring layers.
        neighbor_contrast: f64 = 0.0, 0.0..=10.0;
        /// Share of that contrast whose anchors are items; those of the rest are users.
        contrast_balance: f64 = 0.5, 0.0..=1.0;
        /// Temperature of that contrast.
        temperature: f64 = 0.2, 0.05..=10.0;
    }
}

struct Freedom {
    config: Config,
    contrast: NeighborContrast,
    embedding: Table<NodeId>,
    inputs: Vec<FeatureInput>,
    bipartite: ThinnedGraph,
    /// The item graph; user rows are empty.
    items: Arc<ConstSparse>,
}

impl Freedom {
    /// `Z [N, d]`, or the rows `rows` of it.
    fn forward(&self, w: &Weights, bipartite: &Arc<ConstSparse>, rows: Option<&[u32]>) -> Tensor<2> {
        let e = w.table(self.embedding);
        let before = (1..self.config.item_layers).fold(e.clone(), |h, _| spmm_const(&self.items, h));
        let mean = propagate_mean(bipartite, e, self.config.layers);
        plus_propagated(mean, &self.items, before, rows)
    }
}

impl Model for Freedom {
    type Config = Config;
    const RANKS: bool = true;

    fn build(b: &mut Builder<'_>, config: Config) -> Result<Self> {
        let Config { dim: d, layers, neighbor_contrast, contrast_balance, temperature, .. } = config;
        let contrast = NeighborContrast::new(neighbor_contrast, contrast_balance, temperature);
        let embedding = b.table("embedding", d, Init::XavierSides(b.users()));
        let inputs = b.features()?.iter().map(|f| {
            let name = &format!("input.{}", f.name);
            b.input_with(f, FeatureMap { name, normalize: false, width: d, bias: false, filled: d })
        });
        let inputs: Vec<FeatureInput> = inputs.collect::<Result<_>>()?;
        let bipartite = ThinnedGraph::new(b, config.dropout)?;
        let items = b.item_mean_graph(config.item_neighbors, &config.item_weights)?;
        b.holds((2 + inputs.len()) * b.nodes() * d);
        b.holds(contrast.held(layers, b.nodes(), d, b.pairs(Self::training().batch)));
        Ok(Self { config, contrast, embedding, inputs, bipartite, items })
    }

    /// The contrast sets the pairs of a batch against each other.
    fn separable(&self) -> bool {
        self.contrast.is_off()
    }

    fn start_epoch(&mut self, _: &Weights, draw: Draw) -> Result<()> {
        self.bipartite.start_epoch(draw)
    }

    fn loss(&self, w: &Weights, step: &Step) -> Tensor<1> {
        let local = step.local();
        let z = self.forward(w, &self.bipartite.epoch, Some(&local.rows));
        let layers = || propagations(&self.bipartite.epoch, w.table(self.embedding), self.config.layers);
        let loss = self.contrast.added(step.ranking_loss(z.clone(), &local.triples), step, layers);
        if self.config.auxiliary == 0.0 {
            return loss;
        }
        let items = local.items();
        let users = z.narrow(0, 0, local.users().len());
        let of = |input: &FeatureInput| {
            let seen = input.forward_rows(w, &items);
            step.pair_loss(Tensor::cat(vec![users.clone(), seen], 0), &local.triples)
        };
        let auxiliary = self.inputs.iter().map(of).reduce(|a, b| a + b).expect("a modality at least");
        loss + auxiliary * self.config.auxiliary as f32
    }

    fn vectors(&self, w: &Weights) -> Result<Tensor<2>> {
        Ok(self.forward(w, &self.bipartite.whole, None))
    }
}
