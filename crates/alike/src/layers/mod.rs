//! Pieces that models share: named parameters, how batches are drawn, a step, and what builds a model.

mod batches;
mod builder;
mod features;
mod fold_in;
mod neighbor_contrast;
mod objective;
mod params;
mod ranking_loss;
mod step;
mod thinned;
mod tower;
mod views;

pub use batches::{Batch, Batches, Negatives, Sampler, Sampling};
pub use builder::Builder;
pub use features::{FeatureInput, FeatureMap};
pub use fold_in::{FoldIn, Forward};
pub use neighbor_contrast::{NeighborContrast, propagations};
pub use objective::{Objective, RankingLoss, StepObjective};
pub use params::{Init, ParamId, Params, Row, Rows, Saved, Table, Weights};
pub use step::{BatchRows, Step, rows_of};
pub use thinned::ThinnedGraph;
pub use tower::{Tower, Towers};
pub use views::{Attention, with_users};

use std::sync::Arc;

pub use alike_ops::gather;
use alike_ops::{
    Activation, ConstSparse, Csr, RowSubset, add, add_propagated, linear, linear_pair, multiply, spmm_const,
    spmm_rows, unit_rows,
};
use burn::tensor::Tensor;

/// Slope of every leaky rectifier on the negative side.
pub const LEAKY_SLOPE: f32 = 0.01;

/// One affine map, `x W + b`, with `W [in, out]` and `b [out]`.
#[derive(Debug, Clone, Copy)]
pub struct Linear {
    weight: ParamId,
    bias: ParamId,
}

impl Linear {
    /// Registers `name.weight` (Xavier uniform) and `name.bias` (zeros).
    pub fn new(params: &mut Params, name: &str, input: usize, output: usize) -> Self {
        Self::with_init(params, name, input, output, Init::Xavier)
    }

    /// As [`Self::new`] with another start of the weight.
    pub fn with_init(params: &mut Params, name: &str, input: usize, output: usize, init: Init) -> Self {
        Self {
            weight: params.add(&format!("{name}.weight"), &[input, output], init),
            bias: params.add(&format!("{name}.bias"), &[output], Init::Zeros),
        }
    }

    /// The weight.
    pub fn weight(&self) -> ParamId {
        self.weight
    }

    /// The bias.
    pub fn bias(&self) -> ParamId {
        self.bias
    }

    /// Weight and bias.
    pub fn params(&self) -> [ParamId; 2] {
        [self.weight, self.bias]
    }

    /// `[n, in]` → `[n, out]`.
    pub fn forward(&self, w: &Weights, x: Tensor<2>) -> Tensor<2> {
        linear(x, w.matrix(self.weight), w.vector(self.bias), Activation::None, None)
    }

    /// `[n, in]` → `[n, out]`, then a leaky rectifier.
    pub fn forward_leaky(&self, w: &Weights, x: Tensor<2>) -> Tensor<2> {
        linear(x, w.matrix(self.weight), w.vector(self.bias), Activation::Leaky(LEAKY_SLOPE), None)
    }

    /// As [`Self::forward_leaky`] of two matrices side by side, which are not put together.
    pub fn forward_pair_leaky(&self, w: &Weights, x: [Tensor<2>; 2]) -> Tensor<2> {
        linear_pair(x, w.matrix(self.weight), w.vector(self.bias), Activation::Leaky(LEAKY_SLOPE))
    }

    /// As [`Self::forward_leaky`], each row then divided by the square root of its degree in `pattern`.
    pub fn forward_leaky_scaled(&self, w: &Weights, x: Tensor<2>, pattern: &Arc<Csr>) -> Tensor<2> {
        let activation = Activation::Leaky(LEAKY_SLOPE);
        linear(x, w.matrix(self.weight), w.vector(self.bias), activation, Some(pattern))
    }
}

/// A constant on the device of a tracked computation.
pub fn on_device_of(constant: &Tensor<2>, like: &Tensor<2>) -> Tensor<2> {
    if like.device().is_autodiff() { Tensor::from_inner(constant.clone()) } else { constant.clone() }
}

/// The weights `[U, M]` that users give to modalities above those of `items` items, which are 1: `[N, M]`.
pub fn weights_of_nodes(mix: Tensor<2>, items: usize) -> Tensor<2> {
    let whole = mix.clone().narrow(0, 0, 1).ones_like().repeat_dim(0, items);
    Tensor::cat(vec![mix, whole], 0)
}

/// `x + A x`, or the rows `rows` of it, in that order.
pub fn propagated(a: &Arc<ConstSparse>, x: Tensor<2>, rows: Option<&[u32]>) -> Tensor<2> {
    match rows {
        Some(rows) => spmm_rows(&RowSubset::new(a, rows, true), x),
        None => add_propagated(a, x),
    }
}

/// `y + A x`, or the rows `rows` of it, in that order.
pub fn plus_propagated(y: Tensor<2>, a: &Arc<ConstSparse>, x: Tensor<2>, rows: Option<&[u32]>) -> Tensor<2> {
    match rows {
        Some(rows) => add(gather(y, rows), spmm_rows(&RowSubset::new(a, rows, false), x)),
        None => add(y, spmm_const(a, x)),
    }
}

/// The cosine of each row of `a` with the row of `b` at the same place, `[n, 1]`.
pub fn cosine(a: Tensor<2>, b: Tensor<2>) -> Tensor<2> {
    multiply(unit_rows(a), unit_rows(b)).sum_dim(1)
}

/// The mean over pairs of `1 - cos`: rows `rows` of `a` with rows `others` of `b` in the same order.
pub fn cosine_gap(a: &Tensor<2>, rows: &[u32], b: &Tensor<2>, others: &[u32]) -> Tensor<1> {
    cosine(gather(a.clone(), rows), gather(b.clone(), others)).mean().neg() + 1.0
}

/// The matrix that picks the rows `rows` of `of`, for selections that are made more than once.
pub fn selection(rows: &[u32], of: usize) -> Arc<ConstSparse> {
    let pattern = Csr::new(rows.len(), of, (0..=rows.len() as u32).collect(), rows.to_vec());
    let pattern = Arc::new(pattern.expect("rows of a batch are rows of the table"));
    Arc::new(ConstSparse::new(pattern, vec![1.0; rows.len()]).expect("one value per entry"))
}
