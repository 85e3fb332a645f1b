//! How a store is used.

use std::time::Duration;

use super::per_user::KEPT;

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
