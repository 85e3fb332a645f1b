//! How many workgroups a kernel is launched with.

use cubecl::prelude::*;

/// Units of a workgroup.
pub(crate) const UNITS: u32 = 256;

/// `cubes` workgroups, in two dimensions if they are too many for one.
pub(crate) fn grid(cubes: usize) -> CubeCount {
    const WIDEST: usize = 32_768;
    let cubes = cubes.max(1);
    if cubes <= WIDEST {
        CubeCount::Static(cubes as u32, 1, 1)
    } else {
        CubeCount::Static(WIDEST as u32, cubes.div_ceil(WIDEST) as u32, 1)
    }
}

/// Workgroups of [`UNITS`], one unit per value.
pub(crate) fn launch_per_value(values: usize) -> (CubeCount, CubeDim) {
    (grid(values.div_ceil(UNITS as usize)), CubeDim::new_1d(UNITS))
}

/// Units that share a row of `d` values.
pub(crate) fn units_per_row(d: usize) -> u32 {
    (d as u32).next_power_of_two().clamp(8, 64)
}

/// Workgroups of [`UNITS`], a group of [`units_per_row`] per row of `d` values.
pub(crate) fn launch_per_row(rows: usize, d: usize) -> (CubeCount, CubeDim) {
    let wide = units_per_row(d);
    let tall = UNITS / wide;
    (grid(rows.div_ceil(tall as usize)), CubeDim::new_2d(wide, tall))
}
