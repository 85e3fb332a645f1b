//! The file that describes an experiment, read strictly.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Deserialize;

use super::search::{self, Search};
use crate::config::SettingInfo;
use crate::data::{PrepareOptions, SplitKind};
use crate::disk;
use crate::error::{Error, Result};
use crate::models::{ModelInfo, find};

/// An experiment as its file says it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// Heading of the report.
    pub title: String,
    /// What the reader should know, one paragraph.
    #[serde(default)]
    pub note: String,
    /// Seeds of the final runs.
    pub seeds: Vec<u64>,
    /// Metrics of the tables.
    #[serde(default = "default_metrics")]
    pub metrics: Vec<String>,
    /// Name of the entry that the others are compared with, user by user; the best on validation when not
    /// given.
    pub compare: Option<String>,
    /// How settings are searched.
    #[serde(default)]
    pub search: Search,
    /// Settings of every model that has them.
    #[serde(default)]
    pub settings: toml::Table,
    /// Values to try for every model that has the setting.
    #[serde(default)]
    pub grid: toml::Table,
    /// The data sets.
    pub data: Vec<DataSource>,
    /// The models.
    pub models: Vec<Entry>,
    /// What varies one setting of a chosen model.
    #[serde(default)]
    pub studies: Vec<Study>,
}

fn default_metrics() -> Vec<String> {
    ["recall@10", "recall@20", "ndcg@10", "ndcg@20"].map(String::from).to_vec()
}

/// A data set: a prepared folder, or files to prepare.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSource {
    /// Name in the report.
    pub name: String,
    /// A prepared folder.
    pub dir: Option<PathBuf>,
    /// Interactions, to be prepared.
    pub interactions: Option<PathBuf>,
    /// Features by modality.
    #[serde(default)]
    pub features: BTreeMap<String, PathBuf>,
    /// Files of item ids by modality.
    #[serde(default)]
    pub feature_ids: BTreeMap<String, PathBuf>,
    /// Given neighbour graphs by modality.
    #[serde(default)]
    pub knn: BTreeMap<String, PathBuf>,
    /// The catalogue.
    pub items: Option<PathBuf>,
    /// `label`, `random`, `leave-one-out` or `temporal`.
    #[serde(default = "label")]
    pub split: String,
    /// Interactions with a smaller rating are dropped.
    pub min_rating: Option<f32>,
    /// Users and items with fewer interactions are dropped.
    #[serde(default)]
    pub k_core: usize,
    /// Seed of a random split.
    #[serde(default)]
    pub seed: u64,
}

fn label() -> String {
    "label".into()
}

/// A model of the experiment.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Name in the report.
    pub name: String,
    /// Name in the registry.
    pub model: String,
    /// Its settings.
    #[serde(default)]
    pub settings: toml::Table,
    /// Values to try: a list a setting, or `{ min, max, log }` for draws.
    #[serde(default)]
    pub grid: toml::Table,
    /// Data sets it is trained on; all when not given.
    pub data: Option<Vec<String>>,
    /// The entry whose chosen settings it takes instead of a search of its own, for ablations.
    pub base: Option<String>,
    /// Published values by data set and metric, shown beside ours.
    #[serde(default)]
    pub published: BTreeMap<String, BTreeMap<String, f64>>,
}

/// One setting of a chosen model varied.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Study {
    /// Heading.
    pub title: String,
    /// The entry.
    pub base: String,
    /// The setting.
    pub setting: String,
    /// Its values.
    pub values: Vec<toml::Value>,
    /// Data sets; all of the entry when not given.
    pub data: Option<Vec<String>>,
}

impl Experiment {
    /// Reads and checks a file.
    pub fn read(path: &Path) -> Result<Self> {
        let text = disk::text(path)?;
        let this: Self = toml::from_str(&text).map_err(|e| {
            let line = e.span().map_or(1, |s| text[..s.start].matches('\n').count() as u64 + 1);
            Error::format_at(path, line, e.message().to_string())
        })?;
        this.check().map_err(|text| Error::format(path, text))?;
        Ok(this)
    }

