//! What items are called and how they look, for people.

use std::cell::Cell;
use std::io::BufRead;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::data::formats::columns::{ITEM_IDS, guess, listed, named};
use crate::data::formats::id_text::{clean, find};
use crate::data::formats::json::read_objects;
use crate::data::formats::markup;
use crate::data::formats::open::{Table, open_table};
use crate::data::formats::options::TextOptions;
use crate::data::formats::table::read_texts;
use crate::disk;
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
pub(crate) const IMAGE: &[&str] =
    &["image", "image_url", "imUrl", "imageURL", "img", "image_src", "images", "picture", "photo"];
/// Keys of a picture's place, where a picture is an object, best first.
const PICTURE_PLACES: [&str; 7] = ["src", "url", "href", "hi_res", "large", "path", "thumb"];
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

/// Columns of an items file; what is not given is guessed from usual names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ItemColumns {
    /// Item ids.
    pub id: Option<String>,
    /// Titles.
    pub title: Option<String>,
    /// Paths or addresses of pictures.
    pub image: Option<String>,
    /// Categories.
    pub category: Option<String>,
}

/// An items file as it was read: once, since it may be a pipe.
pub(crate) struct Listing {
    path: PathBuf,
    /// Id, title, image and category, row by row.
    rows: Vec<(String, [String; 3])>,
}

/// What an items file says of the items.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) catalogue: Catalogue,
    pub(crate) with_title: usize,
    /// Items that the file says something about.
    pub(crate) known_items: usize,
    pub(crate) unknown_items: usize,
    pub(crate) repeated: usize,
}

impl Listing {
    /// Reads an items file: JSON objects, Parquet or delimited text with a header. Other columns than those that `names`
    /// names, or that have usual names, are ignored.
    pub(crate) fn read(path: &Path, text: &TextOptions, names: &ItemColumns) -> Result<Self> {
        let mut rows = Vec::new();
        let table = open_table(path, text)?;
        if let Table::Json(input) = table {
            read_json_lines(path, input, names, &mut rows)?;
        } else {
            // Where title, image and category stand among the columns that are read.
            let places = Cell::new([None; 3]);
            read_texts(
                path,
                table,
                text,
                |columns| {
                    let (id, three) = choose(path, columns, names)?;
                    let chosen: Vec<usize> = std::iter::once(id).chain(three.into_iter().flatten()).collect();
                    places.set(three.map(|c| c.and_then(|c| chosen[1..].iter().position(|&at| at == c))));
                    Ok(chosen)
                },
                |_, id, fields| {
                    let [title, image, category] =
                        places.get().map(|at| at.map_or("", |at| fields[at].trim()));
                    let texts = [title, category].map(|t| markup::plain(t).into_owned());
                    let [title, category] = texts;
                    rows.push((clean(id).to_string(), [title, image.to_string(), category]));
                    Ok(())
                },
            )?;
        }
        Ok(Self { path: path.to_path_buf(), rows })
    }

    /// The ids, row by row.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        self.rows.iter().map(|(id, _)| id.as_str())
    }

    /// What the file says of `items`. Rows about others are counted; of several rows about one item, as shops write them for
    /// further pictures, each field is that of the first that has it.
    pub(crate) fn join(&self, items: &Vocab) -> Read {
        let mut found: Vec<Option<[&str; 3]>> = vec![None; items.len()];
        let (mut unknown_items, mut repeated) = (0, 0);
        for (id, fields) in &self.rows {
            let Some(item) = find(items, id) else {
                unknown_items += 1;
                continue;
            };
            let fields = fields.each_ref().map(String::as_str);
            match &mut found[item as usize] {
                Some(known) => {
                    repeated += 1;
                    known.iter_mut().zip(fields).filter(|(k, _)| k.is_empty()).for_each(|(k, f)| *k = f);
                }
                place => *place = Some(fields),
            }
        }
        let mut catalogue =
            Catalogue { offsets: vec![0], image_root: folder_of(&self.path), ..Default::default() };
        let known_items = found.iter().flatten().count();
        let mut with_title = 0;
        for fields in found {
            let fields = fields.unwrap_or_default();
            with_title += usize::from(!fields[0].is_empty());
            for field in fields {
                catalogue.text.push_str(field);
                catalogue.offsets.push(catalogue.text.len() as u64);
            }
        }
        Read { catalogue, with_title, known_items, unknown_items, repeated }
    }
}

/// The folder of a file, also of one that is named without a folder.
fn folder_of(path: &Path) -> Option<PathBuf> {
    std::path::absolute(disk::parent(path)).ok()
}

