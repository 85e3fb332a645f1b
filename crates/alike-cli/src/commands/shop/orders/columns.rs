//! Which columns of an order file say who bought what, when, and whether it counts.

use alike::data::{Meaning, WholeTable};

use crate::args::Shop;
use crate::commands::shop::header::{ColumnTitles, FileForm};
use crate::commands::shop::words::{file_name, listed};
use crate::failure::{Failure, Outcome};

const EMAILS: &[&str] =
    &["billingemail", "emailbilling", "customeremail", "email", "useremail", "emailaddress"];
const CUSTOMERS: &[&str] = &["customerid", "customeruser", "userid"];
const OWN_CUSTOMERS: &[&str] = &[
    "email",
    "customeremail",
    "clientid",
    "client",
    "buyerid",
    "buyer",
    "kundennummer",
    "kundennr",
    "kunde",
    "customername",
];
const ORDERS: &[&str] = &[
    "orderid",
    "ordernumber",
    "orderno",
    "order",
    "invoiceid",
    "invoiceno",
    "invoice",
    "bestellnummer",
    "bestellnr",
];
const CODES: &[&str] = &[
    "itemsku",
    "sku",
    "productsku",
    "itemproductid",
    "productid",
    "itemvariationid",
    "lineitemsku",
    "lineitemproductid",
    "lineitemvariationid",
    "variationid",
];
const NAMES: &[&str] = &["itemname", "productname", "lineitemname", "name"];
const OWN_ITEMS: &[&str] = &[
    "artikelnummer",
    "artikelnr",
    "productcode",
    "ean",
    "gtin",
    "artikel",
    "produkt",
    "productname",
    "itemname",
    "lineitemname",
];
const TIMES: &[&str] = &[
    "createdat",
    "orderdate",
    "datecreated",
    "date",
    "purchasedate",
    "orderedat",
    "created",
    "paiddate",
    "paidat",
    "completeddate",
    "bestelldatum",
    "datum",
];
const STATES: &[&str] = &["financialstatus", "orderstatus", "status"];
const QUANTITIES: &[&str] =
    &["quantityrefund", "lineitemquantity", "itemquantity", "quantity", "qty", "menge", "anzahl"];
/// What `--order-time` says where there are no times.
const NONE: &str = "none";

/// Positions of columns.
pub(super) struct OrderColumns {
    pub(super) form: FileForm,
    /// What tells orders apart, where the first row of each says for all who bought.
    pub(super) order: Option<usize>,
    pub(super) customers: Vec<usize>,
    pub(super) codes: Vec<usize>,
    pub(super) names: Vec<usize>,
    /// Cells with all products of an order: `name:Mug|sku:M-1|quantity:2`.
    pub(super) lists: Vec<usize>,
    pub(super) time: Option<usize>,
    pub(super) state: Option<usize>,
    pub(super) cancelled: Option<usize>,
    pub(super) quantity: Option<usize>,
}

