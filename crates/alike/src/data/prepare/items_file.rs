//! The one reader of items files: of every row the id and the fields that are wanted, from JSON objects,
//! delimited text, a workbook or Parquet.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::Path;

use serde_json::{Map, Value};

use crate::data::formats::columns::{
    CATALOGUE_ID, ITEM_IDS, guesses, is_usual_name, listed, named, no_column, position,
};
use crate::data::formats::id_text::{clean, means_nothing};
use crate::data::formats::json::{exact, number_text, read_objects};
use crate::data::formats::json_advice;
use crate::data::formats::markup;
use crate::data::formats::open::{OpenTable, open_table};
use crate::data::formats::options::TextOptions;
use crate::data::formats::row::Place;
use crate::data::formats::table::{files_of, read_texts};
use crate::data::prepare::missing::Without;
use crate::data::prepare::pictures::is_picture_name;
use crate::data::prepare::report::counted;
use crate::{Error, Result};

/// Names of columns that are kept for messages.
const NAMES: usize = 1000;
/// Keys of a picture's place, where a picture is an object, best first.
const PICTURE_PLACES: [&str; 7] = ["src", "url", "href", "hi_res", "large", "path", "thumb"];

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holds {
    /// Text for people: without markup.
    Text,
    /// The path or the address of a picture.
    Picture,
    /// Values for programs: a text, or a list as JSON.
    Values,
}

/// Something to read of every item.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field<'a> {
    pub(crate) holds: Holds,
    /// Its column; by default those of usual names, of which the first with a value counts.
    pub(crate) name: Option<&'a str>,
    pub(crate) usual: &'static [&'static str],
    /// Whether a file may do without a column of that name.
    pub(crate) optional: bool,
}

/// What an items file has.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Names of the columns, the first thousand.
    pub(crate) names: Vec<String>,
    /// Whether there is a column of each field.
    pub(crate) has_column: Vec<bool>,
    /// The columns that gave a value, field by field.
    pub(crate) used: Vec<Vec<String>>,
    /// Cells of each column with a word for nothing, by the word.
    nothing: BTreeMap<(String, String), u64>,
    /// Rows without an id.
    without: Without,
    /// Notes of the reader of the table.
    reader_notes: Vec<String>,
}