    /// Models by their defaults, on prepared folders, with seeds 1 to `seeds`.
    ///
    /// # Errors
    /// There is no such model, a model or folder is given twice, or there is none.
    pub fn of_defaults(data: &[PathBuf], models: &[String], seeds: u64) -> Result<Self> {
        let source = |dir: &PathBuf| {
            let name = dir.file_name().unwrap_or(dir.as_os_str()).to_string_lossy().into_owned();
            let dir = std::path::absolute(dir).map_err(|e| Error::io(dir, e))?;
            Ok(DataSource { name, dir: Some(dir), split: label(), ..DataSource::default() })
        };
        let entry = |model: &String| Entry { name: model.clone(), model: model.clone(), ..Entry::default() };
        let this = Self {
            title: "Comparison".into(),
            seeds: (1..=seeds).collect(),
            metrics: default_metrics(),
            data: data.iter().map(source).collect::<Result<_>>()?,
            models: models.iter().map(entry).collect(),
            ..Self::default()
        };
        this.check().map_err(Error::Data)?;
        Ok(this)
    }

    /// What is wrong with it, if anything.
    fn check(&self) -> Result<(), String> {
        let names: Vec<&str> = self.models.iter().map(|m| &*m.name).collect();
        let sets: Vec<&str> = self.data.iter().map(|d| &*d.name).collect();
        distinct("model", &names)?;
        distinct("data set", &sets)?;
        let seeds: BTreeSet<u64> = self.seeds.iter().copied().collect();
        if seeds.is_empty() || seeds.len() != self.seeds.len() {
            return Err("`seeds` needs at least one seed, each once".into());
        }
        if self.data.is_empty() || self.models.is_empty() {
            return Err("an experiment needs at least one `[[data]]` and one `[[models]]`".into());
        }
        let Search { keep, trials, epochs, finalists, .. } = self.search;
        if keep < 2 || trials == 0 || epochs == 0 || finalists == 0 {
            return Err(
                "`search` needs keep of at least 2; trials, epochs and finalists of at least 1".into()
            );
        }
        for source in &self.data {
            if source.dir.is_some() == source.interactions.is_some() {
                return Err(format!("data set `{}` needs either `dir` or `interactions`", source.name));
            }
            SplitKind::from_str(&source.split).map_err(|e| e.to_string())?;
        }
        let known = |what: &str, name: &str, all: &[&str]| {
            all.contains(&name)
                .then_some(())
                .ok_or_else(|| format!("unknown {what} `{name}`; allowed: {}", all.join(", ")))
        };
        for name in self.compare.iter().chain(self.studies.iter().map(|s| &s.base)) {
            known("model", name, &names)?;
        }
        for name in self
            .models
            .iter()
            .filter_map(|m| m.data.as_ref())
            .chain(self.studies.iter().filter_map(|s| s.data.as_ref()))
            .flatten()
        {
            known("data set", name, &sets)?;
        }
        for entry in &self.models {
            entry.check(self).map_err(|text| format!("model `{}`: {text}", entry.name))?;
            entry.published.keys().try_for_each(|name| known("data set", name, &sets))?;
        }
        for study in &self.studies {
            let entry = self.entry(&study.base);
            let of = entry.info().map_err(|e| e.to_string())?;
            known("setting", &study.setting, &names_of(of))
                .map_err(|text| format!("study `{}`: {text}", study.title))?;
        }
        for name in self.settings.keys().chain(self.grid.keys()) {
            let has = |entry: &Entry| entry.info().is_ok_and(|of| names_of(of).contains(&&**name));
            if !self.models.iter().any(has) {
                return Err(format!("no model here has a setting `{name}`"));
            }
        }
        Ok(())
    }

    /// The entry called `name`, which was checked to be there.
    pub(super) fn entry(&self, name: &str) -> &Entry {
        self.models.iter().find(|m| m.name == name).expect("names were checked when the file was read")
    }

