//! Where the candidates of a list come from, if not every item is to be scored.
//!
//! An index only names candidates: they are scored here as the exact scan does it, so that answers hold exact
//! scores. It knows nothing of filters either: more candidates than asked for are fetched, and where too few
//! of them pass, every item is scored after all.

#[cfg(feature = "postgres")]
mod pgvector;
#[cfg(not(feature = "postgres"))]
#[path = "no_pgvector.rs"]
mod pgvector;

use alike::recommend::{Recommender, UserVector};
use tokio::runtime::Handle;

use super::filter::Filter;
use pgvector::VectorTable;

/// Candidates that are fetched at most.
const MAX_CANDIDATES: usize = 1000;
/// Hidden items for which a candidate more is fetched, at most; of very many only few are near.
const HIDDEN: usize = 400;
/// Where less than this many times the candidates make up the catalogue, scoring all items costs no more.
const WORTH: usize = 16;

/// Which index, as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum IndexChoice {
    /// None: every item is scored.
    Exact,
    /// A graph in memory.
    Hnsw,
    /// A table in PostgreSQL, by its address.
    Postgres(String),
}

impl std::str::FromStr for IndexChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "exact" => Ok(Self::Exact),
            "hnsw" => Ok(Self::Hnsw),
            url if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
                Ok(Self::Postgres(url.to_string()))
            }
            _ => Err("expected exact, hnsw or postgres://…".into()),
        }
    }
}

/// The index of one checkpoint.
pub(crate) enum Index {
    /// None.
    Exact,
    /// A graph in memory.
    Hnsw(Box<alike::recommend::Index>),
    /// A table in PostgreSQL.
    Postgres(Box<VectorTable>),
}

impl Index {
    /// Makes the index of a checkpoint or, in a database, finds the one that is there. May take minutes; must
    /// run where waiting is allowed, within a runtime.
    ///
    /// # Errors
    /// The model does not score by vectors, or the database does not do its part.
    pub(super) fn new(choice: &IndexChoice, recommender: &Recommender) -> alike::Result<Self> {
        let run = recommender.run();
        let refused =
            |e: alike::Error| alike::Error::Data(format!("{}: {e}; allowed: --index exact", run.model));
        match choice {
            IndexChoice::Exact => Ok(Self::Exact),
            IndexChoice::Hnsw => {
                let since = std::time::Instant::now();
                let index = alike::recommend::Index::new(&run.scorer).map_err(refused)?;
                tracing::info!(seconds = since.elapsed().as_secs_f64(), "the index is built");
                Ok(Self::Hnsw(Box::new(index)))
            }
            IndexChoice::Postgres(url) => {
                let items = alike::recommend::dot_items(&run.scorer).map_err(refused)?;
                let table = Handle::current().block_on(VectorTable::open(url, &run.best_file().hash, items));
                table
                    .map(|table| Self::Postgres(Box::new(table)))
                    .map_err(|e| alike::Error::Data(format!("the index: {e}")))
            }
        }
    }

    /// Its kind.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Hnsw(_) => "hnsw",
            Self::Postgres(_) => "postgres",
        }
    }

    /// Candidates for `vector` from memory; `None` where all items are to be scored.
    pub(super) fn candidates(
        &self,
        filter: &Filter,
        recommender: &Recommender,
        vector: &UserVector,
    ) -> Option<Vec<u32>> {
        let Self::Hnsw(index) = self else { return None };
        let near = index.nearest(vector.row(), fetch(filter, recommender.run().data.items.len())?);
        filter.passed(with_reached(near, recommender, vector))
    }

    /// Whether candidates for such a list come from a database.
    pub(crate) fn asks_a_database(&self, filter: &Filter, items: usize) -> bool {
        matches!(self, Self::Postgres(_)) && fetch(filter, items).is_some()
    }

    /// Candidates for `vector` from the database; `None` where all items are to be scored. A database that
    /// fails costs time, not the answer.
    pub(crate) async fn candidates_of_database(
        &self,
        filter: &Filter,
        recommender: &Recommender,
        vector: &UserVector,
    ) -> Option<Vec<u32>> {
        let Self::Postgres(table) = self else { return None };
        let near = table.nearest(vector.row(), fetch(filter, recommender.run().data.items.len())?).await?;
        filter.passed(with_reached(near, recommender, vector))
    }
}

/// What is near by the inner product, and the items to whose scores the history of `vector` adds.
fn with_reached(mut near: Vec<u32>, recommender: &Recommender, vector: &UserVector) -> Vec<u32> {
    let reached = recommender.reached(vector);
    if !reached.is_empty() {
        near.extend(reached);
        near.sort_unstable();
        near.dedup();
    }
    near
}

/// How many of `items` to fetch so that enough pass the filter; `None` where that is no help.
fn fetch(filter: &Filter, items: usize) -> Option<usize> {
    let wanted = filter.top + filter.hidden.len().min(HIDDEN);
    let count = match &filter.within {
        // As many more as there are items beside those allowed, and some to spare.
        Some(allowed) => (wanted * items).checked_div(allowed.len())? * 3 / 2,
        None => wanted,
    };
    (count <= MAX_CANDIDATES && count * WORTH <= items).then_some(count)
}
