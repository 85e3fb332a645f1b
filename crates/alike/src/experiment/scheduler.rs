//! Which runs an experiment needs, which are done, and which can start.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::file::{DataSource, Entry, Experiment, names_of};
use super::score::scores;
use super::search::{combinations, rounds};
use crate::checkpoint::{RunDir, State};
use crate::config::show_all;
use crate::data::{Dataset, prepare};
use crate::disk;
use crate::error::{Error, Result};
use crate::train::{CRITERION, Summary};

/// An experiment at work.
pub struct Scheduler {
    /// What the file says.
    pub experiment: Experiment,
    /// The data sets, as in the file.
    pub(super) sets: Vec<Dataset>,
    out: PathBuf,
    /// Runs that were looked at on disk.
    known: HashMap<PathBuf, Option<Finished>>,
    failed: HashMap<PathBuf, String>,
    running: HashSet<PathBuf>,
}

/// A run to be trained.
#[derive(Debug, Clone)]
pub struct Job {
    /// Name of the data set.
    pub data: String,
    /// Its prepared folder.
    pub data_dir: PathBuf,
    /// Name of the entry.
    pub entry: String,
    /// Name of the model.
    pub model: String,
    /// Settings that differ from the model's defaults, `epochs` of this part among them.
    pub settings: Table,
    /// Seed.
    pub seed: u64,
    /// Maximum of epochs of this part of the run; 0 for models that are solved at once.
    pub epochs: usize,
    /// Run folder.
    pub run: PathBuf,
    /// What it is for.
    pub phase: Phase,
    /// What it tries, in words.
    pub what: String,
}

/// What a run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// To choose settings.
    Search,
    /// The chosen settings with a seed.
    Final,
    /// One setting varied.
    Study,
}

/// How far an experiment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RunCounts {
    /// Runs that are done.
    pub done: usize,
    /// Runs that failed.
    pub failed: usize,
    /// All runs, failed ones included; those of later rounds as planned.
    pub total: usize,
}

/// A run that has ended.
#[derive(Debug, Clone)]
pub(super) struct Finished {
    pub(super) summary: Summary,
    /// Whether it had no patience left.
    stopped: bool,
}

/// A run as the experiment wants it.
#[derive(Debug, Clone)]
pub(super) struct PlannedRun {
    pub(super) settings: Table,
    pub(super) seed: u64,
    pub(super) epochs: usize,
    pub(super) memory_bytes: u64,
    pub(super) run: PathBuf,
    pub(super) phase: Phase,
    pub(super) what: String,
}

/// The state of a run.
#[derive(Debug, Clone)]
pub(super) enum RunStatus {
    Done(Finished),
    Failed(String),
    Open,
}

/// The state of the search of an entry on a data set.
pub(super) enum Chosen {
    /// All settings of the winner, fixed ones included.
    Settings(Table),
    /// Nothing works: why.
    Failed(String),
    /// Runs are missing.
    Open,
}

/// The runs of an entry's search, and what came out.
pub(super) struct SearchState {
    pub(super) trials: Vec<(Table, PlannedRun)>,
    pub(super) chosen: Chosen,
    /// Runs of all rounds: those that are known and how many there will be.
    wanted: Vec<PlannedRun>,
    planned: usize,
}

impl Scheduler {
    /// Reads the experiment in `file`, prepares its data under `out` (paths of data start at `root`) and
    /// checks every setting that will be tried.
    pub fn open(file: &Path, root: &Path, out: &Path, on_data: &mut dyn FnMut(&Dataset)) -> Result<Self> {
        Self::new(Experiment::read(file)?, root, out, on_data)
    }

