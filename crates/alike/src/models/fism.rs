//! FISM: Kabbur, Ning and Karypis, "FISM: Factored Item Similarity Models for Top-N Recommender Systems", KDD 2013.
//!
//! - `y_ui = b_i + |R_u∖{i}|^-α Σ_{j∈R_u∖{i}} p_j · q_i` (eq. 3 without the user's bias, which orders nothing): an item
//!   never speaks for itself. `P, Q [I, d]`.
//! - `loss = "auc"` (FISMauc): `½ Σ (1 - (y_ui - y_uj))²`, `j` a negative scored with the same history `R_u∖{i}`.
//! - `loss = "rmse"` (FISMrmse): `½ Σ ((1 - y_ui)² + rho · y_uj²)`, the negative scored with all of `R_u`, and user
//!   biases `b_u` trained with it.
//! - `+ l2 Σ (‖p‖² + ‖q‖² + b²)` over the batch's two items; all means over the batch.
//!
//! Departures: one uniform negative for each positive, an epoch, weighed by `rho` in place of `rho` sampled zeros; Adam.

use std::sync::Arc;

use alike_ops::{FixedSparse, Triples, spmm_fixed, sum_squares};
use burn::tensor::{Tensor, TensorData};

use super::{Define, GradientModel, ModelInfo, graph_values, held, info};
use crate::data::Dataset;
use crate::error::Result;
use crate::layers::{Init, ParamId, Params, Rows, Tracked, gather, on_device_of};

pub(super) const INFO: ModelInfo = info::<Fism>(
    "fism",
    "Item similarities as products of two factors, learned for ranking.",
    "Kabbur, Ning and Karypis, FISM: Factored Item Similarity Models for Top-N Recommender Systems, KDD 2013",
);

crate::choice! {
    /// What is minimised.
    pub(super) enum Loss {
        /// Squared distance of a pair's difference from 1.
        Auc = "auc",
        /// Squared error of each rating.
        Rmse = "rmse",
    }
}

crate::settings! {
    /// Settings of FISM.
    pub(super) struct Config {
        /// Width of the factors.
        dim: usize = 64, 1..=1024;
        /// What is minimised.
        loss: Loss = Loss::Auc, ();
        /// Power of the history's length that divides its sum.
        alpha: f64 = 0.5, 0.0..=1.0;
        /// Weight of a zero beside that of a one, for `rmse`.
        rho: f64 = 3.0, 0.0..=100.0;
        /// Weight of the squared norms of the batch's items and biases.
        l2: f64 = 1e-3, 0.0..=10.0;
    }
}

pub(super) struct Parts {
    history: ParamId,
    target: ParamId,
    item_bias: ParamId,
    user_bias: Option<ParamId>,
}

struct Fism {
    config: Config,
    users: usize,
    params: Params,
    parts: Parts,
    /// Train interactions, `[U, I]`, all ones.
    train: Arc<FixedSparse>,
    /// `|R_u|^-α`, 0 for an empty history, `[U, 1]`.
    scale: Tensor<2>,
    /// The same of a history without one item.
    scale_without: Tensor<2>,
}

impl Define for Fism {
    type Config = Config;
    type Parts = Parts;

    fn register(params: &mut Params, data: &Dataset, config: &Config) -> Result<Parts> {
        let d = config.dim;
        let history = params.table("history", Rows::Items, data, d, Init::Xavier);
        let target = params.table("target", Rows::Items, data, d, Init::Xavier);
        let item_bias = params.table("item_bias", Rows::Items, data, 1, Init::Zeros);
        let user_bias =
            (config.loss == Loss::Rmse).then(|| params.table("user_bias", Rows::Users, data, 1, Init::Zeros));
        Ok(Parts { history, target, item_bias, user_bias })
    }

    fn working_values(data: &Dataset, config: &Config) -> usize {
        graph_values(data) + (4 * data.users.len() + 8 * data.items.len()) * config.dim
    }

    fn assemble(data: &Dataset, _: u64, config: Config, params: Params, parts: Parts) -> Result<Self> {
        let ones = vec![1.0; data.train.nnz()];
        let train = Arc::new(FixedSparse::new(data.train.clone(), ones)?);
        let users = data.users.len();
        let column = |less: usize| {
            let left = |u| data.train.degree(u).saturating_sub(less);
            let values: Vec<f32> = (0..users).map(|u| power(left(u), config.alpha)).collect();
            Tensor::from_data(TensorData::new(values, [users, 1]), params.device())
        };
        let [scale, scale_without] = [0, 1].map(column);
        Ok(Self { config, users, params, parts, train, scale, scale_without })
    }
}

/// `n^-α`, 0 for 0.
fn power(n: usize, alpha: f64) -> f32 {
    if n == 0 { 0.0 } else { (n as f64).powf(-alpha) as f32 }
}

impl GradientModel for Fism {
    held!();

    fn loss(&self, p: &Tracked, batch: &Arc<Triples>) -> Tensor<1> {
        let Config { rho, l2, .. } = self.config;
        let items = |rows: &[u32]| rows.iter().map(|r| r - self.users as u32).collect::<Vec<_>>();
        let (positives, negatives) = (items(&batch.positives), items(&batch.negatives));
        let history = p.matrix(self.parts.history);
        let sums = gather(spmm_fixed(&self.train, history.clone()), &batch.users);
        let own = gather(history.clone(), &positives);
        let of_users = |column: &Tensor<2>| gather(on_device_of(column, &own), &batch.users);
        let without = of_users(&self.scale_without);
        let rest = (sums.clone() - own.clone()) * without;
        let [wanted, other] = [&positives, &negatives].map(|rows| gather(p.matrix(self.parts.target), rows));
        let [bias, other_bias] =
            [&positives, &negatives].map(|rows| gather(p.matrix(self.parts.item_bias), rows));
        let dot = |a: Tensor<2>, b: &Tensor<2>| (a * b.clone()).sum_dim(1);
        let y = dot(rest.clone(), &wanted) + bias.clone();
        let squares = |t: &Tensor<2>| sum_squares(t.clone());
        let mut norms = squares(&wanted) + squares(&other) + squares(&bias) + squares(&other_bias);
        norms = norms + squares(&own) + squares(&gather(history, &negatives));
        let errors = match self.parts.user_bias {
            None => (y - dot(rest, &other) - other_bias - 1.0).powi_scalar(2),
            Some(user_bias) => {
                let user_bias = gather(p.matrix(user_bias), &batch.users);
                norms = norms + squares(&user_bias);
                let all = sums * of_users(&self.scale);
                let y_other = dot(all, &other) + other_bias + user_bias.clone();
                (y + user_bias - 1.0).powi_scalar(2) + y_other.powi_scalar(2) * rho as f32
            }
        };
        let share = 1.0 / batch.users.len() as f32;
        errors.sum_dim(0).reshape([1]) * (0.5 * share) + norms * (l2 as f32 * share)
    }

    /// `[|R_u|^-α Σ p_j ; 1]` and `[q_i ; b_i]`.
    fn vectors(&self, p: &Tracked) -> Result<Tensor<2>> {
        let sums = spmm_fixed(&self.train, p.matrix(self.parts.history));
        let scale = on_device_of(&self.scale, &sums);
        let users = Tensor::cat(vec![sums * scale.clone(), scale.ones_like()], 1);
        let items = Tensor::cat(vec![p.matrix(self.parts.target), p.matrix(self.parts.item_bias)], 1);
        Ok(Tensor::cat(vec![users, items], 0))
    }
}
