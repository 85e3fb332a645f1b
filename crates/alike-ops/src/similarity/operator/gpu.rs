//! Neighbour similarity on a graphics processor: similarities, weights, and a sparse product with these.
//!
//! Rows of a target's neighbours are held in shared memory, [`Tiles::rows`] of them at a time; their
//! similarities are summed tile by tile and never leave the workgroup. The backward pass is a product with
//! the transposed pattern; there are no atomics.

mod kernels;

use cubecl::prelude::*;

use super::Similarity;
use crate::autodiff::Operator;
use crate::gpu::{DeviceSparse, Gpu, UNITS, grid, launch_per_row, units_per_row};
use crate::sparse::spmm::gpu::transposed_product_device;
use kernels::{ACROSS, SIDE, center_kernel, similarities_kernel, weights_kernel};

/// How a workgroup holds a target's rows.
#[derive(Debug, Clone, Copy)]
struct Tiles {
    /// Rows of a tile.
    rows: u32,
    /// Whether some target has more rows than one tile.
    several: bool,
}

impl Tiles {
    /// The largest tiles that fit the shared memory of the device, and no more than a pattern whose longest
    /// row has this length needs.
    fn fitting(longest: usize, x: &Gpu) -> Self {
        let d = x.cols();
        let room = x.client().properties().hardware.max_shared_memory_size;
        let fits = |rows: u32| {
            let (rows, several) = (rows as usize, longest > rows as usize);
            let held = if several { 2 } else { 1 } * rows * (d + 1);
            let floats = held + rows * SIDE as usize;
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
        let unit = Gpu::empty(&x, [n, d]);
        let (cubes, dim) = launch_per_row(n, d);
        // SAFETY: a result of the shape of `x`.
        unsafe {
            center_kernel::launch_unchecked(
                x.client(),
                cubes,
                dim,
                x.arg(),
                unit.arg(),
                n as u32,
                d as u32,
                units_per_row(d),
            );
        }
        let weights = Gpu::empty(&x, [pattern.nnz()]);
        let graph = pattern.device_csr(&x);
        let tiles = Tiles::fitting(graph.longest, &x);
        let tall = UNITS / ACROSS;
        // SAFETY: indices are columns of the pattern, of which `unit` has rows; one value per entry is written.
        unsafe {
            similarities_kernel::launch_unchecked(
                x.client(),
                grid(graph.count),
                CubeDim::new_1d(UNITS),
                graph.pieces.arg(),
                graph.ptr.arg(),
                graph.idx.arg(),
                unit.arg(),
                weights.arg(),
                graph.count as u32,
                d as u32,
                tiles.rows,
                tiles.several,
            );
            weights_kernel::launch_unchecked(
                x.client(),
                grid(pattern.rows().div_ceil(tall as usize)),
                CubeDim::new_2d(ACROSS, tall),
                graph.ptr.arg(),
                weights.arg(),
                pattern.rows() as u32,
            );
        }
        let weighted = DeviceSparse { graph: &graph, values: Some(&weights), positions: None };
        (weighted.product(&x, None, 1.0), weights)
    }

    fn backward(&self, weights: Gpu, grad: Gpu, [needed]: [bool; 1]) -> [Option<Gpu>; 1] {
        [needed.then(|| transposed_product_device(&self.pattern, &weights, &grad))]
    }
}
