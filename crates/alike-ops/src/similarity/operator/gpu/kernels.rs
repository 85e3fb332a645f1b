//! The kernels: unit rows, similarities, and weights of them.

use cubecl::prelude::*;

use crate::gpu::{UNITS, cube_sum, inverse_root};
use crate::similarity::forward::LEAST_MEAN;

/// Units across a row of a tile, and rows computed at the same time.
pub(super) const SIDE: u32 = 16;

/// Units per target that weigh its neighbours.
pub(super) const ACROSS: u32 = 16;

#[cube(launch_unchecked)]
pub(super) fn center_kernel(x: &[f32], unit: &mut [f32], rows: u32, d: u32, #[comptime] across: u32) {
    let mut shared = Shared::<[f32]>::new_slice(256usize);
    let at = CUBE_POS * CUBE_DIM_Y as usize + UNIT_POS_Y as usize;
    let inside = at < rows as usize;
    let first = at * d as usize;
    let mut sum = 0f32;
    if inside {
        let mut c = UNIT_POS_X;
        while c < d {
            sum += x[first + c as usize];
            c += CUBE_DIM_X;
        }
    }
    let mean = cube_sum(sum, &mut shared, across) / f32::cast_from(d);
    let mut squares = 0f32;
    if inside {
        let mut c = UNIT_POS_X;
        while c < d {
            let v = x[first + c as usize] - mean;
            squares += v * v;
            c += CUBE_DIM_X;
        }
    }
    let squares = cube_sum(squares, &mut shared, across);
    let norm = squares.sqrt();
    // A row that is constant up to rounding has no direction: division on devices may be off by some units in
    // the last place.
    let rounding = 1e-6 * mean.abs() * f32::cast_from(d).sqrt();
    let mut inverse = 0f32;
    if norm >= 1e-12 && norm > rounding {
        inverse = 1.0 / norm;
    }
    if inside {
        let mut c = UNIT_POS_X;
        while c < d {
            unit[first + c as usize] = (x[first + c as usize] - mean) * inverse;
            c += CUBE_DIM_X;
        }
    }
}

/// Copies rows of `unit` to shared memory from offset `to` on, rows after the last entry as zeros.
#[cube]
#[allow(clippy::too_many_arguments)]
fn load_tile(
    unit: &[f32],
    idx: &[u32],
    tile: &mut Shared<[f32]>,
    to: u32,
    first: u32,
    end: u32,
    #[comptime] d: u32,
    #[comptime] rows: u32,
) {
    let mut place = UNIT_POS;
    while place < rows * d {
        let row = place / d;
        let column = place % d;
        let mut v = 0f32;
        if first + row < end {
            v = unit[idx[(first + row) as usize] as usize * d as usize + column as usize];
        }
        tile[(to + row * (d + 1) + column) as usize] = v;
        place += UNITS;
    }
}

/// `x̂_j · x̂_k` of two rows in shared memory.
#[cube]
fn tile_dot(tile: &Shared<[f32]>, j: u32, k: u32, #[comptime] d: u32) -> f32 {
    let mut dot = 0f32;
    let whole = comptime!(d / 4);
    for group in 0..whole {
        let a = (j + 4 * group) as usize;
        let b = (k + 4 * group) as usize;
        dot += tile[a] * tile[b];
        dot += tile[a + 1] * tile[b + 1];
        dot += tile[a + 2] * tile[b + 2];
        dot += tile[a + 3] * tile[b + 3];
    }
    for c in comptime!(4 * whole)..d {
        dot += tile[(j + c) as usize] * tile[(k + c) as usize];
    }
    dot
}

/// `1/n_t Σ_k ReLU(x̂_j · x̂_k)` of the entries `j` of a piece of a target's neighbours, one workgroup per
/// piece: an item with hundreds of neighbours is computed by many.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
pub(super) fn similarities_kernel(
    pieces: &[u32],
    ptr: &[u32],
    idx: &[u32],
    unit: &[f32],
    kept: &mut [f32],
    count: u32,
    #[comptime] d: u32,
    #[comptime] rows: u32,
    #[comptime] several: bool,
) {
    let width = comptime!(d + 1);
    let tiles_held = comptime!(if several { 2 } else { 1 });
    let mut tile = Shared::<[f32]>::new_slice(comptime!((tiles_held * rows * width) as usize));
    let mut sums = Shared::<[f32]>::new_slice(comptime!((rows * SIDE) as usize));
    let piece = CUBE_POS;
    let mut start = 0u32;
    let mut end = 0u32;
    let mut first = 0u32;
    let mut last = 0u32;
    if piece < count as usize {
        let target = pieces[4 * piece] as usize;
        start = ptr[target];
        end = ptr[target + 1];
        first = pieces[4 * piece + 1];
        last = pieces[4 * piece + 2];
    }
    let jy = UNIT_POS / SIDE;
    let kx = UNIT_POS % SIDE;
    while first < last {
        sync_cube();
        load_tile(unit, idx, &mut tile, 0u32, first, last, d, rows);
        let mut row = jy;
        while row < rows {
            sums[(row * SIDE + kx) as usize] = 0f32;
            row += SIDE;
        }
        let mut other = start;
        while other < end {
            let mut base = 0u32;
            if comptime!(several) {
                sync_cube();
                if other != first {
                    base = comptime!(rows * width).runtime();
                    load_tile(unit, idx, &mut tile, base, other, end, d, rows);
                }
            }
            sync_cube();
            let mut row = jy;
            while row < rows {
                let mut sum = 0f32;
                if first + row < last {
                    let mut k = kx;
                    while k < rows {
                        if other + k < end {
                            let s = tile_dot(&tile, row * width, base + k * width, d);
                            sum += max(s, 0.0f32);
                        }
                        k += SIDE;
                    }
                }
                sums[(row * SIDE + kx) as usize] += sum;
                row += SIDE;
            }
            other += rows;
        }
        sync_cube();
        if UNIT_POS < rows && first + UNIT_POS < last {
            let mut sum = 0f32;
            for k in 0..SIDE {
                sum += sums[(UNIT_POS * SIDE + k) as usize];
            }
            kept[(first + UNIT_POS) as usize] = sum / f32::cast_from(end - start);
        }
        first += rows;
    }
}

/// Turns the `α` of each target into weights of mean `1/√n`; [`ACROSS`] units per target.
#[cube(launch_unchecked)]
pub(super) fn weights_kernel(ptr: &[u32], kept: &mut [f32], targets: u32) {
    let mut shared = Shared::<[f32]>::new_slice(256usize);
    let target = CUBE_POS * CUBE_DIM_Y as usize + UNIT_POS_Y as usize;
    let mut start = 0u32;
    let mut end = 0u32;
    if target < targets as usize {
        start = ptr[target];
        end = ptr[target + 1];
    }
    let mut sum = 0f32;
    let mut e = start + UNIT_POS_X;
    while e < end {
        sum += kept[e as usize];
        e += CUBE_DIM_X;
    }
    let sum = cube_sum(sum, &mut shared, ACROSS);
    if start < end {
        let mean = sum / f32::cast_from(end - start);
        let factor = inverse_root(ptr, target) / max(mean, LEAST_MEAN);
        let mut e = start + UNIT_POS_X;
        while e < end {
            kept[e as usize] *= factor;
            e += CUBE_DIM_X;
        }
    }
}
