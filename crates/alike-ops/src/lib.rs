//! Sparse graph operators for [Burn](https://burn.dev): a backend extension with CPU kernels and hand-written backward passes.

mod csr;
mod error;
mod flex;
mod linear;

pub use csr::{Csr, Transposed};
pub use error::OpsError;
pub use linear::{Activation, linear};
