//! MGCN: Yu et al., "Multi-View Graph Convolutional Network for Multimedia Recommendation", ACM MM 2023.
//!
//! - Behaviour view: `C = 1/(L+1) Σ_l Â^l E`, `E = [users ; items] [N, d]`.
//! - A modality `m`: purified `x_m = e_i ⊙ σ(W_m' f_m + b_m')` with `f_m = X_m W_m + b_m` (eqs. 1, 2); over
//!   the item graph `S_m` of cosines, `item_layers` times; users: `R̂` times the items' rows (eqs. 5, 6).
//!   Together `H_m [N, d]`.
//! - Fuser: shared attention `a_m = softmax_m(q · tanh(H_m W_q + b_q))`, common `H = Σ_m a_m H_m`; each
//!   modality's own part `(H_m - H) ⊙ σ(C W_m'' + b_m'')`; side `Q = (Σ_m own + H) / (M + 1)`; `Z = C + Q`
//!   (eqs. 7 to 13).
//! - Loss: mean BPR + `contrast` × InfoNCE of `Q` against `C`, over the batch's positive items and its users,
//!   at `temperature` + `l2/b` times the squared norms of the batch's rows of `Z`.
//!
//! Departures: raw features stay frozen (the authors' code trains them); no decay of the learning rate; `l2`
//! multiplies the squared norms as they are.

use alike_ops::{
    ConstSparse, add, info_nce, l2_rows, multiply, propagate_mean, scale_rows, sigmoid, spmm_const, unit_rows,
};

use super::prelude::*;
use crate::graph::{self, Normalization};
use crate::layers::{Attention, with_users};

pub(super) const INFO: ModelInfo = ModelInfo::trained::<Mgcn>(
    "mgcn",
    "Features purified by behaviour, propagated on item graphs, fused by attention, with a contrastive loss.",
    "Yu et al., Multi-View Graph Convolutional Network for Multimedia Recommendation, ACM MM 2023",
);

crate::settings! {
    /// Settings of MGCN.
    pub(super) struct Config {
        /// Embedding width.
        dim: usize = 64, 1..=1024;
        /// Propagation layers over the bipartite graph.
        layers: usize = 2, 1..=8;
        /// Nearest items per modality, the item itself among them.
        item_neighbors: usize = 10, 1..=1_000;
        /// Hops over the item graphs.
        item_layers: usize = 1, 0..=4;
        /// Weight of the contrastive loss.
        contrast: f64 = 1e-2, 0.0..=10.0;
        /// Temperature of the contrastive loss.
        temperature: f64 = 0.2, 0.01..=10.0;
        /// Weight of the squared norms of the batch's final rows.
        l2: f64 = 1e-4, 0.0..=10.0;
    }
}

struct View {
    input: FeatureInput,
    purify: Linear,
    prefer: Linear,
}

struct Mgcn {
    config: Config,
    users: usize,
    embedding: Table<NodeId>,
    views: Vec<View>,
    attention: Attention,
    bipartite: Arc<ConstSparse>,
    /// `R̂ [U, I]`, the users' block of the bipartite graph.
    users_items: Arc<ConstSparse>,
    item_graphs: Vec<Arc<ConstSparse>>,
}

/// `y ⊙ σ(x W + b)`.
fn gated(w: &Weights, map: &Linear, y: Tensor<2>, x: Tensor<2>) -> Tensor<2> {
    multiply(y, sigmoid(map.forward(w, x)))
}

impl Mgcn {
    /// The behaviour view and the side information, `[N, d]` each, or a batch's rows of them.
    fn forward(&self, w: &Weights, local: Option<&BatchRows>) -> (Tensor<2>, Tensor<2>) {
        let e = w.table(self.embedding);
        let ids = e.clone().narrow(0, self.users, e.dims()[0] - self.users);
        let content = propagate_mean(&self.bipartite, e, self.config.layers);
        let content = local.map_or(content.clone(), |l| gather(content, &l.rows));
        let of = |(view, graph): (&View, &Arc<ConstSparse>)| {
            let pure = gated(w, &view.purify, ids.clone(), view.input.forward(w));
            (0..self.config.item_layers).fold(pure, |x, _| spmm_const(graph, x))
        };
        let items = self.views.iter().zip(&self.item_graphs).map(of).collect();
        let side = self.fuse(w, with_users(&self.users_items, items, local), content.clone());
        (content, side)
    }

