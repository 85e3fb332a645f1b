//! What there is to filter by: the keys of the items and how often each of their values comes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use alike::rules::AttributeValue;

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

/// The facets as they were counted last: when, and after which change of the items.
#[derive(Default)]
pub(super) struct KeptFacets(Mutex<Option<CountedFacets>>);

type CountedFacets = (Instant, i64, Arc<Vec<Facet>>);

#[derive(Default)]
struct FacetCount {
    items: usize,
    values: HashMap<String, usize>,
    numbers: Option<(f64, f64)>,
    /// Whether some value is no number.
    words: bool,
}

impl KeptFacets {
    /// What was counted, if the last change is the same as then or it is not long ago; otherwise what `count`
    /// counts now.
    pub(super) fn get(&self, seq: i64, count: impl FnOnce() -> Vec<Facet>) -> Arc<Vec<Facet>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((made, of, facets)) = &*kept
            && (*of == seq || made.elapsed() < FRESH)
        {
            return facets.clone();
        }
        let facets = Arc::new(count());
        *kept = Some((Instant::now(), seq, facets.clone()));
        facets
    }
}

/// The keys of the items while they are counted.
pub(super) struct FacetCounts(BTreeMap<String, FacetCount>);

impl FacetCounts {
    /// Counts what every catalogue may have, and `names`.
    pub(super) fn new(names: impl Iterator<Item = String>) -> Self {
        let all: BTreeSet<String> = ALWAYS.map(String::from).into_iter().chain(names).collect();
        let keys = all.into_iter().filter(|key| !NEVER.contains(&&**key)).take(KEYS);
        Self(keys.map(|key| (key, FacetCount::default())).collect())
    }

    /// Adds an item, whose values of a key are `values`.
    pub(super) fn add(&mut self, values: impl Fn(&str) -> Vec<AttributeValue>) {
        self.0.iter_mut().for_each(|(key, count)| count.add(values(key)));
    }

    /// The keys that some item has, in the order of their names.
    pub(super) fn facets(self) -> Vec<Facet> {
        let counted = self.0.into_iter().filter(|(_, count)| count.items > 0);
        counted.map(|(key, count)| count.facet(key)).collect()
    }
}

impl FacetCount {
    /// Adds the values of an item.
    fn add(&mut self, values: Vec<AttributeValue>) {
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
