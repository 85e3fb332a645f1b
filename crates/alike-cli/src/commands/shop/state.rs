//! The work folder: what is done, and of what, so that the same command goes on and does nothing twice.
//!
//! Every result lies under a name made of all that it depends on, or beside a key made of that, and
//! `shop.json` is replaced whole after each. So whatever was killed when, what it says is done is done.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};

use alike::checkpoint::RunDir;
use serde::{Deserialize, Serialize};

use crate::commands::shop::pictures;
use crate::failure::{Failure, Outcome};
use crate::output;

/// The file that says what is done; a folder with it is a shop's.
const STATE: &str = "shop.json";
const FORMAT: &str = "alike-shop";
/// Raised where the same files would be read in another way.
const VERSION: u32 = 1;
/// What the products and the purchases are written to.
pub(super) const PRODUCTS: &str = "products.jsonl";
pub(super) const PURCHASES: &str = "purchases.csv";

/// The modalities.
pub(super) const TEXT: &str = "text";
pub(super) const IMAGE: &str = "image";

/// What is done.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct ShopState {
    format: String,
    version: u32,
    /// What the files hold.
    pub(super) read: Option<ReadFiles>,
    /// Of which texts and pictures there are vectors.
    pub(super) texts: String,
    pub(super) pictures: String,
    /// The run that is served.
    pub(super) live: Option<LiveRun>,
}

/// What reading the files came to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct ReadFiles {
    /// Of the files' contents and of how they were read.
    pub(super) key: String,
    /// Hash of the key of customers' codes, where there are codes.
    pub(super) customer_key: Option<String>,
    /// What was found, in plain words.
    pub(super) said: Vec<String>,
    pub(super) summary: String,
    pub(super) products: usize,
    /// Products with a text, and with a picture here.
    pub(super) with_text: usize,
    pub(super) with_picture: usize,
    pub(super) purchases: usize,
    pub(super) customers: usize,
    /// Whether purchases have times.
    pub(super) dated: bool,
    /// How often customers and products come at least in what is learned from.
    pub(super) least: usize,
    /// Whether there is enough to learn from.
    pub(super) enough: bool,
    pub(super) filters: Vec<String>,
    /// Keys of the two tables, and of the texts and pictures in them.
    pub(super) tables: String,
    pub(super) texts: String,
    pub(super) pictures: String,
}

impl ReadFiles {
    /// Of what there are to be vectors.
    pub(super) fn modalities(&self) -> impl Iterator<Item = &'static str> {
        let known = [(TEXT, self.with_text), (IMAGE, self.with_picture)];
        known.into_iter().filter(|(_, count)| *count > 0).map(|(name, _)| name)
    }

    /// The key of what the vectors of a modality are made of.
    pub(super) fn made_of(&self, modality: &str) -> &String {
        if modality == TEXT { &self.texts } else { &self.pictures }
    }
}

impl ShopState {
    /// Of what the vectors of a modality are made that are there.
    pub(super) fn made_of(&mut self, modality: &str) -> &mut String {
        if modality == TEXT { &mut self.texts } else { &mut self.pictures }
    }
}

/// The file of the vectors of a modality, within the work folder.
pub(super) fn vectors(modality: &str) -> String {
    format!("{modality}.safetensors")
}

/// A finished run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct LiveRun {
    pub(super) data: String,
    pub(super) run: String,
    pub(super) model: String,
    /// What suggestions find, in plain words.
    pub(super) said: Vec<String>,
    /// Share of the purchases kept aside that were among 20 suggestions, and among 20 bestsellers.
    pub(super) found: f64,
    pub(super) bestsellers: Option<f64>,
}

/// The work folder.
pub(super) struct ShopFolder {
    pub(super) path: PathBuf,
    _lock: File,
}

