//! What a model is: what it declares, how it is drawn for, trained, evaluated and folded in.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};

use super::linear_part::LinearPart;
use super::train_config::TrainConfig;
use crate::config::{Draw, SettingInfo, Settings, apply};
use crate::data::Dataset;
use crate::error::Result;
use crate::layers::{Batch, Builder, FoldIn, Objective, Params, Sampling, Step, StepObjective, Weights};
use crate::progress::Progress;
use crate::scorer::{DeviceScorer, Scorer};

/// A model that is trained by gradient steps. It knows neither how parameters are kept nor the seed nor the
/// device.
pub trait Model: Sized + 'static {
    /// Settings beside those of training.
    type Config: Settings + Default;

    /// Whether the model ranks by [`Step::ranking_loss`], so that the settings of [`Objective`] are among its
    /// own and say how batches are drawn too.
    const RANKS: bool = false;

    /// Whether [`Self::fold_in`] says how people are placed whom the model was not trained on.
    const FOLDS: bool = false;

    /// Defaults of training.
    fn training() -> TrainConfig {
        TrainConfig::default()
    }

    /// Defaults of the loss by which it ranks.
    fn objective() -> Objective {
        Objective::default()
    }

    /// Declares parameters, features, graphs and memory.
    ///
    /// # Errors
    /// The data lack what the model needs.
    fn build(b: &mut Builder<'_>, config: Self::Config) -> Result<Self>;

    /// How batches are drawn, where the settings of the loss do not say it.
    fn sampling(&self) -> Sampling {
        Sampling::per_pair(1)
    }

    /// Whether the loss of a batch is the mean of the losses of its parts, so that several devices may share
    /// a batch. Not so where rows of a batch are set against each other. Of the ranking loss the settings
    /// know.
    fn separable(&self) -> bool {
        true
    }

    /// Draws and computes what an epoch needs.
    ///
    /// # Errors
    /// A graph cannot be built.
    fn start_epoch(&mut self, _w: &Weights, _draw: Draw) -> Result<()> {
        Ok(())
    }

    /// The loss of one batch, `[1]`.
    fn loss(&self, w: &Weights, step: &Step) -> Tensor<1>;

    /// Final vectors of all nodes, users first, `[N, D]`: the inner product of a user's and an item's is the
    /// score.
    ///
    /// # Errors
    /// A graph cannot be built.
    fn vectors(&self, w: &Weights) -> Result<Tensor<2>>;

    /// How the model itself places people whom it was not trained on; `None` where its equations say nothing
    /// of them.
    ///
    /// # Errors
    /// A graph cannot be built.
    fn fold_in(self, _w: Weights) -> Result<Option<FoldIn>> {
        Ok(None)
    }

    /// Names and widths of the parts that make up the final vectors, one per modality; empty where there are
    /// none.
    fn parts(&self) -> Vec<(String, usize)> {
        Vec::new()
    }

    /// What is added to the inner products, solved once before training; `None` where they are the whole
    /// score. Asks `progress` many times per second.
    ///
    /// # Errors
    /// It cannot be solved; [`Error::Interrupted`] when it was stopped.
    fn linear(&self, _data: &Dataset, _progress: &dyn Progress) -> Result<Option<LinearPart>> {
        Ok(None)
    }
}

/// A model that is solved at once.
pub trait Solved: 'static {
    /// Its settings.
    type Config: Settings + Default;

    /// Peak memory of solving, bytes.
    fn memory(data: &Dataset, config: &Self::Config) -> u64;

    /// Solves it; asks `progress` many times per second.
    ///
    /// # Errors
    /// [`Error::Interrupted`] when it was stopped.
    fn solve(data: &Dataset, config: &Self::Config, progress: &dyn Progress) -> Result<Scorer>;
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
    /// Whether the model has a fold-in of its own.
    pub folds: bool,
    /// Whether it is trained by gradient steps.
    pub trained: bool,
    /// Settings that differ from the defaults of the type, under this name.
    preset: fn() -> toml::Table,
    defaults: fn() -> Box<dyn Settings>,
    plan: fn(&Dataset, &toml::Table) -> Result<Plan>,
    build: fn(&Dataset, &toml::Table, u64, &Device) -> Result<Learner>,
}

