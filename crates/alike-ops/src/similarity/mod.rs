//! Neighbour similarity: a convolution whose weights are the similarities among the neighbours.
//!
//! Imports: `autodiff`, `gpu`, `simd`, `sparse`, `tensor`.

pub(crate) mod forward;
pub(crate) mod operator;
mod plan;
