//! What is in a spreadsheet of OpenDocument, measured before it is read: the reader holds all of its cells,
//! and writes out what the file says once of many rows and columns.

use std::collections::BTreeSet;
use std::io::{Read, Seek};
use std::path::Path;

use zip::ZipArchive;

use crate::data::formats::foreign::OPEN_DOCUMENT;
use crate::data::formats::workbook::COLUMNS;
use crate::data::formats::workbook::tags::{KEPT, Tags, attribute, is_element};
use crate::{Error, Result};

/// Maximum of bytes that a part unpacks to.
const UNPACKED: u64 = 1 << 30;
/// Maximum of cells of all sheets together: the reader holds about 150 bytes for each.
const CELLS: u64 = 4 << 20;
/// Maximum of bytes of text in all cells.
const TEXT: u64 = 256 << 20;
/// Maximum of rows of a sheet; the reader leaves out what comes after them.
const ROWS: u64 = 1 << 20;
/// Bytes that are unpacked at once.
const BLOCK: usize = 1 << 16;
/// What a name with a number of repeats ends with.
const REPEATED_COLUMNS: &str = "number-columns-repeated";
const REPEATED_ROWS: &str = "number-rows-repeated";

/// Unpacks what is read of the file once, and keeps nothing but which rows are hidden: sheet by sheet, the
/// first row is 0.
pub(super) fn inspect(path: &Path, file: impl Read + Seek) -> Result<Vec<BTreeSet<u32>>> {
    let mut archive = ZipArchive::new(file).map_err(|e| OPEN_DOCUMENT.bad(path, e))?;
    let mut locked = false;
    each_tag(path, &mut archive, "META-INF/manifest.xml", &mut |tag, _| {
        locked |= is_element(tag, "encryption-data");
        Ok(())
    })?;
    if locked {
        let message = "is locked with a password; save it without one, or the sheet as CSV";
        return Err(Error::format(path, message));
    }
    let mut content = Content::default();
    each_tag(path, &mut archive, "content.xml", &mut |tag, end| content.add(tag, end))?;
    if !content.complete {
        // The reader would look for the end of the sheet for ever.
        return Err(OPEN_DOCUMENT.bad(path, "its content ends before its sheets do"));
    }
    Ok(content.hidden)
}

/// Calls `each` with every tag of a part and where it ends; its error is one about the file.
fn each_tag<R: Read + Seek>(
    path: &Path,
    archive: &mut ZipArchive<R>,
    name: &str,
    each: &mut dyn FnMut(&str, u64) -> Result<(), String>,
) -> Result<()> {
    let refused = |message: String| Error::format(path, message + "; save the sheet as .xlsx or CSV");
    let mut part = archive.by_name(name).map_err(|e| OPEN_DOCUMENT.bad(path, e))?;
    let (mut tags, mut block, mut end) = (Tags::default(), [0; BLOCK], 0);
    loop {
        let read = part.read(&mut block).map_err(|e| OPEN_DOCUMENT.bad(path, e))?;
        if read == 0 {
            return Ok(());
        }
        // A tag ends where a piece does.
        for piece in block[..read].split_inclusive(|&c| c == b'>') {
            end += piece.len() as u64;
            let mut outcome = Ok(());
            tags.feed(piece, &mut |tag| outcome = each(tag, end));
            outcome.map_err(refused)?;
        }
        // Of a longer one not all is seen.
        if tags.longest() > KEPT {
            return Err(refused(format!("has a tag of more than {KEPT} bytes in `{name}`")));
        }
        if end > UNPACKED {
            return Err(refused(format!("unpacks to more than {} MiB", UNPACKED >> 20)));
        }
    }
}

/// A cell with a value.
struct Filled {
    /// Where its text begins.
    start: u64,
    /// Columns that it is in.
    repeats: u64,
    /// Blanks that are given as a number.
    blanks: u64,
}

/// What the sheets hold, counted.
#[derive(Default)]
struct Content {
    hidden: Vec<BTreeSet<u32>>,
    /// Whether the content came to its end.
    complete: bool,
    /// Cells of the sheets that have ended.
    cells: u64,
    /// Cells of the rows that were read, each row once.
    read: u64,
    /// Bytes of all texts, each as often as it is repeated.
    text: u64,
    // Of the sheet.
    /// Number of the row.
    row: u64,
    /// Columns up to the last one with a value, and cells up to there.
    width: u64,
    area: u64,
    // Of the row.
    repeats: u64,
    is_hidden: bool,
    /// Columns so far, and those up to the last one with a value.
    columns: u64,
    filled: u64,
    bytes: u64,
    cell: Option<Filled>,
}

impl Content {
    fn add(&mut self, tag: &str, end: u64) -> Result<(), String> {
        let cell = |tag: &str| is_element(tag, "table-cell") || is_element(tag, "covered-table-cell");
        let (is_cell, is_row) = (cell(tag), is_element(tag, "table-row"));
        let is_sheet = is_element(tag, "table");
        let ended = tag.strip_prefix('/').unwrap_or_default();
        self.complete |= is_element(ended, "document-content");
        let ends_row = is_element(ended, "table-row");
        let start = end.saturating_sub(tag.len() as u64 + 2);
        if is_cell || cell(ended) || is_row || is_sheet || ends_row {
            self.end_cell(start);
        }
        if is_row || is_sheet || ends_row {
            self.end_row()?;
        }
        if is_sheet {
            self.cells += self.area;
            (self.row, self.width, self.area) = (0, 0, 0);
            // As the reader counts them.
            if attribute(tag, "name").is_some() {
                self.hidden.push(BTreeSet::new());
            }
        } else if is_row {
            self.repeats = number(tag, REPEATED_ROWS)?;
            self.is_hidden = matches!(attribute(tag, "visibility"), Some("collapse" | "filter"));
        } else if is_cell {
            let repeats = number(tag, REPEATED_COLUMNS)?.min(u64::from(COLUMNS));
            self.columns += repeats;
            if tag.contains("value") || tag.contains("formula") {
                self.filled = self.columns;
                let holds_text = tag.contains("-value") || tag.contains("formula");
                self.cell = Some(Filled { start: if holds_text { start } else { end }, repeats, blanks: 0 });
            }
        } else if let Some(cell) = &mut self.cell
            && is_element(tag, "s")
        {
            cell.blanks = cell.blanks.saturating_add(number(tag, "text:c")?);
        }
        Ok(())
    }

