//! BM3: Zhou et al., "Bootstrap Latent Representations for Multi-modal Recommendation", WWW 2023.
//! - `z = 1/(L+1) Σ_l Â^l E`, items `+ E_i`; `f_m = X_m W_m + b_m`; online views `p(z)`, `p(f_m)` with `p(x) = x W + b`; targets `z̃`, `f̃_m` are the
//!   same rows before `p`, detached, with dropout (eqs. 3 to 8). Score: `p(z_u) · p(z_i)`.
//! - Loss, means over pairs, `C = 1 - cos`: `C(p(z_u), z̃_i) + C(p(z_i), z̃_u) + contrast · Σ_m [C(p(f_m), z̃_i) + C(p(f_m), f̃_m)]` (eqs. 9 to 11)
//!   `+ l2 · (‖z_u‖² + ‖z_i‖²)` (eq. 12). No negatives.
//! - Departures: features stay frozen; `l2` weighs squared norms of the batch (the authors' code: norms of all rows over the number of items).

use alike_ops::{ConstSparse, add, l2_rows, propagate_mean};

use super::prelude::*;
use crate::graph::Normalization;

pub(super) const INFO: ModelInfo = ModelInfo::trained::<Bm3>(
    "bm3",
    "Self-supervision without negatives: each view of a pair predicts the other's, features included.",
    "Zhou et al., Bootstrap Latent Representations for Multi-modal Recommendation, WWW 2023",
);

crate::settings! {
    /// Settings of BM3.
    pub(super) struct Config {
        /// Embedding width.
        dim: usize = 64, 1..=1024;
        /// Propagation layers.
        layers: usize = 1, 1..=8;
        /// Share of the values of a target that are set to zero.
        dropout: f64 = 0.3, 0.0..=0.99;
        /// Weight of the losses of the modalities.
        contrast: f64 = 2.0, 0.0..=100.0;
        /// Weight of the squared norms of the batch's rows.
        l2: f64 = 1e-2, 0.0..=10.0;
    }
}

struct Bm3 {
    config: Config,
    graph: Arc<ConstSparse>,
    user: Table<UserId>,
    item: Table<ItemId>,
    inputs: Vec<FeatureInput>,
    predictor: Linear,
}

impl Bm3 {
    /// Rows before the predictor, `[N, d]`.
    fn rows(&self, w: &Weights) -> Tensor<2> {
        let (users, items) = (w.table(self.user), w.table(self.item));
        let own = Tensor::cat(vec![users.zeros_like(), items.clone()], 0);
        add(propagate_mean(&self.graph, Tensor::cat(vec![users, items], 0), self.config.layers), own)
    }
}

impl Model for Bm3 {
    type Config = Config;

    fn build(b: &mut Builder<'_>, config: Config) -> Result<Self> {
        let d = config.dim;
        let (user, item) = (b.table("user", d, Init::Xavier), b.table("item", d, Init::Xavier));
        let inputs = b.features()?.iter().map(|f| b.input(f, d)).collect::<Result<_>>()?;
        let predictor = b.linear("predictor", d, d);
        let graph = b.bipartite(Normalization::Symmetric, false)?;
        b.holds(6 * b.nodes() * d);
        Ok(Self { config, graph, user, item, inputs, predictor })
    }

    fn sampling(&self) -> Sampling {
        Sampling::POSITIVES
    }

    fn loss(&self, w: &Weights, step: &Step) -> Tensor<1> {
        let (&Config { dropout, contrast, l2, .. }, local) = (&self.config, step.local());
        let (items, seen) = local.positive_items();
        let target = |x: &Tensor<2>, rows: &[u32]| step.dropout(x.clone().detach(), rows, dropout);
        let (users, taken) = (&local.triples.users, &local.triples.positives);
        let z = gather(self.rows(w), &local.rows);
        let (online, goal) = (self.predictor.forward(w, z.clone()), target(&z, &local.rows));
        let mut loss = cosine_gap(&online, users, &goal, taken) + cosine_gap(&online, taken, &goal, users);
        for input in &self.inputs {
            let f = input.forward_rows(w, &items);
            let (online, own) = (self.predictor.forward(w, f.clone()), target(&f, numbers(&items)));
            let both = cosine_gap(&online, &seen, &goal, taken) + cosine_gap(&online, &seen, &own, &seen);
            loss = loss + both * contrast as f32;
        }
        loss + l2_rows(z, &rows_of(&local.triples), step.share(l2))
    }

    fn vectors(&self, w: &Weights) -> Result<Tensor<2>> {
        Ok(self.predictor.forward(w, self.rows(w)))
    }
}
