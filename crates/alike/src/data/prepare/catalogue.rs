//! What items are called and how they look, for people.

use std::path::{Path, PathBuf};

use crate::data::formats::columns::{CATEGORY, IMAGE, TITLE};
use crate::data::formats::id_text::find;
use crate::data::formats::options::TextOptions;
use crate::data::prepare::items_file::{Field, Holds, read_items};
use crate::disk::{self, source};
use crate::ids::Vocab;
use crate::{Error, Result};

/// Title, image, category and further attributes of each item, where they are known.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    text: String,
    /// `F · I + 1` values, `F` the number of fields; entry `F · item + field` starts at `offsets[..]`. Empty
    /// text means unknown.
    offsets: Vec<u64>,
    /// Names of the fields after title, image and category.
    attributes: Vec<String>,
    image_root: Option<PathBuf>,
}

/// Fields that every catalogue has: title, image, category.
const FIELDS: usize = 3;

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

    /// Names of the attributes that the data were prepared with.
    pub fn attributes(&self) -> &[String] {
        &self.attributes
    }

    /// The attribute `name` of `item`: its text, or a JSON list where it has several values.
    pub fn attribute(&self, item: u32, name: &str) -> Option<&str> {
        let at = self.attributes.iter().position(|attribute| attribute == name)?;
        self.field(item, FIELDS + at)
    }

    /// Folder of the items file when the data were prepared.
    pub fn image_root(&self) -> Option<&Path> {
        self.image_root.as_deref()
    }

    fn field(&self, item: u32, field: usize) -> Option<&str> {
        let at = item as usize * (FIELDS + self.attributes.len()) + field;
        let (from, to) = (*self.offsets.get(at)?, *self.offsets.get(at + 1)?);
        self.text.get(from as usize..to as usize).filter(|t| !t.is_empty())
    }

    /// From the stored form. `items` is the number of items.
    pub(crate) fn from_parts(
        text: Vec<u8>,
        offsets: Vec<u64>,
        items: usize,
        attributes: Vec<String>,
        image_root: Option<PathBuf>,
    ) -> Result<Self> {
        let bad = || Error::Data("the catalogue's offsets do not fit its text".into());
        let text = String::from_utf8(text).map_err(|_| bad())?;
        let fits = offsets.len() == offsets_of(items, attributes.len())
            && offsets.last() == Some(&(text.len() as u64));
        let rising = offsets.windows(2).all(|w| w[0] <= w[1]);
        if !fits || !rising || offsets.iter().any(|&o| !text.is_char_boundary(o as usize)) {
            return Err(bad());
        }
        Ok(Self { text, offsets, attributes, image_root })
    }

    /// The stored form.
    pub(crate) fn parts(&self) -> (&[u8], &[u64]) {
        (self.text.as_bytes(), &self.offsets)
    }
}

/// Number of offsets of a catalogue of so many items and attributes.
pub(crate) fn offsets_of(items: usize, attributes: usize) -> usize {
    items.saturating_mul(FIELDS + attributes).saturating_add(1)
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
    /// Further attributes: their names, and their columns.
    pub attributes: Vec<(String, String)>,
}

impl ItemColumns {
    /// An error where an attribute's name means something else, or comes twice.
    pub(crate) fn check(&self) -> Result<()> {
        let names: Vec<&str> = self.attributes.iter().map(|(name, _)| name.as_str()).collect();
        let taken = |at: usize| TAKEN.contains(&names[at]) || names[..at].contains(&names[at]);
        match (0..names.len()).find(|&at| taken(at)) {
            Some(at) if TAKEN.contains(&names[at]) => Err(Error::Data(format!(
                "`{}` cannot be the name of an attribute; give another, as NAME=COLUMN",
                names[at]
            ))),
            Some(at) => Err(Error::Data(format!("the attribute `{}` is named twice", names[at]))),
            None if self.attributes.len() > ATTRIBUTES => Err(Error::Data(format!(
                "{} attributes are named; allowed: at most {ATTRIBUTES}",
                names.len()
            ))),
            None => Ok(()),
        }
    }
}

