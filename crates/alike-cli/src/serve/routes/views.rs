//! Items and models as answers show them.

use std::collections::BTreeMap;

use alike::recommend::Reason;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use utoipa::ToSchema;

use crate::serve::model::ModelSnapshot;

/// What is written as `%XX` in a part of a path: all but the unreserved characters of RFC 3986, section 2.3.
const IN_A_PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The largest number of items that one answer lists.
pub(crate) const MAX_LISTED: usize = 1000;

/// An item.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Item {
    /// Its id.
    pub(crate) item: String,
    /// Title, where the catalogue has one.
    pub(crate) title: Option<String>,
    /// Category or categories, joined by commas.
    pub(crate) category: Option<String>,
    /// Where its picture is: a path of this server, or the address that the catalogue names.
    pub(crate) image: Option<String>,
    /// Its price, where one is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) price: Option<f64>,
}

/// An item with all that is known of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ItemDetail {
    /// The item.
    #[serde(flatten)]
    item: Item,
    /// What is said about it: a record's `description`, or that of a catalogue prepared with `--attribute
    /// description`.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// Whether it may be in lists now: it is not hidden, not sold out, and its time is there and not over.
    listed: bool,
    /// How many there are, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    stock: Option<f64>,
    /// What else filters may ask for: the values of each attribute, as texts.
    attributes: BTreeMap<String, Vec<String>>,
    /// Whether the model was trained on it.
    trained: bool,
    /// Whether it can be recommended: it was trained on, or it is new and has features to place it by.
    recommendable: bool,
}

/// An item of a ranked list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Ranked {
    /// Place in the list, from 1.
    pub(crate) rank: usize,
    /// The item.
    #[serde(flatten)]
    pub(crate) item: Item,
    /// Score or cosine; comparable within one list only.
    pub(crate) score: f32,
    /// Items of the history that carry this one, most important first; only where they were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) reasons: Vec<Why>,
}

/// An item of the history that carries a recommendation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Why {
    /// Its id.
    item: String,
    /// Its title, where the catalogue has one.
    title: Option<String>,
    /// What the score would lose without it.
    loss: f32,
    /// The modality in which most of that would be lost, where the model tells.
    modality: Option<String>,
}

/// Which checkpoint answered.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ModelRef {
    /// Name of the model.
    pub(crate) name: String,
    /// Counts the checkpoints that this server has loaded, from 1.
    pub(crate) version: u64,
}

/// A ranked list of items.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RankedItems {
    /// Which checkpoint answered.
    pub(crate) model: ModelRef,
    /// Best first.
    pub(crate) items: Vec<Ranked>,
}

impl ModelSnapshot {
    /// The item as answers show it.
    pub(super) fn shown(&self, item: u32) -> Item {
        let (shelf, id) = (&self.shelf, self.shelf.id(item));
        let image = shelf.text(item, "image").and_then(|named| {
            let elsewhere = named.starts_with("https://") || named.starts_with("http://");
            if elsewhere {
                return Some(named);
            }
            let root = self.recommender.run().data.catalogue.image_root();
            root.map(|_| format!("/v1/items/{}/image", utf8_percent_encode(&id, IN_A_PATH)))
        });
        let categories: Vec<String> =
            shelf.values(item, "category").into_iter().map(|value| value.text).collect();
        Item {
            item: id,
            title: shelf.text(item, "title"),
            category: (!categories.is_empty()).then(|| categories.join(", ")),
            image,
            price: shelf.values(item, "price").first().and_then(|value| value.number),
        }
    }

    /// The item with all that is known of it.
    pub(super) fn detail(&self, item: u32, now: i64) -> ItemDetail {
        let shelf = &self.shelf;
        let texts = |name: &str| shelf.values(item, name).into_iter().map(|value| value.text).collect();
        let attributes = shelf.attributes(item).into_iter().map(|name| (texts(&name), name));
        let own = ["price", "stock", "hidden", "from", "until", "description"];
        ItemDetail {
            item: self.shown(item),
            description: shelf.text(item, "description"),
            listed: shelf.is_open(item, now),
            stock: shelf.values(item, "stock").first().and_then(|value| value.number),
            attributes: attributes
                .filter(|(texts, name): &(Vec<String>, String)| !texts.is_empty() && !own.contains(&&**name))
                .map(|(texts, name)| (name, texts))
                .collect(),
            trained: item < shelf.trained(),
            recommendable: shelf.is_placed(item),
        }
    }

    /// The first `top` of a list that may be listed at `now`; `list` gives so many of its items.
    pub(super) fn listed(
        &self,
        top: usize,
        now: i64,
        list: impl Fn(usize) -> alike::Result<Vec<(u32, f32)>>,
    ) -> alike::Result<Vec<(u32, f32)>> {
        let Some(open) = self.shelf.set(now, &[]) else {
            let mut list = list(top)?;
            list.truncate(top);
            return Ok(list);
        };
        let mut most = top;
        loop {
            let found = list(most)?;
            let exhausted = found.len() < most || most >= self.shelf.len() as usize;
            let mut listed: Vec<(u32, f32)> =
                found.into_iter().filter(|(item, _)| open.contains(*item)).collect();
            if listed.len() >= top || exhausted {
                listed.truncate(top);
                return Ok(listed);
            }
            most *= 4;
        }
    }

    /// A ranked list as answers show it; its first item has the place after `offset`.
    pub(super) fn ranked(&self, list: &[(u32, f32)], offset: usize) -> Vec<Ranked> {
        let one = |(at, &(item, score)): (usize, &(u32, f32))| Ranked {
            rank: offset + at + 1,
            item: self.shown(item),
            score,
            reasons: Vec::new(),
        };
        list.iter().enumerate().map(one).collect()
    }

    /// Reasons as answers show them.
    pub(crate) fn why(&self, reasons: Vec<Reason>) -> Vec<Why> {
        let one = |r: Reason| Why {
            item: self.shelf.id(r.item),
            title: self.shelf.text(r.item, "title"),
            loss: r.loss,
            modality: r.modality,
        };
        reasons.into_iter().map(one).collect()
    }

    /// Its name and version.
    pub(super) fn reference(&self) -> ModelRef {
        ModelRef { name: self.recommender.run().model.clone(), version: self.version }
    }
}
