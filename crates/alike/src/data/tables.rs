//! Tables of others for programs that bring them into a form of their own: all rows at once, by the readers,
//! the usual names of columns and the ways of writing times that [`prepare()`](crate::data::prepare()) knows.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::data::formats::columns::{
    AUTHOR, CATALOGUE_ID, CATEGORY, DESCRIPTION, IMAGE, ITEM_IDS, TIME, TITLE, USER, guesses,
};
use crate::data::formats::id_text;
use crate::data::formats::json::{number_text, read_objects};
use crate::data::formats::markup;
use crate::data::formats::open::{OpenTable, open_table};
use crate::data::formats::options::TextOptions;
use crate::data::formats::table::read_texts;
use crate::data::formats::times::TimeFormat;
use crate::{Error, Result};

/// A table as text.
#[derive(Debug, Clone, Default)]
pub struct WholeTable {
    /// Where it comes from.
    pub path: PathBuf,
    /// Names of its columns.
    pub names: Vec<String>,
    /// Rows, each with its line in the file and a cell for each column; null is empty. A list is JSON.
    pub rows: Vec<(u64, Vec<String>)>,
    /// What is good to know of how it was read.
    pub notes: Vec<String>,
}

impl WholeTable {
    /// Reads a file of any kind that is read as a catalogue.
    ///
    /// # Errors
    /// It cannot be read, or holds something else than a table with a header.
    pub fn read(path: &Path, options: &TextOptions) -> Result<Self> {
        let mut table = Self { path: path.to_path_buf(), ..Self::default() };
        match open_table(path, options)? {
            OpenTable::Json(input) => {
                let mut objects: Vec<(u64, Map<String, Value>)> = Vec::new();
                read_objects(path, input, &mut |place, object| {
                    objects.push((place.line, object));
                    Ok(())
                })?;
                let mut known = std::collections::HashSet::new();
                let keys = objects.iter().flat_map(|(_, object)| object.keys());
                table.names = keys.filter(|key| known.insert(*key)).cloned().collect();
                let row = |(line, object): &(u64, Map<String, Value>)| {
                    let cell = |name| object.get(name).map(of_value).unwrap_or_default();
                    (*line, table.names.iter().map(cell).collect())
                };
                table.rows = objects.iter().map(row).collect();
            }
            other => {
                let (mut names, mut rows) = (Vec::new(), Vec::new());
                let all = |found: &[String]| {
                    names = found.to_vec();
                    Ok((0..found.len()).collect())
                };
                table.notes = read_texts(path, other, options, all, |line, first, cells| {
                    let cells = std::iter::once(first).chain(cells.iter().copied());
                    rows.push((line, cells.map(String::from).collect()));
                    Ok(())
                })?;
                (table.names, table.rows) = (names, rows);
            }
        }
        match table.names.is_empty() {
            true => Err(Error::format(path, "is empty; a table with a header is expected")),
            false => Ok(table),
        }
    }
}

/// A value as a cell: lists stay lists, of an object nothing is taken.
fn of_value(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number_text(number),
        Value::Bool(truth) => truth.to_string(),
        Value::Array(list) if !list.is_empty() => value.to_string(),
        _ => String::new(),
    }
}

/// What columns hold, by their usual names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// Who took something.
    User,
    /// An item, in a log.
    Item,
    /// When.
    Time,
    /// An item, in a catalogue.
    CatalogueItem,
    /// What an item is called.
    Title,
    /// Its picture.
    Image,
    /// Its category.
    Category,
    /// Who made it.
    Author,
    /// A longer text about it.
    Description,
}

impl Meaning {
    /// Positions of the columns that usually hold it among `names`, best first.
    pub fn columns(self, names: &[String]) -> Vec<usize> {
        let usual = match self {
            Self::User => USER,
            Self::Item => ITEM_IDS,
            Self::Time => TIME,
            Self::CatalogueItem => {
                return guesses(names, ITEM_IDS).chain(guesses(names, CATALOGUE_ID)).collect();
            }
            Self::Title => TITLE,
            Self::Image => IMAGE,
            Self::Category => CATEGORY,
            Self::Author => AUTHOR,
            Self::Description => DESCRIPTION,
        };
        guesses(names, usual).collect()
    }
}

/// How times are written in a column.
#[derive(Debug, Clone, Default)]
pub struct Times(TimeFormat);

impl Times {
    /// In the signs of `strftime`, such as `%d.%m.%Y %H:%M`; the default reads numbers and ISO 8601.
    ///
    /// # Errors
    /// No such signs, or signs that would lose a part of the time.
    pub fn of_format(format: &str) -> Result<Self> {
        TimeFormat::parse(format).map(Self)
    }

    /// A time as a number: seconds since 1970 for a date, what is written for a number.
    pub fn read(&self, text: &str) -> Option<f64> {
        self.0.read(text)
    }
}

/// A text without HTML, entities decoded.
pub fn plain_text(text: &str) -> Cow<'_, str> {
    markup::plain(text)
}

/// Whether a cell is empty or holds a word for nothing (`nan`, `NULL`, …).
pub fn is_nothing(cell: &str) -> bool {
    id_text::is_nothing(id_text::clean(cell))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_read_whole_whatever_they_are() {
        let base = tempfile::tempdir().unwrap();
        let read = |name: &str, content: &str| {
            let path = base.path().join(name);
            std::fs::write(&path, content).unwrap();
            WholeTable::read(&path, &TextOptions::default())
        };
        let csv = read("a.csv", "\u{feff}id;title\r\n1;\"two\nlines\"\r\n2;b\r\n").unwrap();
        assert_eq!(csv.names, ["id", "title"]);
        assert_eq!(csv.rows[0], (2, vec!["1".to_string(), "two\nlines".into()]));
        let json = read("a.jsonl", "{\"id\": 1, \"tags\": [\"x\", \"y\"]}\n{\"id\": 2.0, \"title\": null}\n")
            .unwrap();
        let mut rows = json.rows.iter().map(|(_, cells)| cells.join("|"));
        assert_eq!(json.names, ["id", "tags", "title"]);
        assert_eq!((rows.next().unwrap(), rows.next().unwrap()), ("1|[\"x\",\"y\"]|".into(), "2||".into()));
        assert!(read("empty.csv", "").unwrap_err().to_string().contains("is empty"));
        assert_eq!(Meaning::CatalogueItem.columns(&["Handle".into(), "SKU".into()]), [1, 0]);
        assert_eq!(Times::default().read("2024-03-01 12:34:56 -0500"), Some(1_709_314_496.0));
    }
}
