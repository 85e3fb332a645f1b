//! The same loss on a graphics processor.

use cubecl::prelude::*;

use super::{Pair, check};
use crate::autodiff::Operator;
use crate::gpu::{
    DeviceRowGroups, Gpu, IndexBuffer, add_bias, add_rows, column_sums, copy_rows, cube_sum, launch_per_row,
    launch_per_value, product_nn, product_nt, product_tn, scaled_total, units_per_row,
};
use crate::loss::softplus::gpu::{slope_device, softplus_device};
use crate::tensor::row_groups::RowGroups;

/// The distinct rows of one side of the batch.
#[derive(Debug, Clone)]
struct DeviceSide {
    groups: DeviceRowGroups,
    /// The distinct row of each position of the batch.
    slots: IndexBuffer,
    /// The distinct rows of the table, `[rows, d]`.
    rows: Gpu,
    /// Their hidden values, `[rows, h]`.
    hidden: Gpu,
}

impl DeviceSide {
    fn new(list: impl Iterator<Item = u32>, table: &Gpu, w: &Gpu, bias: Option<&Gpu>) -> Self {
        let (groups, client) = (RowGroups::new(list), table.client());
        let slots = IndexBuffer::new(client, &groups.slots());
        let groups = DeviceRowGroups::new(client, &groups);
        let rows = copy_rows(table, &groups.rows, groups.count);
        let hidden = add_bias(&product_nn(&rows, w), None, bias, None, None);
        Self { groups, slots, rows, hidden }
    }
}

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn margins_kernel(
    a: &[f32],
    b: &[f32],
    users: &[u32],
    items: &[u32],
    w: &[f32],
    losses: &mut [f32],
    slopes: &mut [f32],
    count: u32,
    h: u32,
    #[comptime] across: u32,
) {
    let mut shared = Shared::<[f32]>::new_slice(256usize);
    let at = CUBE_POS * CUBE_DIM_Y as usize + UNIT_POS_Y as usize;
    let mut margin = 0f32;
    if at < count as usize {
        let u = users[at] as usize * h as usize;
        let p = items[at] as usize * h as usize;
        let n = items[count as usize + at] as usize * h as usize;
        let mut c = UNIT_POS_X;
        while c < h {
            let column = c as usize;
            let up = max(a[u + column] + b[n + column], 0.0f32);
            let down = max(a[u + column] + b[p + column], 0.0f32);
            margin += w[column] * (up - down);
            c += CUBE_DIM_X;
        }
    }
    let margin = cube_sum(margin, &mut shared, across);
    if at < count as usize && UNIT_POS_X == 0 {
        losses[at] = softplus_device(margin);
        slopes[at] = slope_device(margin) / f32::cast_from(count);
    }
}

/// `∂a` of the distinct users, or with `items` `∂b` of the distinct items.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn hidden_kernel(
    a: &[f32],
    b: &[f32],
    users: &[u32],
    items: &[u32],
    w: &[f32],
    slopes: &[f32],
    starts: &[u32],
    positions: &[u32],
    g: &[f32],
    out: &mut [f32],
    groups: u32,
    count: u32,
    h: u32,
    #[comptime] of_items: bool,
) {
    let at = CUBE_POS * CUBE_DIM_Y as usize + UNIT_POS_Y as usize;
    if at < groups as usize {
        let start = starts[at];
        let end = starts[at + 1];
        let scale = g[0];
        let mut c = UNIT_POS_X;
        while c < h {
            let column = c as usize;
            let own = at * h as usize + column;
            let mut sum = 0f32;
            for e in start..end {
                let position = positions[e as usize];
                let k = (position % count) as usize;
                let slope = scale * slopes[k] * w[column];
                if comptime!(of_items) {
                    if a[users[k] as usize * h as usize + column] + b[own] > 0.0 {
                        if position < count {
                            sum -= slope;
                        } else {
                            sum += slope;
                        }
                    }
                } else {
                    let p = items[k] as usize * h as usize + column;
                    let n = items[count as usize + k] as usize * h as usize + column;
                    if a[own] + b[n] > 0.0 {
                        sum += slope;
                    }
                    if a[own] + b[p] > 0.0 {
                        sum -= slope;
                    }
                }
            }
            out[own] = sum;
            c += CUBE_DIM_X;
        }
    }
}

/// Triples of `∂out` summed per unit.
const RUN: u32 = 32;

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn out_kernel(
    a: &[f32],
    b: &[f32],
    users: &[u32],
    items: &[u32],
    slopes: &[f32],
    g: &[f32],
    out: &mut [f32],
    count: u32,
    h: u32,
    values: u32,
) {
    let at = ABSOLUTE_POS;
    if at < values as usize {
        let column = at % h as usize;
        let first = (at / h as usize) as u32 * RUN;
        let end = min(first + RUN, count);
        let mut sum = 0f32;
        for k in first..end {
            let u = a[users[k as usize] as usize * h as usize + column];
            let p = b[items[k as usize] as usize * h as usize + column];
            let n = b[items[(count + k) as usize] as usize * h as usize + column];
            sum += slopes[k as usize] * (max(u + n, 0.0f32) - max(u + p, 0.0f32));
        }
        out[at] = g[0] * sum;
    }
}

