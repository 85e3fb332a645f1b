//! Devices and memory as a whole program sees them. May import `dense`.

pub(crate) mod all_reduce;
pub(crate) mod limits;
pub(crate) mod memory;
