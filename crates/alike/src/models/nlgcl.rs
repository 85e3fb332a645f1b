//! NLGCL: Xu et al., "NLGCL: Naturally Existing Neighbor Layers Graph Contrastive Learning for Recommendation", RecSys 2025.
//!
//! - LightGCN: `Z = 1/(L+1) Σ_{l=0..L} Â^l E`, `Â = D^-1/2 A D^-1/2` of the bipartite train graph, `y_ui = z_u · z_i`.
//! - Loss: LightGCN's, mean BPR + `l2/b · Σ ‖e‖²` over the starting rows of the batch's triples, + `neighbor_contrast` ·
//!   the contrast of `layers/neighbor_contrast.rs` between the layers `Â^l E`.
//!
//! Departure: `l2` multiplies the squared norms as they are (the authors' code halves them).

use super::lightgcn::{self, LightGcn};
use super::prelude::*;
use crate::layers::{NeighborContrast, propagations};

pub(super) const INFO: ModelInfo = ModelInfo::trained::<Nlgcl>(
    "nlgcl",
    "LightGCN, and a contrast between what a node is in a layer and what its neighbours were in the layer before.",
    "Xu et al., NLGCL: Naturally Existing Neighbor Layers Graph Contrastive Learning for Recommendation, RecSys 2025",
);

crate::settings! {
    /// Settings of NLGCL.
    pub(super) struct Config {
        /// Embedding width.
        dim: usize = 64, 1..=1024;
        /// Propagation layers.
        layers: usize = 2, 1..=8;
        /// Weight of the squared norms of the batch's starting rows.
        l2: f64 = 1e-4, 0.0..=10.0;
        /// Weight of the contrast between neighbouring layers.
        neighbor_contrast: f64 = 0.02, 0.0..=10.0;
        /// Share of that contrast whose anchors are items; those of the rest are users.
        contrast_balance: f64 = 0.5, 0.0..=1.0;
        /// Temperature of that contrast.
        temperature: f64 = 0.2, 0.05..=10.0;
    }
}

struct Nlgcl {
    base: LightGcn,
    contrast: NeighborContrast,
}

impl Model for Nlgcl {
    type Config = Config;
    const RANKS: bool = true;
    const FOLDS: bool = true;

    fn build(b: &mut Builder<'_>, config: Config) -> Result<Self> {
        let Config { dim, layers, l2, neighbor_contrast, contrast_balance, temperature } = config;
        let contrast = NeighborContrast::new(neighbor_contrast, contrast_balance, temperature);
        b.holds(contrast.held(layers, b.nodes(), dim, b.pairs(Self::training().batch)));
        let plain = lightgcn::Config { dim, layers, l2, ..Default::default() };
        Ok(Self { base: LightGcn::build(b, plain)?, contrast })
    }

    /// The contrast sets the pairs of a batch against each other.
    fn separable(&self) -> bool {
        self.contrast.is_off()
    }

    fn loss(&self, w: &Weights, step: &Step) -> Tensor<1> {
        let LightGcn { config, graph, embedding, .. } = &self.base;
        let layers = || propagations(graph, w.table(*embedding), config.layers);
        self.contrast.added(self.base.loss(w, step), step, layers)
    }

    fn vectors(&self, w: &Weights) -> Result<Tensor<2>> {
        self.base.vectors(w)
    }

    fn fold_in(self, w: Weights) -> Result<Option<FoldIn>> {
        self.base.fold_in(w)
    }
}