impl ModelInfo {
    /// A model that is trained.
    pub const fn trained<M: Model>(
        name: &'static str,
        summary: &'static str,
        reference: &'static str,
    ) -> Self {
        Self {
            name,
            summary,
            reference,
            folds: M::FOLDS,
            trained: true,
            preset: toml::Table::new,
            defaults: || Box::new(Resolved::<M>::default()),
            plan: plan::<M>,
            build: build::<M>,
        }
    }

    /// A model that is solved at once.
    pub const fn solved<S: Solved>(
        name: &'static str,
        summary: &'static str,
        reference: &'static str,
    ) -> Self {
        Self {
            name,
            summary,
            reference,
            folds: false,
            trained: false,
            preset: toml::Table::new,
            defaults: || Box::new(S::Config::default()),
            plan: plan_solved::<S>,
            build: build_solved::<S>,
        }
    }

    /// The same model by another name, with other defaults.
    pub const fn variant(
        mut self,
        name: &'static str,
        summary: &'static str,
        preset: fn() -> toml::Table,
    ) -> Self {
        (self.name, self.summary, self.preset) = (name, summary, preset);
        self
    }

    /// Its settings with their defaults, those of training included.
    pub fn settings(&self) -> Vec<SettingInfo> {
        let mut all = (self.defaults)();
        apply(&(self.preset)(), &mut [all.as_mut()]).expect("presets are valid settings");
        all.infos()
    }

    /// Resolves settings and estimates memory, before anything is built.
    ///
    /// # Errors
    /// A setting is not one of the model's, or the data lack what it needs.
    pub fn plan(&self, data: &Dataset, settings: &toml::Table) -> Result<Plan> {
        (self.plan)(data, &self.with_preset(settings))
    }

    /// Builds the model.
    ///
    /// # Errors
    /// As [`Self::plan`].
    pub fn build(
        &self,
        data: &Dataset,
        settings: &toml::Table,
        seed: u64,
        device: &Device,
    ) -> Result<Learner> {
        (self.build)(data, &self.with_preset(settings), seed, device)
    }

    fn with_preset(&self, settings: &toml::Table) -> toml::Table {
        let mut all = (self.preset)();
        all.extend(settings.clone());
        all
    }
}

/// What a run will be.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Every setting with its value.
    pub settings: toml::Table,
    /// How it is trained; `None` where it is solved at once.
    pub training: Option<TrainingPlan>,
    /// Trained values.
    pub parameters: usize,
    /// Peak memory expected, bytes.
    pub memory_bytes: u64,
    /// Bytes of the largest parameter or feature matrix.
    pub largest_bytes: u64,
}

/// How a model is trained.
#[derive(Debug, Clone)]
pub struct TrainingPlan {
    /// Settings of the training loop.
    pub config: TrainConfig,
    /// How batches are drawn.
    pub sampling: Sampling,
    /// Whether several devices may share a batch.
    pub separable: bool,
}

/// Solves a model at once.
pub type Solver = Box<dyn FnOnce(&Dataset, &dyn Progress) -> Result<Scorer>>;

/// The two kinds of learners.
pub enum Learner {
    /// Solved at once.
    Direct(Solver),
    /// Trained by gradient steps.
    Gradient(GradientModel),
}

/// A model with its parameters, ready to be trained.
pub struct GradientModel {
    model: Box<dyn Erased>,
    params: Params,
    seed: u64,
    users: usize,
    items: usize,
    /// What steps know of the loss in the present epoch.
    objective: Arc<StepObjective>,
}

impl GradientModel {
    /// The parameters.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// The parameters, to be stepped or loaded.
    pub fn params_mut(&mut self) -> &mut Params {
        &mut self.params
    }

    /// How batches are drawn.
    pub fn sampling(&self) -> Sampling {
        self.objective.sampling
    }

