//! What stands for PostgreSQL in a build without the feature `postgres`: opening it says so.

use std::sync::Arc;

use super::group_commit::Change;
use super::health::WriteHealth;
use super::pages::Pages;
use super::{Options, Result, StoreError, Stored};

fn none() -> StoreError {
    StoreError::Failed(
        "this build has no PostgreSQL; build it with the feature `postgres`, or use sqlite:PATH".into(),
    )
}

/// There is nothing to read.
pub(super) fn pages(_: &str) -> Result<Box<dyn Pages>> {
    Err(none())
}

/// There is none.
pub(crate) enum Postgres {}

impl Postgres {
    pub(super) async fn open(_: &str, _: Options, _: Arc<WriteHealth>) -> Result<Self> {
        Err(none())
    }

    pub(super) fn send(&self, _: Change) -> Result<()> {
        match *self {}
    }

    pub(super) async fn of_user(&self, _: &str) -> Result<Vec<Stored>> {
        match *self {}
    }

    pub(super) async fn users(&self, _: &str, _: usize) -> Result<Vec<String>> {
        match *self {}
    }
}
