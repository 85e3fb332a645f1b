//! From a catalogue of any kind to products, and from what orders call them back to these.

mod merchant;
mod plain;
pub(super) mod product;
mod shopify;
mod woocommerce;

use std::collections::HashMap;

use alike::data::{Meaning, WholeTable};

use crate::commands::shop::header::{ColumnTitles, FileForm};
use crate::commands::shop::words::{counted, file_name};
use crate::failure::{Failure, Outcome};
use product::{Product, ProductList};

/// The products of a shop.
pub(super) struct ProductRange {
    pub(super) list: Vec<Product>,
    /// What was found, in plain words.
    pub(super) said: Vec<String>,
    by_code: HashMap<String, usize>,
    /// Nothing where two products have the name.
    by_name: HashMap<String, Option<usize>>,
}

impl ProductRange {
    /// Reads a catalogue; the columns of a plain table may be named.
    ///
    /// # Errors
    /// It has orders in it, no numbers of products, or no products.
    pub(super) fn read(table: &WholeTable, id: Option<&str>, title: Option<&str>) -> Outcome<Self> {
        let columns = ColumnTitles::new(&table.names);
        let form = columns.form();
        refuse_orders(table, &columns, form)?;
        let mut said = Vec::new();
        let named = id.is_some() || title.is_some();
        let (found, kind) = match form {
            FileForm::ShopifyProducts if !named => (shopify::read(table, &columns), form.name()),
            FileForm::WooProducts if !named => (woocommerce::read(table, &columns), form.name()),
            FileForm::MerchantFeed if !named => (merchant::read(table, &columns), form.name()),
            _ => {
                let (found, columns) = plain::read(table, &columns, id, title)?;
                said.push(columns);
                (found, FileForm::Plain.name())
            }
        };
        let file = file_name(&table.path);
        if found.list.is_empty() {
            let text = "no row has the number of a product; say which column has: --catalogue-id COLUMN";
            return Err(Failure::Usage(format!("{file}: {text}")));
        }
        said.insert(0, summary(&file, kind, &found));
        said.extend(remarks(&found));
        Ok(Self::new(found.list, said))
    }

    fn new(list: Vec<Product>, said: Vec<String>) -> Self {
        let (mut by_code, mut by_name) = (HashMap::new(), HashMap::<String, Option<usize>>::new());
        // A product's own number counts before a code of another one.
        for (at, product) in list.iter().enumerate() {
            by_code.insert(product.id.clone(), at);
        }
        for (at, product) in list.iter().enumerate() {
            for code in &product.codes {
                by_code.entry(code.clone()).or_insert(at);
                by_code.entry(code.to_lowercase()).or_insert(at);
            }
            for name in &product.names {
                by_name
                    .entry(name.to_lowercase())
                    .and_modify(|known| *known = known.filter(|known| *known == at))
                    .or_insert(Some(at));
            }
        }
        Self { list, said, by_code, by_name }
    }

    /// The product with this number or code.
    pub(super) fn with_code(&self, code: &str) -> Option<usize> {
        let code = code.trim();
        let found = |code: &str| self.by_code.get(code).copied();
        // Programs that keep numbers as floats write 21.0.
        found(code)
            .or_else(|| found(&code.to_lowercase()))
            .or_else(|| code.strip_suffix(".0").and_then(found))
            .or_else(|| found(&format!("{code}.0")).filter(|_| code.bytes().all(|c| c.is_ascii_digit())))
    }

    /// The product of this name, behind which may stand that of a variant: `Shirt - red / M`.
    pub(super) fn with_name(&self, name: &str) -> Option<usize> {
        let mut name = name.trim().to_lowercase();
        loop {
            match (self.by_name.get(&name), name.rfind(" - ")) {
                (Some(&found), _) => return found,
                (None, Some(at)) => name.truncate(at),
                (None, None) => return None,
            }
        }
    }
}

