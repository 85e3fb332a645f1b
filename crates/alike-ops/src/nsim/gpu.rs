//! Neighbour similarity on a graphics processor: a workgroup a target.
//!
//! A target's rows lie in shared memory, [`Tiles::rows`] of them at a time, and so do its similarities: they are made tile
//! by tile, forward and backward, and never leave the workgroup. The backward pass writes each entry's part of `∂x̂` and sums the
//! parts of a node in the order of the targets, for as many targets at a time as [`ROOM`] holds; so there are no atomics.

mod kernels;

use std::ops::Range;
use std::sync::Arc;

use cubecl::client::Client;
use cubecl::prelude::*;

use super::Similarity;
use crate::Csr;
use crate::extension::Operator;
use crate::gpu::{Gpu, Graph, Sparse, UNITS, a_group_each, grid, lanes};
use kernels::{SIDE, backward_kernel, center_kernel, finish_kernel, targets_kernel};

/// Bytes of the entries' parts at a time.
const ROOM: usize = 1 << 30;

/// What a pattern needs beside its entries.
#[derive(Debug)]
pub(crate) struct SimilarityOn {
    parts: Vec<PartOn>,
}

/// Targets whose parts of `∂x̂` are held at once.
#[derive(Debug)]
struct PartOn {
    targets: Range<usize>,
    entries: Range<usize>,
    /// Node by node where its entries stand among those of the part.
    graph: Graph,
}

impl SimilarityOn {
    /// With at most `most` entries a part, but at least a target.
    fn new(client: &Client, pattern: &Csr, most: usize) -> Self {
        let mut bounds = vec![0];
        for r in 0..pattern.rows() {
            let first = pattern.ptr()[bounds[bounds.len() - 1]] as usize;
            if pattern.ptr()[r + 1] as usize - first > most && r > bounds[bounds.len() - 1] {
                bounds.push(r);
            }
        }
        bounds.push(pattern.rows());
        let t = pattern.transposed();
        let parts = bounds.windows(2).map(|b| {
            let entries = pattern.ptr()[b[0]] as usize..pattern.ptr()[b[1]] as usize;
            let (mut ptr, mut idx) = (vec![0u32], Vec::with_capacity(entries.len()));
            for node in t.ptr.windows(2) {
                // The entries of a column stand in storage order.
                let of = &t.edges[node[0] as usize..node[1] as usize];
                let from = of.partition_point(|&e| (e as usize) < entries.start);
                let to = of.partition_point(|&e| (e as usize) < entries.end);
                idx.extend(of[from..to].iter().map(|&e| e - entries.start as u32));
                ptr.push(idx.len() as u32);
            }
            PartOn { targets: b[0]..b[1], graph: Graph::new(client, &ptr, &idx), entries }
        });
        Self { parts: parts.collect() }
    }
}

/// How a workgroup holds a target's rows.
#[derive(Debug, Clone, Copy)]
struct Tiles {
    /// Rows of a tile.
    rows: u32,
    /// Whether some target has more rows than one tile.
    several: bool,
}

impl Tiles {
    /// The largest tiles that fit the shared memory of the device, with as few as a pattern of such a longest row needs.
    fn of(longest: usize, x: &Gpu) -> Self {
        let d = x.cols();
        let room = x.client().properties().hardware.max_shared_memory_size;
        let fits = |rows: u32| {
            let (rows, several) = (rows as usize, longest > rows as usize);
            let held = if several { 2 } else { 1 } * rows * (d + 1);
            let floats = held + rows * SIDE as usize + 2 * rows + rows * rows + 2 * d + UNITS as usize;
            floats * size_of::<f32>() <= room
        };
        let rows = [32, 16, 8, 4, 2].into_iter().find(|&rows| fits(rows));
        let rows = rows.unwrap_or_else(|| panic!("rows of {d} values do not fit the device's {room} bytes"));
        Self { rows, several: longest > rows as usize }
    }
}

/// Unit rows, mean and norm of each, `α` of each entry.
#[derive(Debug, Clone)]
pub(crate) struct SavedOn {
    unit: Gpu,
    stats: Gpu,
    alpha: Gpu,
    tiles: Tiles,
}

impl Operator<1, Gpu> for Similarity {
    type Saved = SavedOn;

