//! The same losses on a graphics processor: one group of units per triple, one per distinct row.

use cubecl::prelude::*;

use super::{Bpr, Squares};
use crate::autodiff::Operator;
use crate::gpu::{
    DeviceRowGroups, Gpu, IndexBuffer, cube_sum, launch_per_row, part_of_dot, scaled_total, units_per_row,
};
use crate::loss::softplus::gpu::{slope_device, softplus_device};
use crate::loss::triples::gpu::DeviceTriples;

/// A unit's part of `‖e_row‖²`.
#[cube]
fn square(e: &[f32], row: u32, width: u32) -> f32 {
    part_of_dot(e, e, row as usize * width as usize, width)
}

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn loss_kernel(
    z: &[f32],
    e: &[f32],
    users: &[u32],
    positives: &[u32],
    negatives: &[u32],
    losses: &mut [f32],
    slopes: &mut [f32],
    count: u32,
    d: u32,
    width: u32,
    l2: f32,
    #[comptime] norms: bool,
    #[comptime] across: u32,
) {
    let mut shared = Shared::<[f32]>::new_slice(256usize);
    let at = CUBE_POS * CUBE_DIM_Y as usize + UNIT_POS_Y as usize;
    let mut margin = 0f32;
    let mut squares = 0f32;
    if at < count as usize {
        let u = users[at];
        let p = positives[at];
        let n = negatives[at];
        let mut c = UNIT_POS_X;
        while c < d {
            let column = c as usize;
            let difference = z[n as usize * d as usize + column] - z[p as usize * d as usize + column];
            margin += z[u as usize * d as usize + column] * difference;
            c += CUBE_DIM_X;
        }
        if comptime!(norms) {
            squares = square(e, u, width) + square(e, p, width) + square(e, n, width);
        }
    }
    let margin = cube_sum(margin, &mut shared, across);
    let mut loss = softplus_device(margin);
    if comptime!(norms) {
        loss += l2 * cube_sum(squares, &mut shared, across);
    }
    if at < count as usize && UNIT_POS_X == 0 {
        losses[at] = loss;
        slopes[at] = slope_device(margin) / f32::cast_from(count);
    }
}

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn gradient_kernel(
    z: &[f32],
    users: &[u32],
    positives: &[u32],
    negatives: &[u32],
    slopes: &[f32],
    rows: &[u32],
    starts: &[u32],
    positions: &[u32],
    g: &[f32],
    out: &mut [f32],
    groups: u32,
    batch: u32,
    d: u32,
    norms: f32,
) {
    let at = CUBE_POS * CUBE_DIM_Y as usize + UNIT_POS_Y as usize;
    if at < groups as usize {
        let row = rows[at] as usize;
        let start = starts[at];
        let end = starts[at + 1];
        let scale = g[0];
        let own = 2.0 * norms * scale * f32::cast_from(end - start);
        let mut c = UNIT_POS_X;
        while c < d {
            let column = c as usize;
            let mut sum = own * z[row * d as usize + column];
            for e in start..end {
                let position = positions[e as usize];
                let k = (position % batch) as usize;
                let slope = scale * slopes[k];
                if position < batch {
                    let n = negatives[k] as usize * d as usize + column;
                    let p = positives[k] as usize * d as usize + column;
                    sum += slope * (z[n] - z[p]);
                } else {
                    let u = z[users[k] as usize * d as usize + column];
                    if position < 2 * batch {
                        sum -= slope * u;
                    } else {
                        sum += slope * u;
                    }
                }
            }
            out[row * d as usize + column] = sum;
            c += CUBE_DIM_X;
        }
    }
}

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn norms_kernel(
    e: &[f32],
    rows: &[u32],
    starts: &[u32],
    g: &[f32],
    out: &mut [f32],
    groups: u32,
    width: u32,
    factor: f32,
) {
    let at = CUBE_POS * CUBE_DIM_Y as usize + UNIT_POS_Y as usize;
    if at < groups as usize {
        let row = rows[at] as usize;
        let scale = 2.0 * factor * g[0] * f32::cast_from(starts[at + 1] - starts[at]);
        let mut c = UNIT_POS_X;
        while c < width {
            let column = row * width as usize + c as usize;
            out[column] = scale * e[column];
            c += CUBE_DIM_X;
        }
    }
}

/// `2 · factor · g · e` for each use of a row of `e`.
fn norms_gradient(e: &Gpu, groups: &DeviceRowGroups, g: &Gpu, factor: f32) -> Gpu {
    let (n, width) = (e.rows(), e.cols());
    let out = Gpu::zeros(e, [n, width]);
    let (cubes, dim) = launch_per_row(groups.count, width);
    // SAFETY: groups rows are rows of `e`; the gradient to the loss is one value.
    unsafe {
        norms_kernel::launch_unchecked(
            e.client(),
            cubes,
            dim,
            e.arg(),
            groups.rows.arg(),
            groups.starts.arg(),
            g.arg(),
            out.arg(),
            groups.count as u32,
            width as u32,
            factor,
        );
    }
    out
}

/// The batch, and the slopes of its triples.
#[derive(Debug, Clone)]
pub(crate) struct BprDeviceSaved<const N: usize> {
    tables: [Gpu; N],
    batch: DeviceTriples,
    slopes: Gpu,
}