/// The five tensors, both sides, and the slopes of the triples.
#[derive(Debug, Clone)]
pub(crate) struct PairMlpDeviceSaved {
    all: [Gpu; 5],
    users: DeviceSide,
    items: DeviceSide,
    slopes: Gpu,
}

impl PairMlpDeviceSaved {
    fn hidden_slopes(&self, of_items: bool, g: &Gpu) -> Gpu {
        let side = if of_items { &self.items } else { &self.users };
        let (groups, h) = (&side.groups, side.hidden.cols());
        let out = Gpu::empty(g, [groups.count, h]);
        let (cubes, dim) = launch_per_row(groups.count, h);
        // SAFETY: slots are distinct rows, positions are those of the batch.
        unsafe {
            hidden_kernel::launch_unchecked(
                g.client(),
                cubes,
                dim,
                self.users.hidden.arg(),
                self.items.hidden.arg(),
                self.users.slots.arg(),
                self.items.slots.arg(),
                self.all[4].arg(),
                self.slopes.arg(),
                groups.starts.arg(),
                groups.positions.arg(),
                g.arg(),
                out.arg(),
                groups.count as u32,
                self.slopes.len() as u32,
                h as u32,
                of_items,
            );
        }
        out
    }

    fn out_slopes(&self, g: &Gpu) -> Gpu {
        let (b, h) = (self.slopes.len(), self.users.hidden.cols());
        let runs = b.div_ceil(RUN as usize);
        let out = Gpu::empty(g, [runs, h]);
        let (cubes, dim) = launch_per_value(runs * h);
        // SAFETY: as above.
        unsafe {
            out_kernel::launch_unchecked(
                g.client(),
                cubes,
                dim,
                self.users.hidden.arg(),
                self.items.hidden.arg(),
                self.users.slots.arg(),
                self.items.slots.arg(),
                self.slopes.arg(),
                g.arg(),
                out.arg(),
                b as u32,
                h as u32,
                (runs * h) as u32,
            );
        }
        column_sums(&out)
    }
}

impl Operator<5, Gpu> for Pair {
    type Saved = PairMlpDeviceSaved;

    fn forward(&self, all: [Gpu; 5], _: bool) -> (Gpu, PairMlpDeviceSaved) {
        let t = &self.0;
        let [table, w_user, w_item, bias, out] = &all;
        t.check(table.rows());
        check([table, w_user, w_item].map(|x| [x.rows(), x.cols()]), [bias, out].map(Gpu::len));
        let users = DeviceSide::new(t.users.iter().copied(), table, w_user, Some(bias));
        let items = DeviceSide::new(t.positives.iter().chain(&t.negatives).copied(), table, w_item, None);
        let (b, h) = (t.len(), bias.len());
        let (losses, slopes) = (Gpu::empty(table, [b]), Gpu::empty(table, [b]));
        let (cubes, dim) = launch_per_row(b, h);
        // SAFETY: slots are distinct rows of each side.
        unsafe {
            margins_kernel::launch_unchecked(
                table.client(),
                cubes,
                dim,
                users.hidden.arg(),
                items.hidden.arg(),
                users.slots.arg(),
                items.slots.arg(),
                out.arg(),
                losses.arg(),
                slopes.arg(),
                b as u32,
                h as u32,
                units_per_row(h),
            );
        }
        (scaled_total(&losses, 1.0 / b as f32), PairMlpDeviceSaved { all, users, items, slopes })
    }

    fn backward(&self, saved: PairMlpDeviceSaved, g: Gpu, needs: [bool; 5]) -> [Option<Gpu>; 5] {
        let [to_users, to_items] = [false, true].map(|of_items| saved.hidden_slopes(of_items, &g));
        let [table, w_user, w_item, _, _] = &saved.all;
        let d_table = needs[0].then(|| {
            let out = Gpu::zeros(table, [table.rows(), table.cols()]);
            for (side, slopes, w) in [(&saved.users, &to_users, w_user), (&saved.items, &to_items, w_item)] {
                add_rows(&product_nt(slopes, w), &side.groups, &out);
            }
            out
        });
        [
            d_table,
            needs[1].then(|| product_tn(&saved.users.rows, &to_users)),
            needs[2].then(|| product_tn(&saved.items.rows, &to_items)),
            needs[3].then(|| column_sums(&to_users)),
            needs[4].then(|| saved.out_slopes(&g)),
        ]
    }
}