    /// What the modalities have in common and what each has of its own, row by row.
    fn fuse(&self, w: &Weights, sides: Vec<Tensor<2>>, content: Tensor<2>) -> Tensor<2> {
        let shares = self.attention.shares(w, &sides);
        let weighted = |(m, h): (usize, &Tensor<2>)| scale_rows(h.clone(), shares.clone().narrow(1, m, 1));
        let common = sides.iter().enumerate().map(weighted).reduce(add).expect("a modality at least");
        let own = |sum: Tensor<2>, (h, view): (Tensor<2>, &View)| {
            add(sum, gated(w, &view.prefer, h - common.clone(), content.clone()))
        };
        let count = (sides.len() + 1) as f32;
        sides.into_iter().zip(&self.views).fold(common.clone(), own) / count
    }

    /// `-1/b Σ log(exp(a_r·c_r/τ) / Σ_s exp(a_r·c_s/τ))` over unit rows `a`, `c` of the batch.
    fn contrast(&self, side: Tensor<2>, content: Tensor<2>, rows: &[u32]) -> Tensor<1> {
        let (side, content) = (unit_rows(gather(side, rows)), unit_rows(gather(content, rows)));
        info_nce(side, content, self.config.temperature as f32)
    }
}

impl Model for Mgcn {
    type Config = Config;
    const RANKS: bool = true;
    fn build(b: &mut Builder<'_>, config: Config) -> Result<Self> {
        let d = config.dim;
        let embedding = b.table("embedding", d, Init::XavierSides(b.users()));
        let features = b.features()?;
        let views = features.iter().map(|f| {
            let input = b.input(f, d)?;
            let [purify, prefer] =
                ["purify", "prefer"].map(|name| b.linear(&format!("{name}.{}", f.name), d, d));
            Ok(View { input, purify, prefer })
        });
        let views = views.collect::<Result<_>>()?;
        let attention = Attention::new(b, d);
        let bipartite = b.bipartite(Normalization::Symmetric, false)?;
        let (data, k) = (b.data(), config.item_neighbors);
        let users_items = b.sparse(data.train.nnz(), || graph::users_block(&data.train, &bipartite))?;
        let item_graphs =
            features.iter().map(|f| b.sparse(b.items() * k, || graph::item_cosine_graph(data, &f.name, k)));
        let item_graphs = item_graphs.collect::<Result<_>>()?;
        b.holds((8 + 8 * features.len()) * b.nodes() * d);
        let users = b.users();
        Ok(Self { config, users, embedding, views, attention, bipartite, users_items, item_graphs })
    }

    /// The contrast sets the rows of a batch against each other.
    fn separable(&self) -> bool {
        self.config.contrast == 0.0
    }

    fn loss(&self, w: &Weights, step: &Step) -> Tensor<1> {
        let local = step.local();
        let (content, side) = self.forward(w, Some(&local));
        let (triples, z) = (&local.triples, add(content.clone(), side.clone()));
        let l2 = l2_rows(z.clone(), &rows_of(triples), step.share(self.config.l2));
        let loss = step.ranking_loss(z, triples) + l2;
        if self.config.contrast == 0.0 {
            return loss;
        }
        let [users, items] = step.pairs(triples);
        let contrast =
            self.contrast(side.clone(), content.clone(), &items) + self.contrast(side, content, &users);
        loss + contrast * self.config.contrast as f32
    }

    fn vectors(&self, w: &Weights) -> Result<Tensor<2>> {
        let (content, side) = self.forward(w, None);
        Ok(add(content, side))
    }
}
