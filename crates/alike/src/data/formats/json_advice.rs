//! What is wrong with JSON as people have it, and the way out.

mod jq;
mod nested;
mod partial;
mod shape;
mod table;

use serde::de::DeserializeSeed;
use serde_json::{Value, error::Category};

use crate::Error;
use crate::data::formats::encoding::encoding_advice;
use crate::data::formats::row::Place;
use jq::{command, jq_path};
use nested::InnerRows;
use partial::Partial;
use shape::{Object, is_empty};

/// Words of Python where JSON has others.
const PYTHON: [&str; 3] = ["None", "True", "False"];
/// What JSON has no word for.
const NO_NUMBER: [&str; 2] = ["NaN", "Infinity"];

/// What is wrong with the line `text`; `ahead` is what follows it.
pub(crate) fn of_line(place: &Place<'_>, text: &[u8], ahead: &[u8], error: &serde_json::Error) -> Error {
    let say = |message: &str| place.error(message);
    let Ok(shown) = std::str::from_utf8(text) else {
        return say(&format!("is not UTF-8 text; {}", encoding_advice()));
    };
    if is_python(shown.strip_prefix('{').unwrap_or_default()) {
        return say("is a Python dict, not JSON; write each as JSON: \
                    `python3 -c 'import ast, json, sys; [print(json.dumps(ast.literal_eval(l))) for l in sys.stdin]' \
                    < FILE > NEW.jsonl`");
    }
    let near: String = shown.chars().skip(error.column().saturating_sub(3)).take(12).collect();
    let has =
        |words: &[&str]| error.classify() == Category::Syntax && words.iter().any(|word| near.contains(word));
    if has(&NO_NUMBER) {
        return say(
            "holds NaN or Infinity, which JSON does not have; write null (pandas: `to_json(…, lines=True)`)",
        );
    }
    if has(&PYTHON) {
        return say(
            "holds None, True or False, which are Python's words; write null, true and false (`json.dumps`)",
        );
    }
    if error.classify() != Category::Eof {
        return match byte_after_object(text) {
            Some(b',') => say(
                "a comma stands between the objects; one object a line is read: `sed 's/,[[:space:]]*$//' FILE > NEW.jsonl`, \
                 or put all of them between `[` and `]`",
            ),
            Some(b'{') => say(
                "several objects stand in one line; one object a line is read: `jq -c . FILE > NEW.jsonl`",
            ),
            _ => match serde_json::from_slice(text) {
                Ok(Value::Null) => {
                    say("is null, no JSON object; leave such lines out with `jq -c values FILE > NEW.jsonl`")
                }
                Ok(value) => {
                    say(&format!("is no JSON object but {}; one object a line is expected", kind(&value)))
                }
                Err(_) => say(&format!("is no JSON object: {error}")),
            },
        };
    }
    if place.line > 1 {
        return say(
            "an object does not end in its line; if the file ends here, it is cut: download or copy it again",
        );
    }
    match wrapper(&[text, b"\n", ahead].concat()) {
        Some((rows, several)) => say(&rows.advice("", several)),
        None => {
            say("an object does not end in its line; one object a line is read: `jq -c . FILE > NEW.jsonl`")
        }
    }
}

/// The first byte after the object that `text` starts with, if it starts with one.
fn byte_after_object(text: &[u8]) -> Option<u8> {
    let mut values = serde_json::Deserializer::from_slice(text).into_iter::<Object>();
    values.next()?.ok()?;
    text.get(values.byte_offset()..)?.trim_ascii_start().first().copied()
}

/// What is wrong with an array, which starts with `head`.
pub(crate) fn of_array(place: &Place<'_>, head: &[u8], error: &serde_json::Error) -> Error {
    let head = String::from_utf8_lossy(head);
    let first = head.trim_start().trim_start_matches('[').trim_start();
    if is_python(first.strip_prefix('{').unwrap_or_default()) {
        return place.error(
            "is a Python list of dicts, not JSON; write each as JSON: \
             `python3 -c 'import ast, json, sys; [print(json.dumps(d)) for d in ast.literal_eval(sys.stdin.read())]' \
             < FILE > NEW.jsonl`",
        );
    }
    let place = Place { line: error.line() as u64, ..*place };
    match error.classify() {
        Category::Eof => place.error("the array does not end: the file is cut; download or copy it again"),
        _ => place.error(format!(
            "is no JSON array of objects: {error} (NaN, Infinity, None and single quotes are not JSON: write it with `json.dumps`)"
        )),
    }
}

