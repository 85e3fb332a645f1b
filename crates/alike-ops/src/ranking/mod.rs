//! The best items of users, exactly, without a users × items matrix: on the processor, for a service, on a
//! device; nearest neighbours.
//!
//! Imports: `autodiff`, `dense`, `error`, `gpu`, `simd`, `sparse`.

pub(crate) mod device;
pub(crate) mod exclusions;
mod heap;
pub(crate) mod hybrid;
pub(crate) mod item_set;
pub(crate) mod knn;
mod panels;
pub(crate) mod resident;
mod tile;
pub(crate) mod topk;
