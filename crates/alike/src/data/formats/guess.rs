//! Which sign separates the columns of a text, by its first lines.

use std::cmp::Reverse;

use crate::data::formats::columns::is_usual_name;
use crate::data::formats::fields::{outside_quotes, split};
use crate::data::formats::options::Delimiter;
use crate::data::formats::row::without_end;

const TAB: Delimiter = Delimiter::Byte(b'\t');
/// Rows that are looked at.
const ROWS: usize = 50;
/// Lines that one of them may go on over, within quotes.
const ROW_LINES: usize = 20;

/// What separates the columns, as far as the first lines tell.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Guess {
    pub(crate) delimiter: Delimiter,
    /// Another one that parts the rows alike, too, where the names of the columns do not tell which it is.
    pub(crate) rival: Option<Delimiter>,
}

impl Guess {
    /// What is to be said of it; `flags` where there is one that names another.
    pub(crate) fn note(&self, flags: bool) -> Option<String> {
        let name = |delimiter: &Delimiter| match delimiter {
            Delimiter::Byte(b'\t') => "tab".to_string(),
            Delimiter::Byte(byte) => char::from(*byte).to_string(),
            Delimiter::Text(text) => text.clone(),
            Delimiter::Blanks => "blanks".to_string(),
        };
        let rival = name(self.rival.as_ref()?);
        let way = if flags { format!(" (`--delimiter '{rival}'` takes it)") } else { String::new() };
        Some(format!(
            "`{}` is taken for the delimiter; `{rival}` parts the rows alike, too{way}",
            name(&self.delimiter)
        ))
    }
}

impl From<Delimiter> for Guess {
    fn from(delimiter: Delimiter) -> Self {
        Self { delimiter, rival: None }
    }
}

/// The sign that separates the columns, of those that usually do: one that parts the rows `ahead` of the
/// header into as many fields as that. Of several, the one by which more columns have usual names; of equals,
/// one that parts all rows so, save one that may be broken; of equals, or where none parts the rows, the one
/// that occurs most often in the header outside quotes. Blanks where the header has none of these signs, and
/// where blanks as well as tabs are between numbers: in some rows, or in all of a `network`, whose file may
/// be written so.
pub(crate) fn guess_delimiter(header: &str, ahead: &[u8], network: bool) -> Option<Guess> {
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
    match &found[..] {
        [] => return line.trim().contains(' ').then_some(Delimiter::Blanks.into()),
        [(_, Delimiter::Byte(b'\t'))] => {
            let rows = rows_of(ahead);
            let mixed = network || parts_alike(header, &rows, &TAB).is_none();
            let delimiter = if mixed && is_of_numbers(header, &rows) { Delimiter::Blanks } else { TAB };
            return Some(delimiter.into());
        }
        [(_, only)] => return Some(only.clone().into()),
        _ => {}
    }
    let rows = rows_of(ahead);
    let parts = |(_, sign): &(usize, Delimiter)| Some((parts_alike(header, &rows, sign)?, sign.clone()));
    let mut alike: Vec<((usize, bool), Delimiter)> = found.iter().filter_map(parts).collect();
    // This sort, too, is stable: of equals the most frequent counts.
    alike.sort_by_key(|(how, _)| Reverse(*how));
    let mut alike = alike.into_iter();
    let Some(((names, _), delimiter)) = alike.next() else { return Some(found.swap_remove(0).1.into()) };
    let second = alike.next().filter(|((others, _), _)| !rows.is_empty() && (*others > 0 || names == 0));
    Some(Guess { delimiter, rival: second.map(|(_, sign)| sign) })
}

/// How the delimiter parts the rows, if four of five have as many fields as the header, since one may be cut
/// or broken: how many names in the header are usual ones, and whether no more than one row is another.
fn parts_alike(header: &str, rows: &[Vec<u8>], delimiter: &Delimiter) -> Option<(usize, bool)> {
    let names = split(header.as_bytes(), delimiter);
    let alike = rows.iter().filter(|row| split(row, delimiter).len() == names.len()).count();
    let usual = names.iter().filter(|name| is_usual_name(&String::from_utf8_lossy(name))).count();
    (alike * 5 >= rows.len() * 4).then_some((usual, alike + 1 >= rows.len()))
}

/// True where all rows are of numbers, with blanks or tabs between them, as many as the header has fields.
fn is_of_numbers(header: &str, rows: &[Vec<u8>]) -> bool {
    let width = split(header.as_bytes(), &Delimiter::Blanks).len();
    let number = |field: &[u8]| std::str::from_utf8(field).is_ok_and(|text| text.parse::<f64>().is_ok());
    rows.iter().all(|row| {
        let fields = split(row, &Delimiter::Blanks);
        fields.len() == width && fields.iter().all(|field| number(field))
    })
}

