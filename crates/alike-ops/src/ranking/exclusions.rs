//! Items that a ranking leaves out.

use crate::sparse::csr::Csr;

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
