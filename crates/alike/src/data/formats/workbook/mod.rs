//! Workbooks of Excel (`.xlsx`, `.xlsm`) and of OpenDocument (`.ods`): one sheet as a table of text.

mod cell;
mod content;
mod open_document;
mod outline;
mod tags;

use std::io::{BufReader, Seek};
use std::path::Path;

use calamine::{Data, DataRef, ExcelDateTime, Reader, Sheet, SheetType, SheetVisible, Xlsx};
use zip::ZipArchive;

use crate::data::formats::columns::listed;
use crate::data::formats::foreign::{Foreign, OPEN_DOCUMENT, WORKBOOK};
use crate::data::formats::header::{looks_like_data, names_without_header};
use crate::data::formats::id_text;
use crate::data::formats::kinds::FileKind;
use crate::data::formats::options::TextOptions;
use crate::data::formats::row::{Choose, LINE_BYTES, Place, Visit};
use crate::data::formats::workbook::cell::{COLUMNS, SheetCell};
use crate::data::formats::workbook::open_document::{OpenDocument, is_open_document};
use crate::disk::source::File;
use crate::{Error, Result};

/// What an archive holds by the names of its parts, whichever is first: a workbook, a spreadsheet of
/// OpenDocument, or anything.
pub(crate) fn kind_within(file: &File) -> FileKind {
    let Ok(archive) = ZipArchive::new(BufReader::new(file)) else { return FileKind::Zip };
    let has = |name: &str| archive.index_for_name(name).is_some();
    match has("xl/workbook.xml") {
        true => FileKind::Workbook,
        false if is_open_document(has) => FileKind::OpenDocument,
        false => FileKind::Zip,
    }
}

/// Reads the rows of the sheet that the options name, or of the first that is not hidden; see
/// [`crate::data::formats::table::read_rows`]. Its first row is the header. Rows that are empty or hidden are
/// passed over; a note counts the hidden ones.
pub(crate) fn read(
    path: &Path,
    file: File,
    options: &TextOptions,
    flags: bool,
    choose: Choose<'_>,
    visit: Visit<'_>,
) -> Result<Vec<String>> {
    let mut file = BufReader::with_capacity(1 << 16, file);
    let hidden = outline::inspect(path, &mut file)?;
    file.rewind().map_err(|e| Error::io(path, e))?;
    let mut book: Xlsx<BufReader<File>> = WORKBOOK.guarded(path, || Xlsx::new(file))?;
    let sheets = Sheets::of_excel(book.sheets_metadata());
    let (at, name) = sheets.choose(path, options.sheet.as_deref())?;
    let hidden = hidden.into_iter().nth(at).unwrap_or_default();
    let mut cells = WORKBOOK.guarded(path, || book.worksheet_cells_reader(&name))?;
    let mut next = |text: &mut String| -> Result<Option<SheetCell>> {
        let cell = WORKBOOK.guarded(path, || cells.next_cell())?;
        Ok(cell.map(|cell| {
            let ((row, column), value) = (cell.get_position(), cell.get_value());
            write(value, text);
            SheetCell { row, column, is_hidden: hidden.contains(&row), lost_digits: has_lost_digits(value) }
        }))
    };
    let sheet = SheetFile { path, options, flags, format: &WORKBOOK, sheets: &sheets, name: &name };
    sheet.read(&mut next, choose, visit)
}

/// As [`read`] of a spreadsheet of OpenDocument.
pub(crate) fn read_open_document(
    path: &Path,
    file: File,
    options: &TextOptions,
    flags: bool,
    choose: Choose<'_>,
    visit: Visit<'_>,
) -> Result<Vec<String>> {
    let mut book = OpenDocument::open(path, file)?;
    let sheets = Sheets::of_open_document(&book.sheets);
    let (at, name) = sheets.choose(path, options.sheet.as_deref())?;
    let mut cells = book.cells(path, at)?;
    let mut next = |text: &mut String| cells.advance(text);
    let sheet = SheetFile { path, options, flags, format: &OPEN_DOCUMENT, sheets: &sheets, name: &name };
    sheet.read(&mut next, choose, visit)
}

/// Gives the next cell of a sheet, and writes its text.
type NextCell<'a> = &'a mut dyn FnMut(&mut String) -> Result<Option<SheetCell>>;

/// The sheet of a workbook that is read.
struct SheetFile<'a> {
    path: &'a Path,
    options: &'a TextOptions,
    flags: bool,
    format: &'a Foreign,
    sheets: &'a Sheets,
    name: &'a str,
}

