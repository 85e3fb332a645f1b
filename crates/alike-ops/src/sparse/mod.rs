//! Sparse patterns and matrices, their products with dense ones, and the softmax over a row.
//!
//! Imports: `autodiff`, `error`, `gpu`, `simd`, `tensor`.

pub(crate) mod const_sparse;
pub(crate) mod csr;
pub(crate) mod derived;
pub(crate) mod gather;
pub(crate) mod product;
pub(crate) mod softmax;
pub(crate) mod spmm;
pub(crate) mod sums;
