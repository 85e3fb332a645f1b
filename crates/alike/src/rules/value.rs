//! Values of attributes.

use serde_json::Value as Json;

/// One value of an attribute. An attribute may have several: sizes, tags.
#[derive(Debug, Clone, PartialEq)]
pub struct AttributeValue {
    /// As text; `true` and `false` for truth values.
    pub text: String,
    /// As a number, where it is one.
    pub number: Option<f64>,
}

/// The number that a text is.
pub(super) fn number_of(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

impl AttributeValue {
    /// A text, and the number that it is.
    pub(super) fn text(text: &str) -> Self {
        Self { text: text.to_string(), number: number_of(text) }
    }

    /// A number; whole ones are written without a point.
    pub fn number(number: f64) -> Self {
        let whole = number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0;
        let text = if whole { (number as i64).to_string() } else { number.to_string() };
        Self { text, number: Some(number) }
    }
}

/// The values that JSON holds: a text, a number, a truth value, or a list of these. Nothing for null and for
/// what else there is.
pub fn values_of_json(json: &Json) -> Vec<AttributeValue> {
    match json {
        Json::Array(list) => list.iter().filter(|v| !v.is_array()).flat_map(values_of_json).collect(),
        Json::String(text) if text.is_empty() => Vec::new(),
        Json::String(text) => vec![AttributeValue::text(text)],
        Json::Number(number) => number.as_f64().map(AttributeValue::number).into_iter().collect(),
        Json::Bool(truth) => vec![AttributeValue { text: truth.to_string(), number: None }],
        Json::Null | Json::Object(_) => Vec::new(),
    }
}

/// The values that a cell of a table holds: those of a JSON list, where it is one, otherwise its text.
pub fn values_of_text(text: &str) -> Vec<AttributeValue> {
    let list = text.starts_with('[').then(|| serde_json::from_str(text).ok()).flatten();
    match list {
        Some(list @ Json::Array(_)) => values_of_json(&list),
        _ if text.is_empty() => Vec::new(),
        _ => vec![AttributeValue::text(text)],
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cells_and_json_give_the_same_values() {
        let texts = |values: Vec<AttributeValue>| values.into_iter().map(|v| v.text).collect::<Vec<_>>();
        let list = json!(["a", 7, 2.5, true, null, ["b"], {"c": 1}]);
        assert_eq!(texts(values_of_json(&list)), ["a", "7", "2.5", "true"]);
        assert_eq!(values_of_text(&list.to_string()), values_of_json(&list));
        assert_eq!(values_of_text("19.90")[0].number, Some(19.9));
        assert_eq!(values_of_text("[draft"), [AttributeValue { text: "[draft".into(), number: None }]);
        assert_eq!((values_of_text("nan")[0].number, values_of_text("")), (None, vec![]));
        assert_eq!(values_of_json(&json!(7.0)), values_of_json(&json!(7)));
    }
}
