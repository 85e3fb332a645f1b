//! VBPR: He and McAuley, "VBPR: Visual Bayesian Personalized Ranking from Implicit Feedback", AAAI 2016.
//!
//! - `y_ui = γ_u · γ_i + θ_u · (E f_i)` (eq. 4 without biases): `Z_u = [γ_u ; θ_u]`, `Z_i = [γ_i ; Σ_m X_m
//!   W_m + b_m]`, both `2d` wide; `user [U, 2d]`, `item [I, d]`, `X_m [I, d_m]` frozen.
//! - Loss: mean BPR over the batch + `l2/b` times the squared norms of the batch's rows of `Z`.
//!
//! Departures: any number of modalities (a map of concatenated features is the sum of a map each); neither
//! item biases nor a visual bias, as in the public re-implementations; an item without features in a modality
//! has a learned row there; Adam.

use alike_ops::add;

use super::prelude::*;

pub(super) const INFO: ModelInfo = ModelInfo::trained::<Vbpr>(
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

struct Vbpr {
    config: Config,
    user: Table<UserId>,
    item: Table<ItemId>,
    inputs: Vec<FeatureInput>,
}

impl Vbpr {
    /// `Z [N, 2d]`, or a batch's rows of it.
    fn forward(&self, w: &Weights, local: Option<&BatchRows>) -> Tensor<2> {
        let seen = |of: &dyn Fn(&FeatureInput) -> Tensor<2>| {
            self.inputs.iter().map(of).reduce(add).expect("a modality at least")
        };
        let Some(local) = local else {
            let items = vec![w.table(self.item), seen(&|input| input.forward(w))];
            return Tensor::cat(vec![w.table(self.user), Tensor::cat(items, 1)], 0);
        };
        let items = local.items();
        let rows = vec![w.rows(self.item, &items), seen(&|input| input.forward_rows(w, &items))];
        Tensor::cat(vec![w.rows(self.user, local.users()), Tensor::cat(rows, 1)], 0)
    }
}

impl Model for Vbpr {
    type Config = Config;
    const RANKS: bool = true;

    fn build(b: &mut Builder<'_>, config: Config) -> Result<Self> {
        let d = config.dim;
        let (user, item) = (b.table("user", 2 * d, Init::Xavier), b.table("item", d, Init::Xavier));
        let inputs = b.features()?.iter().map(|f| {
            let name = &format!("input.{}", f.name);
            let map = FeatureMap { name, normalize: config.normalize_input, width: d, bias: true, filled: d };
            b.input_with(f, map)
        });
        let inputs = inputs.collect::<Result<_>>()?;
        b.holds(3 * b.nodes() * d);
        Ok(Self { config, user, item, inputs })
    }

    fn loss(&self, w: &Weights, step: &Step) -> Tensor<1> {
        let local = step.local();
        step.ranking_loss_own_l2(self.forward(w, Some(&local)), &local.triples, self.config.l2)
    }

    fn vectors(&self, w: &Weights) -> Result<Tensor<2>> {
        Ok(self.forward(w, None))
    }
}
