//! Who was shown what of a test: events of a kind of their own, each once.

use std::collections::HashSet;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::{Mutex, PoisonError};

use crate::serve::store::{Event, EventKind, Store};

/// What is remembered as written; afterwards the store tells.
const REMEMBERED: usize = 1_000_000;
/// Between the parts of a key: no key of a client may hold it.
const BETWEEN: char = '\u{1f}';

/// What was written of late, so that it is not written again.
#[derive(Default)]
pub(crate) struct ShownTo(Mutex<HashSet<u64>>);

/// The start of the keys of one arm.
pub(super) fn keys_of(test: &str, arm: &str) -> String {
    format!("{BETWEEN}{test}{BETWEEN}{arm}{BETWEEN}")
}

impl ShownTo {
    /// Notes that `user` was shown a list of an arm, and which `items` of it are the arm's own. The first
    /// time counts. What cannot be written is told of in the log: a list is worth more than its count.
    pub(crate) async fn note(
        &self,
        store: &Store,
        arms: Vec<(String, Vec<String>)>,
        user: &str,
        test: &str,
        now: i64,
    ) {
        let mut events = Vec::new();
        for (arm, items) in arms {
            let start = keys_of(test, &arm);
            let event = |item: &str, key: String| Event {
                user: user.to_string(),
                item: item.to_string(),
                kind: EventKind::Shown,
                arrived: now,
                happened: None,
                key: Some(key),
            };
            if items.is_empty() {
                events.push(event("", format!("{start}{user}")));
            }
            let own = items.iter().map(|item| event(item, format!("{start}{user}{BETWEEN}{item}")));
            events.extend(own);
        }
        let hash = |event: &Event| BuildHasherDefault::<DefaultHasher>::default().hash_one(&event.key);
        {
            let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            events.retain(|event| !known.contains(&hash(event)));
        }
        if events.is_empty() {
            return;
        }
        let hashes: Vec<u64> = events.iter().map(hash).collect();
        match store.append(events).await {
            Ok(_) => {
                let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                if known.len() + hashes.len() > REMEMBERED {
                    known.clear();
                }
                known.extend(hashes);
            }
            Err(error) => tracing::warn!(%error, "who was shown what of a test was not written"),
        }
    }
}
