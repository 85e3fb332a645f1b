//! BPR: matrix factorisation with Bayesian personalised ranking. Rendle et al., "BPR: Bayesian Personalized
//! Ranking from Implicit Feedback", UAI 2009.
//!
//! - `E [N, d]` trained, rows of users first; `y_ui = e_u · e_i`.
//! - Loss: mean over the batch of `softplus(y_un - y_up)` + `l2/b · Σ (‖e_u‖² + ‖e_p‖² + ‖e_n‖²)`.
//!
//! Departures: Adam in place of plain stochastic gradient descent; one `l2` for users and items.

use std::sync::Arc;

use alike_ops::{Triples, bpr_dot_own_l2};
use burn::tensor::Tensor;

use super::{Define, GradientModel, ModelInfo, held, info};
use crate::data::Dataset;
use crate::error::Result;
use crate::layers::{Init, ParamId, Params, Rows, Tracked};

pub(super) const INFO: ModelInfo = info::<Bpr>(
    "bpr",
    "Matrix factorisation trained to rank what a user took above what he did not.",
    "Rendle et al., BPR: Bayesian Personalized Ranking from Implicit Feedback, UAI 2009",
);

crate::settings! {
    /// Settings of BPR.
    pub(super) struct Config {
        /// Embedding width.
        dim: usize = 64, 1..=1024;
        /// Weight of the squared norms of the batch's rows.
        l2: f64 = 1e-2, 0.0..=10.0;
    }
}

struct Bpr {
    config: Config,
    users: usize,
    params: Params,
    embedding: ParamId,
}

impl Define for Bpr {
    type Config = Config;
    type Parts = ParamId;

    fn register(params: &mut Params, data: &Dataset, config: &Config) -> Result<ParamId> {
        Ok(params.table("embedding", Rows::Nodes, data, config.dim, Init::XavierSides(data.users.len())))
    }

    fn working_values(_: &Dataset, _: &Config) -> usize {
        0
    }

    fn assemble(data: &Dataset, _: u64, config: Config, params: Params, embedding: ParamId) -> Result<Self> {
        Ok(Self { config, users: data.users.len(), params, embedding })
    }
}

impl GradientModel for Bpr {
    held!();

    fn loss(&self, p: &Tracked, batch: &Arc<Triples>) -> Tensor<1> {
        let table = p.matrix(self.embedding);
        bpr_dot_own_l2(table, batch, self.config.l2 as f32)
    }

    fn vectors(&self, p: &Tracked) -> Result<Tensor<2>> {
        Ok(p.matrix(self.embedding))
    }
}
