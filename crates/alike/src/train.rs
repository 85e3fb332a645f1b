//! The one training loop.

use std::path::Path;
use std::time::Instant;

use alike_ops::{Adam, ranking_bytes};
use serde::{Deserialize, Serialize};

use crate::checkpoint::{FORMAT, RunDir, RunInfo, State, data_from_run};
use crate::data::Dataset;
use crate::device::{DeviceKind, DeviceName, Need, check_memory, describe, open_all};
use crate::error::{Error, Result};
use crate::eval::{Metrics, Protocol, Split, evaluate};
use crate::layers::{Batch, Sampler};
use crate::models::{GradientModel, LinearPart, Plan, TrainConfig, TrainingPlan, find, most_popular};
use crate::progress::Progress;
use crate::replicas::{Built, Replicas};
use crate::scorer::{Ranks, Scorer};

mod external;
mod losses;
mod start;
mod summary;
mod validation;

pub use external::{EXTERNAL, keep_external};
use losses::Losses;
use start::{Warm, reopen};
pub use summary::{CRITERION, Popularity, Remark, Summary};
use validation::{Evaluated, validate};

/// What to train.
#[derive(Clone)]
pub struct TrainRequest<'a> {
    /// Model name.
    pub model: &'a str,
    /// Settings that differ from the defaults.
    pub settings: toml::Table,
    /// Seed of all randomness.
    pub seed: u64,
    /// Run folder; nothing is written without one.
    pub run: Option<&'a Path>,
    /// Whether to go on from the run folder's newest state; `epochs` may have grown since.
    pub resume: bool,
    /// A run of the same model whose best parameters training starts from: rows by id, on the same or other
    /// data.
    pub warm_start: Option<&'a Path>,
    /// Whether to score the test split at the end. Searches do not: they choose on validation.
    pub test: bool,
    /// Where to train: one device, or several that share every batch.
    pub devices: Vec<DeviceName>,
    /// Asked whether to stop before every batch, and told of what is solved at once and of evaluation.
    pub progress: &'a dyn Progress,
}

impl<'a> TrainRequest<'a> {
    /// `model` with its defaults, seed 0, on the processor, in memory only, scored on test at the end.
    pub fn new(model: &'a str) -> Self {
        Self {
            model,
            settings: toml::Table::new(),
            seed: 0,
            run: None,
            resume: false,
            warm_start: None,
            test: true,
            devices: vec![DeviceName::default()],
            progress: &(),
        }
    }
}

/// What happens during training.
#[derive(Debug)]
pub enum TrainEvent<'a> {
    /// Before anything is built.
    Planned {
        /// Trained values.
        parameters: usize,
        /// Peak memory expected, bytes.
        memory_bytes: u64,
        /// Maximum of epochs.
        epochs: usize,
        /// Batches per epoch.
        batches: usize,
        /// Names of the devices, where not the processor.
        devices: &'a [String],
    },
    /// After a step.
    Batch {
        /// Epoch, from 1.
        epoch: usize,
        /// Batch, from 1.
        batch: usize,
        /// Batches per epoch.
        batches: usize,
        /// Its loss.
        loss: f32,
    },
    /// After an epoch, and its evaluation where it has one.
    Epoch {
        /// The line of the log.
        record: &'a EpochRecord,
        /// The epoch after which training ends if no evaluation is better than the best so far.
        expected_end: usize,
    },
    /// At the end.
    Finished(&'a Summary),
}

/// One line of `log.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Epoch, from 1.
    pub epoch: usize,
    /// Mean loss of its batches.
    pub loss: f64,
    /// Seconds of its steps.
    pub train_seconds: f64,
    /// Seconds of its evaluation.
    pub eval_seconds: f64,
    /// Validation metrics, where evaluated.
    pub valid: Option<Metrics>,
    /// Whether it is the best so far.
    pub best: bool,
    /// The share of what the model adds to inner products, where it does so and it was evaluated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
}

