//! Workbooks of Excel (`.xlsx`, `.xlsm`): one sheet as a table of text.

mod outline;
mod tags;

use std::collections::BTreeSet;
use std::io::{BufReader, Seek};
use std::path::Path;

use calamine::{Data, DataRef, ExcelDateTime, Reader, SheetType, SheetVisible, Xlsx};

use crate::data::formats::columns::listed;
use crate::data::formats::foreign::WORKBOOK;
use crate::data::formats::header::{looks_like_data, names_without_header};
use crate::data::formats::id_text;
use crate::data::formats::options::TextOptions;
use crate::data::formats::row::{Choose, LINE_BYTES, Place, Visit};
use crate::disk::source::File;
use crate::{Error, Result};

/// Maximum of columns of a sheet, as in Excel.
const COLUMNS: u32 = 1 << 14;

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
    let hidden = outline::look(path, &mut file)?;
    file.rewind().map_err(|e| Error::io(path, e))?;
    let mut book: Xlsx<_> = WORKBOOK.guarded(path, || Xlsx::new(file))?;
    let sheets = Sheets::of(&book);
    let (at, name) = sheets.choose(path, options.sheet.as_deref())?;
    let nothing = BTreeSet::new();
    let hidden = hidden.get(at).unwrap_or(&nothing);
    let mut cells = WORKBOOK.guarded(path, || book.worksheet_cells_reader(&name))?;
    let mut table = Table { path, options, flags, header: None };
    let mut with_sheets = |names: &[String]| choose(names).map_err(|e| sheets.told(e, &name, flags));
    let mut last_hidden = None;
    let (mut row, mut passed) = (Row::default(), 0u32);
    while let Some(cell) = WORKBOOK.guarded(path, || cells.next_cell())? {
        let (number, column) = cell.get_position();
        if number < row.number || column >= COLUMNS {
            return Err(WORKBOOK.bad(path, "its cells are in no order"));
        }
        if number != row.number {
            table.add(&row, &mut with_sheets, visit)?;
            row.start(number);
        }
        if hidden.contains(&number) {
            passed += u32::from(last_hidden.replace(number) != Some(number));
        } else if number as usize >= options.skip_lines {
            row.put(path, column, cell.get_value())?;
        }
    }
    table.add(&row, &mut with_sheets, visit)?;
    let note = || {
        let rows = if passed == 1 { "1 hidden row".into() } else { format!("{passed} hidden rows") };
        format!("{rows} of the sheet `{name}` passed over")
    };
    match table.header {
        Some(_) => Ok((passed > 0).then(note).into_iter().collect()),
        None => Err(Error::format(
            path,
            format!("has nothing in its sheet `{name}`; rows under a header are expected"),
        )),
    }
}

/// The sheets of a workbook that hold cells.
struct Sheets {
    /// Place among all sheets, name, and whether it is shown.
    all: Vec<(usize, String, bool)>,
}

impl Sheets {
    fn of<R: std::io::Read + Seek>(book: &Xlsx<R>) -> Self {
        let sheets = book.sheets_metadata().iter().enumerate().filter(|(_, s)| s.typ == SheetType::WorkSheet);
        Self { all: sheets.map(|(at, s)| (at, s.name.clone(), s.visible == SheetVisible::Visible)).collect() }
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
            let what = wanted.map_or("no sheet of cells".into(), |wanted| format!("no sheet `{wanted}`"));
            Error::format(path, format!("has {what}; its sheets are {}", listed(&self.names())))
        };
        found.map(|(at, name, _)| (*at, name.clone())).ok_or_else(missing)
    }

    /// An error about the columns of the sheet `read`, which may be the wrong one.
    fn told(&self, error: Error, read: &str, flags: bool) -> Error {
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
struct Row {
    number: u32,
    /// Column by column.
    cells: Vec<String>,
    bytes: usize,
}

impl Row {
    fn start(&mut self, number: u32) {
        self.number = number;
        self.bytes = 0;
        self.cells.iter_mut().for_each(String::clear);
    }

    fn put(&mut self, path: &Path, column: u32, value: &DataRef<'_>) -> Result<()> {
        let column = column as usize;
        if self.cells.len() <= column {
            self.cells.resize(column + 1, String::new());
        }
        write(value, &mut self.cells[column]);
        self.bytes += self.cells[column].len();
        match self.bytes as u64 > LINE_BYTES {
            // A text that is kept once may stand in many cells.
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
struct Table<'a> {
    path: &'a Path,
    options: &'a TextOptions,
    flags: bool,
    /// The columns that were chosen, once the header is read.
    header: Option<Vec<usize>>,
}

impl Table<'_> {
    /// Takes a row, the first one as the header.
    fn add(&mut self, row: &Row, choose: Choose<'_>, visit: Visit<'_>) -> Result<()> {
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
            self.header = Some(choose(&names)?.into_iter().map(|at| columns[at]).collect());
            if !self.options.no_header {
                return Ok(());
            }
        }
        let chosen = self.header.iter().flatten();
        let cells: Vec<&str> = chosen.map(|&at| row.cell(at)).collect();
        visit(&row.place(self.path), &cells)
    }

    /// Names of the columns, of which `first` are the first row.
    fn names(&self, row: &Row, first: Vec<String>) -> Result<Vec<String>> {
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

/// Writes a cell as text: whole numbers without a fraction, dates as ISO 8601.
fn write(value: &DataRef<'_>, out: &mut String) {
    out.clear();
    match value {
        DataRef::String(text) => out.push_str(text),
        DataRef::SharedString(text) => out.push_str(text),
        DataRef::Float(number) => out.push_str(&id_text::number(*number)),
        DataRef::DateTime(time) if time.is_datetime() => out.push_str(&iso(time)),
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
