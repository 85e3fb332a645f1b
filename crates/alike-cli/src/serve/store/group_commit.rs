//! Changes that are committed together.

use tokio::sync::oneshot;

use super::{Erased, Event, ItemChange, Result, StoreError};

/// Changes that may wait.
pub(super) const WAITING: usize = 1024;
/// Changes that are committed together at most.
const GROUP: usize = 256;

/// Something to be written, and who waits for it.
pub(super) enum Change {
    /// Events of one request.
    Append {
        /// The events.
        events: Vec<Event>,
        /// Whether each is new.
        reply: oneshot::Sender<Result<Vec<bool>>>,
    },
    /// Changes to items of one request.
    Items {
        /// Ids, and what becomes of them.
        items: Vec<(String, ItemChange)>,
        /// Whether something was said of each before.
        reply: oneshot::Sender<Result<Vec<bool>>>,
    },
    /// A user who is to be forgotten.
    Forget {
        /// Their id.
        user: String,
        /// What is left of them.
        reply: oneshot::Sender<Result<Erased>>,
    },
    /// Nothing, but in a commit like any other: whether one comes through.
    Probe {
        /// Whether it did.
        reply: oneshot::Sender<Result<()>>,
    },
}

/// What became of a change.
pub(super) enum Done {
    /// Whether each event is new.
    Appended(Vec<bool>),
    /// Whether something was said of each item before.
    Changed(Vec<bool>),
    /// How many events there were.
    Forgot(u64),
    /// It came through.
    Probed,
}

/// `first` and what waits behind it.
pub(super) fn gather(first: Change, mut next: impl FnMut() -> Option<Change>) -> Vec<Change> {
    let mut group = vec![first];
    while group.len() < GROUP {
        let Some(change) = next() else { break };
        group.push(change);
    }
    group
}

/// Turns away those who came while a failure took long: each would wait as long to meet the same. Nothing of
/// theirs was begun.
pub(super) fn turn_away(error: &StoreError, mut next: impl FnMut() -> Option<Change>) {
    while let Some(first) = next() {
        answer(gather(first, &mut next), Err(StoreError::Failed(error.to_string())), false);
    }
}

/// Tells those who wait, after the commit or its failure. `pending`: what was deleted may still lie in the
/// files.
pub(super) fn answer(group: Vec<Change>, outcome: Result<Vec<Done>>, pending: bool) {
    match outcome {
        Ok(all) => {
            for (change, done) in group.into_iter().zip(all) {
                // Anyone who has gone meanwhile need not hear it.
                match (change, done) {
                    (Change::Append { reply, .. }, Done::Appended(new)) => drop(reply.send(Ok(new))),
                    (Change::Items { reply, .. }, Done::Changed(known)) => drop(reply.send(Ok(known))),
                    (Change::Forget { reply, .. }, Done::Forgot(events)) => {
                        drop(reply.send(Ok(Erased { events, pending })));
                    }
                    (Change::Probe { reply }, Done::Probed) => drop(reply.send(Ok(()))),
                    _ => unreachable!("changes are answered in their order"),
                }
            }
        }
        Err(error) => {
            tracing::error!(%error, changes = group.len(), "changes were not written");
            for change in group {
                match change {
                    Change::Append { reply, .. } | Change::Items { reply, .. } => {
                        drop(reply.send(Err(error.clone())));
                    }
                    Change::Forget { reply, .. } => drop(reply.send(Err(error.clone()))),
                    Change::Probe { reply } => drop(reply.send(Err(error.clone()))),
                }
            }
        }
    }
}
