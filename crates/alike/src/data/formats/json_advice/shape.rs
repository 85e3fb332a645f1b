//! What a value that is no cell looks like, where it stands for rows.

use std::collections::BTreeSet;
use std::slice;

use serde_json::{Map, Value};

use crate::data::formats::columns::is_usual_name;

/// An object.
pub(super) type Object = Map<String, Value>;

/// Rows of a list whose keys are looked at.
const ROWS: usize = 100;
/// Shortest text that may be a time, such as `1/2/2024`.
const TIME_LENGTH: usize = 8;

/// What is under a key of an object that is no row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// A list of rows.
    Rows,
    /// A row.
    Row,
    /// A list of values.
    Values,
    /// A list of lists, each an item with what is known of it.
    Lists(Known),
    /// An object of items with what is known of each.
    Items(Known),
}

/// What is known of items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// Whether they were taken.
    Truth,
    Number,
    Time,
    /// Values of another kind, or of several.
    Other,
}

impl Shape {
    pub(super) fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Array(_) if is_rows(value) => Some(Self::Rows),
            Value::Array(all) if all.iter().all(is_single) => Some(Self::Values),
            Value::Array(all) if all.iter().all(is_list_of_values) => {
                let second = all.iter().filter_map(|list| list.get(1));
                Some(Self::Lists(Known::of(second)))
            }
            Value::Object(all) if all.values().all(is_single) && !all.keys().any(|k| is_usual_name(k)) => {
                Some(Self::Items(Known::of(all.values())))
            }
            Value::Object(_) => Some(Self::Row),
            _ => None,
        }
    }

    /// What both are: programs that turn XML into JSON write a list of one as its entry.
    pub(super) fn and(self, other: Self) -> Option<Self> {
        Some(match (self, other) {
            (one, same) if one == same => one,
            (Self::Rows, Self::Row) | (Self::Row, Self::Rows) => Self::Rows,
            (Self::Lists(_), Self::Lists(_)) => Self::Lists(Known::Other),
            (Self::Items(_), Self::Items(_)) => Self::Items(Known::Other),
            _ => return None,
        })
    }
}

impl Known {
    /// What `values` are; any of them may be null.
    fn of<'a>(values: impl Iterator<Item = &'a Value>) -> Self {
        let mut kind = None;
        for value in values {
            let of_value = match value {
                Value::Null => continue,
                Value::Bool(_) => Self::Truth,
                Value::Number(_) => Self::Number,
                Value::String(text) if looks_like_time(text) => Self::Time,
                _ => Self::Other,
            };
            if *kind.get_or_insert(of_value) != of_value {
                return Self::Other;
            }
        }
        kind.unwrap_or(Self::Truth)
    }

    /// The column that `jq` makes of such values.
    pub(super) fn column(self) -> &'static str {
        match self {
            Self::Number => "rating",
            Self::Time => "time",
            Self::Truth | Self::Other => "value",
        }
    }
}

fn looks_like_time(text: &str) -> bool {
    text.len() >= TIME_LENGTH
        && text.starts_with(|c: char| c.is_ascii_digit())
        && text.contains(['-', '/', '.', ':'])
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-/.:+, ".contains(c))
}

/// The keys of the first rows of a list, or of one row, in order.
pub(super) fn columns(rows: &Value) -> Vec<String> {
    let rows = match rows {
        Value::Array(rows) => rows.as_slice(),
        row => slice::from_ref(row),
    };
    let keys = rows.iter().take(ROWS).filter_map(Value::as_object).flat_map(Object::keys);
    keys.collect::<BTreeSet<_>>().into_iter().cloned().collect()
}

pub(super) fn is_rows(value: &Value) -> bool {
    value.as_array().is_some_and(|all| all.first().is_some_and(Value::is_object))
}

/// True for a value that a cell can hold.
pub(super) fn is_single(value: &Value) -> bool {
    !matches!(value, Value::Array(_) | Value::Object(_))
}

/// True for a row without names: a list that starts with a value.
pub(super) fn is_list_of_values(value: &Value) -> bool {
    value.as_array().and_then(|all| all.first()).is_some_and(is_single)
}

/// True for a value in which rows would be, and are not.
pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(all) => all.is_empty(),
        Value::Object(all) => all.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_tell_what_is_known_of_items() {
        let known = |text: &str| Shape::of(&serde_json::from_str(text).unwrap());
        for (text, shape) in [
            (r#"{"a": true, "b": null}"#, Some(Shape::Items(Known::Truth))),
            (r#"{"a": 5, "b": null}"#, Some(Shape::Items(Known::Number))),
            (r#"{"a": "2024-01-31", "b": "31.1.2024 10:00"}"#, Some(Shape::Items(Known::Time))),
            (r#"{"a": "red", "b": 1}"#, Some(Shape::Items(Known::Other))),
            (r#"{"item": "a", "b": 1}"#, Some(Shape::Row)),
            (r#"{"a": {"b": 1}}"#, Some(Shape::Row)),
            (r#"["a", null]"#, Some(Shape::Values)),
            (r#"[["a", 5], ["b"]]"#, Some(Shape::Lists(Known::Number))),
            (r#"[{"a": 1}]"#, Some(Shape::Rows)),
            (r#"["a", ["b"]]"#, None),
            ("7", None),
        ] {
            assert_eq!(known(text), shape, "{text}");
        }
        assert_eq!(Shape::Rows.and(Shape::Row), Some(Shape::Rows));
        assert_eq!(Shape::Rows.and(Shape::Values), None);
    }
}
