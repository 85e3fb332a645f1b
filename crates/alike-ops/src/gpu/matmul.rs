//! Dense products, and sums over rows.
//!
//! `A B` and `A Bᵀ` are the backend's products. `Aᵀ B` sums over many rows and has few values: it is cut into
//! parts of rows, whose results are added in order.

use burn::backend::ops::FloatTensorOps;
use burn::tensor::DType;
use burn_cubecl::Cube;
use burn_cubecl::kernel::matmul::{MatmulStrategy, matmul};
use cubecl::prelude::*;

use super::buffers::IndexBuffer;
use super::launch::{UNITS, launch_per_value};
use super::tensor::Gpu;

/// `a b`: `a [m, k]`, `b [k, n]`, result `[m, n]`.
pub(crate) fn product_nn(a: &Gpu, b: &Gpu) -> Gpu {
    if a.len() == 0 || b.len() == 0 {
        return Gpu::zeros(a, [a.rows(), b.cols()]);
    }
    let (a, b) = (a.clone().into_cube(), b.clone().into_cube());
    let product = matmul(a, b, None, MatmulStrategy::Cube, DType::F32);
    Gpu::from_cube(product.expect("a product of two matrices has a kernel"))
}

/// `a bᵀ`: `a [m, k]`, `b [n, k]`, result `[m, n]`.
pub(crate) fn product_nt(a: &Gpu, b: &Gpu) -> Gpu {
    if a.len() == 0 || b.len() == 0 {
        return Gpu::zeros(a, [a.rows(), b.rows()]);
    }
    let (a, b) = (a.clone().into_cube(), Cube::float_swap_dims(b.clone().into_cube(), 0, 1));
    let product = matmul(a, b, None, MatmulStrategy::Cube, DType::F32);
    Gpu::from_cube(product.expect("a product of two matrices has a kernel"))
}

/// Rows and columns of a tile of `Aᵀ B`, and rows of a step.
const TILE: u32 = 32;
/// Rows of `A` and `B` that are read at once.
const STEP: u32 = 16;
/// Maximum number of parts.
const PARTS: usize = 64;

/// Each workgroup computes a tile of one part, each of its 256 units four values of a column.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn tn_kernel(
    a: &[f32],
    b: &[f32],
    out: &mut [f32],
    rows: u32,
    p: u32,
    q: u32,
    part_rows: u32,
    tiles_down: u32,
    tiles_across: u32,
) {
    let mut left = Shared::<[f32]>::new_slice(comptime!((STEP * TILE) as usize));
    let mut right = Shared::<[f32]>::new_slice(comptime!((STEP * TILE) as usize));
    let tile = CUBE_POS as u32;
    let part = tile / (tiles_down * tiles_across);
    let within = tile % (tiles_down * tiles_across);
    let down = within / tiles_across * TILE;
    let across = within % tiles_across * TILE;
    let first = part * part_rows;
    let end = min(first + part_rows, rows);
    let column = UNIT_POS % TILE;
    let group = UNIT_POS / TILE;
    let mut s0 = 0f32;
    let mut s1 = 0f32;
    let mut s2 = 0f32;
    let mut s3 = 0f32;
    let mut row = first;
    while row < end {
        sync_cube();
        let mut step = group;
        while step < STEP {
            let here = row + step;
            let place = (step * TILE + column) as usize;
            let mut l = 0f32;
            let mut r = 0f32;
            if here < end {
                if down + column < p {
                    l = a[here as usize * p as usize + (down + column) as usize];
                }
                if across + column < q {
                    r = b[here as usize * q as usize + (across + column) as usize];
                }
            }
            left[place] = l;
            right[place] = r;
            step += 8u32;
        }
        sync_cube();
        for k in 0..STEP {
            let r = right[(k * TILE + column) as usize];
            let base = (k * TILE + group * 4) as usize;
            s0 += left[base] * r;
            s1 += left[base + 1] * r;
            s2 += left[base + 2] * r;
            s3 += left[base + 3] * r;
        }
        row += STEP;
    }
    if across + column < q {
        let top = down + group * 4;
        let base = part as usize * (p * q) as usize + (across + column) as usize;
        if top < p {
            out[base + (top * q) as usize] = s0;
        }
        if top + 1 < p {
            out[base + ((top + 1) * q) as usize] = s1;
        }
        if top + 2 < p {
            out[base + ((top + 2) * q) as usize] = s2;
        }
        if top + 3 < p {
            out[base + ((top + 3) * q) as usize] = s3;
        }
    }
}

#[cube(launch_unchecked)]
fn parts_kernel(parts: &[f32], out: &mut [f32], count: u32, values: u32) {
    let at = ABSOLUTE_POS;
    if at < values as usize {
        let mut sum = 0f32;
        for part in 0..count {
            sum += parts[part as usize * values as usize + at];
        }
        out[at] = sum;
    }
}

/// Adds the rows of `parts [count, …]` in order; the result has `shape`.
fn summed<const D: usize>(parts: &Gpu, count: usize, shape: [usize; D]) -> Gpu {
    if count == 1 {
        return parts.reshaped(shape);
    }
    let out = Gpu::empty(parts, shape);
    let values = out.len();
    let (cubes, dim) = launch_per_value(values);
    // SAFETY: `parts` holds `count` times as many values as `out`.
    unsafe {
        parts_kernel::launch_unchecked(
            parts.client(),
            cubes,
            dim,
            parts.arg(),
            out.arg(),
            count as u32,
            values as u32,
        );
    }
    out
}

