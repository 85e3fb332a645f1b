//! Rows that are inside of the objects of a file, and how `jq` takes them out.

use std::collections::BTreeSet;
use std::slice;

use serde_json::{Map, Value};

use super::jq::{command, jq_path, jq_text};
use crate::data::formats::columns::{ITEM_IDS, USER, guess, is_usual_name, listed};

type Object = Map<String, Value>;

/// Rows of a list whose keys are looked at.
const ROWS: usize = 100;
/// Lists with the same keys that are taken for one table; two may be two tables.
const ALIKE: usize = 3;
/// Maximum of keys beside the rows that get another name; of others with the same name the rows' own win.
const RENAMED: usize = 20;
/// What `jq` makes of a list of values under the key of a user.
const VALUES: &str = r#"{"user": .key, "item": .value[]?}"#;
/// The same of an object of numbers.
const NUMBERS: &str = r#"{"user": .key} + (.value // {} | to_entries[] | {"item": .key, "rating": .value})"#;

/// Rows that objects hold instead of being rows.
pub(super) enum InnerRows {
    /// Under one key.
    Under {
        key: String,
        /// Keys beside it that hold no list.
        beside: Vec<String>,
        /// Those of them that the rows have too, or that would be taken for what the rows have: their users,
        /// their items.
        shared: Vec<String>,
    },
    /// Under every key.
    Keyed {
        /// The first of the keys.
        keys: Vec<String>,
        /// What `jq` makes of an object.
        program: String,
    },
}

impl InnerRows {
    /// The rows in `objects`: under all keys, or under one of the first object that has any.
    pub(super) fn of(objects: &[&Object]) -> Option<Self> {
        Self::keyed(objects).or_else(|| objects.iter().find_map(|object| Self::under(object)))
    }

    /// The rows under one key of `object`; of several, the first with an item.
    pub(super) fn under(object: &Object) -> Option<Self> {
        let lists = object.iter().filter(|(_, value)| is_rows(value));
        let (key, rows) = lists.min_by_key(|(_, rows)| guess(&columns(rows), ITEM_IDS).is_none())?;
        let columns = columns(rows);
        let roles: Vec<&[&str]> =
            [USER, ITEM_IDS].into_iter().filter(|role| guess(&columns, role).is_some()).collect();
        let is_shared = |name: &String| {
            let usual = || roles.iter().any(|role| guess(slice::from_ref(name), role).is_some());
            columns.binary_search(name).is_ok() || usual()
        };
        let beside = object.iter().filter(|(_, value)| !value.is_array());
        let beside: Vec<String> = beside.map(|(name, _)| name.clone()).collect();
        let shared = beside.iter().filter(|name| is_shared(name)).take(RENAMED).cloned().collect();
        Some(Self::Under { key: key.clone(), beside, shared })
    }

    /// The rows under all keys, which are no columns then: what is under them is alike.
    pub(super) fn keyed(objects: &[&Object]) -> Option<Self> {
        let (mut shape, mut found, mut keys) = (None, Vec::new(), BTreeSet::new());
        for (key, value) in objects.iter().flat_map(|object| object.iter()) {
            // A key that two objects have is a column.
            if is_usual_name(key) || !keys.insert(key) {
                return None;
            }
            if is_empty(value) {
                continue;
            }
            let of_value = Shape::of(value)?;
            if *shape.get_or_insert(of_value) != of_value {
                return None;
            }
            found.push((key, value));
        }
        if found.len() < 2 {
            return None;
        }
        let each: Vec<Vec<String>> = match shape? {
            Shape::Values | Shape::Numbers => Vec::new(),
            Shape::Rows | Shape::Row => found.iter().map(|(_, value)| columns(value)).collect(),
        };
        let has = |names: &Vec<String>, role: &[&str]| guess(names, role).is_some();
        let same = found.len() >= ALIKE && each.windows(2).all(|pair| pair[0] == pair[1]);
        if !(same || each.iter().all(|names| has(names, ITEM_IDS))) {
            return None;
        }
        // Rows with users of their own are listed by something else.
        let name = if each.iter().any(|names| has(names, USER)) { "outer_key" } else { "user" };
        let line = match shape? {
            Shape::Rows => format!("{{\"{name}\": .key}} + .value[]?"),
            Shape::Row => format!("{{\"{name}\": .key}} + (.value // empty)"),
            Shape::Values => VALUES.to_string(),
            Shape::Numbers => NUMBERS.to_string(),
        };
        let keys = found.iter().take(3).map(|(key, _)| (*key).clone()).collect();
        Some(Self::Keyed { keys, program: format!("to_entries[] | {line}") })
    }

