//! Sparse graph operators for [Burn](https://burn.dev): a backend extension with kernels for processors and,
//! behind features, for graphics processors, and hand-written backward passes.
//!
//! The modules are rooms, each of which imports only some others: the order is in ARCHITECTURE.md.

mod autodiff;
mod dense;
mod devices;
mod error;
#[cfg(feature = "gpu")]
mod gpu;
mod loss;
mod ranking;
mod simd;
mod similarity;
mod sparse;
mod tensor;
#[cfg(test)]
mod testing;

pub use autodiff::{Operator, Operators, Portable};
pub use dense::adam::{Adam, AdamState, adam_step};
pub use dense::inner::dot;
pub use dense::linear::{Activation, linear, linear_pair, matmul};
pub use dense::pointwise::{
    add, add_row, leaky, multiply, scale_rows, sigmoid, sum_squares, tanh, unit_rows,
};
pub use dense::project::{FrozenFeatures, project, project_rows};
pub use devices::all_reduce::sum_over_devices;
pub use devices::limits::{DeviceLimits, device_limits, wgpu_devices};
pub use devices::memory::keep_freed_memory;
pub use error::OpsError;
pub use loss::bpr::{bpr_dot, bpr_dot_l2, bpr_dot_own_l2, l2_rows};
pub use loss::log_sum_exp::{info_nce, log_sum_exp, uniformity};
pub use loss::pair_mlp::bpr_pair_mlp;
pub use loss::triples::Triples;
pub use ranking::device::{TopKRequest, ranking_bytes, top_k_dot_device, top_k_pair_mlp_device};
pub use ranking::exclusions::{Exclusions, Mask};
pub use ranking::hybrid::{HybridUser, add_item_item};
pub use ranking::item_set::ItemSet;
pub use ranking::knn::{Knn, knn_cosine};
pub use ranking::resident::Ranker;
pub use ranking::topk::{
    TopK, scores_dot, scores_pair_mlp, top_k_dot, top_k_item_item, top_k_pair_mlp, top_k_static,
};
pub use simd::isa::{InstructionSets, instruction_sets};
pub use similarity::operator::neighbor_similarity;
pub use sparse::const_sparse::{ConstSparse, add_propagated, propagate_mean, propagate_sum, spmm_const};
pub use sparse::csr::{Csr, Transposed};
pub use sparse::gather::{RowSubset, gather, spmm_rows};
pub use sparse::softmax::segment_softmax;
pub use sparse::spmm::spmm;
pub use sparse::sums::SparseSums;
pub use tensor::dense::Dense;
