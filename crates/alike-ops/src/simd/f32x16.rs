//! Sixteen floats at a time, for kernels that keep tiles in registers: AVX-512, AVX2 with FMA, NEON, or
//! plain arrays.
//!
//! Every implementation adds lanes in the same order, so that those that fuse multiplication and addition
//! give the same bits; plain arrays round twice where these round once. [`F32x16::gram`] alone has an order
//! for each size of registers: for that of AVX-512, AVX2 would have to load a third more.
//!
//! A kernel is a generic function over [`F32x16`], marked `#[inline(always)]` and made callable by
//! [`kernel!`](super::kernel::kernel). Parallelism stays outside: a closure given to rayon is compiled on its
//! own and would lose the instruction set, so each block of rows calls the kernel again. For the same reason
//! no closure inside a kernel may handle an [`F32x16`] value.

/// Number of floats in an [`F32x16`] value.
pub(crate) const LANES: usize = 16;

/// Sixteen floats.
///
/// # Safety
/// Every method may only run where the processor has the type's instruction set; pointers must be valid for
/// the floats read or written, without any alignment.
pub(crate) trait F32x16: Copy {
    /// Values that the register file holds.
    const REGISTERS: usize;
    /// Whether [`F32x16::fma`] rounds once. The fused form without the instruction is a slow call into libm.
    const FUSED: bool;
    /// A few floats that are each to be spread over all lanes: an address where a load does that for
    /// nothing, registers elsewhere.
    type Few: Copy;

    unsafe fn zero() -> Self;
    unsafe fn splat(v: f32) -> Self;
    /// The `N ≤ 8` floats from `p` on, which must stay as they are while [`F32x16::spread`] takes them.
    unsafe fn few<const N: usize>(p: *const f32) -> Self::Few;
    /// Float `n` of them in every lane.
    unsafe fn spread(few: Self::Few, n: usize) -> Self;
    unsafe fn load(p: *const f32) -> Self;
    /// The first `n < 16` floats; zeros after.
    unsafe fn load_part(p: *const f32, n: usize) -> Self;
    unsafe fn store(self, p: *mut f32);
    /// Writes the first `n < 16` floats.
    unsafe fn store_part(self, p: *mut f32, n: usize);
    /// `self + a·b`
    unsafe fn fma(self, a: Self, b: Self) -> Self;
    unsafe fn add(self, o: Self) -> Self;
    unsafe fn sub(self, o: Self) -> Self;
    unsafe fn mul(self, o: Self) -> Self;
    /// The larger of each pair; `o` where one of the two is NaN.
    unsafe fn max(self, o: Self) -> Self;
    /// The larger of each lane and 0, of either sign; NaN stays NaN.
    unsafe fn relu(self) -> Self;
    /// One bit per lane: `self > o`, false for NaN.
    unsafe fn above(self, o: Self) -> u16;
    /// Sum over the lanes: the halves added, the halves of that, and so on.
    unsafe fn sum(self) -> f32;
    /// Dot products of four rows with four rows of `groups · 16` floats: lane `4i + j` is `p_i · q_j`.
    unsafe fn gram(p: [*const f32; 4], q: [*const f32; 4], groups: usize) -> Self;
    /// Zero where the lane's bit is not set.
    unsafe fn keep(self, mask: u16) -> Self;
    /// The 4 × 4 tile transposed: lane `4i + j` becomes lane `4j + i`.
    unsafe fn transpose4(self) -> Self;
    /// Column sums of the 4 × 4 tile: `Σ_i` of lanes `4i + j`, the halves first.
    unsafe fn fold4(self) -> [f32; 4];
}

impl F32x16 for [f32; LANES] {
    // Sixteen registers of four floats on x86-64, the fewest of the targets.
    const REGISTERS: usize = 4;
    const FUSED: bool = false;
    type Few = *const f32;

