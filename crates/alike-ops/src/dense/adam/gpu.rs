//! The same step on a graphics processor.

use burn::backend::tensor::FloatTensor;
use cubecl::prelude::*;

use super::{AdamOps, Factors};
use crate::autodiff::Native;
use crate::gpu::{Cube, Gpu, launch_per_value};

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn step_kernel(
    p: &mut [f32],
    g: &[f32],
    m: &mut [f32],
    v: &mut [f32],
    count: u32,
    beta1: f32,
    beta2: f32,
    eps: f32,
    rate: f32,
    root: f32,
) {
    let at = ABSOLUTE_POS;
    if at < count as usize {
        let g = g[at];
        let mean = beta1 * m[at] + (1.0 - beta1) * g;
        let square = beta2 * v[at] + (1.0 - beta2) * g * g;
        m[at] = mean;
        v[at] = square;
        p[at] -= rate * mean / (square.sqrt() * root + eps);
    }
}

/// A tensor that shares its storage with no other.
fn own(t: Gpu) -> Gpu {
    if t.is_alone() { t } else { t.copied() }
}

impl AdamOps for Cube {
    fn adam(
        param: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        m: FloatTensor<Self>,
        v: FloatTensor<Self>,
        factors: Factors,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let [param, grad, m, v] = [param, grad, m, v].map(Self::from_primitive);
        let [param, m, v] = [param, m, v].map(own);
        let Factors { adam, rate, root } = factors;
        let (cubes, dim) = launch_per_value(param.len());
        // SAFETY: all have as many values, which `adam_step` checks; what changes is shared with no other
        // tensor.
        unsafe {
            step_kernel::launch_unchecked(
                param.client(),
                cubes,
                dim,
                param.arg(),
                grad.arg(),
                m.arg(),
                v.arg(),
                param.len() as u32,
                adam.beta1,
                adam.beta2,
                adam.eps,
                rate,
                root,
            );
        }
        (Self::into_primitive(param), Self::into_primitive(m), Self::into_primitive(v))
    }
}
