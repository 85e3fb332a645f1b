//! Where interactions come from: files, and stores of events.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use alike::data::TableFile;
use serde::Deserialize;

use crate::failure::{Failure, Outcome};
use crate::made::Made;
use crate::serve::store::{self, StoreAddress};

/// A place of interactions, as `--interactions` names it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum LogPlace {
    /// A file, a folder of part files, or standard input.
    File(PathBuf),
    /// Events of a server.
    Store(StoreAddress),
}

impl FromStr for LogPlace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(store) => Ok(Self::Store(store)),
            Err(why) if text.starts_with("sqlite:") => Err(why),
            Err(_) => Ok(Self::File(text.into())),
        }
    }
}

impl TryFrom<String> for LogPlace {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for LogPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Store(store) => store.fmt(f),
        }
    }
}

impl LogPlace {
    /// The same with a path that starts at `folder`.
    pub(crate) fn within(self, folder: &Path) -> Self {
        match self {
            Self::File(path) => Self::File(folder.join(path)),
            Self::Store(StoreAddress::File(path)) => Self::Store(StoreAddress::File(folder.join(path))),
            url @ Self::Store(StoreAddress::Url(_)) => url,
        }
    }
}

/// The files of interactions, stores as tables; these are there as long as this is.
pub(crate) struct Logs {
    pub(crate) first: PathBuf,
    pub(crate) more: Vec<PathBuf>,
    pub(crate) stores: Vec<PathBuf>,
    _tables: Vec<TableFile>,
}

impl Logs {
    /// Reads the stores.
    ///
    /// # Errors
    /// A place is named twice, a store cannot be read, or a file is one that this program made.
    pub(crate) fn open(places: &[LogPlace]) -> Outcome<Self> {
        let again = |at: usize| places[..at].contains(&places[at]);
        if let Some(at) = (0..places.len()).find(|&at| again(at)) {
            return Err(Failure::Usage(format!("--interactions: {} is given twice", places[at])));
        }
        let (mut paths, mut stores, mut tables) = (Vec::new(), Vec::new(), Vec::new());
        for place in places {
            paths.push(match place {
                LogPlace::File(path) => {
                    check_interactions(path)?;
                    path.clone()
                }
                LogPlace::Store(store) => {
                    tables.push(store::export(store)?);
                    let path = tables[tables.len() - 1].path().to_path_buf();
                    stores.push(path.clone());
                    path
                }
            });
        }
        let first = paths.remove(0);
        Ok(Self { first, more: paths, stores, _tables: tables })
    }
}

/// A catalogue, stores of items as tables; these are there as long as this is.
pub(crate) struct Catalogue {
    pub(crate) path: PathBuf,
    /// What lies over it.
    pub(crate) over: Vec<PathBuf>,
    _tables: Vec<TableFile>,
}

impl Catalogue {
    /// Reads a catalogue, or a store that holds one.
    ///
    /// # Errors
    /// A store cannot be read, or says nothing of items.
    pub(crate) fn open(place: &LogPlace) -> Outcome<Self> {
        match place {
            LogPlace::File(path) => Ok(Self { path: path.clone(), over: Vec::new(), _tables: Vec::new() }),
            LogPlace::Store(store) => {
                let said = store::export_items(store)?;
                let table = said.ok_or_else(|| {
                    let text = "says nothing of any item; PUT /v1/items/{id} of its server does";
                    Failure::Failed(format!("{store}: {text}"))
                })?;
                Ok(Self { path: table.path().to_path_buf(), over: Vec::new(), _tables: vec![table] })
            }
        }
    }

    /// The first of `places`, with the others over it, which are stores and may say nothing yet; none of
    /// none.
    ///
    /// # Errors
    /// As [`Self::open`]; a later one is a file.
    pub(crate) fn of_all(places: &[LogPlace]) -> Outcome<Option<Self>> {
        let Some((first, others)) = places.split_first() else { return Ok(None) };
        let mut this = Self::open(first)?;
        for place in others {
            let LogPlace::Store(store) = place else {
                let text = format!(
                    "{place} is a file; over the first only stores can lie (sqlite:PATH or postgres://…)"
                );
                return Err(Failure::Usage(text));
            };
            let table = store::export_items(store)?;
            this.over.extend(table.iter().map(|table| table.path().to_path_buf()));
            this._tables.extend(table);
        }
        Ok(Some(this))
    }
}

/// An error where something that this program made is given as interactions.
fn check_interactions(path: &Path) -> Outcome {
    match Made::at(path) {
        Some(made) => Err(Failure::Usage(format!(
            "--interactions: {} is {}; give the log that the data were prepared from",
            path.display(),
            made.name()
        ))),
        None => Ok(()),
    }
}
