//! What items are called and how they look, for people.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::data::read;
use crate::ids::Vocab;
use crate::{Error, Result};

/// Title, image and category of each item, where they are known.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    text: String,
    /// `3 · I + 1` values; entry `3 · item + field` starts at `offsets[..]`. Empty text means unknown.
    offsets: Vec<u64>,
    image_root: Option<PathBuf>,
}

/// Usual keys of an item's id.
pub(crate) const ID: &[&str] = &["itemID", "item_id", "itemid", "id", "item"];
/// Usual keys of its title.
pub(crate) const TITLE: &[&str] = &["title", "name", "keywords"];
/// Usual keys of its picture.
pub(crate) const IMAGE: &[&str] = &["image", "image_url", "imUrl", "imageURL", "img"];
/// Usual keys of its category.
pub(crate) const CATEGORY: &[&str] = &["genres", "genre", "categories", "category"];

impl Catalogue {
    /// True when nothing is known of any item.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Title of `item`.
    pub fn title(&self, item: u32) -> Option<&str> {
        self.field(item, 0)
    }

    /// Image of `item` as the items file names it: an address, or a path that is relative to
    /// [`Catalogue::image_root`] unless it is absolute.
    pub fn image(&self, item: u32) -> Option<&str> {
        self.field(item, 1)
    }

    /// Category or categories of `item`, joined by `, `.
    pub fn category(&self, item: u32) -> Option<&str> {
        self.field(item, 2)
    }

    /// Folder of the items file when the data were prepared.
    pub fn image_root(&self) -> Option<&Path> {
        self.image_root.as_deref()
    }

    fn field(&self, item: u32, field: usize) -> Option<&str> {
        let at = item as usize * 3 + field;
        let (from, to) = (*self.offsets.get(at)?, *self.offsets.get(at + 1)?);
        self.text.get(from as usize..to as usize).filter(|t| !t.is_empty())
    }

    /// From the stored form. `items` is the number of items.
    pub(crate) fn from_parts(
        text: Vec<u8>,
        offsets: Vec<u64>,
        items: usize,
        image_root: Option<PathBuf>,
    ) -> Result<Self> {
        let bad = || Error::Data("the catalogue's offsets do not fit its text".into());
        let text = String::from_utf8(text).map_err(|_| bad())?;
        let fits = offsets.len() == 3 * items + 1 && offsets.last() == Some(&(text.len() as u64));
        let rising = offsets.windows(2).all(|w| w[0] <= w[1]);
        if !fits || !rising || offsets.iter().any(|&o| !text.is_char_boundary(o as usize)) {
            return Err(bad());
        }
        Ok(Self { text, offsets, image_root })
    }

    /// The stored form.
    pub(crate) fn parts(&self) -> (&[u8], &[u64]) {
        (self.text.as_bytes(), &self.offsets)
    }
}

/// What was read of an items file.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) catalogue: Catalogue,
    pub(crate) with_title: usize,
    pub(crate) unknown_items: usize,
    pub(crate) repeated: usize,
}

/// Reads one JSON object a line; keys as above, other keys are ignored. Lines about items that are not in
/// `items` are counted; of several lines about one item the first counts.
pub(crate) fn read_items(path: &Path, items: &Vocab) -> Result<Read> {
    let content = read::text(path)?;
    let mut found: Vec<Option<[String; 3]>> = vec![None; items.len()];
    let (mut unknown_items, mut repeated) = (0, 0);
    for (at, line) in content.lines().enumerate() {
        let number = at as u64 + 1;
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        let value: Value = serde_json::from_str(line)
            .map_err(|e| Error::format_at(path, number, format!("is no JSON object: {e}")))?;
        let get = |keys: &[&str]| keys.iter().find_map(|k| value.get(k)).filter(|v| !v.is_null());
        let id = match get(ID) {
            Some(Value::String(s)) => s.clone(),
            Some(Value::Number(n)) => n.to_string(),
            _ => {
                let message = format!("has no item id; one of {} is expected", ID.join(", "));
                return Err(Error::format_at(path, number, message));
            }
        };
        let Some(item) = items.get(&id) else {
            unknown_items += 1;
            continue;
        };
        let fields = [TITLE, IMAGE, CATEGORY].map(|keys| {
            keys.iter().filter_map(|k| value.get(k)).map(plain).find(|t| !t.is_empty()).unwrap_or_default()
        });
        let place = &mut found[item as usize];
        match place {
            Some(_) => repeated += 1,
            None => *place = Some(fields),
        }
    }
    let mut catalogue = Catalogue {
        offsets: vec![0],
        image_root: path.parent().and_then(|p| std::path::absolute(p).ok()),
        ..Default::default()
    };
    let mut with_title = 0;
    for fields in found {
        let fields = fields.unwrap_or_default();
        with_title += usize::from(!fields[0].is_empty());
        for field in fields {
            catalogue.text.push_str(&field);
            catalogue.offsets.push(catalogue.text.len() as u64);
        }
    }
    Ok(Read { catalogue, with_title, unknown_items, repeated })
}

/// A value as text: lists joined, objects left out.
pub(crate) fn plain(value: &Value) -> String {
    match value {
        Value::String(s) => s.trim().to_string(),
        Value::Number(n) => n.to_string(),
        Value::Array(parts) => {
            let parts: Vec<String> = parts.iter().map(plain).filter(|p| !p.is_empty()).collect();
            parts.join(", ")
        }
        _ => String::new(),
    }
}
