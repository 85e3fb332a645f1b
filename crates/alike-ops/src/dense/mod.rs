//! Dense maps: affine maps, frozen features, row-wise and element-wise maps, the optimiser step.
//!
//! Imports: `autodiff`, `error`, `gpu`, `simd`, `sparse` (patterns scale rows), `tensor`.

pub(crate) mod adam;
pub(crate) mod gemm;
pub(crate) mod inner;
pub(crate) mod linear;
pub(crate) mod pointwise;
pub(crate) mod project;
