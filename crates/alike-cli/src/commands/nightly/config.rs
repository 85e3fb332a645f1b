//! The file that says what a night does.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use alike::data::{ItemColumns, PrepareOptions, SplitKind};
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use crate::commands::logs::{LogPlace, Logs};
use crate::failure::{Failure, Outcome};
use crate::serve::store::StoreAddress;

/// What to do every night. Paths start at the folder of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    /// The folder of runs and data, and of the link to the live run.
    pub(super) work: PathBuf,
    /// Files and stores of interactions.
    interactions: Vec<LogPlace>,
    /// The catalogue, or the store that holds it.
    pub(super) items: Option<LogPlace>,
    /// Columns of the catalogue by which lists can be filtered.
    #[serde(default)]
    attributes: Vec<String>,
    /// Feature files by modality.
    #[serde(default)]
    features: BTreeMap<String, PathBuf>,
    /// Kinds of events with their weights.
    #[serde(default)]
    events: BTreeMap<String, f32>,
    half_life: Option<f64>,
    min_rating: Option<f32>,
    #[serde(default)]
    k_core: usize,
    #[serde(default = "temporal", deserialize_with = "split")]
    split: SplitKind,
    #[serde(default = "alloy")]
    pub(super) model: String,
    /// Settings that differ from the model's defaults.
    #[serde(default)]
    pub(super) settings: toml::Table,
    #[serde(default)]
    pub(super) seed: u64,
    /// Where training starts.
    #[serde(default)]
    pub(super) start: Start,
    /// How much lower the metric may be, as a share of the live run's.
    #[serde(default = "tolerance")]
    pub(super) tolerance: f64,
    /// Runs that stay, the live one among them.
    #[serde(default = "keep")]
    pub(super) keep: usize,
}

/// Where training starts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Start {
    /// From the live run, where it is of the same model.
    #[default]
    Warm,
    /// As if there were none.
    New,
}

fn temporal() -> SplitKind {
    SplitKind::Temporal
}

fn split<'de, D: Deserializer<'de>>(from: D) -> Result<SplitKind, D::Error> {
    String::deserialize(from)?.parse().map_err(D::Error::custom)
}

fn alloy() -> String {
    "alloy".into()
}

fn tolerance() -> f64 {
    0.01
}

fn keep() -> usize {
    5
}

impl Config {
    /// Reads the file, and makes its paths start where it lies.
    pub(super) fn read(path: &Path) -> Outcome<Self> {
        let table = crate::commands::train::read_toml(path)?;
        let wrong = |text: String| Failure::Usage(format!("{}: {text}", path.display()));
        let mut this: Self = table.try_into().map_err(|e: toml::de::Error| wrong(e.message().into()))?;
        if this.interactions.is_empty() {
            return Err(wrong("`interactions` names no file".into()));
        }
        if !(0.0..1.0).contains(&this.tolerance) {
            return Err(wrong(format!("`tolerance` is {}; allowed: 0 to below 1", this.tolerance)));
        }
        if this.keep == 0 {
            return Err(wrong("`keep` is 0; the live run always stays, so at least 1".into()));
        }
        alike::models::find(&this.model)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        this.work = folder.join(&this.work);
        this.items = this.items.map(|items| items.within(folder));
        this.features.values_mut().for_each(|file| *file = folder.join(&*file));
        this.interactions = this.interactions.into_iter().map(|place| place.within(folder)).collect();
        Ok(this)
    }

    /// The interactions as they are now. A store that is not there yet holds nothing.
    pub(super) fn logs(&self) -> Outcome<Logs> {
        let there = |place: &&LogPlace| match place {
            LogPlace::Store(StoreAddress::File(file)) => file.exists(),
            _ => true,
        };
        let given: Vec<LogPlace> = self.interactions.iter().filter(there).cloned().collect();
        if given.is_empty() {
            return Err(Failure::Failed(
                "no store of `interactions` is there yet: nothing to train on".into(),
            ));
        }
        Logs::open(&given)
    }

    /// How to prepare `logs`, with the catalogue at `items`.
    pub(super) fn options(&self, logs: &Logs, items: Option<PathBuf>, out: PathBuf) -> PrepareOptions {
        let attributes = self.attributes.iter().map(|name| (name.clone(), name.clone()));
        let events = self.events.iter().map(|(kind, weight)| (kind.clone(), *weight));
        PrepareOptions {
            more_interactions: logs.more.clone(),
            stores: logs.stores.clone(),
            items,
            item_columns: ItemColumns { attributes: attributes.collect(), ..ItemColumns::default() },
            features: self.features.iter().map(|(name, file)| (name.clone(), file.clone())).collect(),
            events: events.collect(),
            half_life: self.half_life,
            min_rating: self.min_rating,
            k_core: self.k_core,
            split: self.split,
            seed: self.seed,
            ..PrepareOptions::new(&logs.first, out)
        }
    }
}
