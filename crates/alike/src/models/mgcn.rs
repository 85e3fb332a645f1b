//! MGCN: Yu et al., "Multi-View Graph Convolutional Network for Multimedia Recommendation", ACM MM 2023.
//!
//! - Behaviour view: `C = 1/(L+1) Σ_l Â^l E`, `E = [users ; items] [N, d]`.
//! - A modality `m`: purified `x_m = e_i ⊙ σ(W_m' f_m + b_m')` with `f_m = X_m W_m + b_m` (eqs. 1, 2); over the item
//!   graph `S_m` of cosines, `item_layers` times; users: `R̂` times the items' rows (eqs. 5, 6). Together `H_m [N, d]`.
//! - Fuser: shared attention `a_m = softmax_m(q · tanh(H_m W_q + b_q))`, common `H = Σ_m a_m H_m`; each modality's own
//!   part `(H_m - H) ⊙ σ(C W_m'' + b_m'')`; side `Q = (Σ_m own + H) / (M + 1)`; `Z = C + Q` (eqs. 7 to 13).
//! - Loss: mean BPR + `contrast` × InfoNCE of `Q` against `C`, over the batch's positive items and its users, at
//!   `temperature` + `l2/b` times the squared norms of the batch's rows of `Z`.
//!
//! Departures: raw features stay frozen (the authors' code trains them); no decay of the learning rate; `l2` multiplies
//! the squared norms as they are.

use std::sync::Arc;

use alike_ops::{
    FixedSparse, SparseRows, Triples, add, bpr_dot, info_nce, l2_rows, matmul, multiply, propagate_mean,
    scale_rows, sigmoid, spmm_fixed, spmm_rows, tanh, unit_rows,
};
use burn::tensor::Tensor;
use burn::tensor::activation::softmax;

use super::{Define, GradientModel, ModelInfo, batch_rows, feature_values, graph_values, held, info, nodes};
use crate::data::Dataset;
use crate::error::Result;
use crate::graph::{self, Normalization};
use crate::layers::{
    Affine, FeatureInput, FeatureMap, Init, Local, ParamId, Params, Rows, Tracked, featured, gather,
};

