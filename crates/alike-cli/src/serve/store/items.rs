//! What is said of items at run time, as it is written and read: an item's newest record, under a number that
//! grows with every change.

use serde_json::{Map, Value};

use super::error::{Result, StoreError};

/// Records that are read at once.
pub(super) const PAGE: usize = 5_000;

/// What is to become of an item's record.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ItemChange {
    /// These fields, and no others.
    Put(Map<String, Value>),
    /// These fields, and those of before that it does not name; null takes one away.
    Patch(Map<String, Value>),
    /// The item goes.
    Delete,
}

/// What is said of an item.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct ItemRecord {
    /// Whether what the prepared catalogue says of it counts no more.
    pub(crate) replaces: bool,
    /// By name; null says that there is none, whatever the catalogue says.
    pub(crate) fields: Map<String, Value>,
}

/// A record as it is read: none where the item is gone.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StoredItem {
    pub(crate) seq: i64,
    pub(crate) item: String,
    pub(crate) record: Option<ItemRecord>,
}

impl ItemChange {
    /// The record after this change to `before`: of an item of which nothing was said it is missing, of one
    /// that is gone it is none. What is gone comes back by `Put` alone.
    pub(crate) fn after(&self, before: Option<Option<ItemRecord>>) -> Option<ItemRecord> {
        match self {
            Self::Put(fields) => Some(ItemRecord { replaces: true, fields: fields.clone() }),
            Self::Patch(fields) => {
                let mut record = before.unwrap_or_else(|| Some(ItemRecord::default()))?;
                for (name, value) in fields {
                    merge(&mut record.fields, name, value);
                }
                Some(record)
            }
            Self::Delete => None,
        }
    }
}

/// Sets a field; of an object, its members one by one.
fn merge(fields: &mut Map<String, Value>, name: &str, value: &Value) {
    match (fields.get_mut(name), value) {
        (Some(Value::Object(old)), Value::Object(new)) => {
            new.iter().for_each(|(name, value)| merge(old, name, value));
        }
        _ => {
            fields.insert(name.to_string(), value.clone());
        }
    }
}

impl ItemRecord {
    /// What else filters may ask for.
    pub(crate) fn attributes(&self) -> Option<&Map<String, Value>> {
        self.fields.get("attributes")?.as_object()
    }

    /// As it is stored.
    pub(super) fn text(&self) -> String {
        let mut fields = self.fields.clone();
        if self.replaces {
            fields.insert(REPLACES.into(), Value::Bool(true));
        }
        Value::Object(fields).to_string()
    }
}

/// The member of a stored record that is no field of an item.
const REPLACES: &str = "$replaces";

/// A record from its row.
pub(super) fn record(text: Option<&str>) -> Result<Option<ItemRecord>> {
    let Some(text) = text else { return Ok(None) };
    let wrong =
        |e: serde_json::Error| StoreError::Failed(format!("the store holds an item that is no record: {e}"));
    let mut fields: Map<String, Value> = serde_json::from_str(text).map_err(wrong)?;
    let replaces = fields.remove(REPLACES).is_some();
    Ok(Some(ItemRecord { replaces, fields }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(json: Value) -> Map<String, Value> {
        json.as_object().unwrap().clone()
    }

    #[test]
    fn patches_change_what_they_name_and_puts_everything() {
        let patch = |json| ItemChange::Patch(fields(json));
        let first = patch(json!({"price": 3, "attributes": {"a": 1, "b": 2}})).after(None);
        let second =
            patch(json!({"price": null, "attributes": {"b": 5}, "stock": 1})).after(Some(first)).unwrap();
        let wanted = json!({"price": null, "attributes": {"a": 1, "b": 5}, "stock": 1});
        assert_eq!((second.replaces, Value::Object(second.fields.clone())), (false, wanted));
        let put = ItemChange::Put(fields(json!({"title": "x"}))).after(Some(Some(second))).unwrap();
        let patched = patch(json!({"stock": 0})).after(Some(Some(put))).unwrap();
        assert!(patched.replaces);
        assert_eq!(Value::Object(patched.fields.clone()), json!({"title": "x", "stock": 0}));
        assert_eq!(record(Some(&patched.text())).unwrap().as_ref(), Some(&patched));
        assert_eq!(ItemChange::Delete.after(Some(Some(patched))), None);
        assert_eq!(patch(json!({"stock": 1})).after(Some(None)), None, "what is gone stays gone");
        assert!(record(Some("[]")).is_err());
    }
}
