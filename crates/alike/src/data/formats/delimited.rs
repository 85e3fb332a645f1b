//! Delimited text: the rows under the header.

use std::collections::VecDeque;
use std::io::{BufRead, Cursor, Read};
use std::path::Path;

use csv::ByteRecord;

use crate::data::formats::encoding::encoding_advice;
use crate::data::formats::fields::{self, Joined, has_escaped_quotes, mend_padded};
use crate::data::formats::header::{LISTS, TableLayout, layout};
use crate::data::formats::options::{Delimiter, TextOptions};
use crate::data::formats::row::{
    AHEAD_BYTES, Choose, LINE_BYTES, LimitedRows, Place, Visit, next_line, too_long, without_end,
};
use crate::{Error, Result};

/// Columns of a log at most.
const FEW: usize = 6;
/// Lines that a quoted field goes on over at most where a quote alone may be text.
const FIELD_LINES: usize = 1000;

impl TableLayout {
    /// What is wrong with a row of another width.
    fn other_width(&self, record: &ByteRecord, no_header: bool) -> String {
        let (found, first) = (record.len(), self.names.len());
        let whole = |field: &[u8]| field.iter().all(u8::is_ascii_digit);
        match no_header {
            true if self.delimiter == Delimiter::Blanks && record.iter().all(whole) => {
                format!("{found} columns, the first row has {first}: {LISTS}")
            }
            true => format!("{found} columns, the first row has {first}"),
            false if found < first => {
                format!("{found} columns, the header has {first}: is the file cut off here?")
            }
            false => {
                format!(
                    "{found} columns, the header has {first}: a value that holds the delimiter must be quoted"
                )
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
    let mut visit_record = |line: u64, record: &ByteRecord| {
        // A line of nothing but blanks is no row.
        if record.len() == 1 && record[0].trim_ascii().is_empty() {
            return Ok(());
        }
        if record.len() != layout.names.len() {
            return Err(Error::format_at(path, line, layout.other_width(record, options.no_header)));
        }
        if let Delimiter::Byte(byte) = layout.delimiter
            && let Some(at) = holds_rows(record, byte, if flags { &chosen } else { &[] })
        {
            return Err(not_closed(&Place { path, line }, &layout.names[at]));
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
            return visit(&Place { path, line }, &few[..chosen.len()]);
        }
        let cells = chosen.iter().map(field).collect::<Result<Vec<&str>>>()?;
        visit(&Place { path, line }, &cells)
    };
    match &layout.delimiter {
        // Texts between tabs are mostly not quoted, and may hold quotes.
        Delimiter::Byte(byte) if *byte != b'\t' => {
            read_quoted(path, input, *byte, &layout, &mut visit_record)?;
        }
        other => read_plain(path, input, other, &layout, &mut visit_record)?,
    }
    Ok(layout.notes)
}

fn not_closed(place: &Place<'_>, column: &str) -> Error {
    place.error(format!(
        "column `{column}` goes on over the next lines: a quote is not closed (one inside a field is doubled)"
    ))
}

/// The field that holds what are rows, since a quote before them is not closed: it has a line end and is one
/// of `short`, which never have one, or most of its lines have as many delimiters as a row.
fn holds_rows(record: &ByteRecord, delimiter: u8, short: &[usize]) -> Option<usize> {
    let rows = |field: &[u8]| {
        let lines = field.split(|&c| c == b'\n').skip(1).filter(|l| !l.trim_ascii().is_empty());
        let (all, like_rows) = lines.fold((0, 0), |(all, like), l| {
            let delimiters = l.iter().filter(|&&c| c == delimiter).count();
            (all + 1, like + usize::from(delimiters + 1 == record.len()))
        });
        all >= 2 && like_rows * 5 >= all * 4
    };
    let mut fields = record.iter().enumerate().filter(|(_, field)| field.contains(&b'\n'));
    fields.find(|(at, field)| short.contains(at) || rows(field)).map(|(at, _)| at)
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
        .from_reader(LimitedRows::new(Cursor::new(&layout.first[..]).chain(input)));
    let mut record = ByteRecord::new();
    let mut line = layout.lines;
    loop {
        match rows.read_byte_record(&mut record) {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(_) if rows.get_ref().is_over() => {
                return Err(too_long(&Place { path, line: line + 1 }));
            }
            Err(e) => return Err(csv_error(path, e, layout.lines)),
        }
        rows.get_mut().start_row();
        let at = record.position().map_or(0, csv::Position::line) + layout.lines;
        mend_padded(&mut record, delimiter, layout.names.len());
        visit(at, &record)?;
        line = rows.position().line() - 1 + layout.lines;
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
    while lines.read(&mut line)? {
        let text = without_end(&line);
        if text.is_empty() {
            continue;
        }
        fields::read(text, delimiter, width, &mut record);
        let place = Place { path, line: lines.number };
        if let Some(open) = fields::open_field(text, delimiter) {
            let is_row = record.len() == width;
            match lines.joined(&line, open, delimiter, is_row.then_some(width))? {
                Some((joined, more)) => {
                    record = joined;
                    lines.pass(more);
                }
                // The quote is text, or the file is cut off here.
                None if is_row || lines.ahead.is_empty() => {}
                None => return Err(not_closed(&place, &layout.names[open.min(width - 1)])),
            }
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
