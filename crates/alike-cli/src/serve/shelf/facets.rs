//! What there is to filter by: the keys of the items and how often each of their values comes.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::Shelf;

/// Values of a key that are named.
const NAMED: usize = 50;
/// Keys of all items that are looked at.
const KEYS: usize = 200;
/// How long what was counted is good while items change.
const FRESH: Duration = Duration::from_secs(10);
/// What every catalogue may have.
const ALWAYS: [&str; 3] = ["category", "price", "stock"];
/// What says when an item may be listed and is no property of it, and what is too long to choose from.
const NEVER: [&str; 4] = ["hidden", "from", "until", "description"];

/// A key that filters may ask for.
pub(crate) struct Facet {
    pub(crate) key: String,
    /// Items that have a value of it.
    pub(crate) items: usize,
    /// Its most frequent values with the number of items, most first; at most 50.
    pub(crate) values: Vec<(String, usize)>,
    /// Number of its values.
    pub(crate) distinct: usize,
    /// The smallest and the largest number, where all values are numbers.
    pub(crate) range: Option<(f64, f64)>,
}

/// The facets as they were counted at some time, after some change of the items.
pub(super) type CountedFacets = Option<(Instant, i64, Arc<Vec<Facet>>)>;

#[derive(Default)]
struct FacetCount {
    items: usize,
    values: HashMap<String, usize>,
    numbers: Option<(f64, f64)>,
    /// Whether some value is no number.
    words: bool,
}

impl Shelf {
    /// The keys that some item has, in the order of their names; what was counted may be seconds old.
    pub(crate) fn facets(&self) -> Arc<Vec<Facet>> {
        let mut kept = self.facets.lock().unwrap_or_else(PoisonError::into_inner);
        let seq = self.seq();
        if let Some((made, of, facets)) = &*kept
            && (*of == seq || made.elapsed() < FRESH)
        {
            return facets.clone();
        }
        let facets = Arc::new(self.count());
        *kept = Some((Instant::now(), seq, facets.clone()));
        facets
    }

    fn count(&self) -> Vec<Facet> {
        let keys: Vec<String> = {
            let state = self.read();
            let items = self.view(&state);
            let recorded = items.records.values().flatten().filter_map(|record| record.attributes());
            let recorded = recorded.flat_map(|attributes| attributes.keys().cloned());
            let known = items.data.catalogue.attributes().iter().cloned();
            let all: BTreeSet<String> =
                ALWAYS.map(String::from).into_iter().chain(known).chain(recorded).collect();
            all.into_iter().filter(|key| !NEVER.contains(&&**key)).take(KEYS).collect()
        };
        let mut counts: Vec<FacetCount> = keys.iter().map(|_| FacetCount::default()).collect();
        self.each(|items, item| {
            for (key, count) in keys.iter().zip(&mut counts) {
                count.add(items.values(item, key));
            }
        });
        let facets = keys.into_iter().zip(counts).filter(|(_, count)| count.items > 0);
        facets.map(|(key, count)| count.facet(key)).collect()
    }
}

impl FacetCount {
    /// Adds the values of an item.
    fn add(&mut self, values: Vec<alike::rules::AttributeValue>) {
        self.items += usize::from(!values.is_empty());
        for value in values {
            match value.number {
                Some(number) => {
                    let (least, most) = self.numbers.unwrap_or((number, number));
                    self.numbers = Some((least.min(number), most.max(number)));
                }
                None => self.words = true,
            }
            *self.values.entry(value.text).or_default() += 1;
        }
    }

    fn facet(self, key: String) -> Facet {
        let Self { items, values, numbers, words } = self;
        let distinct = values.len();
        let mut values: Vec<(String, usize)> = values.into_iter().collect();
        values.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        values.truncate(NAMED);
        Facet { key, items, values, distinct, range: numbers.filter(|_| !words) }
    }
}
