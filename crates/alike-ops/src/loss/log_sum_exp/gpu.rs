//! The same on a graphics processor: one workgroup per row of pairs.

use cubecl::prelude::*;

use super::LogSumExp;
use crate::autodiff::Operator;
use crate::gpu::{Gpu, UNITS, cube_sum, grid, launch_per_value, product_nn, product_nt, product_tn};

/// Both matrices, `e^{(a_r · c_s - 1)/τ}` of each pair, and the sums over `s`.
#[derive(Debug, Clone)]
pub(crate) struct LogSumExpDeviceSaved {
    a: Gpu,
    c: Gpu,
    pairs: Gpu,
    sums: Gpu,
}

#[cube(launch_unchecked)]
fn pairs_kernel(
    pairs: &mut [f32],
    sums: &mut [f32],
    logs: &mut [f32],
    b: u32,
    k: u32,
    inverse: f32,
    #[comptime] others: bool,
) {
    let mut shared = Shared::<[f32]>::new_slice(comptime!(UNITS as usize));
    let row = CUBE_POS;
    let first = row * k as usize;
    let mut sum = 0f32;
    if row < b as usize {
        let mut s = UNIT_POS;
        while s < k {
            let mut e = ((pairs[first + s as usize] - 1.0) * inverse).exp();
            // One `if` is known when the kernel is made, the other is not.
            #[allow(clippy::collapsible_if)]
            if comptime!(others) {
                if s as usize == row {
                    e = 0f32;
                }
            }
            pairs[first + s as usize] = e;
            sum += e;
            s += UNITS;
        }
    }
    let sum = cube_sum(sum, &mut shared, UNITS);
    if row < b as usize && UNIT_POS == 0 {
        sums[row] = sum;
        logs[row] = sum.ln() + inverse;
    }
}

/// `g_r/(τ sum_r) · v` for the rows of `v`; 0 where the sum is.
#[cube(launch_unchecked)]
fn weighted_kernel(v: &[f32], sums: &[f32], g: &[f32], out: &mut [f32], count: u32, d: u32, inverse: f32) {
    let at = ABSOLUTE_POS;
    if at < count as usize {
        let row = at / d as usize;
        let mut share = 0f32;
        if sums[row] > 0.0 {
            share = g[row] * inverse / sums[row];
        }
        out[at] = share * v[at];
    }
}

impl Operator<2, Gpu> for LogSumExp {
    type Saved = LogSumExpDeviceSaved;

    fn forward(&self, [a, c]: [Gpu; 2], _: bool) -> (Gpu, LogSumExpDeviceSaved) {
        let (b, k, d) = (a.rows(), c.rows(), a.cols());
        assert!(d == c.cols() && b * k * d > 0, "rows of one width, not empty");
        assert!(!self.others || b == k, "pairs among the rows of one matrix");
        let pairs = product_nt(&a, &c);
        let (sums, logs) = (Gpu::empty(&a, [b]), Gpu::empty(&a, [b, 1]));
        // SAFETY: `pairs` is `b × k`, one workgroup per row.
        unsafe {
            pairs_kernel::launch_unchecked(
                a.client(),
                grid(b),
                CubeDim::new_1d(UNITS),
                pairs.arg(),
                sums.arg(),
                logs.arg(),
                b as u32,
                k as u32,
                1.0 / self.temperature,
                self.others,
            );
        }
        (logs, LogSumExpDeviceSaved { a, c, pairs, sums })
    }

    fn backward(&self, saved: LogSumExpDeviceSaved, grad: Gpu, needs: [bool; 2]) -> [Option<Gpu>; 2] {
        let LogSumExpDeviceSaved { a, c, pairs, sums } = &saved;
        let (b, d) = (a.rows(), a.cols());
        let weighted = |v: &Gpu| {
            let out = Gpu::empty(v, [b, d]);
            let (cubes, dim) = launch_per_value(b * d);
            // SAFETY: both are `b × d`, with a sum and a gradient per row.
            unsafe {
                weighted_kernel::launch_unchecked(
                    v.client(),
                    cubes,
                    dim,
                    v.arg(),
                    sums.arg(),
                    grad.arg(),
                    out.arg(),
                    (b * d) as u32,
                    d as u32,
                    1.0 / self.temperature,
                );
            }
            out
        };
        let da = needs[0].then(|| weighted(&product_nn(pairs, c)));
        let dc = needs[1].then(|| product_tn(pairs, &weighted(a)));
        [da, dc]
    }
}
