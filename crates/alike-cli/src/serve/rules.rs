//! Rules of a list: which items it may hold, which come first, how many of a kind, and what stands where.

use std::sync::Arc;

use alike::rules::{ItemFilter, limited};
use alike_ops::ItemSet;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::error::ApiResult;
use super::extract::{id, whole, within};
use super::shelf::{Selection, Shelf};

/// Boosts of a list.
const BOOSTS: usize = 4;
/// Limits of a list.
const LIMITS: usize = 4;
/// Items that are set in their places.
const PINS: usize = 100;

/// Rules of a list.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Rules {
    /// Which items it may hold, in the form of Qdrant's filters: `must`, `should` and `must_not`, lists
    /// of conditions. A condition is `{"key": …, "match": {"value": …}}` (or `any`, `except` with a list),
    /// `{"key": …, "range": {"gt", "gte", "lt", "lte"}}`, `{"is_empty": {"key": …}}`, `{"has_id": […]}`, or a
    /// filter. Keys are `price`, `stock`, `category`, `title` and the attributes of items.
    #[schema(value_type = Option<BTreeMap<String, serde_json::Value>>)]
    pub(crate) filter: Option<ItemFilter>,
    /// Items that are to stand higher, or lower. At most 4.
    #[schema(max_items = 4)]
    pub(crate) boosts: Vec<Boost>,
    /// How many items with the same value of a key the list may hold. At most 4.
    #[schema(max_items = 4)]
    pub(crate) limits: Vec<Limit>,
    /// Items that are set in their places, if they may be listed at all. At most 100.
    #[schema(max_items = 100)]
    pub(crate) pins: Vec<Pin>,
}

/// Items that are to stand higher, or lower.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Boost {
    /// Which items.
    #[schema(value_type = BTreeMap<String, serde_json::Value>)]
    filter: ItemFilter,
    /// How much is added to their scores, in units of the way from the hundredth item of the list to the
    /// first: 1 lifts the hundredth to the first. Below 0 they sink.
    #[schema(minimum = -100, maximum = 100)]
    weight: f32,
}

/// How many items with the same value of a key a list may hold.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limit {
    /// The key, such as brand or category.
    key: String,
    /// How many at most.
    #[schema(minimum = 1, maximum = 1000)]
    #[serde(deserialize_with = "whole")]
    most: usize,
}

/// An item that is set in its place.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pin {
    /// Its id.
    item: String,
    /// The place, from 1.
    #[schema(minimum = 1, maximum = 1000)]
    #[serde(deserialize_with = "whole")]
    position: usize,
}

/// The item whose distance from the first is the unit of boosts.
pub(crate) const UNIT: usize = 100;

impl Rules {
    /// Checks the numbers.
    pub(crate) fn check(&self) -> ApiResult<()> {
        within("number of `boosts`", self.boosts.len(), 0, BOOSTS)?;
        within("number of `limits`", self.limits.len(), 0, LIMITS)?;
        within("number of `pins`", self.pins.len(), 0, PINS)?;
        for boost in &self.boosts {
            within("weight", boost.weight, -100.0, 100.0)?;
        }
        for limit in &self.limits {
            id("key", &limit.key)?;
            within("most", limit.most, 1, 1000)?;
        }
        for pin in &self.pins {
            id("item", &pin.item)?;
            within("position", pin.position, 1, 1000)?;
        }
        Ok(())
    }

    /// Whether nothing is added to any score.
    pub(crate) fn is_plain(&self) -> bool {
        self.boosts.iter().all(|boost| boost.weight == 0.0)
    }

    /// The parts of the catalogue that are boosted alike, those of `base` alone, with what is added there in
    /// units. Of each its best are the best by boosted scores too, so that ranking stays exact.
    pub(crate) fn parts(&self, shelf: &Shelf, base: Option<Arc<ItemSet>>) -> Vec<(Arc<ItemSet>, f32)> {
        let all = base.unwrap_or_else(|| Arc::new(ItemSet::all(shelf.len() as usize)));
        let mut parts = vec![(all, 0.0)];
        for boost in self.boosts.iter().filter(|boost| boost.weight != 0.0) {
            let boosted = shelf.kept(&Selection::Filter(boost.filter.clone()));
            let mut split = Vec::with_capacity(parts.len() * 2);
            for (set, weight) in parts {
                let (mut with, mut without) = ((*set).clone(), (*set).clone());
                with.intersect(&boosted);
                without.subtract(&boosted);
                split.push((Arc::new(with), weight + boost.weight));
                split.push((Arc::new(without), weight));
            }
            parts = split.into_iter().filter(|(set, _)| !set.is_empty()).collect();
        }
        parts
    }

    /// The first `top` of `list` of which no more than allowed have a value in common.
    pub(crate) fn limited(&self, shelf: &Shelf, list: &[(u32, f32)], top: usize) -> Vec<(u32, f32)> {
        let limits: Vec<(&str, usize)> = self.limits.iter().map(|l| (l.key.as_str(), l.most)).collect();
        limited(list, &limits, top, &|item, key| shelf.values(item, key))
    }

    /// The pinned items that `allowed` lets through, by their places from 0. Ids that nobody knows are passed
    /// over.
    pub(crate) fn pins(&self, shelf: &Shelf, allowed: &dyn Fn(u32) -> bool) -> Vec<(usize, u32)> {
        let mut pins: Vec<(usize, u32)> = Vec::new();
        for pin in &self.pins {
            let item = shelf.number(&pin.item).filter(|&item| allowed(item));
            if let Some(item) = item.filter(|item| !pins.iter().any(|(_, other)| other == item)) {
                pins.push((pin.position - 1, item));
            }
        }
        pins.sort_unstable();
        pins
    }

    /// Ids of pinned items.
    pub(crate) fn pinned_ids(&self) -> impl Iterator<Item = &String> {
        self.pins.iter().map(|pin| &pin.item)
    }
}

/// `list`, which has none of them, with pinned items in their places; never longer than `top`. They have the
/// scores of those whose places they take.
pub(crate) fn with_pins(mut list: Vec<(u32, f32)>, pins: &[(usize, u32)], top: usize) -> Vec<(u32, f32)> {
    for &(at, item) in pins.iter().filter(|(at, _)| *at < top) {
        let at = at.min(list.len());
        let score = list.get(at).or(list.last()).map_or(0.0, |other| other.1);
        list.insert(at, (item, score));
    }
    list.truncate(top);
    list
}
