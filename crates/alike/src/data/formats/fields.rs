//! The fields of a line of delimited text, with quotes around them or without.

use std::borrow::Cow;

use csv::ByteRecord;

use crate::data::formats::options::Delimiter;

/// True when quotes inside quotes are written `\"`: one that is followed by more of its field. `not` are
/// signs that cannot follow.
pub(crate) fn has_escaped_quotes(text: &[u8], not: &[u8]) -> bool {
    text.windows(3)
        .any(|w| w[0] == b'\\' && w[1] == b'"' && !b"\n\r\"".contains(&w[2]) && !not.contains(&w[2]))
}

/// The fields of a line. What is in quotes is one field whatever it holds, and comes without them; a
/// quote elsewhere is text.
pub(crate) fn split<'a>(line: &'a [u8], delimiter: &Delimiter) -> Vec<Cow<'a, [u8]>> {
    walk(line, delimiter).fields
}

/// The first field that starts with a quote which the line does not close: it may go on in the next line.
pub(crate) fn open_field(line: &[u8], delimiter: &Delimiter) -> Option<usize> {
    if line.contains(&b'"') { walk(line, delimiter).open } else { None }
}

/// What several lines are when they are read as one row.
pub(crate) enum Joined {
    /// A row: all line ends are within quotes around fields.
    Row(ByteRecord),
    /// The field of this number, which starts with a quote, is not closed yet.
    Open(usize),
    /// No row: a line ends outside of such quotes.
    Apart,
}

/// Reads several lines as one row.
pub(crate) fn join(lines: &[u8], delimiter: &Delimiter) -> Joined {
    let walk = walk(lines, delimiter);
    match walk.open {
        _ if walk.apart => Joined::Apart,
        Some(at) => Joined::Open(at),
        None => Joined::Row(walk.fields.into_iter().collect()),
    }
}

/// True when a quote in the line may close a field that was opened in a line before: two are one inside it.
pub(crate) fn may_close(line: &[u8]) -> bool {
    line.split(|&c| c != b'"').any(|quotes| quotes.len() % 2 == 1) || line.windows(2).any(|w| w == b"\\\"")
}

/// What [`walk`] finds.
struct Walk<'a> {
    fields: Vec<Cow<'a, [u8]>>,
    /// The first field that starts with a quote which is not closed.
    open: Option<usize>,
    /// Whether a line ends before that one outside of quotes around fields.
    apart: bool,
}

/// The fields of a line, or of several that quotes hold together.
fn walk<'a>(line: &'a [u8], delimiter: &Delimiter) -> Walk<'a> {
    let blanks = *delimiter == Delimiter::Blanks;
    // Blanks beside quotes count for nothing where they separate no columns.
    let padding = |text: &[u8]| match delimiter {
        Delimiter::Blanks | Delimiter::Byte(b' ') => 0,
        _ => text.iter().take_while(|&&c| c == b' ').count(),
    };
    let escaped = has_escaped_quotes(line, sign_of(delimiter));
    let mut rest = if blanks { line.trim_ascii() } else { line };
    let mut walk = Walk { fields: Vec::new(), open: None, apart: false };
    loop {
        let from = padding(rest);
        let starts = rest[from..].starts_with(b"\"");
        let quoted = starts.then(|| closing(&rest[from..], escaped)).flatten();
        if starts && quoted.is_none() && walk.open.is_none() {
            walk.open = Some(walk.fields.len());
        }
        if let Some(length) = quoted {
            let after = &rest[from + length..];
            let after = &after[padding(after)..];
            let field = content(&rest[from..from + length], escaped);
            match next_sign(after, delimiter) {
                _ if after.is_empty() => {
                    walk.fields.push(field);
                    return walk;
                }
                Some((0, length)) => {
                    walk.fields.push(field);
                    rest = &after[length..];
                    continue;
                }
                // The quotes are around a part of the field: they are text.
                _ => {}
            }
        }
        let sign = next_sign(rest, delimiter);
        let end = sign.map_or(rest.len(), |(at, length)| at + length);
        walk.apart |= walk.open.is_none() && rest[..end].contains(&b'\n');
        let Some((at, length)) = sign else {
            walk.fields.push(Cow::Borrowed(rest));
            return walk;
        };
        walk.fields.push(Cow::Borrowed(&rest[..at]));
        rest = &rest[at + length..];
    }
}

