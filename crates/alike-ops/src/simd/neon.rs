//! Sixteen lanes in NEON registers of four.
//!
//! As with the registers of x86, no closures: a closure is compiled without the instruction set.

#![allow(clippy::needless_range_loop)]

use super::f32x16::{F32x16, LANES};
use std::arch::aarch64::*;

/// Four 128-bit registers, lanes in order.
#[derive(Clone, Copy)]
pub(crate) struct Neon([float32x4_t; 4]);

/// An intrinsic on each of the four registers.
macro_rules! each {
    ($op:ident($($v:expr),+)) => {
        Self([$op($($v.0[0]),+), $op($($v.0[1]),+), $op($($v.0[2]),+), $op($($v.0[3]),+)])
    };
}

// SAFETY of all blocks below: the trait's contract (instruction set present, pointers valid).
#[allow(clippy::undocumented_unsafe_blocks)]
impl F32x16 for Neon {
    // Thirty-two registers, four for each value.
    const REGISTERS: usize = 8;
    const FUSED: bool = true;
    /// An instruction multiplies by one lane of a register. A load that fills a register with one float
    /// would, on many processors, take up a unit that multiplies.
    type Few = [float32x4_t; 2];

    #[inline(always)]
    unsafe fn zero() -> Self {
        unsafe { Self([vdupq_n_f32(0.0); 4]) }
    }
    #[inline(always)]
    unsafe fn splat(v: f32) -> Self {
        unsafe { Self([vdupq_n_f32(v); 4]) }
    }
    #[inline(always)]
    unsafe fn few<const N: usize>(p: *const f32) -> Self::Few {
        const { assert!(N >= 1 && N <= 8) };
        unsafe { [load4(p, N), if N > 4 { load4(p.add(4), N - 4) } else { vdupq_n_f32(0.0) }] }
    }
    #[inline(always)]
    unsafe fn spread(few: Self::Few, n: usize) -> Self {
        let v = few[n / 4];
        unsafe {
            let v = match n % 4 {
                0 => vdupq_laneq_f32::<0>(v),
                1 => vdupq_laneq_f32::<1>(v),
                2 => vdupq_laneq_f32::<2>(v),
                _ => vdupq_laneq_f32::<3>(v),
            };
            Self([v; 4])
        }
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        unsafe { Self([vld1q_f32(p), vld1q_f32(p.add(4)), vld1q_f32(p.add(8)), vld1q_f32(p.add(12))]) }
    }
    #[inline(always)]
    unsafe fn load_part(p: *const f32, n: usize) -> Self {
        unsafe {
            let mut v = Self::zero();
            for q in 0..4 {
                if n > 4 * q {
                    v.0[q] = load4(p.add(4 * q), n - 4 * q);
                }
            }
            v
        }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        unsafe {
            for q in 0..4 {
                vst1q_f32(p.add(4 * q), self.0[q]);
            }
        }
    }
    #[inline(always)]
    unsafe fn store_part(self, p: *mut f32, n: usize) {
        unsafe {
            for q in 0..4 {
                if n > 4 * q {
                    store4(self.0[q], p.add(4 * q), n - 4 * q);
                }
            }
        }
    }
    #[inline(always)]
    unsafe fn fma(self, a: Self, b: Self) -> Self {
        unsafe { each!(vfmaq_f32(self, a, b)) }
    }
    #[inline(always)]
    unsafe fn add(self, o: Self) -> Self {
        unsafe { each!(vaddq_f32(self, o)) }
    }
    #[inline(always)]
    unsafe fn sub(self, o: Self) -> Self {
        unsafe { each!(vsubq_f32(self, o)) }
    }
    #[inline(always)]
    unsafe fn mul(self, o: Self) -> Self {
        unsafe { each!(vmulq_f32(self, o)) }
    }
    #[inline(always)]
    unsafe fn max(self, o: Self) -> Self {
        // Not `vmaxq_f32`, which is NaN where either is.
        unsafe { each!(larger(self, o)) }
    }
    #[inline(always)]
    unsafe fn relu(self) -> Self {
        unsafe {
            let zero = Self::zero();
            each!(vmaxq_f32(self, zero))
        }
    }
    #[inline(always)]
    unsafe fn above(self, o: Self) -> u16 {
        unsafe {
            let mut bits = vdupq_n_u32(0);
            for q in 0..4 {
                bits = vorrq_u32(bits, vandq_u32(vcgtq_f32(self.0[q], o.0[q]), lane_bits(q)));
            }
            vaddvq_u32(bits) as u16
        }
    }
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        unsafe {
            let v = quarters(self);
            vpadds_f32(vadd_f32(vget_low_f32(v), vget_high_f32(v)))
        }
    }
    #[inline(always)]
    unsafe fn gram(p: [*const f32; 4], q: [*const f32; 4], groups: usize) -> Self {
        unsafe {
            // Two rows at a time, eight lanes of each sum as on AVX2: sixteen registers of sums, four of one
            // side and two of the other.
            let mut out = Self::zero();
            for i in [0, 2] {
                let mut low = [[vdupq_n_f32(0.0); 4]; 2];
                let mut high = low;
                for at in (0..groups * LANES).step_by(8) {
                    let (a, b) = (p[i].add(at), p[i + 1].add(at));
                    let (a0, a1, b0, b1) =
                        (vld1q_f32(a), vld1q_f32(a.add(4)), vld1q_f32(b), vld1q_f32(b.add(4)));
                    for j in 0..4 {
                        let q = q[j].add(at);
                        let (q0, q1) = (vld1q_f32(q), vld1q_f32(q.add(4)));
                        low[0][j] = vfmaq_f32(low[0][j], a0, q0);
                        high[0][j] = vfmaq_f32(high[0][j], a1, q1);
                        low[1][j] = vfmaq_f32(low[1][j], b0, q0);
                        high[1][j] = vfmaq_f32(high[1][j], b1, q1);
                    }
                }
                for h in 0..2 {
                    out.0[i + h] = vaddq_f32(fold_lanes(low[h]), fold_lanes(high[h]));
                }
            }
            out
        }
    }
    #[inline(always)]
    unsafe fn keep(self, mask: u16) -> Self {
        unsafe {
            let mask = vdupq_n_u32(u32::from(mask));
            let mut out = self;
            for q in 0..4 {
                let kept = vandq_u32(vreinterpretq_u32_f32(self.0[q]), vtstq_u32(mask, lane_bits(q)));
                out.0[q] = vreinterpretq_f32_u32(kept);
            }
            out
        }
    }
    #[inline(always)]
    unsafe fn transpose4(self) -> Self {
        unsafe {
            let [a, b, c, d] = self.0;
            let (even, odd) = (vtrn1q_f32(a, b), vtrn2q_f32(a, b));
            let (e, o) = (vreinterpretq_f64_f32(even), vreinterpretq_f64_f32(odd));
            let (even, odd) = (vtrn1q_f32(c, d), vtrn2q_f32(c, d));
            let (f, p) = (vreinterpretq_f64_f32(even), vreinterpretq_f64_f32(odd));
            Self([
                vreinterpretq_f32_f64(vtrn1q_f64(e, f)),
                vreinterpretq_f32_f64(vtrn1q_f64(o, p)),
                vreinterpretq_f32_f64(vtrn2q_f64(e, f)),
                vreinterpretq_f32_f64(vtrn2q_f64(o, p)),
            ])
        }
    }
    #[inline(always)]
    unsafe fn fold4(self) -> [f32; 4] {
        let mut out = [0.0; 4];
        unsafe { vst1q_f32(out.as_mut_ptr(), quarters(self)) };
        out
    }
}

