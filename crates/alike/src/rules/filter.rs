//! Filters as JSON says them, in the form that Qdrant uses.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value as Json};

use super::value::AttributeValue;
use crate::{Error, Result};

/// Conditions of a filter, nested ones included.
const CONDITIONS: usize = 256;
/// FilterValues of a filter.
const VALUES: usize = 10_000;
/// How deep filters lie in one another.
const DEPTH: usize = 8;

/// Which items pass: all of `must`, one of `should` where there are any, none of `must_not`.
///
/// ```json
/// {"must": [{"key": "price", "range": {"lt": 20}}, {"key": "brand", "match": {"any": ["a", "b"]}}],
///  "must_not": [{"key": "category", "match": {"value": "Gifts"}}]}
/// ```
///
/// A condition is `match` of a key (`value`, `any` of a list, `except` a list), its `range` (`gt`, `gte`,
/// `lt`, `lte`), `{"is_empty": {"key": …}}`, `{"has_id": […]}`, or a filter. Of several values of a key one
/// is enough. Texts are compared as they are written; a number of the filter with what is a number in the
/// item.
#[derive(Debug, Clone, PartialEq)]
pub struct ItemFilter {
    pub(super) must: Vec<FilterCondition>,
    pub(super) should: Vec<FilterCondition>,
    pub(super) must_not: Vec<FilterCondition>,
    /// As it was given.
    json: Json,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum FilterCondition {
    Match { key: String, values: FilterValues, except: bool },
    Range { key: String, from: RangeEnd, to: RangeEnd },
    Empty { key: String },
    Ids(BTreeSet<String>),
    All(ItemFilter),
}

/// One end of a range: infinite where there is none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct RangeEnd {
    pub(super) at: f64,
    /// Whether it belongs to the range.
    pub(super) closed: bool,
}

/// FilterValues that a filter compares with.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct FilterValues {
    pub(super) texts: BTreeSet<String>,
    /// Ascending.
    pub(super) numbers: Vec<f64>,
}

impl FilterValues {
    /// Whether they have a value with this text and this number.
    pub(super) fn have(&self, text: &str, number: Option<f64>) -> bool {
        let numbered = |n: f64| self.numbers.binary_search_by(|own| own.total_cmp(&(n + 0.0))).is_ok();
        self.texts.contains(text) || number.is_some_and(numbered)
    }
}

/// Whether a number lies between two edges.
pub(super) fn lies_between(number: f64, from: RangeEnd, to: RangeEnd) -> bool {
    let above = number > from.at || from.closed && number == from.at;
    above && (number < to.at || to.closed && number == to.at)
}

impl ItemFilter {
    /// Reads a filter.
    ///
    /// # Errors
    /// It is none; the text names the place and what is allowed there.
    pub fn from_json(json: &Json) -> Result<Self> {
        let mut left = Left { conditions: CONDITIONS, values: VALUES };
        let read = filter(json, "filter", 0, &mut left).map_err(Error::Data)?;
        Ok(Self { json: json.clone(), ..read })
    }

    /// As it was given.
    pub fn json(&self) -> &Json {
        &self.json
    }

    /// Whether an item passes: `id` is its id, `values` gives the values of one of its keys.
    pub fn passes(&self, id: &str, values: &dyn Fn(&str) -> Vec<AttributeValue>) -> bool {
        let holds = |c: &FilterCondition| c.holds(id, values);
        self.must.iter().all(holds)
            && (self.should.is_empty() || self.should.iter().any(holds))
            && !self.must_not.iter().any(holds)
    }
}

impl FilterCondition {
    fn holds(&self, id: &str, values: &dyn Fn(&str) -> Vec<AttributeValue>) -> bool {
        match self {
            Self::Match { key, values: wanted, except } => {
                values(key).iter().any(|value| wanted.have(&value.text, value.number) != *except)
            }
            Self::Range { key, from, to } => {
                values(key).iter().filter_map(|v| v.number).any(|n| lies_between(n, *from, *to))
            }
            Self::Empty { key } => values(key).is_empty(),
            Self::Ids(ids) => ids.contains(id),
            Self::All(filter) => filter.passes(id, values),
        }
    }
}

impl<'de> Deserialize<'de> for ItemFilter {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        Self::from_json(&Json::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}

impl Serialize for ItemFilter {
    fn serialize<S: Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        self.json.serialize(to)
    }
}

/// How much more a filter may have.
struct Left {
    conditions: usize,
    values: usize,
}

type Parsed<T> = std::result::Result<T, String>;

fn filter(json: &Json, at: &str, depth: usize, left: &mut Left) -> Parsed<ItemFilter> {
    let object = object(json, at, "{\"must\": […], \"should\": […], \"must_not\": […]}")?;
    only(object, at, &["must", "should", "must_not"])?;
    if depth == DEPTH {
        return Err(format!("`{at}` lies {DEPTH} filters deep; allowed: less"));
    }
    let mut list = |name: &str| -> Parsed<Vec<FilterCondition>> {
        let at = format!("{at}.{name}");
        match object.get(name) {
            None | Some(Json::Null) => Ok(Vec::new()),
            Some(Json::Array(all)) => {
                let one = |(n, json)| condition(json, &format!("{at}[{n}]"), depth, left);
                all.iter().enumerate().map(one).collect()
            }
            Some(one) => Ok(vec![condition(one, &at, depth, left)?]),
        }
    };
    let (must, should, must_not) = (list("must")?, list("should")?, list("must_not")?);
    Ok(ItemFilter { must, should, must_not, json: Json::Null })
}

