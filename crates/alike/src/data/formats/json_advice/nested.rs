//! Rows that are inside of the objects of a file, and how `jq` takes them out.

use std::collections::BTreeSet;
use std::slice;

use serde_json::Value;

use super::jq::{command, entries, jq_path, jq_text};
use super::shape::{Known, Object, Shape, columns, is_empty, is_rows, is_single};
use super::table;
use crate::data::formats::columns::{ITEM_IDS, USER, guess, is_usual_name, listed};

/// Lists with the same keys that are taken for one table; two may be two tables.
const ALIKE: usize = 3;
/// Maximum of keys beside the rows that get another name; of others with the same name the rows' own win.
const RENAMED: usize = 20;
/// What a key is called beside the rows under it.
const OUTER_KEY: &str = "outer_key";

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
    /// In another way.
    Other {
        /// What is where.
        says: String,
        /// What `jq` makes of an object.
        program: String,
    },
}

impl InnerRows {
    /// The rows in `objects`: under all keys, as lists, under one key of the first object that has any, or
    /// under all keys of what is under one.
    pub(super) fn of(objects: &[&Object]) -> Option<Self> {
        Self::keyed(objects)
            .or_else(|| Self::of_one_key(objects))
            .or_else(|| objects.iter().find_map(|object| Self::lists(object)))
            .or_else(|| objects.iter().find_map(|object| Self::under(object)))
            .or_else(|| Self::within(objects))
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
        let (keys, shape) = alike(objects)?;
        if keys.len() < 2 {
            return None;
        }
        let each: Vec<Vec<String>> = match shape {
            Shape::Rows | Shape::Row => keys.iter().map(|(_, value)| columns(value)).collect(),
            _ => Vec::new(),
        };
        let has = |names: &Vec<String>, role: &[&str]| guess(names, role).is_some();
        let same = keys.len() >= ALIKE && each.windows(2).all(|pair| pair[0] == pair[1]);
        if !(same || each.iter().all(|names| has(names, ITEM_IDS))) {
            return None;
        }
        // Rows with users of their own are listed by something else.
        let name = if each.iter().any(|names| has(names, USER)) { OUTER_KEY } else { "user" };
        Some(Self::listed_by(&keys, shape, name))
    }

    /// What a single object has under its only key, which is a user's or an item's then.
    fn of_one_key(objects: &[&Object]) -> Option<Self> {
        let [object] = objects else { return None };
        let (keys, shape) = alike(objects).filter(|(keys, _)| keys.len() == 1 && object.len() == 1)?;
        let is_told = matches!(shape, Shape::Values | Shape::Lists(_) | Shape::Items(_));
        is_told.then(|| Self::listed_by(&keys, shape, "user"))
    }

    /// Rows that are lists, under one key; of a user, what is known of each item.
    fn lists(object: &Object) -> Option<Self> {
        let user = user_of(object);
        let known =
            object.iter().filter(|_| user.is_some()).find_map(|(key, value)| match Shape::of(value)? {
                Shape::Lists(known) => Some((key, known)),
                _ => None,
            });
        if let (Some((key, known)), Some(user)) = (known, user) {
            let at = jq_path(key);
            let program = format!("del({at}) + ({at}[]? | {})", item_of_list(known));
            return Some(Self::Other {
                says: format!("`{key}` lists items of `{user}`: take them out"),
                program,
            });
        }
        let (says, program) = table::of_lists(object)?;
        Some(Self::Other { says, program })
    }

