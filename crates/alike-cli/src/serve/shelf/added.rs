//! New items: encoded, and placed among those that the model knows.

use std::path::Path;

use alike::recommend::{Placed, Recommender};
use alike::scorer::cosine;

use super::fields;
use crate::serve::encoder::{Encoded, Encoder};
use crate::serve::store::ItemRecord;

/// An item that the checkpoint's data do not have.
pub(super) struct Added {
    pub(super) id: String,
    pub(super) place: ItemPlace,
}

/// Where a new item is.
#[derive(Default)]
pub(super) struct ItemPlace {
    /// What it was encoded from.
    text: String,
    image: Option<String>,
    features: Vec<Encoded>,
    /// Its place; none without features that the data have too.
    pub(super) placed: Option<Placed>,
}

impl ItemPlace {
    /// Encodes what `record` says, and the file of its picture where there is one, where it brings no features
    /// of its own.
    pub(super) fn of(
        record: &ItemRecord,
        picture: Option<&Path>,
        encoder: Option<&dyn Encoder>,
        recommender: &Recommender,
    ) -> Self {
        let mut features = fields::features(record);
        let (text, image) = (fields::text(record), fields::image(record));
        if let Some(encoder) = encoder.filter(|_| features.is_empty()) {
            let (texts, pictures) = encoder.takes();
            let from_text = (texts && !text.is_empty()).then(|| encoder.text(&text));
            let read = |path: &Path| std::fs::read(path).map_err(|e| alike::Error::io(path, e));
            let picture = picture.filter(|_| pictures);
            let from_picture = picture.map(|path| read(path).and_then(|bytes| encoder.image(&bytes)));
            for encoded in [from_text, from_picture].into_iter().flatten() {
                match encoded {
                    Ok(encoded) => features.push(encoded),
                    Err(error) => tracing::warn!(%error, "a new item could not be encoded"),
                }
            }
        }
        let named: Vec<(&str, &[f32])> = features.iter().map(|e| (&*e.modality, &*e.features)).collect();
        let placed = match (named.is_empty(), recommender.place_item(&named)) {
            (true, _) => None,
            (false, Ok(placed)) => Some(placed),
            (false, Err(error)) => {
                // Features that an earlier model had, perhaps.
                tracing::warn!(%error, "a new item has no place among the others");
                None
            }
        };
        Self { text, image, features, placed }
    }
}

impl Added {
    /// One that has no place yet.
    pub(super) fn new(id: String) -> Self {
        Self { id, place: ItemPlace::default() }
    }

    /// Whether `record` says other things than those by which it has its place.
    pub(super) fn is_other(&self, record: &ItemRecord) -> bool {
        let own = fields::features(record);
        let same = fields::text(record) == self.place.text && fields::image(record) == self.place.image;
        !same || !own.is_empty() && own != self.place.features
    }

    /// The cosine of its features of `modality` with `features`, where it has any.
    pub(super) fn cosine(&self, modality: &str, features: &[f32]) -> Option<f32> {
        let own = self.place.features.iter().find(|e| e.modality == modality)?;
        (own.features.len() == features.len()).then(|| cosine(&own.features, features))
    }
}