    fn forward(&self, [x]: [Gpu; 1], _: bool) -> (Gpu, SavedOn) {
        let (pattern, n, d) = (&*self.pattern, x.rows(), x.cols());
        assert_eq!(n, pattern.cols(), "rows of x and columns of the pattern");
        let (unit, stats) = (Gpu::empty(&x, [n, d]), Gpu::empty(&x, [n, 2]));
        let (cubes, dim) = a_group_each(n, d);
        // SAFETY: results of the shape of `x`, and two values a row.
        unsafe {
            center_kernel::launch_unchecked(
                x.client(),
                cubes,
                dim,
                x.arg(),
                unit.arg(),
                stats.arg(),
                n as u32,
                d as u32,
                lanes(d),
            );
        }
        let (y, alpha) = (Gpu::empty(&x, [pattern.rows(), d]), Gpu::empty(&x, [pattern.nnz()]));
        let graph = pattern.graph_on(&x);
        let tiles = Tiles::of(graph.longest, &x);
        // SAFETY: indices are columns of the pattern, of which `unit` has rows; a row a target and a value an entry are
        // written.
        unsafe {
            targets_kernel::launch_unchecked(
                x.client(),
                grid(pattern.rows()),
                CubeDim::new_1d(UNITS),
                graph.ptr.arg(),
                graph.idx.arg(),
                unit.arg(),
                stats.arg(),
                y.arg(),
                alpha.arg(),
                pattern.rows() as u32,
                d as u32,
                tiles.rows,
                tiles.several,
                self.scale,
            );
        }
        (y, SavedOn { unit, stats, alpha, tiles })
    }

    fn backward(&self, saved: SavedOn, grad: Gpu, [needed]: [bool; 1]) -> [Option<Gpu>; 1] {
        [needed.then(|| self.backward_on(&saved, &grad))]
    }
}

impl Similarity {
    fn backward_on(&self, saved: &SavedOn, grad: &Gpu) -> Gpu {
        let SavedOn { unit, stats, alpha, tiles } = saved;
        let (pattern, n, d) = (&*self.pattern, unit.rows(), unit.cols());
        let room = ROOM.min(grad.client().properties().memory.max_page_size as usize);
        let most = room / size_of::<f32>() / d.max(1);
        let plan: Arc<SimilarityOn> =
            pattern.similarity_on(grad, most, || SimilarityOn::new(grad.client(), pattern, most));
        let graph = pattern.graph_on(grad);
        let direct = Gpu::empty(grad, [pattern.nnz()]);
        let mut to_unit: Option<Gpu> = None;
        for part in &plan.parts {
            let parts = Gpu::empty(grad, [part.entries.len(), d]);
            // SAFETY: the entries of the targets are those of the part.
            unsafe {
                backward_kernel::launch_unchecked(
                    grad.client(),
                    grid(part.targets.len()),
                    CubeDim::new_1d(UNITS),
                    graph.ptr.arg(),
                    graph.idx.arg(),
                    unit.arg(),
                    stats.arg(),
                    alpha.arg(),
                    grad.arg(),
                    parts.arg(),
                    direct.arg(),
                    part.targets.start as u32,
                    part.targets.end as u32,
                    part.entries.start as u32,
                    d as u32,
                    tiles.rows,
                    tiles.several,
                    self.scale,
                );
            }
            let sums = Sparse { graph: &part.graph, values: None, places: None };
            to_unit = Some(sums.product(&parts, to_unit.as_ref(), 1.0));
        }
        let t = pattern.transposed_on(grad);
        let back = Sparse { graph: &t.rows, values: Some(&direct), places: Some(&t.edges) };
        let through = back.product(grad, None, 1.0);
        let to_unit = to_unit.expect("a pattern has one part at least");
        let out = Gpu::empty(grad, [n, d]);
        let (cubes, dim) = a_group_each(n, d);
        // SAFETY: all are of the shape of `x`, with two values a row.
        unsafe {
            finish_kernel::launch_unchecked(
                grad.client(),
                cubes,
                dim,
                unit.arg(),
                stats.arg(),
                to_unit.arg(),
                through.arg(),
                out.arg(),
                n as u32,
                d as u32,
                lanes(d),
            );
        }
        out
    }
}
