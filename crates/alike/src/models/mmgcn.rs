//! MMGCN: Wei et al., "MMGCN: Multi-modal Graph Convolution Network for Personalized Recommendation of
//! Micro-video", ACM MM 2019.
//!
//! - A modality `m`: `x^(0) = unit rows of [P_m ; X_m W_m + b_m]`, `[N, latent]`. A layer `l`: messages `h =
//!   leaky(D^-1 A (x A_l))` (eq. 1, mean), own `x̂ = leaky(x B_l + b) + e` (eq. 3), `x ← leaky([h ; x̂] G_l +
//!   g)` (eq. 4, concatenation), `dim` wide from the first layer on; `e [N, dim]` ids shared by the
//!   modalities.
//! - `Z` is the mean over modalities of the last layer's rows (the paper sums: only the scale differs).
//! - Loss: mean BPR + `l2/b` times the squared norms of the batch's rows of `e` and of its users' rows of
//!   `P_m`.
//!
//! `reference = true` does what the public code does: there `e` and `P_m` are not registered as parameters,
//! so they stay as drawn, and published tables hold such numbers. Departures: every modality is mapped, to
//! `latent` columns or to as many as it has if those are fewer (the public code maps pictures to 256 and
//! leaves text as it is); `l2` weighs sums of squares over the batch size, not means over entries.

use alike_ops::{ConstSparse, RowSubset, add, l2_rows, leaky, matmul, spmm_const, spmm_rows, unit_rows};

use super::prelude::*;
use crate::graph::Normalization;

pub(super) const INFO: ModelInfo = ModelInfo::trained::<Mmgcn>(
    "mmgcn",
    "A graph convolution per modality, tied by shared ids.",
    "Wei et al., MMGCN: Multi-modal Graph Convolution Network for Personalized Recommendation of Micro-video, ACM MM 2019",
);

crate::settings! {
    /// Settings of MMGCN.
    pub(super) struct Config {
        /// Width of ids and of every layer's result.
        dim: usize = 64, 1..=1024;
        /// Maximum of columns of the space that features are mapped to before the first layer; narrower ones keep their width.
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
    /// `A_l`; saved under the name `heard`.
    message: ParamId,
    own: Linear,
    joined: Linear,
}

struct View {
    preference: Table<UserId>,
    input: FeatureInput,
    layers: Vec<Layer>,
}

struct Mmgcn {
    config: Config,
    ids: Table<NodeId>,
    views: Vec<View>,
    mean: Arc<ConstSparse>,
}

impl Layer {
    /// `[messages ; own x + ids]` joined: the neighbours' mean `messages [R, from]`, `x [R, from]`, `ids [R, d]`.
    fn forward(&self, w: &Weights, messages: Tensor<2>, x: Tensor<2>, ids: Tensor<2>) -> Tensor<2> {
        let messages = leaky(messages, LEAKY_SLOPE);
        let own = add(self.own.forward_leaky(w, x), ids);
        self.joined.forward_pair_leaky(w, [messages, own])
    }
}

impl Mmgcn {
    /// The mean over modalities, `[N, d]`, or the rows `rows` of it: the last layer is then computed for
    /// these only.
    fn forward(&self, w: &Weights, rows: Option<&[u32]>) -> Tensor<2> {
        let ids = w.table(self.ids);
        let near = rows.map(|rows| RowSubset::new(&self.mean, rows, false));
        let part = |x: Tensor<2>| rows.map_or(x.clone(), |rows| gather(x, rows));
        let last_ids = part(ids.clone());
        let of = |view: &View| {
            let start = Tensor::cat(vec![w.table(view.preference), view.input.forward(w)], 0);
            let (last, layers) = view.layers.split_last().expect("a layer at least");
            let x = layers.iter().fold(unit_rows(start), |x, layer| {
                let messages = spmm_const(&self.mean, matmul(x.clone(), w.matrix(layer.message)));
                layer.forward(w, messages, x, ids.clone())
            });
            let messages = matmul(x.clone(), w.matrix(last.message));
            let messages = match &near {
                Some(near) => spmm_rows(near, messages),
                None => spmm_const(&self.mean, messages),
            };
            last.forward(w, messages, part(x), last_ids.clone())
        };
        let views = &self.views;
        views.iter().map(of).reduce(add).expect("a modality at least") / views.len() as f32
    }
}

impl Model for Mmgcn {
    type Config = Config;
    const RANKS: bool = true;

    fn build(b: &mut Builder<'_>, config: Config) -> Result<Self> {
        let d = config.dim;
        let ids = b.table("embedding", d, Init::Xavier);
        let views = b.features()?.iter().map(|f| {
            let m = &f.name;
            let latent = config.latent.min(f.dim);
            let preference = b.table(&format!("preference.{m}"), latent, Init::Xavier);
            let input = b.input(f, latent)?;
            let layer = |l: usize| {
                let from = if l == 1 { latent } else { d };
                Layer {
                    message: b.matrix(&format!("heard.{m}.{l}"), from, from, Init::Xavier),
                    own: b.linear(&format!("own.{m}.{l}"), from, d),
                    joined: b.linear(&format!("joined.{m}.{l}"), from + d, d),
                }
            };
            let layers = (1..=config.layers).map(layer).collect();
            b.holds(b.nodes() * (2 * latent + 4 * config.layers * d));
            Ok(View { preference, input, layers })
        });
        let views = views.collect::<Result<Vec<View>>>()?;
        if config.reference {
            b.scale_lr(views.iter().map(|v| v.preference.id()).chain([ids.id()]), 0.0);
        }
        let mean = b.bipartite(Normalization::RowMean, false)?;
        Ok(Self { config, ids, views, mean })
    }

    fn loss(&self, w: &Weights, step: &Step) -> Tensor<1> {
        let local = step.local();
        let loss = step.ranking_loss(self.forward(w, Some(&local.rows)), &local.triples);
        let Config { l2, reference, .. } = self.config;
        if l2 == 0.0 || reference {
            return loss;
        }
        let ids = l2_rows(w.table(self.ids), &step.node_rows(), step.share(l2));
        let l2_of = |v: &View| step.l2(w, v.preference, step.users(), l2);
        self.views.iter().map(l2_of).fold(loss + ids, |sum, norms| sum + norms)
    }

    fn vectors(&self, w: &Weights) -> Result<Tensor<2>> {
        Ok(self.forward(w, None))
    }
}
