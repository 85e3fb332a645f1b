//! The same loss on a graphics processor.

use cubecl::prelude::*;

use super::{Pair, check};
use crate::bpr::gpu::{slope_on, softplus_on};
use crate::extension::Operator;
use crate::gpu::{
    Gpu, TouchedOn, Words, a_group_each, a_unit_each, add_bias, add_rows, column_sums, copy_rows, cube_sum,
    lanes, product_nn, product_nt, product_tn, scaled_total,
};
use crate::touched::Touched;

/// The distinct rows of one side of the batch.
#[derive(Debug, Clone)]
struct SideOn {
    touched: TouchedOn,
    /// For each place of the batch its distinct row.
    slots: Words,
    /// The distinct rows of the table, `[rows, d]`.
    rows: Gpu,
    /// Their hidden values, `[rows, h]`.
    hidden: Gpu,
}

impl SideOn {
    fn new(list: impl Iterator<Item = u32>, table: &Gpu, w: &Gpu, bias: Option<&Gpu>) -> Self {
        let (touched, client) = (Touched::new(list), table.client());
        let slots = Words::new(client, &touched.slots());
        let touched = TouchedOn::new(client, &touched);
        let rows = copy_rows(table, &touched.rows, touched.count);
        let hidden = add_bias(&product_nn(&rows, w), None, bias, None, None);
        Self { touched, slots, rows, hidden }
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
            let place = c as usize;
            let up = max(a[u + place] + b[n + place], 0.0f32);
            let down = max(a[u + place] + b[p + place], 0.0f32);
            margin += w[place] * (up - down);
            c += CUBE_DIM_X;
        }
    }
    let margin = cube_sum(margin, &mut shared, across);
    if at < count as usize && UNIT_POS_X == 0 {
        losses[at] = softplus_on(margin);
        slopes[at] = slope_on(margin) / f32::cast_from(count);
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
    places: &[u32],
    g: &[f32],
    out: &mut [f32],
    touched: u32,
    count: u32,
    h: u32,
    #[comptime] of_items: bool,
) {
    let at = CUBE_POS * CUBE_DIM_Y as usize + UNIT_POS_Y as usize;
    if at < touched as usize {
        let start = starts[at];
        let end = starts[at + 1];
        let scale = g[0];
        let mut c = UNIT_POS_X;
        while c < h {
            let place = c as usize;
            let own = at * h as usize + place;
            let mut sum = 0f32;
            for e in start..end {
                let of = places[e as usize];
                let k = (of % count) as usize;
                let slope = scale * slopes[k] * w[place];
                if comptime!(of_items) {
                    if a[users[k] as usize * h as usize + place] + b[own] > 0.0 {
                        if of < count {
                            sum -= slope;
                        } else {
                            sum += slope;
                        }
                    }
                } else {
                    let p = items[k] as usize * h as usize + place;
                    let n = items[count as usize + k] as usize * h as usize + place;
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

/// Triples whose part of `∂out` a unit sums.
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
        let place = at % h as usize;
        let first = (at / h as usize) as u32 * RUN;
        let end = min(first + RUN, count);
        let mut sum = 0f32;
        for k in first..end {
            let u = a[users[k as usize] as usize * h as usize + place];
            let p = b[items[k as usize] as usize * h as usize + place];
            let n = b[items[(count + k) as usize] as usize * h as usize + place];
            sum += slopes[k as usize] * (max(u + n, 0.0f32) - max(u + p, 0.0f32));
        }
        out[at] = g[0] * sum;
    }
}

/// The five tensors, both sides, and the slopes of the triples.
#[derive(Debug, Clone)]
pub(crate) struct KeptOn {
    all: [Gpu; 5],
    users: SideOn,
    items: SideOn,
    slopes: Gpu,
}

impl KeptOn {
    fn hidden_slopes(&self, of_items: bool, g: &Gpu) -> Gpu {
        let side = if of_items { &self.items } else { &self.users };
        let (touched, h) = (&side.touched, side.hidden.cols());
        let out = Gpu::empty(g, [touched.count, h]);
        let (cubes, dim) = a_group_each(touched.count, h);
        // SAFETY: slots are distinct rows, places are those of the batch.
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
                touched.starts.arg(),
                touched.places.arg(),
                g.arg(),
                out.arg(),
                touched.count as u32,
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
        let (cubes, dim) = a_unit_each(runs * h);
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
    type Saved = KeptOn;

    fn forward(&self, all: [Gpu; 5], _: bool) -> (Gpu, KeptOn) {
        let t = &self.0;
        let [table, w_user, w_item, bias, out] = &all;
        t.check(table.rows());
        check([table, w_user, w_item].map(|x| [x.rows(), x.cols()]), [bias, out].map(Gpu::len));
        let users = SideOn::new(t.users.iter().copied(), table, w_user, Some(bias));
        let items = SideOn::new(t.positives.iter().chain(&t.negatives).copied(), table, w_item, None);
        let (b, h) = (t.len(), bias.len());
        let (losses, slopes) = (Gpu::empty(table, [b]), Gpu::empty(table, [b]));
        let (cubes, dim) = a_group_each(b, h);
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
                lanes(h),
            );
        }
        (scaled_total(&losses, 1.0 / b as f32), KeptOn { all, users, items, slopes })
    }

    fn backward(&self, kept: KeptOn, g: Gpu, needs: [bool; 5]) -> [Option<Gpu>; 5] {
        let [to_users, to_items] = [false, true].map(|of_items| kept.hidden_slopes(of_items, &g));
        let [table, w_user, w_item, _, _] = &kept.all;
        let d_table = needs[0].then(|| {
            let out = Gpu::zeros(table, [table.rows(), table.cols()]);
            for (side, slopes, w) in [(&kept.users, &to_users, w_user), (&kept.items, &to_items, w_item)] {
                add_rows(&product_nt(slopes, w), &side.touched, &out);
            }
            out
        });
        [
            d_table,
            needs[1].then(|| product_tn(&kept.users.rows, &to_users)),
            needs[2].then(|| product_tn(&kept.items.rows, &to_items)),
            needs[3].then(|| column_sums(&to_users)),
            needs[4].then(|| kept.out_slopes(&g)),
        ]
    }
}
