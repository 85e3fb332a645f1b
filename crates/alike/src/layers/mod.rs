//! Pieces that models share: named parameters, initialisation, negative sampling, batches.

mod batches;
mod params;

pub use batches::{Batches, Sampler};
pub use params::{Init, ParamId, Params, Saved, Tracked, matrix};

use std::sync::Arc;

use alike_ops::{Activation, Csr, linear};
use burn::tensor::Tensor;

/// Slope of every leaky rectifier on the negative side.
pub const LEAKY_SLOPE: f32 = 0.01;

/// One affine map, `x W + b`, with `W [in, out]` and `b [out]`.
#[derive(Debug, Clone, Copy)]
pub struct Affine {
    weight: ParamId,
    bias: ParamId,
}

impl Affine {
    /// Registers `name.weight` (Xavier uniform) and `name.bias` (zeros).
    pub fn new(params: &mut Params, name: &str, input: usize, output: usize) -> Self {
        Self::with(params, name, input, output, Init::Xavier)
    }

    /// As [`Self::new`] with another start of the weight.
    pub fn with(params: &mut Params, name: &str, input: usize, output: usize, init: Init) -> Self {
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

    /// `[n, in]` → `[n, out]`.
    pub fn forward(&self, p: &Tracked, x: Tensor<2>) -> Tensor<2> {
        linear(x, p.matrix(self.weight), p.vector(self.bias), Activation::None, None)
    }

    /// `[n, in]` → `[n, out]`, then a leaky rectifier.
    pub fn forward_leaky(&self, p: &Tracked, x: Tensor<2>) -> Tensor<2> {
        linear(x, p.matrix(self.weight), p.vector(self.bias), Activation::Leaky(LEAKY_SLOPE), None)
    }

    /// As [`Self::forward_leaky`], each row then divided by the square root of its degree in `pattern`.
    pub fn forward_leaky_scaled(&self, p: &Tracked, x: Tensor<2>, pattern: &Arc<Csr>) -> Tensor<2> {
        let activation = Activation::Leaky(LEAKY_SLOPE);
        linear(x, p.matrix(self.weight), p.vector(self.bias), activation, Some(pattern))
    }
}
