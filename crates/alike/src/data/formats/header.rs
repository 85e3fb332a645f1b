//! What comes before the rows of delimited text: which sign separates the columns, and what they are called.

use std::borrow::Cow;
use std::io::BufRead;
use std::path::Path;

use crate::data::formats::columns::{is_usual_name, listed, plain_name};
use crate::data::formats::encoding::encoding_advice;
use crate::data::formats::fields::{outside_quotes, split};
use crate::data::formats::guess::{Guess, guess_delimiter, one_more};
use crate::data::formats::looks::is_value;
use crate::data::formats::options::{Delimiter, TextOptions};
use crate::data::formats::row::{LINE_BYTES, Place, next_line, without_end};
use crate::{Error, Result};

/// Lines that are looked at to know what a text without a header is.
const AHEAD: usize = 100;
/// Lines that the header may go on over, within quotes.
const HEADER_LINES: usize = 20;
/// Lines below the first one among which the names of the columns are looked for.
const BELOW: usize = 20;
/// What comments above a table start with.
const COMMENT: [char; 2] = ['#', '%'];
/// How files of sparse matrices start.
const MATRIX_MARKET: &[u8] = b"%%MatrixMarket";

/// How the rows of a text are to be read.
pub(crate) struct TableLayout {
    pub(crate) delimiter: Delimiter,
    /// Names of the columns.
    pub(crate) names: Vec<String>,
    /// Lines before the rows.
    pub(crate) lines: u64,
    /// What is read already of the rows: the first one, where the text has no header.
    pub(crate) first: Vec<u8>,
    /// What is good to know of the lines before them.
    pub(crate) notes: Vec<String>,
    /// Whether the file has no header.
    pub(crate) no_header: bool,
    /// What is to be done where all rows have a column more than the header.
    pub(crate) one_more: Option<String>,
}

/// The first line of a table, with those that its quotes go on over.
struct First {
    bytes: Vec<u8>,
    /// Lines up to its end.
    lines: u64,
    /// Lines that were read to look for the end of a quote that has none.
    after: Vec<u8>,
}

/// Reads what comes before the rows.
pub(crate) fn layout(
    path: &Path,
    input: &mut dyn BufRead,
    options: &TextOptions,
    flags: bool,
) -> Result<TableLayout> {
    let mut lines = 0;
    for _ in 0..options.skip_lines {
        line_of(path, input, &mut lines)?;
    }
    let given = options.delimiter()?;
    let (mut comments, mut sep) = (Comments::default(), None);
    let mut first = line_of(path, input, &mut lines)?;
    loop {
        match sep_of(&first) {
            Some(sign) if sep.is_none() => sep = Some(sign),
            _ if is_comment(&first) => comments.add(first, lines),
            // Between tabs a row without a header may have empty columns only.
            _ if is_blank(&first, !options.no_header) => {}
            _ => break,
        }
        first = line_of(path, input, &mut lines)?;
    }
    if comments.matrix && is_sizes(&first) {
        comments.sizes = true;
        first = line_of(path, input, &mut lines)?;
    }
    let start = lines;
    let first = whole(path, input, first, lines)?;
    let header = text_of(path, start, &first.bytes)?;
    if header.is_empty() {
        let message = match options.no_header {
            _ if comments.count > 0 && !comments.sizes => {
                "has only comments, lines that start with `#` or `%`; if they are rows, write a line with the \
                 names of the columns above them"
            }
            true => "is empty; rows are expected",
            false => "is empty; a header line is expected",
        };
        return Err(Error::format(path, message));
    }
    let ahead: &[u8] = match first.after.is_empty() {
        true => input.fill_buf().map_err(|e| Error::io(path, e))?,
        false => &first.after,
    };
    let said = given.or(sep.map(Delimiter::Byte));
    let guess_of = |line: &str, after: &[u8]| match &said {
        Some(delimiter) => Some(Guess::from(delimiter.clone())),
        None => guess_delimiter(line, after, comments.network),
    };
    let guess = guess_of(header, ahead);
    let above = guess.as_ref().map(|guess| (names_of(header, &guess.delimiter), &guess.delimiter));
    if !options.no_header
        && let Some((below, names)) = names_below(above, ahead, guess_of)
    {
        let above = first.lines + below - 1;
        let way = match flags {
            true => format!("`--skip-lines {above}` passes over those above it"),
            false => "remove those above it".into(),
        };
        let message =
            format!("the names of the columns look to be in line {} ({}): {way}", above + 1, listed(&names));
        return Err(Error::format_at(path, start, message));
    }
    let Some(guess) = guess else {
        let way = if flags { "; name another (`--delimiter X`)" } else { "" };
        let message = format!("the first line has no tab, comma, semicolon or bar to separate columns{way}");
        return Err(Error::format_at(path, start, message));
    };
    let notes =
        |named: bool| -> Vec<String> { comments.notes(named).into_iter().chain(guess.note(flags)).collect() };
    let delimiter = &guess.delimiter;
    let fields = names_of(header, delimiter);
    // A row of data is read again, as a row.
    let as_row = |names: Vec<String>, first: First, notes: Vec<String>| TableLayout {
        delimiter: delimiter.clone(),
        names,
        lines: start - 1,
        first: [first.bytes, first.after].concat(),
        notes,
        no_header: options.no_header,
        one_more: None,
    };
    if options.no_header {
        let names = names_without_header(&Place { path, line: start }, &fields, &options.names)?;
        comments.check_no_row(path, fields.len(), delimiter)?;
        return Ok(as_row(names, first, notes(false)));
    }
    let plain = |names: &[String]| names.iter().map(|n| plain_name(n).to_string()).collect::<Vec<_>>();
    let names = plain(&fields);
    let looks = looks_like_data(&names, flags).or_else(|| comes_again(&names, ahead, delimiter, flags));
    // A comment above the rows may be their header.
    let above = comments.last.as_ref().map(|last| plain(&names_in(last, delimiter)));
    if let Some(above) = above.filter(|above| above.len() == names.len())
        && looks_like_data(&above, flags).is_none()
        && (looks.is_some() || (holds_usual(&above) && !holds_usual(&names)))
    {
        return Ok(as_row(above, first, notes(true)));
    }
    if let Some(message) = looks {
        let message = if is_ragged(&names, ahead, delimiter) { LISTS.into() } else { message };
        return Err(Error::format_at(path, start, message));
    }
    let one_more = one_more(&names, ahead, delimiter, first.lines, flags);
    let notes = notes(false);
    Ok(TableLayout {
        delimiter: guess.delimiter,
        names,
        lines: first.lines,
        first: first.after,
        notes,
        no_header: false,
        one_more,
    })
}

