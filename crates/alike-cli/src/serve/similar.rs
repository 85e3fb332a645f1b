//! Lists of the items most like one. They are the same for everybody, so they are kept while there is room.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Items of a list.
pub(crate) const LISTED: usize = 2000;
/// Lists that are kept: 64 MiB of them.
const KEPT: usize = (64 << 20) / (LISTED * size_of::<(u32, f32)>());

/// Items most like one, best first.
pub(crate) type SimilarItems = Arc<Vec<(u32, f32)>>;

/// The lists of one checkpoint.
#[derive(Default)]
pub(crate) struct SimilarLists(Mutex<KeptLists>);

#[derive(Default)]
struct KeptLists {
    /// With when each was asked for last.
    lists: HashMap<u32, (u64, SimilarItems)>,
    asked: u64,
}

impl SimilarLists {
    /// The list of `item`, from what is kept, or as `make` makes it.
    ///
    /// # Errors
    /// Those of `make`.
    pub(crate) fn of(
        &self,
        item: u32,
        make: impl FnOnce() -> alike::Result<Vec<(u32, f32)>>,
    ) -> alike::Result<SimilarItems> {
        if let Some(known) = self.known(item) {
            return Ok(known);
        }
        // Without the lock: this may look at every item.
        let mut list = make()?;
        // Room for every item may lie behind it.
        list.shrink_to_fit();
        let list = Arc::new(list);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.lists.len() >= KEPT {
            // The quarter that nobody has asked for the longest.
            let mut times: Vec<u64> = kept.lists.values().map(|(asked, _)| *asked).collect();
            let (_, &mut last, _) = times.select_nth_unstable(KEPT / 4);
            kept.lists.retain(|_, (asked, _)| *asked > last);
        }
        kept.asked += 1;
        let asked = kept.asked;
        kept.lists.insert(item, (asked, list.clone()));
        Ok(list)
    }

    fn known(&self, item: u32) -> Option<SimilarItems> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.asked += 1;
        let now = kept.asked;
        let (asked, list) = kept.lists.get_mut(&item)?;
        *asked = now;
        Some(list.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_made_once_and_those_that_nobody_asks_for_make_room() {
        let lists = SimilarLists::default();
        let made = std::cell::Cell::new(0);
        let ask = |item: u32| {
            let make = || {
                made.set(made.get() + 1);
                Ok(vec![(item + 1, 1.0)])
            };
            lists.of(item, make).unwrap()[0].0
        };
        for item in 0..KEPT as u32 {
            assert_eq!((ask(item), ask(0)), (item + 1, 1));
        }
        assert_eq!(made.get(), KEPT);
        // One more than there is room for: a quarter of the oldest goes, and what is asked for all the time
        // stays.
        ask(KEPT as u32);
        assert_eq!((ask(0), made.get()), (1, KEPT + 1));
        ask(1);
        assert_eq!(made.get(), KEPT + 2);
        ask(KEPT as u32 - 1);
        assert_eq!(made.get(), KEPT + 2);
        assert!(lists.of(9_999_999, || Err(alike::Error::Data("no".into()))).is_err());
    }
}
