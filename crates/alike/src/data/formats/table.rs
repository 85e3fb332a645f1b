//! Tables of interactions, row by row: delimited text and Parquet behind one visitor.

use std::fmt::Display;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use crate::data::folder::read;
use crate::data::formats::columns::ColumnNames;
use crate::data::formats::columns::{Columns, plain_name};
use crate::data::formats::parquet;
use crate::{Error, Result};

/// One row. Numbers are parsed, ids are as in the file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'a> {
    pub(crate) user: &'a str,
    pub(crate) item: &'a str,
    pub(crate) rating: Option<f32>,
    pub(crate) time: Option<f64>,
    pub(crate) label: Option<u8>,
    /// Line of a text file, row of a Parquet file; from 1.
    pub(crate) line: u64,
}

/// What the interactions are read for; columns that nobody asks for are not parsed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) rating: bool,
    pub(crate) label: bool,
}

/// Reads `path` and calls `visit` for every row. Returns which columns were used.
pub(crate) fn read_rows(
    path: &Path,
    names: &ColumnNames,
    wanted: Wanted,
    visit: &mut dyn FnMut(Row<'_>) -> Result<()>,
) -> Result<Columns> {
    if is_parquet(path) {
        return parquet::read_rows(path, names, wanted, visit);
    }
    let file = read::open(path)?;
    read_text(path, BufReader::with_capacity(1 << 20, file), names, wanted, visit)
}

/// Reads the columns that `choose` picks by position, the first of them ids, as text, from Parquet or delimited text, and
/// calls `visit` for every row: its line (its number in Parquet) from 1, the id, and the other columns; nothing is empty.
pub(crate) fn read_texts(
    path: &Path,
    choose: impl FnOnce(&[String]) -> Result<Vec<usize>>,
    mut visit: impl FnMut(u64, &str, &[&str]) -> Result<()>,
) -> Result<()> {
    if is_parquet(path) {
        return parquet::read_texts(path, choose, visit);
    }
    let mut input = BufReader::with_capacity(1 << 20, read::open(path)?);
    let (delimiter, found) = read_header(path, &mut input)?;
    let chosen = choose(&found)?;
    read_records(path, input, delimiter, &found, &mut |line, record| {
        let fields = chosen.iter().map(|&at| utf8(path, line, &found, record, at));
        let fields = fields.collect::<Result<Vec<_>>>()?;
        visit(line, fields[0], &fields[1..])
    })
}

/// True when `path` is a Parquet file by its extension.
pub(crate) fn is_parquet(path: &Path) -> bool {
    has_extension(path, &["parquet", "pq"])
}

/// True when `path` holds an object a line by its extension.
pub(crate) fn is_json_lines(path: &Path) -> bool {
    has_extension(path, &["jsonl", "ndjson", "json"])
}

/// True when the extension of `path` is one of `any`, in upper or lower case.
pub(crate) fn has_extension(path: &Path, any: &[&str]) -> bool {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
    any.iter().any(|a| extension.eq_ignore_ascii_case(a))
}

/// [`read_rows`] for delimited text: the first line is the header, and the delimiter is the one of tab, comma,
/// semicolon and bar that stands most often in it. Quotes count except in tab-separated text.
pub(crate) fn read_text(
    path: &Path,
    mut input: impl BufRead,
    names: &ColumnNames,
    wanted: Wanted,
    visit: &mut dyn FnMut(Row<'_>) -> Result<()>,
) -> Result<Columns> {
    let (delimiter, found) = read_header(path, &mut input)?;
    let columns = Columns::find(path, &found, names)?;
    let at = columns.positions;

    read_records(path, input, delimiter, &found, &mut |line, record| {
        let field = |i: usize| utf8(path, line, &found, record, i);
        let bad = |i: usize, what: &str, text: &dyn Display| {
            Error::format_at(path, line, format!("column `{}` is `{text}`; {what} is expected", found[i]))
        };
        let id = |i: usize| match field(i)? {
            "" => Err(Error::format_at(path, line, format!("column `{}` is empty", found[i]))),
            text => Ok(text),
        };
        let row = Row {
            user: id(at.user)?,
            item: id(at.item)?,
            rating: match at.rating.filter(|_| wanted.rating) {
                Some(i) => {
                    let text = field(i)?.trim();
                    let parsed = text.parse().ok().filter(|r: &f32| r.is_finite());
                    Some(parsed.ok_or_else(|| bad(i, "a number", &text))?)
                }
                None => None,
            },
            time: match at.time {
                Some(i) => {
                    let text = field(i)?.trim();
                    Some(parse_time(text).ok_or_else(|| bad(i, "a number or an ISO 8601 date", &text))?)
                }
                None => None,
            },
            label: match at.label.filter(|_| wanted.label) {
                Some(i) => {
                    let text = field(i)?.trim();
                    Some(parse_label(text).ok_or_else(|| bad(i, LABELS, &text))?)
                }
                None => None,
            },
            line,
        };
        visit(row)
    })?;
    Ok(columns)
}

/// Reads the first line: the delimiter and the names of the columns.
fn read_header(path: &Path, input: &mut impl BufRead) -> Result<(u8, Vec<String>)> {
    let mut first = Vec::new();
    input.by_ref().take(1 << 20).read_until(b'\n', &mut first).map_err(|e| Error::io(path, e))?;
    let header = first.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&first);
    let header = std::str::from_utf8(header).map_err(|_| Error::format_at(path, 1, "is not UTF-8 text"))?;
    let header = header.trim_end_matches(['\n', '\r']);
    if header.is_empty() {
        return Err(Error::format(path, "is empty or starts with an empty line; a header line is expected"));
    }
    let count = |d: &u8| header.bytes().filter(|c| c == d).count();
    let delimiter = b"\t,;|".iter().copied().rev().max_by_key(count).expect("the list is not empty");
    if count(&delimiter) == 0 {
        let message = "the header has no tab, comma, semicolon or bar to separate columns";
        return Err(Error::format_at(path, 1, message));
    }
    let unquoted = |name: &'_ str| plain_name(name.trim().trim_matches('"')).to_string();
    let found: Vec<String> = header.split(delimiter as char).map(unquoted).collect();
    Ok((delimiter, found))
}

/// Calls `visit` with line and fields of every row after the header; a row of another length is an error.
fn read_records(
    path: &Path,
    input: impl Read,
    delimiter: u8,
    found: &[String],
    visit: &mut dyn FnMut(u64, &csv::ByteRecord) -> Result<()>,
) -> Result<()> {
    let mut rows = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .quoting(delimiter != b'\t')
        .buffer_capacity(1 << 20)
        .from_reader(input);
    let mut record = csv::ByteRecord::new();
    loop {
        match rows.read_byte_record(&mut record) {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(e) => return Err(csv_error(path, e)),
        }
        // The header was taken off before, so the reader counts from the second line.
        let line = record.position().map_or(0, csv::Position::line) + 1;
        if record.len() != found.len() {
            let message = format!("{} columns, the header has {}", record.len(), found.len());
            return Err(Error::format_at(path, line, message));
        }
        visit(line, &record)?;
    }
}

/// Field `i` of a row as text.
fn utf8<'a>(
    path: &Path,
    line: u64,
    found: &[String],
    record: &'a csv::ByteRecord,
    i: usize,
) -> Result<&'a str> {
    let text = std::str::from_utf8(&record[i]);
    text.map_err(|_| Error::format_at(path, line, format!("column `{}` is not UTF-8", found[i])))
}

