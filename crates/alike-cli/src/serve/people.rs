//! Who somebody is now: what training knew of them, and what they did since.

use alike::recommend::{Recommender, UserHistory};

use super::store::{EventKind, Stored};

/// Somebody to recommend to.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct UserState {
    /// As the model takes them.
    pub(crate) person: UserHistory,
    /// Items that they do not want to see, ascending.
    pub(crate) disliked: Vec<u32>,
}

/// The user as training and their `events` (newest first) have them; `None` when neither knows them. Of
/// several events about one item the newest counts.
pub(crate) fn user_state(recommender: &Recommender, user: &str, events: &[Stored]) -> Option<UserState> {
    let data = &recommender.run().data;
    let known = data.users.get(user);
    if known.is_none() && events.is_empty() {
        return None;
    }
    let person = known.map_or_else(UserHistory::default, |u| recommender.history_of(u));
    // Items whose newest event was seen; those that this model does not know say nothing.
    let (mut taken, mut others, mut disliked) = (Vec::new(), Vec::new(), Vec::new());
    let mut seen = std::collections::BTreeSet::new();
    for event in events {
        let Some(item) = data.items.get(&event.item).filter(|&i| seen.insert(i)) else { continue };
        match event.kind {
            EventKind::Take | EventKind::Like => taken.push(item),
            EventKind::Dislike => {
                disliked.push(item);
                others.push(item);
            }
            EventKind::Remove => others.push(item),
        }
    }
    others.sort_unstable();
    disliked.sort_unstable();
    let mut history = person.history;
    history.retain(|i| others.binary_search(i).is_err());
    history.extend(taken);
    history.sort_unstable();
    history.dedup();
    Some(UserState { person: UserHistory { user: person.user, history }, disliked })
}
