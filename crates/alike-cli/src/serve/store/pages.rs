//! All events of a store, page by page.

use super::error::Result;

/// Events that are read at once.
pub(super) const PAGE: usize = 50_000;

/// An event with its number; `time` is in milliseconds since 1970.
pub(super) struct Row {
    pub(super) seq: i64,
    pub(super) user: String,
    pub(super) item: String,
    pub(super) kind: String,
    pub(super) time: i64,
}

/// Where rows come from: up to [`PAGE`] of those whose numbers are above the first and not above the second.
pub(super) trait Pages {
    fn newest(&mut self) -> Result<i64>;
    fn page(&mut self, after: i64, last: i64) -> Result<Vec<Row>>;
}
