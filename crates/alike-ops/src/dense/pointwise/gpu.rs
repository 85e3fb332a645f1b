//! The same maps on a graphics processor.

use cubecl::prelude::*;

use super::{Add, AddRow, Curve, Map, Multiply, ScaleRows, SumSquares, UnitRows};
use crate::autodiff::Operator;
use crate::gpu::{
    Gpu, column_sums, cube_sum, launch_per_row, launch_per_value, part_of_dot, scaled_total, units_per_row,
};

/// How a kernel combines two values.
const PRODUCT: u32 = 0;
const SUM: u32 = 1;
/// The second has one value per row, or one per column.
const BY_ROW: u32 = 2;
const BY_COLUMN: u32 = 3;

#[cube(launch_unchecked)]
fn two_kernel(a: &[f32], b: &[f32], out: &mut [f32], count: u32, d: u32, #[comptime] how: u32) {
    let at = ABSOLUTE_POS;
    if at < count as usize {
        if comptime!(how == PRODUCT) {
            out[at] = a[at] * b[at];
        } else if comptime!(how == SUM) {
            out[at] = a[at] + b[at];
        } else if comptime!(how == BY_ROW) {
            out[at] = a[at] * b[at / d as usize];
        } else {
            out[at] = a[at] + b[at % d as usize];
        }
    }
}

fn two(a: &Gpu, b: &Gpu, how: u32) -> Gpu {
    let out = Gpu::empty(a, [a.rows(), a.cols()]);
    let (cubes, dim) = launch_per_value(a.len());
    // SAFETY: the callers check that `b` has a value for each of `a`, its rows or its columns.
    unsafe {
        two_kernel::launch_unchecked(
            a.client(),
            cubes,
            dim,
            a.arg(),
            b.arg(),
            out.arg(),
            a.len() as u32,
            a.cols().max(1) as u32,
            how,
        );
    }
    out
}

fn same_shape(a: &Gpu, b: &Gpu) {
    assert_eq!((a.rows(), a.cols()), (b.rows(), b.cols()), "two of one shape");
}

const LEAKY: u32 = 0;
const SIGMOID: u32 = 1;

#[cube(launch_unchecked)]
fn curve_kernel(x: &[f32], out: &mut [f32], count: u32, slope: f32, #[comptime] curve: u32) {
    let at = ABSOLUTE_POS;
    if at < count as usize {
        let v = x[at];
        if comptime!(curve == LEAKY) {
            out[at] = max(v, slope * v);
        } else if comptime!(curve == SIGMOID) {
            out[at] = 1.0 / (1.0 + (-v).exp());
        } else {
            out[at] = v.tanh();
        }
    }
}

#[cube(launch_unchecked)]
fn slope_kernel(y: &[f32], g: &[f32], out: &mut [f32], count: u32, slope: f32, #[comptime] curve: u32) {
    let at = ABSOLUTE_POS;
    if at < count as usize {
        let v = y[at];
        if comptime!(curve == LEAKY) {
            out[at] = if v > 0.0 { g[at] } else { g[at] * slope };
        } else if comptime!(curve == SIGMOID) {
            out[at] = g[at] * v * (1.0 - v);
        } else {
            out[at] = g[at] * (1.0 - v * v);
        }
    }
}

impl Map {
    fn code(&self) -> (u32, f32) {
        match self.0 {
            Curve::Leaky(slope) => (LEAKY, slope),
            Curve::Sigmoid => (SIGMOID, 0.0),
            Curve::Tanh => (2, 0.0),
        }
    }
}

impl Operator<1, Gpu> for Map {
    type Saved = Gpu;

    fn forward(&self, [x]: [Gpu; 1], _: bool) -> (Gpu, Gpu) {
        let (curve, slope) = self.code();
        let out = Gpu::empty(&x, [x.rows(), x.cols()]);
        let (cubes, dim) = launch_per_value(x.len());
        // SAFETY: a value of `out` for each of `x`.
        unsafe {
            curve_kernel::launch_unchecked(
                x.client(),
                cubes,
                dim,
                x.arg(),
                out.arg(),
                x.len() as u32,
                slope,
                curve,
            );
        }
        (out.clone(), out)
    }

