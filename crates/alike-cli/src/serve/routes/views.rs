//! Items and models as answers show them.

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
        let data = &self.recommender.run().data;
        let id = data.items.name(item);
        let image = data.catalogue.image(item).and_then(|named| {
            let elsewhere = named.starts_with("https://") || named.starts_with("http://");
            if elsewhere {
                return Some(named.to_string());
            }
            data.catalogue
                .image_root()
                .map(|_| format!("/v1/items/{}/image", utf8_percent_encode(id, IN_A_PATH)))
        });
        Item {
            item: id.to_string(),
            title: data.title(item).map(String::from),
            category: data.catalogue.category(item).map(String::from),
            image,
        }
    }

    /// A ranked list as answers show it.
    pub(super) fn ranked(&self, list: &[(u32, f32)]) -> Vec<Ranked> {
        let one = |(at, &(item, score)): (usize, &(u32, f32))| Ranked {
            rank: at + 1,
            item: self.shown(item),
            score,
            reasons: Vec::new(),
        };
        list.iter().enumerate().map(one).collect()
    }

    /// Reasons as answers show them.
    pub(super) fn why(&self, reasons: Vec<Reason>) -> Vec<Why> {
        let data = &self.recommender.run().data;
        let one = |r: Reason| Why {
            item: data.items.name(r.item).to_string(),
            title: data.title(r.item).map(String::from),
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
