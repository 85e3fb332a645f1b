//! The registry: one line a model. Command line, documentation, checkpoints, evaluation and the conformance
//! tests follow from it.

mod bpr;
mod dragon;
mod dualgnn;
mod fism;
mod freedom;
mod lattice;
mod lightgcn;
mod mgcn;
mod mmgcn;
mod nsmar;
mod popularity;
mod slim;
mod vbpr;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use alike_ops::Triples;
use burn::tensor::{Device, Tensor};

use crate::config::{SettingInfo, Settings, apply};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::layers::{Params, Tracked};
use crate::scorer::{Matrix, Person, Scorer, Trained};

/// All models by name.
static REGISTRY: &[ModelInfo] = &[
    popularity::INFO,
    bpr::INFO,
    slim::INFO,
    fism::INFO,
    lightgcn::INFO,
    vbpr::INFO,
    mmgcn::INFO,
    lattice::INFO,
    dualgnn::INFO,
    freedom::INFO,
    mgcn::INFO,
    dragon::INFO,
    nsmar::PLUS,
    nsmar::NSMAR,
    nsmar::NO_SIMILARITY,
    nsmar::NO_ALIGNMENT,
    nsmar::NO_GRAPHS,
    nsmar::NO_TEXT,
    nsmar::NO_IMAGE,
];

crate::settings! {
    /// Settings of the training loop, the same for every gradient model.
    pub struct TrainConfig {
        /// Learning rate of Adam.
        lr: f64 = 1e-3, 0.0..=10.0;
        /// Positive pairs a step.
        batch: usize = 2048, 1..=1 << 20;
        /// Most epochs.
        epochs: usize = 1000, 1..=100_000;
        /// Evaluations without a better validation Recall@20 before training stops, at least.
        patience: usize = 20, 1..=100_000;
        /// Optimiser steps without one before training stops, at least: a small data set has few steps per epoch.
        patience_steps: usize = 1500, 0..=10_000_000;
        /// Epochs between evaluations.
        eval_every: usize = 1, 1..=100_000;
    }
}

/// What the registry knows of a model.
#[derive(Clone, Copy)]
pub struct ModelInfo {
    /// Name on the command line.
    pub name: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// Where the model comes from.
    pub reference: &'static str,
    /// Its settings, training loop included.
    pub settings: fn() -> Vec<SettingInfo>,
    /// Resolves settings and estimates memory, before anything is built.
    pub(crate) plan: fn(&Dataset, &toml::Table) -> Result<Plan>,
    /// Whether the model has a fold-in of its own.
    pub folds: bool,
    /// Builds the model.
    pub(crate) build: fn(&Dataset, &toml::Table, u64, &Device) -> Result<Learner>,
}

/// What a run will be.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Every setting with its value.
    pub settings: toml::Table,
    /// Settings of the training loop.
    pub train: TrainConfig,
    /// Trained values.
    pub parameters: usize,
    /// Peak memory expected, bytes.
    pub memory_bytes: u64,
    /// Bytes of the largest parameter or feature matrix.
    pub largest_bytes: u64,
}

/// Solves a model at once. It looks at the flag, which others set to stop it, many times per second.
///
/// # Errors
/// [`Error::Interrupted`] when it was stopped.
pub type Solver = Box<dyn FnOnce(Option<&AtomicBool>) -> Result<Scorer>>;

/// The two kinds of learners.
pub enum Learner {
    /// Solved at once.
    Direct(Solver),
    /// Trained by gradient steps.
    Gradient(Box<dyn GradientModel>),
}

/// Places people by what they took, with items where training has left them.
pub enum FoldIn {
    /// `start + n^-power Σ_j messages_j` over the `n` items taken: `start [w]`, `messages [I, w]`.
    Sum {
        /// 1 for a mean, 1/2 for a sum damped as symmetric edge weights do.
        power: f32,
        /// What everybody starts from.
        start: Vec<f32>,
        /// What each item adds.
        messages: Matrix,
    },
    /// The model's forward pass over people: rows `[B, w]`.
    Forward(Forward),
    /// Both rows added: what the model's equations give, and what training gave its users besides.
    Both(Box<FoldIn>, Box<FoldIn>),
}

/// A forward pass over people, who are given by what they took.
pub type Forward = Box<dyn Fn(&[Person]) -> Result<Matrix> + Send + Sync>;

/// A model with a loss.
pub trait GradientModel {
    /// The parameters.
    fn params(&self) -> &Params;
    /// The parameters, to be stepped or loaded.
    fn params_mut(&mut self) -> &mut Params;
    /// Draws what this epoch (from 1) needs.
    fn start_epoch(&mut self, _epoch: u64) -> Result<()> {
        Ok(())
    }
    /// Negatives that are drawn for each positive pair of a batch. The triples of one pair stand side by side.
    fn negatives(&self) -> usize {
        1
    }
    /// The loss of one batch, `[1]`.
    fn loss(&self, p: &Tracked, batch: &Arc<Triples>) -> Tensor<1>;
    /// Final vectors of all nodes `[N, D]`, as used by evaluation.
    fn vectors(&self, p: &Tracked) -> Result<Tensor<2>>;
    /// Number of users.
    fn users(&self) -> usize;
    /// How the model itself places people it was not trained on; `None` where its equations say nothing of them.
    fn fold_in(self: Box<Self>) -> Result<Option<FoldIn>> {
        Ok(None)
    }
    /// Names and widths of the parts of which final vectors are put together, one a modality; empty where they are not.
    fn parts(&self) -> Vec<(String, usize)> {
        Vec::new()
    }
    /// One forward pass, kept for ranking; by default the inner product of [`Self::vectors`].
    fn trained(&self) -> Result<Trained> {
        Ok(Trained::dot(self.vectors(&self.params().plain())?, self.users()))
    }
    /// The same, away from the device.
    fn scorer(&self) -> Result<Scorer> {
        Ok(self.trained()?.read())
    }
}

