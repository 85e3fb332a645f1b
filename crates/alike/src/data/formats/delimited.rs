//! Delimited text: the rows under the header.

use std::collections::VecDeque;
use std::io::{self, BufRead, Cursor, Read};
use std::path::Path;

use csv::ByteRecord;

use crate::data::formats::columns::{is_usual_name, plain_name};
use crate::data::formats::encoding::encoding_advice;
use crate::data::formats::fields::{
    self, Joined, has_escaped_quotes, mend_padded, separators, wrongly_closed,
};
use crate::data::formats::header::{LISTS, TableLayout, layout};
use crate::data::formats::looks::{OddLines, is_comment_field, is_remark, is_rule};
use crate::data::formats::options::{Delimiter, TextOptions};
use crate::data::formats::row::{
    AHEAD_BYTES, Choose, LINE_BYTES, LimitedRows, Place, Visit, next_line, too_long, without_end,
};
use crate::{Error, Result};

/// Columns of a log at most.
const FEW: usize = 6;
/// Lines that a quoted field goes on over at most where a quote alone may be text.
const FIELD_LINES: usize = 1000;
/// Characters of a line that a message shows at most.
const SHOWN: usize = 60;

impl TableLayout {
    /// What is wrong with a row of another width.
    fn other_width(&self, record: &ByteRecord) -> String {
        let (found, width) = (record.len(), self.names.len());
        let of = if self.no_header { "the first row has" } else { "the header has" };
        let what = format!("{found} column{}, {of} {width}", if found == 1 { "" } else { "s" });
        let whole = |field: &[u8]| field.iter().all(u8::is_ascii_digit);
        if self.no_header && self.delimiter == Delimiter::Blanks && record.iter().all(whole) {
            return format!("{what}: {LISTS}");
        }
        if is_remark(&record[0]) {
            return format!("{what}: if `{}` is a comment or a footer, remove it", self.shown(record));
        }
        match &self.one_more {
            Some(way) if found == width + 1 => {
                format!("{what}; {way}; a value that holds the delimiter must be quoted")
            }
            _ if found == 1 => {
                let line = self.shown(record);
                format!("{what}: is the file cut off here? if `{line}` is a footer, remove it")
            }
            _ if self.no_header => what,
            _ if found < width => format!("{what}: is the file cut off here?"),
            _ => format!("{what}: a value that holds the delimiter must be quoted"),
        }
    }

    /// A row for a message: its start, in one line.
    fn shown(&self, record: &ByteRecord) -> String {
        let sign = match &self.delimiter {
            Delimiter::Byte(byte) => char::from(*byte).to_string(),
            Delimiter::Text(text) => text.clone(),
            Delimiter::Blanks => " ".into(),
        };
        let mut line = String::new();
        for (at, field) in record.iter().enumerate() {
            if at > 0 {
                line += &sign;
            }
            // A character has at most four bytes.
            line += &String::from_utf8_lossy(&field[..field.len().min(4 * SHOWN)]);
            if line.len() > 4 * SHOWN {
                break;
            }
        }
        let mut out = String::new();
        for c in line.trim().chars().take(SHOWN) {
            match c.is_control() {
                true => out.extend(c.escape_debug()),
                false => out.push(c),
            }
        }
        out
    }

    /// Whether the row has the names of the `chosen` columns again; false where they are in another order.
    fn names_again(&self, record: &ByteRecord, chosen: &[usize]) -> Option<bool> {
        let name = |at: usize| {
            let text = std::str::from_utf8(&record[at]).unwrap_or_default();
            // A mark of the encoding is in the middle where files were put one behind the other.
            plain_name(text.trim().trim_start_matches('\u{feff}').trim_matches('"'))
        };
        let is_same = |at: usize| name(at) == self.names[at];
        let is_one = |at: usize| chosen.iter().any(|&other| name(at) == self.names[other]);
        if !chosen.iter().all(|&at| is_one(at)) || !chosen.iter().any(|&at| is_usual_name(&self.names[at])) {
            return None;
        }
        match chosen {
            // A single value may be such a word.
            [_] => (0..record.len()).all(is_same).then_some(true),
            _ if chosen.iter().all(|&at| is_same(at)) => Some(true),
            // Each name once, or the row is of values.
            _ => {
                let has = |other: &usize| chosen.iter().any(|&at| name(at) == self.names[*other]);
                chosen.iter().all(has).then_some(false)
            }
        }
    }
}

