//! From files of orders to purchases: which customer bought which product, and when.

mod columns;

use std::collections::{BTreeMap, HashMap};

use alike::data::{WholeTable, is_nothing};

use crate::args::Shop;
use crate::commands::shop::catalogue::ProductRange;
use crate::commands::shop::customers::CustomerCodes;
use crate::commands::shop::dates::DateReader;
use crate::commands::shop::header::FileForm;
use crate::commands::shop::words::{counted, day, file_name, joined, listed};
use crate::failure::{Failure, Outcome};
use columns::OrderColumns;

/// States of orders that were no purchases, in lower-case letters.
const VOID: [&str; 11] = [
    "cancelled",
    "canceled",
    "refunded",
    "voided",
    "failed",
    "trash",
    "draft",
    "checkoutdraft",
    "returned",
    "storniert",
    "expired",
];
/// What lines start with that say what does not count.
const LEFT_OUT: &str = "Left out: ";
/// Unknown products that are named.
const EXAMPLES: usize = 3;

/// A customer bought a product.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Purchase {
    pub(super) customer: u32,
    pub(super) product: u32,
    /// Seconds since 1970, or what the file counts in.
    pub(super) time: f64,
}

/// All purchases of a shop.
#[derive(Default)]
pub(super) struct OrderLog {
    /// In the order of the files.
    pub(super) purchases: Vec<Purchase>,
    /// Ids of the customers.
    pub(super) customers: Vec<String>,
    numbers: HashMap<String, u32>,
    /// Whether every file says when.
    pub(super) dated: bool,
    /// The first and the last day, where times are those of the clock.
    pub(super) days: Option<(f64, f64)>,
    /// What was found, in plain words.
    pub(super) said: Vec<String>,
}

/// What the first rows of an order say for all of its rows.
#[derive(Default, Clone)]
struct OrderHead {
    customer: String,
    time: String,
    state: String,
    cancelled: bool,
}

/// Lines that are no purchases.
#[derive(Default)]
struct LeftOutLines {
    void: usize,
    returned: usize,
    nobody: usize,
    empty: usize,
    /// What lines called products that are not in the catalogue, and how often.
    unknown: BTreeMap<String, usize>,
}

impl OrderLog {
    /// Reads files of orders of the products of `range`.
    ///
    /// # Errors
    /// A column is missing, a date cannot be read, or no line is about a product.
    pub(super) fn read(
        tables: &[WholeTable],
        args: &Shop,
        range: &ProductRange,
        codes: &mut CustomerCodes,
    ) -> Outcome<Self> {
        let mut log = Self { dated: true, ..Self::default() };
        for table in tables {
            log.add(table, args, range, codes)?;
        }
        if log.purchases.is_empty() {
            let left: Vec<&str> = log.said.iter().filter_map(|line| line.strip_prefix(LEFT_OUT)).collect();
            let text = "no line of the orders is a purchase by a customer; left out are";
            return Err(Failure::Failed(format!("{text} {}", left.join(", "))));
        }
        if codes.made {
            log.said.push(
                "Customers are told apart by their e-mail addresses, which are not kept: codes stand for them, made with the \
                 key in customers.key"
                    .into(),
            );
        }
        Ok(log)
    }

