//! Which items a list may hold, and how many.

/// What limits a list.
pub(crate) struct Filter {
    /// Items to leave out, ascending.
    pub(crate) hidden: Vec<u32>,
    /// The only items to rank, ascending, if not all.
    pub(crate) candidates: Option<Vec<u32>>,
    /// How many.
    pub(crate) top: usize,
    /// Whether `candidates` come from an index.
    pub(crate) narrowed: bool,
}

impl Filter {
    /// Ranks `candidates` only, where there are any.
    pub(crate) fn narrow(&mut self, candidates: Option<Vec<u32>>) {
        if let Some(candidates) = candidates {
            (self.candidates, self.narrowed) = (Some(candidates), true);
        }
    }

    /// Those of the candidates that pass; `None` where they are fewer than asked for.
    pub(crate) fn passed(&self, mut candidates: Vec<u32>) -> Option<Vec<u32>> {
        let allowed = |item: &u32| self.candidates.as_ref().is_none_or(|all| all.binary_search(item).is_ok());
        candidates.retain(|item| self.hidden.binary_search(item).is_err() && allowed(item));
        (candidates.len() >= self.top).then_some(candidates)
    }
}
