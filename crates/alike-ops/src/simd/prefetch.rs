//! Asking for memory before it is read.

/// Hints that `lines` cache lines from `p` on are read soon. Any address is allowed.
#[inline(always)]
pub(crate) fn prefetch<T>(p: *const T, lines: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let p = p.cast::<i8>();
        // SAFETY: a prefetch never faults, and SSE is part of x86-64.
        unsafe {
            if lines == 4 {
                // The usual width of 64, without a loop.
                _mm_prefetch::<_MM_HINT_T0>(p);
                _mm_prefetch::<_MM_HINT_T0>(p.wrapping_add(64));
                _mm_prefetch::<_MM_HINT_T0>(p.wrapping_add(128));
                _mm_prefetch::<_MM_HINT_T0>(p.wrapping_add(192));
            } else {
                for line in 0..lines {
                    _mm_prefetch::<_MM_HINT_T0>(p.wrapping_add(line * 64));
                }
            }
        }
    }
    // The intrinsic is not stable; Miri interprets no assembly.
    #[cfg(all(target_arch = "aarch64", not(miri)))]
    for line in 0..lines {
        let p = p.cast::<u8>().wrapping_add(line * 64);
        // SAFETY: a prefetch never faults, and changes neither memory nor registers.
        unsafe {
            std::arch::asm!("prfm pldl1keep, [{p}]", p = in(reg) p, options(nostack, preserves_flags, readonly));
        }
    }
    #[cfg(not(any(target_arch = "x86_64", all(target_arch = "aarch64", not(miri)))))]
    let _ = (p, lines);
}