pub(super) const INFO: ModelInfo = info::<Mgcn>(
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
        /// Nearest items a modality, the item itself among them.
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

pub(super) struct View {
    input: FeatureInput,
    purify: Affine,
    prefer: Affine,
}

pub(super) struct Parts {
    embedding: ParamId,
    views: Vec<View>,
    query: Affine,
    query_out: ParamId,
}

struct Mgcn {
    config: Config,
    users: usize,
    params: Params,
    parts: Parts,
    bipartite: Arc<FixedSparse>,
    /// `R̂ [U, I]`, the users' block of the bipartite graph.
    users_items: Arc<FixedSparse>,
    item_graphs: Vec<Arc<FixedSparse>>,
}

impl Define for Mgcn {
    type Config = Config;
    type Parts = Parts;

    fn register(params: &mut Params, data: &Dataset, config: &Config) -> Result<Parts> {
        let d = config.dim;
        let embedding = params.table("embedding", Rows::Nodes, data, d, Init::XavierSides(data.users.len()));
        let views = featured(data)?.iter().map(|f| {
            let m = &f.name;
            let map =
                FeatureMap { name: &format!("input.{m}"), normalize: false, width: d, bias: true, filled: d };
            let input = FeatureInput::new(params, f, map)?;
            let purify = Affine::new(params, &format!("purify.{m}"), d, d);
            let prefer = Affine::new(params, &format!("prefer.{m}"), d, d);
            Ok(View { input, purify, prefer })
        });
        let views = views.collect::<Result<_>>()?;
        let query = Affine::new(params, "query", d, d);
        let query_out = params.add("query.out", &[d, 1], Init::Xavier);
        Ok(Parts { embedding, views, query, query_out })
    }

    fn working_values(data: &Dataset, config: &Config) -> usize {
        let m = data.features.len();
        let edges = data.items.len() * config.item_neighbors * m;
        feature_values(data) + 2 * graph_values(data) + 4 * edges + (12 + 14 * m) * nodes(data) * config.dim
    }

    fn assemble(data: &Dataset, _: u64, config: Config, params: Params, parts: Parts) -> Result<Self> {
        let bipartite = Arc::new(graph::bipartite(&data.train, Normalization::Symmetric, false)?);
        let users_items = Arc::new(graph::users_block(&data.train, &bipartite)?);
        let of = |f: &crate::data::Features| {
            Ok(Arc::new(graph::item_cosine_graph(data, &f.name, config.item_neighbors)?))
        };
        let item_graphs = data.features.iter().map(of).collect::<Result<_>>()?;
        Ok(Self { config, users: data.users.len(), params, parts, bipartite, users_items, item_graphs })
    }
}

/// `y ⊙ σ(x W + b)`.
fn gated(p: &Tracked, map: &Affine, y: Tensor<2>, x: Tensor<2>) -> Tensor<2> {
    multiply(y, sigmoid(map.forward(p, x)))
}

impl Mgcn {
    /// The behaviour view and the side information, `[N, d]` each, or a batch's rows of them.
    fn forward(&self, p: &Tracked, local: Option<&Local>) -> (Tensor<2>, Tensor<2>) {
        let Parts { embedding, views, .. } = &self.parts;
        let e = p.matrix(*embedding);
        let ids = e.clone().narrow(0, self.users, e.dims()[0] - self.users);
        let content = propagate_mean(&self.bipartite, e, self.config.layers);
        // What follows the graphs is needed for the batch's rows only.
        let wanted = local.map(|l| {
            let (users, items) = l.split(self.users);
            (SparseRows::new(&self.users_items, users, false), items)
        });
        let content = local.map_or(content.clone(), |l| gather(content, &l.rows));
        let of = |(view, graph): (&View, &Arc<FixedSparse>)| {
            let pure = gated(p, &view.purify, ids.clone(), view.input.forward(p));
            let items = (0..self.config.item_layers).fold(pure, |x, _| spmm_fixed(graph, x));
            let parts = match &wanted {
                Some((users, some)) => vec![spmm_rows(users, items.clone()), gather(items, some)],
                None => vec![spmm_fixed(&self.users_items, items.clone()), items],
            };
            Tensor::cat(parts, 0)
        };
        let sides = views.iter().zip(&self.item_graphs).map(of).collect();
        let side = self.fuse(p, sides, content.clone());
        (content, side)
    }

    /// What the modalities have in common and what each has of its own, row by row.
    fn fuse(&self, p: &Tracked, sides: Vec<Tensor<2>>, content: Tensor<2>) -> Tensor<2> {
        let Parts { views, query, query_out, .. } = &self.parts;
        let scores = sides.iter().map(|h| matmul(tanh(query.forward(p, h.clone())), p.matrix(*query_out)));
        let shares = softmax(Tensor::cat(scores.collect(), 1), 1);
        let weighted = |(m, h): (usize, &Tensor<2>)| scale_rows(h.clone(), shares.clone().narrow(1, m, 1));
        let common = sides.iter().enumerate().map(weighted).reduce(add).expect("a modality at least");
        let own = |sum: Tensor<2>, (h, view): (Tensor<2>, &View)| {
            add(sum, gated(p, &view.prefer, h - common.clone(), content.clone()))
        };
        let count = (sides.len() + 1) as f32;
        sides.into_iter().zip(views).fold(common.clone(), own) / count
    }

    /// `-1/b Σ log(exp(a_r·c_r/τ) / Σ_s exp(a_r·c_s/τ))` over unit rows `a`, `c` of the batch.
    fn contrast(&self, side: Tensor<2>, content: Tensor<2>, rows: &[u32]) -> Tensor<1> {
        let (side, content) = (unit_rows(gather(side, rows)), unit_rows(gather(content, rows)));
        info_nce(side, content, self.config.temperature as f32)
    }
}

impl GradientModel for Mgcn {
    held!();

    fn loss(&self, p: &Tracked, batch: &Arc<Triples>) -> Tensor<1> {
        let local = Local::of(batch, self.bipartite.pattern().rows());
        let (content, side) = self.forward(p, Some(&local));
        let (batch, z) = (&local.batch, add(content.clone(), side.clone()));
        let l2 = l2_rows(z.clone(), &batch_rows(batch), self.config.l2 as f32 / batch.users.len() as f32);
        let loss = bpr_dot(z, batch) + l2;
        if self.config.contrast == 0.0 {
            return loss;
        }
        let contrast = self.contrast(side.clone(), content.clone(), &batch.positives)
            + self.contrast(side, content, &batch.users);
        loss + contrast * self.config.contrast as f32
    }

    fn vectors(&self, p: &Tracked) -> Result<Tensor<2>> {
        let (content, side) = self.forward(p, None);
        Ok(add(content, side))
    }
}
