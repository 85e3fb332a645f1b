//! The same softmax on a graphics processor: one workgroup per row.

use cubecl::prelude::*;

use super::SegmentSoftmax;
use crate::autodiff::Operator;
use crate::gpu::{Gpu, cube_sum, grid};

/// Units of a workgroup: rows are short.
const UNITS: u32 = 32;

/// The largest of `value` over the units.
#[cube]
fn cube_max(value: f32, shared: &mut Shared<[f32]>) -> f32 {
    sync_cube();
    shared[UNIT_POS as usize] = value;
    sync_cube();
    let mut half = comptime!(UNITS / 2).runtime();
    while half > 0 {
        if UNIT_POS < half {
            let other = shared[(UNIT_POS + half) as usize];
            shared[UNIT_POS as usize] = max(shared[UNIT_POS as usize], other);
        }
        sync_cube();
        half /= 2;
    }
    shared[0]
}

#[cube(launch_unchecked)]
fn softmax_kernel(ptr: &[u32], logits: &[f32], out: &mut [f32], rows: u32) {
    let mut shared = Shared::<[f32]>::new_slice(comptime!(UNITS as usize));
    let row = CUBE_POS;
    let mut start = 0u32;
    let mut end = 0u32;
    if row < rows as usize {
        start = ptr[row];
        end = ptr[row + 1];
    }
    let mut largest = f32::min_value();
    let mut e = start + UNIT_POS;
    while e < end {
        largest = max(largest, logits[e as usize]);
        e += UNITS;
    }
    let largest = cube_max(largest, &mut shared);
    let mut sum = 0f32;
    let mut e = start + UNIT_POS;
    while e < end {
        let v = (logits[e as usize] - largest).exp();
        out[e as usize] = v;
        sum += v;
        e += UNITS;
    }
    let inverse = 1.0 / cube_sum(sum, &mut shared, UNITS);
    let mut e = start + UNIT_POS;
    while e < end {
        out[e as usize] *= inverse;
        e += UNITS;
    }
}

#[cube(launch_unchecked)]
fn backward_kernel(ptr: &[u32], y: &[f32], g: &[f32], out: &mut [f32], rows: u32) {
    let mut shared = Shared::<[f32]>::new_slice(comptime!(UNITS as usize));
    let row = CUBE_POS;
    let mut start = 0u32;
    let mut end = 0u32;
    if row < rows as usize {
        start = ptr[row];
        end = ptr[row + 1];
    }
    let mut sum = 0f32;
    let mut e = start + UNIT_POS;
    while e < end {
        sum += y[e as usize] * g[e as usize];
        e += UNITS;
    }
    let mean = cube_sum(sum, &mut shared, UNITS);
    let mut e = start + UNIT_POS;
    while e < end {
        out[e as usize] = y[e as usize] * (g[e as usize] - mean);
        e += UNITS;
    }
}

impl Operator<1, Gpu> for SegmentSoftmax {
    type Saved = Gpu;

    fn forward(&self, [logits]: [Gpu; 1], _: bool) -> (Gpu, Gpu) {
        let (n, rows) = (logits.len(), self.0.rows());
        assert_eq!(n, self.0.nnz(), "one logit per entry");
        let out = Gpu::empty(&logits, [n]);
        let graph = self.0.device_csr(&logits);
        // SAFETY: the pattern's entries are as many as logits and results.
        unsafe {
            softmax_kernel::launch_unchecked(
                logits.client(),
                grid(rows),
                CubeDim::new_1d(UNITS),
                graph.ptr.arg(),
                logits.arg(),
                out.arg(),
                rows as u32,
            );
        }
        (out.clone(), out)
    }

    fn backward(&self, y: Gpu, grad: Gpu, [needed]: [bool; 1]) -> [Option<Gpu>; 1] {
        let gradient = || {
            let rows = self.0.rows();
            let out = Gpu::empty(&y, [y.len()]);
            let graph = self.0.device_csr(&y);
            // SAFETY: as in the forward pass.
            unsafe {
                backward_kernel::launch_unchecked(
                    y.client(),
                    grid(rows),
                    CubeDim::new_1d(UNITS),
                    graph.ptr.arg(),
                    y.arg(),
                    grad.arg(),
                    out.arg(),
                    rows as u32,
                );
            }
            out
        };
        [needed.then(gradient)]
    }
}
