//! MMGCN: Wei et al., "MMGCN: Multi-modal Graph Convolution Network for Personalized Recommendation of Micro-video",
//! ACM MM 2019.
//!
//! - A modality `m`: `x^(0) = unit rows of [P_m ; X_m W_m + b_m]`, `[N, latent]`. A layer `l`: heard `h = leaky(D^-1 A
//!   (x A_l))` (eq. 1, mean), own `x̂ = leaky(x B_l + b) + e` (eq. 3), `x ← leaky([h ; x̂] G_l + g)` (eq. 4,
//!   concatenation), `dim` wide from the first layer on; `e [N, dim]` ids shared by the modalities.
//! - `Z` is the mean over modalities of the last layer's rows (the paper sums: only the scale differs).
//! - Loss: mean BPR + `l2/b` times the squared norms of the batch's rows of `e` and of its users' rows of `P_m`.
//!
//! `reference = true` does what the public code does: there `e` and `P_m` are not registered as parameters, so they
//! stay as drawn, and published tables hold such numbers. Departures: every modality is mapped, to `latent` columns or
//! to as many as it has if those are fewer (the public code maps pictures to 256 and leaves text as it is); `l2` weighs
//! sums of squares over the batch size, not means over entries.

use std::sync::Arc;

use alike_ops::{
    FixedSparse, SparseRows, Triples, add, bpr_dot, l2_rows, leaky, matmul, spmm_fixed, spmm_rows, unit_rows,
};
use burn::tensor::Tensor;

use super::{Define, GradientModel, ModelInfo, batch_rows, feature_values, graph_values, held, info, nodes};
use crate::data::Dataset;
use crate::error::Result;
use crate::graph::{self, Normalization};
use crate::layers::{
    Affine, FeatureInput, FeatureMap, Init, LEAKY_SLOPE, Local, ParamId, Params, Rows, Tracked, featured,
    gather,
};

pub(super) const INFO: ModelInfo = info::<Mmgcn>(
    "mmgcn",
    "A graph convolution a modality, tied by shared ids.",
    "Wei et al., MMGCN: Multi-modal Graph Convolution Network for Personalized Recommendation of Micro-video, ACM MM 2019",
);

crate::settings! {
    /// Settings of MMGCN.
    pub(super) struct Config {
        /// Width of ids and of every layer's result.
        dim: usize = 64, 1..=1024;
        /// Most columns of the space that features are mapped to before the first layer; narrower ones keep their width.
        latent: usize = 256, 1..=4096;
        /// Layers.
        layers: usize = 3, 1..=8;
        /// Whether ids and preferences stay as drawn, as in the public code.
        reference: bool = false, ();
        /// Weight of the squared norms of the batch's ids and preferences.
        l2: f64 = 1e-3, 0.0..=10.0;
    }
}

struct Layer {
    heard: ParamId,
    own: Affine,
    joined: Affine,
}

pub(super) struct View {
    preference: ParamId,
    input: FeatureInput,
    layers: Vec<Layer>,
}

pub(super) struct Parts {
    ids: ParamId,
    views: Vec<View>,
}

struct Mmgcn {
    config: Config,
    users: usize,
    params: Params,
    parts: Parts,
    mean: Arc<FixedSparse>,
}

impl Define for Mmgcn {
    type Config = Config;
    type Parts = Parts;

