//! Sparse graph operators for [Burn](https://burn.dev): a backend extension with CPU kernels and hand-written backward passes.

mod adam;
mod bpr;
mod csr;
mod error;
mod flex;
mod knn;
mod linear;
mod nsim;
mod pair_mlp;
mod project;
mod score;
mod simd;
mod sparse;
mod topk;
mod touched;

pub use adam::{Adam, AdamState, adam_step};
pub use bpr::{Triples, bpr_dot, bpr_dot_l2, l2_rows};
pub use csr::{Csr, Transposed};
pub use error::OpsError;
pub use knn::{Knn, knn_cosine};
pub use linear::{Activation, linear};
pub use nsim::neighbor_similarity;
pub use pair_mlp::bpr_pair_mlp;
pub use project::{FrozenFeatures, project};
pub use sparse::{FixedSparse, add_propagated, propagate_mean, spmm, spmm_fixed};
pub use topk::{Masks, TopK, scores_dot, scores_pair_mlp, top_k_dot, top_k_pair_mlp, top_k_static};
