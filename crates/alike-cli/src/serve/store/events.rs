//! Events as they are written and read, and which of them count.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::error::{Result, StoreError};

/// Of one user at most so many events count, the newest.
pub(crate) const EVENTS_OF_USER: usize = 5000;
/// And so many of what they looked at.
pub(crate) const VIEWS_OF_USER: usize = 200;
/// How far clocks of clients and of replicas may run ahead, in milliseconds. What lies further ahead is a
/// wrong time.
pub(crate) const AHEAD: i64 = 5 * 60 * 1000;

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
    /// Looked at it: no history, and nothing that was said before changes.
    View,
    /// Was shown it, or a list, as part of a test. Written by the server alone.
    #[serde(skip)]
    Shown,
}

impl EventKind {
    const ALL: [(Self, &'static str); 6] = [
        (Self::Take, "take"),
        (Self::Like, "like"),
        (Self::Dislike, "dislike"),
        (Self::Remove, "remove"),
        (Self::View, "view"),
        (Self::Shown, "shown"),
    ];

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

/// The first text after all that start with `prefix`, by bytes.
pub(super) fn end_of_prefix(prefix: &str) -> String {
    format!("{prefix}{}", char::MAX)
}

/// An event from the texts of its row.
pub(super) fn stored(item: String, kind: &str) -> Result<Stored> {
    let kind = EventKind::from_word(kind).ok_or_else(|| {
        StoreError::Failed(format!("the store holds an event of the unknown kind `{kind}`"))
    })?;
    Ok(Stored { item, kind })
}
