//! Which sign separates the columns of a text, by its first lines.

use std::cmp::Reverse;

use crate::data::formats::fields::{outside_quotes, split};
use crate::data::formats::options::Delimiter;
use crate::data::formats::row::without_end;

/// Rows that are looked at.
const ROWS: usize = 50;
/// Lines that one of them may go on over, within quotes.
const ROW_LINES: usize = 20;

/// The sign that separates the columns, of those that usually do: one that parts the rows `ahead` of the
/// header into as many fields as that; of several, or where none does, the one that occurs most often in the
/// header outside quotes. Blanks where the header has none of them.
pub(crate) fn guess_delimiter(header: &str, ahead: &[u8]) -> Option<Delimiter> {
    // After a lone quote all of it counts.
    let line = match outside_quotes(header) {
        (_, true) => header.to_string(),
        (bare, false) => bare,
    };
    let byte = |&sign: &u8| (line.bytes().filter(|&c| c == sign).count(), Delimiter::Byte(sign));
    let doubled = (line.matches("::").count(), Delimiter::Text("::".into()));
    let mut found: Vec<(usize, Delimiter)> =
        std::iter::once(doubled).chain(b"\t,;|".iter().map(byte)).filter(|(count, _)| *count > 0).collect();
    // The sort is stable: of equally many the first of the list counts.
    found.sort_by_key(|(count, _)| Reverse(*count));
    let at = match found.len() {
        0 => return line.trim().contains(' ').then_some(Delimiter::Blanks),
        1 => 0,
        _ => {
            let rows = rows_of(ahead);
            found.iter().position(|(_, sign)| parts_alike(header, &rows, sign)).unwrap_or(0)
        }
    };
    Some(found.swap_remove(at).1)
}

/// True where four of five rows have as many fields as the header: one of them may be cut or broken.
fn parts_alike(header: &str, rows: &[Vec<u8>], delimiter: &Delimiter) -> bool {
    let width = split(header.as_bytes(), delimiter).len();
    let alike = rows.iter().filter(|row| split(row, delimiter).len() == width).count();
    alike * 5 >= rows.len() * 4
}

/// The first rows of a text, each with the lines that its quotes go on over.
fn rows_of(ahead: &[u8]) -> Vec<Vec<u8>> {
    let is_open = |row: &[u8]| outside_quotes(&String::from_utf8_lossy(row)).1;
    // The last line may be cut.
    let mut lines = ahead.split_inclusive(|&c| c == b'\n').filter(|line| line.ends_with(b"\n"));
    let mut rows = Vec::new();
    while rows.len() < ROWS {
        let Some(first) = lines.next() else { break };
        let (mut row, mut after) = (first.to_vec(), lines.clone());
        for _ in 1..ROW_LINES {
            if !is_open(&row) {
                break;
            }
            row.extend(after.next().unwrap_or_default());
        }
        if is_open(&row) {
            // It is never closed: a lone quote is text.
            row = first.to_vec();
        } else {
            lines = after;
        }
        if !row.trim_ascii().is_empty() {
            rows.push(without_end(&row).to_vec());
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sign_that_parts_all_rows_alike_separates_the_columns() {
        let byte = |sign: u8| Some(Delimiter::Byte(sign));
        let cases = [
            ("user;item;what, when, where, how", "a;x;so\nb;y;\"no, never\"\n", byte(b';')),
            ("id,title|de|en|fr|it,price", "1,a|b|c|d|e,2\n2,none,3\n", byte(b',')),
            ("id,a|b,c|d,e|f", "1,\"x|\ny\",\"a, b\",4\n2,3,4,5\n", byte(b',')),
            // One broken row decides nothing.
            ("a,b,c|d", "1,2,3|4\n1,2,3|4\n1,2,3|4\n1,2,3|4\n1,2|3\n", byte(b',')),
            // Nothing to compare with: the most frequent one.
            ("a,b|c|d", "", byte(b'|')),
            ("a,b|c|d", "1,2|3 and no end", byte(b'|')),
            ("a::b::c,d", "1::2::3\n", Some(Delimiter::Text("::".into()))),
            ("a,b;c", "1 2\n3 4\n", byte(b',')),
            ("a b", "1 2\n", Some(Delimiter::Blanks)),
            ("a", "1\n", None),
        ];
        for (header, ahead, delimiter) in cases {
            assert_eq!(guess_delimiter(header, ahead.as_bytes()), delimiter, "{header}");
        }
    }

    #[test]
    fn rows_go_on_within_quotes_and_a_lone_quote_is_text() {
        let rows = rows_of(b"a,\"b\nc\"\n\r\n5\" x,d\r\n\"lone,e\nf,g\ncut");
        let texts: Vec<_> = rows.iter().map(|row| String::from_utf8_lossy(row).into_owned()).collect();
        assert_eq!(texts, ["a,\"b\nc\"", "5\" x,d", "\"lone,e", "f,g"]);
    }
}