fn condition(json: &Json, at: &str, depth: usize, left: &mut Left) -> Parsed<FilterCondition> {
    let more = left.conditions.checked_sub(1);
    left.conditions = more.ok_or(format!("the filter has more than {CONDITIONS} conditions"))?;
    let allowed = "{\"key\": …, \"match\": …}, {\"key\": …, \"range\": …}, {\"is_empty\": {\"key\": …}}, {\"has_id\": […]} or a \
                   filter";
    let object = object(json, at, allowed)?;
    let key = || match object.get("key") {
        Some(Json::String(key)) if !key.is_empty() => Ok(key.clone()),
        _ => Err(format!("`{at}.key` is missing or no text; allowed: the name of an attribute")),
    };
    if let Some(found) = object.get("match") {
        only(object, at, &["key", "match"])?;
        return matching(found, &format!("{at}.match"), key()?, left);
    }
    if let Some(found) = object.get("range") {
        only(object, at, &["key", "range"])?;
        return range(found, &format!("{at}.range"), key()?);
    }
    if let Some(found) = object.get("is_empty") {
        only(object, at, &["is_empty"])?;
        return match found.get("key") {
            Some(Json::String(key)) => Ok(FilterCondition::Empty { key: key.clone() }),
            _ => Err(format!("`{at}.is_empty` has no key; allowed: {{\"key\": …}}")),
        };
    }
    if let Some(found) = object.get("has_id") {
        only(object, at, &["has_id"])?;
        let FilterValues { mut texts, numbers } = several(found, &format!("{at}.has_id"), left)?;
        texts.extend(numbers.into_iter().map(|number| AttributeValue::number(number).text));
        return Ok(FilterCondition::Ids(texts));
    }
    if object.keys().any(|name| ["must", "should", "must_not"].contains(&name.as_str())) {
        return filter(json, at, depth + 1, left).map(FilterCondition::All);
    }
    Err(format!("`{at}` is no condition; allowed: {allowed}"))
}

fn matching(json: &Json, at: &str, key: String, left: &mut Left) -> Parsed<FilterCondition> {
    let object = object(json, at, "{\"value\": …}, {\"any\": […]} or {\"except\": […]}")?;
    only(object, at, &["value", "any", "except"])?;
    let (values, except) = match (object.get("value"), object.get("any"), object.get("except")) {
        (Some(value), None, None) => {
            let mut one = FilterValues::default();
            add(&mut one, value, &format!("{at}.value"))?;
            (one, false)
        }
        (None, Some(list), None) => (several(list, &format!("{at}.any"), left)?, false),
        (None, None, Some(list)) => (several(list, &format!("{at}.except"), left)?, true),
        _ => return Err(format!("`{at}` is to have one of value, any, except")),
    };
    Ok(FilterCondition::Match { key, values, except })
}

fn range(json: &Json, at: &str, key: String) -> Parsed<FilterCondition> {
    let names = ["gt", "gte", "lt", "lte"];
    let object = object(json, at, "{\"gt\": …, \"gte\": …, \"lt\": …, \"lte\": …}, one or more of these")?;
    only(object, at, &names)?;
    let end = |open: &str, closed: &str, none: f64| -> Parsed<RangeEnd> {
        let number = |name: &str| match object.get(name) {
            None | Some(Json::Null) => Ok(None),
            Some(value) => {
                value.as_f64().map(Some).ok_or(format!("`{at}.{name}` is {value}; allowed: a number"))
            }
        };
        match (number(open)?, number(closed)?) {
            (Some(_), Some(_)) => Err(format!("`{at}` has both {open} and {closed}; allowed: one of them")),
            (Some(at), None) => Ok(RangeEnd { at, closed: false }),
            (None, Some(at)) => Ok(RangeEnd { at, closed: true }),
            (None, None) => Ok(RangeEnd { at: none, closed: true }),
        }
    };
    if object.is_empty() {
        return Err(format!("`{at}` has no end; allowed: one or more of {}", names.join(", ")));
    }
    let (from, to) = (end("gt", "gte", f64::NEG_INFINITY)?, end("lt", "lte", f64::INFINITY)?);
    Ok(FilterCondition::Range { key, from, to })
}

fn several(json: &Json, at: &str, left: &mut Left) -> Parsed<FilterValues> {
    let Json::Array(list) = json else {
        return Err(format!("`{at}` is no list; allowed: texts and numbers"));
    };
    left.values =
        left.values.checked_sub(list.len()).ok_or(format!("the filter has more than {VALUES} values"))?;
    let mut values = FilterValues::default();
    list.iter().try_for_each(|value| add(&mut values, value, at))?;
    values.numbers.sort_by(f64::total_cmp);
    Ok(values)
}

