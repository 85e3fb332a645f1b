//! What is wrong with JSON as people have it, and the way out.

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value, error::Category};

use crate::Error;
use crate::data::formats::columns::{USER, guess};
use crate::data::formats::encoding::encoding_advice;
use crate::data::formats::row::Place;

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
            _ => say(&format!("is no JSON object: {error}")),
        };
    }
    if place.line > 1 {
        return say(
            "an object does not end in its line; if the file ends here, it is cut: download or copy it again",
        );
    }
    match wrapper(&[text, b"\n", ahead].concat()) {
        Some(rows) => say(&rows.advice("", false)),
        None => {
            say("an object does not end in its line; one object a line is read: `jq -c . FILE > NEW.jsonl`")
        }
    }
}

/// The first byte after the object that `text` starts with, if it starts with one.
fn byte_after_object(text: &[u8]) -> Option<u8> {
    let mut values = serde_json::Deserializer::from_slice(text).into_iter::<Map<String, Value>>();
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

/// Rows that an object holds instead of being one.
pub(crate) struct InnerRows {
    /// The key of the array of them.
    key: String,
    /// Keys of single values beside it.
    beside: Vec<String>,
    /// Those of them that the rows have too.
    shared: Vec<String>,
}

impl InnerRows {
    /// The rows in the object, if it has an array of objects.
    pub(crate) fn of(object: &Map<String, Value>) -> Option<Self> {
        let (key, rows) = object.iter().find(|(_, value)| is_rows(value))?;
        let single = object.iter().filter(|(_, value)| is_single(value));
        let beside: Vec<String> = single.map(|(key, _)| key.clone()).collect();
        let first = rows.get(0).and_then(Value::as_object);
        let shared = beside.iter().filter(|key| first.is_some_and(|row| row.contains_key(*key)));
        let shared = shared.cloned().collect();
        Some(Self { key: key.clone(), beside, shared })
    }

    /// How to take them out. `each` is what `jq` needs to come to the objects; `several` where there are more
    /// than one of these: then what is beside the rows differs, and is kept. So is a user.
    pub(crate) fn advice(&self, each: &str, several: bool) -> String {
        let (key, at) = (&self.key, jq_path(&self.key));
        if self.beside.is_empty() || !(several || guess(&self.beside, USER).is_some()) {
            return format!(
                "`{key}` holds the rows: take them out with `jq -c '{each}{at}[]' FILE > NEW.jsonl`"
            );
        }
        let other = |key: &String| format!("{{\"outer_{key}\": {}}} + ", jq_path(key));
        let others: String = self.shared.iter().map(other).collect();
        format!(
            "`{key}` holds the rows: take them out, each with what is beside them (`{}`), with \
             `jq -c '{each}{others}del({at}) + {at}[]' FILE > NEW.jsonl`",
            self.beside[0]
        )
    }

    /// An error about the object that holds them.
    pub(crate) fn explain(&self, error: Error, each: &str, several: bool) -> Error {
        match error {
            Error::Format { path, line, message } => {
                let message = format!("{message}; {}", self.advice(each, several));
                Error::Format { path, line, message }
            }
            other => other,
        }
    }
}

/// An error about the columns of objects such as `first`, with what they hold instead of columns; `several`
/// where there are more of them.
pub(crate) fn of_columns(error: Error, first: &Map<String, Value>, each: &str, several: bool) -> Error {
    let hint = match InnerRows::of(first) {
        Some(rows) => return rows.explain(error, each, several),
        None => match first.iter().find_map(|(key, value)| value.as_object().map(|_| key)) {
            Some(key) => {
                format!(
                    "; `{key}` holds objects: lift what is in them (`jq -c '{each}. + {}' FILE > NEW.jsonl`)",
                    jq_path(key)
                )
            }
            None => return error,
        },
    };
    match error {
        Error::Format { path, line, message } => Error::Format { path, line, message: message + &hint },
        other => other,
    }
}

/// The error of a cell that is no value of its own. `each` is what `jq` needs to come to the objects.
pub(crate) fn of_cell(place: &Place<'_>, key: &str, value: &Value, each: &str) -> Error {
    let at = jq_path(key);
    place.error(match value {
        Value::Object(parts) => {
            let inner: Vec<String> = parts.keys().take(5).map(|k| format!("`{k}`")).collect();
            let first = parts.keys().next().map(|k| jq_path(k)).unwrap_or_default();
            format!(
                "column `{key}` holds an object (of {}); take one value out: `jq -c '{each}{at} = {at}{first}' FILE > NEW.jsonl`",
                inner.join(", ")
            )
        }
        Value::Number(number) => format!(
            "column `{key}` holds a whole number with more digits than are kept (it is read as {number}); write it as text, in quotes"
        ),
        _ => format!("column `{key}` holds a list; write an object for each entry: `jq -c '{each}{at} = {at}[]' FILE > NEW.jsonl`"),
    })
}

/// A key as `jq` takes it.
fn jq_path(key: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    match key.chars().all(plain) && !key.starts_with(|c: char| c.is_ascii_digit()) {
        true => format!(".{key}"),
        false => format!(".\"{key}\""),
    }
}

/// Whether what follows `{` is how Python writes a dict.
fn is_python(text: &str) -> bool {
    let text = text.trim_start();
    text.starts_with('\'') || text.starts_with("u'") || text.starts_with("u\"")
}

fn is_rows(value: &Value) -> bool {
    value.as_array().is_some_and(|all| all.first().is_some_and(Value::is_object))
}

/// True for a value that a cell can hold.
fn is_single(value: &Value) -> bool {
    !matches!(value, Value::Null | Value::Array(_) | Value::Object(_))
}

/// The rows in the one object that `text` starts; it may be cut.
fn wrapper(text: &[u8]) -> Option<InnerRows> {
    /// Keys of single values, and the last key.
    struct Keys<'a>(&'a mut Vec<String>, &'a mut Option<String>);
    impl<'de> Visitor<'de> for Keys<'_> {
        type Value = ();
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
            while let Some(key) = map.next_key::<String>()? {
                *self.1 = Some(key.clone());
                if is_single(&map.next_value()?) {
                    self.0.push(key);
                }
            }
            Ok(())
        }
    }
    if let Ok(whole) = serde_json::from_slice::<Map<String, Value>>(text) {
        return InnerRows::of(&whole);
    }
    // Of a cut one, what is cut is the value of its last key.
    let (mut beside, mut last) = (Vec::new(), None);
    let _cut = serde_json::Deserializer::from_slice(text).deserialize_map(Keys(&mut beside, &mut last));
    let key = last?;
    let text = String::from_utf8_lossy(text);
    let after = text.split_once(&format!("\"{key}\""))?.1.trim_start().strip_prefix(':')?;
    let entry = after.trim_start().strip_prefix('[')?;
    entry.trim_start().starts_with('{').then_some(InnerRows { key, beside, shared: Vec::new() })
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
            assert_eq!(wrapper(text.as_bytes()).map(|rows| rows.key).as_deref(), key, "{text}");
        }
        let cut = wrapper(b"{\"user\": 7, \"tags\": [1], \"all\": null, \"seen\": [{\"item\": ").unwrap();
        assert_eq!((cut.key.as_str(), cut.beside), ("seen", vec!["user".to_string()]));
        assert_eq!(
            (jq_path("user_1"), jq_path("rows of it"), jq_path("$oid")),
            (".user_1".into(), ".\"rows of it\"".into(), ".\"$oid\"".into())
        );
    }
}
