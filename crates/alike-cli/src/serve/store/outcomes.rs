//! What people did after they were shown something.

use std::collections::BTreeMap;

/// What came of an arm of a test.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outcomes {
    /// People who were shown something of it.
    pub(crate) shown: u64,
    /// When the first of them was, in milliseconds since 1970.
    pub(crate) started: Option<i64>,
    /// Those who did what is hoped for afterwards, and in how many cases: once, where what was shown names no
    /// item, otherwise with so many of the items.
    pub(crate) hits: BTreeMap<String, u64>,
}

impl Outcomes {
    /// Number of people who did what is hoped for.
    pub(crate) fn converted(&self) -> u64 {
        self.hits.len() as u64
    }
}