impl OrderColumns {
    /// # Errors
    /// A column that is needed is not there, or the file holds products.
    pub(super) fn find(table: &WholeTable, args: &Shop) -> Outcome<Self> {
        let titles = ColumnTitles::new(&table.names);
        let form = titles.form();
        let usual = |meaning: Meaning, more: &[&str]| -> Option<usize> {
            meaning.columns(&table.names).first().copied().or_else(|| titles.first(more))
        };
        let mut found = match form {
            FileForm::ShopifyOrders => Self {
                order: titles.first(&["name"]),
                customers: titles.all(&["email"]),
                codes: titles.all(&["lineitemsku"]),
                names: titles.all(&["lineitemname"]),
                lists: Vec::new(),
                time: titles.first(TIMES),
                ..Self::of_all(form, &titles)
            },
            FileForm::WooOrders => Self {
                order: titles.first(ORDERS),
                customers: [titles.all(EMAILS), titles.all(CUSTOMERS)].concat(),
                codes: titles.all(CODES),
                names: titles.all(NAMES),
                lists: titles
                    .starting("lineitem")
                    .into_iter()
                    .filter(|&at| is_list(&table.names[at]))
                    .collect(),
                time: titles.first(TIMES),
                ..Self::of_all(form, &titles)
            },
            _ => Self {
                order: titles.first(ORDERS),
                customers: usual(Meaning::User, OWN_CUSTOMERS).into_iter().collect(),
                codes: usual(Meaning::Item, OWN_ITEMS).into_iter().collect(),
                time: usual(Meaning::Time, TIMES),
                ..Self::of_all(form, &titles)
            },
        };
        if let Some(name) = &args.order_user {
            found.customers = vec![titles.named(&table.path, "--order-user", name)?];
        }
        if let Some(name) = &args.order_item {
            found.codes = vec![titles.named(&table.path, "--order-item", name)?];
            (found.names, found.lists) = (found.codes.clone(), Vec::new());
        }
        match args.order_time.as_deref() {
            Some(NONE) => found.time = None,
            Some(name) => found.time = Some(titles.named(&table.path, "--order-time", name)?),
            None => {}
        }
        if found.form == FileForm::Plain {
            // What a column holds, numbers or titles, is seen by what the catalogue has.
            found.names = found.codes.clone();
        }
        found.check(table, &titles)?;
        Ok(found)
    }

    /// What is called alike in all forms.
    fn of_all(form: FileForm, titles: &ColumnTitles) -> Self {
        Self {
            form,
            order: None,
            customers: Vec::new(),
            codes: Vec::new(),
            names: Vec::new(),
            lists: Vec::new(),
            time: None,
            state: titles.first(STATES),
            cancelled: titles.first(&["cancelledat"]),
            quantity: titles.first(QUANTITIES),
        }
    }

    fn check(&self, table: &WholeTable, titles: &ColumnTitles) -> Outcome {
        let file = file_name(&table.path);
        let products =
            matches!(self.form, FileForm::ShopifyProducts | FileForm::WooProducts | FileForm::MerchantFeed);
        let own = self.customers.is_empty()
            && (!Meaning::Title.columns(&titles.names).is_empty()
                || !Meaning::Description.columns(&titles.names).is_empty());
        if products || own {
            return Err(Failure::Usage(format!(
                "--orders: {file} has products in it, not orders; the file of orders belongs here, products to --catalogue"
            )));
        }
        let missing = |what: &str, flag: &str| {
            let columns = listed(&titles.names);
            Err(Failure::Usage(format!(
                "{file}: no column looks like {what}; say which is: {flag} COLUMN; the columns are {columns}"
            )))
        };
        if self.customers.is_empty() {
            return missing("customers", "--order-user");
        }
        if self.codes.is_empty() && self.names.is_empty() && self.lists.is_empty() {
            return missing("products", "--order-item");
        }
        Ok(())
    }

    /// What was taken for what.
    pub(super) fn said(&self, names: &[String]) -> String {
        let named = |columns: &[usize]| {
            let all: Vec<String> = columns.iter().map(|&at| format!("`{}`", names[at])).collect();
            all.join(" or ")
        };
        let mut items = [&self.lists[..], &self.codes, &self.names].concat();
        let mut seen = std::collections::BTreeSet::new();
        items.retain(|at| seen.insert(*at));
        let mut parts =
            vec![format!("customers {}", named(&self.customers)), format!("products {}", named(&items))];
        let one = |what: &str, at: Option<usize>| at.map(|at| format!("{what} `{}`", names[at]));
        parts.extend(
            [one("times", self.time), one("states", self.state), one("quantities", self.quantity)]
                .into_iter()
                .flatten(),
        );
        format!("Columns: {}", parts.join(", "))
    }
}

/// Whether a column holds the products of an order in one cell each: `line_items`, `line_item_1`.
fn is_list(name: &str) -> bool {
    let rest: String = name.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase();
    rest == "lineitems"
        || rest
            .strip_prefix("lineitem")
            .is_some_and(|n| !n.is_empty() && n.bytes().all(|c| c.is_ascii_digit()))
}