/// What is wrong with an entry of an array that is no object; the array starts with `head`.
pub(crate) fn of_entry(place: &Place<'_>, entry: &Value, head: &[u8]) -> Error {
    let is_first = place.line == 1;
    if let Some(first) = first_of_lines(head).filter(|_| is_first) {
        return place.error(table::of_first_list(&first, true));
    }
    place.error(match entry {
        Value::Array(first) if is_first && shape::is_list_of_values(entry) => {
            table::of_first_list(first, false)
        }
        Value::Null => {
            format!("is null, no JSON object; leave such entries out with {}", command(".[] | values"))
        }
        _ => format!("is {}, no JSON object; an array of objects is expected", kind(entry)),
    })
}

/// The first line of a text that has a list in each.
fn first_of_lines(head: &[u8]) -> Option<Vec<Value>> {
    let mut lines = head.split(|&c| c == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    let first = serde_json::from_slice(lines.next()?).ok()?;
    lines.next()?.starts_with(b"[").then_some(first)
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// `error`, and what to do about it.
fn with_hint(error: Error, hint: &str) -> Error {
    match error {
        Error::Format { path, line, message } => {
            let message = format!("{message}; {hint}");
            match line {
                Some(line) => Error::format_at(path, line, message),
                None => Error::format(path, message),
            }
        }
        other => other,
    }
}

/// An error about the first of a file's lines, which is `first`, with what it holds instead of being a row;
/// `ahead` is what follows.
pub(crate) fn of_first(error: Error, first: &Object, ahead: &[u8]) -> Error {
    if let (Some(message), Error::Format { path, line, .. }) = (table::of_catalogue(first, ""), &error) {
        return Error::Format { path: path.clone(), line: *line, message };
    }
    let mut next: Vec<Object> = Vec::new();
    // What is empty in the first may hold something in one of the next.
    if first.values().any(is_empty) {
        let lines = ahead.split(|&c| c == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
        // The last may be cut.
        next.extend(lines.map_while(|line| serde_json::from_slice::<Object>(line).ok()));
    }
    let objects: Vec<&Object> = std::iter::once(first).chain(&next).collect();
    match InnerRows::of(&objects) {
        Some(rows) => with_hint(error, &rows.advice("", !ahead.trim_ascii().is_empty())),
        None => error,
    }
}

/// An error about the columns of the objects `first`, with what they hold instead of columns. `each` is what
/// `jq` needs to come to the objects.
pub(crate) fn of_columns(error: Error, first: &[(u64, Object)], each: &str) -> Error {
    let objects: Vec<&Object> = first.iter().map(|(_, object)| object).collect();
    if let Some(rows) = InnerRows::of(&objects) {
        return with_hint(error, &rows.advice(each, objects.len() > 1));
    }
    let mut all = objects.iter().flat_map(|object| object.iter());
    match all.find(|(_, value)| value.is_object()) {
        Some((key, _)) => {
            // What is lifted is left out where it was, so that it is not found again.
            let at = jq_path(key);
            let lift = command(&format!("{each}del({at}) + ({at} | objects // {{}})"));
            with_hint(error, &format!("`{key}` holds objects: lift what is in them ({lift})"))
        }
        None => error,
    }
}

/// The error of a cell of `object` that is no value of its own, where other columns may be alike.
pub(crate) fn of_row(place: &Place<'_>, key: &str, object: &Object, each: &str) -> Error {
    match (table::of_columns(object, key, each), object.get(key)) {
        (Some(message), _) => place.error(message),
        (None, value) => of_cell(place, key, value.unwrap_or(&Value::Null), each),
    }
}

/// The error of a cell that is no value of its own. `each` is what `jq` needs to come to the objects.
pub(crate) fn of_cell(place: &Place<'_>, key: &str, value: &Value, each: &str) -> Error {
    let at = jq_path(key);
    place.error(match value {
        Value::Object(parts) => {
            let inner: Vec<String> = parts.keys().take(5).map(|k| format!("`{k}`")).collect();
            let first = parts.keys().next().map(|k| jq_path(k)).unwrap_or_default();
            let take = command(&format!("{each}{at} = {at}{first}"));
            format!("column `{key}` holds an object (of {}); take one value out: {take}", inner.join(", "))
        }
        Value::Number(number) => format!(
            "column `{key}` holds a whole number with more digits than are kept (it is read as {number}); write it as text, in quotes"
        ),
        _ => {
            // Other objects may have one value there.
            let parts = format!("{each}{at} = ({at} | if type == \"array\" then .[] else . end)");
            format!("column `{key}` holds a list; write an object for each entry: {}", command(&parts))
        }
    })
}

/// Whether what follows `{` is how Python writes a dict.
fn is_python(text: &str) -> bool {
    let text = text.trim_start();
    text.starts_with('\'') || text.starts_with("u'") || text.starts_with("u\"")
}

/// The rows in the object that `text` starts with, which may be cut, and whether something follows it.
fn wrapper(text: &[u8]) -> Option<(InnerRows, bool)> {
    let (mut value, mut cut) = (Value::Null, None);
    let mut reader = serde_json::Deserializer::from_slice(text);
    let read = Partial { value: &mut value, cut: &mut cut }.deserialize(&mut reader);
    let several = read.is_ok() && reader.end().is_err();
    let Value::Object(mut object) = value else { return None };
    // Of a cut object the last value is not all there: it says nothing about what is alike.
    let last = cut.and_then(|key| object.remove_entry(&key));
    let keyed = InnerRows::keyed(&[&object]);
    object.extend(last);
    Some((keyed.or_else(|| InnerRows::under(&object))?, several))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rows_in_a_wrapper_are_found_whole_or_cut() {
        let cases = [
            ("{\"data\": [{\"user\": 1}]}", Some("data")),
            ("{\n \"total\": 2,\n \"rows of it\": [\n  {\"user\": [1, 2", Some("rows of it")),
            ("{\n \"meta\": {\"n\": 1},\n \"rows\": [", None),
            ("{\n \"user\": 1,\n \"tags\": [\"a\", ", None),
            ("{\n \"user\": 1,", None),
        ];
        for (text, key) in cases {
            let found = match wrapper(text.as_bytes()) {
                Some((InnerRows::Under { key, .. }, _)) => Some(key),
                _ => None,
            };
            assert_eq!(found.as_deref(), key, "{text}");
        }
        let cut = b"{\"user\": 7, \"tags\": [1], \"a \\\"b\\\"\": [{\"user\": 8, \"item\": ";
        let says =
            "jq -c '{\"outer_user\": .user} + del(.\"a \\\"b\\\"\", .user) + (.\"a \\\"b\\\"\" | if type";
        let (rows, several) = wrapper(cut).unwrap();
        assert!(rows.advice("", several).contains(says), "{}", rows.advice("", several));
    }

    #[test]
    fn rows_listed_by_user_are_known_before_the_end_of_the_file() {
        let cut = b"{\n\"u1\": [{\"item\": 1}],\n\"u2\": [{\"item\": 2}, {\"item\": 3}],\n\"u3\": [{\"ti";
        let (rows, several) = wrapper(cut).unwrap();
        let says = "(`u1`, `u2`, …): write each with its key, with \
                    `jq -c 'to_entries[] | {\"user\": .key} + (.value | if type == \"array\" then .[] else . // empty end)' FILE > NEW.jsonl`";
        assert!(rows.advice("", several).contains(says), "{}", rows.advice("", several));
        let two = b"{\n\"who\": 1,\n\"seen\": [{\"item\": 1}]\n}\n{\n\"who\": 2,";
        let (rows, several) = wrapper(two).unwrap();
        let says = "(`who`), with `jq -c 'del(.seen) + (.seen | if type == \"array\" then .[] else . // empty end)' FILE";
        assert!(rows.advice("", several).contains(says), "{}", rows.advice("", several));
    }
}
