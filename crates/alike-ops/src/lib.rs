//! Sparse graph operators for [Burn](https://burn.dev): a backend extension with CPU kernels and hand-written backward passes.

mod csr;
mod error;
mod flex;
mod linear;
mod nsim;
mod project;
mod simd;
mod sparse;

pub use csr::{Csr, Transposed};
pub use error::OpsError;
pub use linear::{Activation, linear};
pub use nsim::neighbor_similarity;
pub use project::{FrozenFeatures, project};
pub use sparse::{FixedSparse, add_propagated, propagate_mean, spmm, spmm_fixed};
