//! The log of interactions in memory: numbered users and items, times, labels.

use std::path::Path;

use crate::data::formats::columns::ColumnNames;
use crate::data::formats::table::{self, Wanted};
use crate::data::prepare::SplitKind;
use crate::ids::Vocab;
use crate::{Error, Result};

/// Interactions in file order, one value a row in each column.
#[derive(Debug, Default)]
pub(crate) struct Log {
    /// All users of the file, in order of first appearance.
    pub(crate) users: Vocab,
    /// All items of the file, in order of first appearance.
    pub(crate) items: Vocab,
    pub(crate) user: Vec<u32>,
    pub(crate) item: Vec<u32>,
    /// Absent when the file has no column of times.
    pub(crate) time: Option<Vec<f64>>,
    /// 0 train, 1 valid, 2 test; read only for the split `label`.
    pub(crate) label: Option<Vec<u8>>,
    /// Rows in the file, with those that the rating dropped.
    pub(crate) rows: u64,
    /// Rows with a rating below the smallest wanted.
    pub(crate) below_rating: u64,
}

impl Log {
    /// Reads `path`. Rows with a rating below `min_rating` are counted, not kept; their ids are known.
    pub(crate) fn read(
        path: &Path,
        names: &ColumnNames,
        min_rating: Option<f32>,
        split: SplitKind,
    ) -> Result<Self> {
        let mut log = Self::default();
        let (mut times, mut labels) = (Vec::new(), Vec::new());
        let wanted = Wanted { rating: min_rating.is_some(), label: split == SplitKind::Label };
        let columns = table::read_rows(path, names, wanted, &mut |row| {
            let at_line = |e: Error| Error::format_at(path, row.line, e.to_string());
            let (user, _) = log.users.intern(row.user).map_err(at_line)?;
            let (item, _) = log.items.intern(row.item).map_err(at_line)?;
            log.rows += 1;
            if let (Some(least), Some(rating)) = (min_rating, row.rating)
                && rating < least
            {
                log.below_rating += 1;
                return Ok(());
            }
            if log.user.len() == u32::MAX as usize - 1 {
                return Err(Error::format_at(path, row.line, "more than 2^32 - 2 interactions"));
            }
            log.user.push(user);
            log.item.push(item);
            times.extend(row.time);
            labels.extend(row.label);
            Ok(())
        })?;
        let lacks = |what: &str, why: &str| {
            let found = crate::data::formats::columns::listed(&columns.found);
            Error::format(path, format!("no column of {what}, which {why} needs; the columns are {found}"))
        };
        let at = columns.positions;
        if min_rating.is_some() && at.rating.is_none() {
            return Err(lacks("ratings", "the smallest rating"));
        }
        if split == SplitKind::Label && at.label.is_none() {
            return Err(lacks("split labels", "the split `label`"));
        }
        if split == SplitKind::Temporal && at.time.is_none() {
            return Err(lacks("times", "the split `temporal`"));
        }
        log.time = at.time.map(|_| times);
        log.label = (split == SplitKind::Label).then_some(labels);
        Ok(log)
    }

    /// Time of a row; the same for all rows when the file has none.
    pub(crate) fn time_of(&self, row: u32) -> f64 {
        self.time.as_ref().map_or(0.0, |t| t[row as usize])
    }
}
