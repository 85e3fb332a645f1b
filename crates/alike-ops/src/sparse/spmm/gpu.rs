//! The same products on a graphics processor.

use cubecl::prelude::*;

use super::Product;
use crate::autodiff::Operator;
use crate::gpu::{DeviceSparse, Gpu, launch_per_value};
use crate::sparse::csr::Csr;

/// `g_row · x_col` of each entry: one unit per entry; neighbours in a row share `g`.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn entries_kernel(
    entry_rows: &[u32],
    idx: &[u32],
    g: &[f32],
    x: &[f32],
    out: &mut [f32],
    count: u32,
    d: u32,
) {
    let e = ABSOLUTE_POS;
    if e < count as usize {
        let row = entry_rows[e] as usize * d as usize;
        let column = idx[e] as usize * d as usize;
        let mut sum = 0f32;
        for c in 0..d {
            sum += g[row + c as usize] * x[column + c as usize];
        }
        out[e] = sum;
    }
}

/// `Aᵀ g` of a matrix of `p`'s entries with `values`, in their order.
pub(crate) fn transposed_product_device(p: &Csr, values: &Gpu, g: &Gpu) -> Gpu {
    let t = p.device_transposed(g);
    DeviceSparse { graph: &t.rows, values: Some(values), positions: Some(&t.edges) }.product(g, None, 1.0)
}

fn entry_dots_device(p: &Csr, g: &Gpu, x: &Gpu) -> Gpu {
    let (nnz, d) = (p.nnz(), x.cols());
    let out = Gpu::empty(x, [nnz]);
    let (cubes, dim) = launch_per_value(nnz);
    // SAFETY: rows and columns of the pattern are rows of `g` and `x`.
    unsafe {
        entries_kernel::launch_unchecked(
            x.client(),
            cubes,
            dim,
            p.device_entry_rows(x).arg(),
            p.device_csr(x).idx.arg(),
            g.arg(),
            x.arg(),
            out.arg(),
            nnz as u32,
            d as u32,
        );
    }
    out
}

impl Operator<2, Gpu> for Product {
    type Saved = [Gpu; 2];

    fn forward(&self, [values, x]: [Gpu; 2], _: bool) -> (Gpu, [Gpu; 2]) {
        let p = &self.pattern;
        assert!(values.len() == p.nnz() && x.rows() == p.cols(), "a value per entry, a row of x per column");
        let graph = p.device_csr(&x);
        let a = DeviceSparse { graph: &graph, values: Some(&values), positions: None };
        (a.product(&x, None, 1.0), [values, x])
    }

    fn backward(&self, [values, x]: [Gpu; 2], grad: Gpu, needs: [bool; 2]) -> [Option<Gpu>; 2] {
        let p = &self.pattern;
        [
            needs[0].then(|| entry_dots_device(p, &grad, &x)),
            needs[1].then(|| transposed_product_device(p, &values, &grad)),
        ]
    }
}