/// The names of columns in one of the lines `ahead`, where the first line has none, since it is a title or the
/// like; and which line after the first that is. `above` are the fields of the first line and its delimiter.
fn names_below(
    above: Option<(Vec<String>, &Delimiter)>,
    ahead: &[u8],
    guess_of: impl Fn(&str, &[u8]) -> Option<Guess>,
) -> Option<(u64, Vec<String>)> {
    let usual = |names: &[String]| names.iter().filter(|n| is_usual_name(n)).count();
    let least = above.as_ref().map_or(0, |(names, _)| usual(names)).max(1);
    if least > 1 {
        return None;
    }
    let mut after = ahead;
    for below in 1..=BELOW {
        let end = after.iter().position(|&c| c == b'\n')?;
        let (line, more) = after.split_at(end + 1);
        after = more;
        let Ok(line) = std::str::from_utf8(without_end(line)) else { continue };
        let Some(Guess { delimiter, .. }) = guess_of(line, after) else { continue };
        let names = names_of(line, &delimiter);
        let count = usual(&names);
        // Sentences hold such words, too.
        if count <= least || (delimiter == Delimiter::Blanks && count * 2 < names.len()) {
            continue;
        }
        // A row of the same table may be of such words.
        let same = above.as_ref().is_some_and(|(first, sign)| {
            first.len() == names.len() && **sign == delimiter && !first.iter().any(|name| is_value(name))
        });
        if !same {
            return Some((below as u64, names));
        }
    }
    None
}

/// The comments above a table.
#[derive(Default)]
struct Comments {
    count: u64,
    /// The last one.
    last: Option<Vec<u8>>,
    /// Those that may be rows, each with its line, and what they take of memory.
    doubtful: Vec<(Vec<u8>, u64)>,
    bytes: usize,
    /// Whether one of them starts as those above networks and sparse matrices do.
    network: bool,
    /// Whether one of them says that the rows are those of a sparse matrix.
    matrix: bool,
    /// Whether a line with the matrix's sizes came after them.
    sizes: bool,
}

impl Comments {
    fn add(&mut self, comment: Vec<u8>, line: u64) {
        self.count += 1;
        let text = without_indent(&comment);
        self.network |= text.starts_with(b"%");
        self.matrix |= text.starts_with(MATRIX_MARKET);
        // Behind the sign of a comment mostly comes a blank, or the sign again.
        let close = text.get(1).is_some_and(|&c| !c.is_ascii_whitespace() && !COMMENT.contains(&(c as char)));
        let bytes = self.bytes + comment.len() + size_of::<(Vec<u8>, u64)>();
        if close && bytes as u64 <= LINE_BYTES {
            self.bytes = bytes;
            self.doubtful.push((comment.clone(), line));
        }
        self.last = Some(comment);
    }