/// Columns of the ids, and of title, image and category where there are such.
fn choose(path: &Path, columns: &[String], names: &ItemColumns) -> Result<(usize, [Option<usize>; 3])> {
    let id = match &names.id {
        Some(name) => named(path, columns, name)?,
        None => guess(columns, ITEM_IDS).or_else(|| guess(columns, ID)).ok_or_else(|| {
            let found = listed(columns);
            let message = format!(
                "no column looks like item ids ({} …); name one (`--id COLUMN`); the columns are {found}",
                ID.join(", ")
            );
            Error::format(path, message)
        })?,
    };
    let one = |name: &Option<String>, usual: &[&str]| match name {
        Some(name) => named(path, columns, name).map(Some),
        None => Ok(guess(columns, usual).filter(|&at| at != id)),
    };
    let title = one(&names.title, TITLE)?;
    let image = one(&names.image, IMAGE)?;
    Ok((id, [title, image, one(&names.category, CATEGORY)?]))
}

fn read_json_lines(
    path: &Path,
    input: Box<dyn BufRead>,
    names: &ItemColumns,
    rows: &mut Vec<(String, [String; 3])>,
) -> Result<()> {
    let fields = [&names.title, &names.image, &names.category];
    let mut seen = fields.map(Option::is_none);
    read_objects(path, input, &mut |place, value| {
        let id = match &names.id {
            Some(name) => value.get(name),
            None => usual_values(&value, ITEM_IDS).chain(usual_values(&value, ID)).find(|v| !v.is_null()),
        };
        let id = match id {
            Some(Value::String(s)) => s.clone(),
            Some(Value::Number(n)) => n.to_string(),
            _ => {
                let one_of = || format!("one of {}", ID.join(", "));
                let expected = names.id.as_ref().map_or_else(one_of, |n| format!("`{n}`"));
                let message = format!("has no item id; {expected} is expected (`--id NAME` names it)");
                return Err(place.error(message));
            }
        };
        for (seen, name) in seen.iter_mut().zip(fields) {
            *seen |= name.as_ref().is_some_and(|n| value.contains_key(n));
        }
        let field = |name: &Option<String>, usual: &'static [&str], read: fn(&Value) -> String| match name {
            Some(name) => value.get(name).map(read).unwrap_or_default(),
            None => usual_values(&value, usual).map(read).find(|t| !t.is_empty()).unwrap_or_default(),
        };
        let fields = [
            field(&names.title, TITLE, plain),
            field(&names.image, IMAGE, picture),
            field(&names.category, CATEGORY, plain),
        ];
        rows.push((clean(&id).to_string(), fields));
        Ok(())
    })?;
    match fields.into_iter().zip(seen).find_map(|(name, seen)| name.as_ref().filter(|_| !seen)) {
        Some(name) => Err(Error::format(path, format!("no object has `{name}`"))),
        None => Ok(()),
    }
}

/// The values of an object under usual names, in the order of these.
fn usual_values<'a>(
    object: &'a Map<String, Value>,
    usual: &'static [&str],
) -> impl Iterator<Item = &'a Value> {
    let names: Vec<String> = object.keys().cloned().collect();
    usual.iter().filter_map(move |one| guess(&names, &[one])).filter_map(|at| object.values().nth(at))
}

/// A value as text for people: lists joined, of an object its texts, markup taken off.
pub(crate) fn plain(value: &Value) -> String {
    match value {
        Value::String(s) => markup::plain(s.trim()).into_owned(),
        Value::Number(n) => n.to_string(),
        Value::Array(parts) => joined(parts.iter()),
        // Numbers in an object are ids and sizes.
        Value::Object(parts) => joined(parts.values().filter(|v| !v.is_number())),
        _ => String::new(),
    }
}

fn joined<'a>(parts: impl Iterator<Item = &'a Value>) -> String {
    let parts: Vec<String> = parts.map(plain).filter(|p| !p.is_empty()).collect();
    parts.join(", ")
}

/// The path or address of a picture: of several the first, of an object its best.
pub(crate) fn picture(value: &Value) -> String {
    match value {
        Value::String(s) => s.trim().to_string(),
        Value::Array(all) => all.iter().map(picture).find(|p| !p.is_empty()).unwrap_or_default(),
        Value::Object(parts) => {
            let places = PICTURE_PLACES.iter().filter_map(|place| parts.get(*place));
            places.map(picture).find(|p| !p.is_empty()).unwrap_or_default()
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

    #[test]
    fn nested_values_give_their_texts_and_their_first_picture() {
        let value = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        assert_eq!(plain(&value("[[\"Toys\", \"Games\"], null, 7]")), "Toys, Games, 7");
        assert_eq!(plain(&value("{\"id\": 3, \"name\": \"<b>Shirts</b>\"}")), "Shirts");
        let shop = "[{\"id\": 1, \"src\": \"\"}, {\"id\": 2, \"src\": \"a.jpg\", \"alt\": \"red\"}]";
        assert_eq!(picture(&value(shop)), "a.jpg");
        assert_eq!(picture(&value("{\"thumb\": \"s.jpg\", \"large\": [\"l.jpg\"]}")), "l.jpg");
        assert_eq!(picture(&value("[\"a.jpg\", \"b.jpg\"]")), "a.jpg");
    }
}
