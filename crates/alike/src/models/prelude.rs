//! What nearly every model needs, in one import.

pub use std::sync::Arc;

pub use burn::tensor::Tensor;

pub use super::{FoldIn, LinearPart, Model, ModelInfo, Solved, TrainConfig};
pub use crate::data::Dataset;
pub use crate::error::{Error, Result};
pub use crate::ids::{ItemId, NodeId, UserId, numbers};
pub use crate::layers::{
    BatchRows, Builder, FeatureInput, FeatureMap, Init, LEAKY_SLOPE, Linear, Objective, ParamId, RankingLoss,
    Sampling, Step, Table, Towers, Weights, cosine, cosine_gap, gather, on_device_of, plus_propagated,
    propagated, rows_of, selection, weights_of_nodes,
};
pub use crate::progress::Progress;
pub use crate::scorer::Scorer;
