//! Sparse products: each row of the result is summed by one group of units, in the order of its entries.
//!
//! Rows of more than [`PIECE`] entries are cut into pieces; the pieces' sums are added in order by a second
//! kernel.

use cubecl::client::Client;
use cubecl::prelude::*;

use super::buffers::{Cached, IndexBuffer};
use super::launch::launch_per_row;
use super::row_groups::DeviceRowGroups;
use super::rows::scatter_rows;
use super::tensor::Gpu;

/// Maximum number of entries that one group sums: the groups of long rows would still work when all others
/// have finished.
const PIECE: u32 = 64;

/// Slot of a piece that is a row's only one.
const WHOLE: u32 = u32::MAX;

/// A pattern in compressed rows on a device.
#[derive(Debug)]
pub(crate) struct DeviceCsr {
    rows: usize,
    pub(crate) ptr: IndexBuffer,
    pub(crate) idx: IndexBuffer,
    /// Row, first and last entry, and slot of each piece.
    pub(crate) pieces: IndexBuffer,
    /// Number of pieces, one at least per row.
    pub(crate) count: usize,
    /// Row, first and last slot of each row of several pieces.
    long: IndexBuffer,
    long_count: usize,
    slots: usize,
    /// Entries of the longest row.
    pub(crate) longest: usize,
}

impl DeviceCsr {
    /// A pattern of row pointers and column indices.
    pub(crate) fn new(client: &Client, ptr: &[u32], idx: &[u32]) -> Self {
        let (mut pieces, mut long, mut slots) = (Vec::with_capacity(4 * ptr.len()), Vec::new(), 0u32);
        for (row, span) in (0u32..).zip(ptr.windows(2)) {
            let (start, end) = (span[0], span[1]);
            if end - start <= PIECE {
                pieces.extend([row, start, end, WHOLE]);
                continue;
            }
            let first = slots;
            for from in (start..end).step_by(PIECE as usize) {
                pieces.extend([row, from, (from + PIECE).min(end), slots]);
                slots += 1;
            }
            long.extend([row, first, slots]);
        }
        Self {
            rows: ptr.len() - 1,
            ptr: IndexBuffer::new(client, ptr),
            idx: IndexBuffer::new(client, idx),
            count: pieces.len() / 4,
            pieces: IndexBuffer::new(client, &pieces),
            long_count: long.len() / 3,
            long: IndexBuffer::new(client, &long),
            slots: slots as usize,
            longest: ptr.windows(2).map(|span| (span[1] - span[0]) as usize).max().unwrap_or(0),
        }
    }
}

/// The entries of a pattern sorted by column.
#[derive(Debug)]
pub(crate) struct DeviceTransposed {
    /// Indices are the rows of the entries.
    pub(crate) rows: DeviceCsr,
    /// Position of each entry in the pattern.
    pub(crate) edges: IndexBuffer,
}

/// Copies of a pattern, at most one of each kind per device.
#[derive(Debug, Default)]
pub(crate) struct PatternCopies {
    pub(crate) csr: Cached<DeviceCsr>,
    pub(crate) transposed: Cached<DeviceTransposed>,
    /// The row of each entry.
    pub(crate) entry_rows: Cached<IndexBuffer>,
}

/// A matrix of constant values on a device.
#[derive(Debug)]
pub(crate) struct DeviceMatrix {
    graph: DeviceCsr,
    values: Gpu,
}

impl DeviceMatrix {
    /// A matrix on the device of `like`.
    pub(crate) fn new(like: &Gpu, ptr: &[u32], idx: &[u32], values: &[f32]) -> Self {
        let (client, device) = (like.client(), like.device());
        Self {
            graph: DeviceCsr::new(client, ptr, idx),
            values: Gpu::new(client, device, values, [values.len()]),
        }
    }

    pub(crate) fn view(&self) -> DeviceSparse<'_> {
        DeviceSparse { graph: &self.graph, values: Some(&self.values), positions: None }
    }
}

