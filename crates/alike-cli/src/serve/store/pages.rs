//! All events of a store, page by page.

use super::error::Result;
use super::items::StoredItem;

/// Events that are read at once.
pub(super) const PAGE: usize = 50_000;

/// An event with its number; `time` is in milliseconds since 1970.
pub(crate) struct Row {
    pub(crate) seq: i64,
    pub(crate) user: String,
    pub(crate) item: String,
    pub(crate) kind: String,
    pub(crate) time: i64,
}

/// Where rows come from: up to [`PAGE`] of those whose numbers are above the first and not above the second.
pub(super) trait Pages {
    fn newest(&mut self) -> Result<i64>;
    fn page(&mut self, after: i64, last: i64) -> Result<Vec<Row>>;
    /// What was said of items after the change of that number, some at a time.
    fn items(&mut self, after: i64) -> Result<Vec<StoredItem>>;
}
