//! What lists the recommender is asked for.

use std::sync::Arc;

use alike_ops::{ItemSet, Mask};

/// A person as the scorer takes them.
#[derive(Debug, Clone, PartialEq)]
pub struct UserVector {
    pub(super) row: Vec<f32>,
    pub(super) history: Vec<u32>,
}

impl UserVector {
    /// A row of the scorer's users; empty for scorers that go by the history alone.
    pub fn row(&self) -> &[f32] {
        &self.row
    }
}

/// Which lists to make: for whom, how long, and of which items.
#[derive(Debug, Clone, Copy)]
pub struct PeopleRequest<'a> {
    pub(super) people: &'a [UserVector],
    pub(super) k: usize,
    pub(super) hidden: &'a [&'a [u32]],
    pub(super) candidates: Option<&'a [u32]>,
    pub(super) within: &'a [Option<Arc<ItemSet>>],
    pub(super) cold_items: Option<f32>,
}

impl<'a> PeopleRequest<'a> {
    /// The `k` best items for each of `people`; fewer where there are fewer.
    pub fn new(people: &'a [UserVector], k: usize) -> Self {
        Self { people, k, hidden: &[], candidates: None, within: &[], cold_items: None }
    }

    /// Without the items that `hidden` lists for each of them, ascending.
    ///
    /// # Panics
    /// There is not one list for each.
    pub fn hiding(self, hidden: &'a [&'a [u32]]) -> Self {
        assert_eq!(self.people.len(), hidden.len(), "one list of hidden items per person");
        Self { hidden, ..self }
    }

    /// Only these items, each once.
    pub fn among(self, candidates: &'a [u32]) -> Self {
        Self { candidates: Some(candidates), ..self }
    }

    /// Only the items of each one's set, where `sets` has one; people may share it.
    ///
    /// # Panics
    /// There is not one entry for each.
    pub fn within(self, sets: &'a [Option<Arc<ItemSet>>]) -> Self {
        assert_eq!(self.people.len(), sets.len(), "one set, or none, per person");
        Self { within: sets, ..self }
    }

    /// With cold items raised by `weight`, 0 to 1, and not as the recommender does without being asked.
    pub fn cold_items(self, weight: f32) -> Self {
        Self { cold_items: Some(weight), ..self }
    }

    /// What the list of the person at `row` leaves out.
    pub(super) fn mask(&self, row: usize) -> Mask<'a> {
        let hidden = self.hidden.get(row).copied().unwrap_or_default();
        Mask { hidden, among: self.within.get(row).and_then(Option::as_ref) }
    }
}
