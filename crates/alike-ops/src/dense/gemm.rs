//! One thread's product of dense matrices.

use std::mem::MaybeUninit;

use gemm::Parallelism;

/// `c[m, n] (+)= a[m, k] · b[k, n]`, each with row and column stride.
#[allow(clippy::too_many_arguments)]
pub(crate) fn product(
    m: usize,
    n: usize,
    k: usize,
    c: &mut [f32],
    add: bool,
    a: (&[f32], [isize; 2]),
    b: (&[f32], [isize; 2]),
) {
    assert!(c.len() >= m * n, "the result holds its shape");
    // SAFETY: only valid values are written to the slice.
    let c = unsafe { &mut *(std::ptr::from_mut(c) as *mut [MaybeUninit<f32>]) };
    // SAFETY: `c` is initialised.
    unsafe { product_to(m, n, k, c, add, a, b) }
}

/// [`product`] to memory that need not be initialised unless `add` is set; afterwards the first `m · n`
/// values are.
///
/// # Safety
/// With `add` the memory must be initialised.
pub(crate) unsafe fn product_to(
    m: usize,
    n: usize,
    k: usize,
    c: &mut [MaybeUninit<f32>],
    add: bool,
    a: (&[f32], [isize; 2]),
    b: (&[f32], [isize; 2]),
) {
    assert!(c.len() >= m * n && a.0.len() >= m * k && b.0.len() >= k * n, "operands hold their shapes");
    if m * n == 0 {
        return;
    }
    // SAFETY: the operands are dense matrices of these sizes (asserted above) and `c` is not aliased; without
    // `add` it is written and not read.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c.as_mut_ptr().cast(),
            1,
            n as isize,
            add,
            a.0.as_ptr(),
            a.1[1],
            a.1[0],
            b.0.as_ptr(),
            b.1[1],
            b.1[0],
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}