    fn end_cell(&mut self, end: u64) {
        if let Some(Filled { start, repeats, blanks }) = self.cell.take() {
            let bytes = end.saturating_sub(start).saturating_add(blanks).saturating_mul(repeats);
            self.bytes = self.bytes.saturating_add(bytes);
        }
    }

    fn end_row(&mut self) -> Result<(), String> {
        let rows = self.row..self.row.saturating_add(self.repeats);
        if self.filled > 0 {
            if rows.end > ROWS {
                return Err(format!("has a sheet of more than {ROWS} rows"));
            }
            self.width = self.width.max(self.filled);
            self.area = rows.end * self.width;
            self.read += self.filled;
            if self.cells + self.area > CELLS || self.read > CELLS {
                return Err(format!("has more than {CELLS} cells"));
            }
            self.text = self.text.saturating_add(self.bytes.saturating_mul(self.repeats));
            if self.text > TEXT {
                return Err(format!("has texts of more than {} MiB", TEXT >> 20));
            }
            if let Some(hidden) = self.hidden.last_mut().filter(|_| self.is_hidden) {
                hidden.extend(rows.clone().map(|row| row as u32));
            }
        }
        self.row = rows.end;
        (self.repeats, self.columns, self.filled, self.bytes) = (0, 0, 0, 0);
        Ok(())
    }
}

/// The number that the attribute `name` gives, 1 without it. A tag in which the name comes otherwise is
/// refused, since the reader might see a number there.
fn number(tag: &str, name: &str) -> Result<u64, String> {
    let mut largest = 1;
    for (at, _) in tag.match_indices(name) {
        let value = tag[at + name.len()..].trim_start().strip_prefix('=').map(str::trim_start);
        let quoted = value.and_then(|value| {
            let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
            value[1..].split_once(quote)?.0.parse::<u64>().ok()
        });
        largest = largest.max(quoted.ok_or_else(|| format!("has a `{name}` that is no number"))?);
    }
    Ok(largest)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the rows of one sheet come to.
    fn measured(rows: &str) -> Result<Content, String> {
        let mut content = Content::default();
        let xml = format!("<table:table table:name=\"a\">{rows}</table:table><table:table table:name='b'>");
        let (mut tags, mut end, mut outcome) = (Tags::default(), 0, Ok(()));
        for piece in xml.as_bytes().split_inclusive(|&c| c == b'>') {
            end += piece.len() as u64;
            tags.feed(piece, &mut |tag| {
                if outcome.is_ok() {
                    outcome = content.add(tag, end);
                }
            });
        }
        outcome.map(|()| content)
    }

    fn row(attributes: &str, cells: &str) -> String {
        format!("<table:table-row {attributes}>{cells}</table:table-row>")
    }

    const CELL: &str = "<table:table-cell office:value-type=\"string\"><text:p>a</text:p></table:table-cell>";
    const EMPTY: &str = "<table:table-cell table:number-columns-repeated=\"16384\"/>";

    #[test]
    fn what_is_repeated_counts_as_often_as_it_is_written_out() {
        let hide = "table:number-rows-repeated=\"2\" table:visibility=\"collapse\"";
        let rows = [
            row("", &(CELL.repeat(3) + EMPTY)),
            row("table:number-rows-repeated='4'", EMPTY),
            row(hide, CELL),
        ];
        // Empty cells at the end of a row, and rows at the end of a sheet, are not held.
        let end = row("table:number-rows-repeated=\"1048000\"", EMPTY);
        let content = measured(&(rows.concat() + &end)).unwrap();
        assert_eq!((content.cells, content.read), (7 * 3, 3 + 1));
        assert_eq!(content.hidden, [BTreeSet::from([5, 6]), BTreeSet::new()]);
    }

    #[test]
    fn small_files_that_come_to_much_are_refused() {
        let says = |rows: &str, text: &str| {
            let said = measured(rows).map(drop).unwrap_err();
            assert!(said.contains(text), "{said}");
        };
        let many = CELL.replace("office:", "table:number-columns-repeated=\"9000\" office:");
        says(&row("table:number-rows-repeated=\"500\"", &many), "more than 4194304 cells");
        says(&(row("table:number-rows-repeated=\"9999999\"", "") + &row("", CELL)), "more than 1048576 rows");
        let long = many.replace(">a<", &format!(">{}<", "a".repeat(40_000)));
        says(&row("", &long), "texts of more than 256 MiB");
        let blanks = CELL.replace(">a<", "><text:s text:c=\"999999999\"/><");
        says(&row("", &blanks), "texts of more than 256 MiB");
        for number in ["&#57;", "", "-1"] {
            let hidden =
                CELL.replace("office:", &format!("table:number-columns-repeated=\"{number}\" office:"));
            says(&row("", &hidden), "`number-columns-repeated` that is no number");
        }
        let twice = "x:number-rows-repeated=\"1\" a=b table:number-rows-repeated = '2000000'";
        says(&row(twice, CELL), "more than 1048576 rows");
    }
}
