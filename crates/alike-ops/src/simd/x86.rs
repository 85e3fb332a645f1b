//! Sixteen lanes in x86 registers.
//!
//! No closures here: a closure is compiled for the portable instruction set, and an intrinsic inside would
//! become a call.

#![allow(clippy::needless_range_loop)]

use super::f32x16::{F32x16, LANES};
use std::arch::x86_64::*;

/// One 512-bit register.
#[derive(Clone, Copy)]
pub(crate) struct Avx512(pub(crate) __m512);

/// Two 256-bit registers.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(pub(crate) __m256, pub(crate) __m256);

// SAFETY of all blocks below: the trait's contract (instruction set present, pointers valid).
#[allow(clippy::undocumented_unsafe_blocks)]
impl F32x16 for Avx512 {
    const REGISTERS: usize = 32;
    const FUSED: bool = true;
    type Few = *const f32;

    #[inline(always)]
    unsafe fn zero() -> Self {
        unsafe { Self(_mm512_setzero_ps()) }
    }
    #[inline(always)]
    unsafe fn splat(v: f32) -> Self {
        unsafe { Self(_mm512_set1_ps(v)) }
    }
    #[inline(always)]
    unsafe fn few<const N: usize>(p: *const f32) -> Self::Few {
        p
    }
    #[inline(always)]
    unsafe fn spread(few: Self::Few, n: usize) -> Self {
        unsafe { Self::splat(*few.add(n)) }
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        unsafe { Self(_mm512_loadu_ps(p)) }
    }
    #[inline(always)]
    unsafe fn load_part(p: *const f32, n: usize) -> Self {
        unsafe { Self(_mm512_maskz_loadu_ps((1 << n) - 1, p)) }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        unsafe { _mm512_storeu_ps(p, self.0) }
    }
    #[inline(always)]
    unsafe fn store_part(self, p: *mut f32, n: usize) {
        unsafe { _mm512_mask_storeu_ps(p, (1 << n) - 1, self.0) }
    }
    #[inline(always)]
    unsafe fn fma(self, a: Self, b: Self) -> Self {
        unsafe { Self(_mm512_fmadd_ps(a.0, b.0, self.0)) }
    }
    #[inline(always)]
    unsafe fn add(self, o: Self) -> Self {
        unsafe { Self(_mm512_add_ps(self.0, o.0)) }
    }
    #[inline(always)]
    unsafe fn sub(self, o: Self) -> Self {
        unsafe { Self(_mm512_sub_ps(self.0, o.0)) }
    }
    #[inline(always)]
    unsafe fn mul(self, o: Self) -> Self {
        unsafe { Self(_mm512_mul_ps(self.0, o.0)) }
    }
    #[inline(always)]
    unsafe fn max(self, o: Self) -> Self {
        unsafe { Self(_mm512_max_ps(self.0, o.0)) }
    }
    #[inline(always)]
    unsafe fn relu(self) -> Self {
        unsafe { Self::zero().max(self) }
    }
    #[inline(always)]
    unsafe fn above(self, o: Self) -> u16 {
        unsafe { _mm512_cmp_ps_mask::<_CMP_GT_OQ>(self.0, o.0) }
    }
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        unsafe {
            let low = _mm512_castps512_ps256(self.0);
            let high = _mm512_extractf32x8_ps::<1>(self.0);
            sum8(_mm256_add_ps(low, high))
        }
    }
    #[inline(always)]
    unsafe fn gram(p: [*const f32; 4], q: [*const f32; 4], groups: usize) -> Self {
        unsafe {
            let mut acc = [[_mm512_setzero_ps(); 4]; 4];
            for g in 0..groups {
                let at = g * LANES;
                let q0 = _mm512_loadu_ps(q[0].add(at));
                let q1 = _mm512_loadu_ps(q[1].add(at));
                let q2 = _mm512_loadu_ps(q[2].add(at));
                let q3 = _mm512_loadu_ps(q[3].add(at));
                for i in 0..4 {
                    let p = _mm512_loadu_ps(p[i].add(at));
                    acc[i][0] = _mm512_fmadd_ps(p, q0, acc[i][0]);
                    acc[i][1] = _mm512_fmadd_ps(p, q1, acc[i][1]);
                    acc[i][2] = _mm512_fmadd_ps(p, q2, acc[i][2]);
                    acc[i][3] = _mm512_fmadd_ps(p, q3, acc[i][3]);
                }
            }
            let r = [fold_lanes(acc[0]), fold_lanes(acc[1]), fold_lanes(acc[2]), fold_lanes(acc[3])];
            // From four registers of four quarters to sum: quarters of the result are the registers' sums.
            let low = _mm512_add_ps(
                _mm512_shuffle_f32x4::<0x88>(r[0], r[1]),
                _mm512_shuffle_f32x4::<0xdd>(r[0], r[1]),
            );
            let high = _mm512_add_ps(
                _mm512_shuffle_f32x4::<0x88>(r[2], r[3]),
                _mm512_shuffle_f32x4::<0xdd>(r[2], r[3]),
            );
            Self(_mm512_add_ps(
                _mm512_shuffle_f32x4::<0x88>(low, high),
                _mm512_shuffle_f32x4::<0xdd>(low, high),
            ))
        }
    }
    #[inline(always)]
    unsafe fn keep(self, mask: u16) -> Self {
        unsafe { Self(_mm512_maskz_mov_ps(mask, self.0)) }
    }
    #[inline(always)]
    unsafe fn transpose4(self) -> Self {
        unsafe {
            let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
            Self(_mm512_permutexvar_ps(order, self.0))
        }
    }
    #[inline(always)]
    unsafe fn fold4(self) -> [f32; 4] {
        unsafe {
            let low = _mm512_castps512_ps256(self.0);
            halves(_mm256_add_ps(low, _mm512_extractf32x8_ps::<1>(self.0)))
        }
    }
}

