//! Sets of items that are kept and brought up to date item by item.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use alike::data::Dataset;
use alike::rules::{AttributeIndex, ItemFilter, LISTED_BY, is_listed};
use alike_ops::ItemSet;

use super::view::ItemsView;

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

    /// Whether an item is one of them; what is gone is not.
    pub(super) fn holds(&self, items: &ItemsView<'_>, item: u32) -> bool {
        let values = |key: &str| items.values(item, key);
        !items.is_gone(item)
            && match self {
                Self::Category(name) => {
                    values("category").iter().any(|v| v.text.trim().to_lowercase() == *name)
                }
                Self::Filter(filter) => filter.passes(items.id(item), &values),
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

/// Whether an item may be listed at `now`: it is there, and nothing that is said of it stands against it.
pub(super) fn is_open(items: &ItemsView<'_>, item: u32, now: i64) -> bool {
    !items.is_gone(item) && is_listed(&|key| items.values(item, key), now)
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

impl Kept {
    /// What is open of a catalogue alone, in 1970: what depends on time is due at once.
    pub(super) fn new(catalogue: &ItemsView<'_>) -> Self {
        let mut this = Self {
            open: Arc::new(ItemSet::all(catalogue.len())),
            all_open: true,
            timed: BTreeMap::new(),
            schedule: BTreeMap::new(),
            done: 0,
            sets: Vec::new(),
        };
        let names = catalogue.data.catalogue.attributes();
        if names.iter().any(|name| LISTED_BY.contains(&name.as_str())) {
            this.update(catalogue, &(0..catalogue.len() as u32).collect(), 0);
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
    pub(super) fn pass_time(&mut self, items: &ItemsView<'_>, now: i64) {
        if now <= self.done {
            return;
        }
        let due = self.schedule.range(self.done + 1..=now).flat_map(|(_, items)| items.iter().copied());
        let due: BTreeSet<u32> = due.collect();
        self.done = now;
        self.look_at(items, &due);
    }

    /// Whether each of these is open, and when that changes.
    fn look_at(&mut self, items: &ItemsView<'_>, some: &BTreeSet<u32>) {
        if some.is_empty() {
            return;
        }
        let open = Arc::make_mut(&mut self.open);
        for &item in some {
            for time in self.timed.remove(&item).unwrap_or_default() {
                if let Some(others) = self.schedule.get_mut(&time) {
                    others.remove(&item);
                    if others.is_empty() {
                        self.schedule.remove(&time);
                    }
                }
            }
            open.set(item, is_open(items, item, self.done));
            let times: Vec<i64> = times(items, item).collect();
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
    pub(super) fn update(&mut self, items: &ItemsView<'_>, changed: &BTreeSet<u32>, now: i64) {
        self.pass_time(items, now);
        self.look_at(items, changed);
        for (which, set) in &mut self.sets {
            let set = Arc::make_mut(set);
            changed.iter().for_each(|&item| set.set(item, which.holds(items, item)));
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
fn times(items: &ItemsView<'_>, item: u32) -> impl Iterator<Item = i64> {
    let time = |key: &str| items.values(item, key).first().and_then(|v| v.number).map(|n| n as i64);
    [time("from"), time("until")].into_iter().flatten()
}