/// An error where a catalogue has orders in it.
fn refuse_orders(table: &WholeTable, columns: &ColumnTitles, form: FileForm) -> Outcome {
    let own = form == FileForm::Plain
        && (!Meaning::User.columns(&columns.names).is_empty() || columns.first(&["email"]).is_some())
        && !Meaning::Item.columns(&columns.names).is_empty()
        && Meaning::Title.columns(&columns.names).is_empty()
        && Meaning::Description.columns(&columns.names).is_empty();
    if own || matches!(form, FileForm::ShopifyOrders | FileForm::WooOrders) {
        return Err(Failure::Usage(format!(
            "--catalogue: {} has orders in it, not products; the file of products belongs here, orders to --orders",
            file_name(&table.path)
        )));
    }
    Ok(())
}

fn summary(file: &str, kind: &str, found: &ProductList) -> String {
    let products = counted(found.list.len(), "product", "products");
    let rows = match found.repeated {
        0 => String::new(),
        more => {
            format!(", {} of variants and further pictures joined to them", counted(more, "row", "rows"))
        }
    };
    format!("{file} is {kind}: {products}{rows}")
}

/// What else is good to know.
fn remarks(found: &ProductList) -> Vec<String> {
    let has = |field: &str, value: &str| {
        let one = |product: &&Product| product.fields.get(field).is_some_and(|values| values == &[value]);
        found.list.iter().filter(one).count()
    };
    let (hidden, gone) = (has("hidden", "true"), has("stock", "0"));
    let untitled = found.list.iter().filter(|product| product.title.is_empty()).count();
    let products = |count: usize| counted(count, "product", "products");
    let one = |count: usize, one: &str, many: &str| {
        format!("{} {}", products(count), if count == 1 { one } else { many })
    };
    [
        (untitled, one(untitled, "has no title", "have no title")),
        (
            hidden,
            one(
                hidden,
                "is hidden or a draft and is never suggested",
                "are hidden or drafts and are never suggested",
            ),
        ),
        (
            gone,
            one(
                gone,
                "is sold out and is not suggested until it is back",
                "are sold out and are not suggested until they are back",
            ),
        ),
        (found.nameless, format!("{} of no product left out", counted(found.nameless, "row", "rows"))),
    ]
    .into_iter()
    .filter_map(|(count, text)| (count > 0).then_some(text))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(header: &str, rows: &[&str]) -> ProductRange {
        let cells = |line: &str| line.split('|').map(String::from).collect::<Vec<_>>();
        let table = WholeTable {
            path: "products.csv".into(),
            names: cells(header),
            rows: rows.iter().enumerate().map(|(n, row)| (n as u64 + 2, cells(row))).collect(),
            notes: Vec::new(),
        };
        ProductRange::read(&table, None, None).unwrap()
    }

    fn field<'a>(product: &'a Product, name: &str) -> &'a [String] {
        product.fields.get(name).map_or(&[], Vec::as_slice)
    }

    #[test]
    fn variants_of_shopify_are_one_product() {
        let header = "Handle|Title|Body (HTML)|Vendor|Type|Tags|Published|Option1 Name|Option1 Value|Variant SKU|\
                      Variant Inventory Tracker|Variant Inventory Qty|Variant Inventory Policy|Variant Price|Image Src|Status";
        let range = range(
            header,
            &[
                "tee|T-Shirt|<p>Soft &amp; light</p>|Acme|Shirts|new, summer|true|Size|S|TEE-S|shopify|2|deny|19.90|https://s/a.jpg|active",
                "tee|||||||| M|TEE-M|shopify|0|deny|17.90||",
                "tee||||||||||||||https://s/b.jpg|",
                "mug|Mug||Acme|Cups||true|Title|Default Title|MUG|shopify|0|deny|8||archived",
            ],
        );
        let tee = &range.list[0];
        assert_eq!((range.list.len(), tee.description.as_str()), (2, "Soft & light"));
        assert_eq!(
            (field(tee, "price"), field(tee, "stock")),
            (&["17.9".to_string()][..], &["2".to_string()][..])
        );
        assert_eq!((field(tee, "size"), tee.pictures.len()), (&["S".to_string(), "M".into()][..], 2));
        assert_eq!(field(tee, "tags").len(), 2);
        assert_eq!((field(&range.list[1], "hidden").len(), field(&range.list[1], "title").len()), (1, 0));
        assert_eq!(
            (range.with_code("tee-m"), range.with_code("MUG"), range.with_code("x")),
            (Some(0), Some(1), None)
        );
        assert_eq!((range.with_name("T-Shirt - M"), range.with_name("T-Shirt - XXL")), (Some(0), Some(0)));
        assert!(range.said.iter().any(|line| line.contains("1 product is hidden")), "{:?}", range.said);
    }

    #[test]
    fn variations_of_woocommerce_find_their_parents() {
        let header = "ID|Type|SKU|Name|Published|Short description|In stock?|Stock|Sale price|Regular price|Categories|Images|\
                      Parent|Attribute 1 name|Attribute 1 value(s)";
        let range = range(
            header,
            &[
                "45|variation|HOOD-R|Hoodie - Red|1||1|3||45,00|||id:44|Color|Red",
                "44|variable|HOOD|Hoodie|1|Warm|1||||Clothing > Hoodies, Sale|https://s/h.jpg, https://s/h2.jpg||Color|Red, Blue",
                "46|variation|HOOD-B|Hoodie - Blue|1||1|3|39,50|45,00|||HOOD|Color|Blue",
                "50|simple|CAP|Cap|-1||0|||12,00|Caps|||||",
            ],
        );
        let hoodie = &range.list[0];
        assert_eq!((hoodie.id.as_str(), field(hoodie, "price")), ("44", &["39.5".to_string()][..]));
        assert_eq!(hoodie.category, ["Clothing", "Hoodies", "Sale"]);
        assert_eq!((field(hoodie, "color").len(), hoodie.pictures[0].as_str()), (2, "https://s/h.jpg"));
        assert_eq!(
            (range.with_code("45"), range.with_code("HOOD-B"), range.with_code("cap")),
            (Some(0), Some(0), Some(1))
        );
        assert_eq!(
            (field(&range.list[1], "hidden").len(), field(&range.list[1], "stock")),
            (1, &["0".to_string()][..])
        );
    }

    #[test]
    fn variants_of_a_feed_share_their_group() {
        let range = range(
            "id|title|description|link|image_link|price|sale_price|availability|brand|item_group_id|google_product_category",
            &[
                "A-1|Sofa red|x|https://s|https://s/1.jpg|1,299.00 EUR||out_of_stock|Nord|A|436",
                "A-2|Sofa blue|x|https://s|https://s/2.jpg|1,399.00 EUR|1,199.00 EUR|in_stock|Nord|A|Furniture > Sofas",
                "B-1|Rug|y|https://s||99 EUR||out of stock|Nord||",
            ],
        );
        let sofa = &range.list[0];
        assert_eq!((sofa.id.as_str(), field(sofa, "price")), ("A", &["1199".to_string()][..]));
        assert_eq!((field(sofa, "stock").len(), field(&range.list[1], "stock").len()), (0, 1));
        assert_eq!((sofa.category.len(), range.with_code("A-2")), (2, Some(0)));
    }

    #[test]
    fn a_plain_table_may_be_german() {
        let range = range(
            "Artikelnummer|Bezeichnung|Preis|Marke|Farbe",
            &["1|Lampe|1.299,00 €|Licht|rot", "2|Tisch|89,90 €|Holz|blau"],
        );
        let lamp = &range.list[0];
        assert_eq!((lamp.title.as_str(), field(lamp, "price")), ("Lampe", &["1299".to_string()][..]));
        assert_eq!((field(lamp, "brand"), field(lamp, "farbe").len()), (&["Licht".to_string()][..], 1));
        assert!(range.said[1].contains("prices `Preis`"), "{:?}", range.said);
    }
}
