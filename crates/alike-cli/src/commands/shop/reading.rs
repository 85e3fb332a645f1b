//! The first phase: both files are read, whatever they are, and written as the two tables that everything
//! after it takes: products and purchases.

use std::io;
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use crate::args::Shop;
use crate::commands::shop::catalogue::ProductRange;
use crate::commands::shop::catalogue::product::Product;
use crate::commands::shop::customers::{CustomerCodes, KEY_FILE};
use crate::commands::shop::enough::LearnedFrom;
use crate::commands::shop::filters::{self, FilterValues};
use crate::commands::shop::input;
use crate::commands::shop::orders::OrderLog;
use crate::commands::shop::pictures::{self, FoundPicture, PictureFinder};
use crate::commands::shop::state::{KeyOf, PRODUCTS, PURCHASES, ReadFiles, ShopFolder, content};
use crate::commands::shop::words::{counted, joined};
use crate::failure::{Failure, Outcome};

/// Which files of pictures were looked for, and what was there.
const SEEN: &str = "pictures.json";

/// A picture's file, and its fingerprint where it is there.
type Seen = Vec<(PathBuf, Option<String>)>;

/// What the files hold: as it was kept, if nothing changed since, which the second says; otherwise read.
///
/// # Errors
/// A file cannot be read as what it is given for.
pub(super) fn files(
    args: &Shop,
    folder: &ShopFolder,
    before: Option<&ReadFiles>,
) -> Outcome<(ReadFiles, bool)> {
    let finder = PictureFinder::new(&args.catalogue, args.pictures.as_deref());
    // A file that is not there is told by the reader.
    let is_file = |path: &&PathBuf| path.is_file();
    let inputs: Vec<&PathBuf> =
        std::iter::once(&args.catalogue).chain(&args.orders).filter(is_file).collect();
    let mut key = KeyOf::default()
        .and("options", options(args))
        .and("pictures", finder.as_ref().map(PictureFinder::fingerprint).unwrap_or_default());
    for (at, file) in inputs.iter().enumerate() {
        key = key.and(&format!("file {at}"), content(file)?);
    }
    let key = key.hex();
    let there = [PRODUCTS, PURCHASES].iter().all(|name| folder.at(name).is_file());
    let same = |read: &&ReadFiles| read.key == key && there && read.customer_key == customer_key(folder);
    if let Some(read) = before.filter(same).filter(|_| pictures_are_the_same(folder)) {
        return Ok((read.clone(), true));
    }
    let encoding = args.text.encoding.as_deref();
    let catalogue = input::read(&args.catalogue, "--catalogue", "products", encoding)?;
    let orders = args.orders.iter().map(|file| input::read(file, "--orders", "orders", encoding));
    let orders = orders.collect::<Outcome<Vec<_>>>()?;
    let finder = finder?;
    let range =
        ProductRange::read(&catalogue, args.catalogue_id.as_deref(), args.catalogue_title.as_deref())?;
    let mut codes = CustomerCodes::new(&folder.path, args.keep_emails);
    let log = OrderLog::read(&orders, args, &range, &mut codes)?;
    let mut read = write(folder, &range, &log, &finder)?;
    read.key = key;
    read.customer_key = if codes.made { customer_key(folder) } else { None };
    Ok((read, false))
}

/// What decides how the files are read.
fn options(args: &Shop) -> String {
    let columns =
        [&args.catalogue_id, &args.catalogue_title, &args.order_user, &args.order_item, &args.order_time];
    json!([columns, args.time_format, args.keep_emails, args.text.encoding]).to_string()
}

/// Hash of the key of customers' codes, where there is one.
fn customer_key(folder: &ShopFolder) -> Option<String> {
    content(&folder.at(KEY_FILE)).ok()
}

fn pictures_are_the_same(folder: &ShopFolder) -> bool {
    let seen = || serde_json::from_slice::<Seen>(&std::fs::read(folder.at(SEEN)).ok()?).ok();
    seen().is_some_and(|seen| seen.iter().all(|(path, print)| pictures::fingerprint(path) == *print))
}

