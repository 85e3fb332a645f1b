//! What the readers of tables share: a row's place, how columns are chosen and rows handed over, and lines of
//! text.

use std::io::{self, BufRead, Read};
use std::path::Path;

use crate::{Error, Result};

/// Where a row is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    /// The file; one of several where the table is a folder.
    pub(crate) path: &'a Path,
    /// Line of a text, row of a Parquet file or of a sheet, number in an array; from 1.
    pub(crate) line: u64,
}

impl Place<'_> {
    /// An error about this row.
    pub(crate) fn error(&self, message: impl Into<String>) -> Error {
        Error::format_at(self.path, self.line, message)
    }
}

/// Picks columns by position from the names of all.
pub(crate) type Choose<'a> = &'a mut dyn FnMut(&[String]) -> Result<Vec<usize>>;
/// Called for every row with the cells of the chosen columns; null is empty.
pub(crate) type Visit<'a> = &'a mut dyn FnMut(&Place<'_>, &[&str]) -> Result<()>;

/// Stands for a column that the present part file does not have: its cells are empty.
pub(crate) const ABSENT: usize = usize::MAX;

/// Longest row that is read, since rows are held in memory: a file that never ends its line would fill that.
pub(crate) const LINE_BYTES: u64 = 16 << 20;

/// Maximum of bytes that readers of rows ask for at once.
pub(crate) const AHEAD_BYTES: u64 = 1 << 20;

/// The error of a row that is longer.
pub(crate) fn too_long(place: &Place<'_>) -> Error {
    place.error(format!("is longer than {} MiB, which is the most of one row", LINE_BYTES >> 20))
}

/// Reads the next line into `line`, which is empty at the end; false at the end.
pub(crate) fn next_line(place: &Place<'_>, input: &mut dyn BufRead, line: &mut Vec<u8>) -> Result<bool> {
    line.clear();
    let read =
        (&mut *input).take(LINE_BYTES).read_until(b'\n', line).map_err(|e| Error::io(place.path, e))?;
    if read as u64 == LINE_BYTES && line.last() != Some(&b'\n') {
        return Err(too_long(place));
    }
    Ok(read > 0)
}

/// A line without its end.
pub(crate) fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Ends with an error where one row takes more than its bytes, for readers that would hold all of it.
pub(crate) struct LimitedRows<R> {
    input: R,
    /// Bytes since the reader came to the row; what it had read ahead before is not among them.
    row: u64,
}

impl<R: Read> LimitedRows<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { input, row: 0 }
    }

    /// Says that a row is read.
    pub(crate) fn start_row(&mut self) {
        self.row = 0;
    }

    /// True when the row has more bytes than it may have, and more than are read ahead of it at once.
    pub(crate) fn is_over(&self) -> bool {
        self.row > LINE_BYTES + AHEAD_BYTES
    }
}

impl<R: Read> Read for LimitedRows<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(out)?;
        self.row += read as u64;
        match self.is_over() {
            true => Err(io::Error::new(io::ErrorKind::InvalidData, "a row is too long")),
            false => Ok(read),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_an_end_is_refused() {
        let place = Place { path: Path::new("pipe"), line: 7 };
        let mut line = Vec::new();
        let mut endless = std::io::BufReader::with_capacity(1 << 20, std::io::repeat(b'x'));
        let error = next_line(&place, &mut endless, &mut line).unwrap_err().to_string();
        assert_eq!(error, "pipe:7: is longer than 16 MiB, which is the most of one row");
        assert!(next_line(&place, &mut &b"a\n"[..], &mut line).unwrap());
        assert!(!next_line(&place, &mut &b""[..], &mut line).unwrap());
    }
}