    /// An error if one of the comments may be a row, since an id may start with the same sign.
    fn check_no_row(&self, path: &Path, width: usize, delimiter: &Delimiter) -> Result<()> {
        let may_be_row = |comment: &[u8]| {
            let names = names_in(comment, delimiter);
            // One usual name may be a word of a row, two beside each other are names of columns.
            width >= 2 && names.len() == width && names.iter().filter(|n| is_usual_name(n)).count() < 2
        };
        // The last one: with it those above it are passed over.
        let doubtful = self.doubtful.iter().rev().find(|(comment, _)| may_be_row(comment));
        let Some((comment, line)) = doubtful else { return Ok(()) };
        let message = format!(
            "starts with `{}` and has as many columns as the rows: if it is a comment, `--skip-lines {line}` passes \
             over it; if it is a row, write a line with the names of the columns above it",
            without_indent(comment).first().map_or('#', |&sign| char::from(sign))
        );
        Err(Error::format_at(path, *line, message))
    }

    /// What is to be said of them; `named` where the last one was the header.
    fn notes(&self, named: bool) -> Vec<String> {
        let passed = match self.count - u64::from(named) {
            0 => None,
            1 => Some("1 comment line above the table passed over".to_string()),
            n => Some(format!("{n} comment lines above the table passed over")),
        };
        let sizes = "the line with the sizes of the matrix passed over".to_string();
        passed.into_iter().chain(self.sizes.then_some(sizes)).collect()
    }
}

fn is_comment(line: &[u8]) -> bool {
    without_indent(line).first().is_some_and(|&c| COMMENT.contains(&(c as char)))
}

/// A line without the blanks before its text; a tab may be a delimiter.
fn without_indent(line: &[u8]) -> &[u8] {
    &line[line.iter().take_while(|&&c| c == b' ').count()..]
}

/// True for a line of nothing but blanks, or `tabs`, too.
fn is_blank(line: &[u8], tabs: bool) -> bool {
    let text = without_indent(without_end(line));
    !line.is_empty() && (text.is_empty() || (tabs && text.trim_ascii().is_empty()))
}

/// What columns are called if a comment names them.
fn names_in(comment: &[u8], delimiter: &Delimiter) -> Vec<String> {
    let text = String::from_utf8_lossy(without_indent(comment));
    names_of(text.trim_end().trim_start_matches(COMMENT).trim_start_matches(' '), delimiter)
}

/// True for a line of three whole numbers: rows, columns and entries of a sparse matrix.
fn is_sizes(line: &[u8]) -> bool {
    let text = std::str::from_utf8(line).unwrap_or_default();
    let mut numbers = text.split_whitespace().map(|n| n.parse::<u64>().is_ok());
    numbers.clone().count() == 3 && numbers.all(|whole| whole)
}

/// The next line; empty at the end.
fn line_of(path: &Path, input: &mut dyn BufRead, lines: &mut u64) -> Result<Vec<u8>> {
    *lines += 1;
    let mut line = Vec::new();
    next_line(&Place { path, line: *lines }, input, &mut line)?;
    Ok(line)
}

/// The first line of the table with those after it that it goes on over, since a quote is not closed before.
fn whole(path: &Path, input: &mut dyn BufRead, line: Vec<u8>, lines: u64) -> Result<First> {
    let is_open = |bytes: &[u8]| std::str::from_utf8(bytes).is_ok_and(|text| outside_quotes(text).1);
    let alone = line.len();
    let (mut bytes, mut last) = (line, lines);
    for _ in 0..HEADER_LINES {
        if !is_open(&bytes) {
            break;
        }
        bytes.extend(line_of(path, input, &mut last)?);
    }
    if is_open(&bytes) {
        // It is never closed: a lone quote is text.
        let after = bytes.split_off(alone);
        return Ok(First { bytes, lines, after });
    }
    Ok(First { bytes, lines: last, after: Vec::new() })
}