    /// The same for an experiment that no file describes.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn new(
        experiment: Experiment,
        root: &Path,
        out: &Path,
        on_data: &mut dyn FnMut(&Dataset),
    ) -> Result<Self> {
        let mut sets = Vec::new();
        for source in &experiment.data {
            let mut data = open_source(source, root, out)?;
            data.name.clone_from(&source.name);
            on_data(&data);
            sets.push(data);
        }
        let mut this = Self {
            experiment,
            sets,
            out: out.to_path_buf(),
            known: HashMap::new(),
            failed: HashMap::new(),
            running: HashSet::new(),
        };
        this.check()?;
        Ok(this)
    }

    /// Plans every trial: a setting out of range is an error before the first run, not after hours.
    fn check(&mut self) -> Result<()> {
        for (d, entry) in self.pairs() {
            self.search(d, &entry)?;
            if entry.base.is_some() {
                // What comes from the base is checked there.
                let own = self.experiment.fixed(&entry)?;
                self.wanted(d, &entry, own, 0, Phase::Final, String::new())?;
            }
        }
        for study in &self.experiment.studies {
            let info = self.experiment.entry(&study.base).info()?;
            for value in &study.values {
                let table = Table::from_iter([(study.setting.clone(), value.clone())]);
                info.plan(&self.sets[0], &table)?;
            }
        }
        Ok(())
    }

    /// Every data set with every entry that is trained on it.
    pub(super) fn pairs(&self) -> Vec<(usize, Entry)> {
        let of =
            |d: usize| self.experiment.models.iter().filter(move |m| m.uses(&self.experiment.data[d].name));
        (0..self.sets.len()).flat_map(|d| of(d).map(move |m| (d, m.clone()))).collect()
    }

    /// Peak memory that the largest of the planned runs expects, bytes.
    pub fn memory_bytes(&mut self) -> Result<u64> {
        let mut most = 0;
        for (d, entry) in self.pairs() {
            for (_, wanted) in self.search(d, &entry)?.trials {
                most = most.max(wanted.memory_bytes);
            }
        }
        Ok(most)
    }

    /// Runs that can start now, most urgent first, and how far the whole is.
    pub fn ready(&mut self) -> Result<(Vec<Job>, RunCounts)> {
        let (mut jobs, mut counts): (Vec<Job>, _) = (Vec::new(), RunCounts::default());
        for (d, entry) in self.pairs() {
            let searched = self.search(d, &entry)?;
            let mut wanted = searched.wanted;
            let mut planned = searched.planned;
            match searched.chosen {
                Chosen::Settings(chosen) => {
                    let last = self.finals(d, &entry, &chosen)?;
                    let studies = self.studies(d, &entry, &chosen)?;
                    let more = last.into_iter().chain(studies.into_iter().flatten().flatten());
                    let before = wanted.len();
                    wanted.extend(more);
                    planned += wanted.len() - before;
                }
                Chosen::Open => planned += self.later(d, &entry)?,
                Chosen::Failed(_) => {}
            }
            counts.total += planned;
            for w in wanted {
                match self.status(&w)? {
                    RunStatus::Done(_) => counts.done += 1,
                    RunStatus::Failed(_) => counts.failed += 1,
                    RunStatus::Open => {
                        let new = !self.running.contains(&w.run) && jobs.iter().all(|j| j.run != w.run);
                        if new {
                            jobs.push(self.job(d, &entry, w));
                        }
                    }
                }
            }
        }
        Ok((jobs, counts))
    }

    /// How many final and study runs will follow an open search.
    fn later(&self, d: usize, entry: &Entry) -> Result<usize> {
        let seeds = self.seeds(entry)?.len();
        let studies = self.experiment.studies.iter().filter(|s| self.studied(d, entry, s));
        Ok(seeds + studies.map(|s| s.values.len() * seeds).sum::<usize>())
    }

    fn job(&self, d: usize, entry: &Entry, mut w: PlannedRun) -> Job {
        let data = &self.sets[d];
        if w.epochs > 0 {
            w.settings.insert("epochs".into(), Value::Integer(w.epochs as i64));
        }
        Job {
            data: data.name.clone(),
            data_dir: data.dir.clone(),
            entry: entry.name.clone(),
            model: entry.model.clone(),
            settings: w.settings,
            seed: w.seed,
            epochs: w.epochs,
            run: w.run,
            phase: w.phase,
            what: w.what,
        }
    }

    /// Says that a job was given to somebody.
    pub fn started(&mut self, job: &Job) {
        self.running.insert(job.run.clone());
    }

    /// Says how a job ended. Runs that were chosen are scored on test now.
    pub fn ended(&mut self, job: &Job, result: std::result::Result<(), String>) -> Result<()> {
        self.running.remove(&job.run);
        self.known.remove(&job.run);
        match result {
            Ok(()) if job.phase == Phase::Search => Ok(()),
            Ok(()) => {
                let data =
                    self.sets.iter().find(|d| d.name == job.data).expect("jobs name a data set of ours");
                scores(&job.run, data).map(|_| ())
            }
            Err(why) => {
                self.failed.insert(job.run.clone(), why);
                Ok(())
            }
        }
    }

    pub(super) fn status(&mut self, wanted: &PlannedRun) -> Result<RunStatus> {
        if let Some(why) = self.failed.get(&wanted.run) {
            return Ok(RunStatus::Failed(why.clone()));
        }
        if !self.known.contains_key(&wanted.run) {
            let found = finished(&wanted.run).map_err(|e| {
                Error::Data(format!(
                    "{e}; remove the folder of that run, and the same command trains it again"
                ))
            })?;
            self.known.insert(wanted.run.clone(), found);
        }
        Ok(match &self.known[&wanted.run] {
            Some(f) if f.stopped || f.summary.epochs >= wanted.epochs => RunStatus::Done(f.clone()),
            _ => RunStatus::Open,
        })
    }

    /// The search of `entry` on data set `d` as far as it is.
    pub(super) fn search(&mut self, d: usize, entry: &Entry) -> Result<SearchState> {
        if let Some(base) = &entry.base {
            let base = self.experiment.entry(base).clone();
            let chosen = match self.search(d, &base)?.chosen {
                Chosen::Settings(of_base) => Chosen::Settings(self.inherited(entry, of_base)?),
                Chosen::Failed(why) => Chosen::Failed(format!("its base {}: {why}", base.name)),
                Chosen::Open => Chosen::Open,
            };
            return Ok(SearchState { trials: Vec::new(), chosen, wanted: Vec::new(), planned: 0 });
        }
        let seed = self.experiment.search_seed();
        let fixed = self.experiment.fixed(entry)?;
        let all = combinations(&self.experiment.tried(entry)?, &self.experiment.search, seed);
        let mut trials = Vec::new();
        for trial in all {
            let mut settings = fixed.clone();
            settings.extend(trial.clone());
            let what = show_all(&trial);
            trials.push((trial, self.wanted(d, entry, settings, seed, Phase::Search, what)?));
        }
        if trials.len() == 1 {
            // Nothing to choose: the final runs are all there is.
            let chosen = Chosen::Settings(trials[0].1.settings.clone());
            return Ok(SearchState { trials, chosen, wanted: Vec::new(), planned: 0 });
        }
        self.narrow(trials)
    }

    /// Goes through the rounds of a search as far as they are done.
    fn narrow(&mut self, trials: Vec<(Table, PlannedRun)>) -> Result<SearchState> {
        let rounds = rounds(&self.experiment.search, trials.len(), trials[0].1.epochs);
        let planned = rounds.iter().map(|(n, _)| n).sum();
        let mut left: Vec<usize> = (0..trials.len()).collect();
        let mut wanted = Vec::new();
        for (n, epochs) in rounds {
            left.truncate(n);
            let (mut results, mut open, mut why) = (Vec::new(), false, String::new());
            for &at in &left {
                let run = PlannedRun { epochs: epochs.min(trials[at].1.epochs), ..trials[at].1.clone() };
                match self.status(&run)? {
                    RunStatus::Done(f) => results.push((f.summary.valid.get(CRITERION), at)),
                    RunStatus::Failed(text) => why = text,
                    RunStatus::Open => open = true,
                }
                wanted.push(run);
            }
            if open {
                return Ok(SearchState { trials, chosen: Chosen::Open, wanted, planned });
            }
            // Of equals the first stays.
            results.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            left = results.into_iter().map(|(_, at)| at).collect();
            if left.is_empty() {
                let planned = wanted.len();
                return Ok(SearchState { trials, chosen: Chosen::Failed(why), wanted, planned });
            }
        }
        let chosen = Chosen::Settings(trials[left[0]].1.settings.clone());
        Ok(SearchState { trials, chosen, wanted, planned })
    }

    /// The settings that an entry takes from its base, and its own.
    fn inherited(&self, entry: &Entry, of_base: Table) -> Result<Table> {
        let names = names_of(entry.info()?);
        let mut table = self.experiment.settings.clone();
        table.extend(of_base);
        table.retain(|name, _| names.contains(&name));
        table.extend(entry.settings.clone());
        Ok(table)
    }

    fn wanted(
        &self,
        d: usize,
        entry: &Entry,
        settings: Table,
        seed: u64,
        phase: Phase,
        what: String,
    ) -> Result<PlannedRun> {
        let data = &self.sets[d];
        let at = |e: Error| Error::Data(format!("{} on {}: {e}", entry.name, data.name));
        let plan = entry.info()?.plan(data, &settings).map_err(at)?;
        let epochs = plan.training.as_ref().map_or(0, |t| t.config.epochs);
        let mut all = plan.settings;
        if plan.training.is_none() {
            // What is solved at once knows no epochs.
            all.retain(|name, _| settings.contains_key(name));
        }
        let key = format!("{}\n{seed}\n{}\n{all}", entry.model, data.hash);
        let key = blake3::hash(key.as_bytes()).to_hex();
        let name = format!("{}-s{seed}-{}", slug(&entry.model), &key[..12]);
        let run = self.out.join("runs").join(slug(&data.name)).join(name);
        Ok(PlannedRun { settings, seed, epochs, memory_bytes: plan.memory_bytes, run, phase, what })
    }

    /// Seeds of an entry's final runs: one where nothing depends on it.
    fn seeds(&self, entry: &Entry) -> Result<Vec<u64>> {
        let direct = !entry.info()?.trained;
        let seeds = &self.experiment.seeds;
        // The seed of the search, where it is one of them, has its run already.
        let first = Some(self.experiment.search_seed()).filter(|s| seeds.contains(s)).unwrap_or(seeds[0]);
        Ok(if direct { vec![first] } else { seeds.clone() })
    }

    /// The runs with the chosen settings.
    pub(super) fn finals(&self, d: usize, entry: &Entry, chosen: &Table) -> Result<Vec<PlannedRun>> {
        let one = |seed| self.wanted(d, entry, chosen.clone(), seed, Phase::Final, "chosen settings".into());
        self.seeds(entry)?.into_iter().map(one).collect()
    }

    fn studied(&self, d: usize, entry: &Entry, study: &super::file::Study) -> bool {
        let name = &self.sets[d].name;
        study.base == entry.name && study.data.as_ref().is_none_or(|names| names.contains(name))
    }

    /// The runs of the studies of `entry`: for each study, for each value, a run a seed.
    pub(super) fn studies(
        &self,
        d: usize,
        entry: &Entry,
        chosen: &Table,
    ) -> Result<Vec<Vec<Vec<PlannedRun>>>> {
        let mut all = Vec::new();
        for study in &self.experiment.studies {
            let mut points = Vec::new();
            for value in study.values.iter().filter(|_| self.studied(d, entry, study)) {
                let mut settings = chosen.clone();
                settings.insert(study.setting.clone(), value.clone());
                let what = show_all(&Table::from_iter([(study.setting.clone(), value.clone())]));
                let one = |seed| self.wanted(d, entry, settings.clone(), seed, Phase::Study, what.clone());
                points.push(self.seeds(entry)?.into_iter().map(one).collect::<Result<_>>()?);
            }
            all.push(points);
        }
        Ok(all)
    }
}

