//! Rows of a sparse product, sixteen columns of the dense side at a time.

use std::mem::MaybeUninit;
use std::ops::Range;

use crate::simd::f32x16::{F32x16, LANES};
use crate::simd::isa::Isa;
use crate::simd::kernel::kernel;
use crate::simd::prefetch::prefetch;
use crate::tensor::partition::{balanced, collect_rows};

/// A sparse matrix as the kernels see it: every index is below the number of rows of the dense side.
#[derive(Clone, Copy)]
pub(crate) struct Sparse<'a> {
    pub(crate) ptr: &'a [u32],
    pub(crate) idx: &'a [u32],
    pub(crate) values: &'a [f32],
}

/// `scale · (A x + add)`: `x [C, d]`, `add [R, d]` or none, result `[R, d]`.
///
/// Every row is summed in storage order by one thread.
pub(crate) fn product(
    isa: Isa,
    a: Sparse<'_>,
    x: &[f32],
    cols: usize,
    d: usize,
    add: Option<&[f32]>,
    scale: f32,
) -> Vec<f32> {
    let rows = a.ptr.len() - 1;
    assert_eq!(x.len(), cols * d, "the dense side has one row per column of the sparse side");
    assert_eq!(a.values.len(), a.idx.len(), "one value per entry");
    assert!(add.is_none_or(|add| add.len() == rows * d), "what is added has the result's shape");
    let bounds = balanced(rows, 4096, |r| a.ptr[r] as usize + r);
    // SAFETY: the kernel writes every row that it is given.
    unsafe { collect_rows(d, &bounds, |range, out| rows_kernel(isa, a, range, x, d, add, scale, out)) }
}

kernel! {
    /// The rows of `range`. The indices of `a` must be rows of `x`.
    fn rows_kernel = rows_body(
        a: Sparse<'_>,
        range: Range<usize>,
        x: &[f32],
        d: usize,
        add: Option<&[f32]>,
        scale: f32,
        out: &mut [MaybeUninit<f32>],
    )
}

/// How many entries ahead rows are prefetched.
const AHEAD: usize = 12;

#[inline(always)]
#[allow(clippy::too_many_arguments)]
unsafe fn rows_body<V: F32x16>(
    a: Sparse<'_>,
    range: Range<usize>,
    x: &[f32],
    d: usize,
    add: Option<&[f32]>,
    scale: f32,
    out: &mut [MaybeUninit<f32>],
) {
    assert_eq!(out.len(), range.len() * d);
    let first = range.start;
    let (xp, last) = (x.as_ptr(), a.ptr[range.end] as usize);
    for r in range {
        let (start, end) = (a.ptr[r] as usize, a.ptr[r + 1] as usize);
        // SAFETY: `Csr` checked the pointers; `out` was checked above.
        unsafe {
            let row_out = out.as_mut_ptr().add((r - first) * d).cast::<f32>();
            let row_add = add.map(|add| add.as_ptr().add(r * d));
            let mut column = 0;
            while column + 4 * LANES <= d {
                let mut acc = [V::zero(); 4];
                for e in start..end {
                    if e + AHEAD < last {
                        prefetch(xp.wrapping_add(a.idx[e + AHEAD] as usize * d + column), 4);
                    }
                    let (value, row) = entry::<V>(&a, e, xp, d);
                    for (c, acc) in acc.iter_mut().enumerate() {
                        *acc = acc.fma(value, V::load(row.add(column + c * LANES)));
                    }
                }
                for (c, acc) in acc.into_iter().enumerate() {
                    let at = column + c * LANES;
                    let add = if let Some(p) = row_add { V::load(p.add(at)) } else { V::zero() };
                    acc.add(add).mul(V::splat(scale)).store(row_out.add(at));
                }
                column += 4 * LANES;
            }
            while column + LANES <= d {
                let mut acc = V::zero();
                for e in start..end {
                    let (value, row) = entry::<V>(&a, e, xp, d);
                    acc = acc.fma(value, V::load(row.add(column)));
                }
                let add = if let Some(p) = row_add { V::load(p.add(column)) } else { V::zero() };
                acc.add(add).mul(V::splat(scale)).store(row_out.add(column));
                column += LANES;
            }
            if column < d {
                let rest = d - column;
                let mut acc = V::zero();
                for e in start..end {
                    let (value, row) = entry::<V>(&a, e, xp, d);
                    acc = acc.fma(value, V::load_part(row.add(column), rest));
                }
                let add = if let Some(p) = row_add { V::load_part(p.add(column), rest) } else { V::zero() };
                acc.add(add).mul(V::splat(scale)).store_part(row_out.add(column), rest);
            }
        }
    }
}

/// Value of entry `e` in every lane, and the row of `x` that it multiplies.
///
/// # Safety
/// `e` is an entry of `a` whose index is a row of the matrix at `x`, which is `d` floats wide.
#[inline(always)]
unsafe fn entry<V: F32x16>(a: &Sparse<'_>, e: usize, x: *const f32, d: usize) -> (V, *const f32) {
    // SAFETY: the caller's.
    unsafe { (V::splat(*a.values.get_unchecked(e)), x.add(*a.idx.get_unchecked(e) as usize * d)) }
}
