//! Columns beside each other, and rows without names, and how `jq` makes objects of them.

use serde_json::Value;

use super::jq::{command, jq_path};
use super::shape::{Object, is_list_of_values, is_single};
use crate::data::formats::columns::{CATALOGUE_ID, ITEM_IDS, USER, guess, is_usual_name, listed};

/// Columns that a command names.
const NAMED: usize = 6;
/// Keys that two columns must have alike, where they are no numbers.
const ALIKE: usize = 3;
/// What `jq` makes of `$names` and of a list of as many values.
const NAMED_ROW: &str = "[$names, .] | transpose | map({(.[0]): .[1]}) | add";
/// The same of a list without names.
const ROW: &str = r#"{"user": .[0], "item": .[1]}"#;

/// What to do about an object whose columns hold a value for each row, of which `key` is one; `each` is what
/// `jq` needs to come to the object. None where `key` alone holds several.
pub(super) fn of_columns(object: &Object, key: &str, each: &str) -> Option<String> {
    let value = object.get(key)?;
    let alike = object.iter().filter(|(_, other)| are_alike(value, other)).map(|(name, _)| name.clone());
    let mut alike: Vec<String> = alike.collect();
    alike.sort();
    if alike.len() < 2 {
        return other_length(object, key);
    }
    let paths: Vec<String> = alike.iter().take(NAMED).map(|name| jq_path(name)).collect();
    Some(if value.is_array() {
        let all = format!("[{} | if type == \"array\" then length else 1 end] | max", paths.join(", "));
        let take =
            format!("{each}range({all}) as $n | map_values(if type == \"array\" then .[$n] else . end)");
        format!(
            "the columns {} are lists of one length: make a row of each place, with {}",
            listed(&alike),
            command(&take)
        )
    } else {
        let take = format!(
            "{each}({} | keys_unsorted[]) as $n | map_values(if type == \"object\" then .[$n] else . end)",
            paths[0]
        );
        format!(
            "the columns {} hold objects of the same keys, as pandas writes them; write one row a line \
             (`to_json(…, orient=\"records\", lines=True)`), or make a row of each key, with {}",
            listed(&alike),
            command(&take)
        )
    })
}

/// As [`of_columns`] of a catalogue, where the column of its ids is such a column.
pub(super) fn of_catalogue(object: &Object, each: &str) -> Option<String> {
    let names: Vec<String> = object.keys().cloned().collect();
    let id = guess(&names, ITEM_IDS).or_else(|| guess(&names, CATALOGUE_ID))?;
    let key = &names[id];
    let has_several = object.values().filter(|other| are_alike(&object[key], other)).count() > 1;
    has_several.then(|| of_columns(object, key, each)).flatten()
}

/// Whether two columns hold values for the same rows.
fn are_alike(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Array(one), Value::Array(other)) => one.len() > 1 && one.len() == other.len(),
        (Value::Object(one), Value::Object(other)) => {
            let are_numbers = || one.keys().all(|key| key.bytes().all(|c| c.is_ascii_digit()));
            let are_keys = || one.len() >= ALIKE && !one.keys().any(|key| is_usual_name(key));
            !one.is_empty()
                && one.len() == other.len()
                && one.values().chain(other.values()).all(is_single)
                && (are_numbers() || are_keys())
                && one.keys().all(|key| other.contains_key(key))
        }
        _ => false,
    }
}

/// What to say of users and items in lists of two lengths: each of one would be put together with each of the
/// other.
fn other_length(object: &Object, key: &str) -> Option<String> {
    let length = |value: &Value| value.as_array().map(Vec::len).filter(|&n| n > 1);
    let own = length(object.get(key)?)?;
    let is_id =
        |name: &String| [USER, ITEM_IDS].iter().any(|role| guess(std::slice::from_ref(name), role).is_some());
    let (other, n) = object
        .iter()
        .filter(|(name, _)| *name != key && is_id(name))
        .find_map(|(name, value)| Some((name, length(value)?)))?;
    Some(format!(
        "column `{key}` holds a list of {own} and `{other}` one of {n}: which belong together is not said; write \
         an object for each row"
    ))
}

/// Rows without names under a key of `object`: what to say, and what `jq` makes of the object.
pub(super) fn of_lists(object: &Object) -> Option<(String, String)> {
    let (key, first) = object.iter().find_map(|(key, value)| {
        let first = value.as_array()?.first().filter(|first| is_list_of_values(first))?;
        Some((key, first.as_array()?))
    })?;
    let at = jq_path(key);
    let others = object.iter().filter(|(name, _)| *name != key);
    let lists = others.filter_map(|(name, value)| {
        let all = value.as_array().filter(|all| all.len() == first.len())?;
        if let Some(names) = texts(all.iter()) {
            return Some((names, jq_path(name)));
        }
        let names = texts(all.iter().filter_map(|entry| entry.get("name")));
        let names = names.filter(|names| names.len() == all.len())?;
        Some((names, format!("[{}[].name]", jq_path(name))))
    });
    // Rows may have names, too.
    let names = lists.min_by_key(|(names, _)| !names.iter().any(|name| is_usual_name(name)));
    Some(match names {
        Some((_, names)) => (
            format!("`{key}` holds the rows as lists: write each with its names"),
            format!("{names} as $names | {at}[] | {NAMED_ROW}"),
        ),
        None => (
            format!("`{key}` holds rows without names: name what each place holds"),
            format!("{at}[] | {ROW}"),
        ),
    })
}

