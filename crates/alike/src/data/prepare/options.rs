//! What to prepare, and how.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::data::formats::columns::ColumnNames;
use crate::data::formats::options::TextOptions;
use crate::data::prepare::catalogue::ItemColumns;
use crate::{Error, Result};

/// Least weight of an interaction, where the heaviest is 1.
pub(crate) const LIGHTEST: f32 = 1e-6;

/// How interactions become train, valid and test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SplitKind {
    /// A column says it: 0 train, 1 valid, 2 test.
    Label,
    /// Per user at random: fewer than 10 interactions → 1 valid, 1 test; otherwise 20 % held out.
    Random,
    /// Per user by time: the last is the test, the one before is for validation.
    LeaveOneOut,
    /// One cut in time for all users: 80 / 10 / 10 %.
    Temporal,
    /// By label where a column is called `x_label` or named as the label, otherwise at random.
    Auto,
}

impl SplitKind {
    /// All kinds that a report can name.
    pub const ALL: [Self; 4] = [Self::Label, Self::Random, Self::LeaveOneOut, Self::Temporal];
}

impl fmt::Display for SplitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Label => "label",
            Self::Random => "random",
            Self::LeaveOneOut => "leave-one-out",
            Self::Temporal => "temporal",
            Self::Auto => "auto",
        })
    }
}

impl FromStr for SplitKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|k| k.to_string() == text).ok_or_else(|| Error::Setting {
            name: "split".into(),
            value: text.into(),
            allowed: Self::ALL.map(|k| k.to_string()).join(", "),
        })
    }
}

/// What to prepare and how.
#[derive(Debug, Clone)]
pub struct PrepareOptions {
    /// Delimited text, JSON objects or Parquet, packed or not; a folder of part files; `-` for standard
    /// input.
    pub interactions: PathBuf,
    /// More of the same, each with columns of its own: their rows come after those.
    pub more_interactions: Vec<PathBuf>,
    /// Those of these files that hold events as `alike serve` keeps them, with columns user, item, time and
    /// event: `take` and `like` are interactions, `dislike` and `remove` take back.
    pub stores: Vec<PathBuf>,
    /// Which column is which; what is not given is guessed.
    pub columns: ColumnNames,
    /// How text is written; what is not given is guessed.
    pub text: TextOptions,
    /// How times are written, as `strftime` takes it; without it numbers and ISO 8601 dates are read.
    pub time_format: Option<String>,
    /// Kinds of events to keep, each with its weight, of which only the proportions count; none given: all,
    /// alike. A kind of weight 0 takes back what the person did with the item before.
    pub events: Vec<(String, f32)>,
    /// After so many days an interaction counts half, after twice as many a quarter: how often it takes part
    /// in training, beside the weight of its kind.
    pub half_life: Option<f64>,
    /// Rows without a user, an item, or a rating or time that is needed, are dropped instead of being an
    /// error.
    pub drop_missing: bool,
    /// Pairs of user and item with a smaller rating are dropped; of several ratings the last decides.
    pub min_rating: Option<f32>,
    /// Features by name of the modality: `.npy`, `.npz`, `.safetensors` or `.parquet`.
    pub features: Vec<(String, PathBuf)>,
    /// Files of item ids, one per line, by name of the modality that they belong to.
    pub feature_ids: Vec<(String, PathBuf)>,
    /// Given neighbour graphs by name: `.npz` with `idx` and `cos`.
    pub knn: Vec<(String, PathBuf)>,
    /// Titles, images, categories: JSON objects, delimited text or Parquet.
    pub items: Option<PathBuf>,
    /// Tables whose rows lie over those of `items`, later ones over earlier ones: what they say of an item
    /// counts, and what they leave empty is as it was. Their columns have usual names and the names of the
    /// attributes.
    pub items_over: Vec<PathBuf>,
    /// Which of its columns is which; what is not given is guessed.
    pub item_columns: ItemColumns,
    /// Items of the catalogue of which no interaction stays and that have features are kept; they can be
    /// recommended.
    pub cold_items: bool,
    /// The split.
    pub split: SplitKind,
    /// Users and items with fewer interactions are dropped until none is left; 0 and 1 drop nothing.
    pub k_core: usize,
    /// Seed of the split `random`.
    pub seed: u64,
    /// The folder to write. An older prepared folder there is replaced once the new one is complete.
    pub out: PathBuf,
}

