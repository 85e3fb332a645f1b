//! Filling, gathering and scattering rows.

use std::ops::Range;

use cubecl::prelude::*;

use super::buffers::IndexBuffer;
use super::launch::{launch_per_row, launch_per_value};
use super::row_groups::DeviceRowGroups;
use super::tensor::Gpu;

impl Gpu {
    /// Zeros on the device of `like`.
    pub(crate) fn zeros<const D: usize>(like: &Gpu, shape: [usize; D]) -> Self {
        let out = Self::empty(like, shape);
        fill(&out, 0.0);
        out
    }

    /// The same values in storage of their own.
    pub(crate) fn copied(&self) -> Self {
        let out = Self::empty(self, [self.len()]);
        copy_range(self, 0, &out, 0, self.len());
        out.shaped_like(self)
    }
}

#[cube(launch_unchecked)]
fn fill_kernel(out: &mut [f32], value: f32, count: u32) {
    let at = ABSOLUTE_POS;
    if at < count as usize {
        out[at] = value;
    }
}

/// Sets every value.
fn fill(out: &Gpu, value: f32) {
    let n = out.len();
    let (count, dim) = launch_per_value(n);
    // SAFETY: the kernel writes below `n`.
    unsafe { fill_kernel::launch_unchecked(out.client(), count, dim, out.arg(), value, n as u32) };
}

#[cube(launch_unchecked)]
fn copy_kernel(x: &[f32], rows: &[u32], out: &mut [f32], count: u32, d: u32) {
    let at = CUBE_POS * CUBE_DIM_Y as usize + UNIT_POS_Y as usize;
    if at < count as usize {
        let from = rows[at] as usize * d as usize;
        let to = at * d as usize;
        let mut c = UNIT_POS_X;
        while c < d {
            out[to + c as usize] = x[from + c as usize];
            c += CUBE_DIM_X;
        }
    }
}

/// The rows `rows` (`count` of them) of `x [n, d]`.
pub(crate) fn copy_rows(x: &Gpu, rows: &IndexBuffer, count: usize) -> Gpu {
    let d = x.cols();
    let out = Gpu::empty(x, [count, d]);
    let (cubes, dim) = launch_per_row(count, d);
    // SAFETY: rows are rows of `x`, which callers check; positions below `count` are written.
    unsafe {
        copy_kernel::launch_unchecked(
            x.client(),
            cubes,
            dim,
            x.arg(),
            rows.arg(),
            out.arg(),
            count as u32,
            d as u32,
        );
    }
    out
}

#[cube(launch_unchecked)]
fn scatter_kernel(
    g: &[f32],
    rows: &[u32],
    starts: &[u32],
    positions: &[u32],
    out: &mut [f32],
    count: u32,
    d: u32,
) {
    let at = CUBE_POS * CUBE_DIM_Y as usize + UNIT_POS_Y as usize;
    if at < count as usize {
        let to = rows[at] as usize * d as usize;
        let start = starts[at];
        let end = starts[at + 1];
        let mut c = UNIT_POS_X;
        while c < d {
            let mut sum = 0f32;
            for e in start..end {
                sum += g[positions[e as usize] as usize * d as usize + c as usize];
            }
            out[to + c as usize] = sum;
            c += CUBE_DIM_X;
        }
    }
}

/// Zeros `[n, d]` with the rows of `g [positions, d]` added to the rows that they belong to, in order.
pub(crate) fn scatter_rows(g: &Gpu, groups: &DeviceRowGroups, n: usize) -> Gpu {
    let d = g.cols();
    let out = Gpu::zeros(g, [n, d]);
    let (cubes, dim) = launch_per_row(groups.count, d);
    // SAFETY: rows are below `n`, positions are rows of `g`.
    unsafe {
        scatter_kernel::launch_unchecked(
            g.client(),
            cubes,
            dim,
            g.arg(),
            groups.rows.arg(),
            groups.starts.arg(),
            groups.positions.arg(),
            out.arg(),
            groups.count as u32,
            d as u32,
        );
    }
    out
}

#[cube(launch_unchecked)]
fn range_kernel(x: &[f32], out: &mut [f32], from: u32, to: u32, count: u32) {
    let at = ABSOLUTE_POS;
    if at < count as usize {
        out[to as usize + at] = x[from as usize + at];
    }
}

fn copy_range(x: &Gpu, from: usize, out: &Gpu, to: usize, count: usize) {
    let (cubes, dim) = launch_per_value(count);
    // SAFETY: the callers name positions within both.
    unsafe {
        range_kernel::launch_unchecked(
            x.client(),
            cubes,
            dim,
            x.arg(),
            out.arg(),
            from as u32,
            to as u32,
            count as u32,
        );
    }
}

/// The rows `rows` of `x [n, d]`.
pub(crate) fn some_of(x: &Gpu, rows: Range<usize>) -> Gpu {
    if rows == (0..x.rows()) {
        return x.clone();
    }
    let d = x.cols();
    let out = Gpu::empty(x, [rows.len(), d]);
    copy_range(x, rows.start * d, &out, 0, rows.len() * d);
    out
}

/// Matrices of one width, joined along their rows.
pub(crate) fn join_rows<const P: usize>(parts: &[Gpu; P]) -> Gpu {
    if P == 1 {
        return parts[0].clone();
    }
    let rows: usize = parts.iter().map(Gpu::rows).sum();
    let out = Gpu::empty(&parts[0], [rows, parts[0].cols()]);
    let mut to = 0;
    for part in parts {
        copy_range(part, 0, &out, to, part.len());
        to += part.len();
    }
    out
}

#[cube(launch_unchecked)]
fn add_kernel(values: &[f32], rows: &[u32], out: &mut [f32], count: u32, d: u32) {
    let at = CUBE_POS * CUBE_DIM_Y as usize + UNIT_POS_Y as usize;
    if at < count as usize {
        let to = rows[at] as usize * d as usize;
        let mut c = UNIT_POS_X;
        while c < d {
            out[to + c as usize] += values[at * d as usize + c as usize];
            c += CUBE_DIM_X;
        }
    }
}

/// Adds row `k` of `values` to the `k`-th of the distinct rows `groups` of `out`.
pub(crate) fn add_rows(values: &Gpu, groups: &DeviceRowGroups, out: &Gpu) {
    let d = values.cols();
    let (cubes, dim) = launch_per_row(groups.count, d);
    // SAFETY: a row of `values` for each distinct row, which is a row of `out` and of no other group.
    unsafe {
        add_kernel::launch_unchecked(
            values.client(),
            cubes,
            dim,
            values.arg(),
            groups.rows.arg(),
            out.arg(),
            groups.count as u32,
            d as u32,
        );
    }
}