/// Reads a line into `record`. Quotes around fields are taken off; they hold delimiters together only where
/// there are more of these than a row of `width` fields has, so that a lone quote takes in nothing.
pub(crate) fn read(line: &[u8], delimiter: &Delimiter, width: usize, record: &mut ByteRecord) {
    record.clear();
    let mut rest = if *delimiter == Delimiter::Blanks { line.trim_ascii() } else { line };
    while let Some((at, length)) = next_sign(rest, delimiter) {
        record.push_field(&rest[..at]);
        rest = &rest[at + length..];
    }
    record.push_field(rest);
    if !line.contains(&b'"') {
        return;
    }
    let mended: ByteRecord = match record.len() == width {
        true => record.iter().map(|field| unquoted(field).unwrap_or(Cow::Borrowed(field))).collect(),
        false => split(line, delimiter).into_iter().collect(),
    };
    *record = mended;
}

/// Takes off quotes that follow blanks, which the reader of quoted text takes for text. They hold
/// delimiters together where the row has more than `width` fields.
pub(crate) fn mend_padded(record: &mut ByteRecord, delimiter: u8, width: usize) {
    let padded = |f: &[u8]| f.first() == Some(&b' ') && f.trim_ascii_start().starts_with(b"\"");
    if !record.iter().any(padded) {
        return;
    }
    let mut mended = ByteRecord::new();
    let mut spare = record.len().saturating_sub(width);
    let mut at = 0;
    while at < record.len() {
        let mut whole = Cow::Borrowed(&record[at]);
        let mut to = at + 1;
        if padded(&whole) {
            while unquoted(&whole).is_none() && to - at <= spare && to < record.len() {
                whole.to_mut().push(delimiter);
                whole.to_mut().extend_from_slice(&record[to]);
                to += 1;
            }
        }
        match unquoted(&whole).filter(|_| padded(&record[at])) {
            Some(text) => mended.push_field(&text),
            None => {
                to = at + 1;
                mended.push_field(&record[at]);
            }
        }
        spare -= to - at - 1;
        at = to;
    }
    *record = mended;
}

/// `text` with a `_` for whatever is in quotes, and whether the last quote is not closed. A quote opens
/// where no word is before it.
pub(crate) fn outside_quotes(text: &str) -> (String, bool) {
    let escaped = has_escaped_quotes(text.as_bytes(), b"\t,;|");
    let word = |c: char| c.is_alphanumeric() || c == '"';
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('"') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        if out.trim_end_matches(' ').ends_with(word) {
            out.push('"');
            rest = &from[1..];
            continue;
        }
        let Some(length) = closing(from.as_bytes(), escaped) else { return (out, true) };
        rest = &from[length..];
        match rest.starts_with(word) {
            // Around a part of a field: text.
            true => out.push_str(&from[..length]),
            false => out.push('_'),
        }
    }
    out.push_str(rest);
    (out, false)
}

/// A field without the quotes around it; nothing where it is not in quotes.
pub(crate) fn unquoted(field: &[u8]) -> Option<Cow<'_, [u8]>> {
    let text = field.trim_ascii();
    if text.len() < 2 || !text.starts_with(b"\"") || !text.ends_with(b"\"") {
        return None;
    }
    let escaped = has_escaped_quotes(text, b"");
    (closing(text, escaped) == Some(text.len())).then(|| content(text, escaped))
}