    /// Draws what epoch `epoch` (from 1) needs.
    ///
    /// # Errors
    /// A graph cannot be built.
    pub fn start_epoch(&mut self, epoch: u64) -> Result<()> {
        self.model.start_epoch(&self.params.frozen(), Draw::new(self.seed, epoch))?;
        let thresholds = self.objective.settings.thresholds(|| self.vectors(), self.users)?;
        Arc::make_mut(&mut self.objective).thresholds = thresholds;
        Ok(())
    }

    /// Step `at` (from 0) of epoch `epoch` (from 1).
    pub fn step(&self, batch: Batch, epoch: u64, at: usize) -> Step {
        let step = Step::new(batch, self.users, self.items, Draw::new(self.seed, epoch), at as u32);
        step.ranked_by(self.objective.clone())
    }

    /// The loss of one batch, `[1]`.
    pub fn loss(&self, w: &Weights, step: &Step) -> Tensor<1> {
        self.model.loss(w, step)
    }

    /// Final vectors of all nodes as evaluation uses them, `[N, D]`.
    ///
    /// # Errors
    /// A graph cannot be built.
    pub fn vectors(&self) -> Result<Tensor<2>> {
        self.model.vectors(&self.params.frozen())
    }

    /// How the model itself places people whom it was not trained on.
    ///
    /// # Errors
    /// A graph cannot be built.
    pub fn fold_in(self) -> Result<Option<FoldIn>> {
        let w = self.params.frozen();
        self.model.fold_in(w)
    }

    /// Names and widths of the parts of the final vectors.
    pub fn parts(&self) -> Vec<(String, usize)> {
        self.model.parts()
    }

    /// What is added to the inner products, as [`Model::linear`] has it.
    ///
    /// # Errors
    /// Those of that.
    pub fn linear(&self, data: &Dataset, progress: &dyn Progress) -> Result<Option<LinearPart>> {
        self.model.linear(data, progress)
    }

    /// What ranks after one forward pass, on the device of the model, without what is added.
    ///
    /// # Errors
    /// A graph cannot be built.
    pub fn device_scorer(&self) -> Result<DeviceScorer> {
        Ok(DeviceScorer::dot(self.vectors()?, self.users))
    }

    /// The same, away from the device.
    ///
    /// # Errors
    /// A graph cannot be built.
    pub fn scorer(&self) -> Result<Scorer> {
        Ok(self.device_scorer()?.to_host())
    }
}

/// [`Model`] without its type.
trait Erased {
    fn start_epoch(&mut self, w: &Weights, draw: Draw) -> Result<()>;
    fn loss(&self, w: &Weights, step: &Step) -> Tensor<1>;
    fn vectors(&self, w: &Weights) -> Result<Tensor<2>>;
    fn fold_in(self: Box<Self>, w: Weights) -> Result<Option<FoldIn>>;
    fn parts(&self) -> Vec<(String, usize)>;
    fn linear(&self, data: &Dataset, progress: &dyn Progress) -> Result<Option<LinearPart>>;
}

impl<M: Model> Erased for M {
    fn start_epoch(&mut self, w: &Weights, draw: Draw) -> Result<()> {
        Model::start_epoch(self, w, draw)
    }

    fn loss(&self, w: &Weights, step: &Step) -> Tensor<1> {
        Model::loss(self, w, step)
    }

    fn vectors(&self, w: &Weights) -> Result<Tensor<2>> {
        Model::vectors(self, w)
    }

    fn fold_in(self: Box<Self>, w: Weights) -> Result<Option<FoldIn>> {
        Model::fold_in(*self, w)
    }

    fn parts(&self) -> Vec<(String, usize)> {
        Model::parts(self)
    }

    fn linear(&self, data: &Dataset, progress: &dyn Progress) -> Result<Option<LinearPart>> {
        Model::linear(self, data, progress)
    }
}

/// Every setting of a model that is trained: its own, those of the loss by which it ranks where it takes that
/// from the settings, those of training.
struct Resolved<M: Model> {
    config: M::Config,
    objective: Objective,
    train: TrainConfig,
}

