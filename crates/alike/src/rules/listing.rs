//! What a list may hold at a time, and how many of a kind.

use std::collections::HashMap;

use super::value::AttributeValue;

/// The attributes that say when an item may be listed.
pub const LISTED_BY: [&str; 4] = ["hidden", "stock", "from", "until"];

/// Whether an item may be listed at `now` (milliseconds since 1970) by its `values` of [`LISTED_BY`]: it is not
/// hidden, not sold out, and its time has come and is not over.
pub fn is_listed(values: &dyn Fn(&str) -> Vec<AttributeValue>, now: i64) -> bool {
    let number = |key: &str| values(key).first().and_then(|v| v.number);
    let hidden = values("hidden").iter().any(|v| v.text == "true");
    let [stock, from, until] = ["stock", "from", "until"].map(number);
    !hidden
        && stock.is_none_or(|n| n > 0.0)
        && from.is_none_or(|n| n as i64 <= now)
        && until.is_none_or(|n| (n as i64) > now)
}

/// The first `top` of `list` of which, for each key of `limits`, no more than so many have a value in common;
/// `values` are those of an item.
pub fn limited(
    list: &[(u32, f32)],
    limits: &[(&str, usize)],
    top: usize,
    values: &dyn Fn(u32, &str) -> Vec<AttributeValue>,
) -> Vec<(u32, f32)> {
    if limits.is_empty() {
        return list[..top.min(list.len())].to_vec();
    }
    let mut counts: Vec<HashMap<String, usize>> = vec![HashMap::new(); limits.len()];
    let mut kept = Vec::with_capacity(top.min(list.len()));
    for &(item, score) in list {
        if kept.len() == top {
            break;
        }
        let found: Vec<Vec<String>> = limits
            .iter()
            .map(|(key, _)| values(item, key).into_iter().map(|value| value.text).collect())
            .collect();
        let full = |(at, (_, most)): (usize, &(&str, usize))| {
            found[at].iter().any(|text| counts[at].get(text).is_some_and(|n| n >= most))
        };
        if limits.iter().enumerate().any(full) {
            continue;
        }
        for (count, texts) in counts.iter_mut().zip(found) {
            texts.into_iter().for_each(|text| *count.entry(text).or_default() += 1);
        }
        kept.push((item, score));
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::values_of_text;

    #[test]
    fn items_are_listed_from_when_until_when_and_while_there_are_any() {
        let at = |key: &str, text: &str, now| {
            is_listed(&|asked| if asked == key { values_of_text(text) } else { Vec::new() }, now)
        };
        assert!(at("none", "", 5) && at("stock", "1", 5) && at("hidden", "false", 5));
        assert!(!at("stock", "0", 5) && !at("hidden", "true", 5));
        assert_eq!([4, 5, 6].map(|now| at("from", "5", now)), [false, true, true]);
        assert_eq!([4, 5, 6].map(|now| at("until", "5", now)), [true, false, false]);
    }

    #[test]
    fn no_more_of_a_kind_than_are_allowed() {
        let list: Vec<(u32, f32)> = (0..9).map(|item| (item, -(item as f32))).collect();
        let values = |item: u32, key: &str| match key {
            "brand" => values_of_text(&format!("b{}", item % 2)),
            "tags" => values_of_text(if item < 4 { "[\"x\", \"y\"]" } else { "" }),
            _ => Vec::new(),
        };
        let items = |limits: &[(&str, usize)], top| -> Vec<u32> {
            limited(&list, limits, top, &values).into_iter().map(|l| l.0).collect()
        };
        assert_eq!(items(&[], 3), [0, 1, 2]);
        assert_eq!(items(&[("brand", 2)], 9), [0, 1, 2, 3]);
        assert_eq!(items(&[("brand", 2), ("tags", 1)], 9), [0, 4, 5, 7]);
        assert_eq!(items(&[("tags", 1)], 4), [0, 4, 5, 6]);
        assert_eq!(items(&[("size", 1)], 99).len(), 9);
    }
}
