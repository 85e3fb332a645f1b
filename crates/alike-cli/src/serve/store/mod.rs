//! Events that people cause, kept for good: SQLite in a file, or PostgreSQL for several replicas.
//!
//! One writer takes the changes that wait and commits them together, so that one wait for the disk serves
//! many requests. A change is answered only after its commit.

mod error;
mod events;
mod export;
mod group_commit;
mod health;
mod items;
mod options;
mod outcomes;
mod pages;
mod per_user;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(not(feature = "postgres"))]
#[path = "no_postgres.rs"]
mod postgres;
mod retention;
mod sqlite;

use std::path::PathBuf;
use std::time::Instant;

use tokio::sync::oneshot;

pub(crate) use error::{Result, StoreError};
pub(crate) use events::{AHEAD, EVENTS_OF_USER, Erased, Event, EventKind, Stored, VIEWS_OF_USER};
pub(crate) use export::{export, export_items};
use group_commit::Change;
use health::WriteHealth;
pub(crate) use items::{ItemChange, ItemRecord, StoredItem};
pub(crate) use options::Options;
pub(crate) use outcomes::Outcomes;
pub(crate) use pages::Row;
pub(crate) use per_user::KEPT;
use postgres::Postgres;
use sqlite::Sqlite;
#[cfg(test)]
pub(crate) use sqlite::faults;

/// Where events are kept.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum StoreAddress {
    /// A file.
    File(PathBuf),
    /// `postgres://…`
    Url(String),
}

impl std::fmt::Display for StoreAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            // The address may hold a password.
            Self::Url(_) => f.write_str("the PostgreSQL store"),
        }
    }
}

impl std::str::FromStr for StoreAddress {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Url(text.to_string()));
        }
        match text.strip_prefix("sqlite:").filter(|path| !path.is_empty()) {
            Some(path) => Ok(Self::File(path.into())),
            None => Err("expected sqlite:PATH or postgres://…".into()),
        }
    }
}

/// An open store.
pub(crate) struct Store {
    backend: Backend,
    /// What is known of writing.
    writes: std::sync::Arc<WriteHealth>,
}

enum Backend {
    /// In a file.
    Sqlite(Sqlite),
    /// In a server.
    Postgres(Postgres),
}

impl Store {
    /// Opens the store and brings its tables up to date.
    pub(crate) async fn open(place: &StoreAddress, options: Options) -> Result<Self> {
        let writes = std::sync::Arc::new(WriteHealth::new(options.timeout));
        let backend = match place {
            StoreAddress::File(path) => Backend::Sqlite(Sqlite::open(path, options, writes.clone())?),
            StoreAddress::Url(url) => Backend::Postgres(Postgres::open(url, options, writes.clone()).await?),
        };
        Ok(Self { backend, writes })
    }

    /// Its kind.
    pub(crate) fn kind(&self) -> &'static str {
        match self.backend {
            Backend::Sqlite(_) => "sqlite",
            Backend::Postgres(_) => "postgres",
        }
    }

    /// What is waited for where [`Erased::pending`] is set.
    pub(crate) fn waits_for(&self) -> &'static str {
        match self.backend {
            Backend::Sqlite(_) => {
                "another process reads the store at an older state; its log is emptied as soon as that ends"
            }
            Backend::Postgres(_) => {
                "PostgreSQL removes deleted rows from its files by VACUUM, and from its log as that is recycled"
            }
        }
    }

    /// Whether the store can be read and written: a commit is tried unless one was seen lately.
    pub(crate) async fn ready(&self) -> Result<()> {
        self.users("", 1).await?;
        if let Backend::Sqlite(store) = &self.backend {
            store.check_room()?;
        }
        if let Some(known) = self.writes.known(Instant::now()) {
            return known;
        }
        let (reply, answer) = oneshot::channel();
        self.change(Change::Probe { reply }, answer).await
    }

    /// Writes events, all or none; for each whether it is new (`false`: its key came before). They are on
    /// disk when this returns.
    pub(crate) async fn append(&self, events: Vec<Event>) -> Result<Vec<bool>> {
        let (reply, answer) = oneshot::channel();
        self.change(Change::Append { events, reply }, answer).await
    }

    /// Changes items, all or none; for each whether something was said of it before. It is on disk when this
    /// returns.
    pub(crate) async fn change_items(&self, items: Vec<(String, ItemChange)>) -> Result<Vec<bool>> {
        let (reply, answer) = oneshot::channel();
        self.change(Change::Items { items, reply }, answer).await
    }

    /// What was said of items after the change of that number, in the order of the changes; some at a time.
    pub(crate) async fn items_after(&self, seq: i64) -> Result<Vec<StoredItem>> {
        match &self.backend {
            Backend::Sqlite(store) => store.items_after(seq).await,
            Backend::Postgres(store) => store.items_after(seq).await,
        }
    }

    /// Removes every event of `user`.
    pub(crate) async fn forget(&self, user: &str) -> Result<Erased> {
        let (reply, answer) = oneshot::channel();
        self.change(Change::Forget { user: user.to_string(), reply }, answer).await
    }

    async fn change<T>(&self, change: Change, answer: oneshot::Receiver<Result<T>>) -> Result<T> {
        self.writes.admit(Instant::now())?;
        match &self.backend {
            Backend::Sqlite(store) => store.send(change)?,
            Backend::Postgres(store) => store.send(change)?,
        }
        answer.await.map_err(|_| StoreError::Failed("the writer has stopped".into()))?
    }

    /// The newest events of `user` but what they looked at, newest first, at most [`EVENTS_OF_USER`].
    pub(crate) async fn of_user(&self, user: &str) -> Result<Vec<Stored>> {
        self.events_of(user, false).await
    }

    /// What `user` looked at, newest first, at most [`VIEWS_OF_USER`].
    pub(crate) async fn views_of(&self, user: &str) -> Result<Vec<Stored>> {
        self.events_of(user, true).await
    }

    async fn events_of(&self, user: &str, views: bool) -> Result<Vec<Stored>> {
        match &self.backend {
            Backend::Sqlite(store) => store.of_user(user, views).await,
            Backend::Postgres(store) => store.of_user(user, views).await,
        }
    }

    /// Events after the one of that number, of everybody, in the order of their numbers; some at a time.
    pub(crate) async fn events_after(&self, seq: i64) -> Result<Vec<Row>> {
        match &self.backend {
            Backend::Sqlite(store) => store.events_after(seq).await,
            Backend::Postgres(store) => store.events_after(seq).await,
        }
    }

    /// What came of what was shown under the keys that start with `prefix`: which people did something of
    /// `kinds` afterwards, at most `horizon` milliseconds later.
    pub(crate) async fn outcomes(&self, prefix: &str, kinds: &[EventKind], horizon: i64) -> Result<Outcomes> {
        let kinds: Vec<&'static str> = kinds.iter().map(|kind| kind.word()).collect();
        match &self.backend {
            Backend::Sqlite(store) => store.outcomes(prefix, kinds, horizon).await,
            Backend::Postgres(store) => store.outcomes(prefix, kinds, horizon).await,
        }
    }

    /// At most `most` users with events whose ids start with `prefix`, in the order of their bytes.
    pub(crate) async fn users(&self, prefix: &str, most: usize) -> Result<Vec<String>> {
        match &self.backend {
            Backend::Sqlite(store) => store.users(prefix, most).await,
            Backend::Postgres(store) => store.users(prefix, most).await,
        }
    }
}

#[cfg(test)]
mod tests;