/// Length of the quoted text that `text` starts with, its quotes included; nothing where it does not end.
fn closing(text: &[u8], escaped: bool) -> Option<usize> {
    let mut at = 1;
    loop {
        match (text.get(at)?, text.get(at + 1)) {
            (b'\\', Some(b'"')) if escaped => at += 2,
            (b'"', Some(b'"')) => at += 2,
            (b'"', _) => return Some(at + 1),
            _ => at += 1,
        }
    }
}

/// The field of a row, its bytes as they are in the file, whose quotes hold what may be other rows: nothing
/// closes them, or they go on over lines and what closes them is a quote that would itself open a field or
/// is inside one. `width` is the number of columns.
pub(crate) fn wrongly_closed(row: &[u8], delimiter: u8, escaped: bool, width: usize) -> Option<usize> {
    let ends_line = |c: u8| c == b'\n' || c == b'\r';
    let mut rest = &row[row.iter().take_while(|&&c| ends_line(c)).count()..];
    let mut at = 0;
    loop {
        if rest.starts_with(b"\"") {
            let Some(length) = closing_of_row(rest, escaped) else { return Some(at) };
            let (quoted, after) = rest.split_at(length);
            let after_line = after.split(|&c| ends_line(c)).next().unwrap_or_default();
            if quoted.contains(&b'\n') {
                let follows = after_line.iter().find(|&&c| c == delimiter || c != b' ');
                let is_last = follows.is_none_or(|&c| c == delimiter);
                if !is_last || opens_a_row(at, quoted, after_line, delimiter, width) {
                    return Some(at);
                }
            }
            rest = after;
        }
        match rest.iter().position(|&c| c == delimiter || ends_line(c)) {
            Some(end) if rest[end] == delimiter => rest = &rest[end + 1..],
            _ => return None,
        }
        at += 1;
    }
}

/// True where the first and the last line that the field `at` is in would both be rows by themselves, and
/// what closes it would open a field of the last one: two rows with a lone quote at the start of a field.
fn opens_a_row(at: usize, quoted: &[u8], after: &[u8], delimiter: u8, width: usize) -> bool {
    let mut lines = quoted[1..quoted.len() - 1].split(|&c| c == b'\n');
    let (Some(first), Some(last)) = (lines.next(), lines.next_back()) else { return false };
    (last.is_empty() || last.ends_with(&[delimiter]))
        && at + separators(first, delimiter) + 1 == width
        && separators(last, delimiter) + separators(after, delimiter) + 1 == width
}

/// How often the delimiter is in a text where it may be one: in sentences a blank follows.
pub(crate) fn separators(text: &[u8], delimiter: u8) -> usize {
    let is_one = |at: usize| text[at] == delimiter && (delimiter == b'\t' || text.get(at + 1) != Some(&b' '));
    (0..text.len()).filter(|&at| is_one(at)).count()
}

/// As [`closing`], where a backslash is of whatever follows it if quotes are escaped by it.
fn closing_of_row(text: &[u8], escaped: bool) -> Option<usize> {
    let mut at = 1;
    loop {
        match (text.get(at)?, text.get(at + 1)) {
            (b'\\', _) if escaped => at += 2,
            (b'"', Some(b'"')) => at += 2,
            (b'"', _) => return Some(at + 1),
            _ => at += 1,
        }
    }
}

/// What is between the quotes of `quoted`.
fn content(quoted: &[u8], escaped: bool) -> Cow<'_, [u8]> {
    let mut rest = &quoted[1..quoted.len() - 1];
    if !rest.contains(&b'"') {
        return Cow::Borrowed(rest);
    }
    let mut out = Vec::with_capacity(rest.len());
    while let Some((&first, after)) = rest.split_first() {
        let quote = after.first() == Some(&b'"') && (first == b'"' || (first == b'\\' && escaped));
        out.push(if quote { b'"' } else { first });
        rest = if quote { &after[1..] } else { after };
    }
    Cow::Owned(out)
}

fn sign_of(delimiter: &Delimiter) -> &[u8] {
    match delimiter {
        Delimiter::Byte(byte) => std::slice::from_ref(byte),
        Delimiter::Text(text) => text.as_bytes(),
        Delimiter::Blanks => b" \t",
    }
}