/// Trains as asked, keeps the parameters with the best validation Recall@20 and scores test once at the end.
///
/// # Errors
/// Settings, data or the run folder do not fit; the loss is not finite; [`Error::Interrupted`] after a stop,
/// with the newest evaluated state kept in the run folder.
pub fn fit(
    data: &Dataset,
    request: &TrainRequest<'_>,
    on: &mut dyn FnMut(TrainEvent<'_>),
) -> Result<Summary> {
    let info = find(request.model)?;
    let plan = info.plan(data, &request.settings)?;
    // What is solved at once is solved by the processor.
    let wanted = if info.trained { &request.devices[..] } else { &[DeviceName::default()] };
    let devices = open_all(wanted)?;
    let names = describe(wanted, &devices);
    let total = plan.memory_bytes + ranking_bytes(data.users.len(), data.items.len());
    for device in &devices {
        check_memory(device, Need { total, largest: plan.largest_bytes })?;
    }
    let warm = request.warm_start.map(|dir| Warm::open(dir, request.model)).transpose()?;
    let run = match request.run {
        Some(dir) => {
            let info = run_info(data, dir, request, &plan, warm.as_ref(), &names)?;
            Some(if request.resume { reopen(dir, &info)? } else { RunDir::create(dir, &info)? })
        }
        None => None,
    };
    if let Some(summary) = run.as_ref().map(|r| finished(r, &plan, request, data)).transpose()?.flatten() {
        on(TrainEvent::Finished(&summary));
        return Ok(summary);
    }
    let with_sampler = |t: &TrainingPlan| -> Result<(TrainConfig, Sampler)> {
        let weights = data.train_weights.as_deref();
        Ok((t.config.clone(), Sampler::new(data.train.clone(), weights, request.seed, t.sampling)?))
    };
    let training = plan.training.as_ref().map(with_sampler).transpose()?;
    on(TrainEvent::Planned {
        parameters: plan.parameters,
        memory_bytes: plan.memory_bytes,
        epochs: training.as_ref().map_or(0, |(config, _)| config.epochs),
        batches: training.as_ref().map_or(0, |(config, sampler)| sampler.len().div_ceil(config.batch)),
        devices: &names,
    });
    let started = Instant::now();
    let built = Replicas::build(request.model, data, &request.settings, request.seed, &devices)?;
    let summary = match (built, &training) {
        (Built::Gradient(mut replicas), Some((config, sampler))) => {
            if let Some(warm) = &warm {
                replicas.each(|model| {
                    model.params_mut().load_matching(&warm.params, &warm.data, data).map(|_| ())
                })?;
            }
            let run = run.as_ref();
            let added = replicas.first().linear(data, request.progress)?;
            let state = State::default();
            let mut training = Training { data, request, config, run, added, state, best: None };
            training.run_epochs(&mut replicas, sampler, on)?
        }
        (Built::Direct(solver), _) => {
            solve(data, request, &solver(data, request.progress)?, run.as_ref(), started)?
        }
        (Built::Gradient(_), None) => unreachable!("a model with a loss has a plan of its training"),
    };
    if let Some(run) = &run {
        run.write_json("metrics.json", &summary)?;
    }
    on(TrainEvent::Finished(&summary));
    Ok(summary)
}

fn run_info(
    data: &Dataset,
    run: &Path,
    request: &TrainRequest<'_>,
    plan: &Plan,
    warm: Option<&Warm>,
    devices: &[String],
) -> Result<RunInfo> {
    let absolute = |path: &Path| std::path::absolute(path).map_err(|e| Error::io(path, e));
    let from = absolute(&data.dir)?;
    Ok(RunInfo {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").into(),
        model: request.model.into(),
        settings: plan.settings.clone(),
        seed: request.seed,
        data_from_run: data_from_run(&absolute(run)?, &from),
        data: from,
        data_hash: data.hash.clone(),
        warm_start: warm.map(|w| w.hash.clone()),
        devices: devices.to_vec(),
    })
}

/// The summary of a run that has nothing left to do; its test split is scored now if it was not and shall be.
fn finished(
    run: &RunDir,
    plan: &Plan,
    request: &TrainRequest<'_>,
    data: &Dataset,
) -> Result<Option<Summary>> {
    let Some(mut summary) = run.read_json::<Summary>("metrics.json")? else { return Ok(None) };
    let state = run.read_json::<State>("state.json")?.unwrap_or_default();
    // A run that went on after its end and was killed before its new end still has the summary of the old
    // one.
    let of_older = summary.epochs != state.epoch;
    let unfinished = |t: &TrainingPlan| summary.epochs > 0 && (of_older || state.should_continue(&t.config));
    if plan.training.as_ref().is_some_and(unfinished) {
        return Ok(None);
    }
    if let Some(best) = state.best_file.as_ref().filter(|_| request.test && summary.test_public.is_empty()) {
        let scorer = run.read_scorer(best)?;
        summary.test_public = evaluate(&scorer, data, Split::Test, Protocol::Public, request.progress)?;
        summary.test_clean = evaluate(&scorer, data, Split::Test, Protocol::Clean, request.progress)?;
        summary.popularity = Some(popularity(data, true, request.progress)?);
        run.write_json("metrics.json", &summary)?;
    }
    Ok(Some(summary))
}

/// Scores and keeps a model that was solved at once; `started` is when its solving began.
fn solve(
    data: &Dataset,
    request: &TrainRequest<'_>,
    scorer: &Scorer,
    run: Option<&RunDir>,
    started: Instant,
) -> Result<Summary> {
    let summary = summarize(data, request, scorer, &State::default(), 0)?;
    if let Some(run) = run {
        let best_file = Some(run.write_best(0, &[], scorer)?);
        run.commit(&State { best: summary.valid.get(CRITERION), best_file, ..State::default() })?;
    }
    Ok(Summary { seconds: started.elapsed().as_secs_f64(), ..summary })
}

fn summarize(
    data: &Dataset,
    request: &TrainRequest<'_>,
    scorer: &dyn Ranks,
    state: &State,
    parameters: usize,
) -> Result<Summary> {
    let test = |protocol| match request.test {
        true => evaluate(scorer, data, Split::Test, protocol, request.progress),
        false => Ok(Metrics::default()),
    };
    Ok(Summary {
        model: request.model.into(),
        epochs: state.epoch,
        best_epoch: state.best_epoch,
        parameters,
        seconds: state.seconds,
        valid: evaluate(scorer, data, Split::Valid, Protocol::Public, request.progress)?,
        test_public: test(Protocol::Public)?,
        test_clean: test(Protocol::Clean)?,
        popularity: Some(popularity(data, request.test, request.progress)?),
        cut_short: false,
    })
}

/// Recall@20 of the most popular items.
fn popularity(data: &Dataset, test: bool, progress: &dyn Progress) -> Result<Popularity> {
    let scorer = most_popular(data);
    let recall = |split| -> Result<f64> {
        Ok(evaluate(&scorer, data, split, Protocol::Public, progress)?.get(CRITERION))
    };
    Ok(Popularity { valid: recall(Split::Valid)?, test: test.then(|| recall(Split::Test)).transpose()? })
}

struct Training<'a> {
    data: &'a Dataset,
    request: &'a TrainRequest<'a>,
    config: &'a TrainConfig,
    run: Option<&'a RunDir>,
    /// What the model adds to inner products.
    added: Option<LinearPart>,
    state: State,
    /// The best scorer, where no run folder keeps it.
    best: Option<Scorer>,
}

