//! Losses over the rows of a batch, each one operator: gather, loss, and back.
//!
//! Imports: `autodiff`, `dense`, `gpu`, `simd`, `tensor`.

pub(crate) mod bpr;
pub(crate) mod log_sum_exp;
pub(crate) mod pair_mlp;
mod softplus;
pub(crate) mod triples;
