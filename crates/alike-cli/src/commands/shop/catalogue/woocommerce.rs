//! Products as WooCommerce exports them: a row for each product, and rows of the type `variation` that name
//! their parent.

use std::collections::HashMap;

use alike::data::WholeTable;

use super::product::{Product, ProductList, least, number_text, several};
use crate::commands::shop::header::ColumnTitles;
use crate::commands::shop::money::Amounts;

/// What parents are referred to with, where it is their number.
const BY_ID: &str = "id:";

pub(super) fn read(table: &WholeTable, columns: &ColumnTitles) -> ProductList {
    let at = |names: &[&str]| columns.first(names);
    let (id, kind, sku, name) = (at(&["id"]), at(&["type"]), at(&["sku"]), at(&["name"]));
    let (published, visible) = (at(&["published"]), at(&["visibilityincatalog"]));
    let texts = [at(&["shortdescription"]), at(&["description"])];
    let (in_stock, stock) = (at(&["instock"]), at(&["stock"]));
    let (sale, regular) = (at(&["saleprice"]), at(&["regularprice"]));
    let (categories, tags, images) = (at(&["categories"]), at(&["tags"]), at(&["images"]));
    let (parent, brands, gtin) = (at(&["parent"]), at(&["brands"]), at(&["gtinupceanorisbn"]));
    let attributes: Vec<(usize, usize)> = (1..=20)
        .filter_map(|n| Some((at(&[&format!("attribute{n}name")])?, at(&[&format!("attribute{n}values")])?)))
        .collect();
    let prices =
        table.rows.iter().flat_map(|(_, cells)| [sale, regular].into_iter().flatten().map(|at| &*cells[at]));
    let amounts = Amounts::of(prices);

    let mut found = ProductList::default();
    let mut of_variants: Vec<Vec<f64>> = Vec::new();
    let is_variant = |cells: &[String]| kind.is_some_and(|at| cells[at].to_lowercase().contains("variation"));
    // Parents may come after their variants.
    let own = table.rows.iter().filter(|(_, cells)| !is_variant(cells));
    let variants = table.rows.iter().filter(|(_, cells)| is_variant(cells));
    for (_, cells) in own {
        let cell = |at: Option<usize>| at.map_or("", |at| cells[at].trim());
        let number = if cell(id).is_empty() { cell(sku) } else { cell(id) };
        if number.is_empty() {
            found.nameless += 1;
            continue;
        }
        let product = found.of(number);
        Product::fill(&mut product.title, cell(name));
        let description: Vec<&str> =
            texts.iter().map(|&at| cell(at)).filter(|text| !text.is_empty()).collect();
        Product::fill(&mut product.description, &description.join(" "));
        several(cell(categories)).iter().for_each(|path| product.add_category(path));
        several(cell(tags)).iter().for_each(|tag| product.add("tags", tag));
        several(cell(brands)).iter().for_each(|brand| product.add("brand", brand));
        // 1 is published, 0 private, -1 a draft.
        if matches!(cell(published), "0" | "-1") || cell(visible).eq_ignore_ascii_case("hidden") {
            product.add("hidden", "true");
        }
        let price = [sale, regular].iter().find_map(|&at| amounts.money(cell(at)));
        price.into_iter().for_each(|price| product.add("price", number_text(price)));
        match (cell(in_stock), cell(stock).parse::<f64>()) {
            ("0", _) => product.add("stock", "0"),
            (_, Ok(number)) if number > 0.0 => product.add("stock", number_text(number)),
            _ => {}
        }
        details(product, cells, (sku, gtin, images), &attributes);
        product.add_name(cell(name));
        of_variants.resize(found.list.len(), Vec::new());
    }
    let skus = found
        .list
        .iter()
        .enumerate()
        .flat_map(|(at, product)| product.codes.iter().map(move |code| (code.clone(), at)));
    let by_sku: HashMap<String, usize> = skus.collect();
    for (_, cells) in variants {
        let cell = |at: Option<usize>| at.map_or("", |at| cells[at].trim());
        let parent = cell(parent);
        let place = match parent.strip_prefix(BY_ID) {
            Some(number) => found.place(number.trim()),
            None if parent.is_empty() => None,
            None => by_sku.get(parent).copied().or_else(|| found.place(parent)),
        };
        let Some(place) = place else {
            found.nameless += 1;
            continue;
        };
        found.repeated += 1;
        let product = &mut found.list[place];
        product.add_code(cell(id));
        product.add_name(cell(name));
        details(product, cells, (sku, gtin, images), &attributes);
        of_variants[place].extend([sale, regular].iter().find_map(|&at| amounts.money(cell(at))));
    }
    for (product, prices) in found.list.iter_mut().zip(&of_variants) {
        if let (Some(price), false) = (least(prices.iter().copied()), product.fields.contains_key("price")) {
            product.add("price", number_text(price));
        }
    }
    found
}

/// What products and variants have alike.
fn details(
    product: &mut Product,
    cells: &[String],
    (sku, gtin, images): (Option<usize>, Option<usize>, Option<usize>),
    attributes: &[(usize, usize)],
) {
    let cell = |at: Option<usize>| at.map_or("", |at| cells[at].trim());
    product.add_code(cell(sku));
    product.add_code(cell(gtin));
    several(cell(images)).iter().for_each(|image| product.add_picture(image));
    for &(name, values) in attributes {
        let name = cells[name].trim().to_lowercase();
        if !name.is_empty() {
            several(&cells[values]).iter().for_each(|value| product.add(&name, value));
        }
    }
}