/// Every model.
pub fn all() -> &'static [ModelInfo] {
    REGISTRY
}

/// The model called `name`.
pub fn find(name: &str) -> Result<&'static ModelInfo> {
    REGISTRY.iter().find(|m| m.name == name).ok_or_else(|| Error::UnknownModel {
        name: name.into(),
        allowed: REGISTRY.iter().map(|m| m.name).collect::<Vec<_>>().join(", "),
    })
}

/// Builds the model called `name`: the step before training, for those who drive it themselves.
pub fn build(
    name: &str,
    data: &Dataset,
    settings: &toml::Table,
    seed: u64,
    device: &Device,
) -> Result<Learner> {
    (find(name)?.build)(data, settings, seed, device)
}

/// Defaults with `table` applied; names that neither part knows are refused.
fn resolve<C: Settings>(
    mut config: C,
    mut train: TrainConfig,
    table: &toml::Table,
) -> Result<(C, TrainConfig)> {
    apply(table, &mut [&mut config, &mut train])?;
    Ok((config, train))
}

/// A gradient model as its file defines it; its [`ModelInfo`] follows from it.
trait Define: GradientModel + Sized + 'static {
    /// Settings besides those of training.
    type Config: Settings + Default;
    /// Handles of all parameters.
    type Parts;
    /// Defaults of training.
    fn train_defaults() -> TrainConfig {
        TrainConfig::default()
    }
    /// Declares every parameter. Called without memory for them too, to plan a run.
    fn register(params: &mut Params, data: &Dataset, config: &Self::Config) -> Result<Self::Parts>;
    /// How many numbers a step holds besides parameters, moments and gradients.
    fn working_values(data: &Dataset, config: &Self::Config) -> usize;
    /// Builds graphs and puts the model together.
    fn assemble(
        data: &Dataset,
        seed: u64,
        config: Self::Config,
        params: Params,
        parts: Self::Parts,
    ) -> Result<Self>;
}

/// The registry entry of a model.
const fn info<M: Define>(name: &'static str, summary: &'static str, reference: &'static str) -> ModelInfo {
    ModelInfo {
        name,
        summary,
        reference,
        settings: || infos(&M::Config::default(), &M::train_defaults()),
        plan: plan::<M>,
        folds: false,
        build: build_as::<M>,
    }
}

impl ModelInfo {
    /// The same, of a model that says [`GradientModel::fold_in`].
    const fn folding(mut self) -> Self {
        self.folds = true;
        self
    }
}

fn plan<M: Define>(data: &Dataset, overrides: &toml::Table) -> Result<Plan> {
    let (config, train) = resolve(M::Config::default(), M::train_defaults(), overrides)?;
    let mut params = Params::dry();
    M::register(&mut params, data, &config)?;
    let parameters = params.count();
    // Value, two moments, gradient.
    let memory_bytes = 4 * (4 * parameters + M::working_values(data, &config)) as u64;
    let largest_bytes = largest_bytes(data, &params);
    Ok(Plan { settings: table(&config, &train), train, parameters, memory_bytes, largest_bytes })
}

/// Bytes of the largest parameter or feature matrix.
fn largest_bytes(data: &Dataset, params: &Params) -> u64 {
    let features = data.features.iter().map(|f| f.dim * data.items.len()).max();
    4 * params.largest().max(features.unwrap_or(0)) as u64
}

fn build_as<M: Define>(
    data: &Dataset,
    overrides: &toml::Table,
    seed: u64,
    device: &Device,
) -> Result<Learner> {
    let (config, _) = resolve(M::Config::default(), M::train_defaults(), overrides)?;
    let mut params = Params::new(seed, device);
    let parts = M::register(&mut params, data, &config)?;
    Ok(Learner::Gradient(Box::new(M::assemble(data, seed, config, params, parts)?)))
}

/// The accessors of a model that keeps `params` and `users` under these names.
macro_rules! held {
    () => {
        fn params(&self) -> &crate::layers::Params {
            &self.params
        }

        fn params_mut(&mut self) -> &mut crate::layers::Params {
            &mut self.params
        }

        fn users(&self) -> usize {
            self.users
        }
    };
}
use held;

/// Number of nodes, users and items.
fn nodes(data: &Dataset) -> usize {
    data.users.len() + data.items.len()
}

/// Entries of the bipartite graph with value and column, in values.
fn graph_values(data: &Dataset) -> usize {
    4 * data.train.nnz()
}

/// Features with their transposed copy, in values.
fn feature_values(data: &Dataset) -> usize {
    data.features.iter().map(|f| 2 * f.dim * data.items.len()).sum()
}

/// The rows of a batch: users, positives, negatives.
fn batch_rows(batch: &Triples) -> Arc<Vec<u32>> {
    Arc::new([&batch.users[..], &batch.positives, &batch.negatives].concat())
}

/// Both parts' values in one table.
fn table<C: Settings>(config: &C, train: &TrainConfig) -> toml::Table {
    let mut all = config.to_table();
    all.extend(train.to_table());
    all
}

/// Both parts' descriptions.
fn infos<C: Settings>(config: &C, train: &TrainConfig) -> Vec<SettingInfo> {
    let mut all = config.infos();
    all.extend(train.infos());
    all
}
