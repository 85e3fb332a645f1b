//! BPR: matrix factorisation with Bayesian personalised ranking. Rendle et al., "BPR: Bayesian Personalized
//! Ranking from Implicit Feedback", UAI 2009.
//!
//! - `E [N, d]` trained, rows of users first; `y_ui = e_u · e_i`.
//! - Loss: mean over the batch of `softplus(y_un - y_up)` + `l2/b · Σ (‖e_u‖² + ‖e_p‖² + ‖e_n‖²)`.
//!
//! Departures: Adam in place of plain stochastic gradient descent; one `l2` for users and items.

use super::prelude::*;

pub(super) const INFO: ModelInfo = ModelInfo::trained::<Bpr>(
    "bpr",
    "Matrix factorisation trained to rank what a user took above what they did not.",
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
    embedding: Table<NodeId>,
}

impl Model for Bpr {
    type Config = Config;
    const RANKS: bool = true;

    fn build(b: &mut Builder<'_>, config: Config) -> Result<Self> {
        let embedding = b.table("embedding", config.dim, Init::XavierSides(b.users()));
        b.holds(b.nodes() * config.dim);
        Ok(Self { config, embedding })
    }

    fn loss(&self, w: &Weights, step: &Step) -> Tensor<1> {
        step.ranking_loss_own_l2(w.table(self.embedding), step.nodes(), self.config.l2)
    }

    fn vectors(&self, w: &Weights) -> Result<Tensor<2>> {
        Ok(w.table(self.embedding))
    }
}
