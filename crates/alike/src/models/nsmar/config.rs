//! Settings of NSMAR+, its presets and its memory estimate.

use crate::config::{Names, Weights};
use crate::data::Dataset;
use crate::graph::UserWeight;
use crate::models::TrainConfig;

crate::choice! {
    /// How raw features become starting rows.
    pub(super) enum Input {
        /// `x W + b`.
        Linear = "linear",
        /// Two affine maps with a leaky rectifier between.
        Mlp = "mlp",
    }
}
crate::choice! {
    /// What follows the aggregation of a layer.
    pub(super) enum Transform {
        /// A leaky affine map a layer.
        Mlp = "mlp",
        /// Nothing.
        Identity = "identity",
    }
}
crate::choice! {
    /// How neighbours are weighted.
    pub(super) enum Aggregation {
        /// By neighbour similarity.
        Similarity = "similarity",
        /// `D^-1/2 A D^-1/2`.
        Plain = "plain",
    }
}
crate::choice! {
    /// How modalities are brought into one space.
    pub(super) enum Alignment {
        /// A two-layer map a modality, then a shared affine map.
        Mlp = "mlp",
        /// One learned matrix a modality (NSMAR).
        Matrix = "matrix",
        /// Not at all.
        None = "none",
    }
}
crate::choice! {
    /// How a user and an item give a score.
    pub(super) enum ScorerKind {
        /// A map with one hidden layer over both vectors.
        Mlp = "mlp",
        /// The inner product.
        Dot = "dot",
    }
}

crate::settings! {
    /// Settings of NSMAR+ and all its variants.
    pub(super) struct Config {
        /// Width of every embedding.
        dim: usize = 64, 1..=1024;
        /// Convolution layers.
        layers: usize = 2, 1..=8;
        /// Most neighbours of a node that take part; more are sampled anew each epoch.
        neighbors: usize = 60, 1..=10_000;
        /// How raw features become starting rows.
        input: Input = Input::Linear, ();
        /// Whether feature rows are scaled to length 1 first.
        normalize_input: bool = true, ();
        /// Whether every starting row is scaled to length 1, as DRAGON does.
        normalize_start: bool = false, ();
        /// Whether items have a trained table of their own, shared by modalities.
        item_ids: bool = true, ();
        /// How neighbours are weighted.
        aggregation: Aggregation = Aggregation::Similarity, ();
        /// Whether a neighbour's row is divided by the square root of its own number of neighbours too, as `plain` always does.
        damp_neighbors: bool = true, ();
        /// What follows the aggregation of a layer.
        transform: Transform = Transform::Identity, ();
        /// How modalities are brought into one space.
        alignment: Alignment = Alignment::Mlp, ();
        /// Whether the alignment MLP adds to its input, starting from the identity.
        align_skip: bool = true, ();
        /// Learning rate of the alignment, as a share of `lr`.
        align_lr: f64 = 0.001, 0.0..=10.0;
        /// Whether users propagate over the co-interaction graph.
        user_graph: bool = true, ();
        /// Neighbours in the user graph.
        user_neighbors: usize = 40, 1..=10_000;
        /// What the edges of the user graph count.
        user_weight: UserWeight = UserWeight::Count, ();
        /// Whether items propagate over the semantic graph.
        item_graph: bool = true, ();
        /// Neighbours in the item graph, a modality.
        item_neighbors: usize = 10, 1..=1_000;
        /// Share of each modality in the item graph; empty: equal shares.
        item_weights: Weights = crate::graph::text_first(), ();
        /// Hops over the user and item graphs.
        hops: usize = 1, 1..=4;
        /// How a user and an item give a score.
        scorer: ScorerKind = ScorerKind::Dot, ();
        /// Width of the scorer's hidden layer.
        hidden: usize = 64, 1..=1024;
        /// Weight of the squared norms of the batch's embedding rows.
        l2: f64 = 1e-2, 0.0..=10.0;
        /// Weight of the squared norms of the batch's final vectors.
        l2_vectors: f64 = 3e-3, 0.0..=10.0;
        /// Whether `l2` covers the weight matrices too.
        l2_weights: bool = false, ();
        /// Modalities left out.
        exclude: Names = Names::default(), ();
    }
}

/// Training defaults of all variants. A step costs the whole graph whatever its batch: four times the batch at three
/// times the rate trains as well (validation, Baby) in a quarter of the time.
pub(super) fn train_defaults() -> TrainConfig {
    TrainConfig { batch: 8192, lr: 3e-3, patience: 10, ..TrainConfig::default() }
}

/// Peak memory of a run in bytes: features with their transposed copy, tables with moments and gradients, the
/// activations of one step, the graphs.
pub(super) fn memory_bytes(data: &Dataset, config: &Config, names: &[&str]) -> u64 {
    let (u, i, d, m) = (data.users.len(), data.items.len(), config.dim, names.len());
    let n = u + i;
    let features: usize =
        data.features.iter().filter(|f| names.contains(&f.name.as_str())).map(|f| 2 * i * f.dim).sum();
    let tables = 4 * (u * m + i) * d;
    // A layer keeps its input, its normalised rows, its sum and its output; the edge gradients come and go.
    let transforms = if matches!(config.transform, Transform::Mlp) { 3 } else { 1 };
    let activations = m * n * d * (3 + config.layers * (2 + transforms)) + 8 * n * d * m;
    let edges = 2 * data.train.nnz();
    let graph = u * config.user_neighbors + i * config.item_neighbors * m;
    (4 * (features + tables + activations + edges * (d + 8) + 4 * graph)) as u64
}
