//! PGL, local: Yu et al., "Mind Individual Information! Principal Graph Learning for Multimedia
//! Recommendation", AAAI 2025.
//!
//! - Start `x [N, D]`, `D = M d`, no ids: users `[P_u1 … P_uM]`, trained; items `[x_i1 … x_iM]`, `x_im` the
//!   unit row of `X_m W_m + b_m`.
//! - `Z = 1/(L+1) Σ_{l=0..L} Â^l x`, and for items `+ (S x)_i`, `S` FREEDOM's frozen item graph. In training
//!   `Â` is that of a share `1 - edge_dropout` of the edges, drawn every epoch as FREEDOM draws them.
//! - `NCE(a, c) = -1/b Σ_r log(e^{a_r·c_r/τ} / Σ_s e^{a_r·c_s/τ})` on unit rows. The rows of `Z` of the
//!   batch's users and of their items, `[b, D]`, have two views each: dropout with a mask per view and pair,
//!   `u, u'` and `p, p'`.
//! - Loss: mean BPR + `contrast/2 · [NCE(u, u') + NCE(p, p')]`; with `cross` (DANCE, 2025)
//!   `contrast/3 · [NCE(u, u') + NCE(p, p') + 1/2 (NCE(u, p) + NCE(p, u))]`.
//!
//! Departures: raw features stay frozen (the authors' code trains them); no decay of the learning rate. Left
//! out: the global mode (a graph of singular vectors), and DANCE's attention over edges.

use alike_ops::{ConstSparse, info_nce, propagate_mean, unit_rows};

use super::prelude::*;
use crate::config::{Draw, ModalityWeights as Shares};
use crate::graph;
use crate::layers::ThinnedGraph;

pub(super) const INFO: ModelInfo = ModelInfo::trained::<Pgl>(
    "pgl",
    "Preferences and features per modality, a thinned graph, an item graph, and a contrast of dropout views.",
    "Yu et al., Mind Individual Information! Principal Graph Learning for Multimedia Recommendation, AAAI 2025",
);

crate::settings! {
    /// Settings of PGL.
    pub(super) struct Config {
        /// Embedding width of a modality.
        dim: usize = 64, 1..=1024;
        /// Propagation layers over the bipartite graph.
        layers: usize = 2, 1..=8;
        /// Nearest items per modality, the item itself among them.
        item_neighbors: usize = 10, 1..=1_000;
        /// Share of each modality in the item graph; empty: equal shares.
        item_weights: Shares = graph::text_first(), ();
        /// Share of the interactions that an epoch leaves out of the graph.
        edge_dropout: f64 = 0.7, 0.0..=0.99;
        /// Weight of the contrastive loss.
        contrast: f64 = 0.05, 0.0..=10.0;
        /// Share of the values of a view that are set to zero.
        dropout: f64 = 0.2, 0.0..=0.99;
        /// Temperature of the contrastive loss.
        temperature: f64 = 0.2, 0.01..=10.0;
        /// Whether users and their items are contrasted as well.
        cross: bool = false, ();
    }
}

struct Pgl {
    config: Config,
    /// Of each modality the users' rows and the map of the items' features.
    views: Vec<(Table<UserId>, FeatureInput)>,
    bipartite: ThinnedGraph,
    /// The item graph; user rows are empty.
    items: Arc<ConstSparse>,
}

impl Pgl {
    /// `Z [N, D]`, or the rows `rows` of it.
    fn forward(&self, w: &Weights, bipartite: &Arc<ConstSparse>, rows: Option<&[u32]>) -> Tensor<2> {
        let users = self.views.iter().map(|(preference, _)| w.table(*preference));
        let items = self.views.iter().map(|(_, input)| unit_rows(input.forward(w)));
        let x = Tensor::cat(vec![Tensor::cat(users.collect(), 1), Tensor::cat(items.collect(), 1)], 0);
        let mean = propagate_mean(bipartite, x.clone(), self.config.layers);
        plus_propagated(mean, &self.items, x, rows)
    }

    /// The contrast on the rows `z` that the batch's `pairs` need. A pair's masks go by its place among them.
    fn contrast(&self, step: &Step, z: &Tensor<2>, [users, items]: [Vec<u32>; 2]) -> Tensor<1> {
        let &Config { dropout, temperature, cross, .. } = &self.config;
        let places: Vec<u32> = (0..users.len() as u32).collect();
        let view = |rows: &[u32]| unit_rows(step.dropout(gather(z.clone(), rows), &places, dropout));
        let between = |a: &Tensor<2>, c: &Tensor<2>| info_nce(a.clone(), c.clone(), temperature as f32);
        let [user, user_again] = [view(&users), view(&users)];
        let [item, item_again] = [view(&items), view(&items)];
        let own = between(&user, &user_again) + between(&item, &item_again);
        match cross {
            false => own / 2.0,
            true => (own + (between(&user, &item) + between(&item, &user)) / 2.0) / 3.0,
        }
    }
}

impl Model for Pgl {
    type Config = Config;
    const RANKS: bool = true;

    fn build(b: &mut Builder<'_>, config: Config) -> Result<Self> {
        let d = config.dim;
        let views = b.features()?.iter().map(|f| {
            let preference: Table<UserId> = b.table(&format!("preference.{}", f.name), d, Init::Xavier);
            Ok((preference, b.input(f, d)?))
        });
        let views = views.collect::<Result<Vec<_>>>()?;
        let bipartite = ThinnedGraph::new(b, config.edge_dropout)?;
        let items = b.item_mean_graph(config.item_neighbors, &config.item_weights)?;
        // The nodes' rows; of a batch of the usual size the views and their similarities.
        let (width, pairs) = (d * views.len(), b.pairs(Self::training().batch));
        let losses = if config.cross { 4 } else { 2 };
        b.holds(4 * b.nodes() * width);
        b.holds(if config.contrast == 0.0 { 0 } else { pairs * (losses * pairs + 8 * width) });
        Ok(Self { config, views, bipartite, items })
    }

    /// The contrast sets the rows of a batch against each other.
    fn separable(&self) -> bool {
        self.config.contrast == 0.0
    }

    fn start_epoch(&mut self, _: &Weights, draw: Draw) -> Result<()> {
        self.bipartite.start_epoch(draw)
    }

    fn loss(&self, w: &Weights, step: &Step) -> Tensor<1> {
        let local = step.local();
        let z = self.forward(w, &self.bipartite.epoch, Some(&local.rows));
        let loss = step.ranking_loss(z.clone(), &local.triples);
        if self.config.contrast == 0.0 {
            return loss;
        }
        loss + self.contrast(step, &z, step.pairs(&local.triples)) * self.config.contrast as f32
    }

    fn vectors(&self, w: &Weights) -> Result<Tensor<2>> {
        Ok(self.forward(w, &self.bipartite.whole, None))
    }
}
