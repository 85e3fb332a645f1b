//! The same projection on a graphics processor, where the features are copied once.

use super::{FrozenFeatures, Project, ProjectRows};
use crate::autodiff::Operator;
use crate::gpu::{Gpu, IndexBuffer, copy_rows, product_nn, product_tn};

impl FrozenFeatures {
    /// The features on the device of `like`.
    fn device_values(&self, like: &Gpu) -> Gpu {
        let copy = || Gpu::new(like.client(), like.device(), &self.values, [self.rows, self.cols]);
        Gpu::clone(&self.copies.get(like.device(), copy))
    }
}

impl Operator<1, Gpu> for Project {
    type Saved = ();

    fn forward(&self, [weight]: [Gpu; 1], _: bool) -> (Gpu, ()) {
        assert_eq!(weight.rows(), self.0.cols, "one row of the weight per column of the features");
        (product_nn(&self.0.device_values(&weight), &weight), ())
    }

    fn backward(&self, (): (), grad: Gpu, [needed]: [bool; 1]) -> [Option<Gpu>; 1] {
        [needed.then(|| product_tn(&self.0.device_values(&grad), &grad))]
    }
}

impl Operator<1, Gpu> for ProjectRows {
    /// The rows of the features, `[r, f]`.
    type Saved = Gpu;

    fn forward(&self, [weight]: [Gpu; 1], _: bool) -> (Gpu, Gpu) {
        let (x, n) = (&self.x, self.rows.len());
        assert_eq!(weight.rows(), x.cols, "one row of the weight per column of the features");
        assert!(self.rows.iter().all(|&r| (r as usize) < x.rows), "rows are rows of the features");
        let rows = IndexBuffer::new(weight.client(), &self.rows);
        let own = copy_rows(&x.device_values(&weight), &rows, n);
        (product_nn(&own, &weight), own)
    }

    fn backward(&self, own: Gpu, grad: Gpu, [needed]: [bool; 1]) -> [Option<Gpu>; 1] {
        [needed.then(|| product_tn(&own, &grad))]
    }
}