/// The larger of each pair; `b` where one of the two is NaN.
#[inline(always)]
unsafe fn larger(a: float32x4_t, b: float32x4_t) -> float32x4_t {
    // SAFETY: only called from the implementation above.
    unsafe { vbslq_f32(vcgtq_f32(a, b), a, b) }
}

/// The first `n ≥ 1` of four floats; zeros after.
#[inline(always)]
unsafe fn load4(p: *const f32, n: usize) -> float32x4_t {
    // SAFETY: only called from the implementation above, for as many floats as there are.
    unsafe {
        let none = vdup_n_f32(0.0);
        match n {
            1 => vcombine_f32(vld1_lane_f32::<0>(p, none), none),
            2 => vcombine_f32(vld1_f32(p), none),
            3 => vcombine_f32(vld1_f32(p), vld1_lane_f32::<0>(p.add(2), none)),
            _ => vld1q_f32(p),
        }
    }
}

/// Writes the first `n ≥ 1` of four floats.
#[inline(always)]
unsafe fn store4(v: float32x4_t, p: *mut f32, n: usize) {
    // SAFETY: only called from the implementation above, for as many floats as there is room for.
    unsafe {
        match n {
            1 => vst1q_lane_f32::<0>(p, v),
            2 => vst1_f32(p, vget_low_f32(v)),
            3 => {
                vst1_f32(p, vget_low_f32(v));
                vst1q_lane_f32::<2>(p.add(2), v);
            }
            _ => vst1q_f32(p, v),
        }
    }
}

/// The bit of each lane of register `q`.
#[inline(always)]
unsafe fn lane_bits(q: usize) -> uint32x4_t {
    let bits = [1u32 << (4 * q), 2 << (4 * q), 4 << (4 * q), 8 << (4 * q)];
    // SAFETY: only called from the implementation above; four numbers.
    unsafe { vld1q_u32(bits.as_ptr()) }
}

/// The four registers added, the halves first.
#[inline(always)]
unsafe fn quarters(v: Neon) -> float32x4_t {
    // SAFETY: only called from the implementation above.
    unsafe { vaddq_f32(vaddq_f32(v.0[0], v.0[2]), vaddq_f32(v.0[1], v.0[3])) }
}

/// Sums of the lanes of four registers.
#[inline(always)]
unsafe fn fold_lanes(a: [float32x4_t; 4]) -> float32x4_t {
    // SAFETY: only called from the implementation above.
    unsafe { vpaddq_f32(vpaddq_f32(a[0], a[1]), vpaddq_f32(a[2], a[3])) }
}