/// `aᵀ b`: `a [n, p]`, `b [n, q]`, result `[p, q]`.
pub(crate) fn product_tn(a: &Gpu, b: &Gpu) -> Gpu {
    let (n, p, q) = (a.rows(), a.cols(), b.cols());
    let (down, across) = (p.div_ceil(TILE as usize), q.div_ceil(TILE as usize));
    // Enough workgroups to fill a device, but with some hundred rows per part.
    let wanted = (1024 / (down * across).max(1)).clamp(1, PARTS);
    let parts = n.div_ceil(256).clamp(1, wanted);
    let part_rows = n.div_ceil(parts).next_multiple_of(STEP as usize);
    let out = Gpu::empty(a, [parts, p, q]);
    // SAFETY: the kernel reads rows below `n` and columns below `p` and `q`, and writes each part's values.
    unsafe {
        tn_kernel::launch_unchecked(
            a.client(),
            CubeCount::Static((parts * down * across).max(1) as u32, 1, 1),
            CubeDim::new_1d(UNITS),
            a.arg(),
            b.arg(),
            out.arg(),
            n as u32,
            p as u32,
            q as u32,
            part_rows as u32,
            down as u32,
            across as u32,
        );
    }
    summed(&out, parts, [p, q])
}

/// Rows summed per unit.
const RUN: usize = 64;

#[cube(launch_unchecked)]
fn runs_kernel(x: &[f32], out: &mut [f32], rows: u32, d: u32, runs: u32, #[comptime] run: u32) {
    let at = ABSOLUTE_POS;
    let place = at as u32;
    if place < runs * d {
        let column = place % d;
        let first = place / d * run;
        let end = min(first + run, rows);
        let mut sum = 0f32;
        for r in first..end {
            sum += x[r as usize * d as usize + column as usize];
        }
        out[at] = sum;
    }
}

/// Sums over rows: `x [n, d]`, result `[d]`.
pub(crate) fn column_sums(x: &Gpu) -> Gpu {
    let d = x.cols();
    let mut x = x.clone();
    loop {
        let n = x.rows();
        let runs = n.div_ceil(RUN).max(1);
        let out = Gpu::empty(&x, [runs, d]);
        let (cubes, dim) = launch_per_value(runs * d);
        // SAFETY: rows below `n` are read, one value per run and column is written.
        unsafe {
            runs_kernel::launch_unchecked(
                x.client(),
                cubes,
                dim,
                x.arg(),
                out.arg(),
                n as u32,
                d as u32,
                runs as u32,
                RUN as u32,
            );
        }
        if runs == 1 {
            return out.reshaped([d]);
        }
        x = out;
    }
}

/// `1/√n` of a row of `n` entries, 0 for an empty one.
#[cube]
pub(crate) fn inverse_root(ptr: &[u32], row: usize) -> f32 {
    let degree = ptr[row + 1] - ptr[row];
    let mut scale = 0f32;
    if degree > 0 {
        scale = 1.0 / f32::cast_from(degree).sqrt();
    }
    scale
}

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn finish_kernel(
    x: &[f32],
    more: &[f32],
    bias: &[f32],
    ptr: &[u32],
    out: &mut [f32],
    count: u32,
    d: u32,
    slope: f32,
    #[comptime] second: bool,
    #[comptime] biased: bool,
    #[comptime] leaky: bool,
    #[comptime] scaled: bool,
) {
    let at = ABSOLUTE_POS;
    if at < count as usize {
        let mut v = x[at];
        if comptime!(second) {
            v += more[at];
        }
        if comptime!(biased) {
            v += bias[at % d as usize];
        }
        if comptime!(leaky) {
            v = max(v, slope * v);
        }
        if comptime!(scaled) {
            v *= inverse_root(ptr, at / d as usize);
        }
        out[at] = v;
    }
}

/// `s ⊙ φ(x + more + bias)`: what follows the products of an affine map. A slope makes `φ` a leaky rectifier;
/// row pointers make `s_r = 1/√deg_r`, 0 for an empty row.
pub(crate) fn add_bias(
    x: &Gpu,
    more: Option<&Gpu>,
    bias: Option<&Gpu>,
    slope: Option<f32>,
    ptr: Option<&IndexBuffer>,
) -> Gpu {
    if more.is_none() && bias.is_none() && slope.is_none() && ptr.is_none() {
        return x.clone();
    }
    let out = Gpu::empty(x, [x.rows(), x.cols()]);
    let n = x.len();
    let (cubes, dim) = launch_per_value(n);
    let own = x.client().clone();
    let none;
    let pointers = match ptr {
        Some(ptr) => ptr,
        None => {
            none = IndexBuffer::new(&own, &[]);
            &none
        }
    };
    // SAFETY: all have a value for each of `x`, the bias one per column, the pointers one more than rows;
    // what a variant does not read may be any buffer.
    unsafe {
        finish_kernel::launch_unchecked(
            &own,
            cubes,
            dim,
            x.arg(),
            more.unwrap_or(x).arg(),
            bias.unwrap_or(x).arg(),
            pointers.arg(),
            out.arg(),
            n as u32,
            x.cols() as u32,
            slope.unwrap_or(1.0),
            more.is_some(),
            bias.is_some(),
            slope.is_some(),
            ptr.is_some(),
        );
    }
    out
}
