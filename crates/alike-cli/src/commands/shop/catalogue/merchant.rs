//! Products as feeds for Google Merchant Center have them; variants share an `item_group_id`.

use alike::data::WholeTable;

use super::product::{Product, ProductList, least, number_text, several};
use crate::commands::shop::header::ColumnTitles;
use crate::commands::shop::money::Amounts;

/// Columns that are kept as they are, and the names that they are given.
const KEPT: [&str; 8] = ["brand", "color", "size", "gender", "age_group", "condition", "material", "pattern"];

pub(super) fn read(table: &WholeTable, columns: &ColumnTitles) -> ProductList {
    let at = |names: &[&str]| columns.first(names);
    let (id, group, title, text) = (at(&["id"]), at(&["itemgroupid"]), at(&["title"]), at(&["description"]));
    let (kind, category) = (at(&["producttype"]), at(&["googleproductcategory"]));
    let (price, sale) = (at(&["price"]), at(&["saleprice"]));
    // A price of some days is none to filter by.
    let some_days = at(&["salepriceeffectivedate"]);
    let (availability, picture) = (at(&["availability"]), at(&["imagelink"]));
    let codes = [at(&["gtin"]), at(&["mpn"])];
    let kept = KEPT.map(|name| (name, at(&[&name.replace('_', "")])));
    let prices =
        table.rows.iter().flat_map(|(_, cells)| [price, sale].into_iter().flatten().map(|at| &*cells[at]));
    let amounts = Amounts::of(prices);

    let mut found = ProductList::default();
    let mut of_variants: Vec<(Vec<f64>, bool)> = Vec::new();
    for (_, cells) in &table.rows {
        let cell = |at: Option<usize>| at.map_or("", |at| cells[at].trim());
        let number = if cell(group).is_empty() { cell(id) } else { cell(group) };
        if number.is_empty() {
            found.nameless += 1;
            continue;
        }
        let product = found.of(number);
        Product::fill(&mut product.title, cell(title));
        Product::fill(&mut product.description, cell(text));
        product.add_name(cell(title));
        product.add_code(cell(id));
        codes.iter().for_each(|&code| product.add_code(cell(code)));
        several(cell(picture)).iter().for_each(|address| product.add_picture(address));
        // Google's categories may be numbers, which say nothing to people.
        let paths = [cell(kind), cell(category)];
        if let Some(path) = paths.iter().find(|path| path.contains(|c: char| c.is_alphabetic())) {
            match path.starts_with('[') {
                true => several(path).iter().for_each(|path| product.add_category(path)),
                false => product.add_category(path),
            }
        }
        kept.iter().for_each(|&(name, at)| product.add(name, cell(at)));
        let place = found.place(number).expect("it was just added");
        of_variants.resize(found.list.len(), (Vec::new(), false));
        let on_sale = if cell(some_days).is_empty() { sale } else { None };
        of_variants[place].0.extend([on_sale, price].iter().find_map(|&at| amounts.money(cell(at))));
        let gone = cell(availability).replace('_', " ").eq_ignore_ascii_case("out of stock");
        of_variants[place].1 |= !gone;
    }
    for (product, (prices, there)) in found.list.iter_mut().zip(&of_variants) {
        least(prices.iter().copied()).into_iter().for_each(|price| product.add("price", number_text(price)));
        if !there {
            product.add("stock", "0");
        }
    }
    found
}
