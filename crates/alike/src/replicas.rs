//! Copies of a model on several devices that train as one: each takes its share of a batch, gradients are
//! summed over the devices, and every copy takes the same step.
//!
//! A batch of `b` triples is cut into shares of `b_r`; with `L_r` the mean loss of a share the gradient is
//! that of `Σ_r b_r/b L_r`, which is the loss of the whole batch wherever that is a mean over its triples. A
//! model whose loss sets the triples of a batch against each other says so
//! ([`crate::models::Plan::separable`]) and trains on one device. What is drawn by epoch and step is drawn
//! alike on every copy.

use alike_ops::{Adam, sum_over_devices};
use burn::tensor::{Device, Tensor};

use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::layers::{Batch, Weights};
use crate::models::{GradientModel, Learner, Solver, find};

/// The copies, at least one.
pub struct Replicas {
    models: Vec<GradientModel>,
}

/// A model built on devices.
pub enum Built {
    /// Solved at once, by the processor.
    Direct(Solver),
    /// To be trained.
    Gradient(Replicas),
}

impl Replicas {
    /// Builds the model called `name` on each of `devices`; all copies start from the same values.
    ///
    /// # Errors
    /// Data or settings do not fit the model, or it cannot share a batch and there are several devices.
    ///
    /// # Panics
    /// There is no device.
    pub fn build(
        name: &str,
        data: &Dataset,
        settings: &toml::Table,
        seed: u64,
        devices: &[Device],
    ) -> Result<Built> {
        let info = find(name)?;
        if devices.len() > 1 && info.plan(data, settings)?.training.is_some_and(|t| !t.separable) {
            return Err(Error::Data(format!(
                "`{name}` sets the rows of a batch against each other, so devices cannot share one: train it on one device"
            )));
        }
        let mut models = Vec::with_capacity(devices.len());
        for device in devices {
            match info.build(data, settings, seed, device)? {
                Learner::Direct(solver) => return Ok(Built::Direct(solver)),
                Learner::Gradient(model) => models.push(model),
            }
        }
        assert!(!models.is_empty(), "a model is built on a device");
        Ok(Built::Gradient(Self { models }))
    }

    /// The copy that is evaluated and saved.
    pub fn first(&self) -> &GradientModel {
        &self.models[0]
    }

    /// Does the same to every copy.
    ///
    /// # Errors
    /// Those of `f`.
    pub fn each(&mut self, f: impl FnMut(&mut GradientModel) -> Result<()>) -> Result<()> {
        self.models.iter_mut().try_for_each(f)
    }

    /// Begins step `at` (from 0) of epoch `epoch`: the loss of each share, `[1]` on its device, with the
    /// number of its triples.
    pub fn begin(&self, batch: Batch, epoch: u64, at: usize) -> Begun {
        let whole = batch.len() as f32;
        let shares = batch.split(self.models.len(), self.first().sampling());
        let mut begun = Begun { graphs: Vec::new(), losses: Vec::new() };
        for (model, share) in self.models.iter().zip(shares) {
            let length = share.len();
            let weights = model.params().with_grad();
            let loss = model.loss(&weights, &model.step(share, epoch, at));
            begun.losses.push((loss.clone().inner(), length));
            // The only share's weight is 1: the product would be one more pass for nothing.
            let weight = length as f32 / whole;
            begun.graphs.push((weights, if weight == 1.0 { loss } else { loss * weight }));
        }
        begun
    }

    /// Ends a step: gradients, their sums over the devices, and Adam on every copy.
    pub fn finish(&mut self, step: Begun, adam: &Adam) {
        let gradients = step.graphs.into_iter().map(|(weights, loss)| weights.gradients(loss.backward()));
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
pub struct Begun {
    graphs: Vec<(Weights, Tensor<1>)>,
    /// The loss of each share, and the number of its triples.
    pub losses: Vec<(Tensor<1>, usize)>,
}