impl ShopFolder {
    /// Opens the folder, which is made where it is not there.
    ///
    /// # Errors
    /// It holds something else, or another command works in it.
    pub(super) fn open(shown: &Path, path: PathBuf) -> Outcome<Self> {
        alike::disk::create_folders(&path)?;
        let inside = fs::read_dir(&path).map_err(|e| Failure::io(shown, &e))?;
        let foreign = inside.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
        // What a start that was killed leaves begins with a point.
        let foreign: Vec<String> = foreign.filter(|name| name != "lock" && !name.starts_with('.')).collect();
        let state = path.join(STATE);
        if !state.is_file() && !foreign.is_empty() {
            return Err(Failure::Failed(format!(
                "{}: holds something else than a shop made here; choose another folder with --out",
                shown.display()
            )));
        }
        let place = path.join("lock");
        let lock =
            OpenOptions::new().create(true).append(true).open(&place).map_err(|e| Failure::io(&place, &e))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                let text =
                    "another `alike shop` works here; wait for it, or choose another folder with --out";
                return Err(Failure::Failed(format!("{}: {text}", shown.display())));
            }
            // Some network file systems know no locks.
            Err(fs::TryLockError::Error(e)) if e.kind() == std::io::ErrorKind::Unsupported => {}
            Err(fs::TryLockError::Error(e)) => return Err(Failure::io(&place, &e)),
        }
        let folder = Self { path, _lock: lock };
        if !state.is_file() {
            folder.write(&ShopState::default())?;
        }
        Ok(folder)
    }

    /// A path in the folder.
    pub(super) fn at(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// What is done. A state that is damaged, or of another version, is as good as none: what is there of
    /// texts and pictures is taken over all the same.
    pub(super) fn state(&self) -> ShopState {
        let read =
            fs::read(self.at(STATE)).ok().and_then(|bytes| serde_json::from_slice::<ShopState>(&bytes).ok());
        read.filter(|state| state.format == FORMAT && state.version == VERSION).unwrap_or_default()
    }

    /// Keeps what is done.
    pub(super) fn write(&self, state: &ShopState) -> Outcome {
        let state = ShopState { format: FORMAT.into(), version: VERSION, ..state.clone() };
        let text = serde_json::to_string_pretty(&state).expect("a state is plain");
        output::whole_file(&self.at(STATE), (text + "\n").as_bytes())
    }

    /// Whether the run is there with its data.
    pub(super) fn has(&self, live: &LiveRun) -> bool {
        RunDir::open(&self.at(&live.run)).is_ok_and(|(run, _)| run.best().is_ok())
            && self.at(&live.data).join("manifest.json").is_file()
    }

    /// Whether a folder is a run that is not finished, on the data of one of `live`.
    fn is_begun_on(&self, name: &str, live: &[&LiveRun]) -> bool {
        let Ok((run, info)) = RunDir::open(&self.at(name)) else { return false };
        let data = info.data.file_name().unwrap_or_default().to_string_lossy().into_owned();
        live.iter().any(|known| known.data == data) && !run.path().join("metrics.json").is_file()
    }

    /// Removes runs, data and pictures that neither the live run nor the one before it needs. A run of their
    /// data that is not finished stays, since the command that began it may come again.
    pub(super) fn clear(&self, live: &[&LiveRun], pictures: &[String]) {
        let needed = |name: &str| live.iter().any(|run| run.run == name || run.data == name);
        let ours = |name: &str| ["run-", "data-"].iter().any(|start| is_keyed(name, start));
        for entry in fs::read_dir(&self.path).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if ours(&name) && !needed(&name) && !self.is_begun_on(&name, live) {
                // What cannot be removed now is removed the next time.
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        let folder = self.at(pictures::FOLDER);
        let kept: HashSet<&OsStr> = pictures.iter().filter_map(|kept| Path::new(kept).file_name()).collect();
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if !kept.contains(&*entry.file_name()) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// Whether a name is `start` and a key.
fn is_keyed(name: &str, start: &str) -> bool {
    name.strip_prefix(start).is_some_and(|key| key.len() == KEY && key.bytes().all(|c| c.is_ascii_hexdigit()))
}

/// Digits of a key in a name.
const KEY: usize = 12;

/// A key of all that something depends on.
#[derive(Default)]
pub(super) struct KeyOf(BTreeMap<String, String>);

impl KeyOf {
    /// With one thing more.
    pub(super) fn and(mut self, what: &str, value: impl Into<String>) -> Self {
        self.0.insert(what.into(), value.into());
        self
    }

    /// The whole key.
    pub(super) fn hex(&self) -> String {
        let text = serde_json::to_string(&self.0).expect("texts are JSON");
        blake3::hash(text.as_bytes()).to_hex().to_string()
    }

    /// A name that starts so.
    pub(super) fn name(&self, start: &str) -> String {
        format!("{start}-{}", &self.hex()[..KEY])
    }
}

/// Hash of a file's content.
pub(super) fn content(path: &Path) -> Outcome<String> {
    let mut hasher = blake3::Hasher::new();
    let file = File::open(path).map_err(|e| Failure::io(path, &e))?;
    hasher.update_reader(file).map_err(|e| Failure::io(path, &e))?;
    Ok(hasher.finalize().to_hex().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_others_is_left_alone_and_works_for_one() {
        let base = tempfile::tempdir().unwrap();
        let at = |name: &str| base.path().join(name);
        fs::create_dir(at("theirs")).unwrap();
        fs::write(at("theirs/letter.txt"), "x").unwrap();
        let said = ShopFolder::open(Path::new("theirs"), at("theirs")).err().unwrap().line().unwrap();
        assert!(said.contains("choose another folder with --out"), "{said}");
        let folder = ShopFolder::open(Path::new("shop"), at("shop")).unwrap();
        let said = ShopFolder::open(Path::new("shop"), at("shop")).err().unwrap().line().unwrap();
        assert!(said.contains("another `alike shop` works here"), "{said}");
        let state = ShopState { texts: "x".into(), ..ShopState::default() };
        folder.write(&state).unwrap();
        assert_eq!(folder.state().texts, "x");
        fs::write(folder.at(STATE), "{").unwrap();
        assert_eq!(folder.state(), ShopState::default());
        drop(folder);
        fs::write(at("shop/customers.key"), "x").unwrap();
        assert!(ShopFolder::open(Path::new("shop"), at("shop")).is_ok());
    }

    #[test]
    fn what_nobody_needs_goes() {
        let base = tempfile::tempdir().unwrap();
        let folder = ShopFolder::open(Path::new("shop"), base.path().join("shop")).unwrap();
        let key = |what: &str| KeyOf::default().and("a", what).name("run");
        for name in [key("1"), key("2"), "run-mine".into()] {
            fs::create_dir(folder.at(&name)).unwrap();
        }
        let live = LiveRun { run: key("1"), ..LiveRun::default() };
        folder.clear(&[&live], &[]);
        assert!(
            folder.at(&key("1")).exists() && !folder.at(&key("2")).exists() && folder.at("run-mine").exists()
        );
    }
}