    fn add(
        &mut self,
        table: &WholeTable,
        args: &Shop,
        range: &ProductRange,
        codes: &mut CustomerCodes,
    ) -> Outcome {
        let columns = OrderColumns::find(table, args)?;
        let heads = heads(table, &columns);
        let head_of = |cells: &[String]| -> OrderHead {
            let own = head(cells, &columns);
            let Some(first) = columns.order.and_then(|at| heads.get(cells[at].trim())) else { return own };
            let or = |own: String, first: &String| if own.is_empty() { first.clone() } else { own };
            OrderHead {
                customer: or(own.customer, &first.customer),
                time: or(own.time, &first.time),
                state: or(own.state, &first.state),
                cancelled: own.cancelled || first.cancelled,
            }
        };
        let lines: Vec<(u64, OrderHead)> =
            table.rows.iter().map(|(line, cells)| (*line, head_of(cells))).collect();
        let times: Vec<(u64, &str)> = lines
            .iter()
            .map(|(line, head)| (*line, head.time.as_str()))
            .filter(|(_, time)| !time.is_empty())
            .collect();
        let dates = DateReader::of(&table.path, &times, args.time_format.as_deref())?;
        let earliest = times.iter().filter_map(|(_, time)| dates.read(time)).fold(f64::INFINITY, f64::min);
        let earliest = if earliest.is_finite() { earliest } else { 0.0 };
        self.dated &= !times.is_empty();

        let mut left = LeftOutLines::default();
        let before = self.purchases.len();
        for ((_, cells), (_, head)) in table.rows.iter().zip(&lines) {
            if head.cancelled || is_void(&head.state) {
                left.void += 1;
                continue;
            }
            let items = items(cells, &columns, range, &mut left);
            if items.is_empty() {
                continue;
            }
            if head.customer.is_empty() {
                left.nobody += items.len();
                continue;
            }
            let time = dates.read(&head.time).unwrap_or(earliest);
            let id = codes.id(&head.customer)?;
            let next = self.customers.len() as u32;
            let customer = *self.numbers.entry(id.clone()).or_insert(next);
            if customer == next {
                self.customers.push(id);
            }
            self.purchases.extend(items.iter().map(|&at| Purchase { customer, product: at as u32, time }));
            if dates.is_clock() && !head.time.is_empty() {
                let (from, to) = self.days.unwrap_or((time, time));
                self.days = Some((from.min(time), to.max(time)));
            }
        }
        let found = self.purchases.len() - before;
        let orders = if heads.is_empty() { None } else { Some(heads.len()) };
        self.say(table, &columns, orders, &left);
        check_known(table, &columns, found, &left)
    }

