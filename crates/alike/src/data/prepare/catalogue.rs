//! What items are called and how they look, for people.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::data::folder::read;
use crate::data::formats::columns::{ITEM_IDS, guess, listed};
use crate::data::formats::table::{is_json_lines, read_texts};
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

/// What an items file says of the items, while it is read.
struct Found<'a> {
    items: &'a Vocab,
    fields: Vec<Option<[String; 3]>>,
    unknown_items: usize,
    repeated: usize,
}

impl Found<'_> {
    fn add(&mut self, id: &str, fields: impl FnOnce() -> [String; 3]) {
        let Some(item) = self.items.get(id) else {
            self.unknown_items += 1;
            return;
        };
        match &mut self.fields[item as usize] {
            Some(_) => self.repeated += 1,
            place => *place = Some(fields()),
        }
    }
}

/// Reads an items file: `.jsonl` with an object a line, `.parquet`, otherwise delimited text with a header. Names of keys and
/// columns as above, others are ignored. Lines about items that are not in `items` are counted; of several lines about
/// one item the first counts.
pub(crate) fn read_items(path: &Path, items: &Vocab) -> Result<Read> {
    let mut found = Found { items, fields: vec![None; items.len()], unknown_items: 0, repeated: 0 };
    if is_json_lines(path) {
        read_json_lines(path, &mut found)?;
    } else {
        // Where title, image and category stand among the columns that are read.
        let places = Cell::new([None; 3]);
        read_texts(
            path,
            |columns| {
                let (id, three) = choose(path, columns)?;
                let chosen: Vec<usize> = std::iter::once(id).chain(three.into_iter().flatten()).collect();
                places.set(three.map(|c| c.and_then(|c| chosen[1..].iter().position(|&at| at == c))));
                Ok(chosen)
            },
            |_, id, fields| {
                found.add(id, || {
                    places.get().map(|at| at.map(|at| fields[at].trim().into()).unwrap_or_default())
                });
                Ok(())
            },
        )?;
    }
    let Found { fields: found, unknown_items, repeated, .. } = found;
    let mut catalogue = Catalogue { offsets: vec![0], image_root: folder_of(path), ..Default::default() };
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

/// The folder of a file, also of one that is named without a folder.
fn folder_of(path: &Path) -> Option<PathBuf> {
    std::path::absolute(read::parent(path)).ok()
}

/// Columns of the ids, and of title, image and category where there are such.
fn choose(path: &Path, columns: &[String]) -> Result<(usize, [Option<usize>; 3])> {
    let id = guess(columns, ITEM_IDS).or_else(|| guess(columns, ID)).ok_or_else(|| {
        let found = listed(columns);
        Error::format(
            path,
            format!("no column looks like item ids ({} …); the columns are {found}", ID.join(", ")),
        )
    })?;
    Ok((id, [TITLE, IMAGE, CATEGORY].map(|names| guess(columns, names).filter(|&at| at != id))))
}

fn read_json_lines(path: &Path, found: &mut Found<'_>) -> Result<()> {
    for (at, line) in read::text(path)?.lines().enumerate() {
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
        found.add(&id, || {
            [TITLE, IMAGE, CATEGORY].map(|keys| {
                keys.iter()
                    .filter_map(|k| value.get(k))
                    .map(plain)
                    .find(|t| !t.is_empty())
                    .unwrap_or_default()
            })
        });
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_folder_lies_in_the_current_one() {
        assert_eq!(folder_of(Path::new("catalogue.csv")), std::env::current_dir().ok());
        assert_eq!(folder_of(Path::new("/shop/catalogue.csv")), Some(PathBuf::from("/shop")));
    }
}
