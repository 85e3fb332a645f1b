//! Values on the processor: tensors as slices, blocks of rows, pooled buffers, the rows of a batch.
//!
//! Imports: `simd`.

pub(crate) mod buffer_pool;
pub(crate) mod dense;
pub(crate) mod partition;
pub(crate) mod row_groups;