/// What is to be done where all rows `ahead` have a column more than the header: one without a name before the
/// others, as R writes it, or nothing behind the last delimiter. `lines` are those up to the header.
pub(crate) fn one_more(
    names: &[String],
    ahead: &[u8],
    delimiter: &Delimiter,
    lines: u64,
    flags: bool,
) -> Option<String> {
    let rows = rows_of(ahead);
    let mut last_is_empty = true;
    for row in &rows {
        let fields = split(row, delimiter);
        if fields.len() != names.len() + 1 {
            return None;
        }
        last_is_empty &= fields[names.len()].trim_ascii().is_empty();
    }
    if rows.is_empty() {
        return None;
    }
    let (which, why) = match last_is_empty {
        true => ("last", "a delimiter ends each row"),
        false => ("first", "R writes the names of rows so"),
    };
    if !flags {
        return Some(format!("if the {which} column has no name ({why}), give it one in the header"));
    }
    let names = names.join(",");
    let columns = if last_is_empty { format!("{names},_") } else { format!("_,{names}") };
    let is_plain = |c: char| c.is_alphanumeric() || "_,.-".contains(c);
    let columns = if columns.chars().all(is_plain) { columns } else { format!("'{columns}'") };
    Some(format!(
        "if the {which} column has no name ({why}): `--skip-lines {lines} --no-header --columns {columns}`"
    ))
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
            let guess = guess_delimiter(header, ahead.as_bytes(), false);
            assert_eq!(guess.map(|guess| guess.delimiter), delimiter, "{header}");
        }
    }

    #[test]
    fn of_several_that_part_all_rows_alike_the_names_decide() {
        let guess = |header: &str, ahead: &str| {
            let guess = guess_delimiter(header, ahead.as_bytes(), false).unwrap();
            (guess.delimiter, guess.rival)
        };
        let (comma, bar, semicolon) = (Delimiter::Byte(b','), Delimiter::Byte(b'|'), Delimiter::Byte(b';'));
        // The bar is the more frequent one, and gives no name.
        let only = guess("user,item,a|b|c|d", "1,2,3|4|5|6\n1,3,3|4|5|6\n");
        assert_eq!(only, (comma.clone(), None));
        let several = guess("user,item,title|genres", "1,2,3|4\n1,3,3|4\n");
        assert_eq!(several, (comma.clone(), Some(bar.clone())));
        // No usual name: the one that parts more rows alike, one broken row left aside; the most frequent.
        let rows = "1,2;3,4\n".repeat(8) + "1,2,3;4,5\n";
        assert_eq!(guess("a,b;c,d", &rows), (comma.clone(), Some(semicolon.clone())));
        let rows = rows + "1,2,3;4,5\n";
        assert_eq!(guess("a,b;c,d", &rows), (semicolon, Some(comma.clone())));
        let note = |delimiter, rival| Guess { delimiter, rival: Some(rival) }.note(true).unwrap();
        assert_eq!(
            note(Delimiter::Byte(b'\t'), bar.clone()),
            "`tab` is taken for the delimiter; `|` parts the rows alike, too (`--delimiter '|'` takes it)"
        );
        assert!(note(bar.clone(), Delimiter::Byte(b'\t')).contains("--delimiter 'tab'"));
        assert!(!Guess { delimiter: comma, rival: Some(bar) }.note(false).unwrap().contains("--"));
    }

    #[test]
    fn blanks_and_tabs_may_both_be_between_numbers() {
        let guess = |header: &str, ahead: &str, network: bool| {
            guess_delimiter(header, ahead.as_bytes(), network).unwrap().delimiter
        };
        for (header, ahead, network, delimiter) in [
            // As networks are written: in each row, or in some.
            ("1 2\t1", "1 3\t1\n2 3\t1\n", true, Delimiter::Blanks),
            ("1\t2\t1", "1\t3\t1\n2 3\t1\n", false, Delimiter::Blanks),
            ("user\titem\tweight", "1 3 1\n2 3\t1\n", false, Delimiter::Blanks),
            // Tables with blanks in their columns, words or too few numbers.
            ("1 2\t1", "1 3\t1\n2 3\t1\n", false, TAB),
            ("user\ttime", "1\t2020-01-01 10:00\n", true, TAB),
            ("user id\titem", "1\t2\n", true, TAB),
            ("user\titem\ttime", "a\tx y\n", false, TAB),
        ] {
            assert_eq!(guess(header, ahead, network), delimiter, "{header}");
        }
    }

    #[test]
    fn rows_go_on_within_quotes_and_a_lone_quote_is_text() {
        let rows = rows_of(b"a,\"b\nc\"\n\r\n5\" x,d\r\n\"lone,e\nf,g\ncut");
        let texts: Vec<_> = rows.iter().map(|row| String::from_utf8_lossy(row).into_owned()).collect();
        assert_eq!(texts, ["a,\"b\nc\"", "5\" x,d", "\"lone,e", "f,g"]);
    }
}