fn add(values: &mut FilterValues, json: &Json, at: &str) -> Parsed<()> {
    match json {
        Json::String(text) => values.texts.extend([text.clone()]),
        Json::Bool(truth) => values.texts.extend([truth.to_string()]),
        Json::Number(number) if number.as_f64().is_some() => {
            values.numbers.extend(number.as_f64().map(|n| n + 0.0))
        }
        _ => return Err(format!("`{at}` is {json}; allowed: a text, a number, true or false")),
    }
    Ok(())
}

fn object<'a>(json: &'a Json, at: &str, allowed: &str) -> Parsed<&'a Map<String, Json>> {
    json.as_object().ok_or_else(|| format!("`{at}` is no object; allowed: {allowed}"))
}

fn only(object: &Map<String, Json>, at: &str, names: &[&str]) -> Parsed<()> {
    match object.keys().find(|name| !names.contains(&name.as_str())) {
        Some(name) => Err(format!("`{at}` has the unknown field `{name}`; allowed: {}", names.join(", "))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::value::values_of_json;
    use super::*;

    fn passes(filter: &Json, item: &Json) -> bool {
        let values = |key: &str| item.get(key).map(values_of_json).unwrap_or_default();
        ItemFilter::from_json(filter).unwrap().passes(item["id"].as_str().unwrap(), &values)
    }

    #[test]
    fn conditions_hold_as_they_say() {
        let item =
            json!({"id": "a", "price": 20, "brand": "x", "size": ["s", "m"], "vegan": true, "code": "007"});
        let one = |condition: Json| passes(&json!({ "must": [condition] }), &item);
        let range = |range: Json| one(json!({"key": "price", "range": range}));
        assert!(range(json!({"lte": 20})) && range(json!({"gte": 20, "lt": 21})));
        assert!(!range(json!({"lt": 20})) && !range(json!({"gt": 20})));
        assert!(!one(json!({"key": "brand", "range": {"gt": 0}})), "a text is in no range");
        let matches = |key: &str, found: Json| one(json!({"key": key, "match": found}));
        assert!(matches("price", json!({"value": 20})) && matches("price", json!({"value": "20"})));
        assert!(matches("code", json!({"value": "007"})) && !matches("code", json!({"value": "7"})));
        assert!(matches("code", json!({"value": 7})) && matches("vegan", json!({"value": true})));
        assert!(matches("size", json!({"any": ["l", "m"]})) && !matches("size", json!({"any": ["l"]})));
        assert!(matches("brand", json!({"except": ["y"]})) && !matches("brand", json!({"except": ["x"]})));
        assert!(!matches("colour", json!({"except": ["x"]})), "what is not there is not another");
        assert!(one(json!({"is_empty": {"key": "colour"}})) && !one(json!({"is_empty": {"key": "size"}})));
        assert!(one(json!({"has_id": ["b", "a"]})) && !one(json!({"has_id": []})));
        assert!(one(json!({"should": [{"has_id": ["b"]}, {"has_id": ["a"]}]})));
        assert!(!one(json!({"must_not": {"key": "brand", "match": {"value": "x"}}})));
        assert!(passes(&json!({}), &item));
        assert!(!passes(&json!({"should": [{"has_id": ["b"]}]}), &item));
    }

    #[test]
    fn what_is_no_filter_is_named_with_its_place() {
        let refused = |filter: Json| ItemFilter::from_json(&filter).unwrap_err().to_string();
        for (filter, says) in [
            (json!([]), "`filter` is no object"),
            (json!({"most": []}), "`filter` has the unknown field `most`; allowed: must, should, must_not"),
            (json!({"must": [7]}), "`filter.must[0]` is no object"),
            (json!({"must": [{"key": "a"}]}), "`filter.must[0]` is no condition"),
            (json!({"must": {"match": {"value": 1}}}), "`filter.must.key` is missing"),
            (json!({"must": {"key": "a", "match": {}}}), "one of value, any, except"),
            (json!({"must": {"key": "a", "match": {"value": null}}}), "`filter.must.match.value` is null"),
            (json!({"must": {"key": "a", "match": {"any": "b"}}}), "`filter.must.match.any` is no list"),
            (json!({"must": {"key": "a", "range": {"lt": "b"}}}), "`filter.must.range.lt` is \"b\""),
            (json!({"must": {"key": "a", "range": {"lt": 1, "lte": 1}}}), "both lt and lte"),
            (json!({"must": {"key": "a", "range": {}}}), "has no end"),
            (json!({"must": {"is_empty": "a"}}), "has no key"),
            (json!({"must": vec![json!({"has_id": []}); 257]}), "more than 256 conditions"),
        ] {
            let text = refused(filter.clone());
            assert!(text.contains(says), "{filter}: {text}");
        }
        let deep = (0..9).fold(json!({}), |inner, _| json!({ "must": [inner] }));
        let deep = json!({ "must": [{ "must": [deep] }] });
        assert!(ItemFilter::from_json(&deep).is_err());
    }
}