/// The delimiter that Excel's own first line says: `sep=;`, in quotes or filled up to the width of the table
/// by some programs.
fn sep_of(line: &[u8]) -> Option<u8> {
    let line = without_end(line);
    let line = line.strip_prefix(b"\"").unwrap_or(line);
    let (name, signs) = line.split_at_checked(4)?;
    let (&sign, filling) = signs.split_first()?;
    let is_sign = !sign.is_ascii_alphanumeric() && sign != b'"';
    let filled = filling.iter().all(|&c| c == sign || b"\",;\t ".contains(&c));
    (name.eq_ignore_ascii_case(b"sep=") && is_sign && filled).then_some(sign)
}

/// What is to be said of a first row that is none of names: a value such as a number or a date, and nothing,
/// or less, that columns are called.
pub(crate) fn looks_like_data(names: &[String], flags: bool) -> Option<String> {
    let values = names.iter().filter(|n| is_value(n));
    let usual = names.iter().filter(|n| is_usual_name(n)).count();
    let (count, first) = (values.clone().count(), values.clone().next()?);
    // Words such as `Movie` may occur in data, too, but not two of them beside each other.
    (usual < 2 && usual <= count).then(|| data_first(&format!("`{first}`"), flags))
}

/// What is to be said of a first row that is none of names: a field of it comes again in its column, in other
/// rows.
fn comes_again(names: &[String], ahead: &[u8], delimiter: &Delimiter, flags: bool) -> Option<String> {
    if names.iter().filter(|n| is_usual_name(n)).count() >= 2 {
        return None;
    }
    let mut rows = ahead.split_inclusive(|&c| c == b'\n').filter(|line| line.ends_with(b"\n")).take(AHEAD);
    let again = rows.find_map(|row| {
        let row = split(without_end(row), delimiter);
        let pairs = || names.iter().zip(&row).map(|(name, field)| (name, field.trim_ascii()));
        // The header itself comes again where files were put one behind the other.
        if row.len() != names.len() || pairs().all(|(name, field)| name.as_bytes() == field) {
            return None;
        }
        pairs().find(|(name, field)| !field.is_empty() && name.as_bytes() == *field).map(|(name, _)| name)
    })?;
    Some(data_first(&format!("`{again}` comes again below it"), flags))
}

/// What is to be said of a first row that is none of names, for this reason.
pub(crate) fn data_first(why: &str, flags: bool) -> String {
    let way = match flags {
        true => "; say what its columns are: `--no-header --columns user,item,rating,time`",
        false => "; give the file a first line with the names of its columns",
    };
    format!("the first line looks like data, not like names of columns ({why}){way}")
}

fn holds_usual(names: &[String]) -> bool {
    names.iter().any(|n| is_usual_name(n))
}

/// What is to be said of lines of a user and all their items, as LightGCN and its kin write them.
pub(crate) const LISTS: &str = "each line is a user and their items; write a pair a line \
                     (`awk '{for (i = 2; i <= NF; i++) print $1, $i}' FILE > pairs.txt`) and read that with \
                     `--no-header --columns user,item`";

/// True where the first line and those `ahead` of it hold whole numbers apart by blanks, and not equally
/// many.
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

/// The fields of a header, without quotes around them.
fn names_of(header: &str, delimiter: &Delimiter) -> Vec<String> {
    let fields = split(header.as_bytes(), delimiter).into_iter();
    let name = |field: Cow<'_, [u8]>| {
        // A name may go on over lines, which no message shows.
        let text = String::from_utf8_lossy(&field).replace("\r\n", "\n").replace('\n', " ");
        let text = text.trim().to_string();
        match field {
            Cow::Borrowed(_) => text.trim_matches('"').to_string(),
            // Quotes that were doubled are of the name.
            Cow::Owned(_) => text,
        }
    };
    fields.map(name).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_excel_says_the_delimiter() {
        for line in ["sep=;", "SEP=;\r\n", "\"sep=;\"\n", "sep=;;;;\n", "\"sep=;\",,,\n"] {
            assert_eq!(sep_of(line.as_bytes()), Some(b';'), "{line}");
        }
        assert_eq!(sep_of(b"sep=\t\n"), Some(b'\t'));
        for line in ["", "sep=", "sep=a", "separate;by", "sep=;user;item"] {
            assert_eq!(sep_of(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn a_row_of_values_is_told_from_names() {
        let is_data = |line: &str| {
            let names: Vec<String> = line.split(';').map(String::from).collect();
            looks_like_data(&names, true).is_some()
        };
        for row in ["zoe;harp;06.05.2014", "u0;i4;4,5", "u0;i4;Movie;2014-01-01", "1;2"] {
            assert!(is_data(row), "{row}");
        }
        for names in ["user;item;2014;2015;2016", "who;what", "who;item;when", "user;item;5"] {
            assert!(!is_data(names), "{names}");
        }
    }
}
