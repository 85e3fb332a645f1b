//! Named parameters: what is trained, saved and compared.

use std::marker::PhantomData;

use alike_ops::{Adam, AdamState, adam_step, gather};
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use bytemuck::TransparentWrapper;
use rand::RngExt;

use crate::config::Stream;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::ids::{ItemId, NodeId, UserId, numbers};
use crate::scorer::matrix;

/// How a parameter starts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// Uniform in ±√(6 / (rows + columns)).
    Xavier,
    /// The same of a table of users above items, each side by its own number of rows: the count of users.
    XavierSides(usize),
    /// All zero.
    Zeros,
    /// The identity matrix.
    Identity,
    /// One value everywhere.
    Constant(f32),
}

/// Place of a parameter in its [`Params`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParamId(usize);

/// Whose rows a table holds, one each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// Users.
    Users,
    /// Items.
    Items,
    /// Users, then items.
    Nodes,
}

/// Numbers that name rows of a table.
pub trait Row: TransparentWrapper<u32> {
    /// Whose rows they are.
    const OF: Rows;
}

impl Row for UserId {
    const OF: Rows = Rows::Users;
}

impl Row for ItemId {
    const OF: Rows = Rows::Items;
}

impl Row for NodeId {
    const OF: Rows = Rows::Nodes;
}

/// A trained table with a row for each user, item or node; only numbers of the same kind pick rows of it.
#[derive(Debug)]
pub struct Table<R> {
    id: ParamId,
    rows: PhantomData<R>,
}

impl<R> Clone for Table<R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for Table<R> {}

impl<R> Table<R> {
    /// The table as a parameter.
    pub fn id(self) -> ParamId {
        self.id
    }
}

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

/// Parameters and Adam moments as plain values, for checkpoints.
#[derive(Debug, Clone, PartialEq)]
pub struct Saved {
    /// Name of the parameter.
    pub name: String,
    /// Shape, one or two sizes.
    pub shape: Vec<usize>,
    /// Value.
    pub value: Vec<f32>,
    /// First moment; empty before the first step.
    pub m: Vec<f32>,
    /// Second moment; empty before the first step.
    pub v: Vec<f32>,
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
            let data = self.initial(rows, cols, init);
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
        let (users, items) = (data.users.len(), data.items.len());
        let count = match R::OF {
            Rows::Users => users,
            Rows::Items => items,
            Rows::Nodes => users + items,
        };
        let id = self.add(name, &[count, cols], init);
        self.list[id.0].rows = Some(R::OF);
        Table { id, rows: PhantomData }
    }

    /// Initial values of the next parameter.
    fn initial(&self, rows: usize, cols: usize, init: Init) -> Vec<f32> {
        let mut data = vec![0f32; rows * cols];
        match init {
            Init::Zeros => {}
            Init::Constant(value) => data.fill(value),
            Init::Identity => (0..rows.min(cols)).for_each(|i| data[i * cols + i] = 1.0),
            Init::Xavier => self.xavier(&mut [(&mut data, rows)], cols),
            Init::XavierSides(users) => {
                let (above, below) = data.split_at_mut(users * cols);
                self.xavier(&mut [(above, users), (below, rows - users)], cols);
            }
        }
        data
    }

    /// Fills blocks of rows, uniformly in ±√(6 / (rows + columns)) of each.
    fn xavier(&self, blocks: &mut [(&mut [f32], usize)], cols: usize) {
        let mut rng = Stream::Init.rng(self.seed, self.list.len() as u64);
        for (block, rows) in blocks {
            let bound = (6.0 / (*rows + cols) as f32).sqrt();
            block.iter_mut().for_each(|v| *v = rng.random_range(-bound..bound));
        }
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

    /// Copies of everything that a resumed run needs.
    pub fn save(&self) -> Vec<Saved> {
        let save = |(i, p): (usize, &Param)| {
            let [m, v] = p.moments.values();
            Saved { name: p.name.clone(), shape: p.shape.clone(), value: matrix(self.value(i)).data, m, v }
        };
        self.list.iter().enumerate().map(save).collect()
    }

    /// Puts saved values back. Names and shapes must be the same.
    pub fn load(&mut self, saved: &[Saved], step: u64) -> Result<()> {
        let mismatch = |what: String| Error::Data(format!("the checkpoint does not fit the model: {what}"));
        for param in &mut self.list {
            let from = saved
                .iter()
                .find(|s| s.name == param.name)
                .ok_or_else(|| mismatch(format!("no parameter `{}`", param.name)))?;
            if from.shape != param.shape || from.value.len() != param.shape.iter().product::<usize>() {
                let text = format!("`{}` has shape {:?}, expected {:?}", param.name, from.shape, param.shape);
                return Err(mismatch(text));
            }
            let cols = param.shape[param.shape.len() - 1];
            let rows = from.value.len().checked_div(cols).unwrap_or(0);
            let data = TensorData::new(from.value.clone(), [rows, cols]);
            param.value = Some(Tensor::from_data(data, &self.device));
            if from.m.len() != from.v.len() || !(from.m.is_empty() || from.m.len() == from.value.len()) {
                return Err(mismatch(format!("`{}` has moments of another length", param.name)));
            }
            param.moments = AdamState::from_values(from.m.clone(), from.v.clone(), &self.device);
        }
        self.step = step;
        Ok(())
    }

    /// Starts from what a run on other data ended with: rows of tables go to the users and items of the same
    /// id, other parameters to those of the same name. What is new keeps its start. Returns how many values
    /// were taken over.
    ///
    /// # Errors
    /// A parameter has another width or shape there.
    pub fn load_matching(&mut self, saved: &[Saved], from: &Dataset, data: &Dataset) -> Result<usize> {
        let mut taken = 0;
        for at in 0..self.list.len() {
            let name = &self.list[at].name;
            let Some(old) = saved.iter().find(|s| s.name == *name) else { continue };
            let param = &self.list[at];
            let cols = param.shape[param.shape.len() - 1];
            let same = match param.rows {
                Some(_) => old.shape.len() == 2 && old.shape[1] == cols,
                None => old.shape == param.shape,
            };
            if !same || old.value.len() != old.shape.iter().product::<usize>() {
                return Err(Error::Data(format!(
                    "cannot start from that run: its parameter `{name}` has shape {:?}, not {:?}",
                    old.shape, param.shape
                )));
            }
            let value = match param.rows {
                None => {
                    taken += old.value.len();
                    old.value.clone()
                }
                Some(rows) => {
                    let mut value = matrix(self.value(at)).data;
                    let places = (0u32..).zip(value.chunks_exact_mut(cols));
                    for (place, row) in places {
                        if let Some(other) = rows.place(place, data, from) {
                            let other = other as usize * cols;
                            row.copy_from_slice(&old.value[other..other + cols]);
                            taken += cols;
                        }
                    }
                    value
                }
            };
            let rows = value.len().checked_div(cols).unwrap_or(0);
            self.list[at].value = Some(Tensor::from_data(TensorData::new(value, [rows, cols]), &self.device));
        }
        Ok(taken)
    }
}

