//! One binary, fast everywhere: a kernel body is compiled for AVX-512, for AVX2 with fused multiply-add and for
//! the portable instruction set, and the best one is chosen at run time.

use std::sync::OnceLock;

/// What the processor has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

/// The best level of this processor.
pub(crate) fn level() -> Level {
    static LEVEL: OnceLock<Level> = OnceLock::new();
    *LEVEL.get_or_init(|| *levels().last().expect("the portable level is always there"))
}

/// Every level that this processor runs, slowest first.
pub(crate) fn levels() -> Vec<Level> {
    let mut levels = vec![Level::Portable];
    #[cfg(target_arch = "x86_64")]
    {
        let fma = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        let wide = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl");
        if fma {
            levels.push(Level::Avx2);
        }
        if fma && wide {
            levels.push(Level::Avx512);
        }
    }
    levels
}

/// `a · b + c`; fused where the level has the instruction (`F`), since the portable fused form is a slow call.
#[inline(always)]
pub(crate) fn mul_add<const F: bool>(a: f32, b: f32, c: f32) -> f32 {
    if F { a.mul_add(b, c) } else { a * b + c }
}

/// Makes `$name` out of the `#[inline(always)]` function `$body::<FUSED>` for every level.
macro_rules! dispatch {
    ($(#[$meta:meta])* $vis:vis fn $name:ident = $body:ident ( $($arg:ident : $ty:ty),* $(,)? ) $(-> $ret:ty)?) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        $vis fn $name($($arg: $ty),*) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
            fn avx512($($arg: $ty),*) $(-> $ret)? {
                $body::<true>($($arg),*)
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2($($arg: $ty),*) $(-> $ret)? {
                $body::<true>($($arg),*)
            }
            match $crate::simd::level() {
                // SAFETY: `level` found these instructions on this processor.
                #[cfg(target_arch = "x86_64")]
                $crate::simd::Level::Avx512 => unsafe { avx512($($arg),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                $crate::simd::Level::Avx2 => unsafe { avx2($($arg),*) },
                $crate::simd::Level::Portable => $body::<false>($($arg),*),
            }
        }
    };
}
pub(crate) use dispatch;

/// Sum of products of two rows of the same length.
#[inline(always)]
pub(crate) fn dot<const F: bool>(a: &[f32], b: &[f32]) -> f32 {
    let (mut lanes, mut rest) = ([0f32; 16], 0.0);
    let (ac, ar) = a.as_chunks::<16>();
    let (bc, br) = b.as_chunks::<16>();
    for (a, b) in ac.iter().zip(bc) {
        for t in 0..16 {
            lanes[t] = mul_add::<F>(a[t], b[t], lanes[t]);
        }
    }
    for (a, b) in ar.iter().zip(br) {
        rest = mul_add::<F>(*a, *b, rest);
    }
    sum16(lanes) + rest
}

/// Sum of sixteen lanes, always in the same order.
#[inline(always)]
pub(crate) fn sum16(v: [f32; 16]) -> f32 {
    let mut a = [0f32; 8];
    for t in 0..8 {
        a[t] = v[t] + v[t + 8];
    }
    let b = [a[0] + a[4], a[1] + a[5], a[2] + a[6], a[3] + a[7]];
    (b[0] + b[2]) + (b[1] + b[3])
}

/// `y += w · x`.
#[inline(always)]
pub(crate) fn axpy<const F: bool>(w: f32, x: &[f32], y: &mut [f32]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y = mul_add::<F>(w, *x, *y);
    }
}
