//! What is known of the items: the records that lie over the catalogue, and the new ones.

use std::collections::BTreeMap;

use alike::data::Dataset;
use alike::rules::{AttributeValue, catalogue_values};

use super::added::Added;
use super::fields;
use crate::serve::store::ItemRecord;

/// The items of the data, what was said of them, and those that came since.
#[derive(Clone, Copy)]
pub(super) struct ItemsView<'a> {
    pub(super) data: &'a Dataset,
    /// By number; none where the item is gone.
    pub(super) records: &'a BTreeMap<u32, Option<ItemRecord>>,
    pub(super) added: &'a [Added],
}

impl<'a> ItemsView<'a> {
    /// Number of items, those that are gone included.
    pub(super) fn len(&self) -> usize {
        self.data.items.len() + self.added.len()
    }

    /// The place of a new item among those; none for an item of the data.
    pub(super) fn place(&self, item: u32) -> Option<&'a Added> {
        let at = (item as usize).checked_sub(self.data.items.len())?;
        Some(&self.added[at])
    }

    pub(super) fn id(&self, item: u32) -> &'a str {
        self.place(item).map_or_else(|| self.data.items.name(item), |added| &added.id)
    }

    pub(super) fn record(&self, item: u32) -> Option<&'a ItemRecord> {
        self.records.get(&item).and_then(Option::as_ref)
    }

    pub(super) fn is_gone(&self, item: u32) -> bool {
        self.records.get(&item).is_some_and(Option::is_none)
    }

    /// Whether the catalogue has a say.
    pub(super) fn is_catalogued(&self, item: u32) -> bool {
        let replaced = self.record(item).is_some_and(|record| record.replaces);
        self.place(item).is_none() && !self.is_gone(item) && !replaced
    }

    /// The values that an item has of a key: those of its record, otherwise those of the catalogue.
    pub(super) fn values(&self, item: u32, key: &str) -> Vec<AttributeValue> {
        let said = self.record(item).and_then(|record| fields::values(record, key));
        said.unwrap_or_else(|| match self.is_catalogued(item) {
            true => catalogue_values(&self.data.catalogue, item, key),
            false => Vec::new(),
        })
    }

    /// The first of them as text.
    pub(super) fn text(&self, item: u32, key: &str) -> Option<String> {
        self.values(item, key).into_iter().next().map(|value| value.text)
    }
}
