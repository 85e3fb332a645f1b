//! Sums of many values in a fixed order.

use cubecl::prelude::*;

use super::launch::{UNITS, grid};
use super::tensor::Gpu;

/// The sum of `value` over the units of a workgroup, or over the units of one row of it where `across` is its
/// width. Every unit of the workgroup must call it; `shared` holds one value per unit.
#[cube]
pub(crate) fn cube_sum(value: f32, shared: &mut Shared<[f32]>, #[comptime] across: u32) -> f32 {
    let lane = UNIT_POS % across;
    let place = UNIT_POS as usize;
    // All units have read the result of an earlier sum.
    sync_cube();
    shared[place] = value;
    sync_cube();
    let mut half = comptime!(across / 2).runtime();
    while half > 0 {
        if lane < half {
            let other = shared[place + half as usize];
            shared[place] += other;
        }
        sync_cube();
        half /= 2;
    }
    shared[(UNIT_POS - lane) as usize]
}

/// A unit's part of `a_r · b_r`, for rows of `d` values from offset `first` on; [`cube_sum`] adds the parts.
#[cube]
pub(crate) fn part_of_dot(a: &[f32], b: &[f32], first: usize, d: u32) -> f32 {
    let mut sum = 0f32;
    let mut c = UNIT_POS_X;
    while c < d {
        sum += a[first + c as usize] * b[first + c as usize];
        c += CUBE_DIM_X;
    }
    sum
}

/// Values per workgroup.
const PART: usize = 8 * UNITS as usize;

#[cube(launch_unchecked)]
fn part_kernel(x: &[f32], out: &mut [f32], count: u32, #[comptime] units: u32, #[comptime] part: u32) {
    let mut shared = Shared::<[f32]>::new_slice(units as usize);
    let first = CUBE_POS as u32 * part;
    let mut sum = 0f32;
    let mut at = first + UNIT_POS;
    let end = min(first + part, count);
    while at < end {
        sum += x[at as usize];
        at += units;
    }
    let sum = cube_sum(sum, &mut shared, units);
    if UNIT_POS == 0 {
        out[CUBE_POS] = sum;
    }
}

/// The sum of all values, `[1]`.
fn total(x: &Gpu) -> Gpu {
    let mut x = x.clone();
    loop {
        let n = x.len();
        let parts = n.div_ceil(PART).max(1);
        // One part per workgroup in one dimension: at most 32 768 · 2048 values per round.
        assert!(parts <= 32_768, "{n} values are more than one sum takes");
        let out = Gpu::empty(&x, [parts]);
        // SAFETY: the kernel reads below `n` and writes one value per workgroup.
        unsafe {
            part_kernel::launch_unchecked(
                x.client(),
                grid(parts),
                CubeDim::new_1d(UNITS),
                x.arg(),
                out.arg(),
                n as u32,
                UNITS,
                PART as u32,
            );
        }
        if parts == 1 {
            return out;
        }
        x = out;
    }
}

#[cube(launch_unchecked)]
fn scale_kernel(x: &[f32], out: &mut [f32], factor: f32) {
    if ABSOLUTE_POS == 0 {
        out[0] = x[0] * factor;
    }
}

/// The sum of all values times `factor`, `[1]`.
pub(crate) fn scaled_total(x: &Gpu, factor: f32) -> Gpu {
    let sum = total(x);
    let out = Gpu::empty(&sum, [1]);
    // SAFETY: one value is read and written.
    unsafe {
        scale_kernel::launch_unchecked(
            sum.client(),
            CubeCount::Static(1, 1, 1),
            CubeDim::new_1d(1),
            sum.arg(),
            out.arg(),
            factor,
        );
    }
    out
}