    fn backward(&self, y: Gpu, grad: Gpu, [needed]: [bool; 1]) -> [Option<Gpu>; 1] {
        let (curve, slope) = self.code();
        let gradient = || {
            let out = Gpu::empty(&y, [y.rows(), y.cols()]);
            let (cubes, dim) = launch_per_value(y.len());
            // SAFETY: gradient and result have a value for each of `y`.
            unsafe {
                slope_kernel::launch_unchecked(
                    y.client(),
                    cubes,
                    dim,
                    y.arg(),
                    grad.arg(),
                    out.arg(),
                    y.len() as u32,
                    slope,
                    curve,
                );
            }
            out
        };
        [needed.then(gradient)]
    }
}

impl Operator<2, Gpu> for Multiply {
    type Saved = [Gpu; 2];

    fn forward(&self, [x, y]: [Gpu; 2], _: bool) -> (Gpu, [Gpu; 2]) {
        same_shape(&x, &y);
        (two(&x, &y, PRODUCT), [x, y])
    }

    fn backward(&self, [x, y]: [Gpu; 2], grad: Gpu, needs: [bool; 2]) -> [Option<Gpu>; 2] {
        [needs[0].then(|| two(&y, &grad, PRODUCT)), needs[1].then(|| two(&x, &grad, PRODUCT))]
    }
}

impl Operator<2, Gpu> for Add {
    type Saved = ();

    fn forward(&self, [x, y]: [Gpu; 2], _: bool) -> (Gpu, ()) {
        same_shape(&x, &y);
        (two(&x, &y, SUM), ())
    }

    fn backward(&self, (): (), grad: Gpu, needs: [bool; 2]) -> [Option<Gpu>; 2] {
        needs.map(|needed| needed.then(|| grad.clone()))
    }
}

impl Operator<2, Gpu> for AddRow {
    type Saved = ();

    fn forward(&self, [x, b]: [Gpu; 2], _: bool) -> (Gpu, ()) {
        assert_eq!((b.rows(), b.cols()), (1, x.cols()), "one row as wide as the others");
        (two(&x, &b, BY_COLUMN), ())
    }

    fn backward(&self, (): (), grad: Gpu, needs: [bool; 2]) -> [Option<Gpu>; 2] {
        let db = needs[1].then(|| column_sums(&grad).reshaped([1, grad.cols()]));
        [needs[0].then_some(grad), db]
    }
}

#[cube(launch_unchecked)]
fn dots_kernel(a: &[f32], b: &[f32], out: &mut [f32], rows: u32, d: u32, #[comptime] across: u32) {
    let mut shared = Shared::<[f32]>::new_slice(256usize);
    let at = CUBE_POS * CUBE_DIM_Y as usize + UNIT_POS_Y as usize;
    let mut sum = 0f32;
    if at < rows as usize {
        sum = part_of_dot(a, b, at * d as usize, d);
    }
    let sum = cube_sum(sum, &mut shared, across);
    if at < rows as usize && UNIT_POS_X == 0 {
        out[at] = sum;
    }
}

/// `a_r · b_r` of each row, `[n, 1]`.
fn dots(a: &Gpu, b: &Gpu) -> Gpu {
    let (n, d) = (a.rows(), a.cols());
    let out = Gpu::empty(a, [n, 1]);
    let (cubes, dim) = launch_per_row(n, d);
    // SAFETY: two matrices of one shape; one value per row is written.
    unsafe {
        dots_kernel::launch_unchecked(
            a.client(),
            cubes,
            dim,
            a.arg(),
            b.arg(),
            out.arg(),
            n as u32,
            d as u32,
            units_per_row(d),
        );
    }
    out
}

impl Operator<2, Gpu> for ScaleRows {
    type Saved = [Gpu; 2];

    fn forward(&self, [x, s]: [Gpu; 2], _: bool) -> (Gpu, [Gpu; 2]) {
        assert_eq!((s.rows(), s.cols()), (x.rows(), 1), "one factor per row");
        (two(&x, &s, BY_ROW), [x, s])
    }

    fn backward(&self, [x, s]: [Gpu; 2], grad: Gpu, needs: [bool; 2]) -> [Option<Gpu>; 2] {
        [needs[0].then(|| two(&grad, &s, BY_ROW)), needs[1].then(|| dots(&x, &grad))]
    }
}

