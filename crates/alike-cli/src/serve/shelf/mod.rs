//! The items as they are now: those of a checkpoint's data, what was said of them since, and new ones.
//!
//! An item has a number: those of the data keep theirs, new ones get the numbers after these and are placed
//! by content. A record of the store lies over what the catalogue says; which items may be listed, and which
//! pass a filter, is kept as sets of numbers and brought up to date item by item.

mod added;
mod facets;
mod fields;
mod sets;
mod view;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use alike::recommend::{Recommender, UserVector};
use alike::rules::{AttributeIndex, AttributeValue};
use alike::scorer::best;
use alike_ops::ItemSet;

use self::added::{Added, ItemPlace};
pub(crate) use self::facets::Facet;
use self::facets::{FacetCounts, KeptFacets};
pub(crate) use self::fields::ItemFields;
pub(crate) use self::sets::Selection;
use self::sets::{Kept, is_open};
use self::view::ItemsView;
use super::encoder::Encoder;
use super::filter::Filter;
use super::store::{ItemRecord, StoredItem};

/// Largest picture that is served, or encoded.
const PICTURE_BYTES: u64 = 32 << 20;
/// Items that are looked at before others may write.
const SCANNED: usize = 4096;

/// The items of one checkpoint as they are now.
pub(crate) struct Shelf {
    recommender: Arc<Recommender>,
    index: AttributeIndex,
    /// Folder of pictures, without links and dots.
    pictures: Option<PathBuf>,
    state: RwLock<ShelfState>,
    facets: KeptFacets,
    /// Held while records are read and taken over: one after another, in their order.
    pub(super) syncing: Arc<tokio::sync::Mutex<()>>,
    /// Held while new items are placed.
    pub(super) placing: Arc<tokio::sync::Mutex<()>>,
}

struct ShelfState {
    /// The last change that was taken over.
    seq: i64,
    /// Records by number; none where the item is gone.
    records: BTreeMap<u32, Option<ItemRecord>>,
    /// New items: the first has the number after those of the data.
    added: Vec<Added>,
    numbers: HashMap<String, u32>,
    /// Those of them that wait for a place.
    unplaced: BTreeSet<u32>,
    kept: Kept,
}

