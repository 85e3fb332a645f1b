//! Products of a table of somebody's own: columns by their usual names, everything else a value to filter by.

use alike::data::{Meaning, WholeTable};

use super::product::{Product, ProductList, number_text, several};
use crate::commands::shop::header::ColumnTitles;
use crate::commands::shop::money::Amounts;
use crate::commands::shop::words::{file_name, listed};
use crate::failure::{Failure, Outcome};

/// Names of numbers of products that catalogues have beside those of the library.
const NUMBERS: &[&str] = &[
    "articlenumber",
    "productnumber",
    "itemnumber",
    "artikelnummer",
    "artikelnr",
    "artnr",
    "produktid",
    "productcode",
    "ean",
    "gtin",
];
const TITLES: &[&str] = &["titel", "bezeichnung", "produktname", "artikelname", "produkt", "nom", "nombre"];
const TEXTS: &[&str] = &["beschreibung", "langtext", "kurzbeschreibung", "langbeschreibung"];
const CATEGORIES: &[&str] = &["kategorie", "kategorien", "warengruppe", "produktgruppe"];
const PICTURES: &[&str] = &["bild", "bilder", "foto", "picturefile", "imagefile"];
const PRICES: &[&str] =
    &["price", "preis", "verkaufspreis", "prix", "precio", "unitprice", "saleprice", "regularprice"];
const STOCKS: &[&str] =
    &["stock", "bestand", "lagerbestand", "inventory", "stockquantity", "inventoryquantity"];
const BRANDS: &[&str] = &["brand", "vendor", "marke", "hersteller", "manufacturer"];
/// Further codes by which orders may name a product.
const CODES: &[&str] =
    &["sku", "ean", "gtin", "isbn", "barcode", "mpn", "handle", "artikelnummer", "artikelnr"];
/// Names that lists of products do not have for filters.
const TAKEN: [&str; 9] =
    ["id", "title", "description", "category", "image", "features", "attributes", "from", "until"];

/// Where the columns are.
struct PlainColumns {
    id: usize,
    titles: Vec<usize>,
    texts: Vec<usize>,
    categories: Vec<usize>,
    pictures: Vec<usize>,
    codes: Vec<usize>,
    price: Option<usize>,
    /// All others, and their names.
    fields: Vec<(usize, String)>,
}

impl PlainColumns {
    fn find(
        table: &WholeTable,
        columns: &ColumnTitles,
        id: Option<&str>,
        title: Option<&str>,
    ) -> Outcome<Self> {
        let all = |meaning: Meaning, more: &[&str]| {
            let mut found = meaning.columns(&columns.names);
            found.extend(columns.all(more));
            found
        };
        let id = match id {
            Some(name) => Some(columns.named(&table.path, "--catalogue-id", name)?),
            None => all(Meaning::CatalogueItem, NUMBERS).first().copied(),
        };
        let Some(id) = id else {
            return Err(Failure::Usage(format!(
                "{}: no column looks like numbers of products; say which is: --catalogue-id COLUMN; the columns are {}",
                file_name(&table.path),
                listed(&columns.names)
            )));
        };
        let titles = match title {
            Some(name) => vec![columns.named(&table.path, "--catalogue-title", name)?],
            None => all(Meaning::Title, TITLES).into_iter().filter(|&at| at != id).collect(),
        };
        let texts = all(Meaning::Description, TEXTS);
        let categories = all(Meaning::Category, CATEGORIES);
        let pictures = all(Meaning::Image, PICTURES);
        let codes = columns.all(CODES);
        let (price, stock, brand) = (columns.first(PRICES), columns.first(STOCKS), columns.first(BRANDS));
        let read = [&titles[..], &texts, &categories, &pictures].concat();
        let name = |at: usize| match at {
            at if Some(at) == price => "price".to_string(),
            at if Some(at) == stock => "stock".into(),
            at if Some(at) == brand => "brand".into(),
            at => named(&columns.names[at]),
        };
        let fields: Vec<(usize, String)> = (0..columns.names.len())
            .filter(|at| *at != id && !read.contains(at) && !codes.contains(at))
            .map(|at| (at, name(at)))
            .filter(|(_, name)| !name.is_empty() && !TAKEN.contains(&name.as_str()))
            .collect();
        Ok(Self { id, titles, texts, categories, pictures, codes, price, fields })
    }

    /// What was taken for what.
    fn said(&self, names: &[String]) -> String {
        let one = |what: &str, at: Option<usize>| at.map(|at| format!("{what} `{}`", names[at]));
        let parts = [
            one("numbers", Some(self.id)),
            one("titles", self.titles.first().copied()),
            one("descriptions", self.texts.first().copied()),
            one("categories", self.categories.first().copied()),
            one("pictures", self.pictures.first().copied()),
            one("prices", self.price),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        format!("Columns: {}", parts.join(", "))
    }
}

/// A name as filters have it: letters, digits and `_`.
fn named(column: &str) -> String {
    let lower = column.trim().to_lowercase();
    let text: String = lower.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect();
    text.trim_matches('_').to_string()
}

/// The products, and what was taken for what.
pub(super) fn read(
    table: &WholeTable,
    columns: &ColumnTitles,
    id: Option<&str>,
    title: Option<&str>,
) -> Outcome<(ProductList, String)> {
    let at = PlainColumns::find(table, columns, id, title)?;
    let price = table.rows.iter().filter_map(|(_, cells)| Some(cells[at.price?].as_str()));
    let amounts = Amounts::of(price);
    let mut found = ProductList::default();
    // Rows about a product that came before under another title.
    let mut other = 0;
    for (_, cells) in &table.rows {
        let cell = |at: usize| cells[at].trim();
        let first = |of: &[usize]| of.iter().map(|&at| cell(at)).find(|text| !text.is_empty()).unwrap_or("");
        if alike::data::is_nothing(cell(at.id)) {
            found.nameless += usize::from(!cells.iter().all(|cell| cell.trim().is_empty()));
            continue;
        }
        let product = found.of(cell(at.id));
        let title = first(&at.titles);
        other += usize::from(
            !product.title.is_empty() && !title.is_empty() && !product.names.iter().any(|n| n == title),
        );
        Product::fill(&mut product.title, title);
        product.add_name(title);
        Product::fill(&mut product.description, first(&at.texts));
        if product.category.is_empty() {
            let category = first(&at.categories);
            // Lists of films and shops have bars between kinds, and commas.
            let parts = category.replace('|', ",");
            several(&parts).iter().for_each(|path| product.add_category(path));
        }
        for &picture in &at.pictures {
            match cell(picture) {
                list if list.starts_with('[') => {
                    several(list).iter().for_each(|one| product.add_picture(one))
                }
                one => product.add_picture(one),
            }
        }
        at.codes.iter().for_each(|&code| product.add_code(cell(code)));
        for (place, name) in &at.fields {
            let value = cell(*place);
            match amounts.money(value) {
                Some(price) if Some(*place) == at.price => product.add(name, number_text(price)),
                _ if value.starts_with('[') => several(value).iter().for_each(|one| product.add(name, one)),
                _ => product.add(name, value),
            }
        }
    }
    if other * 2 > table.rows.len() {
        return Err(Failure::Usage(format!(
            "{}: most rows have a number in `{}` that another product has too; say which column tells products apart: \
             --catalogue-id COLUMN; the columns are {}",
            file_name(&table.path),
            columns.names[at.id],
            listed(&columns.names)
        )));
    }
    Ok((found, at.said(&columns.names)))
}