/// Writes the tables.
fn write(
    folder: &ShopFolder,
    range: &ProductRange,
    log: &OrderLog,
    finder: &PictureFinder,
) -> Outcome<ReadFiles> {
    let filters = filters::of(&range.list);
    let (mut lines, mut texts, mut images) = (String::new(), blake3::Hasher::new(), blake3::Hasher::new());
    let mut seen = Seen::new();
    let (mut with_text, mut with_picture, mut on_the_web) = (0, 0, 0);
    for product in &range.list {
        for path in finder.sought(product) {
            seen.push((path.clone(), pictures::fingerprint(&path)));
        }
        let mut image = String::new();
        match finder.of(product) {
            FoundPicture::File(file) => {
                if let Some(kept) = pictures::keep(&folder.path, &file)? {
                    (image, with_picture) = (kept, with_picture + 1);
                    images.update(format!("{}\t{image}\n", product.id).as_bytes());
                }
            }
            FoundPicture::Address(address) => (image, on_the_web) = (address, on_the_web + 1),
            FoundPicture::None => {}
        }
        with_text += usize::from(product.has_text());
        let line = line_of(product, &image, &filters);
        let said =
            ["item_id", "title", "category", "author", "description"].map(|name| line[name].to_string());
        texts.update(said.join("\t").as_bytes());
        lines += &Value::Object(line).to_string();
        lines.push('\n');
    }
    let from = LearnedFrom::of(&log.purchases);
    let table = purchases(&range.list, log, &from)?;
    let tables = KeyOf::default()
        .and("products", blake3::hash(lines.as_bytes()).to_hex().to_string())
        .and("purchases", blake3::hash(&table).to_hex().to_string())
        .hex();
    alike::disk::write_atomic(&folder.at(PRODUCTS), lines.as_bytes())?;
    alike::disk::write_atomic(&folder.at(PURCHASES), &table)?;
    alike::disk::write_atomic(&folder.at(SEEN), json!(seen).to_string().as_bytes())?;
    let mut said = range.said.clone();
    said.extend(picture_words(range.list.len(), with_picture, on_the_web));
    let names: Vec<String> = filters.iter().map(|(name, _)| name.clone()).collect();
    let shown: Vec<&String> =
        names.iter().filter(|name| !["hidden", "stock"].contains(&name.as_str())).collect();
    if !shown.is_empty() {
        said.push(format!("Lists can be filtered by {}", joined(&shown)));
    }
    said.extend(log.said.iter().cloned());
    let summary = log.summary();
    said.push(format!("Found: {summary}"));
    said.extend(from.said());
    Ok(ReadFiles {
        said,
        summary,
        products: range.list.len(),
        with_text,
        with_picture,
        purchases: from.purchases.len(),
        customers: log.customers.len(),
        dated: log.dated,
        least: from.least,
        enough: from.is_enough(),
        filters: names,
        tables,
        texts: texts.finalize().to_hex().to_string(),
        pictures: images.finalize().to_hex().to_string(),
        ..ReadFiles::default()
    })
}

/// A product as a line of the table.
fn line_of(product: &Product, image: &str, filters: &[(String, FilterValues)]) -> Map<String, Value> {
    let field = |name: &str| product.fields.get(name).map_or(&[][..], Vec::as_slice);
    let author = ["author", "authors", "book_author"].iter().find_map(|name| field(name).first());
    let mut line = Map::new();
    for (name, value) in [
        ("item_id", json!(product.id)),
        ("title", json!(product.title)),
        ("category", json!(product.category)),
        ("author", json!(author.map_or("", String::as_str))),
        ("description", json!(product.description)),
        ("image", json!(image)),
    ] {
        line.insert(name.into(), value);
    }
    for (name, written) in filters {
        let values: Vec<String> = field(name).iter().map(|value| written.shown(value)).collect();
        let value = match values.as_slice() {
            // A column is one in every line.
            [] => json!(""),
            [one] => json!(one),
            several => json!(several),
        };
        line.insert(name.clone(), value);
    }
    line
}

/// The table of what is learned from.
fn purchases(products: &[Product], log: &OrderLog, from: &LearnedFrom) -> Outcome<Vec<u8>> {
    let failed = |e: io::Error| Failure::Failed(format!("the table of purchases: {e}"));
    let mut table = csv::Writer::from_writer(Vec::new());
    let mut write = |cells: &[&str]| table.write_record(cells).map_err(|e| failed(e.into()));
    let columns = if log.dated { 3 } else { 2 };
    write(&["user_id", "item_id", "time"][..columns])?;
    for purchase in &from.purchases {
        let time = purchase.time.to_string();
        let (customer, product) =
            (&log.customers[purchase.customer as usize], &products[purchase.product as usize]);
        write(&[customer.as_str(), &product.id, &time][..columns])?;
    }
    table.into_inner().map_err(|e| failed(e.into_error()))
}

/// How many products have a picture, and where.
fn picture_words(products: usize, here: usize, on_the_web: usize) -> Option<String> {
    let without = products - here - on_the_web;
    let mut parts = Vec::new();
    if here > 0 {
        parts.push(format!("{} with a file", counted(here, "product", "products")));
    }
    if on_the_web > 0 {
        parts.push(format!(
            "{} with an address on the web, which is not fetched (--pictures FOLDER takes files named by number, SKU, \
             handle or as in the address)",
            counted(on_the_web, "product", "products")
        ));
    }
    (!parts.is_empty()).then(|| {
        let left = if without > 0 {
            format!("; {} without one", counted(without, "product", "products"))
        } else {
            String::new()
        };
        format!("Pictures: {}{left}", joined(&parts))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_counted_by_where_they_are() {
        assert_eq!(picture_words(5, 0, 0), None);
        assert_eq!(
            picture_words(5, 4, 0).unwrap(),
            "Pictures: 4 products with a file; 1 product without one"
        );
        assert!(
            picture_words(5, 1, 4).unwrap().contains("1 product with a file and 4 products with an address")
        );
    }

    #[test]
    fn a_line_has_every_column() {
        let mut product = Product { id: "1".into(), title: "Lamp".into(), ..Product::default() };
        product.fields.insert("size".into(), vec!["S".into(), "M".into()]);
        let filters = ["size", "color"].map(|name| (name.to_string(), FilterValues::Texts));
        let line = Value::Object(line_of(&product, "pictures/x.jpg", &filters));
        assert_eq!(line["size"], json!(["S", "M"]));
        assert_eq!((&line["color"], &line["image"]), (&json!(""), &json!("pictures/x.jpg")));
    }
}