/// Reads the rows of `input`, UTF-8 without a byte order mark. `flags` is true where the program has flags
/// for this file that an error can name. Returns what is good to know.
pub(crate) fn read(
    path: &Path,
    mut input: Box<dyn BufRead>,
    options: &TextOptions,
    flags: bool,
    choose: Choose<'_>,
    visit: Visit<'_>,
) -> Result<Vec<String>> {
    let layout = layout(path, &mut input, options, flags)?;
    let chosen = choose(&layout.names)?;
    // Ids never have a line end: of a catalogue they are the first column that is chosen.
    let ids = if flags { &chosen[..] } else { &chosen[..chosen.len().min(1)] };
    // How a field starts that may be the name of a column, see `names_again`.
    let starts: Vec<&[u8]> = chosen.iter().map(|&at| start_of_name(layout.names[at].as_bytes())).collect();
    let mut odd = OddLines::default();
    let mut visit_record = |line: u64, record: &ByteRecord| {
        let place = Place { path, line };
        // A line of nothing but blanks is no row.
        if record.len() == 1 && record[0].trim_ascii().is_empty() {
            return Ok(());
        }
        let is_row = record.len() == layout.names.len();
        if is_rule(record) && (!is_row || chosen.iter().all(|&at| !record[at].is_empty())) {
            odd.rules.add(line);
            return Ok(());
        }
        if !is_row {
            return Err(place.error(layout.other_width(record)));
        }
        if let Delimiter::Byte(byte) = layout.delimiter {
            match holds_rows(record, byte, ids) {
                Some((at, true)) => return Err(not_closed(&place, &layout.names[at])),
                Some((_, false)) => odd.long.add(line),
                None => {}
            }
        }
        let start = start_of_name(chosen.first().map_or(b"", |&at| &record[at]));
        if starts.iter().any(|name| name.first() == start.first() && start.starts_with(name)) {
            match layout.names_again(record, &chosen) {
                Some(true) => {
                    odd.headers.add(line);
                    return Ok(());
                }
                Some(false) => {
                    let message = "has the names of the columns again, in another order; put the files in a folder, \
                                   whose columns are matched by name, or in one order";
                    return Err(place.error(message));
                }
                None => {}
            }
        }
        if is_comment_field(&record[0]) {
            odd.comments.add(line);
        }
        let field = |&at: &usize| {
            std::str::from_utf8(&record[at]).map_err(|_| {
                let what = format!("column `{}` is not UTF-8; {}", layout.names[at], encoding_advice());
                Error::format_at(path, line, what)
            })
        };
        // Logs have few columns: no memory is asked for at every row.
        let mut few = [""; FEW];
        if chosen.len() <= FEW {
            for (cell, at) in few.iter_mut().zip(&chosen) {
                *cell = field(at)?;
            }
            return visit(&place, &few[..chosen.len()]);
        }
        let cells = chosen.iter().map(field).collect::<Result<Vec<&str>>>()?;
        visit(&place, &cells)
    };
    match &layout.delimiter {
        // Texts between tabs are mostly not quoted, and may hold quotes.
        Delimiter::Byte(byte) if *byte != b'\t' => {
            read_quoted(path, input, *byte, &layout, &mut visit_record)?;
        }
        other => read_plain(path, input, other, &layout, &mut visit_record)?,
    }
    let mut notes = layout.notes;
    notes.extend(odd.notes());
    Ok(notes)
}

/// A field without what may be before a name: blanks, quotes, the mark of an encoding, `g:`.
fn start_of_name(field: &[u8]) -> &[u8] {
    &field[field.iter().take_while(|c| b" \"\xef\xbb\xbfg:".contains(c)).count()..]
}

fn not_closed(place: &Place<'_>, column: &str) -> Error {
    place.error(format!(
        "column `{column}` goes on over the next lines: a quote is not closed (a field that holds one is quoted, \
         and the one inside doubled)"
    ))
}

/// The field that holds what are rows, since a quote before them is not closed: it has a line end and is one
/// of `short`, which never have one, or most of its lines have as many delimiters as a row. Of a single such
/// line it is not certain, which the second value tells.
fn holds_rows(record: &ByteRecord, delimiter: u8, short: &[usize]) -> Option<(usize, bool)> {
    let rows = |field: &[u8]| {
        let lines = field.split(|&c| c == b'\n').skip(1).filter(|l| !l.trim_ascii().is_empty());
        let (all, like_rows) = lines.fold((0, 0), |(all, like), l| {
            (all + 1, like + usize::from(separators(l, delimiter) + 1 == record.len()))
        });
        (like_rows > 0 && like_rows * 5 >= all * 4).then_some(all >= 2)
    };
    let mut doubtful = None;
    for (at, field) in record.iter().enumerate().filter(|(_, field)| field.contains(&b'\n')) {
        match rows(field) {
            _ if short.contains(&at) => return Some((at, true)),
            Some(true) => return Some((at, true)),
            Some(false) => doubtful = doubtful.or(Some((at, false))),
            None => {}
        }
    }
    doubtful
}

