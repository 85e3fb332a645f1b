//! The model that answers, and how a newer one takes its place.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use alike::checkpoint::{RunDir, State};
use alike::recommend::Recommender;
use alike::scorer::best;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::index::{Index, IndexChoice};
use super::shelf::Shelf;
use super::similar::{LISTED, SimilarItems, SimilarLists};

/// A checkpoint with what the routes look up in it.
pub(crate) struct ModelSnapshot {
    /// The library's side.
    pub(crate) recommender: Arc<Recommender>,
    /// The items as they are now.
    pub(crate) shelf: Shelf,
    /// Counts from 1 with each checkpoint that was loaded.
    pub(crate) version: u64,
    /// Where candidates come from.
    pub(crate) index: Index,
    similar: SimilarLists,
    /// What people took in training.
    taken: OnceLock<Vec<(u32, f32)>>,
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
        let recommender = Arc::new(recommender);
        let shelf = Shelf::new(recommender.clone());
        Ok(Self {
            recommender,
            shelf,
            version,
            index,
            similar: SimilarLists::default(),
            taken: OnceLock::new(),
        })
    }

    /// Items by how many people took them in training, most first, without those that nobody took.
    pub(crate) fn taken(&self) -> &[(u32, f32)] {
        self.taken.get_or_init(|| {
            let by_item = self.recommender.run().data.train.transposed();
            let taken = |item: u32| (item, by_item.rows_of(item as usize).len() as f32);
            let all: Vec<(u32, f32)> =
                (0..self.shelf.trained()).map(taken).filter(|&(_, people)| people > 0.0).collect();
            let count = all.len();
            best(all, count)
        })
    }

    /// The [`LISTED`] items most like one of the data, best first.
    ///
    /// # Errors
    /// The model has nothing by which items could be alike.
    pub(crate) fn similar(&self, item: u32) -> alike::Result<SimilarItems> {
        self.similar.of(item, || self.recommender.run().scorer.similar(item, LISTED))
    }

    /// The file of an item's picture; see [`Shelf::picture`].
    pub(crate) fn picture(&self, item: u32) -> Option<PathBuf> {
        self.shelf.picture(&self.shelf.text(item, "image")?)
    }

    /// Hash of the checkpoint's content.
    pub(crate) fn checkpoint(&self) -> &str {
        &self.recommender.run().best_file().hash
    }
}

/// Which of the loaded models is meant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Which {
    /// The one that is served.
    #[default]
    Main,
    /// The one given with `--compare`.
    Compare,
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
    /// Held while a checkpoint is loaded and brought up to date: one at a time.
    pub(super) loading: tokio::sync::Mutex<()>,
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
        Ok(Self { dir: dir.to_path_buf(), how, current, loading: tokio::sync::Mutex::default() })
    }

    /// What answers now.
    pub(crate) fn current(&self) -> Arc<ModelSnapshot> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The run's best checkpoint, loaded, if it is another than the one that answers. Takes as long as
    /// loading takes; requests go on meanwhile.
    pub(crate) fn newer(&self) -> alike::Result<Option<Arc<ModelSnapshot>>> {
        let current = self.current();
        let state: Option<State> = RunDir::open(&self.dir)?.0.read_json("state.json")?;
        let newest = state.and_then(|s| s.best_file).map(|f| f.hash);
        if newest.is_none_or(|hash| hash == current.checkpoint()) {
            return Ok(None);
        }
        ModelSnapshot::open(&self.dir, &self.how, current.version + 1).map(|next| Some(Arc::new(next)))
    }

    /// Lets another checkpoint answer from now on.
    pub(crate) fn replace(&self, next: Arc<ModelSnapshot>) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = next;
    }
}
