//! What the content of a spreadsheet of OpenDocument says, tag by tag: the names of its sheets, and the cells
//! of one of them. What is repeated is written once there; here it is counted before it is written out.

mod row;

use std::collections::BTreeSet;

use crate::data::formats::workbook::cell::SheetCell;
use crate::data::formats::workbook::content::row::{OdsCell, OdsRow, WrittenRow, decoded, utf8};
use crate::data::formats::workbook::tags::{Element, OpenElements, Piece, attribute};

/// Maximum of bytes of the names of all sheets and styles together.
const NAMES: usize = 16 << 20;
/// Maximum of rows of a sheet.
const ROWS: u64 = 1 << 20;
/// Maximum of cells with a value, written out.
const CELLS: u64 = 64 << 20;
/// Maximum of bytes of text of these cells.
const TEXT: u64 = 4 << 30;

/// Takes in the content of a spreadsheet. Without a sheet that is wanted no cells are kept.
#[derive(Default)]
pub(super) struct SheetContent {
    wanted: Option<usize>,
    /// Name of each sheet, and whether it is shown.
    pub(super) sheets: Vec<(String, bool)>,
    /// Names of styles for sheets that are not shown, and the style that is read.
    hidden_styles: BTreeSet<String>,
    style: String,
    /// Bytes of all these names.
    names: usize,
    open: OpenElements,
    /// Depth of the element that is passed over with all that is in it.
    passed: Option<usize>,
    /// Whether the content came to its end, and the wanted sheet to its.
    pub(super) is_complete: bool,
    pub(super) is_past: bool,
    /// Whether the wanted sheet is read, and what of it.
    in_sheet: bool,
    row: Option<OdsRow>,
    cell: Option<OdsCell>,
    written: Option<WrittenRow>,
    /// Rows so far, and cells and bytes of text that came of them.
    rows: u64,
    cells: u64,
    text: u64,
}

impl SheetContent {
    /// To read the cells of a sheet.
    pub(super) fn of_sheet(number: usize) -> Self {
        Self { wanted: Some(number), ..Self::default() }
    }

    /// The next cell of the row that was completed last; `text` becomes its text.
    pub(super) fn next_cell(&mut self, text: &mut String) -> Option<SheetCell> {
        let cell = self.written.as_mut()?.next_cell(text);
        if cell.is_none() {
            self.written = None;
        }
        cell
    }

    /// Takes in the next piece. A row that it completes is to be fetched before the next piece comes. An
    /// error says what is wrong with the file.
    pub(super) fn add(&mut self, piece: Piece<'_>) -> Result<(), String> {
        let tag = match piece {
            Piece::Tag(tag) => utf8(tag)?,
            Piece::Text(text) => return self.cell.as_mut().map_or(Ok(()), |cell| cell.add_bytes(text)),
        };
        if let Some(cell) = &mut self.cell {
            // An element, or text that is written as it is.
            if !tag.starts_with("!--") {
                cell.end_bytes()?;
            }
            if let Some(text) = tag.strip_prefix("![CDATA[") {
                return cell.push(text.strip_suffix("]]").unwrap_or(text));
            }
        }
        let Some(element) = Element::of(tag) else { return Ok(()) };
        if element.starts {
            self.open.start(element.name)?;
            if self.passed.is_none() && !self.start(element.name, tag)? {
                self.passed = Some(self.open.depth());
                self.pass_text(true);
            }
        }
        if element.ends {
            let depth = self.open.depth();
            self.open.end(element.name)?;
            match self.passed {
                None => self.end(element.name)?,
                Some(passed) if passed == depth => {
                    self.passed = None;
                    self.pass_text(false);
                }
                Some(_) => {}
            }
            self.is_complete |= depth == 1;
        }
        Ok(())
    }

    fn pass_text(&mut self, passed: bool) {
        if let Some(cell) = &mut self.cell {
            cell.passed = passed;
        }
    }

    /// Starts an element; false where it is to be passed over.
    fn start(&mut self, name: &str, tag: &str) -> Result<bool, String> {
        if let Some(cell) = &mut self.cell {
            return cell.start(name, tag);
        }
        match name {
            "table:table-cell" | "table:covered-table-cell" if self.row.is_some() => {
                self.cell = Some(OdsCell::new(tag)?);
            }
            _ if self.row.is_some() => return Ok(false),
            "table:table-row" if self.in_sheet => self.row = Some(OdsRow::new(tag)?),
            // Rows and columns may be in groups. Drawings may hold tables of their own.
            _ if self.in_sheet => {
                return Ok(name.starts_with("table:") && !matches!(name, "table:table" | "table:shapes"));
            }
            "table:table" => return self.start_sheet(tag),
            "style:style" => self.style = decoded(tag, "name").unwrap_or_default(),
            "style:table-properties" if attribute(tag, "display") == Some("false") => {
                let style = std::mem::take(&mut self.style);
                self.count_name(&style)?;
                self.hidden_styles.insert(style);
            }
            _ => {}
        }
        Ok(true)
    }

    fn start_sheet(&mut self, tag: &str) -> Result<bool, String> {
        // Tables without a name are copies of what other files hold.
        let Some(name) = decoded(tag, "name") else { return Ok(false) };
        self.count_name(&name)?;
        let is_hidden = decoded(tag, "style-name").is_some_and(|style| self.hidden_styles.contains(&style));
        self.in_sheet = self.wanted == Some(self.sheets.len());
        self.sheets.push((name, !is_hidden));
        Ok(self.in_sheet)
    }

    fn count_name(&mut self, name: &str) -> Result<(), String> {
        // Each takes memory beside its bytes.
        self.names += name.len() + 64;
        match self.names > NAMES {
            true => Err("has too many sheets or styles".into()),
            false => Ok(()),
        }
    }

    /// Ends an element that was not passed over.
    fn end(&mut self, name: &str) -> Result<(), String> {
        match name {
            "text:p" | "text:h" => self.cell.iter_mut().for_each(OdsCell::end_paragraph),
            "table:table-cell" | "table:covered-table-cell" => {
                if let (Some(cell), Some(row)) = (self.cell.take(), &mut self.row) {
                    row.add(cell)?;
                }
            }
            "table:table-row" => {
                if let Some(row) = self.row.take() {
                    self.end_row(row)?;
                }
            }
            "table:table" if self.in_sheet => (self.in_sheet, self.is_past) = (false, true),
            _ => {}
        }
        Ok(())
    }

    fn end_row(&mut self, row: OdsRow) -> Result<(), String> {
        let first = self.rows;
        self.rows = first.saturating_add(row.repeats);
        let cells = row.len();
        if cells == 0 {
            return Ok(());
        }
        if self.rows > ROWS {
            return Err(format!("has a sheet of more than {ROWS} rows"));
        }
        self.cells += row.repeats * cells;
        if self.cells > CELLS {
            return Err(format!("has a sheet of more than {CELLS} cells"));
        }
        self.text += row.repeats * row.bytes;
        if self.text > TEXT {
            return Err(format!("has a sheet with texts of more than {} MiB", TEXT >> 20));
        }
        self.written = Some(row.written(first as u32, self.rows as u32));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
