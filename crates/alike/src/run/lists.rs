//! What a list may be asked to be.

/// Which lists to make: for which users, how long, and of which items.
#[derive(Debug, Clone, Copy)]
pub struct ListRequest<'a> {
    pub(super) users: &'a [u32],
    pub(super) k: usize,
    pub(super) seen: bool,
    pub(super) candidates: Option<&'a [u32]>,
    pub(super) exclude: &'a [u32],
    pub(super) cold_items: f32,
}

impl<'a> ListRequest<'a> {
    /// The `k` best items for the users with these numbers, without those of their train and validation
    /// history.
    pub fn new(users: &'a [u32], k: usize) -> Self {
        Self { users, k, seen: false, candidates: None, exclude: &[], cold_items: 0.0 }
    }

    /// Those of their history too, where `seen`.
    pub fn seen(self, seen: bool) -> Self {
        Self { seen, ..self }
    }

    /// Only these items, each once.
    pub fn among(self, candidates: &'a [u32]) -> Self {
        Self { candidates: Some(candidates), ..self }
    }

    /// With cold items raised by `weight`, 0 to 1; see [`ColdItems`](super::ColdItems).
    pub fn cold_items(self, weight: f32) -> Self {
        Self { cold_items: weight, ..self }
    }

    /// Without these items, ascending.
    pub fn without(self, exclude: &'a [u32]) -> Self {
        Self { exclude, ..self }
    }
}