/// A sparse matrix on a device: a pattern, a value per entry (1 where there are none), and the position of
/// each entry's value if the values are in another order.
#[derive(Clone, Copy)]
pub(crate) struct DeviceSparse<'a> {
    pub(crate) graph: &'a DeviceCsr,
    pub(crate) values: Option<&'a Gpu>,
    pub(crate) positions: Option<&'a IndexBuffer>,
}

/// A value of the product of entry `e` with the row of `x` that it names.
#[cube]
#[allow(clippy::too_many_arguments)]
fn entry(
    idx: &[u32],
    values: &[f32],
    positions: &[u32],
    x: &[f32],
    e: u32,
    d: u32,
    c: u32,
    #[comptime] weighted: bool,
    #[comptime] moved: bool,
) -> f32 {
    let mut v = x[idx[e as usize] as usize * d as usize + c as usize];
    if comptime!(weighted) {
        let place = if comptime!(moved) { positions[e as usize] } else { e };
        v *= values[place as usize];
    }
    v
}

/// The sum over the entries from `start` to `end`, in order; four are read before they are added, so that
/// their reads overlap.
#[cube]
#[allow(clippy::too_many_arguments)]
fn entries(
    idx: &[u32],
    values: &[f32],
    positions: &[u32],
    x: &[f32],
    start: u32,
    end: u32,
    d: u32,
    c: u32,
    #[comptime] weighted: bool,
    #[comptime] moved: bool,
) -> f32 {
    let mut sum = 0f32;
    let mut e = start;
    while e + 4 <= end {
        let v0 = entry(idx, values, positions, x, e, d, c, weighted, moved);
        let v1 = entry(idx, values, positions, x, e + 1, d, c, weighted, moved);
        let v2 = entry(idx, values, positions, x, e + 2, d, c, weighted, moved);
        let v3 = entry(idx, values, positions, x, e + 3, d, c, weighted, moved);
        sum += v0;
        sum += v1;
        sum += v2;
        sum += v3;
        e += 4;
    }
    while e < end {
        sum += entry(idx, values, positions, x, e, d, c, weighted, moved);
        e += 1;
    }
    sum
}

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn pieces_kernel(
    pieces: &[u32],
    idx: &[u32],
    values: &[f32],
    positions: &[u32],
    x: &[f32],
    plus: &[f32],
    out: &mut [f32],
    partial: &mut [f32],
    count: u32,
    d: u32,
    scale: f32,
    #[comptime] weighted: bool,
    #[comptime] moved: bool,
    #[comptime] adds: bool,
) {
    let at = CUBE_POS * CUBE_DIM_Y as usize + UNIT_POS_Y as usize;
    if at < count as usize {
        let row = pieces[4 * at];
        let start = pieces[4 * at + 1];
        let end = pieces[4 * at + 2];
        let slot = pieces[4 * at + 3];
        let mut c = UNIT_POS_X;
        while c < d {
            let sum = entries(idx, values, positions, x, start, end, d, c, weighted, moved);
            if slot == WHOLE {
                let to = row as usize * d as usize + c as usize;
                if comptime!(adds) {
                    out[to] = scale * (sum + plus[to]);
                } else {
                    out[to] = scale * sum;
                }
            } else {
                partial[slot as usize * d as usize + c as usize] = sum;
            }
            c += CUBE_DIM_X;
        }
    }
}

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn long_kernel(
    long: &[u32],
    partial: &[f32],
    plus: &[f32],
    out: &mut [f32],
    count: u32,
    d: u32,
    scale: f32,
    #[comptime] adds: bool,
) {
    let at = CUBE_POS * CUBE_DIM_Y as usize + UNIT_POS_Y as usize;
    if at < count as usize {
        let row = long[3 * at];
        let start = long[3 * at + 1];
        let end = long[3 * at + 2];
        let mut c = UNIT_POS_X;
        while c < d {
            let mut sum = 0f32;
            for slot in start..end {
                sum += partial[slot as usize * d as usize + c as usize];
            }
            let to = row as usize * d as usize + c as usize;
            if comptime!(adds) {
                out[to] = scale * (sum + plus[to]);
            } else {
                out[to] = scale * sum;
            }
            c += CUBE_DIM_X;
        }
    }
}

