//! BPR: matrix factorisation with Bayesian personalised ranking. Rendle et al., "BPR: Bayesian Personalized
//! Ranking from Implicit Feedback", UAI 2009.
//!
//! - `E [N, d]` trained, rows of users first; `y_ui = e_u · e_i`.
//! - Loss: mean over the batch of `softplus(y_un - y_up)` + `l2/b · Σ (‖e_u‖² + ‖e_p‖² + ‖e_n‖²)`.
//!
//! Departures: Adam in place of plain stochastic gradient descent; one `l2` for users and items.

use std::sync::Arc;

use alike_ops::{Triples, bpr_dot_l2};
use burn::tensor::{Device, Tensor};

use super::{GradientModel, Learner, ModelInfo, Plan, TrainConfig, infos, resolve, table};
use crate::data::Dataset;
use crate::error::Result;
use crate::layers::{Init, ParamId, Params, Tracked, matrix};
use crate::scorer::Scorer;

pub(super) const INFO: ModelInfo = ModelInfo {
    name: "bpr",
    summary: "Matrix factorisation trained to rank what a user took above what he did not.",
    reference: "Rendle et al., BPR: Bayesian Personalized Ranking from Implicit Feedback, UAI 2009",
    settings: || infos(&Config::default(), &TrainConfig::default()),
    plan,
    build,
};

crate::settings! {
    /// Settings of BPR.
    pub(super) struct Config {
        /// Embedding width.
        dim: usize = 64, 1..=1024;
        /// Weight of the squared norms of the batch's rows.
        l2: f64 = 1e-2, 0.0..=10.0;
    }
}

fn plan(data: &Dataset, overrides: &toml::Table) -> Result<Plan> {
    let (config, train) = resolve(Config::default(), TrainConfig::default(), overrides)?;
    let n = data.users.len() + data.items.len();
    let parameters = n * config.dim;
    // Value, two moments, gradient.
    Ok(Plan {
        settings: table(&config, &train),
        train,
        parameters,
        memory_bytes: (4 * parameters * 4) as u64,
    })
}

fn build(data: &Dataset, overrides: &toml::Table, seed: u64, device: &Device) -> Result<Learner> {
    let (config, _) = resolve(Config::default(), TrainConfig::default(), overrides)?;
    let mut params = Params::new(seed, device);
    let nodes = data.users.len() + data.items.len();
    let embedding = params.add("embedding", &[nodes, config.dim], Init::Xavier);
    Ok(Learner::Gradient(Box::new(Bpr { users: data.users.len(), config, params, embedding })))
}

/// Splits `[N, D]` vectors into the two sides of a dot scorer.
pub(super) fn dot_scorer(vectors: Tensor<2>, users: usize) -> Result<Scorer> {
    let all = matrix(vectors);
    Ok(Scorer::Dot { users: all.slice(0, users), items: all.slice(users, all.rows) })
}

struct Bpr {
    config: Config,
    users: usize,
    params: Params,
    embedding: ParamId,
}

impl GradientModel for Bpr {
    fn params(&self) -> &Params {
        &self.params
    }

    fn params_mut(&mut self) -> &mut Params {
        &mut self.params
    }

    fn start_epoch(&mut self, _: u64) -> Result<()> {
        Ok(())
    }

    fn loss(&self, p: &Tracked, batch: &Arc<Triples>) -> Tensor<1> {
        let table = p.matrix(self.embedding);
        bpr_dot_l2(table.clone(), table, batch, self.config.l2 as f32)
    }

    fn vectors(&self, p: &Tracked) -> Result<Tensor<2>> {
        Ok(p.matrix(self.embedding))
    }

    fn scorer(&self) -> Result<Scorer> {
        dot_scorer(self.vectors(&self.params.plain())?, self.users)
    }
}
