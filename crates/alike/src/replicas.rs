//! Copies of a model on several devices that train as one: each takes its share of a batch, gradients are summed over the
//! devices, and every copy takes the same step.
//!
//! A batch of `b` triples is cut into shares of `b_r`; with `L_r` the mean loss of a share the gradient is that of
//! `Σ_r b_r/b L_r`, which is the loss of the whole batch wherever that is a mean over its triples. A loss that sets the triples of a
//! batch against each other (MGCN's contrast) sees those of its share only. What is drawn by epoch is drawn alike on every copy.

use std::sync::Arc;

use alike_ops::{Adam, Triples, sum_over_devices};
use burn::tensor::{Device, Tensor};

use crate::data::Dataset;
use crate::error::Result;
use crate::layers::Tracked;
use crate::models::{GradientModel, Learner, Solver, build};

/// The copies, at least one.
pub struct Replicas {
    models: Vec<Box<dyn GradientModel>>,
}

/// A model built on devices.
pub enum Built {
    /// Solved at once, on the first device.
    Direct(Solver),
    /// To be trained.
    Gradient(Replicas),
}

impl Replicas {
    /// Builds the model called `name` on each of `devices`; all copies start from the same values.
    ///
    /// # Errors
    /// Data or settings do not fit the model.
    ///
    /// Panics without a device.
    pub fn build(
        name: &str,
        data: &Dataset,
        settings: &toml::Table,
        seed: u64,
        devices: &[Device],
    ) -> Result<Built> {
        let mut models = Vec::with_capacity(devices.len());
        for device in devices {
            match build(name, data, settings, seed, device)? {
                Learner::Direct(solver) => return Ok(Built::Direct(solver)),
                Learner::Gradient(model) => models.push(model),
            }
        }
        assert!(!models.is_empty(), "a model is built on a device");
        Ok(Built::Gradient(Self { models }))
    }

    /// The copy that is evaluated and saved.
    pub fn first(&self) -> &dyn GradientModel {
        self.models[0].as_ref()
    }

    /// Does the same to every copy.
    ///
    /// # Errors
    /// Those of `f`.
    pub fn each(&mut self, mut f: impl FnMut(&mut dyn GradientModel) -> Result<()>) -> Result<()> {
        self.models.iter_mut().try_for_each(|model| f(model.as_mut()))
    }

    /// Begins a step: the loss of each share, `[1]` on its device, with the number of its triples.
    pub fn begin(&self, batch: &Arc<Triples>) -> Step {
        let shares = shares(batch, self.models.len());
        let whole = batch.len() as f32;
        let mut step = Step { graphs: Vec::new(), losses: Vec::new() };
        for (model, share) in self.models.iter().zip(&shares) {
            let tracked = model.params().track();
            let loss = model.loss(&tracked, share);
            step.losses.push((loss.clone().inner(), share.len()));
            // The only share's weight is 1: the product would be one more pass for nothing.
            let weight = share.len() as f32 / whole;
            step.graphs.push((tracked, if weight == 1.0 { loss } else { loss * weight }));
        }
        step
    }

    /// Ends a step: gradients, their sums over the devices, and Adam on every copy.
    pub fn finish(&mut self, step: Step, adam: &Adam) {
        let gradients = step.graphs.into_iter().map(|(tracked, loss)| tracked.gradients(loss.backward()));
        let mut gradients: Vec<Vec<Option<Tensor<2>>>> = gradients.collect();
        if self.models.len() > 1 {
            self.sum(&mut gradients);
        }
        for (model, gradients) in self.models.iter_mut().zip(gradients) {
            model.params_mut().apply(gradients, adam);
        }
    }

    /// Puts the sum over the copies in place of each gradient.
    fn sum(&self, gradients: &mut Vec<Vec<Option<Tensor<2>>>>) {
        let count = gradients[0].len();
        // Copies without a share have no gradients yet.
        gradients.resize_with(self.models.len(), || vec![None; count]);
        for at in 0..count {
            let Some(shape) = gradients.iter().find_map(|g| g[at].as_ref().map(Tensor::dims)) else {
                continue;
            };
            let parts = self.models.iter().zip(gradients.iter_mut()).map(|(model, g)| {
                g[at].take().unwrap_or_else(|| Tensor::zeros(shape, model.params().device()))
            });
            let sums = sum_over_devices(parts.collect());
            gradients.iter_mut().zip(sums).for_each(|(g, sum)| g[at] = Some(sum));
        }
    }
}

/// A step that has been begun.
pub struct Step {
    graphs: Vec<(Tracked, Tensor<1>)>,
    /// The loss of each share, and the number of its triples.
    pub losses: Vec<(Tensor<1>, usize)>,
}

/// Cuts a batch into at most `n` shares of one size, the last maybe smaller; none is empty.
fn shares(batch: &Arc<Triples>, n: usize) -> Vec<Arc<Triples>> {
    if n == 1 {
        return vec![batch.clone()];
    }
    let size = batch.len().div_ceil(n).max(1);
    let lists = batch.users.chunks(size).zip(batch.positives.chunks(size)).zip(batch.negatives.chunks(size));
    let share = |((users, positives), negatives): ((&[u32], &[u32]), &[u32])| {
        Arc::new(Triples {
            users: users.to_vec(),
            positives: positives.to_vec(),
            negatives: negatives.to_vec(),
        })
    };
    lists.map(share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_the_batch_in_order_and_never_empty() {
        let list: Vec<u32> = (0..10).collect();
        let batch =
            Arc::new(Triples { users: list.clone(), positives: list.clone(), negatives: list.clone() });
        for (n, sizes) in [(1, vec![10]), (3, vec![4, 4, 2]), (4, vec![3, 3, 3, 1]), (20, vec![1; 10])] {
            let shares = shares(&batch, n);
            assert_eq!(shares.iter().map(|s| s.len()).collect::<Vec<_>>(), sizes);
            assert_eq!(shares.iter().flat_map(|s| s.negatives.clone()).collect::<Vec<_>>(), list);
        }
    }
}