/// Where the next delimiter is, and its length.
fn next_sign(text: &[u8], delimiter: &Delimiter) -> Option<(usize, usize)> {
    match delimiter {
        Delimiter::Byte(byte) => text.iter().position(|c| c == byte).map(|at| (at, 1)),
        Delimiter::Text(sign) => {
            text.windows(sign.len()).position(|w| w == sign.as_bytes()).map(|at| (at, sign.len()))
        }
        Delimiter::Blanks => {
            let at = text.iter().position(u8::is_ascii_whitespace)?;
            Some((at, text[at..].iter().take_while(|c| c.is_ascii_whitespace()).count()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(fields: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Vec<String> {
        fields.into_iter().map(|f| String::from_utf8(f.as_ref().to_vec()).unwrap()).collect()
    }

    #[test]
    fn quotes_around_a_field_go_and_others_stay() {
        let cases: [(&str, Delimiter, &[&str]); 9] = [
            ("\"a, b\",c", Delimiter::Byte(b','), &["a, b", "c"]),
            ("a, \"b, c\" ,d", Delimiter::Byte(b','), &["a", "b, c", "d"]),
            ("\"a \"\"b\"\"\"\tc", Delimiter::Byte(b'\t'), &["a \"b\"", "c"]),
            ("5\" pipe\t\"x", Delimiter::Byte(b'\t'), &["5\" pipe", "\"x"]),
            ("\"A\" and \"B\"\tc", Delimiter::Byte(b'\t'), &["\"A\" and \"B\"", "c"]),
            ("\"a::b\"::c", Delimiter::Text("::".into()), &["a::b", "c"]),
            (" \"New York\"  b ", Delimiter::Blanks, &["New York", "b"]),
            ("\"a \\\"b\\\" c\";d", Delimiter::Byte(b';'), &["a \"b\" c", "d"]),
            ("a,", Delimiter::Byte(b','), &["a", ""]),
        ];
        for (line, delimiter, fields) in cases {
            assert_eq!(texts(split(line.as_bytes(), &delimiter)), fields, "{line}");
            let mut record = ByteRecord::new();
            read(line.as_bytes(), &delimiter, fields.len(), &mut record);
            assert_eq!(texts(&record), fields, "{line}");
        }
        // As many fields as a row has: quotes that are not one field's hold nothing together.
        let mut record = ByteRecord::new();
        read(b"\"Stay\tor go\"", &Delimiter::Byte(b'\t'), 2, &mut record);
        assert_eq!(texts(&record), ["\"Stay", "or go\""]);
        let open = |line: &str| open_field(line.as_bytes(), &Delimiter::Byte(b'\t'));
        for (line, at) in
            [("a\t\"more", 1), ("a\t\"more\tand more", 1), ("a\t \"x\"\"\tb", 1), ("\"a\"\t\"b\tc\"\t\"d", 2)]
        {
            assert_eq!(open(line), Some(at), "{line}");
        }
        for line in ["a\t5\" pipe", "\"Stay\tor go\"", "\"A\" and \"B\"\tc", "a\tb"] {
            assert_eq!(open(line), None, "{line}");
        }
    }

    #[test]
    fn lines_are_one_row_where_quotes_hold_them_together() {
        let shown = |lines: &str, delimiter: &Delimiter| match join(lines.as_bytes(), delimiter) {
            Joined::Row(record) => texts(&record).join("|"),
            Joined::Open(at) => format!("open {at}"),
            Joined::Apart => "apart".into(),
        };
        let tab = Delimiter::Byte(b'\t');
        for (lines, what) in [
            ("a\t\"b\n\tc\"\td", "a|b\n\tc|d"),
            ("a\t\"b\nc\"\t\"d\n\"", "a|b\nc|d\n"),
            ("a\t\"b\nc \"\"d\"\"\"", "a|b\nc \"d\""),
            ("a\t\"b\nc \\\"d\\\"\"", "a|b\nc \"d\""),
            ("a\t\"b\nc\td", "open 1"),
            ("a\t\"b\nc\"\t\"d\n", "open 2"),
            // What closes the quote is in the middle of a field.
            ("a\t\"b\nc\t6\" long", "apart"),
            ("a\t\"b\tc\nd\" e\tf", "apart"),
        ] {
            assert_eq!(shown(lines, &tab), what, "{lines}");
        }
        assert_eq!(shown("a \"b\nc\" d", &Delimiter::Blanks), "a|b\nc|d");
        assert_eq!(shown("a \"b\nc\"x d", &Delimiter::Blanks), "apart");
        for line in ["6\" long", "a\"", "\"\"\"", "\\\"\""] {
            assert!(may_close(line.as_bytes()), "{line}");
        }
        for line in ["", "long", "\"\"", "a \"\"b\"\" c"] {
            assert!(!may_close(line.as_bytes()), "{line}");
        }
    }

    #[test]
    fn quotes_behind_blanks_are_quotes() {
        for (fields, width, mended) in [
            (vec!["a", " \"b\""], 2, vec!["a", "b"]),
            (vec!["a", " \"b", " c\"", " d"], 3, vec!["a", "b, c", " d"]),
            (vec!["a", " \"b", " c"], 2, vec!["a", " \"b", " c"]),
            (vec!["a", " \"b", " c\""], 3, vec!["a", " \"b", " c\""]),
        ] {
            let mut record = ByteRecord::from(fields);
            mend_padded(&mut record, b',', width);
            assert_eq!(texts(&record), mended);
        }
    }

    #[test]
    fn quotes_that_hold_rows_together_are_told_from_those_around_texts() {
        let wrong = |row: &str| wrongly_closed(row.as_bytes(), b',', row.contains("\\\""), 3);
        for (row, at) in [
            // Two rows, each with a lone quote: in the last column, in the middle, in the first.
            ("a,8,\"7 inch\nb,9,\"12 inch\n", 2),
            ("a,\"7 inch,8\r\nb,\"12 inch,9\r\n", 1),
            ("\"a,8,x\n\"b,9,y\n", 0),
            ("a,8,\"\nb,9,\"\n", 2),
            ("a,\",8\nb,\",9\n", 1),
            ("\",8,x\n\",9,y\n", 0),
            ("a,8,\"7 inch\nb,9,the \"small\" one\n", 2),
            // The file ends within quotes.
            ("a,8,\"open\nb,9,t\n", 2),
            ("a,8,\"open", 2),
            ("a,8,\"open \\\"", 2),
            ("a,\"x\ny\",\"open\n", 2),
        ] {
            assert_eq!(wrong(row), Some(at), "{row}");
        }
        for row in [
            "a,8,x\n",
            "a,8,\"12 inch\" single\n",
            "a,\"Best of\" x,\"one\ntwo\"\n",
            "a,8,\"one\ntwo\"\n",
            "\r\na,8,\"one\r\ntwo\"\r\n",
            "a,8,\"one\ntwo\" ",
            "a,8,\"one \"\"two\"\"\n\"\"three\"\"\"\n",
            "a,8,\"one \\\"two\\\"\nend \\\\\"\n",
            "a,8,\"one\nred, white, blue\"\n",
            "a,8,\"one\nred,white,blue\"\n",
            "a,8,\"one\n\n\"\n",
            "\"Hello, you, and you\n\",8,x\n",
        ] {
            assert_eq!(wrong(row), None, "{row}");
        }
    }

    #[test]
    fn delimiters_are_looked_for_outside_quotes() {
        for (line, bare, open) in [
            ("a;\"b, c\";d", "a;_;d", false),
            ("\"a\" \"b c\"", "_ _", false),
            ("5\" pipe;b", "5\" pipe;b", false),
            ("a,\"b", "a,", true),
        ] {
            assert_eq!(outside_quotes(line), (bare.to_string(), open), "{line}");
        }
    }
}
