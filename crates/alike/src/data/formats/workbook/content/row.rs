//! The rows and cells of a sheet of OpenDocument while they are read.

use html_escape::decode_html_entities;

use crate::data::formats::id_text;
use crate::data::formats::row::LINE_BYTES;
use crate::data::formats::workbook::cell::{COLUMNS, SheetCell};
use crate::data::formats::workbook::tags::{attribute, attributes};

/// Maximum of bytes of text of a row.
const ROW_TEXT: u64 = LINE_BYTES;

/// A row while it is read.
pub(super) struct OdsRow {
    pub(super) repeats: u64,
    is_hidden: bool,
    /// Columns so far.
    columns: u64,
    /// Those with text.
    cells: Vec<RowCell>,
    /// Bytes of their texts.
    pub(super) bytes: u64,
}

/// A cell with text.
struct RowCell {
    column: u32,
    repeats: u32,
    text: String,
    lost_digits: bool,
}

impl OdsRow {
    pub(super) fn new(tag: &str) -> Result<Self, String> {
        let is_hidden = matches!(attribute(tag, "visibility"), Some("collapse" | "filter"));
        let repeats = number(tag, "number-rows-repeated")?;
        Ok(Self { repeats, is_hidden, columns: 0, cells: Vec::new(), bytes: 0 })
    }

    pub(super) fn add(&mut self, cell: OdsCell) -> Result<(), String> {
        let column = self.columns;
        self.columns = column.saturating_add(cell.repeats);
        let text = cell.value.unwrap_or(cell.text);
        if text.trim().is_empty() {
            return Ok(());
        }
        if self.columns > u64::from(COLUMNS) {
            return Err(format!("has a row of more than {COLUMNS} cells"));
        }
        self.bytes += text.len() as u64 * cell.repeats;
        if self.bytes > ROW_TEXT {
            return Err(format!("has a row of more than {} MiB", ROW_TEXT >> 20));
        }
        let (column, repeats) = (column as u32, cell.repeats as u32);
        self.cells.push(RowCell { column, repeats, text, lost_digits: cell.lost_digits });
        Ok(())
    }

    /// Number of cells with text.
    pub(super) fn len(&self) -> u64 {
        self.cells.iter().map(|cell| u64::from(cell.repeats)).sum()
    }

    /// To write out its cells, of which there is at least one: it is the rows from `number` to before `end`.
    pub(super) fn written(self, number: u32, end: u32) -> WrittenRow {
        WrittenRow { number, end, is_hidden: self.is_hidden, cells: self.cells, at: 0, repeat: 0 }
    }
}

/// A row that is complete, with at least one cell, while its cells are written out.
pub(super) struct WrittenRow {
    /// The next of the rows that it is, from 0, and the one after them.
    number: u32,
    end: u32,
    is_hidden: bool,
    cells: Vec<RowCell>,
    /// The next cell, and how often it was written.
    at: usize,
    repeat: u32,
}

impl WrittenRow {
    pub(super) fn next_cell(&mut self, text: &mut String) -> Option<SheetCell> {
        if self.at == self.cells.len() {
            (self.number, self.at) = (self.number + 1, 0);
        }
        if self.number >= self.end {
            return None;
        }
        let cell = &self.cells[self.at];
        text.clone_from(&cell.text);
        let column = cell.column + self.repeat;
        self.repeat += 1;
        if self.repeat == cell.repeats {
            (self.at, self.repeat) = (self.at + 1, 0);
        }
        let (is_hidden, lost_digits) = (self.is_hidden, cell.lost_digits);
        Some(SheetCell { row: self.number, column, is_hidden, lost_digits })
    }
}

/// A cell while it is read.
pub(super) struct OdsCell {
    repeats: u64,
    /// The value of its tag; without one its paragraphs are its text.
    value: Option<String>,
    pub(super) lost_digits: bool,
    text: String,
    /// Text of the paragraph as it is written in the file, since the last tag.
    bytes: Vec<u8>,
    /// Where the paragraph starts in the text.
    paragraph: Option<usize>,
    /// Whether the text ends with a blank that counts only before more text.
    blank: bool,
    /// Whether an element is read that is none of the text.
    pub(super) passed: bool,
}

