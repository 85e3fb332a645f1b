//! Sets of items that are kept and brought up to date item by item.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use alike::data::Dataset;
use alike::rules::{AttributeIndex, AttributeValue, ItemFilter, catalogue_values};
use alike_ops::ItemSet;

/// Sets that are kept.
const KEPT: usize = 64;

/// Items by what they are.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Selection {
    /// Of this category, in lower case.
    Category(String),
    /// Those that a filter lets through.
    Filter(ItemFilter),
}

impl Selection {
    /// Those of a category, in any case of letters.
    pub(crate) fn category(name: &str) -> Self {
        Self::Category(name.trim().to_lowercase())
    }

    /// Whether an item is one of them.
    pub(super) fn holds(&self, id: &str, values: &dyn Fn(&str) -> Vec<AttributeValue>) -> bool {
        match self {
            Self::Category(name) => values("category").iter().any(|v| v.text.trim().to_lowercase() == *name),
            Self::Filter(filter) => filter.passes(id, values),
        }
    }

    /// Those of a catalogue.
    pub(super) fn of_catalogue(&self, index: &AttributeIndex, data: &Dataset) -> ItemSet {
        match self {
            Self::Category(name) => index.matching(data, "category", &|text| text.to_lowercase() == *name),
            Self::Filter(filter) => index.set(data, filter),
        }
    }
}

/// Whether an item with these values may be listed at `now`: it is not hidden, not sold out, and its time is
/// there and not over.
pub(super) fn is_open(values: &dyn Fn(&str) -> Vec<AttributeValue>, now: i64) -> bool {
    let number = |key: &str| values(key).first().and_then(|v| v.number);
    let hidden = values("hidden").iter().any(|v| v.text == "true");
    let [stock, from, until] = ["stock", "from", "until"].map(number);
    !hidden
        && stock.is_none_or(|n| n > 0.0)
        && from.is_none_or(|n| n as i64 <= now)
        && until.is_none_or(|n| (n as i64) > now)
}

/// The sets that are kept.
pub(super) struct Kept {
    /// What may be listed.
    open: Arc<ItemSet>,
    all_open: bool,
    /// When items appear or go: the times of each, and the items of each time.
    timed: BTreeMap<u32, Vec<i64>>,
    schedule: BTreeMap<i64, BTreeSet<u32>>,
    /// Up to when the schedule is done.
    done: i64,
    /// The newest last.
    sets: Vec<(Selection, Arc<ItemSet>)>,
}

/// The values of an item's key.
type ValuesOf<'a> = &'a dyn Fn(u32, &str) -> Vec<AttributeValue>;

impl Kept {
    /// What is open by a catalogue alone, in 1970: what depends on time is due at once.
    pub(super) fn of_catalogue(data: &Dataset) -> Self {
        let items = data.items.len();
        let names = data.catalogue.attributes();
        let mut this = Self {
            open: Arc::new(ItemSet::all(items)),
            all_open: true,
            timed: BTreeMap::new(),
            schedule: BTreeMap::new(),
            done: 0,
            sets: Vec::new(),
        };
        if names.iter().any(|name| ["hidden", "stock", "from", "until"].contains(&name.as_str())) {
            let all = (0..items as u32).collect();
            let values = |item: u32, key: &str| catalogue_values(&data.catalogue, item, key);
            this.update(&all, 0, &|_| String::new(), &|_| false, &values);
        }
        this
    }

    pub(super) fn open(&self) -> Arc<ItemSet> {
        self.open.clone()
    }

    pub(super) fn all_open(&self) -> bool {
        self.all_open
    }

    /// Items that are not listed at every time.
    pub(super) fn timed(&self) -> impl Iterator<Item = u32> {
        self.timed.keys().copied()
    }

    /// Whether the time has come at which an item appears or goes.
    pub(super) fn is_due(&self, now: i64) -> bool {
        now > self.done && self.schedule.range(self.done + 1..=now).next().is_some()
    }

    /// Brings what depends on time to `now`. A clock that is set back changes nothing.
    pub(super) fn pass_time(&mut self, now: i64, values: ValuesOf<'_>) {
        if now <= self.done {
            return;
        }
        let due = self.schedule.range(self.done + 1..=now).flat_map(|(_, items)| items.iter().copied());
        let due: BTreeSet<u32> = due.collect();
        self.done = now;
        // Those that are gone have no times.
        self.open_at(&due, &|_| false, values);
    }

    fn open_at(&mut self, items: &BTreeSet<u32>, gone: &dyn Fn(u32) -> bool, values: ValuesOf<'_>) {
        if items.is_empty() {
            return;
        }
        let open = Arc::make_mut(&mut self.open);
        for &item in items {
            for time in self.timed.remove(&item).unwrap_or_default() {
                if let Some(others) = self.schedule.get_mut(&time) {
                    others.remove(&item);
                    if others.is_empty() {
                        self.schedule.remove(&time);
                    }
                }
            }
            let of = |key: &str| values(item, key);
            open.set(item, !gone(item) && is_open(&of, self.done));
            let times: Vec<i64> = if gone(item) { Vec::new() } else { times(&of).collect() };
            for &time in &times {
                self.schedule.entry(time).or_default().insert(item);
            }
            if !times.is_empty() {
                self.timed.insert(item, times);
            }
        }
        self.all_open = open.len() == open.items();
    }

    /// Room for so many items.
    pub(super) fn grow(&mut self, items: usize) {
        if self.open.items() < items {
            Arc::make_mut(&mut self.open).grow(items);
            self.sets.iter_mut().for_each(|(_, set)| Arc::make_mut(set).grow(items));
        }
    }

    /// Looks again at the items that changed.
    pub(super) fn update(
        &mut self,
        changed: &BTreeSet<u32>,
        now: i64,
        id: &dyn Fn(u32) -> String,
        gone: &dyn Fn(u32) -> bool,
        values: ValuesOf<'_>,
    ) {
        self.pass_time(now, values);
        self.open_at(changed, gone, values);
        for (which, set) in &mut self.sets {
            let set = Arc::make_mut(set);
            for &item in changed {
                set.set(item, !gone(item) && which.holds(&id(item), &|key| values(item, key)));
            }
        }
    }

    /// The set of `which`, where it is kept.
    pub(super) fn known(&self, which: &Selection) -> Option<Arc<ItemSet>> {
        self.sets.iter().find(|(known, _)| known == which).map(|(_, set)| set.clone())
    }

    /// Keeps a set, in the place of the oldest where there are many.
    pub(super) fn keep(&mut self, which: Selection, set: Arc<ItemSet>) -> Arc<ItemSet> {
        self.sets.retain(|(known, _)| *known != which);
        if self.sets.len() == KEPT {
            self.sets.remove(0);
        }
        self.sets.push((which, set.clone()));
        set
    }
}

/// When an item appears and goes.
fn times(values: &dyn Fn(&str) -> Vec<AttributeValue>) -> impl Iterator<Item = i64> {
    let time = |key: &str| values(key).first().and_then(|v| v.number).map(|n| n as i64);
    [time("from"), time("until")].into_iter().flatten()
}
