//! Settings of NSMAR+, its training defaults and its memory estimate.

use crate::config::{Names, Weights};
use crate::data::Dataset;
use crate::graph::UserWeight;
use crate::models::TrainConfig;

crate::choice! {
    /// How neighbours are weighed.
    pub(super) enum Aggregation {
        /// By neighbour similarity.
        Similarity = "similarity",
        /// `D^-1/2 A D^-1/2`.
        Plain = "plain",
    }
}
crate::choice! {
    /// How features come into the shared space.
    pub(super) enum Alignment {
        /// One hidden layer per modality, then a map shared by all.
        Mlp = "mlp",
        /// An affine map and a learned matrix per modality (NSMAR).
        Matrix = "matrix",
        /// An affine map per modality.
        None = "none",
    }
}
crate::choice! {
    /// How a user and an item give a score.
    pub(super) enum Scoring {
        /// The inner product of both vectors, each moved by a map with one hidden layer.
        Mlp = "mlp",
        /// The inner product.
        Dot = "dot",
    }
}

crate::settings! {
    /// Settings of NSMAR+ and all its variants.
    pub(super) struct Config {
        /// Width of a modality's embeddings.
        dim: usize = 64, 1..=1024;
        /// How features come into the shared space.
        alignment: Alignment = Alignment::Mlp, ();
        /// Width of the alignment's hidden layer.
        hidden: usize = 256, 1..=4096;
        /// What the weights sum to that a user starts to give to the modalities: with rows of length 1 the scale of a score.
        mix: f64 = 0.5, 0.0..=10.0;
        /// Convolution layers.
        layers: usize = 2, 1..=8;
        /// How neighbours are weighed.
        aggregation: Aggregation = Aggregation::Similarity, ();
        /// Maximum of a node's neighbours that take part; of more, some are drawn anew each epoch.
        neighbors: usize = 1000, 1..=10_000;
        /// Whether users propagate over the co-interaction graph.
        user_graph: bool = true, ();
        /// Neighbours in the user graph.
        user_neighbors: usize = 40, 1..=10_000;
        /// What the edges of the user graph count.
        user_weight: UserWeight = UserWeight::Count, ();
        /// Whether items propagate over the semantic graph.
        item_graph: bool = true, ();
        /// Neighbours in the item graph, per modality.
        item_neighbors: usize = 10, 1..=1_000;
        /// Share of each modality in the item graph; empty: equal shares.
        item_weights: Weights = crate::graph::text_first(), ();
        /// How a user and an item give a score.
        scorer: Scoring = Scoring::Mlp, ();
        /// Negatives per positive pair of a batch.
        negatives: usize = 8, 1..=1_000;
        /// Weight of the squared norms of the batch's rows of the user and item tables.
        l2: f64 = 3e-2, 0.0..=10.0;
        /// Modalities left out.
        exclude: Names = Names::default(), ();
    }
}

/// Training defaults of all variants. A step costs the whole graph whatever its batch: a large one trains as well in a
/// fraction of the time.
pub(super) fn train_defaults() -> TrainConfig {
    TrainConfig { batch: 8192, lr: 1e-3, patience: 10, patience_steps: 300, ..TrainConfig::default() }
}

/// Peak memory of a run in bytes: features with their transposed copy, tables with moments and gradients, the
/// activations of one step, the graphs.
pub(super) fn memory_bytes(data: &Dataset, config: &Config, names: &[&str]) -> u64 {
    let (u, i, d, m) = (data.users.len(), data.items.len(), config.dim, names.len());
    let n = u + i;
    let used = data.features.iter().filter(|f| names.contains(&f.name.as_str()));
    // The hidden layer, its rectifier and both gradients.
    let features: usize = used.map(|f| 2 * i * f.dim + 4 * i * config.hidden).sum();
    let tables = 4 * ((u * m + i) * d + u * m);
    // A layer keeps its input, its unit rows and its sum; the edge gradients come and go.
    let activations = m * n * d * (5 + 3 * config.layers) + 8 * n * d * m;
    let edges = 2 * data.train.nnz();
    let graph = u * config.user_neighbors + i * config.item_neighbors * m;
    (4 * (features + tables + activations + edges * (d + 8) + 4 * graph)) as u64
}
