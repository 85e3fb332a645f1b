//! The same map on a graphics processor: the backend's products, and one pass for bias, activation and scale.

use std::array::from_fn;

use cubecl::prelude::*;

use super::{Activation, Linear};
use crate::autodiff::Operator;
use crate::gpu::{
    Gpu, IndexBuffer, add_bias, column_sums, inverse_root, join_rows, launch_per_value, product_nn,
    product_nt, product_tn, some_of,
};
use crate::sparse::csr::Csr;

/// The parts of `x`, `W`, and `y` if the activation needs its sign.
#[derive(Debug, Clone)]
pub(crate) struct LinearDeviceSaved<const P: usize> {
    x: [Gpu; P],
    w: Gpu,
    y: Option<Gpu>,
}

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn inner_kernel(
    y: &[f32],
    g: &[f32],
    ptr: &[u32],
    out: &mut [f32],
    count: u32,
    d: u32,
    slope: f32,
    #[comptime] leaky: bool,
    #[comptime] scaled: bool,
) {
    let at = ABSOLUTE_POS;
    if at < count as usize {
        let mut v = g[at];
        if comptime!(leaky) {
            v *= select(y[at] > 0.0, 1.0f32, slope);
        }
        if comptime!(scaled) {
            v *= inverse_root(ptr, at / d as usize);
        }
        out[at] = v;
    }
}

impl Linear {
    fn slope(&self) -> Option<f32> {
        match self.activation {
            Activation::None => None,
            Activation::Leaky(slope) => Some(slope),
        }
    }

    /// The row pointers of the scale's pattern.
    fn pointers(&self, like: &Gpu) -> Option<IndexBuffer> {
        let pattern: &Csr = self.row_scale.as_ref()?;
        Some(pattern.device_csr(like).ptr.clone())
    }

    fn affine_device<const P: usize>(
        &self,
        x: [Gpu; P],
        w: Gpu,
        b: Option<&Gpu>,
    ) -> (Gpu, LinearDeviceSaved<P>) {
        let (n, q) = (x[0].rows(), w.cols());
        let width: usize = x.iter().map(Gpu::cols).sum();
        assert!(x.iter().all(|x| x.rows() == n), "parts of as many rows");
        assert!(w.rows() == width, "weight is [{width}, {q}], not [{}, {q}]", w.rows());
        assert!(b.is_none_or(|b| b.len() == q), "bias is [{q}]");
        let parts = weights(&x, &w);
        let products: [Gpu; P] = from_fn(|i| product_nn(&x[i], &parts[i]));
        let y = add_bias(&products[0], products.get(1), b, self.slope(), self.pointers(&w).as_ref());
        let saved = self.slope().map(|_| y.clone());
        (y, LinearDeviceSaved { x, w, y: saved })
    }

    /// `h = s ⊙ φ'(y) ⊙ g`.
    fn inner_device(&self, y: Option<&Gpu>, g: &Gpu) -> Gpu {
        let (slope, pointers) = (self.slope(), self.pointers(g));
        if slope.is_none() && pointers.is_none() {
            return g.clone();
        }
        let out = Gpu::empty(g, [g.rows(), g.cols()]);
        let (cubes, dim) = launch_per_value(g.len());
        let none = IndexBuffer::new(g.client(), &[]);
        // SAFETY: `y` and the result have a value for each of `g`, the pattern one pointer per row and one
        // more.
        unsafe {
            inner_kernel::launch_unchecked(
                g.client(),
                cubes,
                dim,
                y.unwrap_or(g).arg(),
                g.arg(),
                pointers.as_ref().unwrap_or(&none).arg(),
                out.arg(),
                g.len() as u32,
                g.cols() as u32,
                slope.unwrap_or(1.0),
                slope.is_some(),
                pointers.is_some(),
            );
        }
        out
    }

    fn affine_backward_device<const P: usize>(
        &self,
        saved: LinearDeviceSaved<P>,
        g: &Gpu,
        needs: [bool; P],
        [need_w, need_b]: [bool; 2],
    ) -> ([Option<Gpu>; P], Option<Gpu>, Option<Gpu>) {
        let LinearDeviceSaved { x, w, y } = saved;
        let h = self.inner_device(y.as_ref(), g);
        let parts = weights(&x, &w);
        let dx = from_fn(|i| needs[i].then(|| product_nt(&h, &parts[i])));
        let dw = need_w.then(|| join_rows(&x.each_ref().map(|x| product_tn(x, &h))));
        (dx, dw, need_b.then(|| column_sums(&h)))
    }
}

/// The rows of `w` that belong to each part of `x`.
fn weights<const P: usize>(x: &[Gpu; P], w: &Gpu) -> [Gpu; P] {
    let mut first = 0;
    x.each_ref().map(|x| {
        let here = first..first + x.cols();
        first = here.end;
        some_of(w, here)
    })
}

impl Operator<2, Gpu> for Linear {
    type Saved = LinearDeviceSaved<1>;

    fn forward(&self, [x, w]: [Gpu; 2], _: bool) -> (Gpu, LinearDeviceSaved<1>) {
        self.affine_device([x], w, None)
    }

    fn backward(&self, saved: LinearDeviceSaved<1>, grad: Gpu, [x, w]: [bool; 2]) -> [Option<Gpu>; 2] {
        let ([dx], dw, _) = self.affine_backward_device(saved, &grad, [x], [w, false]);
        [dx, dw]
    }
}

impl Operator<3, Gpu> for Linear {
    type Saved = LinearDeviceSaved<1>;

    fn forward(&self, [x, w, b]: [Gpu; 3], _: bool) -> (Gpu, LinearDeviceSaved<1>) {
        self.affine_device([x], w, Some(&b))
    }

    fn backward(&self, saved: LinearDeviceSaved<1>, grad: Gpu, [x, w, b]: [bool; 3]) -> [Option<Gpu>; 3] {
        let ([dx], dw, db) = self.affine_backward_device(saved, &grad, [x], [w, b]);
        [dx, dw, db]
    }
}

impl Operator<4, Gpu> for Linear {
    type Saved = LinearDeviceSaved<2>;

    fn forward(&self, [x1, x2, w, b]: [Gpu; 4], _: bool) -> (Gpu, LinearDeviceSaved<2>) {
        self.affine_device([x1, x2], w, Some(&b))
    }

    fn backward(
        &self,
        saved: LinearDeviceSaved<2>,
        grad: Gpu,
        [x1, x2, w, b]: [bool; 4],
    ) -> [Option<Gpu>; 4] {
        let ([dx1, dx2], dw, db) = self.affine_backward_device(saved, &grad, [x1, x2], [w, b]);
        [dx1, dx2, dw, db]
    }
}