impl Bpr {
    fn loss_device<const N: usize>(&self, tables: [Gpu; N]) -> (Gpu, BprDeviceSaved<N>) {
        let (z, e) = (&tables[0], &tables[N - 1]);
        let (b, d) = (self.t.len(), z.cols());
        self.t.check(z.rows());
        if self.l2 != 0.0 {
            self.t.check(e.rows());
        }
        let batch = DeviceTriples::new(z.client(), &self.t);
        let (losses, slopes) = (Gpu::empty(z, [b]), Gpu::empty(z, [b]));
        let (cubes, dim) = launch_per_row(b, d);
        // SAFETY: the rows of the batch are rows of the tables, checked above.
        unsafe {
            loss_kernel::launch_unchecked(
                z.client(),
                cubes,
                dim,
                z.arg(),
                e.arg(),
                batch.users.arg(),
                batch.positives.arg(),
                batch.negatives.arg(),
                losses.arg(),
                slopes.arg(),
                b as u32,
                d as u32,
                e.cols() as u32,
                self.l2,
                self.l2 != 0.0,
                units_per_row(d),
            );
        }
        (scaled_total(&losses, 1.0 / b as f32), BprDeviceSaved { tables, batch, slopes })
    }

    /// The gradient to the table; with `norms` that of its own norms too.
    fn gradient_device<const N: usize>(
        &self,
        saved: &BprDeviceSaved<N>,
        groups: &DeviceRowGroups,
        g: &Gpu,
        norms: f32,
    ) -> Gpu {
        let z = &saved.tables[0];
        let (n, d) = (z.rows(), z.cols());
        let out = Gpu::zeros(z, [n, d]);
        let (cubes, dim) = launch_per_row(groups.count, d);
        // SAFETY: as in the forward pass; every groups row is written by one group.
        unsafe {
            gradient_kernel::launch_unchecked(
                z.client(),
                cubes,
                dim,
                z.arg(),
                saved.batch.users.arg(),
                saved.batch.positives.arg(),
                saved.batch.negatives.arg(),
                saved.slopes.arg(),
                groups.rows.arg(),
                groups.starts.arg(),
                groups.positions.arg(),
                g.arg(),
                out.arg(),
                groups.count as u32,
                self.t.len() as u32,
                d as u32,
                norms,
            );
        }
        out
    }

    fn device_row_groups(&self, like: &Gpu) -> DeviceRowGroups {
        DeviceRowGroups::from_list(like.client(), self.t.all())
    }
}

impl Operator<1, Gpu> for Bpr {
    type Saved = BprDeviceSaved<1>;

    fn forward(&self, tables: [Gpu; 1], _: bool) -> (Gpu, BprDeviceSaved<1>) {
        self.loss_device(tables)
    }

    fn backward(&self, saved: BprDeviceSaved<1>, grad: Gpu, [needed]: [bool; 1]) -> [Option<Gpu>; 1] {
        let norms = self.l2 / self.t.len() as f32;
        [needed.then(|| self.gradient_device(&saved, &self.device_row_groups(&grad), &grad, norms))]
    }
}

impl Operator<2, Gpu> for Bpr {
    type Saved = BprDeviceSaved<2>;

    fn forward(&self, tables: [Gpu; 2], _: bool) -> (Gpu, BprDeviceSaved<2>) {
        self.loss_device(tables)
    }

    fn backward(&self, saved: BprDeviceSaved<2>, grad: Gpu, needs: [bool; 2]) -> [Option<Gpu>; 2] {
        let (groups, norms) = (self.device_row_groups(&grad), self.l2 / self.t.len() as f32);
        [
            needs[0].then(|| self.gradient_device(&saved, &groups, &grad, 0.0)),
            needs[1].then(|| norms_gradient(&saved.tables[1], &groups, &grad, norms)),
        ]
    }
}

#[cube(launch_unchecked)]
fn squares_kernel(e: &[f32], rows: &[u32], out: &mut [f32], count: u32, width: u32, #[comptime] across: u32) {
    let mut shared = Shared::<[f32]>::new_slice(256usize);
    let at = CUBE_POS * CUBE_DIM_Y as usize + UNIT_POS_Y as usize;
    let mut sum = 0f32;
    if at < count as usize {
        sum = square(e, rows[at], width);
    }
    let sum = cube_sum(sum, &mut shared, across);
    if at < count as usize && UNIT_POS_X == 0 {
        out[at] = sum;
    }
}

impl Operator<1, Gpu> for Squares {
    type Saved = Gpu;

    fn forward(&self, [table]: [Gpu; 1], _: bool) -> (Gpu, Gpu) {
        let (count, width) = (self.rows.len(), table.cols());
        assert!(self.rows.iter().all(|&r| (r as usize) < table.rows()), "rows are rows of the table");
        let squares = Gpu::empty(&table, [count]);
        let rows = IndexBuffer::new(table.client(), &self.rows);
        let (cubes, dim) = launch_per_row(count, width);
        // SAFETY: rows are rows of the table, checked above.
        unsafe {
            squares_kernel::launch_unchecked(
                table.client(),
                cubes,
                dim,
                table.arg(),
                rows.arg(),
                squares.arg(),
                count as u32,
                width as u32,
                units_per_row(width),
            );
        }
        (scaled_total(&squares, self.scale), table)
    }

    fn backward(&self, table: Gpu, grad: Gpu, [needed]: [bool; 1]) -> [Option<Gpu>; 1] {
        let gradient = || {
            let groups = DeviceRowGroups::from_list(table.client(), self.rows.iter().copied());
            norms_gradient(&table, &groups, &grad, self.scale)
        };
        [needed.then(gradient)]
    }
}
