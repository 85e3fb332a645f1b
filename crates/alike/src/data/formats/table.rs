//! Tables of any kind, row by row, as text: the cells of the columns that the caller chooses.

use std::path::{Path, PathBuf};

use crate::data::folder::manifest::MANIFEST;
use crate::data::formats::columns::listed;
use crate::data::formats::open::{OpenTable, open_table};
use crate::data::formats::options::TextOptions;
use crate::data::formats::row::{ABSENT, Choose, Visit};
#[cfg(feature = "excel")]
use crate::data::formats::workbook;
use crate::data::formats::{delimited, json, parquet};
use crate::disk::source;
use crate::{Error, Result};

/// The files of the table `path`: itself, or the part files of a folder.
pub(crate) fn files_of(path: &Path) -> Result<Vec<PathBuf>> {
    match source::is_folder(path) {
        true => source::parts(path, MANIFEST),
        false => Ok(vec![path.to_path_buf()]),
    }
}

/// Reads the table `path`: a file, a pipe, `-` for standard input, or a folder of part files, whose columns
/// are matched by name. `choose` is called once. An error may name flags of `alike prepare` for the
/// interactions; `is_shared` says that the encoding is given for another file, too. Returns what is good to
/// know.
pub(crate) fn read_rows(
    path: &Path,
    options: &TextOptions,
    is_shared: bool,
    choose: Choose<'_>,
    visit: Visit<'_>,
) -> Result<Vec<String>> {
    let parts = files_of(path)?;
    let mut all = if parts.len() > 1 { keys_of(&parts, options)? } else { Vec::new() };
    let mut chosen: Option<Vec<usize>> = None;
    let mut notes = Vec::new();
    for part in parts {
        let table = open_table(&part, options)?;
        check_options(&part, &table, options, is_shared)?;
        // Only objects may leave out a column.
        let loose = matches!(table, OpenTable::Json(_));
        let mut same = |names: &[String]| {
            if chosen.is_none() {
                if all.is_empty() {
                    all = names.to_vec();
                }
                chosen = Some(choose(&all)?);
            }
            let chosen = chosen.as_ref().expect("it is chosen by now");
            if names == all {
                return Ok(chosen.clone());
            }
            let other = |what: &str| {
                Error::format(&part, format!("has other columns than the part files before it: {what}"))
            };
            // Numbers are no names.
            if options.no_header && names.len() != all.len() {
                return Err(other(&format!("{} instead of {}", names.len(), all.len())));
            }
            let place = |&at: &usize| match names.iter().position(|name| *name == all[at]) {
                Some(found) => Ok(found),
                None if loose => Ok(ABSENT),
                None => Err(other(&format!("`{}` is not among {}", all[at], listed(names)))),
            };
            chosen.iter().map(place).collect()
        };
        for note in read_table(&part, table, options, true, &mut same, visit)? {
            // Part files are mostly written alike.
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
    }
    Ok(notes)
}

/// An error about an option that means nothing for what `path` holds; `is_shared` as of [`read_rows`].
fn check_options(path: &Path, table: &OpenTable, options: &TextOptions, is_shared: bool) -> Result<()> {
    let refused = |flag, message: String| Err(Error::Flag { flag, path: path.to_path_buf(), message });
    let kind = match table {
        #[cfg(feature = "excel")]
        OpenTable::Workbook(_) | OpenTable::OpenDocument(_) => "a workbook",
        OpenTable::Parquet(_) => "Parquet",
        OpenTable::Text(_) | OpenTable::Json(_) => "",
    };
    if options.sheet.is_some() && kind != "a workbook" {
        return refused("sheet", "is no workbook; leave --sheet out".into());
    }
    if options.delimiter.is_some() && !kind.is_empty() {
        return refused("delimiter", format!("is {kind}, which has none; leave --delimiter out"));
    }
    if options.encoding.is_some() && !is_shared && !kind.is_empty() {
        return refused("encoding", format!("is {kind}, which says its own; leave --encoding out"));
    }
    Ok(())
}

/// The columns of all parts that hold objects: one of them may leave out a key that is null in all of its
/// rows.
fn keys_of(parts: &[PathBuf], options: &TextOptions) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for part in parts {
        match open_table(part, options)? {
            OpenTable::Json(input) => json::see_columns(part, input, &mut names)?,
            _ => break,
        }
    }
    Ok(names)
}

/// Reads an opened table, JSON included.
fn read_table(
    path: &Path,
    table: OpenTable,
    options: &TextOptions,
    flags: bool,
    choose: Choose<'_>,
    visit: Visit<'_>,
) -> Result<Vec<String>> {
    if options.no_header && matches!(table, OpenTable::Json(_) | OpenTable::Parquet(_)) {
        return Err(Error::format(
            path,
            "has names for its columns; `--no-header` is for delimited text and workbooks",
        ));
    }
    match table {
        OpenTable::Text(input) => return delimited::read(path, input, options, flags, choose, visit),
        OpenTable::Json(input) => json::read(path, input, choose, visit)?,
        // Of a catalogue only the ids must be single values.
        OpenTable::Parquet(file) => {
            parquet::read(path, file, if flags { usize::MAX } else { 1 }, choose, visit)?;
        }
        #[cfg(feature = "excel")]
        OpenTable::Workbook(file) => return workbook::read(path, file, options, flags, choose, visit),
        #[cfg(feature = "excel")]
        OpenTable::OpenDocument(file) => {
            return workbook::read_open_document(path, file, options, flags, choose, visit);
        }
    }
    Ok(Vec::new())
}

/// Reads an opened catalogue as a table: of the columns that `choose` picks by position the first holds ids.
/// `visit` gets the line, the id and the other cells. Returns what is good to know.
pub(crate) fn read_texts(
    path: &Path,
    table: OpenTable,
    options: &TextOptions,
    choose: impl FnOnce(&[String]) -> Result<Vec<usize>>,
    mut visit: impl FnMut(u64, &str, &[&str]) -> Result<()>,
) -> Result<Vec<String>> {
    let mut choose = Some(choose);
    let mut once = |names: &[String]| choose.take().expect("one file has one header")(names);
    read_table(path, table, options, false, &mut once, &mut |place, cells| {
        visit(place.line, cells[0], &cells[1..])
    })
}