pub(crate) const LABELS: &str = "0 or train, 1 or valid, 2 or test";

/// A split label as a number: 0 train, 1 valid, 2 test.
pub(crate) fn parse_label(text: &str) -> Option<u8> {
    match text {
        "0" | "0.0" => Some(0),
        "1" | "1.0" => Some(1),
        "2" | "2.0" => Some(2),
        _ if text.eq_ignore_ascii_case("train") => Some(0),
        _ if ["valid", "validation", "val", "dev"].iter().any(|v| text.eq_ignore_ascii_case(v)) => Some(1),
        _ if text.eq_ignore_ascii_case("test") => Some(2),
        _ => None,
    }
}

/// A time: a finite number in any unit, or `YYYY-MM-DD[(T| )hh:mm[:ss[.fff]][Z|±hh[:]mm]]` as seconds since 1970.
pub(crate) fn parse_time(text: &str) -> Option<f64> {
    match text.parse::<f64>() {
        Ok(number) => number.is_finite().then_some(number),
        Err(_) => parse_date(text),
    }
}

fn parse_date(text: &str) -> Option<f64> {
    let digits = |from: usize, len: usize| {
        let part = text.get(from..from + len)?;
        part.bytes().all(|c| c.is_ascii_digit()).then(|| part.parse::<i64>().ok())?
    };
    let separated = |at: usize, any: &str| text.get(at..at + 1).is_some_and(|c| any.contains(c));
    let (year, month, day) = (digits(0, 4)?, digits(5, 2)?, digits(8, 2)?);
    if !separated(4, "-") || !separated(7, "-") || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Days since 1970-01-01 in the Gregorian calendar; years start in March so that leap days come last.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days =
        365 * y + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400) + (153 * m + 2) / 5 + day - 719_469;
    let midnight = days as f64 * 86_400.0;
    if text.len() == 10 {
        return Some(midnight);
    }
    let (hour, minute) = (digits(11, 2)?, digits(14, 2)?);
    if !separated(10, "T t") || !separated(13, ":") || hour > 24 || minute > 59 {
        return None;
    }
    let mut at = 16;
    let mut seconds = 0.0;
    if separated(at, ":") {
        let rest = &text[at + 1..];
        let len = rest.bytes().take_while(|c| c.is_ascii_digit() || *c == b'.').count();
        seconds = rest[..len].parse::<f64>().ok().filter(|s| *s < 61.0)?;
        at += 1 + len;
    }
    let zone = match text.get(at..)? {
        "" | "Z" | "z" => 0.0,
        zone => {
            let sign = if zone.starts_with('-') { -1.0 } else { 1.0 };
            let plain: String = zone.strip_prefix(['+', '-'])?.chars().filter(|c| *c != ':').collect();
            if !matches!(plain.len(), 2 | 4) || !plain.bytes().all(|c| c.is_ascii_digit()) {
                return None;
            }
            let minutes = plain.get(2..).filter(|m| !m.is_empty()).map_or(Some(0.0), |m| m.parse().ok())?;
            sign * (plain[..2].parse::<f64>().ok()? * 60.0 + minutes) * 60.0
        }
    };
    Some(midnight + (hour * 3600 + minute * 60) as f64 + seconds - zone)
}

fn csv_error(path: &Path, error: csv::Error) -> Error {
    let line = error.position().map(|p| p.line() + 1);
    match error.into_kind() {
        csv::ErrorKind::Io(e) => Error::io(path, e),
        other => Error::Format { path: path.to_path_buf(), line, message: format!("{other:?}") },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_seconds_since_1970() {
        assert_eq!(parse_time("1970-01-01"), Some(0.0));
        assert_eq!(parse_time("2000-03-01"), Some(951_868_800.0));
        assert_eq!(parse_time("2024-02-29T12:30:15.5Z"), Some(1_709_209_815.5));
        assert_eq!(parse_time("2024-02-29 14:30:15.5+02:00"), Some(1_709_209_815.5));
        assert_eq!(parse_time("2024-02-29 12:30"), Some(1_709_209_800.0));
        assert_eq!(parse_time("835356044"), Some(835_356_044.0));
        for bad in
            ["", "nan", "inf", "2024-13-01", "2024-02-29X10:00", "yesterday", "2024-02-29 12:30+2é", "é"]
        {
            assert_eq!(parse_time(bad), None, "{bad}");
        }
    }
}
