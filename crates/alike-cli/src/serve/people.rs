//! Who somebody is now: what training knew of them, and what they did since.

use alike::recommend::UserHistory;

use super::model::ModelSnapshot;
use super::store::{EventKind, Stored};

/// Somebody to recommend to.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct UserState {
    /// As the model takes them.
    pub(crate) person: UserHistory,
    /// What they took of items that the model does not know, ascending.
    pub(crate) new: Vec<u32>,
    /// Items that they do not want to see, ascending.
    pub(crate) disliked: Vec<u32>,
}

impl UserState {
    /// Somebody of whom only these items are known, ascending.
    pub(crate) fn of_items(model: &ModelSnapshot, mut items: Vec<u32>) -> Self {
        let new = items.split_off(items.partition_point(|&i| i < model.shelf.trained()));
        Self { person: UserHistory { user: None, history: items }, new, disliked: Vec::new() }
    }
}

/// The user as training and their `events` (newest first) have them; `None` when neither knows them. Of
/// several events about one item the newest counts.
pub(crate) fn user_state(model: &ModelSnapshot, user: &str, events: &[Stored]) -> Option<UserState> {
    let known = model.recommender.run().data.users.get(user);
    if known.is_none() && events.is_empty() {
        return None;
    }
    let person = known.map_or_else(UserHistory::default, |u| model.recommender.history_of(u));
    // Items whose newest event was seen; those that are not there say nothing.
    let (mut taken, mut others, mut disliked) = (Vec::new(), Vec::new(), Vec::new());
    let mut seen = std::collections::BTreeSet::new();
    for event in events {
        let Some(item) = model.shelf.number(&event.item).filter(|&i| seen.insert(i)) else { continue };
        match event.kind {
            EventKind::Take | EventKind::Like => taken.push(item),
            EventKind::Dislike => {
                disliked.push(item);
                others.push(item);
            }
            EventKind::Remove => others.push(item),
            // No newest events either: the store gives none.
            EventKind::View | EventKind::Shown => {}
        }
    }
    others.sort_unstable();
    disliked.sort_unstable();
    let mut history = person.history;
    history.retain(|i| others.binary_search(i).is_err());
    history.extend(taken);
    history.sort_unstable();
    history.dedup();
    let new = history.split_off(history.partition_point(|&i| i < model.shelf.trained()));
    Some(UserState { person: UserHistory { user: person.user, history }, new, disliked })
}
