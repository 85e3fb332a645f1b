//! Filters to sets of items, by what is looked up and not by looking at every item.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use alike_ops::ItemSet;
use rayon::prelude::*;

use super::filter::{FilterCondition, ItemFilter, RangeEnd, lies_between};
use super::value::{AttributeValue, number_of, values_of_text};
use crate::data::{Catalogue, Dataset};

/// The keys of a catalogue's items, each indexed when it is first asked for: postings of its values, and its
/// numbers in order.
#[derive(Debug, Default)]
pub struct AttributeIndex {
    keys: RwLock<HashMap<String, Arc<KeyIndex>>>,
}

/// Which items have which values of one key.
#[derive(Debug, Default)]
struct KeyIndex {
    texts: HashMap<String, Vec<u32>>,
    /// Ascending.
    numbers: Vec<(f64, u32)>,
    /// Items that have a value.
    filled: Vec<u32>,
}

/// The values of `key` that the prepared catalogue has for `item`: `title`, `image`, each name of `category`,
/// and the attributes that it was prepared with, `description` among them.
pub fn catalogue_values(catalogue: &Catalogue, item: u32, key: &str) -> Vec<AttributeValue> {
    // A title may look like a list: `[2012]`.
    let plain = |found: Option<&str>| found.map(AttributeValue::text).into_iter().collect();
    match key {
        "title" => plain(catalogue.title(item)),
        "image" => plain(catalogue.image(item)),
        "description" => plain(catalogue.attribute(item, key)),
        "category" => categories(catalogue.category(item).unwrap_or_default()).collect(),
        _ => catalogue.attribute(item, key).map(values_of_text).unwrap_or_default(),
    }
}

/// Categories of one item, which catalogues join by commas; some data have bars.
fn categories(text: &str) -> impl Iterator<Item = AttributeValue> {
    let names = text.split([',', '|']).map(str::trim).filter(|name| !name.is_empty());
    names.map(|name| AttributeValue { text: name.to_string(), number: None })
}

impl AttributeIndex {
    /// The items of `data` that pass `filter`.
    pub fn set(&self, data: &Dataset, filter: &ItemFilter) -> ItemSet {
        let items = data.items.len();
        let mut set = ItemSet::all(items);
        filter.must.iter().for_each(|c| set.intersect(&self.condition(data, c)));
        if !filter.should.is_empty() {
            let mut any = ItemSet::none(items);
            filter.should.iter().for_each(|c| any.unite(&self.condition(data, c)));
            set.intersect(&any);
        }
        for condition in &filter.must_not {
            set.subtract(&self.condition(data, condition));
        }
        set
    }

    /// The items of which a value of `key` passes `test`.
    pub fn matching(&self, data: &Dataset, key: &str, test: &dyn Fn(&str) -> bool) -> ItemSet {
        let key = self.key(data, key);
        let postings = key.texts.iter().filter(|(text, _)| test(text));
        ItemSet::of(data.items.len(), postings.flat_map(|(_, items)| items.iter().copied()))
    }

    /// The values of `key`, each once, as texts.
    pub fn texts(&self, data: &Dataset, key: &str) -> Vec<String> {
        self.key(data, key).texts.keys().cloned().collect()
    }

    fn condition(&self, data: &Dataset, condition: &FilterCondition) -> ItemSet {
        let items = data.items.len();
        let of = |members: &mut dyn Iterator<Item = u32>| ItemSet::of(items, members);
        match condition {
            FilterCondition::Match { key, values, except } => {
                let key = self.key(data, key);
                if *except {
                    // Items of which some value is another.
                    let other = |text: &String| !values.have(text, number_of(text));
                    let postings = key.texts.iter().filter(|(text, _)| other(text));
                    return of(&mut postings.flat_map(|(_, items)| items.iter().copied()));
                }
                let texts = values.texts.iter().filter_map(|text| key.texts.get(text)).flatten().copied();
                let numbers = values.numbers.iter().flat_map(|&at| {
                    let end = RangeEnd { at, closed: true };
                    key.between(end, end)
                });
                of(&mut texts.chain(numbers))
            }
            FilterCondition::Range { key, from, to } => of(&mut self.key(data, key).between(*from, *to)),
            FilterCondition::Empty { key } => {
                let mut set = of(&mut self.key(data, key).filled.iter().copied());
                set.complement();
                set
            }
            FilterCondition::Ids(ids) => of(&mut ids.iter().filter_map(|id| data.items.get(id))),
            FilterCondition::All(filter) => self.set(data, filter),
        }
    }

    /// The index of a key, made where it is not there yet.
    fn key(&self, data: &Dataset, key: &str) -> Arc<KeyIndex> {
        let known = self.keys.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned();
        known.unwrap_or_else(|| {
            let made = Arc::new(KeyIndex::new(data, key));
            let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
            // Names that no catalogue has cost nothing, but anybody may ask for them.
            if is_known(data, key) {
                keys.insert(key.to_string(), made.clone());
            }
            made
        })
    }
}

/// Whether the catalogue of `data` has such a key.
fn is_known(data: &Dataset, key: &str) -> bool {
    ["title", "image", "category"].contains(&key)
        || data.catalogue.attributes().iter().any(|name| name == key)
}

impl KeyIndex {
    fn new(data: &Dataset, key: &str) -> Self {
        if !is_known(data, key) {
            return Self::default();
        }
        let items = 0..data.items.len() as u32;
        let values: Vec<Vec<AttributeValue>> =
            items.into_par_iter().map(|item| catalogue_values(&data.catalogue, item, key)).collect();
        let mut index = Self::default();
        for (item, values) in (0..).zip(values) {
            if !values.is_empty() {
                index.filled.push(item);
            }
            for AttributeValue { text, number } in values {
                index.numbers.extend(number.map(|number| (number, item)));
                let posting = index.texts.entry(text).or_default();
                if posting.last() != Some(&item) {
                    posting.push(item);
                }
            }
        }
        index.numbers.par_sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        index
    }

    /// Items with a number between two edges.
    fn between(&self, from: RangeEnd, to: RangeEnd) -> impl Iterator<Item = u32> + '_ {
        let first = self.numbers.partition_point(|n| n.0 < from.at);
        let last = self.numbers.partition_point(|n| n.0 <= to.at);
        let numbers = self.numbers.get(first..last).unwrap_or_default();
        numbers.iter().filter(move |n| lies_between(n.0, from, to)).map(|n| n.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_texts_and_attributes_may_be_lists() {
        let fields = ["[2012]", "[1].png", "Even, All|Rest", "[\"s\", 2]", "[draft"];
        let mut offsets = vec![0u64];
        fields.iter().for_each(|field| offsets.push(offsets[offsets.len() - 1] + field.len() as u64));
        let names = ["sizes", "state"].map(String::from).into();
        let catalogue = Catalogue::from_parts(fields.concat().into_bytes(), offsets, 1, names, None).unwrap();
        let texts = |key: &str| -> Vec<String> {
            catalogue_values(&catalogue, 0, key).into_iter().map(|value| value.text).collect()
        };
        assert_eq!((texts("title"), texts("image")), (vec!["[2012]".into()], vec!["[1].png".into()]));
        assert_eq!(
            (texts("category"), texts("sizes")),
            (vec!["Even".into(), "All".into(), "Rest".into()], vec!["s".into(), "2".into()])
        );
        assert_eq!((texts("state"), texts("colour")), (vec!["[draft".to_string()], vec![]));
    }
}