    /// The rows under all keys of the object under one key.
    fn within(objects: &[&Object]) -> Option<Self> {
        let first = objects.iter().find(|object| object.values().any(|v| v.is_object() && !is_empty(v)))?;
        let user = user_of(first);
        for (key, value) in first.iter().filter(|(key, _)| !is_usual_name(key)) {
            let Some(inner) = value.as_object() else { continue };
            let at = jq_path(key);
            if let Some(user) = user {
                // What is in one object is of its user.
                if let Some(Shape::Items(known)) = Shape::of(value) {
                    let says = format!("`{key}` lists items of `{user}` by key: take them out");
                    let program = format!("del({at}) + ({at} // {{}} | {})", item_of_entry(known));
                    return Some(Self::Other { says, program });
                }
                if Self::keyed(&[inner]).is_some()
                    && let Some((keys, shape)) = alike(&[inner])
                    && let Self::Other { says, program } = Self::listed_by(&keys, shape, OUTER_KEY)
                {
                    let program = format!("del({at}) + ({at} // {{}} | {program})");
                    return Some(Self::Other { says: format!("in `{key}` {says}"), program });
                }
                continue;
            }
            // Of several objects the same keys are columns.
            let inner: Vec<&Object> =
                objects.iter().filter_map(|object| object.get(key)?.as_object()).collect();
            if let Some(Self::Other { says, program }) = Self::keyed(&inner) {
                let program = format!("{at} // {{}} | {program}");
                return Some(Self::Other { says: format!("in `{key}` {says}"), program });
            }
        }
        None
    }

    /// Rows under `keys`, each of which becomes the column `name`.
    fn listed_by(keys: &[(&String, &Value)], shape: Shape, name: &str) -> Self {
        let line = match shape {
            Shape::Rows => format!("{{\"{name}\": .key}} + {}", entries(".value")),
            Shape::Row => format!("{{\"{name}\": .key}} + (.value // empty)"),
            Shape::Values => format!("{{\"{name}\": .key, \"item\": {}}}", entries(".value")),
            Shape::Lists(known) => format!("{{\"{name}\": .key}} + (.value[]? | {})", item_of_list(known)),
            Shape::Items(known) => {
                format!("{{\"{name}\": .key}} + (.value // {{}} | {})", item_of_entry(known))
            }
        };
        let keys: Vec<String> = keys.iter().take(3).map(|(key, _)| (*key).clone()).collect();
        let says = format!("the rows are listed by key ({}, …): write each with its key", listed(&keys));
        Self::Other { says, program: format!("to_entries[] | {line}") }
    }

    /// How to take them out. `each` is what `jq` needs to come to the objects; `several` where there are more
    /// than one of these: then what is beside the rows differs, and is kept. So is a user.
    pub(super) fn advice(&self, each: &str, several: bool) -> String {
        let (key, beside, shared) = match self {
            Self::Under { key, beside, shared } => (key, beside, shared),
            Self::Other { says, program } => {
                return format!("{says}, with {}", command(&format!("{each}{program}")));
            }
        };
        let (at, user) = (jq_path(key), guess(beside, USER));
        if beside.is_empty() || !(several || user.is_some()) {
            return format!(
                "`{key}` holds the rows: take them out with {}",
                command(&format!("{each}{}", entries(&at)))
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
            command(&format!("{each}{outer}del({at}{left_out}) + {}", entries(&at)))
        )
    }
}

/// The keys of `objects` with something under them and what that is, where it is alike and no key is a
/// column.
fn alike<'a>(objects: &[&'a Object]) -> Option<(Vec<(&'a String, &'a Value)>, Shape)> {
    let (mut shape, mut found, mut keys) = (None, Vec::new(), BTreeSet::new());
    for (key, value) in objects.iter().copied().flat_map(|object| object.iter()) {
        // A key that two objects have is a column.
        if is_usual_name(key) || !keys.insert(key) {
            return None;
        }
        if is_empty(value) {
            continue;
        }
        let of_value = Shape::of(value)?;
        shape = Some(match shape {
            None => of_value,
            Some(before) => of_value.and(before)?,
        });
        found.push((key, value));
    }
    // The same keys with values of no kind are columns rather than items.
    let is_table = |found: &[(&String, &Value)]| {
        found.len() > 1 && found.windows(2).all(|pair| columns(pair[0].1) == columns(pair[1].1))
    };
    let shape = match shape? {
        Shape::Items(Known::Other) if is_table(&found) => Shape::Row,
        shape => shape,
    };
    Some((found, shape))
}

/// The column of users of an object without a column of items.
fn user_of(object: &Object) -> Option<&String> {
    let single = object.iter().filter(|(_, value)| is_single(value) && !value.is_null());
    let names: Vec<String> = single.map(|(name, _)| name.clone()).collect();
    let user = guess(&names, USER)?;
    let all: Vec<String> = object.keys().cloned().collect();
    match guess(&all, ITEM_IDS) {
        Some(_) => None,
        None => object.get_key_value(&names[user]).map(|(name, _)| name),
    }
}

