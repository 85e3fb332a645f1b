//! Delimited text: which sign separates the columns, what they are called, and the rows.

use std::io::{BufRead, Cursor, Read};
use std::path::Path;

use csv::ByteRecord;

use crate::data::formats::columns::{is_usual_name, plain_name};
use crate::data::formats::options::{Delimiter, TextOptions};
use crate::data::formats::row::{Choose, Place, Visit, next_line};
use crate::data::formats::times::TimeFormat;
use crate::{Error, Result};

/// Longest first line.
const LINE: u64 = 1 << 20;
/// Columns of a log at most.
const FEW: usize = 6;
/// Lines that are looked at to know what a text without a header is.
const AHEAD: usize = 100;

/// How the rows of a text are to be read.
struct Layout {
    delimiter: Delimiter,
    /// Names of the columns.
    names: Vec<String>,
    /// Lines before the rows.
    lines: u64,
    /// The first row, where the text has no header.
    first: Vec<u8>,
}

impl Layout {
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

/// Reads the rows of `input`, UTF-8 without a byte order mark. `flags` is true where the program has flags for this file
/// that an error can name.
pub(crate) fn read(
    path: &Path,
    mut input: Box<dyn BufRead>,
    options: &TextOptions,
    flags: bool,
    choose: Choose<'_>,
    visit: Visit<'_>,
) -> Result<()> {
    let layout = layout(path, &mut input, options, flags)?;
    let chosen = choose(&layout.names)?;
    let mut visit_record = |line: u64, record: &ByteRecord| {
        if record.len() != layout.names.len() {
            return Err(Error::format_at(path, line, layout.other_width(record, options.no_header)));
        }
        if let Delimiter::Byte(byte) = layout.delimiter
            && let Some(at) = holds_rows(record, byte, if flags { &chosen } else { &[] })
        {
            let message = format!(
                "column `{}` goes on over the next lines: a quote is not closed (one inside a field is doubled)",
                layout.names[at]
            );
            return Err(Error::format_at(path, line, message));
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
        Delimiter::Byte(byte) => read_quoted(path, input, *byte, &layout, &mut visit_record),
        other => read_plain(path, input, other, &layout, &mut visit_record),
    }
}

/// The field that holds what are rows, since a quote before them is not closed: it has a line end and is one of `short`, which
/// never have one, or most of its lines have as many delimiters as a row.
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

/// The way out of text in another encoding.
pub(crate) fn encoding_advice() -> &'static str {
    "name its encoding (`--encoding windows-1252`), or write it as UTF-8 (`iconv -f WINDOWS-1252 -t UTF-8`)"
}

/// Reads what comes before the rows.
fn layout(path: &Path, input: &mut dyn BufRead, options: &TextOptions, flags: bool) -> Result<Layout> {
    let mut lines = 0;
    let mut next = || -> Result<Vec<u8>> {
        let mut line = Vec::new();
        (&mut *input).take(LINE).read_until(b'\n', &mut line).map_err(|e| Error::io(path, e))?;
        lines += 1;
        Ok(line)
    };
    for _ in 0..options.skip_lines {
        next()?;
    }
    let mut delimiter = options.delimiter()?;
    let mut first = next()?;
    // Excel's own line that says the delimiter.
    if let [b's', b'e', b'p', b'=', sign, b'\r' | b'\n', ..] = first.as_slice() {
        delimiter = delimiter.or(Some(Delimiter::Byte(*sign)));
        first = next()?;
    }
    let mut comment = None;
    while first.starts_with(b"#") {
        comment = Some(std::mem::replace(&mut first, next()?));
    }
    let header = text_of(path, lines, &first)?;
    if header.is_empty() {
        let message = match options.no_header {
            true => "is empty or starts with an empty line; rows are expected",
            false => "is empty or starts with an empty line; a header line is expected",
        };
        return Err(Error::format(path, message));
    }
    let delimiter = match delimiter.or_else(|| guess_delimiter(header)) {
        Some(delimiter) => delimiter,
        None => {
            let way = if flags { "; name another (`--delimiter X`)" } else { "" };
            let message =
                format!("the first line has no tab, comma, semicolon or bar to separate columns{way}");
            return Err(Error::format_at(path, lines, message));
        }
    };
    let names: Vec<String> = split(header, &delimiter);
    if options.no_header {
        let names = names_without_header(&Place { path, line: lines }, &names, &options.names)?;
        return Ok(Layout { delimiter, names, lines: lines - 1, first });
    }
    let names: Vec<String> = names.iter().map(|n| plain_name(n).to_string()).collect();
    if let Some(message) = looks_like_data(&names, flags) {
        // A comment above the rows may be their header.
        if let Some(comment) = comment {
            let comment = text_of(path, lines - 1, &comment)?.trim_start_matches('#').trim();
            let found = split(comment, &delimiter);
            if found.len() == names.len() {
                return Ok(Layout { delimiter, names: found, lines: lines - 1, first });
            }
        }
        let ahead = input.fill_buf().map_err(|e| Error::io(path, e))?;
        let message = if is_ragged(&names, ahead, &delimiter) { LISTS.into() } else { message };
        return Err(Error::format_at(path, lines, message));
    }
    Ok(Layout { delimiter, names, lines, first: Vec::new() })
}

/// What is to be said of a first row that is none of names: a number or a date, and nothing that columns are called.
pub(crate) fn looks_like_data(names: &[String], flags: bool) -> Option<String> {
    let datum = names.iter().find(|n| TimeFormat::default().read(n).is_some())?;
    if names.iter().any(|n| is_usual_name(n)) {
        return None;
    }
    let way = match flags {
        true => "; say what its columns are: `--no-header --columns user,item,rating,time`",
        false => "; give the file a first line with the names of its columns",
    };
    Some(format!("the first line looks like data, not like names of columns (`{datum}`){way}"))
}

/// What is to be said of lines of a user and all their items, as LightGCN and its kin write them.
const LISTS: &str = "each line is a user and their items; write a pair a line \
                     (`awk '{for (i = 2; i <= NF; i++) print $1, $i}' FILE > pairs.txt`) and read that with \
                     `--no-header --columns user,item`";

/// True where the first line and those `ahead` of it hold whole numbers apart by blanks, and not equally many.
fn is_ragged(first: &[String], ahead: &[u8], delimiter: &Delimiter) -> bool {
    let whole = |field: &str| field.bytes().all(|c| c.is_ascii_digit());
    if !matches!(delimiter, Delimiter::Blanks | Delimiter::Byte(b'\t')) || !first.iter().all(|f| whole(f)) {
        return false;
    }
    // The last one may be cut.
    let lines = ahead.split_inclusive(|&c| c == b'\n').filter(|line| line.ends_with(b"\n")).take(AHEAD);
    let widths = lines.map(|line| {
        let fields = std::str::from_utf8(line).unwrap_or("?").split_whitespace();
        fields.clone().all(whole).then(|| fields.count())
    });
    let widths: Option<Vec<usize>> = widths.collect();
    widths.is_some_and(|widths| widths.iter().any(|&n| n != first.len()))
}

fn text_of<'a>(path: &Path, line: u64, bytes: &'a [u8]) -> Result<&'a str> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| Error::format_at(path, line, format!("is not UTF-8 text; {}", encoding_advice())))?;
    Ok(text.trim_end_matches(['\n', '\r']))
}

