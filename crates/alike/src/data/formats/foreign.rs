//! Readers of others: what they say in one line, and their panics on damaged files as errors.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use crate::{Error, Result};

/// A kind of file that a reader of others reads: the words around what that says.
pub(crate) struct Foreign {
    before: &'static str,
    after: &'static str,
}

#[cfg(feature = "parquet")]
pub(crate) const PARQUET: Foreign = Foreign { before: "bad Parquet: ", after: "" };
#[cfg(feature = "excel")]
pub(crate) const WORKBOOK: Foreign =
    Foreign { before: "is no Excel workbook that can be read (", after: "); save the sheet as CSV" };
#[cfg(feature = "excel")]
pub(crate) const OPEN_DOCUMENT: Foreign = Foreign {
    before: "is no spreadsheet of OpenDocument that can be read (",
    after: "); save the sheet as .xlsx or CSV",
};

thread_local! {
    static READING: Cell<bool> = const { Cell::new(false) };
}

/// Whether a panic of this thread, now, is one of a reader over a damaged file, which becomes an error: a
/// program's panic hook may keep quiet about it.
pub fn is_reading_foreign() -> bool {
    READING.get()
}

impl Foreign {
    /// The error of a file that cannot be read. Some messages have several lines; the first says what is
    /// wrong.
    pub(crate) fn bad(&self, path: &Path, error: impl std::fmt::Display) -> Error {
        let text = error.to_string();
        let line = text.lines().next().unwrap_or_default();
        Error::format(path, format!("{}{line}{}", self.before, self.after))
    }

    /// Runs a step of the reader; a panic on a damaged file is an error too.
    pub(crate) fn guarded<T, E: std::fmt::Display>(
        &self,
        path: &Path,
        step: impl FnOnce() -> Result<T, E>,
    ) -> Result<T> {
        READING.set(true);
        let outcome = catch_unwind(AssertUnwindSafe(step));
        READING.set(false);
        match outcome {
            Ok(result) => result.map_err(|e| self.bad(path, e)),
            Err(_) => Err(self.bad(path, "the file is damaged")),
        }
    }
}
