//! How work over rows is cut into blocks: by size alone, never by the number of threads, so that sums keep
//! their bits.

use std::mem::MaybeUninit;
use std::ops::Range;

use rayon::prelude::*;

/// Boundaries that cut `0..n` into blocks of about equal weight, where `before(i)` is the weight of `0..i`:
/// first 0, last `n`. The number of blocks depends on the weight only, never on the threads.
pub(crate) fn balanced(n: usize, per_block: usize, before: impl Fn(usize) -> usize) -> Vec<usize> {
    let total = before(n);
    let blocks = (total / per_block.max(1)).clamp(1, 256).min(n.max(1));
    let mut bounds = vec![0];
    for b in 1..blocks {
        let (target, mut low, mut high) = (total * b / blocks, bounds[b - 1], n);
        while low < high {
            let middle = (low + high) / 2;
            if before(middle) < target { low = middle + 1 } else { high = middle }
        }
        bounds.push(low);
    }
    bounds.push(n);
    bounds
}

/// Boundaries that cut `0..n` into blocks of at most `size`.
pub(crate) fn uniform(n: usize, size: usize) -> Vec<usize> {
    let mut bounds: Vec<usize> = (0..n).step_by(size.max(1)).collect();
    if bounds.is_empty() {
        bounds.push(0);
    }
    bounds.push(n);
    bounds
}

/// Cuts `slice` (rows of `width`) at `bounds`.
pub(crate) fn cut<'a, T>(
    slice: &'a mut [T],
    width: usize,
    bounds: &[usize],
) -> Vec<(Range<usize>, &'a mut [T])> {
    let mut rest = slice;
    let mut parts = Vec::with_capacity(bounds.len() - 1);
    for w in bounds.windows(2) {
        let (part, tail) = std::mem::take(&mut rest).split_at_mut((w[1] - w[0]) * width);
        parts.push((w[0]..w[1], part));
        rest = tail;
    }
    parts
}

/// Cuts `slice` at `bounds`, which start at 0 and end at its length.
pub(crate) fn cut_at<'a, T>(slice: &'a mut [T], bounds: &[usize]) -> Vec<&'a mut [T]> {
    cut(slice, 1, bounds).into_iter().map(|(_, part)| part).collect()
}

/// Runs `f(rows, their values)` on each block of `values` in parallel.
pub(crate) fn for_rows<T: Send>(
    values: &mut [T],
    width: usize,
    bounds: &[usize],
    f: impl Fn(Range<usize>, &mut [T]) + Sync,
) {
    cut(values, width, bounds).into_par_iter().with_max_len(1).for_each(|(rows, part)| f(rows, part));
}

/// New values, written by `f(rows, their output)` for each block, in parallel.
///
/// # Safety
/// `f` must write every value of its output.
pub(crate) unsafe fn collect_rows<T: Copy + Send>(
    width: usize,
    bounds: &[usize],
    f: impl Fn(Range<usize>, &mut [MaybeUninit<T>]) + Sync,
) -> Vec<T> {
    let length = bounds.last().copied().unwrap_or(0) * width;
    let mut values = Vec::with_capacity(length);
    for_rows(&mut values.spare_capacity_mut()[..length], width, bounds, f);
    // SAFETY: the blocks cover `length` values and the caller's `f` wrote them all.
    unsafe { values.set_len(length) };
    values
}