    /// Seed of the search.
    pub(super) fn search_seed(&self) -> u64 {
        self.search.seed.unwrap_or(self.seeds[0])
    }

    /// Settings of `entry` that are the same in all its runs.
    pub(super) fn fixed(&self, entry: &Entry) -> Result<toml::Table> {
        let names = names_of(entry.info()?);
        let mut table = self.settings.clone();
        table.retain(|name, _| names.contains(&name));
        table.extend(entry.settings.clone());
        Ok(table)
    }

    /// What is tried for `entry`: its own lists, and the common ones of settings that it has and does not
    /// fix.
    pub(super) fn tried(&self, entry: &Entry) -> Result<toml::Table> {
        if entry.base.is_some() {
            return Ok(toml::Table::new());
        }
        let names = names_of(entry.info()?);
        let mut table = self.grid.clone();
        table.retain(|name, _| names.contains(&name) && !entry.settings.contains_key(name));
        table.extend(entry.grid.clone());
        Ok(table)
    }
}

impl Entry {
    /// Its model.
    pub(super) fn info(&self) -> Result<&'static ModelInfo> {
        find(&self.model)
    }

    /// Whether it is trained on the data set called `name`.
    pub fn uses(&self, name: &str) -> bool {
        self.data.as_ref().is_none_or(|names| names.iter().any(|n| n == name))
    }

    fn check(&self, all: &Experiment) -> Result<(), String> {
        let of = self.info().map_err(|e| e.to_string())?;
        let names = names_of(of);
        for name in self.settings.keys().chain(self.grid.keys()) {
            if !names.contains(&&**name) {
                return Err(format!("unknown setting `{name}`; allowed: {}", names.join(", ")));
            }
        }
        if let Some(name) = self.grid.keys().find(|name| self.settings.contains_key(*name)) {
            return Err(format!("`{name}` is both in `settings` and in `grid`"));
        }
        for (name, values) in self.grid.iter().chain(&all.grid) {
            search::check(name, values, all.search.kind)?;
        }
        let Some(base) = &self.base else { return Ok(()) };
        if !self.grid.is_empty() {
            return Err("an entry with `base` takes its settings and has no `grid`".into());
        }
        let found = all.models.iter().find(|m| m.name == *base);
        let found = found.ok_or_else(|| format!("unknown base `{base}`"))?;
        let missing = |d: &&DataSource| self.uses(&d.name) && !found.uses(&d.name);
        match all.data.iter().find(missing) {
            _ if found.base.is_some() => Err(format!("its base `{base}` has a base itself")),
            Some(d) => Err(format!("its base `{base}` is not trained on `{}`", d.name)),
            None => Ok(()),
        }
    }
}

impl DataSource {
    /// What `alike prepare` would be told, with paths from `root`.
    pub(super) fn options(&self, root: &Path, out: &Path) -> Result<Option<PrepareOptions>> {
        let Some(interactions) = &self.interactions else { return Ok(None) };
        let named = |files: &BTreeMap<String, PathBuf>| {
            files.iter().map(|(name, file)| (name.clone(), root.join(file))).collect::<Vec<_>>()
        };
        Ok(Some(PrepareOptions {
            min_rating: self.min_rating,
            features: named(&self.features),
            feature_ids: named(&self.feature_ids),
            knn: named(&self.knn),
            items: self.items.as_ref().map(|file| root.join(file)),
            split: SplitKind::from_str(&self.split)?,
            k_core: self.k_core,
            seed: self.seed,
            ..PrepareOptions::new(root.join(interactions), out)
        }))
    }
}

/// Names of a model's settings.
pub(super) fn names_of(info: &ModelInfo) -> Vec<&'static str> {
    info.settings().iter().map(|s: &SettingInfo| s.name).collect()
}

fn distinct(what: &str, names: &[&str]) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    match names.iter().find(|n| n.trim().is_empty() || !seen.insert(**n)) {
        Some(name) => Err(format!("{what} name `{name}` is empty or given twice")),
        None => Ok(()),
    }
}