/// What `jq` makes of a list of an item and what is known of it.
fn item_of_list(known: Known) -> String {
    format!("{{\"item\": .[0], \"{}\": .[1]}}", known.column())
}

/// The same of an object of items. Those that are false were not taken.
fn item_of_entry(known: Known) -> String {
    match known {
        Known::Truth => "to_entries[] | select(.value != false) | {\"item\": .key}".into(),
        _ => format!("to_entries[] | {{\"item\": .key, \"{}\": .value}}", known.column()),
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
        let rows =
            "to_entries[] | {\"user\": .key} + (.value | if type == \"array\" then .[] else . // empty end)";
        takes_them_out(&[r#"{"u1": [{"item": 1}], "u2": [{"item": 2}], "u3": null, "u4": []}"#], rows);
        takes_them_out(&[r#"{"u1": [{"item": 1}]}"#, r#"{"u2": [{"item": 2, "n": 1}]}"#], rows);
        takes_them_out(&[r#"{"u1": [{"code": 1}], "u2": [{"code": 2}], "u3": [{"code": 2}]}"#], rows);
        let values = "to_entries[] | {\"user\": .key, \"item\": (.value | if type == \"array\" then .[] else . // empty end)}";
        takes_them_out(&[r#"{"u1": ["a", "b"], "u2": ["c"], "u3": []}"#], values);
        let row = "to_entries[] | {\"user\": .key} + (.value // empty)";
        takes_them_out(&[r#"{"u1": {"item": 1, "rating": 5}, "u2": {"item": 2}}"#], row);
        let ratings = "to_entries[] | {\"user\": .key} + \
                       (.value // {} | to_entries[] | {\"item\": .key, \"rating\": .value})";
        takes_them_out(&[r#"{"u1": {"a": 5, "b": 3}, "u2": {"a": 1}}"#], ratings);
        // The key is no user where the rows have one.
        let other = "to_entries[] | {\"outer_key\": .key} + (.value | if type == \"array\" then .[] else . // empty end)";
        takes_them_out(&[r#"{"old": [{"uid": 7, "item": 1}], "new": [{"uid": 8, "item": 2}]}"#], other);
    }

    #[test]
    fn tables_beside_each_other_are_not_listed_by_user() {
        let tables = r#"{"people": [{"user": 1, "age": 9}], "views": [{"user": 1, "item": 2}]}"#;
        takes_them_out(&[tables], &entries(".views"));
        takes_them_out(&[r#"{"data": [{"id": 1}], "included": [{"id": 2}]}"#], &entries(".data"));
        takes_them_out(&[r#"{"data": [{"item": 1}], "errors": []}"#], &entries(".data"));
        assert_eq!(advice(&[r#"{"tags": ["a"], "sizes": [1]}"#, r#"{"tags": ["b"], "sizes": []}"#]), "");
        assert_eq!(advice(&[r#"{"user": ["a"], "item": [1]}"#]), "");
    }

    #[test]
    fn the_first_object_with_rows_tells_where_they_are() {
        for empty in
            [r#"{"user": "a", "orders": null}"#, r#"{"user": "a", "orders": []}"#, r#"{"user": "a"}"#]
        {
            let full = r#"{"user": "b", "orders": [{"item": 1}]}"#;
            takes_them_out(&[empty, full], &format!("del(.orders) + {}", entries(".orders")));
        }
        let customer = r#"{"customer": {"id": 7}, "orders": [{"item": 1}]}"#;
        takes_them_out(&[customer], &format!("del(.orders) + {}", entries(".orders")));
    }

    #[test]
    fn the_users_of_the_rows_win_over_one_beside_them() {
        let same = r#"{"user_id": 1, "orders": [{"item": 1}, {"user_id": 2, "item": 1}]}"#;
        let program =
            "{\"outer_user_id\": .user_id} + del(.orders, .user_id) + ".to_string() + &entries(".orders");
        takes_them_out(&[same], &program);
        // Of these two names the one beside would be taken for the user.
        let other = r#"{"user_id": 1, "orders": [{"user": 2, "item": 1}]}"#;
        takes_them_out(&[other], &program);
        assert!(advice(&[other]).contains("`user_id` as `outer_user_id`, for the rows have their own"));
        let fewer: Vec<String> = (0..500).map(|n| format!("\"k{n}\": 1")).collect();
        let wide = format!("{{\"user\": 1, \"rows\": [{{{0}}}], {0}}}", fewer.join(", "));
        assert!(advice(&[&wide]).len() < 2000);
    }

    #[test]
    fn objects_of_items_by_user_are_taken_out_whatever_is_known_of_the_items() {
        let line = |entry: &str| format!("to_entries[] | {{\"user\": .key}} + (.value // {{}} | {entry})");
        let truth = line("to_entries[] | select(.value != false) | {\"item\": .key}");
        takes_them_out(&[r#"{"u0": {"i1": true, "i2": true}, "u1": {"i3": true}}"#], &truth);
        takes_them_out(&[r#"{"u0": {"i1": null}, "u1": {"i1": null}}"#], &truth);
        let known = |name: &str| line(&format!("to_entries[] | {{\"item\": .key, \"{name}\": .value}}"));
        takes_them_out(&[r#"{"u0": {"i1": 5, "i2": null}, "u1": {"i1": 3}}"#], &known("rating"));
        let dates = r#"{"u0": {"i1": "2024-01-31"}, "u1": {"i1": "2024-02-01"}}"#;
        takes_them_out(&[dates], &known("time"));
        takes_them_out(&[r#"{"u0": {"i1": true, "i2": 3}, "u1": {"i1": "x"}}"#], &known("value"));
        takes_them_out(&[r#"{"u0": {"i1": 5, "i2": 3}}"#], &known("rating"));
        let lists = "to_entries[] | {\"user\": .key} + (.value[]? | {\"item\": .[0], \"rating\": .[1]})";
        takes_them_out(&[r#"{"u0": [["i1", 5]]}"#], lists);
        for values in [r#"{"u0": ["a", null], "u1": ["b"]}"#, r#"{"u0": ["a", "b"]}"#] {
            let item = format!("to_entries[] | {{\"user\": .key, \"item\": {}}}", entries(".value"));
            takes_them_out(&[values], &item);
        }
        // Of one user there may be the entry of a list of one.
        let mixed = r#"{"u0": [{"item": 1}, {"item": 2}], "u1": {"item": 1}}"#;
        takes_them_out(&[mixed], &format!("to_entries[] | {{\"user\": .key}} + {}", entries(".value")));
    }

    #[test]
    fn rows_by_key_under_one_key_are_taken_out_at_once() {
        let likes =
            format!(".likes // {{}} | to_entries[] | {{\"user\": .key, \"item\": {}}}", entries(".value"));
        takes_them_out(&[r#"{"likes": {"u0": ["i1"], "u1": ["i2", "i3"]}, "version": 2}"#], &likes);
        let events = ".events // {} | to_entries[] | {\"outer_key\": .key} + (.value // empty)";
        takes_them_out(
            &[r#"{"events": {"-N1": {"user": "a", "item": 1}, "-N2": {"user": "b", "item": 1}}}"#],
            events,
        );
        // The same keys in several objects are columns.
        let two =
            [r#"{"event": {"a": {"x": 1}, "b": {"x": 2}}}"#, r#"{"event": {"a": {"x": 3}, "b": {"x": 2}}}"#];
        assert_eq!(advice(&two), "");
        // Beside a user.
        let items = "del(.seen) + (.seen // {} | to_entries[] | {\"item\": .key, \"rating\": .value})";
        takes_them_out(&[r#"{"user": "a", "seen": {"i1": 5, "i2": 3}}"#, r#"{"user": "b"}"#], items);
        let lists = "del(.seen) + (.seen[]? | {\"item\": .[0], \"rating\": .[1]})";
        takes_them_out(&[r#"{"user": "a", "seen": [["i1", 5]]}"#], lists);
        let orders =
            "del(.orders) + (.orders // {} | to_entries[] | {\"outer_key\": .key} + (.value // empty))";
        takes_them_out(&[r#"{"user": "a", "orders": {"n1": {"item": 1}, "n2": {"item": 2}}}"#], orders);
    }
}
