//! Items that a ranking leaves out.

use std::sync::Arc;

use super::heap::TopKHeap;
use super::item_set::ItemSet;
use crate::sparse::csr::Csr;

/// What one ranking leaves out.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mask<'a> {
    /// Items to leave out, ascending.
    pub hidden: &'a [u32],
    /// The only items to take, if not all; rankings may share one.
    pub among: Option<&'a Arc<ItemSet>>,
}

impl Mask<'_> {
    /// Whether `item` may be in the ranking.
    pub fn passes(&self, item: u32) -> bool {
        self.among.is_none_or(|set| set.contains(item)) && self.hidden.binary_search(&item).is_err()
    }

    /// An empty heap that takes what passes.
    pub(super) fn heap(&self, k: usize) -> TopKHeap {
        TopKHeap::new(self.hidden.to_vec(), k).among(self.among.cloned())
    }
}

/// Items that must not be recommended to a user. Row `u` of a pattern lists the items of user `u`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Exclusions<'a> {
    /// Items that users interacted with, `U × I`.
    pub seen: Option<&'a Csr>,
    /// More items to leave out, `U × I`.
    pub extra: Option<&'a Csr>,
}

impl Exclusions<'_> {
    /// Writes the excluded items of `user`, in ascending order, into `list`.
    pub fn list(&self, user: u32, list: &mut Vec<u32>) {
        list.clear();
        for mask in [self.seen, self.extra].into_iter().flatten() {
            list.extend_from_slice(mask.row(user as usize));
        }
        if !list.is_sorted() {
            list.sort_unstable();
        }
    }
}