impl SheetFile<'_> {
    /// Reads the rows but those that are hidden.
    fn read(&self, next: NextCell<'_>, choose: Choose<'_>, visit: Visit<'_>) -> Result<Vec<String>> {
        let Self { path, options, name, .. } = *self;
        let mut table = SheetTable { path, options, flags: self.flags, header: None };
        let mut with_sheets =
            |names: &[String]| choose(names).map_err(|e| self.sheets.with_sheet_read(e, name, self.flags));
        let mut last_hidden = None;
        let (mut row, mut text, mut passed) = (SheetRow::default(), String::new(), 0u32);
        while let Some(cell) = next(&mut text)? {
            let number = cell.row;
            if number < row.number || cell.column >= COLUMNS {
                return Err(self.format.bad(path, "its cells are in no order"));
            }
            if number != row.number {
                table.add_below(passed, &row, &mut with_sheets, visit)?;
                row.start(number);
            }
            if cell.is_hidden {
                passed += u32::from(last_hidden.replace(number) != Some(number));
            } else if number as usize >= options.skip_lines {
                row.put(path, &cell, &mut text)?;
            }
        }
        table.add_below(passed, &row, &mut with_sheets, visit)?;
        let note = || format!("{} of the sheet `{name}` passed over", hidden_rows(passed));
        match table.header {
            Some(_) => Ok((passed > 0).then(note).into_iter().collect()),
            None => {
                let message = format!("has nothing in its sheet `{name}`; rows under a header are expected");
                Err(self.sheets.with_sheet_read(Error::format(path, message), name, self.flags))
            }
        }
    }
}

/// The sheets of a workbook that hold cells.
struct Sheets {
    /// Place among all sheets, name, and whether it is shown.
    all: Vec<(usize, String, bool)>,
}

impl Sheets {
    fn of_excel(all: &[Sheet]) -> Self {
        let sheets = all.iter().enumerate().filter(|(_, s)| s.typ == SheetType::WorkSheet);
        Self { all: sheets.map(|(at, s)| (at, s.name.clone(), s.visible == SheetVisible::Visible)).collect() }
    }

    fn of_open_document(all: &[(String, bool)]) -> Self {
        let sheets = all.iter().enumerate();
        Self { all: sheets.map(|(at, (name, shown))| (at, name.clone(), *shown)).collect() }
    }

    fn names(&self) -> Vec<String> {
        self.all.iter().map(|(_, name, _)| name.clone()).collect()
    }

    /// The sheet to read.
    fn choose(&self, path: &Path, wanted: Option<&str>) -> Result<(usize, String)> {
        let found = match wanted {
            Some(wanted) => self.all.iter().find(|(_, name, _)| name == wanted),
            None => self.all.iter().find(|(_, _, shown)| *shown).or(self.all.first()),
        };
        let missing = || {
            let message = match wanted {
                Some(wanted) if !self.all.is_empty() => {
                    format!("has no sheet `{wanted}`; its sheets are {}", listed(&self.names()))
                }
                _ => "has no sheet of cells; rows under a header are expected in one".into(),
            };
            Error::format(path, message)
        };
        found.map(|(at, name, _)| (*at, name.clone())).ok_or_else(missing)
    }

    /// An error about the columns of the sheet `read`, which may be the wrong one.
    fn with_sheet_read(&self, error: Error, read: &str, flags: bool) -> Error {
        match error {
            Error::Format { path, line, message } if self.all.len() > 1 => {
                let way = if flags {
                    "`--sheet NAME` reads another"
                } else {
                    "the first that is not hidden is read"
                };
                let sheets = listed(&self.names());
                let message = format!("{message}; the sheet `{read}` was read, of {sheets} ({way})");
                Error::Format { path, line, message }
            }
            other => other,
        }
    }
}

/// The cells of a row as they come in.
#[derive(Default)]
struct SheetRow {
    number: u32,
    /// Column by column.
    cells: Vec<String>,
    bytes: usize,
    /// Columns with a number that may be another than the one that was written.
    lost_digits: Vec<usize>,
}

impl SheetRow {
    fn start(&mut self, number: u32) {
        self.number = number;
        self.bytes = 0;
        self.cells.iter_mut().for_each(String::clear);
        self.lost_digits.clear();
    }

    /// Takes the text of a cell.
    fn put(&mut self, path: &Path, cell: &SheetCell, text: &mut String) -> Result<()> {
        let column = cell.column as usize;
        if cell.lost_digits {
            self.lost_digits.push(column);
        }
        if self.cells.len() <= column {
            self.cells.resize(column + 1, String::new());
        }
        std::mem::swap(&mut self.cells[column], text);
        self.bytes += self.cells[column].len();
        match self.bytes as u64 > LINE_BYTES {
            // A text that is kept once may be in many cells.
            true => Err(self.place(path).error(format!("is longer than {} MiB", LINE_BYTES >> 20))),
            false => Ok(()),
        }
    }

