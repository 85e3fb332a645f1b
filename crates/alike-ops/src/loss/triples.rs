//! The batch of a ranking loss.

/// A batch: rows of the table that hold users, positives and negatives. Losses over triples need lists of one
/// length; a loss of another kind may have no negatives, or some that all pairs share.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Triples {
    /// Rows of users.
    pub users: Vec<u32>,
    /// Rows of items that the users interacted with.
    pub positives: Vec<u32>,
    /// Rows of items that they did not interact with.
    pub negatives: Vec<u32>,
}

impl Triples {
    /// Number of triples.
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// Whether there are no triples.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// Checks the batch against a table of `rows` rows.
    ///
    /// # Panics
    /// When the batch is empty, its lists differ in length, or a row is not below `rows`.
    pub(crate) fn check(&self, rows: usize) {
        let b = self.len();
        assert!(b > 0, "a batch has at least one triple");
        assert!(self.positives.len() == b && self.negatives.len() == b, "{b} users need as many items");
        assert!(self.all().all(|r| (r as usize) < rows), "every row of the batch is below {rows}");
    }

    /// Users, then positives, then negatives.
    pub(crate) fn all(&self) -> impl Iterator<Item = u32> {
        self.users.iter().chain(&self.positives).chain(&self.negatives).copied()
    }
}

#[cfg(feature = "gpu")]
pub(crate) mod gpu;
