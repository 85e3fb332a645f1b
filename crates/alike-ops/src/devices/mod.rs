//! Devices and memory as a whole program sees them.
//!
//! Imports: `dense`, `gpu`.

pub(crate) mod all_reduce;
pub(crate) mod limits;
pub(crate) mod memory;