impl Training<'_> {
    fn run_epochs(
        &mut self,
        replicas: &mut Replicas,
        sampler: &Sampler,
        on: &mut dyn FnMut(TrainEvent<'_>),
    ) -> Result<Summary> {
        let config = self.config;
        let parameters = replicas.first().params().count();
        self.resume(replicas)?;
        while self.state.should_continue(config) {
            let record = self.epoch(replicas, sampler, on)?;
            let expected_end = self.state.expected_end(config, sampler.len().div_ceil(config.batch));
            on(TrainEvent::Epoch { record: &record, expected_end });
        }
        let best = match (self.run, self.best.take()) {
            (Some(run), _) => {
                run.read_scorer(self.state.best_file.as_ref().expect("the last epoch is evaluated"))?
            }
            (None, best) => best.expect("the last epoch is evaluated"),
        };
        let placed = match self.on_processor() {
            true => None,
            false => best.to_device(replicas.first().params().device()),
        };
        let ranks: &dyn Ranks = placed.as_ref().map_or(&best, |placed| placed);
        let summary = summarize(self.data, self.request, ranks, &self.state, parameters)?;
        let cut_short = self.state.patient(config.patience, config.patience_steps);
        Ok(Summary { cut_short, ..summary })
    }

    /// Whether a processor trains.
    fn on_processor(&self) -> bool {
        self.request.devices.iter().any(|d| d.kind == DeviceKind::Cpu)
    }

    fn resume(&mut self, replicas: &mut Replicas) -> Result<()> {
        let Some(run) = self.run else { return Ok(()) };
        if let Some(state) = run.read_json::<State>("state.json")? {
            let file = state.state_file.as_ref();
            let file = file.ok_or_else(|| Error::checkpoint(run.path(), "state.json names no state file"))?;
            let saved = run.read_state(file)?;
            replicas.each(|model| model.params_mut().load(&saved, state.steps))?;
            self.state = state;
        } else {
            start::check_not_begun(run, self.config.eval_every)?;
        }
        run.cut_log(self.state.log_lines)
    }

    fn epoch(
        &mut self,
        replicas: &mut Replicas,
        sampler: &Sampler,
        on: &mut dyn FnMut(TrainEvent<'_>),
    ) -> Result<EpochRecord> {
        let config = self.config;
        let adam = Adam { lr: config.lr as f32, ..Adam::default() };
        let epoch = self.state.epoch + 1;
        let started = Instant::now();
        replicas.each(|model| model.start_epoch(epoch as u64))?;
        let drawn = sampler.epoch(epoch as u64, config.batch);
        let batches = drawn.len();
        // A processor that trains has no core to spare.
        let list: Box<dyn Iterator<Item = Batch>> =
            if self.on_processor() { Box::new(drawn) } else { Box::new(drawn.ahead()) };
        let mut losses = Losses::new(epoch, config.lr, self.on_processor());
        let mut say = |batch, loss| on(TrainEvent::Batch { epoch, batch, batches, loss });
        for (at, batch) in list.enumerate() {
            self.request.progress.check()?;
            let mut step = replicas.begin(batch, epoch as u64, at);
            losses.add(at + 1, std::mem::take(&mut step.losses), &mut say)?;
            replicas.finish(step, &adam);
        }
        losses.read(&mut say)?;
        let train_seconds = started.elapsed().as_secs_f64();
        self.state.epoch = epoch;
        self.state.seconds += train_seconds;
        let mut record = EpochRecord {
            epoch,
            loss: losses.mean(),
            train_seconds,
            eval_seconds: 0.0,
            valid: None,
            best: false,
            share: None,
        };
        if epoch.is_multiple_of(config.eval_every) || epoch == config.epochs {
            self.evaluate(replicas.first(), &mut record)?;
        } else {
            self.log(&record)?;
        }
        Ok(record)
    }

    fn evaluate(&mut self, model: &GradientModel, record: &mut EpochRecord) -> Result<()> {
        let started = Instant::now();
        let Evaluated { scorer: trained, metrics, share } =
            validate(model.device_scorer()?, self.added.as_ref(), self.data)?;
        record.eval_seconds = started.elapsed().as_secs_f64();
        self.state.seconds += record.eval_seconds;
        let value = metrics.get(CRITERION);
        record.best = self.state.best_epoch == 0 || value > self.state.best;
        (record.valid, record.share) = (Some(metrics), share);
        self.state.steps = model.params().steps();
        if record.best {
            (self.state.best, self.state.best_epoch) = (value, record.epoch);
            (self.state.since_best, self.state.best_steps) = (0, self.state.steps);
        } else {
            self.state.since_best += 1;
        }
        self.log(record)?;
        let Some(run) = self.run else {
            if record.best {
                self.best = Some(trained.to_host());
            }
            return Ok(());
        };
        let saved = model.params().save();
        self.state.state_file = Some(run.write_state(record.epoch, &saved)?);
        if record.best {
            self.state.best_file = Some(run.write_best(record.epoch, &saved, &trained.to_host())?);
        }
        run.commit(&self.state)
    }

    fn log(&mut self, record: &EpochRecord) -> Result<()> {
        self.state.log_lines += 1;
        match self.run {
            Some(run) => run.append_log(record),
            None => Ok(()),
        }
    }
}
