//! `alike shop`: from files as shops export them to a page, stopped anywhere and gone on with.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::usage::one_line;
use crate::world::alike;

/// Products of the shop; customer `c` buys of those whose number is as even as their own.
pub(crate) const PRODUCTS: usize = 24;
pub(crate) const CUSTOMERS: usize = 30;
/// A product that is sold out.
const SOLD_OUT: usize = 14;
/// Words that a shop's owner need not know.
const JARGON: [&str; 9] = [
    "k-core",
    "encoder",
    "protocol",
    "safetensors",
    "recall",
    "modality",
    "embedding",
    "epoch",
    "checkpoint",
];

/// A folder with the files of a shop.
pub(crate) struct Shop {
    pub(crate) folder: TempDir,
}

/// The products that a customer buys, in that order.
pub(crate) fn bought(customer: usize) -> impl Iterator<Item = usize> {
    (0..PRODUCTS / 2)
        .filter(move |n| !(customer * 7 + n * 5).is_multiple_of(3))
        .map(move |n| n * 2 + customer % 2)
}

pub(crate) fn kind(product: usize) -> &'static str {
    if product.is_multiple_of(2) { "garden" } else { "kitchen" }
}

impl Shop {
    pub(crate) fn new() -> Self {
        let shop = Self { folder: tempfile::tempdir().unwrap() };
        let mut products = String::from("item_id,title,description,category,price,colour,stock\n");
        for p in 0..PRODUCTS {
            let (kind, colour) = (kind(p), ["red", "blue", "green"][p % 3]);
            products += &format!(
                "P{p},\"Thing {p}, {colour}\",\"<p>For the {kind}</p>\",{kind},\"{p},50 €\",{colour},{}\n",
                if p == SOLD_OUT { 0 } else { 3 }
            );
        }
        shop.write("products.csv", &products);
        let mut orders = String::from("customer_id,item_id,time\n");
        for c in 0..CUSTOMERS {
            for (n, p) in bought(c).enumerate() {
                orders += &format!("c{c},P{p},2024-0{}-{:02}T10:00:00Z\n", 1 + n / 2, 1 + c % 28);
            }
        }
        shop.write("orders.csv", &orders);
        shop
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), content).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Changes a file's text.
    fn edit(&self, name: &str, from: &str, to: &str) {
        let text = self.read(name);
        assert!(text.contains(from), "{name} has no {from}");
        self.write(name, &text.replace(from, to));
    }

    /// The command on these two files, in the shop's folder.
    fn command(&self, catalogue: &str, orders: &str, more: &[&str]) -> assert_cmd::Command {
        let mut command = alike();
        command.current_dir(self.folder.path());
        command.args(["shop", "--catalogue", catalogue, "--orders", orders, "--rounds", "4"]).args(more);
        command
    }

    /// The same of the plain files, without the page; what it says.
    fn run(&self, more: &[&str]) -> String {
        self.run_on("products.csv", "orders.csv", more)
    }

    pub(crate) fn run_on(&self, catalogue: &str, orders: &str, more: &[&str]) -> String {
        let output = self.command(catalogue, orders, more).arg("--no-serve").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What stands in the state of the work folder.
    pub(crate) fn state(&self) -> Value {
        serde_json::from_str(&self.read("shop/shop.json")).unwrap()
    }

    pub(crate) fn products(&self) -> Vec<Value> {
        self.read("shop/products.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn changed(&self, name: &str) -> SystemTime {
        fs::metadata(self.path(name)).unwrap().modified().unwrap()
    }

    pub(crate) fn refused(&self, arguments: &[&str], says: &str) {
        let mut command = alike();
        command.current_dir(self.folder.path()).arg("shop").args(arguments).arg("--no-serve");
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(matches!(output.status.code(), Some(1 | 2)), "{arguments:?}: {text}");
        assert!(predicates::Predicate::eval(&one_line(says), &text), "{arguments:?}: {text}");
    }
}

#[test]
fn two_files_become_a_shop_in_plain_words() {
    let shop = Shop::new();
    let said = shop.run(&[]);
    for part in [
        "products.csv is a table: 24 products",
        "numbers `item_id`, titles `title`",
        "1 product is sold out and is not suggested until it is back",
        "Lists can be filtered by price and colour",
        "customers `customer_id`, products `item_id`, times `time`",
        "of 30 customers, from 1 Jan 2024 to",
        "Of the things customers bought next, ",
        "the bestseller list gets ",
        "With 24 products in all, 20 suggestions are many of them",
        "That is a rough figure: only 30 purchases were checked",
        "Ready in ",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let lower = said.to_lowercase();
    assert!(JARGON.iter().all(|word| !lower.contains(word)), "{said}");
    let first = &shop.products()[1];
    assert_eq!((&first["price"], &first["description"]), (&json!("1.5"), &json!("For the kitchen")));
    // Nothing is done again.
    let state = shop.state();
    let run = format!("shop/{}/metrics.json", state["live"]["run"].as_str().unwrap());
    let made = ["shop/text.safetensors", "shop/products.jsonl", &run].map(|name| shop.changed(name));
    let again = shop.run(&[]);
    assert!(
        again.starts_with("The files are as before: ") && again.contains("Of the things customers"),
        "{again}"
    );
    assert_eq!(made, ["shop/text.safetensors", "shop/products.jsonl", &run].map(|name| shop.changed(name)));
    assert_eq!(shop.state(), state);
    // For programs: one object, and no words beside it.
    let report: Value = serde_json::from_str(&shop.run(&["--json"])).unwrap();
    assert_eq!((&report["products"], &report["customers"]), (&json!(24), &json!(30)));
    assert!(report["found"].as_f64().unwrap() > 0.0);
    assert_eq!(shop.run(&["--quiet"]), "");
}

#[test]
fn a_change_redoes_what_depends_on_it_and_no_more() {
    let shop = Shop::new();
    shop.run(&[]);
    let done = || {
        let state = shop.state();
        let live = |name: &str| state["live"][name].as_str().unwrap().to_string();
        (shop.changed("shop/text.safetensors"), live("data"), live("run"))
    };
    let (texts, data, run) = done();
    // Another price: the same texts, other data, another run.
    shop.edit("products.csv", "\"3,50 €\"", "\"3,90 €\"");
    let said = shop.run(&[]);
    assert!(!said.contains("Texts:"), "{said}");
    let (texts_2, data_2, run_2) = done();
    assert_eq!(texts_2, texts);
    assert!(data_2 != data && run_2 != run);
    // Another title: new vectors, of which the others are taken over.
    shop.edit("products.csv", "Thing 3, red", "Thing 3, redder");
    assert!(shop.run(&[]).contains("Texts: read for 24 products"));
    let (texts_3, data_3, _) = done();
    assert!(texts_3 != texts_2 && data_3 != data_2);
    // Another round of learning: the same data.
    let mut command = alike();
    command.current_dir(shop.folder.path()).args([
        "shop",
        "--catalogue",
        "products.csv",
        "--orders",
        "orders.csv",
    ]);
    command.args(["--rounds", "3", "--no-serve"]).assert().success();
    let (texts_4, data_4, run_4) = done();
    assert_eq!((&texts_4, &data_4), (&texts_3, &data_3));
    // The one before is kept, older ones go.
    assert!(shop.path(&format!("shop/{run_4}")).exists() && !shop.path(&format!("shop/{run}")).exists());
    // One order more: the same products and texts.
    let orders = shop.read("orders.csv") + "c0,P1,2024-12-01T00:00:00Z\n";
    shop.write("orders.csv", &orders);
    let products = shop.read("shop/products.jsonl");
    assert!(!shop.run(&[]).contains("Texts:"));
    assert_eq!((done().0, shop.read("shop/products.jsonl")), (texts_4, products));
    assert_ne!(done().1, data_4);
}

fn spawn(shop: &Shop, more: &[&str]) -> Child {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("alike"));
    command.current_dir(shop.folder.path()).env_remove("ALIKE_API_KEY");
    command.args(["shop", "--catalogue", "products.csv", "--orders", "orders.csv"]).args(more);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

const LONG: [&str; 4] = ["--rounds", "40", "--no-serve", "--json"];

fn result(output: &Output) -> Value {
    let mut report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    report["said"].take();
    report
}

#[test]
fn killed_at_any_moment_the_same_command_goes_on_to_the_same() {
    let (whole, shop) = (Shop::new(), Shop::new());
    let expected = result(&spawn(&whole, &LONG).wait_with_output().unwrap());
    let mut last = None;
    for n in 1..40 {
        let mut child = spawn(&shop, &LONG);
        std::thread::sleep(Duration::from_millis(25 * n));
        // One that has finished cannot be killed any more.
        let ended = child.try_wait().unwrap().is_some();
        let _ = child.kill();
        let output = child.wait_with_output().unwrap();
        if ended {
            last = Some(output);
            break;
        }
    }
    let last = last.unwrap_or_else(|| spawn(&shop, &LONG).wait_with_output().unwrap());
    assert_eq!(result(&last), expected);
    let files = |shop: &Shop| {
        let mut names: Vec<String> = fs::read_dir(shop.path("shop"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    };
    assert_eq!(files(&shop), files(&whole));
}

#[cfg(unix)]
#[test]
fn stopped_while_it_learns_it_says_how_to_go_on() {
    let shop = Shop::new();
    let child = spawn(&shop, &["--rounds", "4000", "--no-serve"]);
    let learning = |shop: &Shop| {
        let folders =
            fs::read_dir(shop.path("shop")).into_iter().flatten().flatten().map(|entry| entry.path());
        folders
            .filter_map(|path| fs::read_to_string(path.join("log.jsonl")).ok())
            .any(|log| log.lines().count() > 2)
    };
    let end = std::time::Instant::now() + Duration::from_secs(60);
    while !learning(&shop) {
        assert!(std::time::Instant::now() < end, "it does not learn");
        std::thread::sleep(Duration::from_millis(2));
    }
    signal(&child, "INT");
    let output = child.wait_with_output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(130), "{error}");
    assert!(error.ends_with("error: interrupted; the same command goes on from there\n"), "{error}");
    // Another command finishes meanwhile, and takes nothing of what was begun away.
    shop.run(&[]);
    let inside = fs::read_dir(shop.path("shop")).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(inside.filter(|name| name.to_string_lossy().starts_with("run-")).count(), 2);
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args(["-s", name, &child.id().to_string()]).status();
    assert!(sent.unwrap().success());
}

/// A page in a process of its own.
struct Page {
    child: Child,
    address: String,
    said: String,
}

impl Page {
    fn open(shop: &Shop, more: &[&str]) -> Self {
        let mut child = spawn(shop, &[&["--rounds", "4", "--address", "127.0.0.1:0"], more].concat());
        let mut said = String::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = loop {
            let Some(Ok(line)) = lines.next() else {
                let mut why = String::new();
                child.stderr.take().unwrap().read_to_string(&mut why).unwrap();
                panic!("it does not listen: {said} {why}");
            };
            if let Some(address) = line.strip_prefix("listening on http://") {
                break address.to_string();
            }
            said += &(line + "\n");
        };
        Self { child, address, said }
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n",
            body.len()
        );
        stream.write_all(format!("{head}content-type: application/json\r\n\r\n{body}").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), body.to_string())
    }

    fn json(&self, path: &str) -> Value {
        let (status, body) = self.ask("GET", path, "");
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(unix)]
#[test]
fn the_page_answers_and_what_customers_do_outlives_new_orders() {
    let shop = Shop::new();
    // Somebody who bought one thing is served like all others, and so is what nobody bought.
    shop.edit("products.csv", "P0,", "P-new,\"Thing for the garden, new\",,garden,5,red,3\nP0,");
    let mut page = Page::open(&shop, &[]);
    assert!(
        page.said.contains("Ctrl-C ends the page, and the same command starts it again"),
        "{}",
        page.said
    );
    assert!(page.ask("GET", "/", "").1.contains("<!doctype html>"));
    let list = page.json("/v1/users/c4/recommendations?top=5");
    let first = list["items"][0]["item"].as_str().unwrap().to_string();
    assert!(!bought(4).any(|p| first == format!("P{p}")), "{list}");
    // Customer 4 did not buy it, and would be suggested it.
    let all = page.json("/v1/users/c4/recommendations?top=24").to_string();
    assert!(!bought(4).any(|p| p == SOLD_OUT) && !all.contains(&format!("\"P{SOLD_OUT}\"")), "{all}");
    assert_eq!(page.json(&format!("/v1/items/P{SOLD_OUT}"))["listed"], false);
    assert_eq!(page.json("/v1/items/P-new")["recommendable"], true);
    assert_eq!(page.json("/v1/items/P3")["price"], 3.5);
    let event = json!({ "user": "newcomer", "item": "P3", "kind": "take" }).to_string();
    assert_eq!(page.ask("POST", "/v1/events", &event).0, 200);
    let cheap =
        json!({ "user": "c4", "rules": { "filter": { "must": { "key": "price", "range": { "lt": 3 } } } } });
    let (status, cheap) = page.ask("POST", "/v1/recommendations", &cheap.to_string());
    assert!(status == 200 && cheap.contains("\"P2\"") && !cheap.contains("\"P8\""), "{cheap}");
    signal(&page.child, "INT");
    assert_eq!(page.child.wait().unwrap().code(), Some(130));
    let mut error = String::new();
    page.child.stderr.take().unwrap().read_to_string(&mut error).unwrap();
    assert_eq!(error, "error: interrupted; the same command starts the page again\n");

    let orders = shop.read("orders.csv") + "c0,P1,2024-12-01T00:00:00Z\n";
    shop.write("orders.csv", &orders);
    let page = Page::open(&shop, &[]);
    assert_eq!(page.json("/v1/users/newcomer/history")["count"], 1);
    // The address is taken: that is told before any work.
    let address = page.address.clone();
    let output = spawn(&shop, &["--address", &address]).wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("is taken by another program") && text.contains("--address 127.0.0.1:"), "{text}");
}
