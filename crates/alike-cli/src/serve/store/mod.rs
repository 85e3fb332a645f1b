//! Events that people cause, kept for good: SQLite in a file, or PostgreSQL for several replicas.
//!
//! One writer takes the changes that wait and commits them together, so that one wait for the disk serves
//! many requests. A change is answered only after its commit.

mod group_commit;
mod health;
mod per_user;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(not(feature = "postgres"))]
#[path = "no_postgres.rs"]
mod postgres;
mod retention;
mod sqlite;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use utoipa::ToSchema;

use group_commit::Change;
use health::WriteHealth;
pub(crate) use per_user::KEPT;
use postgres::Postgres;
use sqlite::Sqlite;
#[cfg(test)]
pub(crate) use sqlite::faults;

/// Of one user at most so many events count, the newest.
pub(crate) const EVENTS_OF_USER: usize = 5000;
/// How far clocks of clients and of replicas may run ahead, in milliseconds. What lies further ahead is a
/// wrong time.
pub(crate) const AHEAD: i64 = 5 * 60 * 1000;

/// How a store is used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    /// How long the database may take to answer.
    pub(crate) timeout: Duration,
    /// Days after which events are removed; they stay for good where this is not given.
    pub(crate) keep_days: Option<u32>,
    /// Events of one user that are kept, the newest; a few hundredths more may stay for a while.
    pub(crate) keep_of_user: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(2), keep_days: None, keep_of_user: KEPT }
    }
}

/// What somebody did with an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum EventKind {
    /// Bought, watched, read: counts as history.
    Take,
    /// Said to like it: counts as history.
    Like,
    /// Said not to like it: no history, and never recommended.
    Dislike,
    /// Takes back whatever was said before, training included.
    Remove,
}

impl EventKind {
    const ALL: [(Self, &'static str); 4] =
        [(Self::Take, "take"), (Self::Like, "like"), (Self::Dislike, "dislike"), (Self::Remove, "remove")];

    /// The word that is stored.
    pub(crate) fn word(self) -> &'static str {
        Self::ALL[self as usize].1
    }

    fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|k| k.1 == word).map(|k| k.0)
    }
}

/// An event to be written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    /// Id of the user.
    pub(crate) user: String,
    /// Id of the item.
    pub(crate) item: String,
    /// What they did.
    pub(crate) kind: EventKind,
    /// When it came, in milliseconds since 1970, by the clock of this server.
    pub(crate) arrived: i64,
    /// When it happened, where the client says so; not after it came.
    pub(crate) happened: Option<i64>,
    /// Of several events with the same key only the first counts.
    pub(crate) key: Option<String>,
}

/// An event as it is read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stored {
    /// Id of the item.
    pub(crate) item: String,
    /// What the user did.
    pub(crate) kind: EventKind,
}

/// What forgetting somebody left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Erased {
    /// Events that were removed.
    pub(crate) events: u64,
    /// Whether what they held may still lie in files of the database, where no query finds it.
    pub(crate) pending: bool,
}

/// The store did not do what it was asked; the text is for the log.
#[derive(Debug, Clone)]
pub(crate) enum StoreError {
    /// More changes wait than the queue holds.
    Busy,
    /// The database refused or is gone; nothing was written.
    Failed(String),
    /// The database's files are not those that were opened; nothing was written.
    Moved(String),
    /// The database was lost while it committed: the changes were written, or not.
    Unsure(String),
}

impl std::fmt::Display for StoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Busy => f.write_str("too many changes wait to be written"),
            Self::Failed(text) | Self::Moved(text) | Self::Unsure(text) => f.write_str(text),
        }
    }
}

/// Result of the store.
pub(crate) type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Where events are kept.
pub(crate) enum StoreAddress {
    /// A file.
    File(PathBuf),
    /// `postgres://…`
    Url(String),
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

    /// The newest events of `user`, newest first, at most [`EVENTS_OF_USER`].
    pub(crate) async fn of_user(&self, user: &str) -> Result<Vec<Stored>> {
        match &self.backend {
            Backend::Sqlite(store) => store.of_user(user).await,
            Backend::Postgres(store) => store.of_user(user).await,
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

/// The first text after all that start with `prefix`, by bytes.
fn end_of_prefix(prefix: &str) -> String {
    format!("{prefix}{}", char::MAX)
}

fn stored(item: String, kind: &str) -> Result<Stored> {
    let kind = EventKind::from_word(kind).ok_or_else(|| {
        StoreError::Failed(format!("the store holds an event of the unknown kind `{kind}`"))
    })?;
    Ok(Stored { item, kind })
}

#[cfg(test)]
mod tests;