/// Names that items have anyway.
const TAKEN: [&str; 4] = ["id", "title", "image", "category"];
/// Attributes of a catalogue.
const ATTRIBUTES: usize = 100;

/// An items file as it was read: once, since it may be a pipe.
pub(crate) struct Listing {
    path: PathBuf,
    /// Id, and title, image, category and the attributes, row by row.
    rows: Vec<(String, Vec<String>)>,
    /// The first so many of them lie over the others.
    over: usize,
    /// Names of the attributes.
    attributes: Vec<String>,
    /// What is good to know of it.
    pub(crate) notes: Vec<String>,
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
    /// Reads an items file. Other columns than those that `names` names, or that have usual names, are
    /// ignored.
    pub(crate) fn read(path: &Path, text: &TextOptions, names: &ItemColumns) -> Result<Self> {
        let columns: Vec<&str> = names.attributes.iter().map(|(_, column)| column.as_str()).collect();
        Self::of_columns(path, text, names, &columns, false)
    }

    /// Puts the rows of another table over what this says: one of our own, whose columns have usual names and
    /// whose attributes have the names that they have in lists. Where it says nothing, this counts as before.
    pub(crate) fn put_over(&mut self, path: &Path) -> Result<()> {
        let attributes = self.attributes.iter().map(|name| (name.clone(), name.clone())).collect();
        let names = ItemColumns { attributes, ..ItemColumns::default() };
        let columns: Vec<&str> = self.attributes.iter().map(String::as_str).collect();
        let other = Self::of_columns(path, &TextOptions::default(), &names, &columns, true)?;
        self.over += other.rows.len();
        self.rows.splice(..0, other.rows);
        Ok(())
    }

    fn of_columns(
        path: &Path,
        text: &TextOptions,
        names: &ItemColumns,
        columns: &[&str],
        optional: bool,
    ) -> Result<Self> {
        let mut rows = Vec::new();
        let field = |holds, name, usual| Field { holds, name, usual, optional };
        let mut fields = vec![
            field(Holds::Text, names.title.as_deref(), TITLE),
            field(Holds::Picture, names.image.as_deref(), IMAGE),
            field(Holds::Text, names.category.as_deref(), CATEGORY),
        ];
        fields.extend(columns.iter().map(|column| field(Holds::Values, Some(column), &[])));
        let found = read_items(path, text, names.id.as_deref(), &fields, &mut |_, id, texts| {
            rows.push((id.to_string(), texts));
            Ok(())
        })?;
        let attributes = names.attributes.iter().map(|(name, _)| name.clone()).collect();
        Ok(Self { path: path.to_path_buf(), rows, over: 0, attributes, notes: found.notes() })
    }

    /// The ids, row by row.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        self.rows.iter().map(|(id, _)| id.as_str())
    }

    /// What the file says of `items`. Rows about others are counted; of several rows about one item, as shops
    /// write them for further pictures, each field is that of the first that has it.
    pub(crate) fn join(&self, items: &Vocab) -> Read {
        let mut found: Vec<Option<Vec<&str>>> = vec![None; items.len()];
        // Items of which the file itself said something.
        let mut own = vec![false; items.len()];
        let (mut unknown_items, mut repeated) = (0, 0);
        for (at, (id, fields)) in self.rows.iter().enumerate() {
            let Some(item) = find(items, id) else {
                unknown_items += 1;
                continue;
            };
            let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
            match &mut found[item as usize] {
                Some(known) => {
                    repeated += usize::from(own[item as usize]);
                    known.iter_mut().zip(fields).filter(|(k, _)| k.is_empty()).for_each(|(k, f)| *k = f);
                }
                place => *place = Some(fields),
            }
            own[item as usize] = at >= self.over;
        }
        let mut catalogue = Catalogue {
            offsets: vec![0],
            attributes: self.attributes.clone(),
            image_root: folder_of(&self.path),
            ..Default::default()
        };
        let known_items = found.iter().flatten().count();
        let mut with_title = 0;
        for fields in found {
            let fields = fields.unwrap_or_else(|| vec![""; FIELDS + self.attributes.len()]);
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
    let folder = if source::is_folder(path) { path } else { disk::parent(path) };
    std::path::absolute(folder).ok()
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
