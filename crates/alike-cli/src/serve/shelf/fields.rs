//! What can be said of an item.

use std::collections::BTreeMap;

use alike::rules::{AttributeValue, values_of_json};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use utoipa::ToSchema;

use crate::serve::encoder::Encoded;
use crate::serve::error::{ApiError, ApiResult};
use crate::serve::extract::whole_or_none;
use crate::serve::store::ItemRecord;

/// Characters of a title, an address, a category or a value of an attribute.
const SHORT: usize = 2_000;
/// Characters of a description.
const LONG: usize = 10_000;
/// Attributes of an item, categories, and values of an attribute.
const MANY: usize = 100;
/// Values of a feature vector.
const WIDE: usize = 16_384;
/// Names that are no attributes, since they mean something else.
const TAKEN: [&str; 11] = [
    "id",
    "title",
    "description",
    "category",
    "image",
    "price",
    "stock",
    "hidden",
    "from",
    "until",
    "features",
];

/// What is said of an item. All can be left out; null takes away what the catalogue says.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ItemFields {
    /// Title.
    #[schema(max_length = 2000)]
    title: Option<String>,
    /// A longer text about it, for the encoder.
    #[schema(max_length = 10_000)]
    description: Option<String>,
    /// Its category, or several.
    category: Option<OneOrMany>,
    /// Where its picture is: an address, or a path in the folder of pictures.
    #[schema(max_length = 2000)]
    image: Option<String>,
    /// Price.
    #[schema(minimum = 0)]
    price: Option<f64>,
    /// How many there are; of 0 the item is sold out and in no list.
    #[schema(minimum = 0, maximum = 9_007_199_254_740_991_i64)]
    #[serde(deserialize_with = "whole_or_none")]
    stock: Option<i64>,
    /// Whether the item is in no list.
    hidden: Option<bool>,
    /// From when on it is listed, in milliseconds since 1970.
    #[schema(minimum = 0, maximum = 253_402_300_799_999_i64)]
    #[serde(deserialize_with = "whole_or_none")]
    from: Option<i64>,
    /// Until when, in milliseconds since 1970.
    #[schema(minimum = 0, maximum = 253_402_300_799_999_i64)]
    #[serde(deserialize_with = "whole_or_none")]
    until: Option<i64>,
    /// What else filters may ask for, by name: a text, a number, a truth value, or a list of these. At most
    /// 100.
    #[schema(value_type = Option<BTreeMap<String, Json>>)]
    attributes: Option<Map<String, Json>>,
    /// Its features by modality, as wide as those of the data; without any the server encodes the texts.
    features: Option<BTreeMap<String, Vec<f32>>>,
}