impl<M: Model> Default for Resolved<M> {
    fn default() -> Self {
        Self { config: M::Config::default(), objective: M::objective(), train: M::training() }
    }
}

impl<M: Model> Resolved<M> {
    /// Defaults with `settings` applied; names that no part knows are refused.
    fn of(settings: &toml::Table) -> Result<Self> {
        let mut all = Self::default();
        apply(settings, &mut [&mut all])?;
        Ok(all)
    }
}

impl<M: Model> Settings for Resolved<M> {
    fn infos(&self) -> Vec<SettingInfo> {
        let of_loss = if M::RANKS { self.objective.infos() } else { Vec::new() };
        [self.config.infos(), of_loss, self.train.infos()].concat()
    }

    fn set(&mut self, name: &str, value: &toml::Value) -> Result<bool> {
        Ok(self.config.set(name, value)?
            || M::RANKS && self.objective.set(name, value)?
            || self.train.set(name, value)?)
    }

    fn to_table(&self) -> toml::Table {
        let mut table = self.config.to_table();
        if M::RANKS {
            table.extend(self.objective.to_table());
        }
        table.extend(self.train.to_table());
        table
    }
}

/// How batches are drawn: as the loss says where the model takes it from the settings.
fn sampling<M: Model>(model: &M, objective: &Objective) -> Sampling {
    if M::RANKS { objective.sampling() } else { model.sampling() }
}

fn plan<M: Model>(data: &Dataset, settings: &toml::Table) -> Result<Plan> {
    let all = Resolved::<M>::of(settings)?;
    let table = all.to_table();
    let mut b = Builder::shapes_only(data);
    let Resolved { config, objective, train } = all;
    objective.check(data)?;
    let model = M::build(&mut b, config)?;
    let of_loss = if M::RANKS { objective.held(b.pairs(train.batch)) } else { 0 };
    let (params, values) = b.finish();
    let features = data.features.iter().map(|f| f.dim * data.items.len()).max().unwrap_or(0);
    Ok(Plan {
        settings: table,
        training: Some(TrainingPlan {
            sampling: sampling(&model, &objective),
            separable: model.separable() && (!M::RANKS || objective.separable()),
            config: train,
        }),
        parameters: params.count(),
        // Value, two moments, gradient.
        memory_bytes: 4 * (4 * params.count() + values + of_loss) as u64,
        largest_bytes: 4 * params.largest().max(features) as u64,
    })
}

fn build<M: Model>(data: &Dataset, settings: &toml::Table, seed: u64, device: &Device) -> Result<Learner> {
    let Resolved { config, objective, .. } = Resolved::<M>::of(settings)?;
    let mut b = Builder::new(data, seed, device);
    let model = M::build(&mut b, config)?;
    let (params, _) = b.finish();
    let (users, items) = (data.users.len(), data.items.len());
    let sampling = sampling(&model, &objective);
    let near_items = objective.near_items(data)?;
    let objective = Arc::new(StepObjective { settings: objective, sampling, thresholds: None, near_items });
    let model = Box::new(model);
    Ok(Learner::Gradient(GradientModel { model, params, seed, users, items, objective }))
}

fn resolve_solved<S: Solved>(settings: &toml::Table) -> Result<S::Config> {
    let mut config = S::Config::default();
    apply(settings, &mut [&mut config])?;
    Ok(config)
}

fn plan_solved<S: Solved>(data: &Dataset, settings: &toml::Table) -> Result<Plan> {
    let config = resolve_solved::<S>(settings)?;
    Ok(Plan {
        settings: config.to_table(),
        training: None,
        parameters: 0,
        memory_bytes: S::memory(data, &config),
        largest_bytes: 0,
    })
}

fn build_solved<S: Solved>(_: &Dataset, settings: &toml::Table, _: u64, _: &Device) -> Result<Learner> {
    let config = resolve_solved::<S>(settings)?;
    Ok(Learner::Direct(Box::new(move |data, progress| S::solve(data, &config, progress))))
}