/// Whether and how a run ended.
fn finished(run: &Path) -> Result<Option<Finished>> {
    if !disk::exists(&run.join("run.json")) {
        return Ok(None);
    }
    let (dir, info) = RunDir::open(run)?;
    let Some(summary) = dir.read_json::<Summary>("metrics.json")? else { return Ok(None) };
    let state = dir.read_json::<State>("state.json")?.unwrap_or_default();
    let setting = |name| info.settings.get(name).and_then(Value::as_integer).unwrap_or(0) as usize;
    let solved = summary.epochs == 0;
    let stopped = !solved && !state.patient(setting("patience"), setting("patience_steps"));
    Ok(Some(Finished { summary, stopped }))
}

/// Opens a data set; one given by files is prepared under a name that its content decides, unless it is there
/// already.
fn open_source(source: &DataSource, root: &Path, out: &Path) -> Result<Dataset> {
    if let Some(dir) = &source.dir {
        return Dataset::open(&root.join(dir));
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update(format!("{source:?}").as_bytes());
    let files = source.interactions.iter().chain(source.features.values()).chain(source.feature_ids.values());
    for file in files.chain(source.knn.values()).chain(&source.items) {
        hasher.update(&disk::map(&root.join(file))?);
    }
    let key = hasher.finalize().to_hex();
    let dir = out.join("data").join(format!("{}-{}", slug(&source.name), &key[..12]));
    if !dir.join("manifest.json").is_file() {
        let options = source.options(root, &dir)?.expect("without a folder there are files");
        prepare(&options)?;
    }
    Dataset::open(&dir)
}

/// A name as a folder is called.
fn slug(name: &str) -> String {
    let plain: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    let parts: Vec<&str> = plain.split('-').filter(|p| !p.is_empty()).collect();
    if parts.is_empty() { "x".into() } else { parts.join("-") }
}
