//! Sparse graph operators for [Burn](https://burn.dev): a backend extension with kernels for processors and, behind features, for
//! graphics processors, and hand-written backward passes.

mod adam;
mod bpr;
mod catalogue;
#[cfg(test)]
mod check;
mod collective;
mod contrast;
mod csr;
mod dense;
mod devices;
mod error;
mod extension;
mod fixed;
#[cfg(feature = "gpu")]
mod gpu;
mod knn;
mod lanes;
mod linear;
mod memory;
mod nsim;
mod pair_mlp;
mod pointwise;
mod project;
mod rank;
mod ranker;
mod score;
mod scratch;
mod select;
mod simd;
mod softmax;
mod spmm;
mod spmm_kernel;
mod topk;
mod touched;

pub use adam::{Adam, AdamState, adam_step};
pub use bpr::{Triples, bpr_dot, bpr_dot_l2, bpr_dot_own_l2, l2_rows};
pub use collective::sum_over_devices;
pub use contrast::info_nce;
pub use csr::{Csr, Transposed};
pub use dense::Dense;
pub use devices::{DeviceLimits, device_limits, wgpu_devices};
pub use error::OpsError;
pub use extension::{Operator, Operators, Portable};
pub use fixed::{FixedSparse, add_propagated, propagate_mean, propagate_sum, spmm_fixed};
pub use knn::{Knn, knn_cosine};
pub use linear::{Activation, linear, linear_pair, matmul};
pub use memory::keep_freed_memory;
pub use nsim::neighbor_similarity;
pub use pair_mlp::bpr_pair_mlp;
pub use pointwise::{add, add_row, leaky, multiply, scale_rows, sigmoid, sum_squares, tanh, unit_rows};
pub use project::{FrozenFeatures, project, project_rows};
pub use rank::{Wanted, ranking_bytes, top_k_dot_on, top_k_pair_mlp_on};
pub use ranker::Ranker;
pub use select::{SparseRows, gather, spmm_rows};
pub use softmax::segment_softmax;
pub use spmm::spmm;
pub use topk::{
    Masks, TopK, scores_dot, scores_pair_mlp, top_k_dot, top_k_item_item, top_k_pair_mlp, top_k_static,
};
