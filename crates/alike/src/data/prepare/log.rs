//! The log of interactions in memory: numbered users and items, times, labels.

use crate::data::prepare::SplitKind;
use crate::data::prepare::report::{ColumnUse, Dropped};
use crate::ids::Vocab;

/// Interactions in the order of the files, one value a row in each column.
#[derive(Debug, Default)]
pub(crate) struct Log {
    /// All users of the file, in order of first appearance.
    pub(crate) users: Vocab,
    /// All items of the file, in order of first appearance, then those that only features and catalogue name.
    pub(crate) items: Vocab,
    /// Items that stay without any interaction, since they have features; some perhaps more than once.
    pub(crate) cold: Vec<u32>,
    pub(crate) user: Vec<u32>,
    pub(crate) item: Vec<u32>,
    /// Absent when no file has a column of times; rows of one without are before all others.
    pub(crate) time: Option<Vec<f64>>,
    /// 0 train, 1 valid, 2 test; read only for the split `label`.
    pub(crate) label: Option<Vec<u8>>,
    /// Whether the rating is below the smallest wanted; empty where none is wanted.
    pub(crate) low: Vec<bool>,
    /// Weight of each row's kind of event, 1 for the heaviest; empty where all kinds count alike.
    pub(crate) weight: Vec<f32>,
    /// Whether a row takes back what the user did with the item before; as long as the last that does
    /// wants.
    pub(crate) undo: Vec<bool>,
    /// Rows in the file, with those that were dropped.
    pub(crate) rows: u64,
    /// The split, `auto` decided.
    pub(crate) split: Option<SplitKind>,
    /// What each column was taken for.
    pub(crate) columns: Vec<ColumnUse>,
    /// Columns that were not used.
    pub(crate) ignored: Vec<String>,
    /// Rows that were left out while reading.
    pub(crate) dropped: Vec<Dropped>,
    /// What is good to know of the file.
    pub(crate) notes: Vec<String>,
}

impl Log {
    /// Time of a row; the same for all rows when the file has none.
    pub(crate) fn time_of(&self, row: u32) -> f64 {
        self.time.as_ref().map_or(0.0, |t| t[row as usize])
    }

    /// Whether a row takes back.
    pub(crate) fn is_undo(&self, row: u32) -> bool {
        self.undo.get(row as usize).copied().unwrap_or(false)
    }

    /// Whether the rating of a row is too low.
    pub(crate) fn is_low(&self, row: u32) -> bool {
        self.low.get(row as usize).copied().unwrap_or(false)
    }
}