    fn register(params: &mut Params, data: &Dataset, config: &Config) -> Result<Parts> {
        let d = config.dim;
        let ids = params.table("embedding", Rows::Nodes, data, d, Init::Xavier);
        let views = featured(data)?.iter().map(|f| {
            let m = &f.name;
            let latent = config.latent.min(f.dim);
            let preference =
                params.table(&format!("preference.{m}"), Rows::Users, data, latent, Init::Xavier);
            let name = &format!("input.{m}");
            let map = FeatureMap { name, normalize: false, width: latent, bias: true, filled: latent };
            let input = FeatureInput::new(params, f, map)?;
            let layer = |l: usize| {
                let from = if l == 1 { latent } else { d };
                Layer {
                    heard: params.add(&format!("heard.{m}.{l}"), &[from, from], Init::Xavier),
                    own: Affine::new(params, &format!("own.{m}.{l}"), from, d),
                    joined: Affine::new(params, &format!("joined.{m}.{l}"), from + d, d),
                }
            };
            let layers = (1..=config.layers).map(layer).collect();
            Ok(View { preference, input, layers })
        });
        let parts = Parts { ids, views: views.collect::<Result<_>>()? };
        if config.reference {
            params.slow(parts.ids, 0.0);
            parts.views.iter().for_each(|v| params.slow(v.preference, 0.0));
        }
        Ok(parts)
    }

    fn working_values(data: &Dataset, config: &Config) -> usize {
        let view = nodes(data) * (6 * config.latent + 10 * config.layers * config.dim);
        feature_values(data) + graph_values(data) + data.features.len() * view
    }

    fn assemble(data: &Dataset, _: u64, config: Config, params: Params, parts: Parts) -> Result<Self> {
        let mean = Arc::new(graph::bipartite(&data.train, Normalization::RowMean, false)?);
        Ok(Self { config, users: data.users.len(), params, parts, mean })
    }
}

impl Layer {
    /// `[heard ; own x + ids]` joined: what neighbours said `heard [R, from]`, `x [R, from]`, `ids [R, d]`.
    fn forward(&self, p: &Tracked, heard: Tensor<2>, x: Tensor<2>, ids: Tensor<2>) -> Tensor<2> {
        let heard = leaky(heard, LEAKY_SLOPE);
        let own = add(self.own.forward_leaky(p, x), ids);
        self.joined.forward_pair_leaky(p, [heard, own])
    }
}

impl Mmgcn {
    /// The mean over modalities, `[N, d]`, or the rows `rows` of it: the last layer is then computed for these only.
    fn forward(&self, p: &Tracked, rows: Option<&[u32]>) -> Tensor<2> {
        let ids = p.matrix(self.parts.ids);
        let near = rows.map(|rows| SparseRows::new(&self.mean, rows, false));
        let part = |x: Tensor<2>| rows.map_or(x.clone(), |rows| gather(x, rows));
        let last_ids = part(ids.clone());
        let of = |view: &View| {
            let start = Tensor::cat(vec![p.matrix(view.preference), view.input.forward(p)], 0);
            let (last, layers) = view.layers.split_last().expect("a layer at least");
            let x = layers.iter().fold(unit_rows(start), |x, layer| {
                let heard = spmm_fixed(&self.mean, matmul(x.clone(), p.matrix(layer.heard)));
                layer.forward(p, heard, x, ids.clone())
            });
            let heard = matmul(x.clone(), p.matrix(last.heard));
            let heard = match &near {
                Some(near) => spmm_rows(near, heard),
                None => spmm_fixed(&self.mean, heard),
            };
            last.forward(p, heard, part(x), last_ids.clone())
        };
        let views = &self.parts.views;
        views.iter().map(of).reduce(add).expect("a modality at least") / views.len() as f32
    }
}

impl GradientModel for Mmgcn {
    held!();

    fn loss(&self, p: &Tracked, batch: &Arc<Triples>) -> Tensor<1> {
        let local = Local::of(batch, self.mean.pattern().rows());
        let loss = bpr_dot(self.forward(p, Some(&local.rows)), &local.batch);
        if self.config.l2 == 0.0 || self.config.reference {
            return loss;
        }
        let scale = self.config.l2 as f32 / batch.users.len() as f32;
        let users = Arc::new(batch.users.clone());
        let ids = l2_rows(p.matrix(self.parts.ids), &batch_rows(batch), scale);
        self.parts
            .views
            .iter()
            .fold(loss + ids, |sum, v| sum + l2_rows(p.matrix(v.preference), &users, scale))
    }

    fn vectors(&self, p: &Tracked) -> Result<Tensor<2>> {
        Ok(self.forward(p, None))
    }
}
