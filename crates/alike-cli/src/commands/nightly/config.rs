//! The file that says what a night does.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use alike::data::{ItemColumns, PrepareOptions, SplitKind};
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use crate::commands::logs::{Catalogue, LogPlace, Logs};
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
    /// The catalogue, or the store that holds it; with stores that lie over it.
    #[serde(default, deserialize_with = "one_or_more")]
    items: Vec<LogPlace>,
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
        this.items = this.items.into_iter().map(|place| place.within(folder)).collect();
        this.features.values_mut().for_each(|file| *file = folder.join(&*file));
        this.interactions = this.interactions.into_iter().map(|place| place.within(folder)).collect();
        Ok(this)
    }

    /// The interactions as they are now. A store that is not there yet holds nothing.
    pub(super) fn logs(&self) -> Outcome<Logs> {
        let given: Vec<LogPlace> =
            self.interactions.iter().filter(|place| is_there(place)).cloned().collect();
        if given.is_empty() {
            return Err(Failure::Failed(
                "no store of `interactions` is there yet: nothing to train on".into(),
            ));
        }
        Logs::open(&given)
    }

    /// The catalogue as it is now. A store over it that is not there yet says nothing.
    pub(super) fn catalogue(&self) -> Outcome<Option<Catalogue>> {
        let counts = |(at, place): &(usize, &LogPlace)| *at == 0 || is_there(place);
        let given = self.items.iter().enumerate().filter(counts).map(|(_, place)| place.clone());
        Catalogue::of_all(&given.collect::<Vec<_>>())
    }

    /// How to prepare `logs`, with a catalogue.
    pub(super) fn options(&self, logs: &Logs, catalogue: Option<&Catalogue>, out: PathBuf) -> PrepareOptions {
        let attributes = self.attributes.iter().map(|name| (name.clone(), name.clone()));
        let events = self.events.iter().map(|(kind, weight)| (kind.clone(), *weight));
        PrepareOptions {
            more_interactions: logs.more.clone(),
            stores: logs.stores.clone(),
            items: catalogue.map(|catalogue| catalogue.path.clone()),
            items_over: catalogue.map(|catalogue| catalogue.over.clone()).unwrap_or_default(),
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

/// Whether a place is there; of one elsewhere nobody knows.
fn is_there(place: &LogPlace) -> bool {
    match place {
        LogPlace::Store(StoreAddress::File(file)) => file.exists(),
        _ => true,
    }
}

fn one_or_more<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<LogPlace>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Places {
        One(String),
        More(Vec<String>),
    }
    let places = match Places::deserialize(deserializer)? {
        Places::One(place) => vec![place],
        Places::More(places) => places,
    };
    places.into_iter().map(|place| place.parse().map_err(D::Error::custom)).collect()
}
