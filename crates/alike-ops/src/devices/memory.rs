//! Memory between training steps.
//!
//! A step allocates and frees the same large tensors as the step before. mimalloc by default hands freed
//! pages back to the system after 10 ms, and the system clears every page when it is touched again: in a
//! training step of NSMAR+ that took a fifth of the time.

use std::ffi::{c_int, c_long};

// Links the allocator also where the program does not use it; then the option has no effect.
use libmimalloc_sys as _;

unsafe extern "C" {
    fn mi_option_set(option: c_int, value: c_long);
}

/// `mi_option_purge_delay`, the same number in versions 2 and 3.
const PURGE_DELAY: c_int = 15;

/// Lets mimalloc keep freed memory for the next step instead of handing it back to the system. The peak does
/// not change. To be called once, at the start of `main`, in programs whose global allocator is mimalloc.
pub fn keep_freed_memory() {
    // SAFETY: the option takes any value, -1 for never; it only changes when pages are given back.
    unsafe { mi_option_set(PURGE_DELAY, -1) }
}
