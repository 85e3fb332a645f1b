//! Burn tensors as plain slices and back, without copies, and the work on their rows in parallel.

use std::mem::MaybeUninit;
use std::ops::Range;

use burn::backend::flex::FlexTensor;
use burn::tensor::{DType, TensorData};
use rayon::prelude::*;

/// A float tensor in row-major order whose values can be read as a slice. Cloning shares the storage.
#[derive(Debug, Clone)]
pub struct Dense(FlexTensor);

impl Dense {
    /// Takes over a backend tensor; copies only a view that is not row-major or does not cover its storage.
    ///
    /// Panics when the tensor is not of 32-bit floats.
    pub(crate) fn from_flex(tensor: FlexTensor) -> Self {
        assert!(tensor.dtype() == DType::F32, "operators work on f32 tensors, not {:?}", tensor.dtype());
        let length: usize = tensor.layout().shape().iter().product();
        let covers = tensor.bytes().len() == length * size_of::<f32>();
        if tensor.is_contiguous() && tensor.layout().start_offset() == 0 && covers {
            Self(tensor)
        } else {
            Self(tensor.to_contiguous())
        }
    }

    /// The backend's tensor, without a copy.
    pub(crate) fn into_flex(self) -> FlexTensor {
        self.0
    }

    /// A tensor of these values, without a copy.
    pub(crate) fn new<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> Self {
        debug_assert_eq!(values.len(), shape.iter().product::<usize>());
        Self(FlexTensor::from_data(TensorData::new(values, shape)))
    }

    /// The values, row-major.
    pub fn data(&self) -> &[f32] {
        self.0.storage::<f32>()
    }

    /// Size along the first dimension.
    pub fn rows(&self) -> usize {
        self.0.layout().shape()[0]
    }

    /// Size along the second dimension.
    pub fn cols(&self) -> usize {
        self.0.layout().shape()[1]
    }
}

/// Boundaries that cut `0..n` into blocks of about equal weight, where `before(i)` is the weight of `0..i`: first 0,
/// last `n`. The number of blocks depends on the weight only, never on the threads.
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

/// New values of which `f(rows, their place)` writes each block, in parallel.
///
/// # Safety
/// `f` must write every value of the place that it is given.
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