/// Called for every row with an id, with it and the fields; what is not there is empty.
pub(crate) type VisitItem<'a> = &'a mut dyn FnMut(&Place<'_>, &str, Vec<String>) -> Result<()>;

/// Reads the items of `path`. `id` names the column of ids; otherwise it is guessed. Rows of nothing are
/// passed over, rows without an id counted.
pub(crate) fn read_items(
    path: &Path,
    options: &TextOptions,
    id: Option<&str>,
    fields: &[Field<'_>],
    visit: VisitItem<'_>,
) -> Result<Found> {
    let mut items = ItemsReader { id, fields, visit, found: Found::new(fields) };
    // A folder of part files is one table.
    for part in files_of(path)? {
        match open_table(&part, options)? {
            OpenTable::Json(input) => items.read_objects(&part, input)?,
            table => items.read_table(&part, table, options)?,
        }
    }
    let ItemsReader { found, .. } = items;
    for (field, has_column) in fields.iter().zip(&found.has_column) {
        if let Some(name) = field.name.filter(|_| !has_column && !field.optional) {
            named(path, &found.names, name)?;
        }
    }
    Ok(found)
}

/// What is read of a table.
struct TableColumns {
    /// Names of the cells after the id.
    names: Vec<String>,
    /// Their places by field.
    cells: FieldPositions,
    /// Names of all columns.
    columns: Vec<String>,
    /// Whether there is a column of each field.
    has_column: Vec<bool>,
}

/// A file of items while it is read.
struct ItemsReader<'a, 'v> {
    id: Option<&'a str>,
    fields: &'a [Field<'a>],
    visit: VisitItem<'v>,
    found: Found,
}

impl ItemsReader<'_, '_> {
    fn read_objects(&mut self, path: &Path, input: Box<dyn BufRead>) -> Result<()> {
        let mut keys: Vec<String> = Vec::new();
        let mut plan = FieldPositions::default();
        read_objects(path, input, &mut |place, object| {
            // Objects mostly have the keys of the one before.
            if plan.ids.is_empty() || !keys.iter().eq(object.keys()) {
                keys = object.keys().cloned().collect();
                plan = FieldPositions::new(&keys, self.id, self.fields);
                self.found.add_columns(&keys, &plan.has_column());
            }
            let mut ids = plan.ids.iter().filter_map(|&at| id_of(&object, &keys[at]));
            let first = ids.next();
            // A row without the best of its ids may have another.
            let id = match first.as_deref() {
                Some("") => ids.find(|id| !id.is_empty()).or(first),
                _ => first,
            };
            let id = id.ok_or_else(|| {
                let number = plan.ids.iter().find(|&&at| object.get(&keys[at]).is_some_and(Value::is_number));
                match number {
                    Some(&at) => json_advice::of_cell(place, &keys[at], &object[&keys[at]], ""),
                    None => self.without_id(place, &keys),
                }
            })?;
            let value =
                |at: usize, holds| object.get(&keys[at]).map(|v| of_value(v, holds)).unwrap_or_default();
            self.row(place, &id, &keys, &plan, &value)
        })
    }

    fn read_table(&mut self, path: &Path, table: OpenTable, options: &TextOptions) -> Result<()> {
        let made: OnceCell<TableColumns> = OnceCell::new();
        let (id, fields) = (self.id, self.fields);
        let choose = |columns: &[String]| {
            let plan = FieldPositions::new(columns, id, fields);
            let Some(&id_at) = plan.ids.first() else { return Err(no_id(path, columns, id)) };
            for name in fields.iter().filter(|field| !field.optional).filter_map(|field| field.name) {
                named(path, columns, name)?;
            }
            let chosen: Vec<usize> =
                [id_at].into_iter().chain(plan.fields.iter().flatten().copied()).collect();
            let names = chosen[1..].iter().map(|&at| columns[at].clone()).collect();
            // The cells after the id, in the order in which they are chosen.
            let mut next = 0..;
            let cells = plan.fields.iter().map(|of| next.by_ref().take(of.len()).collect()).collect();
            let has_column = plan.has_column();
            let cells = FieldPositions { ids: Vec::new(), fields: cells };
            made.set(TableColumns { names, cells, columns: columns.to_vec(), has_column }).ok();
            Ok(chosen)
        };
        let reader_notes = read_texts(path, table, options, choose, |line, id, cells| {
            let TableColumns { names, cells: plan, .. } =
                made.get().expect("columns are chosen before rows are read");
            let value = |at: usize, holds| of_cell(cells[at], holds);
            self.row(&Place { path, line }, id, names, plan, &value)
        })?;
        self.found.reader_notes.extend(reader_notes);
        if let Some(TableColumns { columns, has_column, .. }) = made.into_inner() {
            self.found.add_columns(&columns, &has_column);
        }
        Ok(())
    }

    /// Hands on a row: of each field the first value among its columns.
    fn row(
        &mut self,
        place: &Place<'_>,
        id: &str,
        names: &[String],
        plan: &FieldPositions,
        value: &dyn Fn(usize, Holds) -> String,
    ) -> Result<()> {
        let mut read = vec![String::new(); self.fields.len()];
        for (at, field) in self.fields.iter().enumerate() {
            for &column in &plan.fields[at] {
                let text = value(column, field.holds);
                if means_nothing(&text) {
                    *self.found.nothing.entry((names[column].clone(), text)).or_default() += 1;
                } else if !text.is_empty() {
                    if !self.found.used[at].contains(&names[column]) {
                        self.found.used[at].push(names[column].clone());
                    }
                    read[at] = text;
                    break;
                }
            }
        }
        match clean(id) {
            // Programs for tables leave such rows at the end.
            "" if !read.is_empty() && read.iter().all(String::is_empty) => Ok(()),
            id if self.found.without.check(id) => Ok(()),
            id => (self.visit)(place, id, read),
        }
    }

    fn without_id(&self, place: &Place<'_>, keys: &[String]) -> Error {
        match self.id {
            Some(name) if place.line == 1 => no_id(place.path, keys, Some(name)),
            Some(name) => place.error(format!("has no item id; `{name}` is expected")),
            None => {
                let message =
                    format!("has no item id; one of {} is expected (`--id NAME` names it)", usual_ids());
                place.error(message)
            }
        }
    }
}

impl Found {
    fn new(fields: &[Field<'_>]) -> Self {
        Self {
            has_column: vec![false; fields.len()],
            used: vec![Vec::new(); fields.len()],
            ..Self::default()
        }
    }

    /// Takes in which columns there are, and which fields have one.
    fn add_columns(&mut self, names: &[String], has_column: &[bool]) {
        for name in names {
            if self.names.len() < NAMES && !self.names.contains(name) {
                self.names.push(name.clone());
            }
        }
        self.has_column.iter_mut().zip(has_column).for_each(|(before, now)| *before |= now);
    }

    /// What is to be said of rows without an id and of words for nothing.
    pub(crate) fn notes(&self) -> Vec<String> {
        let note = |((column, word), count): (&(String, String), &u64)| {
            let cells = counted(*count, "cell", "cells");
            format!("{cells} of column `{column}` with `{word}`: taken as empty")
        };
        let reader_notes = self.reader_notes.iter().cloned();
        reader_notes.chain(self.without.note()).chain(self.nothing.iter().map(note)).collect()
    }
}

/// Positions of the columns of ids and of each field, best first.
#[derive(Debug, Default)]
struct FieldPositions {
    ids: Vec<usize>,
    fields: Vec<Vec<usize>>,
}

impl FieldPositions {
    fn new(columns: &[String], id: Option<&str>, fields: &[Field<'_>]) -> Self {
        let of_name = |name: &str| position(columns, name);
        let ids: Vec<usize> = match id {
            Some(name) => of_name(name).into_iter().collect(),
            None => guesses(columns, ITEM_IDS).chain(guesses(columns, CATALOGUE_ID)).collect(),
        };
        let of_field = |field: &Field<'_>| match field.name {
            Some(name) => of_name(name).into_iter().collect(),
            None => guesses(columns, field.usual).filter(|at| ids.first() != Some(at)).collect(),
        };
        Self { fields: fields.iter().map(of_field).collect(), ids }
    }

    /// Whether there is a column of each field.
    fn has_column(&self) -> Vec<bool> {
        self.fields.iter().map(|of| !of.is_empty()).collect()
    }
}

fn usual_ids() -> String {
    ["itemID", "item_id", "sku", "isbn", "id"].join(", ")
}

/// The error of a file without a column of ids.
fn no_id(path: &Path, columns: &[String], id: Option<&str>) -> Error {
    match id {
        Some(name) => no_column(path, columns, name),
        None => {
            // Nothing says whether words that are no usual names are names.
            let row = match columns.iter().any(|name| is_usual_name(name)) {
                true => "",
                false => {
                    "; if these are an item's values, give the file a first line with the names of its columns"
                }
            };
            let (usual, columns) = (usual_ids(), listed(columns));
            let message = format!(
                "no column looks like item ids ({usual} …); name one (`--id COLUMN`); the columns are {columns}{row}"
            );
            Error::format(path, message)
        }
    }
}

fn id_of(object: &Map<String, Value>, key: &str) -> Option<String> {
    match object.get(key)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => exact(number),
        Value::Null => Some(String::new()),
        _ => None,
    }
}

fn of_value(value: &Value, holds: Holds) -> String {
    match holds {
        Holds::Text => plain(value),
        Holds::Picture => picture(value),
        Holds::Values => values(value),
    }
}

fn of_cell(cell: &str, holds: Holds) -> String {
    match holds {
        Holds::Text => markup::plain(cell.trim()).into_owned(),
        Holds::Picture => first_picture(cell.trim()),
        Holds::Values => cell.trim().to_string(),
    }
}

/// A value as text for people: lists joined, of an object its texts, markup taken off.
fn plain(value: &Value) -> String {
    match value {
        Value::String(s) => markup::plain(s.trim()).into_owned(),
        Value::Number(n) => number_text(n),
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

/// A value as programs read it: lists stay lists, of an object nothing is taken.
fn values(value: &Value) -> String {
    match value {
        Value::String(s) => s.trim().to_string(),
        Value::Number(n) => number_text(n),
        Value::Bool(truth) => truth.to_string(),
        Value::Array(list) if !list.is_empty() => value.to_string(),
        _ => String::new(),
    }
}

/// The path or address of a picture: of several the first, of an object its best.
fn picture(value: &Value) -> String {
    match value {
        Value::String(s) => first_picture(s.trim()),
        Value::Array(all) => all.iter().map(picture).find(|p| !p.is_empty()).unwrap_or_default(),
        Value::Object(parts) => {
            let places = PICTURE_PLACES.iter().filter_map(|place| parts.get(*place));
            places.map(picture).find(|p| !p.is_empty()).unwrap_or_default()
        }
        _ => String::new(),
    }
}

/// The first of several pictures in one text: addresses or files with signs between them, as shops export
/// them, or a list as JSON or Python writes it.
fn first_picture(text: &str) -> String {
    if text.starts_with(['[', '{'])
        && let Ok(value @ (Value::Array(_) | Value::Object(_))) = serde_json::from_str::<Value>(text)
    {
        return picture(&value);
    }
    let is_address = |t: &str| t.starts_with("http://") || t.starts_with("https://");
    let list = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    let parts = list.split([',', '|', ';', '\n']).map(|part| part.trim().trim_matches(['\'', '"']));
    let parts: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
    // A sign may also be part of a name or an address: then not every part is a picture.
    let are_several = parts.iter().copied().all(is_address) || parts.iter().copied().all(is_picture_name);
    match parts.first() {
        Some(first) if are_several => (*first).to_string(),
        _ => text.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_values_give_their_texts_and_their_first_picture() {
        let value = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        assert_eq!(plain(&value("[[\"Toys\", \"Games\"], null, 7.0]")), "Toys, Games, 7");
        assert_eq!(plain(&value("{\"id\": 3, \"name\": \"<b>Shirts</b>\"}")), "Shirts");
        let shop = "[{\"id\": 1, \"src\": \"\"}, {\"id\": 2, \"src\": \"a.jpg\", \"alt\": \"red\"}]";
        assert_eq!(picture(&value(shop)), "a.jpg");
        assert_eq!(picture(&value("{\"thumb\": \"s.jpg\", \"large\": [\"l.jpg\"]}")), "l.jpg");
        assert_eq!(picture(&value("[\"a.jpg\", \"b.jpg\"]")), "a.jpg");
    }

    #[test]
    fn of_several_pictures_in_a_cell_the_first_is_taken() {
        let cases = [
            ("https://s/a.jpg, https://s/b.jpg", "https://s/a.jpg"),
            ("https://s/a.jpg|https://s/b.jpg", "https://s/a.jpg"),
            ("https://s/a.jpg?size=1,2", "https://s/a.jpg?size=1,2"),
            ("[\"a.jpg\", \"b.jpg\"]", "a.jpg"),
            ("[1] red, blue.jpg", "[1] red, blue.jpg"),
            ("red, blue.jpg", "red, blue.jpg"),
            ("pics/a.jpg|pics/b.png", "pics/a.jpg"),
            ("a.JPG; b.jfif ;c.tga", "a.JPG"),
            ("a.jpg,\nb.jpg,", "a.jpg"),
            ("|a.jpg|", "a.jpg"),
            ("['my a.jpg', 'b.jpg']", "my a.jpg"),
            ("https://s/a.jpg, b.jpg", "https://s/a.jpg"),
            ("https://s/w_1,h_2/a.jpg", "https://s/w_1,h_2/a.jpg"),
            ("my pic.jpg", "my pic.jpg"),
            ("a;b/c.jpg", "a;b/c.jpg"),
            ("[]", ""),
        ];
        cases.iter().for_each(|(cell, picture)| assert_eq!(first_picture(cell), *picture));
    }
}