/// Rows with one byte between columns, and quotes.
fn read_quoted(
    path: &Path,
    mut input: Box<dyn BufRead>,
    delimiter: u8,
    layout: &TableLayout,
    visit: &mut dyn FnMut(u64, &ByteRecord) -> Result<()>,
) -> Result<()> {
    let head = input.fill_buf().map_err(|e| Error::io(path, e))?;
    let escape = has_escaped_quotes(head, &[delimiter]).then_some(b'\\');
    let mut rows = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .escape(escape)
        .buffer_capacity(AHEAD_BYTES as usize)
        .from_reader(Kept::new(Cursor::new(&layout.first[..]).chain(input)));
    let mut record = ByteRecord::new();
    let mut line = layout.lines;
    loop {
        match rows.read_byte_record(&mut record) {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(_) if rows.get_ref().input.is_over() => {
                return Err(too_long(&Place { path, line: line + 1 }));
            }
            Err(e) => return Err(csv_error(path, e, layout.lines)),
        }
        let (start, end) = (record.position().map_or(0, csv::Position::byte), rows.position().byte());
        let text = rows.get_ref().text(start, end);
        // It starts with the line ends that were left before it.
        let before = text.iter().take_while(|c| b"\r\n".contains(c)).filter(|&&c| c == b'\n').count() as u64;
        let first = record.position().map_or(0, csv::Position::line) + before;
        let at = first + layout.lines;
        // Only a row over several lines can have taken in another, and only the last one can be cut off.
        let is_long = rows.position().line() + u64::from(text.last() != Some(&b'\n')) > first + 1;
        let is_cut = record.as_slice().ends_with(b"\n") || !matches!(text.last(), Some(b'\n' | b'\r'));
        if (is_long || is_cut)
            && let Some(open) = wrongly_closed(text, delimiter, escape.is_some(), layout.names.len())
        {
            let (place, column) = (Place { path, line: at }, &layout.names[open.min(layout.names.len() - 1)]);
            return Err(match is_long {
                true => not_closed(&place, column),
                false => place.error(format!(
                    "column `{column}`: a quote is not closed (a field that holds one is quoted, and the one inside \
                     doubled), or the file is cut off here"
                )),
            });
        }
        rows.get_mut().start_row(end);
        mend_padded(&mut record, delimiter, layout.names.len());
        visit(at, &record)?;
        line = rows.position().line() - 1 + layout.lines;
    }
}

/// Keeps the bytes of a row, which the reader of quoted text gives without its quotes.
struct Kept<R> {
    input: LimitedRows<R>,
    bytes: Vec<u8>,
    /// Where they start in the text, and where the row does.
    from: u64,
    row: u64,
}

impl<R: Read> Kept<R> {
    fn new(input: R) -> Self {
        Self { input: LimitedRows::new(input), bytes: Vec::new(), from: 0, row: 0 }
    }

    /// What was read from one place in the text to another, neither before the row.
    fn text(&self, start: u64, end: u64) -> &[u8] {
        let at = |place: u64| place.saturating_sub(self.from) as usize;
        self.bytes.get(at(start)..at(end)).unwrap_or_default()
    }

    /// Says that the rows before this place are read.
    fn start_row(&mut self, at: u64) {
        self.row = at;
        self.input.start_row();
    }
}

impl<R: Read> Read for Kept<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let past = (self.row.saturating_sub(self.from) as usize).min(self.bytes.len());
        self.bytes.drain(..past);
        self.from += past as u64;
        let read = self.input.read(out)?;
        self.bytes.extend_from_slice(&out[..read]);
        Ok(read)
    }
}

