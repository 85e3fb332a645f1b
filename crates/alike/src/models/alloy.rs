//! Alloy: the vectors of NSMAR+ and a linear model between items, as one score. A model of this project.
//!
//! - `y_ui = Z_u · Z_i + γ (s_Z / s_W) Σ_{j ∈ R_u} w_ji`, `R_u` what `u` took in training.
//! - `Z` of NSMAR+ (`nsmar.rs`), trained as there: the loss does not see the sums.
//! - `w` of SLIM with pseudo-users made of the items' features (`slim.rs`), solved once from the train
//!   interactions; none below 0.
//! - `s_Z`, `s_W`: the mean over users of the standard deviation over items of `Z_u · Z_i` and of the sums. So
//!   `γ` means the same on any data, whatever the scales of both. Epoch and `γ` are chosen on validation, by
//!   the whole score.
//!
//! Why both: vectors of so few columns place a user in a smooth space, where everything that is alike is near;
//! `w` remembers single pairs of items. On top of the ranks of one, the other corrects the first places.
//!
//! Items that nobody took have weights too, from their nearest by features. Data without features have the
//! convolution and the user graph over ids alone. `docs/alloy.md` has what each part is worth.

use super::nsmar::{self, Nsmar};
use super::prelude::*;
use super::slim;
use crate::config::{Both, Draw};

pub(super) const INFO: ModelInfo = ModelInfo::trained::<Alloy>(
    "alloy",
    "NSMAR+ and SLIM with item features as one score; works without features too.",
    "alike: docs/alloy.md",
);

crate::settings! {
    /// Settings of the linear part.
    pub(super) struct LinearConfig {
        /// Spread of the linear model's scores, as a share of that of the inner products; 0: what is best on validation.
        linear: f64 = 0.0, 0.0..=100.0;
        /// SLIM's weight of the sum of the weights.
        linear_l1: f64 = 0.5, 0.0..=1e6;
        /// SLIM's weight of half their squares.
        linear_l2: f64 = 30.0, 0.0..=1e6;
        /// SLIM's weight of pseudo-users made of features.
        linear_features: f64 = 0.3, 0.0..=1e6;
        /// Items that take part in the linear score of an item, nearest by cosine; 0: all.
        linear_neighbors: usize = 400, 0..=1_000_000;
    }
}

struct Alloy {
    vectors: Nsmar,
    linear: LinearConfig,
}

impl LinearConfig {
    fn slim(&self) -> slim::Config {
        slim::Config {
            l1: self.linear_l1,
            l2: self.linear_l2,
            feature_weight: self.linear_features,
            neighbors: self.linear_neighbors,
            ..slim::Config::default()
        }
    }
}

impl Model for Alloy {
    type Config = Both<nsmar::Config, LinearConfig>;
    const RANKS: bool = true;
    const FOLDS: bool = Nsmar::FOLDS;

    fn training() -> TrainConfig {
        Nsmar::training()
    }

    fn objective() -> Objective {
        Nsmar::objective()
    }

    fn build(b: &mut Builder<'_>, Both(config, linear): Self::Config) -> Result<Self> {
        let data = b.data();
        // What solving the weights takes at its peak.
        b.holds(slim::memory(data, &linear.slim()).div_ceil(4) as usize);
        let names = nsmar::used(data, &config);
        Ok(Self { vectors: Nsmar::over(b, config, names)?, linear })
    }

    fn separable(&self) -> bool {
        self.vectors.separable()
    }

    fn start_epoch(&mut self, w: &Weights, draw: Draw) -> Result<()> {
        self.vectors.start_epoch(w, draw)
    }

    fn loss(&self, w: &Weights, step: &Step) -> Tensor<1> {
        self.vectors.loss(w, step)
    }

    fn vectors(&self, w: &Weights) -> Result<Tensor<2>> {
        self.vectors.vectors(w)
    }

    fn fold_in(self, w: Weights) -> Result<Option<FoldIn>> {
        self.vectors.fold_in(w)
    }

    fn parts(&self) -> Vec<(String, usize)> {
        self.vectors.parts()
    }

    fn linear(&self, data: &Dataset, progress: &dyn Progress) -> Result<Option<LinearPart>> {
        let weights = slim::weights(data, &self.linear.slim(), progress)?;
        let share = self.linear.linear;
        Ok(Some(LinearPart::new(weights, (share > 0.0).then_some(share))))
    }
}