// SAFETY of all blocks below: the trait's contract (instruction set present, pointers valid).
#[allow(clippy::undocumented_unsafe_blocks)]
impl F32x16 for Avx2 {
    // Sixteen registers, two for each value.
    const REGISTERS: usize = 8;
    const FUSED: bool = true;
    type Few = *const f32;

    #[inline(always)]
    unsafe fn zero() -> Self {
        unsafe { Self(_mm256_setzero_ps(), _mm256_setzero_ps()) }
    }
    #[inline(always)]
    unsafe fn splat(v: f32) -> Self {
        unsafe { Self(_mm256_set1_ps(v), _mm256_set1_ps(v)) }
    }
    #[inline(always)]
    unsafe fn few<const N: usize>(p: *const f32) -> Self::Few {
        p
    }
    #[inline(always)]
    unsafe fn spread(few: Self::Few, n: usize) -> Self {
        unsafe { Self::splat(*few.add(n)) }
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        unsafe { Self(_mm256_loadu_ps(p), _mm256_loadu_ps(p.add(8))) }
    }
    #[inline(always)]
    unsafe fn load_part(p: *const f32, n: usize) -> Self {
        unsafe {
            // What is masked out is not read, whatever address it has.
            let count = _mm256_set1_epi32(n as i32);
            let low = _mm256_cmpgt_epi32(count, _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
            let high = _mm256_cmpgt_epi32(count, _mm256_setr_epi32(8, 9, 10, 11, 12, 13, 14, 15));
            Self(_mm256_maskload_ps(p, low), _mm256_maskload_ps(p.wrapping_add(8), high))
        }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        unsafe {
            _mm256_storeu_ps(p, self.0);
            _mm256_storeu_ps(p.add(8), self.1);
        }
    }
    #[inline(always)]
    unsafe fn store_part(self, p: *mut f32, n: usize) {
        unsafe {
            let mut v = [0.0; LANES];
            self.store(v.as_mut_ptr());
            v.store_part(p, n);
        }
    }
    #[inline(always)]
    unsafe fn fma(self, a: Self, b: Self) -> Self {
        unsafe { Self(_mm256_fmadd_ps(a.0, b.0, self.0), _mm256_fmadd_ps(a.1, b.1, self.1)) }
    }
    #[inline(always)]
    unsafe fn add(self, o: Self) -> Self {
        unsafe { Self(_mm256_add_ps(self.0, o.0), _mm256_add_ps(self.1, o.1)) }
    }
    #[inline(always)]
    unsafe fn sub(self, o: Self) -> Self {
        unsafe { Self(_mm256_sub_ps(self.0, o.0), _mm256_sub_ps(self.1, o.1)) }
    }
    #[inline(always)]
    unsafe fn mul(self, o: Self) -> Self {
        unsafe { Self(_mm256_mul_ps(self.0, o.0), _mm256_mul_ps(self.1, o.1)) }
    }
    #[inline(always)]
    unsafe fn max(self, o: Self) -> Self {
        unsafe { Self(_mm256_max_ps(self.0, o.0), _mm256_max_ps(self.1, o.1)) }
    }
    #[inline(always)]
    unsafe fn relu(self) -> Self {
        unsafe { Self::zero().max(self) }
    }
    #[inline(always)]
    unsafe fn above(self, o: Self) -> u16 {
        unsafe {
            let low = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(self.0, o.0));
            let high = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(self.1, o.1));
            (high << 8 | low) as u16
        }
    }
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        unsafe { sum8(_mm256_add_ps(self.0, self.1)) }
    }
    #[inline(always)]
    unsafe fn gram(p: [*const f32; 4], q: [*const f32; 4], groups: usize) -> Self {
        unsafe {
            // Two rows at a time: eight sums stay in registers.
            let mut out = [_mm256_setzero_ps(); 2];
            for half in 0..2 {
                let (p0, p1) = (p[2 * half], p[2 * half + 1]);
                let mut acc = [[_mm256_setzero_ps(); 4]; 2];
                for at in (0..groups * LANES).step_by(8) {
                    let (p0, p1) = (_mm256_loadu_ps(p0.add(at)), _mm256_loadu_ps(p1.add(at)));
                    for j in 0..4 {
                        let q = _mm256_loadu_ps(q[j].add(at));
                        acc[0][j] = _mm256_fmadd_ps(p0, q, acc[0][j]);
                        acc[1][j] = _mm256_fmadd_ps(p1, q, acc[1][j]);
                    }
                }
                out[half] = _mm256_set_m128(fold_halves(acc[1]), fold_halves(acc[0]));
            }
            Self(out[0], out[1])
        }
    }
    #[inline(always)]
    unsafe fn keep(self, mask: u16) -> Self {
        unsafe {
            let bits = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
            let low = _mm256_and_si256(_mm256_set1_epi32(i32::from(mask)), bits);
            let high = _mm256_and_si256(_mm256_set1_epi32(i32::from(mask >> 8)), bits);
            Self(
                _mm256_and_ps(self.0, _mm256_castsi256_ps(_mm256_cmpeq_epi32(low, bits))),
                _mm256_and_ps(self.1, _mm256_castsi256_ps(_mm256_cmpeq_epi32(high, bits))),
            )
        }
    }
    #[inline(always)]
    unsafe fn transpose4(self) -> Self {
        unsafe {
            let mut v = [0.0; LANES];
            self.store(v.as_mut_ptr());
            Self::load(v.transpose4().as_ptr())
        }
    }
    #[inline(always)]
    unsafe fn fold4(self) -> [f32; 4] {
        unsafe { halves(_mm256_add_ps(self.0, self.1)) }
    }
}