impl DeviceSparse<'_> {
    /// `scale · (A x + add)`: `x [C, d]`, result `[R, d]`.
    pub(crate) fn product(self, x: &Gpu, add: Option<&Gpu>, scale: f32) -> Gpu {
        let (graph, d) = (self.graph, x.cols());
        let out = Gpu::empty(x, [graph.rows, d]);
        let partial = Gpu::empty(x, [graph.slots, d]);
        let (cubes, dim) = launch_per_row(graph.count, d);
        // SAFETY: indices are columns, which `Csr` checks, and `x` has a row for each; rows, positions and
        // slots are those of the pattern; arguments that a variant does not read may be any buffer.
        unsafe {
            pieces_kernel::launch_unchecked(
                x.client(),
                cubes,
                dim,
                graph.pieces.arg(),
                graph.idx.arg(),
                self.values.unwrap_or(x).arg(),
                self.positions.unwrap_or(&graph.idx).arg(),
                x.arg(),
                add.unwrap_or(x).arg(),
                out.arg(),
                partial.arg(),
                graph.count as u32,
                d as u32,
                scale,
                self.values.is_some(),
                self.positions.is_some(),
                add.is_some(),
            );
        }
        if graph.long_count > 0 {
            let (cubes, dim) = launch_per_row(graph.long_count, d);
            // SAFETY: as above.
            unsafe {
                long_kernel::launch_unchecked(
                    x.client(),
                    cubes,
                    dim,
                    graph.long.arg(),
                    partial.arg(),
                    add.unwrap_or(x).arg(),
                    out.arg(),
                    graph.long_count as u32,
                    d as u32,
                    scale,
                    add.is_some(),
                );
            }
        }
        out
    }

    /// The rows `rows` (`count` of them) of `A x`, or of `x + A x` with `identity`.
    pub(crate) fn some_rows(self, x: &Gpu, rows: &IndexBuffer, count: usize, identity: bool) -> Gpu {
        let (graph, d) = (self.graph, x.cols());
        let out = Gpu::empty(x, [count, d]);
        let (cubes, dim) = launch_per_row(count, d);
        // SAFETY: as in `product`; callers check that the rows are rows of the matrix.
        unsafe {
            rows_kernel::launch_unchecked(
                x.client(),
                cubes,
                dim,
                rows.arg(),
                graph.ptr.arg(),
                graph.idx.arg(),
                self.values.unwrap_or(x).arg(),
                x.arg(),
                out.arg(),
                count as u32,
                d as u32,
                identity,
            );
        }
        out
    }
}

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn rows_kernel(
    rows: &[u32],
    ptr: &[u32],
    idx: &[u32],
    values: &[f32],
    x: &[f32],
    out: &mut [f32],
    count: u32,
    d: u32,
    #[comptime] identity: bool,
) {
    let at = CUBE_POS * CUBE_DIM_Y as usize + UNIT_POS_Y as usize;
    if at < count as usize {
        let row = rows[at] as usize;
        let start = ptr[row];
        let end = ptr[row + 1];
        let mut c = UNIT_POS_X;
        while c < d {
            let mut sum = entries(idx, values, idx, x, start, end, d, c, true, false);
            if comptime!(identity) {
                sum += x[row * d as usize + c as usize];
            }
            out[at * d as usize + c as usize] = sum;
            c += CUBE_DIM_X;
        }
    }
}

/// The backward pass of [`DeviceSparse::some_rows`]: `Aᵀ G`, or `G + Aᵀ G`, with the rows of `g` at the rows
/// `groups` of `G [n, d]`; `self` is `Aᵀ`.
pub(crate) fn spread(
    transposed: DeviceSparse<'_>,
    g: &Gpu,
    groups: &DeviceRowGroups,
    n: usize,
    identity: bool,
) -> Gpu {
    let whole = scatter_rows(g, groups, n);
    transposed.product(&whole, identity.then_some(&whole), 1.0)
}
