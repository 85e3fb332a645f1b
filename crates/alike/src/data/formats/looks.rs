//! Whether a text is a value, such as a number or a date, and not what a column would be called; whether a
//! line is none of a table.

use csv::ByteRecord;

/// Words that occur in dates beside the names of months, in lower case.
const DATE_WORDS: [&str; 14] =
    ["am", "pm", "t", "z", "utc", "gmt", "st", "nd", "rd", "th", "of", "at", "de", "h"];
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
/// Signs inside numbers, amounts of money, dates and times.
const SIGNS: &str = ".,:/+-' %$€£¥";

/// True for a number, an amount, a date or a time in any usual form: `4`, `4,5`, `1e-3`, `80 %`,
/// `06.05.2014`, `5/6/14 6:28 PM`, `20140925T062802Z`, `May 6, 2014`.
pub(crate) fn is_value(text: &str) -> bool {
    let text = text.trim();
    if text.parse::<f64>().is_ok_and(f64::is_finite) {
        return true;
    }
    // Behind a date may come a time and a zone of any name.
    if text.split_once(' ').is_some_and(|(first, _)| is_numeric_date(first)) {
        return true;
    }
    let sign = |c: char| SIGNS.contains(c);
    if !text.contains(|c: char| c.is_ascii_digit())
        || !text.chars().all(|c| c.is_ascii_alphanumeric() || sign(c))
        || !text.starts_with(|c: char| c.is_ascii_alphanumeric() || "+-.$€£¥".contains(c))
    {
        return false;
    }
    // Numbers and words, one after another: `5th` is two of them.
    let words = text.split(|c: char| !c.is_ascii_alphabetic()).filter(|w| !w.is_empty());
    let words: Vec<String> = words.map(str::to_ascii_lowercase).collect();
    let starts = |of: &[&str], word: &str| word.len() >= 3 && of.iter().any(|all| all.starts_with(word));
    let months = words.iter().filter(|w| starts(&MONTHS, w) || *w == "sept").count();
    let known =
        |w: &String| DATE_WORDS.contains(&&**w) || starts(&MONTHS, w) || *w == "sept" || starts(&DAYS, w);
    if words.is_empty() {
        return true;
    }
    if !words.iter().all(known) {
        return false;
    }
    // Without a month's name a word is one within or behind a date or a time, not the start of an id such as
    // `t1`.
    let digits = text.chars().filter(char::is_ascii_digit).count();
    match months {
        0 => text.starts_with(|c: char| c.is_ascii_digit()) && digits >= 3,
        _ => text.contains(sign) && months == 1,
    }
}

/// True for the fields of a line that is drawn below a header: dashes and what joins them, as in
/// `----,----`, `-----+-----` or `|:---|---:|`.
pub(crate) fn is_rule(fields: &ByteRecord) -> bool {
    fields.as_slice().iter().all(|c| b"-+|=: ".contains(c))
        && fields.iter().any(|field| field.windows(2).any(|two| two == b"--"))
}

/// True for a line that starts as comments, and what programs write below a table, do.
pub(crate) fn is_remark(line: &[u8]) -> bool {
    let starts: [&[u8]; 7] = [b"#", b"%", b"(", b"--", b"//", b"/*", b"\x1a"];
    starts.iter().any(|start| line.trim_ascii_start().starts_with(start))
}

/// True for a field that starts as a comment does: with its sign, and nothing or a blank behind it.
pub(crate) fn is_comment_field(field: &[u8]) -> bool {
    matches!(field, [b'#' | b'%'] | [b'#' | b'%', b' ' | b'\t', ..])
}

/// How many there are, and the line of the first.
#[derive(Default)]
pub(crate) struct Seen {
    count: u64,
    first: u64,
}

impl Seen {
    pub(crate) fn add(&mut self, line: u64) {
        if self.count == 0 {
            self.first = line;
        }
        self.count += 1;
    }

    /// What is said of one, or of several after their number.
    fn note(&self, one: &str, many: &str) -> Option<String> {
        match self.count {
            0 => None,
            1 => Some(format!("1 {one} (line {})", self.first)),
            n => Some(format!("{n} {many} (the first is line {})", self.first)),
        }
    }
}

/// Lines that are no rows, and rows that may be none.
#[derive(Default)]
pub(crate) struct OddLines {
    pub(crate) rules: Seen,
    pub(crate) headers: Seen,
    pub(crate) comments: Seen,
    /// Quoted fields with a line that may be a row.
    pub(crate) long: Seen,
}

impl OddLines {
    /// What is to be said of them.
    pub(crate) fn notes(&self) -> impl Iterator<Item = String> {
        let notes = [
            self.rules.note("line of dashes passed over", "lines of dashes passed over"),
            self.headers.note(
                "more line with the names of the columns passed over",
                "more lines with the names of the columns passed over",
            ),
            self.comments.note(
                "row starts with `#` or `%` as a comment does; remove it if it is one",
                "rows start with `#` or `%` as comments do; remove them if they are such",
            ),
            self.long.note(
                "quoted field holds a line with as many delimiters as a row; if it is a row, a quote is not closed",
                "quoted fields hold a line with as many delimiters as a row; if these are rows, quotes are not closed",
            ),
        ];
        notes.into_iter().flatten()
    }
}

/// True for three numbers with the same sign between them, such as `2014-05-06`.
fn is_numeric_date(text: &str) -> bool {
    ['-', '.', '/'].iter().any(|&sign| {
        let parts: Vec<&str> = text.split(sign).collect();
        parts.len() == 3 && parts.iter().all(|p| !p.is_empty() && p.bytes().all(|c| c.is_ascii_digit()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_dates_are_values() {
        for text in [
            "4",
            "-4.5",
            "4,5",
            "1.234,50",
            "1e-3",
            "80%",
            "$4.50",
            "4,50 €",
            "06.05.2014",
            "05/06/2014",
            "6-5-14",
            "2014/05/06",
            "06.05.2014 12:30",
            "5/6/14 6:28 PM",
            "2014-09-25T06:28Z",
            "20140925T062802Z",
            "12:30:15",
            "May 6, 2014",
            "6 May 2014",
            "06-Sep-2014",
            "Tue, 06 May 2014 10:00:00 GMT",
            "2014-09-25 06:28 UTC",
            "2014-09-25 06:28 PST",
        ] {
            assert!(is_value(text), "{text}");
        }
    }

    #[test]
    fn lines_of_dashes_are_no_rows() {
        let rule = |line: &str| is_rule(&line.split(',').collect());
        for line in ["----,----", "----+----", "|:---|---:|", "---", " -- ,====", ",--,"] {
            assert!(rule(line), "{line}");
        }
        // A dash is written for what is missing.
        for line in ["-,-", "", ",", "--,x", "a--b", "-1,--"] {
            assert!(!rule(line), "{line}");
        }
        assert!(is_remark(b"(56 rows affected)") && is_remark(b"\x1a") && !is_remark(b"-1"));
        assert!(is_comment_field(b"# mid") && is_comment_field(b"#") && !is_comment_field(b"#c"));
    }

    #[test]
    fn names_and_ids_are_none() {
        for text in [
            "",
            "user",
            "user_id",
            "rating 1",
            "u00",
            "i04",
            "t1",
            "st2",
            "Item 7",
            "nan",
            "inf",
            "zoe",
            "may",
            "B00X4",
            "feature_1",
            "4th",
            "2014 sales",
            "-",
            "%",
            "may2",
        ] {
            assert!(!is_value(text), "{text}");
        }
    }
}
