//! Filters to sets of items, by what is looked up and not by looking at every item.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use alike_ops::ItemSet;
use rayon::prelude::*;

use super::filter::{FilterCondition, ItemFilter, RangeEnd, lies_between};
use super::value::{AttributeValue, values_of_text};
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
/// and the attributes that it was prepared with.
pub fn catalogue_values(catalogue: &Catalogue, item: u32, key: &str) -> Vec<AttributeValue> {
    let text = |found: Option<&str>| found.map(values_of_text).unwrap_or_default();
    match key {
        "title" => text(catalogue.title(item)),
        "image" => text(catalogue.image(item)),
        "category" => categories(catalogue.category(item).unwrap_or_default()).collect(),
        _ => text(catalogue.attribute(item, key)),
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
            let mut others = self.condition(data, condition);
            others.complement();
            set.intersect(&others);
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

/// The number that a text is.
fn number_of(text: &str) -> Option<f64> {
    text.parse().ok().filter(|n: &f64| n.is_finite())
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
