//! How a kernel is compiled once per instruction set.

/// Makes `fn name(isa, args…)` of a generic function `body<V: F32x16>(args…)`, compiled for each
/// [`Isa`](super::isa::Isa).
///
/// The body must be `#[inline(always)]`, and sound for all arguments once the instruction set is there.
macro_rules! kernel {
    ($(#[$meta:meta])* $vis:vis fn $name:ident = $body:ident ($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)?) => {
        $(#[$meta])*
        // Flat arguments: a closure over them would lose the instruction set. Bodies without pointers are
        // safe functions.
        #[allow(clippy::too_many_arguments, unused_unsafe)]
        $vis fn $name(isa: $crate::simd::isa::Isa, $($arg: $ty),*) $(-> $ret)? {
            // `Isa::supported` asks the processor for the same features.
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
            unsafe fn avx512($($arg: $ty),*) $(-> $ret)? {
                // SAFETY: this function has the instruction set.
                unsafe { $body::<$crate::simd::x86::Avx512>($($arg),*) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            unsafe fn avx2($($arg: $ty),*) $(-> $ret)? {
                // SAFETY: this function has the instruction set.
                unsafe { $body::<$crate::simd::x86::Avx2>($($arg),*) }
            }
            #[cfg(target_arch = "aarch64")]
            #[target_feature(enable = "neon")]
            unsafe fn neon($($arg: $ty),*) $(-> $ret)? {
                // SAFETY: this function has the instruction set.
                unsafe { $body::<$crate::simd::neon::Neon>($($arg),*) }
            }
            match isa {
                // SAFETY: plain arrays need no instruction set.
                $crate::simd::isa::Isa::Portable => unsafe {
                    $body::<[f32; $crate::simd::f32x16::LANES]>($($arg),*)
                },
                // SAFETY: this value exists only where the processor was asked.
                #[cfg(target_arch = "x86_64")]
                $crate::simd::isa::Isa::Avx2 => unsafe { avx2($($arg),*) },
                // SAFETY: this value exists only where the processor was asked.
                #[cfg(target_arch = "x86_64")]
                $crate::simd::isa::Isa::Avx512 => unsafe { avx512($($arg),*) },
                // SAFETY: this value exists only where the processor was asked.
                #[cfg(target_arch = "aarch64")]
                $crate::simd::isa::Isa::Neon => unsafe { neon($($arg),*) },
            }
        }
    };
}
pub(crate) use kernel;
