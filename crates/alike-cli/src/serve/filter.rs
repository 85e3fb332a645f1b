//! Which items a list may hold, and how many.

use std::sync::Arc;

use alike_ops::{ItemSet, Mask};

/// What limits a list.
#[derive(Clone)]
pub(crate) struct Filter {
    /// Items to leave out, ascending.
    pub(crate) hidden: Vec<u32>,
    /// The only items to rank, if not all; with those that training did not know.
    pub(crate) within: Option<Arc<ItemSet>>,
    /// Those of them that an index names, ascending; `None` where it names none.
    pub(crate) candidates: Option<Vec<u32>>,
    /// How many.
    pub(crate) top: usize,
}

impl Filter {
    /// Whether `item` may be in the list.
    pub(crate) fn passes(&self, item: u32) -> bool {
        Mask { hidden: &self.hidden, among: self.within.as_ref() }.passes(item)
    }

    /// Ranks `candidates` only, where there are any.
    pub(crate) fn narrow(&mut self, candidates: Option<Vec<u32>>) {
        if candidates.is_some() {
            self.candidates = candidates;
        }
    }

    /// Those of the candidates that pass; `None` where they are fewer than asked for.
    pub(crate) fn passed(&self, mut candidates: Vec<u32>) -> Option<Vec<u32>> {
        candidates.retain(|&item| self.passes(item));
        (candidates.len() >= self.top).then_some(candidates)
    }
}
