//! VBPR: He and McAuley, "VBPR: Visual Bayesian Personalized Ranking from Implicit Feedback", AAAI 2016.
//!
//! - `y_ui = γ_u · γ_i + θ_u · (E f_i)` (eq. 4 without biases): `Z_u = [γ_u ; θ_u]`, `Z_i = [γ_i ; Σ_m X_m W_m + b_m]`,
//!   both `2d` wide; `user [U, 2d]`, `item [I, d]`, `X_m [I, d_m]` frozen.
//! - Loss: mean BPR over the batch + `l2/b` times the squared norms of the batch's rows of `Z`.
//!
//! Departures: any number of modalities (a map of concatenated features is the sum of a map each); neither item biases
//! nor a visual bias, as in the public re-implementations; an item without features in a modality has a learned row
//! there; Adam.

use std::sync::Arc;

use alike_ops::{Triples, add, bpr_dot_own_l2};
use burn::tensor::Tensor;

use super::{Define, GradientModel, ModelInfo, feature_values, held, info, nodes};
use crate::data::Dataset;
use crate::error::Result;
use crate::layers::{
    FeatureInput, FeatureMap, Init, Local, ParamId, Params, Rows, Tracked, featured, gather,
};

pub(super) const INFO: ModelInfo = info::<Vbpr>(
    "vbpr",
    "Matrix factorisation with a second part that sees item features.",
    "He and McAuley, VBPR: Visual Bayesian Personalized Ranking from Implicit Feedback, AAAI 2016",
);

crate::settings! {
    /// Settings of VBPR.
    pub(super) struct Config {
        /// Width of the free part and of the part that sees features, each.
        dim: usize = 64, 1..=1024;
        /// Whether feature rows are scaled to length 1 first.
        normalize_input: bool = false, ();
        /// Weight of the squared norms of the batch's final rows.
        l2: f64 = 1e-2, 0.0..=10.0;
    }
}

struct Parts {
    user: ParamId,
    item: ParamId,
    inputs: Vec<FeatureInput>,
}

struct Vbpr {
    config: Config,
    users: usize,
    params: Params,
    parts: Parts,
}

impl Define for Vbpr {
    type Config = Config;
    type Parts = Parts;

    fn register(params: &mut Params, data: &Dataset, config: &Config) -> Result<Parts> {
        let d = config.dim;
        let user = params.table("user", Rows::Users, data, 2 * d, Init::Xavier);
        let item = params.table("item", Rows::Items, data, d, Init::Xavier);
        let inputs = featured(data)?.iter().map(|f| {
            let name = &format!("input.{}", f.name);
            let map = FeatureMap { name, normalize: config.normalize_input, width: d, bias: true, filled: d };
            FeatureInput::new(params, f, map)
        });
        Ok(Parts { user, item, inputs: inputs.collect::<Result<_>>()? })
    }

    fn working_values(data: &Dataset, config: &Config) -> usize {
        feature_values(data) + 6 * nodes(data) * config.dim
    }

    fn assemble(data: &Dataset, _: u64, config: Config, params: Params, parts: Parts) -> Result<Self> {
        Ok(Self { config, users: data.users.len(), params, parts })
    }
}

impl Vbpr {
    /// `Z [N, 2d]`, or a batch's rows of it.
    fn forward(&self, p: &Tracked, local: Option<&Local>) -> Tensor<2> {
        let Parts { user, item, inputs } = &self.parts;
        let seen = |of: &dyn Fn(&FeatureInput) -> Tensor<2>| {
            inputs.iter().map(of).reduce(add).expect("a modality at least")
        };
        let (user, item) = (p.matrix(*user), p.matrix(*item));
        let Some(local) = local else {
            let items = vec![item, seen(&|input| input.forward(p))];
            return Tensor::cat(vec![user, Tensor::cat(items, 1)], 0);
        };
        let (users, items) = local.split(self.users);
        let items = Tensor::cat(vec![gather(item, &items), seen(&|input| input.forward_rows(p, &items))], 1);
        Tensor::cat(vec![gather(user, users), items], 0)
    }
}

impl GradientModel for Vbpr {
    held!();

    fn loss(&self, p: &Tracked, batch: &Arc<Triples>) -> Tensor<1> {
        let local = Local::of(batch, self.users + p.matrix(self.parts.item).dims()[0]);
        let z = self.forward(p, Some(&local));
        bpr_dot_own_l2(z, &local.batch, self.config.l2 as f32)
    }

    fn vectors(&self, p: &Tracked) -> Result<Tensor<2>> {
        Ok(self.forward(p, None))
    }
}