/// Rows with a tab, several signs or runs of blanks between columns. Quotes around a field are taken off, and
/// a quoted field may go on over lines; a lone quote is text.
fn read_plain(
    path: &Path,
    input: Box<dyn BufRead>,
    delimiter: &Delimiter,
    layout: &TableLayout,
    visit: &mut dyn FnMut(u64, &ByteRecord) -> Result<()>,
) -> Result<()> {
    let width = layout.names.len();
    let input = Cursor::new(&layout.first[..]).chain(input);
    let mut lines = Lines { path, input, number: layout.lines, ahead: VecDeque::new() };
    let (mut line, mut record) = (Vec::new(), ByteRecord::new());
    // The line and the field of a quote in the row before that was taken for text.
    let mut lone: Option<(u64, usize)> = None;
    while lines.read(&mut line)? {
        let text = without_end(&line);
        if text.is_empty() {
            continue;
        }
        fields::read(text, delimiter, width, &mut record);
        let place = Place { path, line: lines.number };
        let before = lone.take();
        if let Some(open) = fields::open_field(text, delimiter) {
            let is_row = record.len() == width;
            match lines.joined(&line, open, delimiter, is_row.then_some(width))? {
                Some((joined, more)) => {
                    record = joined;
                    lines.pass(more);
                }
                None if is_row => lone = Some((place.line, open)),
                // The file is cut off here.
                None if lines.ahead.is_empty() => {}
                None => return Err(not_closed(&place, &layout.names[open.min(width - 1)])),
            }
        }
        if let Some((line, open)) = before
            && record.len() != width
            && !(text.trim_ascii().is_empty() || is_rule(&record))
        {
            let message = format!(
                "{} (or column `{}` goes on here: its quote in line {line} is not closed within {FIELD_LINES} lines)",
                layout.other_width(&record),
                layout.names[open.min(width - 1)]
            );
            return Err(place.error(message));
        }
        visit(place.line, &record)?;
    }
    Ok(())
}

/// The lines of a text, some of which are looked at before they are read.
struct Lines<'a, R> {
    path: &'a Path,
    input: R,
    /// How many are read.
    number: u64,
    /// Those after them that were looked at.
    ahead: VecDeque<Vec<u8>>,
}

impl<R: BufRead> Lines<'_, R> {
    /// Reads the next line into `line`; false at the end.
    fn read(&mut self, line: &mut Vec<u8>) -> Result<bool> {
        self.number += 1;
        match self.ahead.pop_front() {
            Some(ahead) => {
                *line = ahead;
                Ok(true)
            }
            None => next_line(&Place { path: self.path, line: self.number }, &mut self.input, line),
        }
    }

    /// The line that comes after the next `after` ones, which were looked at before; nothing at the end.
    fn look(&mut self, after: usize) -> Result<Option<&[u8]>> {
        if after == self.ahead.len() {
            let mut line = Vec::new();
            let place = Place { path: self.path, line: self.number + 1 + after as u64 };
            if !next_line(&place, &mut self.input, &mut line)? {
                return Ok(None);
            }
            self.ahead.push_back(line);
        }
        Ok(self.ahead.get(after).map(Vec::as_slice))
    }

    /// Passes over lines that were looked at.
    fn pass(&mut self, lines: usize) {
        self.ahead.drain(..lines);
        self.number += lines as u64;
    }

    /// The row that starts with `line`, whose field `open` starts with a quote, and goes on over the next
    /// lines; and how many of these. Nothing where the quote is text: none closes it at the end of a field.
    /// `row` is the number of columns where `line` is a row by itself. Then the row over several lines must
    /// have as many, too, and of the lines that it takes in no more may be rows by themselves than there are
    /// without a delimiter, so that a lone quote before a short row takes in no others.
    fn joined(
        &mut self,
        line: &[u8],
        open: usize,
        delimiter: &Delimiter,
        row: Option<usize>,
    ) -> Result<Option<(ByteRecord, usize)>> {
        let mut text = line.to_vec();
        let (mut rows, mut words) = (0, 0);
        let mut other = ByteRecord::new();
        for more in 1..FIELD_LINES {
            let Some(next) = self.look(more - 1)? else { return Ok(None) };
            if (text.len() + next.len()) as u64 > LINE_BYTES {
                return Ok(None);
            }
            text.extend_from_slice(next);
            let next = without_end(next);
            if let Some(width) = row.filter(|_| !next.trim_ascii().is_empty()) {
                fields::read(next, delimiter, width, &mut other);
                match other.len() {
                    n if n == width => rows += 1,
                    1 => words += 1,
                    _ => {}
                }
            }
            if !fields::may_close(next) {
                continue;
            }
            match fields::join(without_end(&text), delimiter) {
                // Beside a row by itself only one field goes on over lines, or the search would be long.
                Joined::Open(at) if row.is_none() || at == open => {}
                Joined::Row(record) if row.is_none_or(|width| record.len() == width && rows <= words) => {
                    return Ok(Some((record, more)));
                }
                _ => return Ok(None),
            }
        }
        Ok(None)
    }
}

fn csv_error(path: &Path, error: csv::Error, before: u64) -> Error {
    let line = error.position().map(|p| p.line() + before);
    match error.into_kind() {
        csv::ErrorKind::Io(e) => Error::io(path, e),
        other => Error::Format { path: path.to_path_buf(), line, message: format!("{other:?}") },
    }
}