    #[inline(always)]
    unsafe fn zero() -> Self {
        [0.0; LANES]
    }
    #[inline(always)]
    unsafe fn splat(v: f32) -> Self {
        [v; LANES]
    }
    #[inline(always)]
    unsafe fn few<const N: usize>(p: *const f32) -> Self::Few {
        p
    }
    #[inline(always)]
    unsafe fn spread(few: Self::Few, n: usize) -> Self {
        // SAFETY: the caller gave more than `n` readable floats.
        [unsafe { *few.add(n) }; LANES]
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        // SAFETY: the caller gives 16 readable floats.
        unsafe { p.cast::<Self>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn load_part(p: *const f32, n: usize) -> Self {
        let mut v = [0.0; LANES];
        // SAFETY: the caller gives `n` readable floats.
        v[..n].copy_from_slice(unsafe { std::slice::from_raw_parts(p, n) });
        v
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        // SAFETY: the caller gives 16 writable floats.
        unsafe { p.cast::<Self>().write_unaligned(self) }
    }
    #[inline(always)]
    unsafe fn store_part(self, p: *mut f32, n: usize) {
        // SAFETY: the caller gives `n` writable floats.
        unsafe { std::ptr::copy_nonoverlapping(self.as_ptr(), p, n) }
    }
    #[inline(always)]
    unsafe fn fma(self, a: Self, b: Self) -> Self {
        std::array::from_fn(|i| self[i] + a[i] * b[i])
    }
    #[inline(always)]
    unsafe fn add(self, o: Self) -> Self {
        std::array::from_fn(|i| self[i] + o[i])
    }
    #[inline(always)]
    unsafe fn sub(self, o: Self) -> Self {
        std::array::from_fn(|i| self[i] - o[i])
    }
    #[inline(always)]
    unsafe fn mul(self, o: Self) -> Self {
        std::array::from_fn(|i| self[i] * o[i])
    }
    #[inline(always)]
    unsafe fn max(self, o: Self) -> Self {
        std::array::from_fn(|i| if self[i] > o[i] { self[i] } else { o[i] })
    }
    #[inline(always)]
    unsafe fn relu(self) -> Self {
        // SAFETY: plain arrays need no instruction set.
        unsafe { Self::zero().max(self) }
    }
    #[inline(always)]
    unsafe fn above(self, o: Self) -> u16 {
        let mut mask = 0;
        for i in 0..LANES {
            mask |= u16::from(self[i] > o[i]) << i;
        }
        mask
    }
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        let a: [f32; 8] = std::array::from_fn(|i| self[i] + self[i + 8]);
        let b: [f32; 4] = std::array::from_fn(|i| a[i] + a[i + 4]);
        (b[0] + b[2]) + (b[1] + b[3])
    }
    #[inline(always)]
    unsafe fn gram(p: [*const f32; 4], q: [*const f32; 4], groups: usize) -> Self {
        std::array::from_fn(|at| {
            let (p, q) = (p[at / 4], q[at % 4]);
            let mut acc = [0.0; LANES];
            for g in 0..groups {
                // SAFETY: the caller gives rows of `groups · 16` floats.
                unsafe { acc = acc.fma(Self::load(p.add(g * LANES)), Self::load(q.add(g * LANES))) };
            }
            // SAFETY: plain arrays need no instruction set.
            unsafe { acc.sum() }
        })
    }
    #[inline(always)]
    unsafe fn keep(self, mask: u16) -> Self {
        std::array::from_fn(|i| if mask >> i & 1 == 1 { self[i] } else { 0.0 })
    }
    #[inline(always)]
    unsafe fn transpose4(self) -> Self {
        std::array::from_fn(|i| self[i % 4 * 4 + i / 4])
    }
    #[inline(always)]
    unsafe fn fold4(self) -> [f32; 4] {
        std::array::from_fn(|j| (self[j] + self[8 + j]) + (self[4 + j] + self[12 + j]))
    }
}