/// The texts that all of `values` are.
fn texts<'a>(values: impl Iterator<Item = &'a Value>) -> Option<Vec<String>> {
    values.map(|value| value.as_str().map(String::from)).collect()
}

/// What to do about a file of lists, of which `first` is the first: one in an outer list, or one a line.
pub(super) fn of_first_list(first: &[Value], one_a_line: bool) -> String {
    let names = texts(first.iter()).unwrap_or_default();
    let has_names = names.iter().any(|name| is_usual_name(name));
    let program = match (has_names, one_a_line) {
        (true, false) => format!(".[0] as $names | .[1:][] | {NAMED_ROW}"),
        (true, true) => format!(". as $names | inputs | {NAMED_ROW}"),
        (false, false) => format!(".[] | {ROW}"),
        (false, true) => ROW.to_string(),
    };
    let what = if has_names {
        "the rows are lists, the first of names: write each with its names"
    } else {
        "the rows are lists without names: name what each place holds"
    };
    format!("{what}, with {}", command(&program))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(text: &str) -> Object {
        serde_json::from_str(text).unwrap()
    }

    #[track_caller]
    fn says(text: &str, key: &str, part: &str) {
        let said = of_columns(&object(text), key, "").unwrap_or_default();
        assert!(said.contains(part), "{said}");
    }

    #[test]
    fn columns_of_lists_are_taken_place_by_place() {
        let two = "jq -c 'range([.item, .user | if type == \"array\" then length else 1 end] | max) as $n | \
                   map_values(if type == \"array\" then .[$n] else . end)' FILE";
        says(r#"{"user": ["a", "b"], "item": [1, 2], "tags": ["x"], "shop": 7}"#, "item", two);
        says(r#"{"user": "a", "item": [1, 2], "rating": [5, 4]}"#, "item", "range([.item, .rating | ");
        says(r#"{"user": ["a", "b"], "item": [1, 2, 3]}"#, "user", "a list of 2 and `item` one of 3");
        assert_eq!(of_columns(&object(r#"{"user": "a", "item": [1, 2]}"#), "item", ""), None);
    }

    #[test]
    fn columns_of_objects_are_taken_key_by_key() {
        let take = "jq -c '(.item | keys_unsorted[]) as $n | \
                    map_values(if type == \"object\" then .[$n] else . end)' FILE";
        says(r#"{"user": {"0": "a", "1": "b"}, "item": {"0": 1, "1": null}}"#, "item", take);
        says(r#"{"user": {"p": "a", "q": "b", "r": 1}, "item": {"r": 1, "q": 2, "p": 3}}"#, "user", take);
        for row in [
            r#"{"user": {"$oid": "a"}, "item": {"$oid": "b"}}"#,
            r#"{"user": {"id": 1, "name": "a", "x": 1}, "item": {"id": 1, "name": "b", "x": 1}}"#,
            r#"{"user": {"0": "a", "1": "b"}, "item": {"0": 1, "2": 1}}"#,
            r#"{"user": {}, "item": {}}"#,
        ] {
            assert_eq!(of_columns(&object(row), "user", ""), None, "{row}");
        }
        assert!(of_catalogue(&object(r#"{"id": [1, 2], "title": ["a", "b"]}"#), "").is_some());
        assert!(of_catalogue(&object(r#"{"id": 1, "title": ["a", "b"], "tags": ["c", "d"]}"#), "").is_none());
    }

    #[test]
    fn rows_without_names_get_those_that_are_there() {
        let program = |text: &str| of_lists(&object(text)).map(|(_, program)| program).unwrap_or_default();
        let split = r#"{"columns": ["user", "item"], "index": [0, 1], "data": [["a", 1], ["b", 2]]}"#;
        let named = "| [$names, .] | transpose | map({(.[0]): .[1]}) | add";
        assert_eq!(program(split), format!(".columns as $names | .data[] {named}"));
        let described = r#"{"columns": [{"name": "user"}, {"name": "item"}], "rows": [["a", 1]]}"#;
        assert_eq!(program(described), format!("[.columns[].name] as $names | .rows[] {named}"));
        assert_eq!(program(r#"{"data": [["a", 1]]}"#), ".data[] | {\"user\": .[0], \"item\": .[1]}");
        assert_eq!(program(r#"{"data": [1, 2], "more": [{"a": 1}]}"#), "");
        let first = |text: &str, lines| {
            of_first_list(serde_json::from_str::<Vec<Value>>(text).unwrap().as_slice(), lines)
        };
        assert!(first(r#"["user", "item"]"#, false).contains("'.[0] as $names | .[1:][] | [$names, .] |"));
        assert!(first(r#"["user", "item"]"#, true).contains("'. as $names | inputs | [$names, .] |"));
        assert!(first(r#"["a", 7]"#, false).contains("'.[] | {\"user\": .[0], \"item\": .[1]}'"));
        assert!(first(r#"["a", "b"]"#, true).contains("'{\"user\": .[0], \"item\": .[1]}'"));
    }
}
