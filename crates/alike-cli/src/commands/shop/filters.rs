//! Which further values of products lists can be filtered by, and how they are written.

use std::collections::{BTreeMap, BTreeSet};

use crate::commands::shop::catalogue::product::{Product, number_text};
use crate::commands::shop::money::Amounts;

/// What every shop filters by, where it is there; the first two also say what may be listed.
const ALWAYS: [&str; 4] = ["hidden", "stock", "price", "brand"];
/// Names that are not to be given to a filter.
const TAKEN: [&str; 6] = ["id", "title", "image", "category", "description", "features"];
/// Filters of a shop.
const FILTERS: usize = 20;
/// Different texts of a filter; so few are always welcome.
const TEXTS: usize = 1000;
const FEW: usize = 20;
/// Characters of a text that is good to filter by, and of a name.
const CHARACTERS: usize = 60;

/// How the values of a filter are written.
#[derive(Debug, Clone, Copy)]
pub(super) enum FilterValues {
    Texts,
    Numbers(Amounts),
}

impl FilterValues {
    /// A value as filters read it.
    pub(super) fn shown(self, value: &str) -> String {
        match self {
            Self::Numbers(amounts) => amounts.number(value).map_or_else(|| value.to_string(), number_text),
            Self::Texts => value.to_string(),
        }
    }
}

/// What is known of a field.
#[derive(Default)]
struct FieldFacts<'a> {
    products: usize,
    values: usize,
    different: BTreeSet<&'a str>,
    longest: usize,
}

/// The filters, those of the most products first.
pub(super) fn of(products: &[Product]) -> Vec<(String, FilterValues)> {
    let mut fields: BTreeMap<&str, FieldFacts<'_>> = BTreeMap::new();
    for (name, values) in products.iter().flat_map(|product| &product.fields) {
        let facts = fields.entry(name).or_default();
        facts.products += 1;
        facts.values += values.len();
        for value in values {
            facts.longest = facts.longest.max(value.chars().count());
            facts.different.insert(value);
        }
    }
    let fits = |name: &str, facts: &FieldFacts<'_>| {
        let known = facts.different.len();
        let address = || facts.different.iter().any(|value| value.starts_with("http"));
        let words = known <= FEW || (known <= TEXTS && known * 2 <= facts.values);
        !TAKEN.contains(&name)
            && name.chars().count() <= CHARACTERS
            && (numbers(facts).is_some() || (words && facts.longest <= CHARACTERS && !address()))
    };
    let always = |name: &str| ALWAYS.iter().position(|known| *known == name).unwrap_or(ALWAYS.len());
    let mut found: Vec<(&str, &FieldFacts<'_>)> = fields
        .iter()
        .map(|(name, facts)| (*name, facts))
        .filter(|(name, facts)| always(name) < ALWAYS.len() || fits(name, facts))
        .collect();
    found.sort_by_key(|(name, facts)| (always(name), std::cmp::Reverse(facts.products)));
    found.truncate(FILTERS);
    let values = |facts: &FieldFacts<'_>| numbers(facts).map_or(FilterValues::Texts, FilterValues::Numbers);
    found.into_iter().map(|(name, facts)| (name.to_string(), values(facts))).collect()
}

/// How the numbers of a field are written, if all of its values are numbers and none is a code such as 007.
fn numbers(facts: &FieldFacts<'_>) -> Option<Amounts> {
    let amounts = Amounts::of(facts.different.iter().copied());
    let code = |value: &str| {
        value.len() > 1 && value.starts_with('0') && !value.starts_with("0.") && !value.starts_with("0,")
    };
    let all = facts.different.iter().all(|value| amounts.number(value).is_some() && !code(value));
    all.then_some(amounts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_good_to_filter_by_is_kept() {
        let product = |n: usize| {
            let fields = [
                ("price", format!("{n}.5")),
                ("color", ["red", "blue"][n % 2].to_string()),
                ("weight", format!("1,{n:02}")),
                ("code", format!("00{n}")),
                ("web", format!("https://s/{n}")),
                ("note", format!("a text that is another one for each of them, number {n}")),
            ];
            let fields = fields.map(|(name, value)| (name.to_string(), vec![value])).into();
            Product { id: n.to_string(), fields, ..Product::default() }
        };
        let products: Vec<Product> = (10..60).map(product).collect();
        let found = of(&products);
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["price", "color", "weight"]);
        assert_eq!((found[2].1.shown("1,25"), found[1].1.shown("red")), ("1.25".into(), "red".into()));
    }
}
