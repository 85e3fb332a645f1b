//! Products as Shopify exports them: a row for each variant and for each further picture, the texts in the
//! first row of a product alone. Both spellings of the columns are known, that of before 2025 too.

use alike::data::WholeTable;

use super::product::{Product, ProductList, least, number_text, several};
use crate::commands::shop::header::ColumnTitles;
use crate::commands::shop::money::Amounts;

/// What is known of the variants of a product.
#[derive(Default)]
struct Variants {
    prices: Vec<f64>,
    stock: f64,
    counted: bool,
    /// One of them can be bought whatever is in stock.
    unlimited: bool,
}

pub(super) fn read(table: &WholeTable, columns: &ColumnTitles) -> ProductList {
    let at = |names: &[&str]| columns.first(names);
    let price = at(&["variantprice", "price"]);
    let amounts = Amounts::of(table.rows.iter().filter_map(|(_, cells)| Some(cells[price?].as_str())));
    let (handle, title) = (at(&["handle", "urlhandle"]), at(&["title"]));
    let (body, vendor, tags) = (at(&["bodyhtml", "description"]), at(&["vendor"]), at(&["tags"]));
    let (category, kind) = (at(&["productcategory"]), at(&["type"]));
    let (published, status) = (at(&["published", "publishedononlinestore"]), at(&["status"]));
    let (sku, barcode) = (at(&["variantsku", "sku"]), at(&["variantbarcode", "barcode"]));
    let stock = at(&["variantinventoryqty", "inventoryquantity"]);
    let tracker = at(&["variantinventorytracker", "inventorytracker"]);
    let policy = at(&["variantinventorypolicy", "continuesellingwhenoutofstock"]);
    let pictures = [at(&["imagesrc", "productimageurl"]), at(&["variantimage", "variantimageurl"])];
    let options: Vec<(Option<usize>, Option<usize>)> =
        (1..=3).map(|n| (at(&[&format!("option{n}name")]), at(&[&format!("option{n}value")]))).collect();

    let mut found = ProductList::default();
    let mut variants: Vec<Variants> = Vec::new();
    let mut option_names: Vec<[String; 3]> = Vec::new();
    let mut before = String::new();
    for (_, cells) in &table.rows {
        let cell = |at: Option<usize>| at.map_or("", |at| cells[at].trim());
        let id = match (cell(handle), cell(title)) {
            ("", "") => before.clone(),
            ("", title) => title.to_string(),
            (handle, _) => handle.to_string(),
        };
        if id.is_empty() {
            found.nameless += 1;
            continue;
        }
        before.clone_from(&id);
        let product = found.of(&id);
        Product::fill(&mut product.title, cell(title));
        Product::fill(&mut product.description, cell(body));
        product.add("brand", cell(vendor));
        product.add("type", cell(kind));
        if product.category.is_empty() {
            let path = cell(category);
            product.add_category(if path.is_empty() { cell(kind) } else { path });
        }
        several(cell(tags)).iter().for_each(|tag| product.add("tags", tag));
        let drawn = |text: &str| !text.is_empty() && !text.eq_ignore_ascii_case("active");
        if drawn(cell(status)) || cell(published).eq_ignore_ascii_case("false") {
            product.add("hidden", "true");
        }
        pictures.iter().for_each(|&picture| product.add_picture(cell(picture)));
        product.add_code(cell(sku));
        product.add_code(cell(barcode).trim_start_matches('\''));
        let place = found.place(&id).expect("it was just added");
        if place == variants.len() {
            variants.push(Variants::default());
            option_names.push(Default::default());
        }
        let values: Vec<&str> = options.iter().map(|&(_, value)| cell(value)).collect();
        for (name, (option, _)) in option_names[place].iter_mut().zip(&options) {
            if !cell(*option).is_empty() {
                *name = cell(*option).to_lowercase();
            }
        }
        let product = &mut found.list[place];
        for (name, value) in option_names[place].iter().zip(&values) {
            // A product without options has one that is called so.
            if !name.is_empty() && name != "title" {
                product.add(name, value);
            }
        }
        let variant: Vec<&str> = values.iter().copied().filter(|v| !v.is_empty()).collect();
        if !variant.is_empty() && variant != ["Default Title"] {
            let name = format!("{} - {}", product.title, variant.join(" / "));
            product.add_name(&name);
        }
        let of = &mut variants[place];
        // Rows of further pictures have no variant.
        let Some(amount) = amounts.money(cell(price)) else { continue };
        of.prices.push(amount);
        let goes_on =
            cell(policy).eq_ignore_ascii_case("continue") || cell(policy).eq_ignore_ascii_case("true");
        match cell(stock).parse::<f64>() {
            Ok(number) if !goes_on && (tracker.is_none() || !cell(tracker).is_empty()) => {
                of.counted = true;
                of.stock += number.max(0.0);
            }
            _ => of.unlimited = true,
        }
    }
    for (product, variants) in found.list.iter_mut().zip(&variants) {
        let title = product.title.clone();
        product.add_name(&title);
        if let Some(price) = least(variants.prices.iter().copied()) {
            product.add("price", number_text(price));
        }
        if variants.counted && !variants.unlimited {
            product.add("stock", number_text(variants.stock));
        }
    }
    found
}
