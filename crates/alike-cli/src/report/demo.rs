//! What the report of the demo shows.

use super::palette::Palette;
use crate::commands::Unseen;

/// What the report shows. All texts are plain; they are escaped where they are written.
#[derive(Debug, Default)]
pub(crate) struct DemoReport {
    /// Name of the data, as a reader knows it.
    pub(crate) data_name: String,
    /// What one item is called, singular and plural.
    pub(crate) noun: (String, String),
    /// Number of users.
    pub(crate) users: usize,
    /// Number of items.
    pub(crate) items: usize,
    /// Number of train interactions.
    pub(crate) train: usize,
    /// Time of everything, in seconds.
    pub(crate) seconds: f64,
    /// The models, in the order in which they are shown.
    pub(crate) models: Vec<ModelSummary>,
    /// Name of the model whose recommendations are shown.
    pub(crate) shown: String,
    /// A few users.
    pub(crate) people: Vec<UserExample>,
    /// How the models place items that nobody took in training.
    pub(crate) unseen: Unseen,
    /// Facts of the data: name and value.
    pub(crate) facts: Vec<(String, String)>,
    /// Commands to go on with.
    pub(crate) next: Vec<String>,
    /// Where the data come from and what their licence asks for.
    pub(crate) notice: String,
}

/// One trained model.
#[derive(Debug, Default, Clone)]
pub(crate) struct ModelSummary {
    /// Name.
    pub(crate) name: String,
    /// What it is, in one line.
    pub(crate) summary: String,
    /// One point an epoch; empty when the model is not trained by epochs.
    pub(crate) curve: Vec<Point>,
    /// The epoch whose parameters were kept.
    pub(crate) best_epoch: usize,
    /// Training time in seconds.
    pub(crate) seconds: f64,
    /// Number of trained parameters.
    pub(crate) parameters: usize,
    /// Validation metrics.
    pub(crate) valid: RecallAndNdcg,
    /// Test metrics under the public protocol.
    pub(crate) public: RecallAndNdcg,
    /// Test metrics under the clean protocol.
    pub(crate) clean: RecallAndNdcg,
    /// All settings.
    pub(crate) settings: Vec<(String, String)>,
    /// What should be said of its training as well.
    pub(crate) remarks: Vec<String>,
}

/// The metrics that a report shows.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct RecallAndNdcg {
    /// Recall@10, Recall@20.
    pub(crate) recall: [f64; 2],
    /// NDCG@10, NDCG@20.
    pub(crate) ndcg: [f64; 2],
}

/// One epoch of a learning curve.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Point {
    /// Epoch, from 1.
    pub(crate) epoch: usize,
    /// Mean loss of the epoch.
    pub(crate) loss: f64,
    /// Validation Recall@20, when it was evaluated.
    pub(crate) recall: Option<f64>,
}

/// One user.
#[derive(Debug, Default)]
pub(crate) struct UserExample {
    /// Id.
    pub(crate) id: String,
    /// Train items, as many as are shown.
    pub(crate) history: Vec<Title>,
    /// Number of train items.
    pub(crate) history_len: usize,
    /// Number of held-out items.
    pub(crate) held_out: usize,
    /// Recommendations, best first, each with whether it is held out.
    pub(crate) recommended: Vec<(Title, bool)>,
}

/// What is known of an item.
#[derive(Debug, Default, Clone)]
pub(crate) struct Title {
    /// Title, or the id where there is none.
    pub(crate) name: String,
    /// Genre, category or the like.
    pub(crate) kinds: Vec<String>,
    /// A picture's bytes.
    pub(crate) picture: Option<Vec<u8>>,
}

impl DemoReport {
    /// The model with the highest validation Recall@20.
    pub(super) fn winner(&self) -> Option<&ModelSummary> {
        self.models.iter().max_by(|a, b| a.valid.recall[1].total_cmp(&b.valid.recall[1]))
    }

    /// The models' colours.
    pub(super) fn palette(&self) -> Palette {
        Palette::new(self.models.iter().map(|m| (m.name.as_str(), m.name.as_str())))
    }
}

impl RecallAndNdcg {
    /// From values by name.
    pub(crate) fn from_values(value: impl Fn(&str) -> f64) -> Self {
        Self { recall: [value("recall@10"), value("recall@20")], ndcg: [value("ndcg@10"), value("ndcg@20")] }
    }
}