    fn say(
        &mut self,
        table: &WholeTable,
        columns: &OrderColumns,
        orders: Option<usize>,
        left: &LeftOutLines,
    ) {
        let kind = if columns.form == FileForm::Plain { "a table of orders" } else { columns.form.name() };
        let of = orders.map(|n| format!(" of {}", counted(n, "order", "orders"))).unwrap_or_default();
        let lines = counted(table.rows.len(), "line", "lines");
        self.said.push(format!("{} is {kind}: {lines}{of}", file_name(&table.path)));
        self.said.push(columns.said(&table.names));
        let parts: Vec<String> = [
            (left.void, "of orders that were cancelled, refunded or failed"),
            (left.returned, "of products that were given back"),
            (left.nobody, "without a customer"),
            (left.empty, "without a product"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{} {what}", counted(count, "line", "lines")))
        .collect();
        if !parts.is_empty() {
            self.said.push(format!("{LEFT_OUT}{}", joined(&parts)));
        }
        let unknown: usize = left.unknown.values().sum();
        if unknown > 0 {
            self.said.push(format!(
                "{LEFT_OUT}{} about {} that the catalogue does not have, such as {}",
                counted(unknown, "line", "lines"),
                counted(left.unknown.len(), "product", "products"),
                examples(left)
            ));
        }
    }

    /// How many, of whom, from when on.
    pub(super) fn summary(&self) -> String {
        let purchases = counted(self.purchases.len(), "purchase", "purchases");
        let customers = counted(self.customers.len(), "customer", "customers");
        let when = match self.days {
            Some((from, to)) if day(from) == day(to) => format!(", all on {}", day(from)),
            Some((from, to)) => format!(", from {} to {}", day(from), day(to)),
            None => String::new(),
        };
        format!("{purchases} of {customers}{when}")
    }
}

/// What the rows of each order say first.
fn heads(table: &WholeTable, columns: &OrderColumns) -> HashMap<String, OrderHead> {
    let mut heads: HashMap<String, OrderHead> = HashMap::new();
    let Some(order) = columns.order else { return heads };
    for (_, cells) in &table.rows {
        let name = cells[order].trim();
        if name.is_empty() {
            continue;
        }
        let own = head(cells, columns);
        let known = heads.entry(name.to_string()).or_default();
        for (place, text) in
            [(&mut known.customer, own.customer), (&mut known.time, own.time), (&mut known.state, own.state)]
        {
            if place.is_empty() {
                *place = text;
            }
        }
        known.cancelled |= own.cancelled;
    }
    heads
}

/// What a row says itself.
fn head(cells: &[String], columns: &OrderColumns) -> OrderHead {
    let cell = |at: Option<usize>| match at.map_or("", |at| cells[at].trim()) {
        text if is_nothing(text) => String::new(),
        text => text.to_string(),
    };
    // WooCommerce's guests have the number 0.
    let guest = |text: &String| columns.form == FileForm::WooOrders && text == "0";
    let customers = columns.customers.iter().map(|&at| cell(Some(at)));
    OrderHead {
        customer: customers.filter(|text| !guest(text)).find(|text| !text.is_empty()).unwrap_or_default(),
        time: cell(columns.time),
        state: cell(columns.state),
        cancelled: !cell(columns.cancelled).is_empty(),
    }
}

/// Whether an order of this state is no purchase.
fn is_void(state: &str) -> bool {
    let letters: String = state.chars().filter(|c| c.is_alphabetic()).flat_map(char::to_lowercase).collect();
    VOID.contains(&letters.strip_prefix("wc").unwrap_or(&letters))
}

/// The products that a row is about; what they are not is counted.
fn items(
    cells: &[String],
    columns: &OrderColumns,
    range: &ProductRange,
    left: &mut LeftOutLines,
) -> Vec<usize> {
    let cell = |at: usize| cells[at].trim();
    let mut found = Vec::new();
    let mut one = |codes: &[&str], names: &[&str], quantity: &str| {
        if quantity.replace(',', ".").parse::<f64>().is_ok_and(|number| number <= 0.0) {
            left.returned += 1;
            return;
        }
        let there = |texts: &[&str]| texts.iter().copied().find(|text| !is_nothing(text)).map(String::from);
        let by_code = codes.iter().filter(|code| !is_nothing(code)).find_map(|code| range.with_code(code));
        let by_name = || names.iter().filter(|name| !is_nothing(name)).find_map(|name| range.with_name(name));
        match by_code.or_else(by_name) {
            Some(product) => found.push(product),
            None => match there(codes).or_else(|| there(names)) {
                Some(named) => *left.unknown.entry(named).or_default() += 1,
                None => left.empty += 1,
            },
        }
    };
    let texts = |columns: &[usize]| columns.iter().map(|&at| cell(at)).collect::<Vec<_>>();
    if columns.lists.is_empty() {
        one(&texts(&columns.codes), &texts(&columns.names), columns.quantity.map_or("", cell));
        return found;
    }
    for list in columns.lists.iter().map(|&at| cell(at)).filter(|list| !list.is_empty()) {
        for item in list.split(';').filter(|item| item.contains(':')) {
            let value = |key: &str| {
                let pairs = item.split('|').filter_map(|pair| pair.split_once(':'));
                pairs.into_iter().find(|(name, _)| name.trim() == key).map_or("", |(_, value)| value.trim())
            };
            one(
                &[value("sku"), value("product_id"), value("variation_id")],
                &[value("name")],
                value("quantity"),
            );
        }
    }
    found
}

fn examples(left: &LeftOutLines) -> String {
    let mut named: Vec<(&String, &usize)> = left.unknown.iter().collect();
    named.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let named: Vec<String> = named.iter().take(EXAMPLES).map(|(name, _)| format!("`{name}`")).collect();
    joined(&named)
}

/// An error where hardly a line is about a product of the catalogue.
fn check_known(table: &WholeTable, columns: &OrderColumns, found: usize, left: &LeftOutLines) -> Outcome {
    if found > 0 || left.unknown.is_empty() {
        return Ok(());
    }
    let items = [&columns.lists[..], &columns.codes, &columns.names].concat();
    let column = items.first().map_or("", |&at| &table.names[at]);
    Err(Failure::Usage(format!(
        "{}: none of its products is in the catalogue (column `{column}`: {}); take both files from one shop, or say which column \
         names products as the catalogue does: --order-item COLUMN; the columns are {}",
        file_name(&table.path),
        examples(left),
        listed(&table.names)
    )))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Cli, Command};

    fn table(path: &str, header: &str, rows: &[&str]) -> WholeTable {
        let cells = |line: &str| line.split('^').map(String::from).collect::<Vec<_>>();
        WholeTable {
            path: path.into(),
            names: cells(header),
            rows: rows.iter().enumerate().map(|(n, row)| (n as u64 + 2, cells(row))).collect(),
            notes: Vec::new(),
        }
    }

    fn read(header: &str, rows: &[&str], more: &[&str]) -> Outcome<OrderLog> {
        let catalogue =
            table("products.csv", "id^sku^title", &["1^MUG^Blue mug", "2^TEE^T-Shirt", "3^CAP^Cap"]);
        let range = ProductRange::read(&catalogue, Some("id"), None)?;
        let arguments = [&["alike", "shop", "--catalogue", "c", "--orders", "o"], more].concat();
        let Command::Shop(args) = Cli::try_parse_from(arguments).unwrap().command else { panic!("is shop") };
        let folder = tempfile::tempdir().unwrap();
        let mut codes = CustomerCodes::new(folder.path(), false);
        OrderLog::read(&[table("orders.csv", header, rows)], &args, &range, &mut codes)
    }

    #[test]
    fn the_first_row_of_an_order_of_shopify_speaks_for_all() {
        let header = "Name^Email^Financial Status^Created at^Lineitem quantity^Lineitem name^Lineitem sku^Cancelled at";
        let log = read(
            header,
            &[
                "#1^ada@example.com^paid^2024-03-01 12:34:56 -0500^1^Blue mug^MUG^",
                "#1^^^^2^T-Shirt - M^^",
                "#2^bob@example.com^refunded^2024-03-02 12:34:56 -0500^1^Cap^CAP^",
                "#3^ADA@example.com^paid^2024-03-03 12:34:56 -0500^1^Cap^CAP^",
                "#4^eve@example.com^paid^2024-03-04 12:34:56 -0500^1^Cap^CAP^2024-03-05 12:34:56 -0500",
                "#5^^paid^2024-03-06 12:34:56 -0500^1^Cap^CAP^",
                "#6^joe@example.com^paid^2024-03-07 12:34:56 -0500^1^Old thing^OLD^",
            ],
            &[],
        )
        .unwrap();
        let bought: Vec<(u32, u32)> = log.purchases.iter().map(|p| (p.customer, p.product)).collect();
        assert_eq!((bought, log.customers.len()), (vec![(0, 0), (0, 1), (0, 2)], 1));
        assert!(log.customers.iter().all(|id| id.len() == 32 && !id.contains('@')));
        let said = log.said.join("\n");
        assert!(
            said.contains("7 lines of 6 orders") && said.contains("2 lines of orders that were cancelled"),
            "{said}"
        );
        assert!(said.contains("1 line without a customer"), "{said}");
        assert!(said.contains("`OLD`") && log.summary().ends_with("from 1 Mar 2024 to 3 Mar 2024"), "{said}");
    }

    #[test]
    fn orders_of_woocommerce_come_in_rows_and_in_lists() {
        let rows = read(
            "order_id^order_date^status^customer_id^billing_email^item_sku^item_quantity",
            &[
                "1^2024-03-01 12:00:00^wc-completed^0^ada@example.com^MUG^1",
                "2^2024-03-02 12:00:00^wc-cancelled^7^bob@example.com^MUG^1",
                "3^2024-03-03 12:00:00^completed^7^^CAP^1",
                "4^2024-03-03 12:00:00^completed^7^^CAP^0",
            ],
            &[],
        )
        .unwrap();
        assert_eq!((rows.purchases.len(), rows.customers[1].as_str()), (2, "7"));
        let lists = read(
            "order_id^date^status^customer_id^line_items",
            &["1^2024-03-01^completed^7^name:Mug|product_id:1|sku:|quantity:1|total:5;name:Cap|product_id:|sku:CAP|quantity:1"],
            &[],
        )
        .unwrap();
        assert_eq!(lists.purchases.iter().map(|p| p.product).collect::<Vec<_>>(), [0, 2]);
    }

    #[test]
    fn plain_orders_may_name_products_by_title() {
        let log =
            read("customer^product^datum", &["a^Blue mug^01.02.2024", "b^cap^02.02.2024"], &[]).unwrap();
        assert_eq!(log.purchases.iter().map(|p| p.product).collect::<Vec<_>>(), [0, 2]);
        let log =
            read("who^what^when", &["a^MUG^5"], &["--order-user", "who", "--order-item", "What"]).unwrap();
        assert!(!log.dated && log.days.is_none());
    }

    #[test]
    fn what_is_wrong_names_the_way_out() {
        let said = |header: &str, rows: &[&str], more: &[&str]| {
            read(header, rows, more).err().unwrap().line().unwrap()
        };
        let text = said("who^sku^time", &["a^MUG^2024-01-01"], &[]);
        assert!(text.contains("--order-user COLUMN") && text.contains("`who`"), "{text}");
        let text = said("user^what", &["a^MUG"], &[]);
        assert!(text.contains("--order-item COLUMN"), "{text}");
        let text = said("user^sku", &["a^X-1"], &[]);
        assert!(
            text.contains("none of its products is in the catalogue") && text.contains("`X-1`"),
            "{text}"
        );
        let text = said("sku^title^price", &["MUG^Blue mug^5"], &[]);
        assert!(text.contains("has products in it"), "{text}");
        let text = said("user^sku", &["a^MUG"], &["--order-time", "day"]);
        assert!(text.contains("--order-time: orders.csv has no column `day`"), "{text}");
    }
}