    /// How to take them out. `each` is what `jq` needs to come to the objects; `several` where there are more
    /// than one of these: then what is beside the rows differs, and is kept. So is a user.
    pub(super) fn advice(&self, each: &str, several: bool) -> String {
        let (key, beside, shared) = match self {
            Self::Under { key, beside, shared } => (key, beside, shared),
            Self::Keyed { keys, program } => {
                return format!(
                    "the rows are listed by key ({}, …): write each with its key, with {}",
                    listed(keys),
                    command(&format!("{each}{program}"))
                );
            }
        };
        let (at, user) = (jq_path(key), guess(beside, USER));
        if beside.is_empty() || !(several || user.is_some()) {
            return format!(
                "`{key}` holds the rows: take them out with {}",
                command(&format!("{each}{at}[]?"))
            );
        }
        let outer =
            |name: &String| format!("{{{}: {}}} + ", jq_text(&format!("outer_{name}")), jq_path(name));
        let outer: String = shared.iter().map(outer).collect();
        let left_out: String = shared.iter().map(|name| format!(", {}", jq_path(name))).collect();
        let renamed = match shared.first() {
            Some(name) => format!("; `{name}` as `outer_{name}`, for the rows have their own"),
            None => String::new(),
        };
        format!(
            "`{key}` holds the rows: take them out, each with what is beside them (`{}`{renamed}), with {}",
            beside[user.unwrap_or(0)],
            command(&format!("{each}{outer}del({at}{left_out}) + {at}[]?"))
        )
    }
}

/// What is under a key of an object that is no row.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// A list of rows.
    Rows,
    /// A row.
    Row,
    /// A list of values.
    Values,
    /// An object of numbers.
    Numbers,
}

impl Shape {
    fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Array(_) if is_rows(value) => Some(Self::Rows),
            Value::Array(all) if all.iter().all(is_single) => Some(Self::Values),
            Value::Object(all)
                if all.values().all(Value::is_number) && !all.keys().any(|k| is_usual_name(k)) =>
            {
                Some(Self::Numbers)
            }
            Value::Object(_) => Some(Self::Row),
            _ => None,
        }
    }
}

/// The keys of the first rows of a list, or of one row, in order.
fn columns(rows: &Value) -> Vec<String> {
    let rows = match rows {
        Value::Array(rows) => rows.as_slice(),
        row => slice::from_ref(row),
    };
    let keys = rows.iter().take(ROWS).filter_map(Value::as_object).flat_map(Object::keys);
    keys.collect::<BTreeSet<_>>().into_iter().cloned().collect()
}

fn is_rows(value: &Value) -> bool {
    value.as_array().is_some_and(|all| all.first().is_some_and(Value::is_object))
}

