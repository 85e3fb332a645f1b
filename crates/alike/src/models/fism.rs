//! FISM: Kabbur, Ning and Karypis, "FISM: Factored Item Similarity Models for Top-N Recommender Systems",
//! KDD 2013.
//!
//! - `y_ui = b_i + |R_u∖{i}|^-α Σ_{j∈R_u∖{i}} p_j · q_i` (eq. 3 without the user's bias, which orders
//!   nothing): an item never adds to its own score. `P, Q [I, d]`.
//! - `loss = "auc"` (FISMauc): `½ Σ (1 - (y_ui - y_uj))²`, `j` a negative scored with the same history
//!   `R_u∖{i}`.
//! - `loss = "rmse"` (FISMrmse): `½ Σ ((1 - y_ui)² + rho · y_uj²)`, the negative scored with all of `R_u`,
//!   and user biases `b_u` trained with it.
//! - `+ l2 Σ (‖p‖² + ‖q‖² + b²)` over the batch's two items; all means over the batch.
//!
//! Departures: one uniform negative for each positive, an epoch, weighed by `rho` in place of `rho` sampled
//! zeros; Adam.

use alike_ops::{ConstSparse, spmm_const, sum_squares};

use super::prelude::*;

pub(super) const INFO: ModelInfo = ModelInfo::trained::<Fism>(
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

struct Fism {
    config: Config,
    history: Table<ItemId>,
    target: Table<ItemId>,
    item_bias: Table<ItemId>,
    user_bias: Option<Table<UserId>>,
    /// Train interactions, `[U, I]`, all ones.
    train: Arc<ConstSparse>,
    /// `|R_u|^-α`, 0 for an empty history, `[U, 1]`.
    scale: Tensor<2>,
    /// The same of a history without one item.
    scale_without: Tensor<2>,
}

/// `n^-α`, 0 for 0.
fn power(n: usize, alpha: f64) -> f32 {
    if n == 0 { 0.0 } else { (n as f64).powf(-alpha) as f32 }
}

impl Model for Fism {
    type Config = Config;

    fn build(b: &mut Builder<'_>, config: Config) -> Result<Self> {
        let d = config.dim;
        let history = b.table("history", d, Init::Xavier);
        let target = b.table("target", d, Init::Xavier);
        let item_bias = b.table("item_bias", 1, Init::Zeros);
        let user_bias = (config.loss == Loss::Rmse).then(|| b.table("user_bias", 1, Init::Zeros));
        let (data, users) = (b.data(), b.users());
        let ones = || Ok(ConstSparse::new(data.train.clone(), vec![1.0; data.train.nnz()])?);
        let train = b.sparse(data.train.nnz(), ones)?;
        let left = |u, less| data.train.degree(u).saturating_sub(less);
        let mut column = |less| b.column(|| (0..users).map(|u| power(left(u, less), config.alpha)).collect());
        let [scale, scale_without] = [column(0), column(1)];
        b.holds((2 * users + 3 * b.items()) * d);
        Ok(Self { config, history, target, item_bias, user_bias, train, scale, scale_without })
    }

    fn loss(&self, w: &Weights, step: &Step) -> Tensor<1> {
        let Config { rho, l2, .. } = self.config;
        let history = w.table(self.history);
        let users = numbers(step.users());
        let sums = gather(spmm_const(&self.train, history.clone()), users);
        let own = gather(history.clone(), numbers(step.positives()));
        let of_users = |column: &Tensor<2>| gather(on_device_of(column, &own), users);
        let rest = (sums.clone() - own.clone()) * of_users(&self.scale_without);
        let both = [step.positives(), step.negatives()];
        let [wanted, other] = both.map(|items| w.rows(self.target, items));
        let [bias, other_bias] = both.map(|items| w.rows(self.item_bias, items));
        let dot = |a: Tensor<2>, b: &Tensor<2>| (a * b.clone()).sum_dim(1);
        let y = dot(rest.clone(), &wanted) + bias.clone();
        let squares = |t: &Tensor<2>| sum_squares(t.clone());
        let mut norms = squares(&wanted) + squares(&other) + squares(&bias) + squares(&other_bias);
        norms = norms + squares(&own) + squares(&gather(history, numbers(step.negatives())));
        let errors = match self.user_bias {
            None => (y - dot(rest, &other) - other_bias - 1.0).powi_scalar(2),
            Some(user_bias) => {
                let user_bias = w.rows(user_bias, step.users());
                norms = norms + squares(&user_bias);
                let all = sums * of_users(&self.scale);
                let y_other = dot(all, &other) + other_bias + user_bias.clone();
                (y + user_bias - 1.0).powi_scalar(2) + y_other.powi_scalar(2) * rho as f32
            }
        };
        errors.sum_dim(0).reshape([1]) * step.share(0.5) + norms * (l2 as f32 * step.share(1.0))
    }

    /// `[|R_u|^-α Σ p_j ; 1]` and `[q_i ; b_i]`.
    fn vectors(&self, w: &Weights) -> Result<Tensor<2>> {
        let sums = spmm_const(&self.train, w.table(self.history));
        let scale = on_device_of(&self.scale, &sums);
        let users = Tensor::cat(vec![sums * scale.clone(), scale.ones_like()], 1);
        let items = Tensor::cat(vec![w.table(self.target), w.table(self.item_bias)], 1);
        Ok(Tensor::cat(vec![users, items], 0))
    }
}