/// Sum of eight lanes.
#[inline(always)]
unsafe fn sum8(v: __m256) -> f32 {
    // SAFETY: only called from the two implementations above, whose sets include AVX.
    unsafe {
        let v = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
        let v = _mm_add_ps(v, _mm_movehl_ps(v, v));
        _mm_cvtss_f32(_mm_add_ss(v, _mm_movehdup_ps(v)))
    }
}

/// Four registers to one: position `j` of each quarter is the sum of that quarter of register `j`.
#[inline(always)]
unsafe fn fold_lanes(a: [__m512; 4]) -> __m512 {
    // SAFETY: only called from the AVX-512 implementation.
    unsafe {
        let x = _mm512_add_ps(_mm512_unpacklo_ps(a[0], a[1]), _mm512_unpackhi_ps(a[0], a[1]));
        let y = _mm512_add_ps(_mm512_unpacklo_ps(a[2], a[3]), _mm512_unpackhi_ps(a[2], a[3]));
        let (x, y) = (_mm512_castps_pd(x), _mm512_castps_pd(y));
        _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(x, y)), _mm512_castpd_ps(_mm512_unpackhi_pd(x, y)))
    }
}

/// Sums of four registers.
#[inline(always)]
unsafe fn fold_halves(a: [__m256; 4]) -> __m128 {
    // SAFETY: only called from the AVX2 implementation.
    unsafe {
        let v = _mm256_hadd_ps(_mm256_hadd_ps(a[0], a[1]), _mm256_hadd_ps(a[2], a[3]));
        _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v))
    }
}

/// The two halves added.
#[inline(always)]
unsafe fn halves(v: __m256) -> [f32; 4] {
    let mut out = [0.0; 4];
    // SAFETY: only called from the implementations above, whose sets include AVX; the array holds four
    // floats.
    unsafe {
        let v = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
        _mm_storeu_ps(out.as_mut_ptr(), v);
    }
    out
}
