//! The same on a graphics processor.

use cubecl::prelude::*;

/// `ln(1 + eˣ)` without overflow.
#[cube]
pub(crate) fn softplus_device(x: f32) -> f32 {
    max(x, 0.0f32) + (1.0 + (-x.abs()).exp()).ln()
}

/// Its derivative `σ(x)`.
#[cube]
pub(crate) fn slope_device(x: f32) -> f32 {
    let e = (-x.abs()).exp();
    let mut over = e;
    if x >= 0.0 {
        over = 1.0f32;
    }
    over / (1.0 + e)
}
