//! Tables of any kind, row by row, as text: the cells of the columns that the caller chooses.

use std::path::Path;

use crate::data::folder::manifest::MANIFEST;
use crate::data::formats::open::{OpenTable, open_table};
use crate::data::formats::options::TextOptions;
use crate::data::formats::row::{Choose, Visit};
#[cfg(feature = "excel")]
use crate::data::formats::workbook;
use crate::data::formats::{delimited, json, parquet};
use crate::disk::source;
use crate::{Error, Result};

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
    table: OpenTable,
    options: &TextOptions,
    flags: bool,
    choose: Choose<'_>,
    visit: Visit<'_>,
) -> Result<()> {
    if options.no_header && matches!(table, OpenTable::Json(_) | OpenTable::Parquet(_)) {
        return Err(Error::format(
            path,
            "has names for its columns; `--no-header` is for delimited text and workbooks",
        ));
    }
    match table {
        OpenTable::Text(input) => delimited::read(path, input, options, flags, choose, visit),
        OpenTable::Json(input) => json::read(path, input, choose, visit),
        // Of a catalogue only the ids must be single values.
        OpenTable::Parquet(file) => {
            parquet::read(path, file, if flags { usize::MAX } else { 1 }, choose, visit)
        }
        #[cfg(feature = "excel")]
        OpenTable::Workbook(file) => workbook::read(path, file, options, flags, choose, visit),
    }
}

/// Reads an opened catalogue as a table: of the columns that `choose` picks by position the first holds ids. `visit` gets
/// the line, the id and the other cells.
pub(crate) fn read_texts(
    path: &Path,
    table: OpenTable,
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
