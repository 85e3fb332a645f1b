//! The same products on a graphics processor.

use std::sync::Arc;

use super::{ConstSparse, Propagation};
use crate::autodiff::Operator;
use crate::gpu::{DeviceMatrix, Gpu};

impl ConstSparse {
    /// The matrix on the device of `like`.
    pub(crate) fn device_matrix(&self, like: &Gpu) -> Arc<DeviceMatrix> {
        let p = &self.pattern;
        self.copies[0].get(like.device(), || DeviceMatrix::new(like, p.ptr(), p.idx(), &self.values))
    }

    /// Its transpose there: the same copy where the two are equal.
    pub(crate) fn device_transposed(&self, like: &Gpu) -> Arc<DeviceMatrix> {
        match self.transpose() {
            None => self.device_matrix(like),
            Some(t) => self.copies[1]
                .get(like.device(), || DeviceMatrix::new(like, t.pattern.ptr(), t.pattern.idx(), &t.values)),
        }
    }
}

impl Propagation {
    fn run_device(&self, a: &DeviceMatrix, x: &Gpu) -> Gpu {
        let add = self.add.then_some(x);
        let mut z = x.clone();
        for layer in 1..=self.layers {
            let scale = if layer == self.layers { self.scale } else { 1.0 };
            z = a.view().product(&z, add, scale);
        }
        z
    }
}

impl Operator<1, Gpu> for Propagation {
    type Saved = ();

    fn forward(&self, [x]: [Gpu; 1], _: bool) -> (Gpu, ()) {
        let p = self.a.pattern();
        assert!(p.rows() == p.cols() || !self.add, "only a square matrix can be applied and added");
        assert_eq!(x.rows(), p.cols(), "rows of x and columns of the matrix");
        (self.run_device(&self.a.device_matrix(&x), &x), ())
    }

    fn backward(&self, (): (), grad: Gpu, [needed]: [bool; 1]) -> [Option<Gpu>; 1] {
        [needed.then(|| self.run_device(&self.a.device_transposed(&grad), &grad))]
    }
}
