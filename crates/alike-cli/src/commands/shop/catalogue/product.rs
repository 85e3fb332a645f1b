//! A product with its variants, as every kind of catalogue becomes one.

use std::collections::{BTreeMap, HashMap};

use alike::data::{is_nothing, plain_text};

/// A product.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Product {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) description: String,
    /// The parts of its categories, none twice.
    pub(crate) category: Vec<String>,
    /// Addresses or files of pictures, the best first.
    pub(crate) pictures: Vec<String>,
    /// What orders may call it: its number, SKUs and codes of its variants.
    pub(crate) codes: Vec<String>,
    /// What lines of orders may call it: its title, perhaps with that of a variant.
    pub(crate) names: Vec<String>,
    /// Further values by the names of their columns.
    pub(crate) fields: BTreeMap<String, Vec<String>>,
}

impl Product {
    pub(super) fn new(id: &str) -> Self {
        Self { id: id.to_string(), codes: vec![id.to_string()], ..Self::default() }
    }

    /// Adds a value of a field, unless it is empty or there.
    pub(super) fn add(&mut self, field: &str, value: impl AsRef<str>) {
        let value = plain_text(value.as_ref().trim());
        if is_nothing(&value) {
            return;
        }
        let values = self.fields.entry(field.to_string()).or_default();
        if !values.iter().any(|known| *known == value) {
            values.push(value.into_owned());
        }
    }

    /// Takes a text where there is none yet.
    pub(super) fn fill(place: &mut String, text: &str) {
        if place.is_empty() && !is_nothing(text) {
            *place = plain_text(text.trim()).trim().to_string();
        }
    }

    /// Adds the parts of categories: `Clothing > Shirts`.
    pub(super) fn add_category(&mut self, path: &str) {
        for part in plain_text(path).split('>').map(str::trim) {
            if !is_nothing(part) && !self.category.iter().any(|known| known == part) {
                self.category.push(part.to_string());
            }
        }
    }

    pub(super) fn add_code(&mut self, code: &str) {
        add_new(&mut self.codes, code);
    }

    pub(super) fn add_picture(&mut self, picture: &str) {
        add_new(&mut self.pictures, picture);
    }

    pub(super) fn add_name(&mut self, name: &str) {
        add_new(&mut self.names, &plain_text(name));
    }

    /// All that is said of it in words.
    pub(crate) fn has_text(&self) -> bool {
        !self.title.is_empty() || !self.description.is_empty() || !self.category.is_empty()
    }
}

fn add_new(list: &mut Vec<String>, text: &str) {
    let text = text.trim();
    if !is_nothing(text) && !list.iter().any(|known| known == text) {
        list.push(text.to_string());
    }
}

/// Products in the order of the catalogue, each once.
#[derive(Debug, Default)]
pub(super) struct ProductList {
    pub(super) list: Vec<Product>,
    places: HashMap<String, usize>,
    /// Rows about a product that came before.
    pub(super) repeated: usize,
    /// Rows that name no product.
    pub(super) nameless: usize,
}

impl ProductList {
    /// The product of this id, which is new where there is none.
    pub(super) fn of(&mut self, id: &str) -> &mut Product {
        let at = match self.places.get(id) {
            Some(&at) => {
                self.repeated += 1;
                at
            }
            None => {
                self.places.insert(id.to_string(), self.list.len());
                self.list.push(Product::new(id));
                self.list.len() - 1
            }
        };
        &mut self.list[at]
    }

    /// Where the product of this id is.
    pub(super) fn place(&self, id: &str) -> Option<usize> {
        self.places.get(id).copied()
    }
}

/// The values of a cell: a list as JSON, or one with commas, which `\,` is not.
pub(super) fn several(cell: &str) -> Vec<String> {
    if let Ok(serde_json::Value::Array(list)) = serde_json::from_str(cell) {
        let text = |value: &serde_json::Value| match value {
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        return list.iter().map(text).collect();
    }
    let kept = cell.replace("\\,", "\u{1}");
    kept.split(',')
        .map(|part| part.replace('\u{1}', ",").trim().to_string())
        .filter(|p| !p.is_empty())
        .collect()
}

/// The smallest of the amounts that are there.
pub(super) fn least(amounts: impl Iterator<Item = f64>) -> Option<f64> {
    amounts.reduce(f64::min)
}

/// A number as filters read it.
pub(crate) fn number_text(number: f64) -> String {
    let rounded = (number * 1e6).round() / 1e6;
    rounded.to_string()
}