    fn place<'a>(&self, path: &'a Path) -> Place<'a> {
        Place { path, line: u64::from(self.number) + 1 }
    }

    fn cell(&self, column: usize) -> &str {
        self.cells.get(column).map_or("", String::as_str)
    }
}

/// Rows under their header.
struct SheetTable<'a> {
    path: &'a Path,
    options: &'a TextOptions,
    flags: bool,
    /// The columns that were chosen and their names, once the header is read.
    header: Option<Vec<(usize, String)>>,
}

impl SheetTable<'_> {
    /// As [`Self::add`] where so many hidden rows are above: one of them may be the header.
    fn add_below(&mut self, passed: u32, row: &SheetRow, choose: Choose<'_>, visit: Visit<'_>) -> Result<()> {
        self.add(row, choose, visit).map_err(|error| match error {
            Error::Format { path, line, message } if passed > 0 && self.header.is_none() => {
                let rows = hidden_rows(passed);
                let message =
                    format!("{message}; not read above it: {rows}; show the header if it is hidden");
                Error::Format { path, line, message }
            }
            other => other,
        })
    }

    /// Takes a row, the first one as the header.
    fn add(&mut self, row: &SheetRow, choose: Choose<'_>, visit: Visit<'_>) -> Result<()> {
        if row.cells.iter().all(|cell| cell.trim().is_empty()) {
            return Ok(());
        }
        if self.header.is_none() {
            // A column without a name is none of the table.
            let named =
                (0..row.cells.len()).filter(|&at| self.options.no_header || !row.cell(at).trim().is_empty());
            let columns: Vec<usize> = named.collect();
            let names =
                self.names(row, columns.iter().map(|&at| row.cell(at).trim().to_string()).collect())?;
            let chosen = choose(&names)?.into_iter();
            self.header = Some(chosen.map(|at| (columns[at], names[at].clone())).collect());
            if !self.options.no_header {
                return Ok(());
            }
        }
        let chosen = self.header.iter().flatten();
        // The first that are chosen are ids: the user and the item of interactions, the item of a catalogue.
        let ids = if self.flags { 2 } else { 1 };
        if let Some((at, name)) = chosen.clone().take(ids).find(|(at, _)| row.lost_digits.contains(at)) {
            return Err(row.place(self.path).error(format!(
                "column `{name}` holds a whole number with more digits than a sheet keeps (it is read as {}); \
                 make it a column of text and write its ids again",
                row.cell(*at)
            )));
        }
        let cells: Vec<&str> = chosen.map(|(at, _)| row.cell(*at)).collect();
        visit(&row.place(self.path), &cells)
    }

    /// Names of the columns, of which `first` are the first row.
    fn names(&self, row: &SheetRow, first: Vec<String>) -> Result<Vec<String>> {
        let place = row.place(self.path);
        if self.options.no_header {
            return names_without_header(&place, &first, &self.options.names);
        }
        match looks_like_data(&first, self.flags) {
            Some(message) => Err(place.error(message)),
            None => Ok(first),
        }
    }
}

fn hidden_rows(count: u32) -> String {
    if count == 1 { "1 hidden row".into() } else { format!("{count} hidden rows") }
}

/// Whether a number, be it shown as a date, may be another than the one that was written.
fn has_lost_digits(value: &DataRef<'_>) -> bool {
    match value {
        DataRef::Float(number) => id_text::has_lost_digits(*number),
        DataRef::DateTime(time) => id_text::has_lost_digits(time.as_f64()),
        _ => false,
    }
}

/// Writes a cell as text: whole numbers without a fraction, dates as ISO 8601.
fn write(value: &DataRef<'_>, out: &mut String) {
    out.clear();
    match value {
        DataRef::String(text) => out.push_str(text),
        DataRef::SharedString(text) => out.push_str(text),
        DataRef::Float(number) => out.push_str(&id_text::number(*number)),
        // One that lost digits is no date.
        DataRef::DateTime(time) if time.is_datetime() && !has_lost_digits(value) => out.push_str(&iso(time)),
        DataRef::DateTime(time) => out.push_str(&id_text::number(time.as_f64())),
        other => out.push_str(&Data::from(other.clone()).to_string()),
    }
}

/// A date, with a time where it is not midnight.
fn iso(time: &ExcelDateTime) -> String {
    let (year, month, day, hour, minute, second, milli) = time.to_ymd_hms_milli();
    let date = format!("{year:04}-{month:02}-{day:02}");
    match (hour, minute, second, milli) {
        (0, 0, 0, 0) => date,
        (_, _, _, 0) => format!("{date}T{hour:02}:{minute:02}:{second:02}"),
        _ => format!("{date}T{hour:02}:{minute:02}:{second:02}.{milli:03}"),
    }
}
