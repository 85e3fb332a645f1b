//! Loops over slices that the compiler turns into the vectors of the instruction set `V`.

use super::f32x16::{F32x16, LANES};

/// `a · b + c`; fused where `V` has the instruction.
#[inline(always)]
pub(crate) fn mul_add<V: F32x16>(a: f32, b: f32, c: f32) -> f32 {
    if V::FUSED { a.mul_add(b, c) } else { a * b + c }
}

/// Sum of products of two rows of the same length. Not a loop over lanes: with the sum at its end, the
/// compiler makes that one of vectors of two.
#[inline(always)]
pub(crate) fn dot<V: F32x16>(a: &[f32], b: &[f32]) -> f32 {
    let (ac, ar) = a.as_chunks::<LANES>();
    let (bc, br) = b.as_chunks::<LANES>();
    // SAFETY: only kernels call this, which have the instruction set; chunks are of sixteen floats.
    let sum = unsafe {
        let mut acc = V::zero();
        for (a, b) in ac.iter().zip(bc) {
            acc = acc.fma(V::load(a.as_ptr()), V::load(b.as_ptr()));
        }
        acc.sum()
    };
    let mut rest = 0.0;
    for (a, b) in ar.iter().zip(br) {
        rest = mul_add::<V>(*a, *b, rest);
    }
    sum + rest
}

/// Sum of sixteen lanes, always in the same order.
#[inline(always)]
pub(crate) fn sum16(v: [f32; LANES]) -> f32 {
    let mut a = [0f32; 8];
    for t in 0..8 {
        a[t] = v[t] + v[t + 8];
    }
    let b = [a[0] + a[4], a[1] + a[5], a[2] + a[6], a[3] + a[7]];
    (b[0] + b[2]) + (b[1] + b[3])
}

/// `y += w · x`.
#[inline(always)]
pub(crate) fn axpy<V: F32x16>(w: f32, x: &[f32], y: &mut [f32]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y = mul_add::<V>(w, *x, *y);
    }
}