impl PrepareOptions {
    /// Options with nothing but the interactions: split `random`, seed 0.
    pub fn new(interactions: impl Into<PathBuf>, out: impl Into<PathBuf>) -> Self {
        Self {
            interactions: interactions.into(),
            more_interactions: Vec::new(),
            stores: Vec::new(),
            columns: ColumnNames::default(),
            text: TextOptions::default(),
            time_format: None,
            events: Vec::new(),
            half_life: None,
            drop_missing: false,
            min_rating: None,
            features: Vec::new(),
            feature_ids: Vec::new(),
            knn: Vec::new(),
            items: None,
            items_over: Vec::new(),
            item_columns: ItemColumns::default(),
            cold_items: true,
            split: SplitKind::Random,
            k_core: 0,
            seed: 0,
            out: out.into(),
        }
    }

    /// An error if options contradict each other.
    pub(crate) fn check(&self) -> Result<()> {
        self.item_columns.check()?;
        self.text.check()?;
        if let Some(rating) = self.min_rating.filter(|r| !r.is_finite()) {
            return Err(Error::Setting {
                name: "min-rating".into(),
                value: rating.to_string(),
                allowed: "a finite number".into(),
            });
        }
        let mut kinds = BTreeSet::new();
        let heaviest =
            self.events.iter().map(|(_, weight)| *weight).filter(|w| w.is_finite()).fold(0.0, f32::max);
        for (kind, weight) in &self.events {
            if !(weight.is_finite() && *weight >= 0.0) {
                let allowed = "a finite number; 0 takes back, a kind that is not named is left out".into();
                return Err(Error::Setting {
                    name: format!("weight of event `{kind}`"),
                    value: weight.to_string(),
                    allowed,
                });
            }
            // Lighter ones would hardly ever take part, and may be no number above 0 once they are divided.
            if *weight > 0.0 && weight / heaviest < LIGHTEST {
                return Err(Error::Setting {
                    name: format!("weight of event `{kind}`"),
                    value: weight.to_string(),
                    allowed: format!(
                        "at least a millionth of the heaviest ({heaviest}); a kind that is not named is left out"
                    ),
                });
            }
            if !kinds.insert(kind) {
                return Err(Error::Data(format!("event `{kind}` is given twice")));
            }
        }
        if heaviest == 0.0 && !self.events.is_empty() {
            return Err(Error::Data("every event takes back; one kind needs a weight above 0".into()));
        }
        if let Some(days) = self.half_life.filter(|days| !(days.is_finite() && *days > 0.0)) {
            let (name, allowed) = ("half-life".into(), "a number of days above 0".into());
            return Err(Error::Setting { name, value: days.to_string(), allowed });
        }
        for (what, list) in [("feature", &self.features), ("knn", &self.knn)] {
            let mut seen = BTreeSet::new();
            for (name, _) in list {
                let plain = |c: u8| c.is_ascii_alphanumeric() || c == b'_' || c == b'-';
                if name.is_empty() || name.len() > 64 || !name.bytes().all(plain) {
                    let allowed = "1 to 64 letters, digits, `_` and `-`".into();
                    return Err(Error::Setting {
                        name: format!("{what} name"),
                        value: name.clone(),
                        allowed,
                    });
                }
                if !seen.insert(name) {
                    return Err(Error::Data(format!("{what} `{name}` is given twice")));
                }
            }
        }
        for (name, path) in &self.feature_ids {
            if !self.features.iter().any(|(n, _)| n == name) {
                let message = format!("is given for the features `{name}`, which are not given");
                return Err(Error::format(path, message));
            }
        }
        Ok(())
    }
}