#[cube(launch_unchecked)]
fn unit_kernel(x: &[f32], out: &mut [f32], scales: &mut [f32], rows: u32, d: u32, #[comptime] across: u32) {
    let mut shared = Shared::<[f32]>::new_slice(256usize);
    let at = CUBE_POS * CUBE_DIM_Y as usize + UNIT_POS_Y as usize;
    let mut sum = 0f32;
    if at < rows as usize {
        sum = part_of_dot(x, x, at * d as usize, d);
    }
    let sum = cube_sum(sum, &mut shared, across);
    let mut scale = 0f32;
    if sum > 1e-24 {
        scale = 1.0 / sum.sqrt();
    }
    if at < rows as usize {
        let mut c = UNIT_POS_X;
        while c < d {
            let place = at * d as usize + c as usize;
            out[place] = scale * x[place];
            c += CUBE_DIM_X;
        }
        if UNIT_POS_X == 0 {
            scales[at] = scale;
        }
    }
}

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn unit_backward_kernel(
    y: &[f32],
    g: &[f32],
    scales: &[f32],
    out: &mut [f32],
    rows: u32,
    d: u32,
    #[comptime] across: u32,
) {
    let mut shared = Shared::<[f32]>::new_slice(256usize);
    let at = CUBE_POS * CUBE_DIM_Y as usize + UNIT_POS_Y as usize;
    let mut sum = 0f32;
    if at < rows as usize {
        sum = part_of_dot(y, g, at * d as usize, d);
    }
    let along = cube_sum(sum, &mut shared, across);
    if at < rows as usize {
        let scale = scales[at];
        let mut c = UNIT_POS_X;
        while c < d {
            let place = at * d as usize + c as usize;
            out[place] = scale * (g[place] - along * y[place]);
            c += CUBE_DIM_X;
        }
    }
}

impl Operator<1, Gpu> for UnitRows {
    /// The result, and `1/‖x‖` of each row, 0 where that is not defined.
    type Saved = [Gpu; 2];

    fn forward(&self, [x]: [Gpu; 1], _: bool) -> (Gpu, [Gpu; 2]) {
        let (n, d) = (x.rows(), x.cols());
        let (y, scales) = (Gpu::empty(&x, [n, d]), Gpu::empty(&x, [n]));
        let (cubes, dim) = launch_per_row(n, d);
        // SAFETY: results of the shape of `x`, and one value per row.
        unsafe {
            unit_kernel::launch_unchecked(
                x.client(),
                cubes,
                dim,
                x.arg(),
                y.arg(),
                scales.arg(),
                n as u32,
                d as u32,
                units_per_row(d),
            );
        }
        (y.clone(), [y, scales])
    }

    fn backward(&self, [y, scales]: [Gpu; 2], grad: Gpu, [needed]: [bool; 1]) -> [Option<Gpu>; 1] {
        let gradient = || {
            let (n, d) = (y.rows(), y.cols());
            let out = Gpu::empty(&y, [n, d]);
            let (cubes, dim) = launch_per_row(n, d);
            // SAFETY: as in the forward pass.
            unsafe {
                unit_backward_kernel::launch_unchecked(
                    y.client(),
                    cubes,
                    dim,
                    y.arg(),
                    grad.arg(),
                    scales.arg(),
                    out.arg(),
                    n as u32,
                    d as u32,
                    units_per_row(d),
                );
            }
            out
        };
        [needed.then(gradient)]
    }
}

#[cube(launch_unchecked)]
fn twice_kernel(x: &[f32], g: &[f32], out: &mut [f32], count: u32) {
    let at = ABSOLUTE_POS;
    if at < count as usize {
        out[at] = 2.0 * g[0] * x[at];
    }
}

impl Operator<1, Gpu> for SumSquares {
    type Saved = Gpu;

    fn forward(&self, [x]: [Gpu; 1], _: bool) -> (Gpu, Gpu) {
        (scaled_total(&two(&x, &x, PRODUCT), 1.0), x)
    }

    fn backward(&self, x: Gpu, grad: Gpu, [needed]: [bool; 1]) -> [Option<Gpu>; 1] {
        let gradient = || {
            let out = Gpu::empty(&x, [x.rows(), x.cols()]);
            let (cubes, dim) = launch_per_value(x.len());
            // SAFETY: a value for each of `x`; the gradient to the sum is one value.
            unsafe {
                twice_kernel::launch_unchecked(
                    x.client(),
                    cubes,
                    dim,
                    x.arg(),
                    grad.arg(),
                    out.arg(),
                    x.len() as u32,
                );
            }
            out
        };
        [needed.then(gradient)]
    }
}