/// The sign that stands most often in a line, of those that usually separate columns; blanks where there is none.
fn guess_delimiter(line: &str) -> Option<Delimiter> {
    let count = |d: &u8| line.bytes().filter(|c| c == d).count();
    let best = b"\t,;|".iter().copied().rev().max_by_key(count).expect("the list is not empty");
    let doubled = line.matches("::").count();
    if doubled > 0 && doubled >= count(&best) {
        return Some(Delimiter::Text("::".into()));
    }
    if count(&best) > 0 {
        return Some(Delimiter::Byte(best));
    }
    line.trim().contains(' ').then_some(Delimiter::Blanks)
}

/// The fields of a line, without quotes around them.
fn split(line: &str, delimiter: &Delimiter) -> Vec<String> {
    let plain = |name: &str| name.trim().trim_matches('"').to_string();
    match delimiter {
        Delimiter::Byte(byte) => line.split(*byte as char).map(plain).collect(),
        Delimiter::Text(text) => line.split(text.as_str()).map(plain).collect(),
        Delimiter::Blanks => line.split_whitespace().map(plain).collect(),
    }
}

/// Names of the columns of text without a header: those given, otherwise their numbers.
pub(crate) fn names_without_header(
    place: &Place<'_>,
    first: &[String],
    given: &[String],
) -> Result<Vec<String>> {
    if given.is_empty() {
        return Ok((1..=first.len()).map(|n| n.to_string()).collect());
    }
    if given.len() != first.len() {
        let message = format!(
            "the first row has {} columns, `--columns` names {}; write `_` for those that are not needed",
            first.len(),
            given.len()
        );
        return Err(place.error(message));
    }
    Ok(given.iter().map(|n| n.trim().to_string()).collect())
}