/// A text, or several.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum OneOrMany {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl ItemFields {
    /// The modalities of which an item brings features, with how many values.
    pub(crate) fn features(fields: &Map<String, Json>) -> Vec<(String, usize)> {
        let all = fields.get("features").and_then(Json::as_object);
        let one = |(modality, values): (&String, &Json)| Some((modality.clone(), values.as_array()?.len()));
        all.into_iter().flatten().filter_map(one).collect()
    }

    /// Checks what is said of an item.
    pub(crate) fn check(fields: &Map<String, Json>) -> ApiResult<()> {
        let read: Result<Self, _> = serde_json::from_value(Json::Object(fields.clone()));
        let this = read.map_err(|e| ApiError::invalid(e.to_string()))?;
        let long = |name: &str, text: &str, most: usize| match text.chars().count() {
            count if count > most => {
                Err(ApiError::invalid(format!("`{name}` has {count} characters; allowed: at most {most}")))
            }
            _ => Ok(()),
        };
        let many = |name: &str, count: usize, most: usize| match count > most {
            true => Err(ApiError::invalid(format!("`{name}` has {count} entries; allowed: at most {most}"))),
            false => Ok(()),
        };
        long("title", this.title.as_deref().unwrap_or_default(), SHORT)?;
        long("description", this.description.as_deref().unwrap_or_default(), LONG)?;
        long("image", this.image.as_deref().unwrap_or_default(), SHORT)?;
        let categories = match &this.category {
            Some(OneOrMany::One(name)) => std::slice::from_ref(name),
            Some(OneOrMany::Many(names)) => names,
            None => &[],
        };
        many("category", categories.len(), MANY)?;
        categories.iter().try_for_each(|name| long("category", name, SHORT))?;
        if let Some(price) = this.price.filter(|price| *price < 0.0) {
            return Err(ApiError::invalid(format!("`price` is {price}; allowed: 0 and more")));
        }
        for (name, value) in [("stock", this.stock), ("from", this.from), ("until", this.until)] {
            if let Some(value) = value.filter(|value| *value < 0) {
                return Err(ApiError::invalid(format!("`{name}` is {value}; allowed: 0 and more")));
            }
        }
        let attributes = this.attributes.unwrap_or_default();
        many("attributes", attributes.len(), MANY)?;
        for (name, value) in &attributes {
            if name.is_empty() || TAKEN.contains(&name.as_str()) {
                let text = format!("`attributes.{name}` cannot be the name of an attribute; allowed: others");
                return Err(ApiError::invalid(text));
            }
            let values = match value {
                Json::Array(values) => &values[..],
                one => std::slice::from_ref(one),
            };
            many(&format!("attributes.{name}"), values.len(), MANY)?;
            if let Some(wrong) = values.iter().find(|v| v.is_object() || v.is_array()) {
                let allowed = "a text, a number, true, false, or a list of these";
                return Err(ApiError::invalid(format!("`attributes.{name}` is {wrong}; allowed: {allowed}")));
            }
            values.iter().filter_map(Json::as_str).try_for_each(|text| long(name, text, SHORT))?;
        }
        let features = this.features.unwrap_or_default();
        many("features", features.len(), MANY)?;
        for (name, values) in &features {
            many(&format!("features.{name}"), values.len(), WIDE)?;
            if values.is_empty() || values.iter().any(|v| !v.is_finite()) {
                return Err(ApiError::invalid(format!("`features.{name}` is to have finite values")));
            }
        }
        Ok(())
    }
}

/// What a record says of `key`; none where it says nothing, so that the catalogue counts.
pub(super) fn values(record: &ItemRecord, key: &str) -> Option<Vec<AttributeValue>> {
    let found = match key {
        "id" | "features" | "attributes" => return None,
        key if TAKEN.contains(&key) => record.fields.get(key)?,
        key => record.attributes()?.get(key)?,
    };
    Some(match (key, found) {
        // Titles and names are no numbers and no lists.
        ("category", Json::String(text)) => vec![AttributeValue { text: text.clone(), number: None }],
        _ => values_of_json(found),
    })
}

/// What an encoder is given of a record: as `alike embed` puts an item's text together.
pub(super) fn text(record: &ItemRecord) -> String {
    let own = |key: &str| values(record, key).unwrap_or_default();
    let joined = |key: &str| own(key).into_iter().map(|v| v.text).collect::<Vec<_>>().join(", ");
    let parts = ["title", "category", "author", "description"].map(joined);
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Where a record says that the picture is.
pub(super) fn image(record: &ItemRecord) -> Option<String> {
    record.fields.get("image").and_then(Json::as_str).map(String::from)
}

/// The features that a record brings.
pub(super) fn features(record: &ItemRecord) -> Vec<Encoded> {
    let all = record.fields.get("features").and_then(Json::as_object);
    let one = |(modality, values): (&String, &Json)| {
        let features = serde_json::from_value(values.clone()).ok()?;
        Some(Encoded { modality: modality.clone(), features })
    };
    all.into_iter().flatten().filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(json: &Json) -> Map<String, Json> {
        json.as_object().unwrap().clone()
    }

    #[test]
    fn what_can_be_said_is_bounded() {
        for good in [
            json!({}),
            json!({"title": null, "category": ["a", "b"], "price": 1.5, "stock": 3.0, "until": 0}),
            json!({"attributes": {"brand": "x", "size": ["s", 2, true], "gone": null}}),
        ] {
            ItemFields::check(&map(&good)).unwrap_or_else(|e| panic!("{good}: {e:?}"));
        }
        for bad in [
            json!({"titel": "x"}),
            json!({"title": 7}),
            json!({"price": -1}),
            json!({"stock": 1.5}),
            json!({"attributes": {"price": 7}}),
            json!({"attributes": {"a": {"b": 1}}}),
            json!({"attributes": {"a": "x".repeat(2001)}}),
            json!({"features": {"text": []}}),
            json!({"description": "x".repeat(10_001)}),
        ] {
            assert!(ItemFields::check(&map(&bad)).is_err(), "{bad}");
        }
    }
}
