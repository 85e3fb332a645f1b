//! One rule for ids wherever they come from: interactions, catalogues, features.

use crate::ids::Vocab;

/// Words that programs write where there is nothing.
const NOTHING: &[&str] = &[
    "nan", "null", "none", "<na>", "na", "n/a", "\\n", "#n/a", "#null!", "#ref!", "#value!", "#name?",
    "#num!", "#div/0!",
];

/// Whole numbers up to here are exact as floats.
const EXACT: f64 = 9e15;

/// A number as text, whatever program wrote it: whole ones without a fraction.
pub(crate) fn number(value: f64) -> String {
    match value.fract() == 0.0 && value.abs() < EXACT {
        true => (value as i64).to_string(),
        false => value.to_string(),
    }
}

/// Whether a number may be another than the one that was written: floats keep only the first digits of whole
/// ones from 2^53 on.
pub(crate) fn has_lost_digits(value: f64) -> bool {
    value.fract() == 0.0 && value.abs() >= 2f64.powi(53)
}

/// An id as it counts: without blanks around it.
pub(crate) fn clean(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}')
}

/// True for a cell that is empty or holds a word for nothing.
pub(crate) fn is_nothing(text: &str) -> bool {
    text.is_empty() || means_nothing(text)
}

/// True for a clean id that is a program's word for nothing.
pub(crate) fn means_nothing(id: &str) -> bool {
    NOTHING.iter().any(|word| id.eq_ignore_ascii_case(word))
}

/// Number of the id `text` of another file, or `None` where `ids` has nothing like it. `21.0` and `21` are
/// the same where only one of them is there: programs that keep numbers with gaps as floats write the former.
pub(crate) fn find(ids: &Vocab, text: &str) -> Option<u32> {
    let id = clean(text);
    if let Some(found) = ids.get(id) {
        return Some(found);
    }
    let digits = |t: &str| !t.is_empty() && t.bytes().all(|c| c.is_ascii_digit());
    match id.strip_suffix(".0") {
        Some(whole) if digits(whole) => ids.get(whole),
        None if digits(id) => ids.get(&format!("{id}.0")),
        _ => None,
    }
}

/// What is to be said of ids of one file that differ as `21` and `21.0` do: they stay apart.
pub(crate) fn note_of_alike_ids(column: &str, ids: &Vocab) -> Option<String> {
    let mut floats =
        ids.names().filter(|id| id.strip_suffix(".0").is_some_and(|whole| ids.get(whole).is_some()));
    let first = floats.next()?;
    let whole = first.trim_end_matches(".0");
    let count = 1 + floats.count();
    Some(format!(
        "column `{column}` has both `{whole}` and `{first}` (such pairs: {count}); they count as different ids"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_floats_and_blanks_do_not_keep_ids_apart() {
        let ids = Vocab::from_names(["21", "7.0", "x", "8", "8.0"]).unwrap();
        let cases = [(" 21\t", Some(0)), ("21.0", Some(0)), ("7", Some(1)), ("x", Some(2)), ("x.0", None)];
        assert!(note_of_alike_ids("item", &ids).unwrap().contains("both `8` and `8.0` (such pairs: 1)"));
        for (text, found) in cases.into_iter().chain([("8", Some(3)), ("8.0", Some(4)), ("021", None)]) {
            assert_eq!(find(&ids, text), found, "{text}");
        }
    }

    #[test]
    fn whole_numbers_have_no_fraction() {
        let cases = [
            (21.0, "21"),
            (-0.0, "0"),
            (2.5, "2.5"),
            (1e15, "1000000000000000"),
            (1e20, "100000000000000000000"),
        ];
        cases.iter().for_each(|(value, text)| assert_eq!(number(*value), *text));
    }

    #[test]
    fn words_for_nothing_are_known() {
        assert!(["nan", "NaN", "NULL", "None", "\\N", "NA", "#N/A"].iter().all(|t| means_nothing(t)));
        assert!(!["", "nancy", "0", "no"].iter().any(|t| means_nothing(t)));
    }
}