/// True for a value that a cell can hold.
fn is_single(value: &Value) -> bool {
    !matches!(value, Value::Null | Value::Array(_) | Value::Object(_))
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

    /// What is said of a file of these objects; nothing where they hold no rows.
    fn advice(objects: &[&str]) -> String {
        let objects: Vec<Object> = objects.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
        let rows = InnerRows::of(&objects.iter().collect::<Vec<_>>());
        rows.map(|rows| rows.advice("", objects.len() > 1)).unwrap_or_default()
    }

    #[track_caller]
    fn takes_them_out(objects: &[&str], program: &str) {
        let said = advice(objects);
        assert!(said.contains(&format!("`jq -c '{program}' FILE > NEW.jsonl`")), "{said}");
    }

    #[test]
    fn what_is_listed_by_user_is_taken_out_for_every_user() {
        let rows = "to_entries[] | {\"user\": .key} + .value[]?";
        takes_them_out(&[r#"{"u1": [{"item": 1}], "u2": [{"item": 2}], "u3": null, "u4": []}"#], rows);
        takes_them_out(&[r#"{"u1": [{"item": 1}]}"#, r#"{"u2": [{"item": 2, "n": 1}]}"#], rows);
        takes_them_out(&[r#"{"u1": [{"code": 1}], "u2": [{"code": 2}], "u3": [{"code": 2}]}"#], rows);
        let values = "to_entries[] | {\"user\": .key, \"item\": .value[]?}";
        takes_them_out(&[r#"{"u1": ["a", "b"], "u2": ["c"], "u3": []}"#], values);
        let row = "to_entries[] | {\"user\": .key} + (.value // empty)";
        takes_them_out(&[r#"{"u1": {"item": 1, "rating": 5}, "u2": {"item": 2}}"#], row);
        let ratings = "to_entries[] | {\"user\": .key} + \
                       (.value // {} | to_entries[] | {\"item\": .key, \"rating\": .value})";
        takes_them_out(&[r#"{"u1": {"a": 5, "b": 3}, "u2": {"a": 1}}"#], ratings);
        // The key is no user where the rows have one.
        let other = "to_entries[] | {\"outer_key\": .key} + .value[]?";
        takes_them_out(&[r#"{"old": [{"uid": 7, "item": 1}], "new": [{"uid": 8, "item": 2}]}"#], other);
    }

    #[test]
    fn tables_beside_each_other_are_not_listed_by_user() {
        let tables = r#"{"people": [{"user": 1, "age": 9}], "views": [{"user": 1, "item": 2}]}"#;
        takes_them_out(&[tables], ".views[]?");
        takes_them_out(&[r#"{"data": [{"id": 1}], "included": [{"id": 2}]}"#], ".data[]?");
        takes_them_out(&[r#"{"data": [{"item": 1}], "errors": []}"#], ".data[]?");
        assert_eq!(advice(&[r#"{"tags": ["a"], "sizes": [1]}"#, r#"{"tags": ["b"], "sizes": []}"#]), "");
        assert_eq!(advice(&[r#"{"user": ["a"], "item": [1]}"#]), "");
    }

    #[test]
    fn the_first_object_with_rows_tells_where_they_are() {
        for empty in
            [r#"{"user": "a", "orders": null}"#, r#"{"user": "a", "orders": []}"#, r#"{"user": "a"}"#]
        {
            let full = r#"{"user": "b", "orders": [{"item": 1}]}"#;
            takes_them_out(&[empty, full], "del(.orders) + .orders[]?");
        }
        let customer = r#"{"customer": {"id": 7}, "orders": [{"item": 1}]}"#;
        takes_them_out(&[customer], "del(.orders) + .orders[]?");
    }

    #[test]
    fn the_users_of_the_rows_win_over_one_beside_them() {
        let same = r#"{"user_id": 1, "orders": [{"item": 1}, {"user_id": 2, "item": 1}]}"#;
        let program = "{\"outer_user_id\": .user_id} + del(.orders, .user_id) + .orders[]?";
        takes_them_out(&[same], program);
        // Of these two names the one beside would be taken for the user.
        let other = r#"{"user_id": 1, "orders": [{"user": 2, "item": 1}]}"#;
        takes_them_out(&[other], program);
        assert!(advice(&[other]).contains("`user_id` as `outer_user_id`, for the rows have their own"));
        let fewer: Vec<String> = (0..500).map(|n| format!("\"k{n}\": 1")).collect();
        let wide = format!("{{\"user\": 1, \"rows\": [{{{0}}}], {0}}}", fewer.join(", "));
        assert!(advice(&[&wide]).len() < 2000);
    }
}
