//! The model that answers, and how a newer one takes its place.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use alike::checkpoint::{RunDir, State};
use alike::recommend::Recommender;

use super::index::{Index, IndexChoice};

/// A checkpoint with what the routes look up in it.
pub(crate) struct ModelSnapshot {
    /// The library's side.
    pub(crate) recommender: Recommender,
    /// Counts from 1 with each checkpoint that was loaded.
    pub(crate) version: u64,
    /// Where candidates come from.
    pub(crate) index: Index,
    /// Items of each category, ascending; names in lower case.
    categories: BTreeMap<String, Vec<u32>>,
    /// Folder of pictures, without links and dots.
    pictures: Option<PathBuf>,
}

impl ModelSnapshot {
    /// Opens a checkpoint and lets it answer once. Whatever is wrong with it is an error here, not in the
    /// answers that would follow.
    fn open(dir: &Path, how: &ServedAs, version: u64) -> alike::Result<Self> {
        let work = || Self::load(dir, how, version);
        let loaded = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        loaded.unwrap_or_else(|_| {
            let text = "cannot answer: its parts do not go together (the log has more); train the run again";
            Err(alike::Error::checkpoint(dir, text))
        })
    }

    fn load(dir: &Path, how: &ServedAs, version: u64) -> alike::Result<Self> {
        let recommender = Recommender::open_with(dir, how.data.as_deref())?;
        recommender.probe()?;
        let recommender = recommender.with_cold_items(how.cold_items).with_held_out(how.held_out);
        let index = Index::new(&how.index, &recommender)?;
        let data = &recommender.run().data;
        let mut categories = BTreeMap::<String, Vec<u32>>::new();
        for item in 0..data.items.len() as u32 {
            for name in names(data.catalogue.category(item).unwrap_or_default()) {
                let items = categories.entry(name).or_default();
                if items.last() != Some(&item) {
                    items.push(item);
                }
            }
        }
        let pictures = data.catalogue.image_root().and_then(|p| p.canonicalize().ok());
        Ok(Self { recommender, version, index, categories, pictures })
    }

    /// Items of a category, ascending; `None` where no item has it.
    pub(crate) fn category(&self, name: &str) -> Option<&[u32]> {
        self.categories.get(&name.trim().to_lowercase()).map(Vec::as_slice)
    }

    /// Names of all categories, in lower case.
    pub(crate) fn categories(&self) -> impl Iterator<Item = &str> {
        self.categories.keys().map(String::as_str)
    }

    /// The file of an item's picture, if it lies in the folder of pictures: neither `..` nor a link leads out
    /// of it.
    pub(crate) fn picture(&self, item: u32) -> Option<PathBuf> {
        let root = self.pictures.as_ref()?;
        let named = self.recommender.run().data.catalogue.image(item)?;
        let path = root.join(named).canonicalize().ok()?;
        (path.starts_with(root) && path.is_file()).then_some(path)
    }

    /// Hash of the checkpoint's content.
    pub(crate) fn checkpoint(&self) -> &str {
        &self.recommender.run().best_file().hash
    }
}

/// Categories of one item, which the catalogue joins by commas; some data have bars.
fn names(text: &str) -> impl Iterator<Item = String> {
    text.split([',', '|']).map(|name| name.trim().to_lowercase()).filter(|name| !name.is_empty())
}

/// How a run is served.
#[derive(Debug, Clone)]
pub(crate) struct ServedAs {
    /// The prepared data, where they are not where the run says.
    pub(crate) data: Option<PathBuf>,
    pub(crate) index: IndexChoice,
    /// How far cold items are raised.
    pub(crate) cold_items: f32,
    /// Whether what was held out for test is history.
    pub(crate) held_out: bool,
}

/// A run folder and the checkpoint of it that answers now. Requests keep the one they began with.
pub(crate) struct ReloadableModel {
    dir: PathBuf,
    how: ServedAs,
    current: RwLock<Arc<ModelSnapshot>>,
    /// Held while a checkpoint is loaded: one at a time.
    loading: std::sync::Mutex<()>,
}

impl From<IndexChoice> for ServedAs {
    fn from(index: IndexChoice) -> Self {
        Self { data: None, index, cold_items: 0.0, held_out: false }
    }
}

impl ReloadableModel {
    /// Opens the newest checkpoint and makes its index.
    pub(crate) fn open(dir: &Path, how: ServedAs) -> alike::Result<Self> {
        let current = RwLock::new(Arc::new(ModelSnapshot::open(dir, &how, 1)?));
        Ok(Self { dir: dir.to_path_buf(), how, current, loading: std::sync::Mutex::default() })
    }

    /// What answers now.
    pub(crate) fn current(&self) -> Arc<ModelSnapshot> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Loads the run's best checkpoint if it is another than the one that answers, and puts it in its place;
    /// whether it did. Takes as long as loading takes; requests go on meanwhile.
    pub(crate) fn refresh(&self) -> alike::Result<bool> {
        let _one = self.loading.lock().unwrap_or_else(PoisonError::into_inner);
        let current = self.current();
        let state: Option<State> = RunDir::open(&self.dir)?.0.read_json("state.json")?;
        let newest = state.and_then(|s| s.best_file).map(|f| f.hash);
        if newest.is_none_or(|hash| hash == current.checkpoint()) {
            return Ok(false);
        }
        let next = Arc::new(ModelSnapshot::open(&self.dir, &self.how, current.version + 1)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(true)
    }
}
