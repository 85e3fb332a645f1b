//! The settings of the loss by which a model ranks, and what they ask for before a step; its equations stand
//! at the head of `ranking_loss`.

use std::sync::Arc;

use alike_ops::{TopKRequest, top_k_dot_device, unit_rows};
use burn::tensor::Tensor;

use super::Sampling;
use crate::config::ModalityWeights;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::graph;

crate::choice! {
    /// A loss that ranks what people took above the rest.
    pub enum RankingLoss {
        /// Pairs of items, the one taken and one not taken.
        Bpr = "bpr",
        /// The item taken against many others.
        Softmax = "softmax",
        /// The same, weighted by whether the item is near the top of the user's list.
        SlK = "slk",
        /// Alignment of pairs and uniformity of all.
        DirectAu = "directau",
    }
}

crate::settings! {
    /// Settings of the loss by which a model ranks, the same for every model that takes it from here.
    pub struct Objective {
        /// Loss by which the model ranks.
        loss: RankingLoss = RankingLoss::Bpr, ();
        /// Negatives per positive pair of a batch, with `loss=bpr`.
        negatives: usize = 1, 1..=1_000;
        /// Negatives that the pairs of a batch share, with `loss=softmax` and `slk`.
        loss_shared: usize = 1000, 1..=100_000;
        /// Temperature of cosines, with `loss=softmax` and `slk`.
        loss_temperature: f64 = 0.2, 0.05..=10.0;
        /// Length of the list whose end weighs pairs, with `loss=slk`.
        loss_top: usize = 20, 1..=1_000;
        /// Temperature of that weight, with `loss=slk`.
        loss_top_temperature: f64 = 2.25, 0.01..=100.0;
        /// Weight of uniformity, with `loss=directau`.
        loss_uniformity: f64 = 1.0, 0.0..=100.0;
        /// Weight of the contrast of items with their nearest by features; 0: none.
        loss_neighbors: f64 = 0.0, 0.0..=100.0;
        /// Temperature of that contrast.
        loss_neighbors_temperature: f64 = 1.0, 0.05..=10.0;
    }
}

/// Items of a batch that are set against each other.
pub(super) const CONTRASTED: usize = 2048;
/// Nearest items by features that count as neighbours, an item itself among them.
const NEAREST: usize = 10;

/// By item, others and their weights.
type NearItems = Vec<Vec<(u32, f32)>>;

impl Objective {
    /// How batches are drawn.
    pub fn sampling(&self) -> Sampling {
        match self.loss {
            RankingLoss::Bpr => Sampling::per_pair(self.negatives),
            RankingLoss::Softmax | RankingLoss::SlK => Sampling::shared(self.loss_shared),
            RankingLoss::DirectAu => Sampling::POSITIVES,
        }
    }

    /// Whether the loss of a batch is the mean of the losses of its parts.
    pub fn separable(&self) -> bool {
        self.loss != RankingLoss::DirectAu && self.loss_neighbors == 0.0
    }

    /// Values that a step of `batch` pairs holds for it beside rows of the batch.
    pub fn held(&self, batch: usize) -> usize {
        let pairs = match self.loss {
            RankingLoss::Bpr => 0,
            RankingLoss::Softmax | RankingLoss::SlK => batch * self.loss_shared,
            RankingLoss::DirectAu => 2 * batch * batch,
        };
        pairs + if self.loss_neighbors > 0.0 { batch.min(CONTRASTED).pow(2) } else { 0 }
    }

    /// # Errors
    /// The data lack what the loss needs.
    pub fn check(&self, data: &Dataset) -> Result<()> {
        match self.loss_neighbors > 0.0 && data.features.is_empty() {
            true => Err(Error::Data(
                "`loss_neighbors` needs item features; the data have none (`alike prepare --feature NAME=FILE`)"
                    .into(),
            )),
            false => Ok(()),
        }
    }

    /// The nearest items by features, where the loss needs them.
    ///
    /// # Errors
    /// As [`Self::check`]; the features cannot be read.
    pub fn near_items(&self, data: &Dataset) -> Result<Option<Arc<NearItems>>> {
        self.check(data)?;
        if self.loss_neighbors == 0.0 {
            return Ok(None);
        }
        let names: Vec<&str> = data.features.iter().map(|f| f.name.as_str()).collect();
        let mut near = graph::item_mean_graph(data, &names, NEAREST, &ModalityWeights::default())?;
        (0u32..).zip(&mut near).for_each(|(i, row)| row.retain(|&(j, w)| j != i && w > 0.0));
        Ok(Some(Arc::new(near)))
    }

    /// The `loss_top`-th largest cosine of each user of `vectors [N, D]`, users first, over all items, where the
    /// loss needs it.
    ///
    /// # Errors
    /// The device failed.
    pub fn thresholds(
        &self,
        vectors: impl FnOnce() -> Result<Tensor<2>>,
        users: usize,
    ) -> Result<Option<Arc<Vec<f32>>>> {
        if self.loss != RankingLoss::SlK {
            return Ok(None);
        }
        let z = unit_rows(vectors()?);
        let items = z.dims()[0] - users;
        let wanted = TopKRequest {
            rows: (0..users as u32).collect(),
            excluded: [None, None],
            k: self.loss_top.min(items),
        };
        let top = top_k_dot_device(z.clone().narrow(0, 0, users), z.narrow(0, users, items), &wanted)?;
        let last = |row: usize| top.row(row).1.last().copied().unwrap_or(0.0);
        Ok(Some(Arc::new((0..users).map(last).collect())))
    }
}

/// What a step needs to know of the loss by which its model ranks.
#[derive(Debug, Clone)]
pub struct StepObjective {
    /// Which loss.
    pub settings: Objective,
    /// How batches are drawn.
    pub sampling: Sampling,
    /// By user, as [`Objective::thresholds`] gives them.
    pub thresholds: Option<Arc<Vec<f32>>>,
    /// By item, as [`Objective::near_items`] gives them.
    pub near_items: Option<Arc<NearItems>>,
}

impl Default for StepObjective {
    fn default() -> Self {
        let settings = Objective::default();
        Self { sampling: settings.sampling(), settings, thresholds: None, near_items: None }
    }
}