impl Shelf {
    /// The items of the data as their catalogue has them.
    pub(super) fn new(recommender: Arc<Recommender>) -> Self {
        let data = &recommender.run().data;
        let kept = Kept::new(&ItemsView { data, records: &BTreeMap::new(), added: &[] });
        let state = ShelfState {
            seq: 0,
            records: BTreeMap::new(),
            added: Vec::new(),
            numbers: HashMap::new(),
            unplaced: BTreeSet::new(),
            kept,
        };
        let pictures = data.catalogue.image_root().and_then(|p| p.canonicalize().ok());
        Self {
            recommender,
            pictures,
            index: AttributeIndex::default(),
            state: RwLock::new(state),
            facets: KeptFacets::default(),
            syncing: Arc::default(),
            placing: Arc::default(),
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, ShelfState> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, ShelfState> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn view<'a>(&'a self, state: &'a ShelfState) -> ItemsView<'a> {
        ItemsView { data: &self.recommender.run().data, records: &state.records, added: &state.added }
    }

    /// Number of items of the data; new ones have numbers from there on.
    pub(crate) fn trained(&self) -> u32 {
        self.recommender.run().data.items.len() as u32
    }

    /// Number of all items, those that are gone included.
    pub(crate) fn len(&self) -> u32 {
        self.view(&self.read()).len() as u32
    }

    /// The last change that was taken over.
    pub(crate) fn seq(&self) -> i64 {
        self.read().seq
    }

    /// The number of an item by its id. One that is gone has none.
    pub(crate) fn number(&self, id: &str) -> Option<u32> {
        let state = self.read();
        let number = self.number_in(&state, id)?;
        (!self.view(&state).is_gone(number)).then_some(number)
    }

    /// The same of one that may be gone.
    fn number_in(&self, state: &ShelfState, id: &str) -> Option<u32> {
        self.recommender.run().data.items.get(id).or_else(|| state.numbers.get(id).copied())
    }

    /// Whether an item is there or was: events about it are welcome.
    pub(crate) fn knows(&self, id: &str) -> bool {
        self.number_in(&self.read(), id).is_some()
    }

    /// The id of an item by its number.
    pub(crate) fn id(&self, item: u32) -> String {
        self.view(&self.read()).id(item).to_string()
    }

    /// The values that an item has of a key.
    pub(crate) fn values(&self, item: u32, key: &str) -> Vec<AttributeValue> {
        self.view(&self.read()).values(item, key)
    }

    /// The first of them as text.
    pub(crate) fn text(&self, item: u32, key: &str) -> Option<String> {
        self.view(&self.read()).text(item, key)
    }

    /// Names of the attributes of an item, those of the catalogue and those of its record.
    pub(crate) fn attributes(&self, item: u32) -> BTreeSet<String> {
        let state = self.read();
        let items = self.view(&state);
        let own = items.record(item).and_then(ItemRecord::attributes);
        let own = own.into_iter().flat_map(|attributes| attributes.keys().cloned());
        let catalogue = items.is_catalogued(item).then(|| items.data.catalogue.attributes());
        own.chain(catalogue.unwrap_or_default().iter().cloned()).collect()
    }

    /// The file of a picture, if it lies in the folder of pictures: neither `..` nor a link leads out of it.
    pub(crate) fn picture(&self, named: &str) -> Option<PathBuf> {
        let root = self.pictures.as_ref()?;
        let path = root.join(named).canonicalize().ok()?;
        let small = || path.metadata().is_ok_and(|about| about.len() <= PICTURE_BYTES);
        (path.starts_with(root) && path.is_file() && small()).then_some(path)
    }

    /// Whether an item may be listed at `now`.
    pub(crate) fn is_open(&self, item: u32, now: i64) -> bool {
        is_open(&self.view(&self.read()), item, now)
    }

    /// Whether a new item has a place among the others: no features, no place.
    pub(crate) fn is_placed(&self, item: u32) -> bool {
        let state = self.read();
        self.view(&state).place(item).is_none_or(|added| added.place.placed.is_some())
    }

    /// The items that may be listed at `now` and that are all of `wanted`; `None` for all items there are.
    pub(crate) fn set(&self, now: i64, wanted: &[Selection]) -> Option<Arc<ItemSet>> {
        if self.read().kept.is_due(now) {
            let mut state = self.write();
            let ShelfState { kept, records, added, .. } = &mut *state;
            kept.pass_time(&ItemsView { data: &self.recommender.run().data, records, added }, now);
        }
        let mut open = {
            let state = self.read();
            let all = state.kept.all_open() && wanted.is_empty();
            if all {
                return None;
            }
            state.kept.open()
        };
        for which in wanted {
            let set = self.kept(which);
            Arc::make_mut(&mut open).intersect(&set);
        }
        Some(open)
    }

    /// The items that are `which`, from what is kept, or made and kept.
    pub(crate) fn kept(&self, which: &Selection) -> Arc<ItemSet> {
        if let Some(known) = self.read().kept.known(which) {
            return known;
        }
        let data = &self.recommender.run().data;
        // Without the lock: this may look at every item of the catalogue.
        let mut set = which.of_catalogue(&self.index, data);
        let mut state = self.write();
        let items = self.view(&state);
        set.grow(items.len());
        items.records.keys().for_each(|&item| set.set(item, which.holds(&items, item)));
        let set = Arc::new(set);
        // Anybody may ask for what nothing is: that takes nobody's place.
        if set.is_empty() { set } else { state.kept.keep(which.clone(), set) }
    }

    /// Whether the set of `which` is ready.
    pub(crate) fn is_kept(&self, which: &Selection) -> bool {
        self.read().kept.known(which).is_some()
    }

    /// What is said of an item now.
    pub(crate) fn record(&self, item: u32) -> Option<ItemRecord> {
        self.view(&self.read()).record(item).cloned()
    }

    /// Number of items that the model does not know.
    pub(crate) fn added(&self) -> usize {
        self.read().added.len()
    }

    /// Names of the categories of all items, in lower case; so many at most.
    pub(crate) fn categories(&self, most: usize) -> Vec<String> {
        let state = self.read();
        let items = self.view(&state);
        let recorded = items.records.keys().flat_map(|&item| items.values(item, "category"));
        let catalogue = self.index.texts(&self.recommender.run().data, "category");
        let all = recorded.map(|value| value.text).chain(catalogue);
        let names: BTreeSet<String> = all.map(|name| name.trim().to_lowercase()).collect();
        names.into_iter().take(most).collect()
    }

    /// Takes over what was said of items, in the order in which it was said. New ones have no place until
    /// [`Self::place_new`] gives them one.
    pub(super) fn apply(&self, rows: Vec<StoredItem>, now: i64) {
        let mut state = self.write();
        let mut changed = BTreeSet::new();
        for row in rows {
            if row.seq <= state.seq {
                continue;
            }
            state.seq = row.seq;
            let item = match (self.number_in(&state, &row.item), &row.record) {
                (Some(item), _) => item,
                (None, Some(_)) => {
                    let item = self.trained() + state.added.len() as u32;
                    state.numbers.insert(row.item.clone(), item);
                    state.added.push(Added::new(row.item));
                    item
                }
                // It went before anybody here had heard of it.
                (None, None) => continue,
            };
            if let (Some(at), Some(record)) = (item.checked_sub(self.trained()), &row.record)
                && state.added[at as usize].is_other(record)
            {
                state.unplaced.insert(item);
            }
            state.records.insert(item, row.record);
            changed.insert(item);
        }
        let ShelfState { kept, records, added, .. } = &mut *state;
        let items = ItemsView { data: &self.recommender.run().data, records, added };
        kept.grow(items.len());
        kept.update(&items, &changed, now);
    }

    /// Whether an item waits for its place.
    pub(super) fn is_unplaced(&self, item: u32) -> bool {
        self.read().unplaced.contains(&item)
    }

    /// Whether any does.
    pub(super) fn has_unplaced(&self) -> bool {
        !self.read().unplaced.is_empty()
    }

    /// Encodes and places the new items that wait for it, while others read on.
    pub(super) fn place_new(&self, encoder: Option<&dyn Encoder>) {
        loop {
            let next = {
                let state = self.read();
                state.unplaced.first().map(|&item| (item, self.view(&state).record(item).cloned()))
            };
            let Some((item, record)) = next else { return };
            let placed = record.as_ref().map(|record| {
                let picture = fields::image(record).and_then(|named| self.picture(&named));
                ItemPlace::of(record, picture.as_deref(), encoder, &self.recommender)
            });
            let mut state = self.write();
            if self.view(&state).record(item) == record.as_ref() {
                state.unplaced.remove(&item);
                if let Some(placed) = placed {
                    state.added[(item - self.trained()) as usize].place = placed;
                }
            }
        }
    }

    /// `list` with the new items that the filter lets through between, by their scores for `vector`.
    pub(crate) fn mixed(
        &self,
        list: Vec<(u32, f32)>,
        vector: &UserVector,
        filter: &Filter,
    ) -> Vec<(u32, f32)> {
        let state = self.read();
        if state.added.is_empty() {
            return list;
        }
        let mut list = list;
        for (item, added) in (self.trained()..).zip(&state.added) {
            let Some(placed) = added.place.placed.as_ref().filter(|_| filter.passes(item)) else { continue };
            list.push((item, self.recommender.score_placed(vector, placed)));
        }
        list.retain(|(_, score)| !score.is_nan());
        best(list, filter.top)
    }

    /// What `list` is with other items between; see [`Recommender::diversified_with`].
    pub(crate) fn diversified(&self, list: &[(u32, f32)], weight: f32, top: usize) -> Vec<(u32, f32)> {
        // Copied, since this takes longer than others should wait.
        let rows: HashMap<u32, Vec<f32>> = {
            let state = self.read();
            let items = self.view(&state);
            let row = |item: u32| {
                let row = &items.place(item)?.place.placed.as_ref()?.row;
                (!row.is_empty()).then(|| (item, row.clone()))
            };
            list.iter().filter_map(|&(item, _)| row(item)).collect()
        };
        let row = |item: u32| rows.get(&item).map(Vec::as_slice);
        self.recommender.diversified_with(list, weight, top, &row)
    }

    /// Items that came lately, newest first: those whose `from` has come, by that, then those that training
    /// did not know, the last that was told of first.
    pub(crate) fn newest(&self, now: i64) -> Vec<(u32, f32)> {
        let state = self.read();
        let items = self.view(&state);
        let from = |item: u32| {
            let values = items.values(item, "from");
            values.first().and_then(|v| v.number).filter(|&from| from > 0.0 && from <= now as f64)
        };
        let mut timed: Vec<(u32, f64)> =
            state.kept.timed().filter_map(|item| Some((item, from(item)?))).collect();
        timed.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let dated: BTreeSet<u32> = timed.iter().map(|t| t.0).collect();
        let added = (self.trained()..items.len() as u32).rev();
        let told = added.filter(|item| !dated.contains(item));
        // Places, since times are too long for their numbers.
        timed.iter().map(|t| t.0).chain(told).enumerate().map(|(at, item)| (item, -(at as f32))).collect()
    }

    /// What `each` makes of the ids and titles of all items.
    pub(crate) fn scan<T>(&self, mut each: impl FnMut(u32, &str, Option<&str>) -> Option<T>) -> Vec<T> {
        let mut found = Vec::new();
        self.each(|items, item| {
            let said = items.records.contains_key(&item).then(|| items.text(item, "title"));
            let title = match &said {
                Some(title) => title.as_deref(),
                None => items.data.title(item),
            };
            found.extend(each(item, items.id(item), title));
        });
        found
    }

    /// Looks at every item that is there, some at a time so that nobody waits for long.
    fn each(&self, mut look: impl FnMut(&ItemsView<'_>, u32)) {
        for first in (0..self.len()).step_by(SCANNED) {
            let state = self.read();
            let items = self.view(&state);
            let some = first..(first + SCANNED as u32).min(items.len() as u32);
            some.filter(|&item| !items.is_gone(item)).for_each(|item| look(&items, item));
        }
    }

    /// What there is to filter by; what was counted may be seconds old.
    pub(crate) fn facets(&self) -> Arc<Vec<Facet>> {
        self.facets.get(self.seq(), || {
            let mut counts = {
                let state = self.read();
                let items = self.view(&state);
                let recorded = items.records.values().flatten().filter_map(ItemRecord::attributes);
                let recorded = recorded.flat_map(|attributes| attributes.keys().cloned());
                FacetCounts::new(items.data.catalogue.attributes().iter().cloned().chain(recorded))
            };
            self.each(|items, item| counts.add(|key| items.values(item, key)));
            counts.facets()
        })
    }

    /// Number of items that are there, and of those of them that training did not know.
    pub(crate) fn alive(&self) -> (usize, usize) {
        let state = self.read();
        let items = self.view(&state);
        let gone = |&&item: &&u32| items.is_gone(item);
        let (all, added) = (items.records.keys().filter(gone).count(), items.records.range(self.trained()..));
        let added_gone = added.map(|(item, _)| item).filter(gone).count();
        (items.len() - all, items.added.len() - added_gone)
    }

    /// Known items that a new one lies between, with their shares.
    pub(crate) fn between(&self, item: u32) -> Option<Vec<(u32, f32)>> {
        let state = self.read();
        let added = self.view(&state).place(item)?;
        Some(added.place.placed.as_ref().map(|placed| placed.between.clone()).unwrap_or_default())
    }

    /// New items by the cosine of their features of `modality` with `features`.
    pub(crate) fn nearest_added(&self, modality: &str, features: &[f32]) -> Vec<(u32, f32)> {
        let state = self.read();
        let cosine = |(item, added): (u32, &Added)| Some((item, added.cosine(modality, features)?));
        (self.trained()..).zip(&state.added).filter_map(cosine).collect()
    }
}
