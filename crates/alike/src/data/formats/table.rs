//! Tables of any kind, row by row, as text: the cells of the columns that the caller chooses.

use std::io::{BufRead, Read};
use std::path::Path;

use crate::data::folder::manifest::MANIFEST;
use crate::data::formats::open::{Table, open_table};
use crate::data::formats::options::TextOptions;
#[cfg(feature = "excel")]
use crate::data::formats::workbook;
use crate::data::formats::{delimited, json, parquet};
use crate::disk::source;
use crate::{Error, Result};

/// Where a row stands.
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

/// Longest line that is read where a line is held in memory: a file that never ends its line would fill that.
pub(crate) const LINE_BYTES: u64 = 64 << 20;

/// Reads the next line into `line`, which is empty at the end; false at the end.
pub(crate) fn next_line(place: &Place<'_>, input: &mut dyn BufRead, line: &mut Vec<u8>) -> Result<bool> {
    line.clear();
    let read =
        (&mut *input).take(LINE_BYTES).read_until(b'\n', line).map_err(|e| Error::io(place.path, e))?;
    if read as u64 == LINE_BYTES && line.last() != Some(&b'\n') {
        return Err(place.error(format!("is longer than {} MiB", LINE_BYTES >> 20)));
    }
    Ok(read > 0)
}

/// Reads the table `path`: a file, a pipe, `-` for standard input, or a folder of part files with the same columns.
/// `choose` is called once. An error may name flags of `alike prepare` for the interactions.
pub(crate) fn read_rows(
    path: &Path,
    options: &TextOptions,
    choose: Choose<'_>,
    visit: Visit<'_>,
) -> Result<()> {
    if !source::is_folder(path) {
        return read_table(path, open_table(path, options)?, options, true, choose, visit);
    }
    let mut known: Option<(Vec<String>, Vec<usize>)> = None;
    for part in source::parts(path, MANIFEST)? {
        let mut same = |names: &[String]| match &known {
            None => {
                let chosen = choose(names)?;
                known = Some((names.to_vec(), chosen.clone()));
                Ok(chosen)
            }
            Some((first, chosen)) if first == names => Ok(chosen.clone()),
            Some(_) => Err(Error::format(&part, "has other columns than the part files before it")),
        };
        read_table(&part, open_table(&part, options)?, options, true, &mut same, visit)?;
    }
    Ok(())
}

/// Reads an opened table, JSON included.
fn read_table(
    path: &Path,
    table: Table,
    options: &TextOptions,
    flags: bool,
    choose: Choose<'_>,
    visit: Visit<'_>,
) -> Result<()> {
    if options.no_header && matches!(table, Table::Json(_) | Table::Parquet(_)) {
        return Err(Error::format(
            path,
            "has names for its columns; `--no-header` is for delimited text and workbooks",
        ));
    }
    match table {
        Table::Text(input) => delimited::read(path, input, options, flags, choose, visit),
        Table::Json(input) => json::read(path, input, choose, visit),
        Table::Parquet(file) => parquet::read(path, file, choose, visit),
        #[cfg(feature = "excel")]
        Table::Workbook(file) => workbook::read(path, file, options, flags, choose, visit),
    }
}

/// Reads an opened catalogue as a table: of the columns that `choose` picks by position the first holds ids. `visit` gets
/// the line, the id and the other cells.
pub(crate) fn read_texts(
    path: &Path,
    table: Table,
    options: &TextOptions,
    choose: impl FnOnce(&[String]) -> Result<Vec<usize>>,
    mut visit: impl FnMut(u64, &str, &[&str]) -> Result<()>,
) -> Result<()> {
    let mut choose = Some(choose);
    let mut once = |names: &[String]| choose.take().expect("one file has one header")(names);
    read_table(path, table, options, false, &mut once, &mut |place, cells| {
        visit(place.line, cells[0], &cells[1..])
    })
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
        assert_eq!(error, "pipe:7: is longer than 64 MiB");
        assert!(next_line(&place, &mut &b"a\n"[..], &mut line).unwrap());
        assert!(!next_line(&place, &mut &b""[..], &mut line).unwrap());
    }
}
