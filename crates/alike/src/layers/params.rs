//! Named parameters: what is trained, saved and compared.

mod init;
mod saved;
mod tables;
mod weights;

use alike_ops::{Adam, AdamState, adam_step};
use burn::tensor::{Device, Gradients, Tensor, TensorData};

use crate::config::Stream;
use crate::data::Dataset;

pub use init::Init;
pub use saved::Saved;
pub use tables::{ParamId, Row, Rows, Table};
pub use weights::Weights;

/// One parameter: a matrix, or a vector kept as a matrix of one row.
#[derive(Debug)]
struct Param {
    name: String,
    shape: Vec<usize>,
    /// `None` only while a step is being taken, and where only shapes are wanted.
    value: Option<Tensor<2>>,
    moments: AdamState,
    /// Learning rate, as a share of the optimiser's.
    rate: f32,
    /// Whose rows they are; `None` where they are nobody's.
    rows: Option<Rows>,
}

/// All parameters of a model, in order of registration, with their optimiser state.
#[derive(Debug)]
pub struct Params {
    seed: u64,
    device: Device,
    list: Vec<Param>,
    step: u64,
    /// Whether only shapes are wanted.
    shapes_only: bool,
}

impl Params {
    /// No parameters yet; initial values are drawn from `seed`.
    pub fn new(seed: u64, device: &Device) -> Self {
        Self { seed, device: device.clone(), list: Vec::new(), step: 0, shapes_only: false }
    }

    /// Parameters that have names and shapes only: what a model would train, without the memory for it.
    pub fn shapes_only() -> Self {
        Self { shapes_only: true, ..Self::new(0, &Device::flex()) }
    }

    /// Whether only shapes are wanted.
    pub fn is_shapes_only(&self) -> bool {
        self.shapes_only
    }

    /// Registers a parameter of one or two sizes. Its initial value depends on seed and place only.
    pub fn add(&mut self, name: &str, shape: &[usize], init: Init) -> ParamId {
        let (rows, cols) = match *shape {
            [cols] => (1, cols),
            [rows, cols] => (rows, cols),
            _ => panic!("parameter `{name}` has one or two sizes"),
        };
        let value = (!self.shapes_only).then(|| {
            let data = init.values(rows, cols, &mut Stream::Init.rng(self.seed, self.list.len() as u64));
            Tensor::from_data(TensorData::new(data, [rows, cols]), &self.device)
        });
        self.list.push(Param {
            name: name.into(),
            shape: shape.into(),
            value,
            moments: AdamState::default(),
            rate: 1.0,
            rows: None,
        });
        ParamId(self.list.len() - 1)
    }

    /// Registers a table with a row of `cols` values for each user, item or node of `data`.
    pub fn table<R: Row>(&mut self, name: &str, data: &Dataset, cols: usize, init: Init) -> Table<R> {
        let id = self.add(name, &[R::ROWS.count(data), cols], init);
        self.list[id.0].rows = Some(R::ROWS);
        Table::new(id)
    }

    /// Lets a parameter learn at `share` of the optimiser's learning rate.
    pub fn set_lr_scale(&mut self, id: ParamId, share: f64) {
        self.list[id.0].rate = share as f32;
    }

    /// Number of trained values.
    pub fn count(&self) -> usize {
        self.list.iter().map(|p| p.shape.iter().product::<usize>()).sum()
    }

    /// Number of values of the largest parameter.
    pub fn largest(&self) -> usize {
        self.list.iter().map(|p| p.shape.iter().product()).max().unwrap_or(0)
    }

    /// Names in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.list.iter().map(|p| p.name.as_str())
    }

    /// Number of steps taken.
    pub fn steps(&self) -> u64 {
        self.step
    }

    /// The device of all parameters.
    pub fn device(&self) -> &Device {
        &self.device
    }

    fn value(&self, at: usize) -> Tensor<2> {
        self.list[at].value.clone().expect("values are in place between steps")
    }

    /// The parameters as leaves of a new gradient graph.
    pub fn with_grad(&self) -> Weights {
        Weights((0..self.list.len()).map(|i| Tensor::from_inner(self.value(i)).require_grad()).collect())
    }

    /// The parameters without gradients, for evaluation.
    pub fn frozen(&self) -> Weights {
        Weights((0..self.list.len()).map(|i| self.value(i)).collect())
    }

    /// One Adam step from the gradients of `weights`; parameters that the loss did not touch stay as they
    /// are.
    pub fn step(&mut self, weights: Weights, grads: Gradients, adam: &Adam) {
        self.apply(weights.gradients(grads), adam);
    }

    /// One Adam step from a gradient a parameter; parameters without one stay as they are.
    pub fn apply(&mut self, gradients: Vec<Option<Tensor<2>>>, adam: &Adam) {
        self.step += 1;
        for (param, grad) in self.list.iter_mut().zip(gradients) {
            if let Some(grad) = grad {
                let value = param.value.take().expect("values are in place between steps");
                let own = Adam { lr: adam.lr * param.rate, ..*adam };
                param.value = Some(adam_step(value, grad, &mut param.moments, &own, self.step));
            }
        }
    }
}
