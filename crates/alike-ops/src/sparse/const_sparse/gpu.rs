//! The same products on a graphics processor.

use std::sync::Arc;

use super::{FixedSparse, Layers};
use crate::extension::Operator;
use crate::gpu::{Gpu, Graph, Sparse};

/// A matrix on a device.
#[derive(Debug)]
pub(crate) struct MatrixOn {
    graph: Graph,
    values: Gpu,
}

impl MatrixOn {
    pub(crate) fn view(&self) -> Sparse<'_> {
        Sparse { graph: &self.graph, values: Some(&self.values), places: None }
    }
}

impl FixedSparse {
    /// The matrix on the device of `like`.
    pub(crate) fn on(&self, like: &Gpu) -> Arc<MatrixOn> {
        let p = &self.pattern;
        self.copies[0].get(like.device(), || copy(like, p.ptr(), p.idx(), &self.values))
    }

    /// Its transpose there: the same copy where the two are equal.
    pub(crate) fn transposed_on(&self, like: &Gpu) -> Arc<MatrixOn> {
        match self.transpose() {
            None => self.on(like),
            Some(t) => {
                self.copies[1].get(like.device(), || copy(like, t.pattern.ptr(), t.pattern.idx(), &t.values))
            }
        }
    }
}

fn copy(like: &Gpu, ptr: &[u32], idx: &[u32], values: &[f32]) -> MatrixOn {
    let (client, device) = (like.client(), like.device());
    MatrixOn { graph: Graph::new(client, ptr, idx), values: Gpu::new(client, device, values, [values.len()]) }
}

impl Layers {
    fn run_on(&self, a: &MatrixOn, x: &Gpu) -> Gpu {
        let add = self.add.then_some(x);
        let mut z = x.clone();
        for layer in 1..=self.layers {
            let scale = if layer == self.layers { self.scale } else { 1.0 };
            z = a.view().product(&z, add, scale);
        }
        z
    }
}

impl Operator<1, Gpu> for Layers {
    type Saved = ();

    fn forward(&self, [x]: [Gpu; 1], _: bool) -> (Gpu, ()) {
        let p = self.a.pattern();
        assert!(p.rows() == p.cols() || !self.add, "only a square matrix can be applied and added");
        assert_eq!(x.rows(), p.cols(), "rows of x and columns of the matrix");
        (self.run_on(&self.a.on(&x), &x), ())
    }

    fn backward(&self, (): (), grad: Gpu, [needed]: [bool; 1]) -> [Option<Gpu>; 1] {
        [needed.then(|| self.run_on(&self.a.transposed_on(&grad), &grad))]
    }
}
