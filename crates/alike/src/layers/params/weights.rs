//! The parameters as the forward pass sees them.

use alike_ops::gather;
use burn::tensor::{Device, Gradients, Tensor};

use super::tables::{ParamId, Row, Table};
use crate::ids::numbers;

/// The parameters of one forward pass.
pub struct Weights(pub(super) Vec<Tensor<2>>);

impl Weights {
    /// The device of all of them.
    pub fn device(&self) -> Device {
        self.0.first().map_or_else(Device::flex, Tensor::device)
    }

    /// A whole table.
    pub fn table<R>(&self, table: Table<R>) -> Tensor<2> {
        self.matrix(table.id())
    }

    /// Rows of a table, in the order of `rows`.
    pub fn rows<R: Row>(&self, table: Table<R>, rows: &[R]) -> Tensor<2> {
        gather(self.matrix(table.id()), numbers(rows))
    }

    /// A matrix parameter (a vector comes as one row).
    pub fn matrix(&self, id: ParamId) -> Tensor<2> {
        self.0[id.0].clone()
    }

    /// A vector parameter.
    pub fn vector(&self, id: ParamId) -> Tensor<1> {
        let t = self.0[id.0].clone();
        let [rows, cols] = t.dims();
        t.reshape([rows * cols])
    }

    /// The gradient of each parameter, in order of registration; none where the loss did not touch it.
    pub fn gradients(self, mut grads: Gradients) -> Vec<Option<Tensor<2>>> {
        self.0.iter().map(|t| t.grad_remove(&mut grads)).collect()
    }

    /// Every parameter, in order of registration.
    pub fn tensors(&self) -> &[Tensor<2>] {
        &self.0
    }
}