impl OdsCell {
    pub(super) fn new(tag: &str) -> Result<Self, String> {
        let repeats = number(tag, "number-columns-repeated")?;
        // The word of an error is in the text, whatever value stands beside it.
        let is_error = attributes(tag).any(|pair| pair == ("value-type", "error"));
        let number = attribute(tag, "value").and_then(|value| value.trim().parse::<f64>().ok());
        let number = number.filter(|_| !is_error);
        let truth = || attribute(tag, "boolean-value").map(|value| value.to_ascii_lowercase());
        // Of errors some programs write an empty one.
        let text = |name| decoded(tag, name).filter(|text| !text.is_empty());
        let other = || ["string-value", "date-value", "time-value"].into_iter().find_map(text).or_else(truth);
        Ok(Self {
            repeats,
            value: number.map(id_text::number).or_else(other).filter(|_| !is_error),
            lost_digits: number.is_some_and(id_text::has_lost_digits),
            text: String::new(),
            bytes: Vec::new(),
            paragraph: None,
            blank: false,
            passed: false,
        })
    }

    /// Whether text is of the cell.
    fn is_read(&self) -> bool {
        self.paragraph.is_some() && self.value.is_none() && !self.passed
    }

    /// Starts an element in the cell; false where it is none of its text: a shape, a note, another table.
    pub(super) fn start(&mut self, name: &str, tag: &str) -> Result<bool, String> {
        match name {
            "text:p" | "text:h" => {
                if !self.text.is_empty() {
                    self.text.push('\n');
                }
                (self.paragraph, self.blank) = (Some(self.text.len()), false);
            }
            "text:s" => self.push_signs(' ', number(tag, "c")?)?,
            "text:tab" => self.push_signs('\t', 1)?,
            "text:line-break" => self.push_signs('\n', 1)?,
            "text:note" | "text:ruby-text" => return Ok(false),
            _ => return Ok(name.starts_with("text:")),
        }
        Ok(true)
    }

    pub(super) fn end_paragraph(&mut self) {
        if std::mem::take(&mut self.blank) {
            self.text.pop();
        }
        self.paragraph = None;
    }

    /// Takes in text as it is written in the file.
    pub(super) fn add_bytes(&mut self, bytes: &[u8]) -> Result<(), String> {
        if self.is_read() {
            self.check(self.bytes.len() as u64 + bytes.len() as u64)?;
            self.bytes.extend_from_slice(bytes);
        }
        Ok(())
    }

    /// Takes over the text that came since the last tag.
    pub(super) fn end_bytes(&mut self) -> Result<(), String> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        let bytes = std::mem::take(&mut self.bytes);
        self.push(&decode_html_entities(utf8(&bytes)?))
    }

    /// Adds text: any number of blanks and ends of lines count as one blank, and none at the ends of the
    /// paragraph.
    pub(super) fn push(&mut self, text: &str) -> Result<(), String> {
        let Some(start) = self.paragraph.filter(|_| self.is_read()) else { return Ok(()) };
        self.check(text.len() as u64)?;
        for sign in text.chars() {
            match sign {
                ' ' | '\t' | '\r' | '\n' => {
                    if !self.blank && self.text.len() > start {
                        self.text.push(' ');
                        self.blank = true;
                    }
                }
                _ => {
                    self.text.push(sign);
                    self.blank = false;
                }
            }
        }
        Ok(())
    }

    /// Adds blanks that count.
    fn push_signs(&mut self, sign: char, count: u64) -> Result<(), String> {
        if self.is_read() {
            self.check(count)?;
            self.text.extend(std::iter::repeat_n(sign, count as usize));
            self.blank = false;
        }
        Ok(())
    }

    /// An error where the text would be too long with so many bytes more.
    fn check(&self, more: u64) -> Result<(), String> {
        match (self.text.len() as u64).saturating_add(more) > ROW_TEXT {
            true => Err(format!("has a cell of more than {} MiB", ROW_TEXT >> 20)),
            false => Ok(()),
        }
    }
}

pub(super) fn utf8(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|_| "holds text that is not UTF-8".into())
}

/// The text of an attribute.
pub(super) fn decoded(tag: &str, name: &str) -> Option<String> {
    attribute(tag, name).map(|value| decode_html_entities(value).into_owned())
}

/// The number that the attribute `name` gives, 1 without it.
fn number(tag: &str, name: &str) -> Result<u64, String> {
    let value = attribute(tag, name).map_or(Ok(1), |value| value.trim().parse::<u64>());
    value.map(|number| number.max(1)).map_err(|_| format!("has a `{name}` that is no number"))
}
