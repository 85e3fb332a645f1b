//! Neighbour similarity on a graphics processor: a workgroup a target.
//!
//! A target's rows lie in shared memory, [`Tiles::rows`] of them at a time, and so do its similarities: they are made tile
//! by tile and never leave the workgroup. The backward pass is a product with the transposed pattern; there are no atomics.

mod kernels;

use cubecl::prelude::*;

use super::Similarity;
use crate::extension::Operator;
use crate::gpu::{Gpu, UNITS, a_group_each, grid, lanes};
use crate::spmm::gpu::transposed_product_on;
use kernels::{SIDE, center_kernel, targets_kernel};

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
            let floats = held + rows * SIDE as usize + rows + 1 + d;
            floats * size_of::<f32>() <= room
        };
        let rows = [32, 16, 8, 4, 2].into_iter().find(|&rows| fits(rows));
        let rows = rows.unwrap_or_else(|| panic!("rows of {d} values do not fit the device's {room} bytes"));
        Self { rows, several: longest > rows as usize }
    }
}

impl Operator<1, Gpu> for Similarity {
    /// The weight of each entry.
    type Saved = Gpu;

    fn forward(&self, [x]: [Gpu; 1], _: bool) -> (Gpu, Gpu) {
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
        let (y, weights) = (Gpu::empty(&x, [pattern.rows(), d]), Gpu::empty(&x, [pattern.nnz()]));
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
                weights.arg(),
                pattern.rows() as u32,
                d as u32,
                tiles.rows,
                tiles.several,
            );
        }
        (y, weights)
    }

    fn backward(&self, weights: Gpu, grad: Gpu, [needed]: [bool; 1]) -> [Option<Gpu>; 1] {
        [needed.then(|| transposed_product_on(&self.pattern, &weights, &grad))]
    }
}
