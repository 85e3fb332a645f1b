//! The same loss on a graphics processor: one workgroup per row of pairs.

use cubecl::prelude::*;

use super::InfoNce;
use crate::autodiff::Operator;
use crate::gpu::{
    Gpu, UNITS, cube_sum, grid, launch_per_value, product_nn, product_nt, product_tn, scaled_total,
};

/// Both views, `e^{(a_r · c_s - 1)/τ}` of each pair, and the sums over `s`.
#[derive(Debug, Clone)]
pub(crate) struct InfoNceDeviceSaved {
    a: Gpu,
    c: Gpu,
    pairs: Gpu,
    sums: Gpu,
}

#[cube(launch_unchecked)]
fn pairs_kernel(pairs: &mut [f32], sums: &mut [f32], losses: &mut [f32], b: u32, inverse: f32) {
    let mut shared = Shared::<[f32]>::new_slice(comptime!(UNITS as usize));
    let row = CUBE_POS;
    let first = row * b as usize;
    let mut same = 0f32;
    let mut sum = 0f32;
    if row < b as usize {
        let mut s = UNIT_POS;
        while s < b {
            let x = (pairs[first + s as usize] - 1.0) * inverse;
            if s as usize == row {
                same = x;
            }
            let e = x.exp();
            pairs[first + s as usize] = e;
            sum += e;
            s += UNITS;
        }
    }
    let sum = cube_sum(sum, &mut shared, UNITS);
    let same = cube_sum(same, &mut shared, UNITS);
    if row < b as usize && UNIT_POS == 0 {
        sums[row] = sum;
        losses[row] = sum.ln() - same;
    }
}

/// `g/(bτ) · (v / sums - other)`, or without `shares` `g/(bτ) · (v - other)`.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn finish_kernel(
    v: &[f32],
    sums: &[f32],
    other: &[f32],
    g: &[f32],
    out: &mut [f32],
    count: u32,
    d: u32,
    factor: f32,
    #[comptime] shares: bool,
) {
    let at = ABSOLUTE_POS;
    if at < count as usize {
        let mut x = v[at];
        if comptime!(shares) {
            x /= sums[at / d as usize];
        }
        out[at] = g[0] * factor * (x - other[at]);
    }
}

#[cube(launch_unchecked)]
fn shares_kernel(a: &[f32], sums: &[f32], out: &mut [f32], count: u32, d: u32) {
    let at = ABSOLUTE_POS;
    if at < count as usize {
        out[at] = a[at] / sums[at / d as usize];
    }
}

impl Operator<2, Gpu> for InfoNce {
    type Saved = InfoNceDeviceSaved;

    fn forward(&self, [a, c]: [Gpu; 2], _: bool) -> (Gpu, InfoNceDeviceSaved) {
        let (b, d) = (a.rows(), a.cols());
        assert!((b, d) == (c.rows(), c.cols()) && b * d > 0, "two views of one shape, not empty");
        let pairs = product_nt(&a, &c);
        let (sums, losses) = (Gpu::empty(&a, [b]), Gpu::empty(&a, [b]));
        // SAFETY: `pairs` is `b × b`, one workgroup per row.
        unsafe {
            pairs_kernel::launch_unchecked(
                a.client(),
                grid(b),
                CubeDim::new_1d(UNITS),
                pairs.arg(),
                sums.arg(),
                losses.arg(),
                b as u32,
                1.0 / self.temperature,
            );
        }
        (scaled_total(&losses, 1.0 / b as f32), InfoNceDeviceSaved { a, c, pairs, sums })
    }

    fn backward(&self, saved: InfoNceDeviceSaved, grad: Gpu, needs: [bool; 2]) -> [Option<Gpu>; 2] {
        let InfoNceDeviceSaved { a, c, pairs, sums } = &saved;
        let (b, d) = (a.rows(), a.cols());
        let factor = 1.0 / (b as f32 * self.temperature);
        let finish = |v: &Gpu, other: &Gpu, shares: bool| {
            let out = Gpu::empty(v, [b, d]);
            let (cubes, dim) = launch_per_value(b * d);
            // SAFETY: all are `b × d`, with a sum a row.
            unsafe {
                finish_kernel::launch_unchecked(
                    v.client(),
                    cubes,
                    dim,
                    v.arg(),
                    sums.arg(),
                    other.arg(),
                    grad.arg(),
                    out.arg(),
                    (b * d) as u32,
                    d as u32,
                    factor,
                    shares,
                );
            }
            out
        };
        let da = needs[0].then(|| finish(&product_nn(pairs, c), c, true));
        let dc = needs[1].then(|| {
            let shares = Gpu::empty(a, [b, d]);
            let (cubes, dim) = launch_per_value(b * d);
            // SAFETY: as above.
            unsafe {
                shares_kernel::launch_unchecked(
                    a.client(),
                    cubes,
                    dim,
                    a.arg(),
                    sums.arg(),
                    shares.arg(),
                    (b * d) as u32,
                    d as u32,
                );
            }
            finish(&product_tn(pairs, &shares), a, false)
        });
        [da, dc]
    }
}