impl Rows {
    /// The row in a table of `from` of the user or item that has row `at` in one of `data`.
    fn place(self, at: u32, data: &Dataset, from: &Dataset) -> Option<u32> {
        let users = data.users.len() as u32;
        match self {
            Self::Users => from.users.get(data.users.name(at)),
            Self::Items => from.items.get(data.items.name(at)),
            Self::Nodes if at < users => Self::Users.place(at, data, from),
            Self::Nodes => Self::Items.place(at - users, data, from).map(|i| i + from.users.len() as u32),
        }
    }
}

/// The parameters of one forward pass.
pub struct Weights(Vec<Tensor<2>>);

impl Weights {
    /// The device of all of them.
    pub fn device(&self) -> Device {
        self.0.first().map_or_else(Device::flex, Tensor::device)
    }

    /// A whole table.
    pub fn table<R>(&self, table: Table<R>) -> Tensor<2> {
        self.matrix(table.id)
    }

    /// Rows of a table, in the order of `rows`.
    pub fn rows<R: Row>(&self, table: Table<R>, rows: &[R]) -> Tensor<2> {
        gather(self.matrix(table.id), numbers(rows))
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
    pub fn all(&self) -> &[Tensor<2>] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_side_of_a_table_starts_within_its_own_bound() {
        let (users, items, cols) = (400, 20, 8);
        let mut params = Params::new(1, &Device::flex());
        let id = params.add("embedding", &[users + items, cols], Init::XavierSides(users));
        let values = matrix(params.with_grad().matrix(id).inner());
        let largest = |rows: std::ops::Range<usize>| {
            rows.flat_map(|r| values.row(r).to_vec()).fold(0f32, |m, v| m.max(v.abs()))
        };
        // The largest of many uniform values is just below the bound.
        for (rows, size) in [(0..users, users), (users..users + items, items)] {
            let bound = (6.0 / (size + cols) as f32).sqrt();
            let share = largest(rows) / bound;
            assert!((0.95..1.0).contains(&share), "{share} of the bound of {size} rows");
        }
    }
}