/// Rows with one byte between columns and, unless that is a tab, quotes.
fn read_quoted(
    path: &Path,
    mut input: Box<dyn BufRead>,
    delimiter: u8,
    layout: &Layout,
    visit: &mut dyn FnMut(u64, &ByteRecord) -> Result<()>,
) -> Result<()> {
    let head = input.fill_buf().map_err(|e| Error::io(path, e))?;
    let escape = has_escaped_quotes(head, delimiter).then_some(b'\\');
    let mut rows = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .quoting(delimiter != b'\t')
        .escape(escape)
        .buffer_capacity(1 << 20)
        .from_reader(Cursor::new(&layout.first[..]).chain(input));
    let mut record = ByteRecord::new();
    loop {
        match rows.read_byte_record(&mut record) {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(e) => return Err(csv_error(path, e, layout.lines)),
        }
        visit(record.position().map_or(0, csv::Position::line) + layout.lines, &record)?;
    }
}

/// True when quotes inside quotes are written `\"`: one that is followed by more of its field.
fn has_escaped_quotes(head: &[u8], delimiter: u8) -> bool {
    head.windows(3).any(|w| w[0] == b'\\' && w[1] == b'"' && ![delimiter, b'\n', b'\r', b'"'].contains(&w[2]))
}

/// Rows with several signs or runs of blanks between columns; quotes mean nothing.
fn read_plain(
    path: &Path,
    input: Box<dyn BufRead>,
    delimiter: &Delimiter,
    layout: &Layout,
    visit: &mut dyn FnMut(u64, &ByteRecord) -> Result<()>,
) -> Result<()> {
    let mut input = Cursor::new(&layout.first[..]).chain(input);
    let (mut line, mut record, mut number) = (Vec::new(), ByteRecord::new(), layout.lines);
    loop {
        number += 1;
        if !next_line(&Place { path, line: number }, &mut input, &mut line)? {
            return Ok(());
        }
        let row = text_of(path, number, &line)?;
        if row.is_empty() {
            continue;
        }
        record.clear();
        match delimiter {
            Delimiter::Text(text) => row.split(text.as_str()).for_each(|f| record.push_field(f.as_bytes())),
            _ => row.split_whitespace().for_each(|f| record.push_field(f.as_bytes())),
        }
        visit(number, &record)?;
    }
}

fn csv_error(path: &Path, error: csv::Error, before: u64) -> Error {
    let line = error.position().map(|p| p.line() + before);
    match error.into_kind() {
        csv::ErrorKind::Io(e) => Error::io(path, e),
        other => Error::Format { path: path.to_path_buf(), line, message: format!("{other:?}") },
    }
}
