//! The flags of `alike prepare`, and how a log comes in through a pipe.

use std::fs;

use predicates::prelude::*;

use crate::world::{World, alike};

/// The log of a world without its header, its columns apart by `sign`.
fn rows(world: &World, sign: &str) -> String {
    let log = fs::read_to_string(world.path("log.inter")).unwrap();
    log.split_once('\n').unwrap().1.replace('\t', sign)
}

#[test]
fn a_log_comes_through_standard_input() {
    let world = World::new();
    for name in ["-", "/dev/stdin"] {
        if name != "-" && cfg!(not(unix)) {
            continue;
        }
        let log = fs::read(world.path("log.inter")).unwrap();
        alike()
            .args(["prepare", "--interactions", name, "--out", &world.at("data")])
            .write_stdin(log)
            .assert()
            .success()
            .stdout(predicate::str::contains("40 users, 30 items"))
            .stdout(predicate::str::contains("split label"))
            .stdout(predicate::str::contains(
                "columns: user `userID`, item `itemID`, time `timestamp`, label `x_label`; not used: `rating`",
            ));
    }
}

#[test]
fn the_way_out_that_an_error_names_works() {
    let world = World::new();
    fs::write(world.path("log.dat"), rows(&world, "::")).unwrap();
    let log = world.at("log.dat");
    let out = world.at("data");
    let prepare =
        |more: &[&str]| alike().args(["prepare", "--interactions", &log, "--out", &out]).args(more).assert();
    prepare(&[]).code(1).stderr(predicate::str::contains("--no-header --columns user,item,rating,time"));
    prepare(&["--no-header", "--columns", "user,item,rating,time,x_label"])
        .success()
        .stdout(predicate::str::contains("split label"));
    prepare(&["--no-header", "--columns", "user,item,rating,time,_", "--column", "time=none"])
        .success()
        .stdout(predicate::str::contains("split random"))
        .stdout(predicate::str::contains("not used: `rating`, `time`, `_`"));
    prepare(&["--columns", "user,item"]).code(2).stderr(
        predicate::str::contains("add --no-header").and(predicate::str::contains("--column ROLE=NAME")),
    );
    prepare(&["--column", "user=none"]).code(2).stderr(predicate::str::contains("cannot be left out"));
    prepare(&["--interactions", &log]).code(2).stderr(predicate::str::contains("is given twice"));
    let store = format!("sqlite:{}", world.at("events.sqlite"));
    prepare(&["--interactions", &store]).code(1).stderr(predicate::str::contains("no such store"));
    fs::write(world.path("events.sqlite"), "").unwrap();
    prepare(&["--interactions", &store]).code(1).stderr(predicate::str::contains("holds no events yet"));
    fs::write(world.path("events.sqlite"), "user,item\n").unwrap();
    prepare(&["--interactions", &store]).code(1).stderr(predicate::str::contains("not a database"));
    prepare(&["--event", "view=0"])
        .failure()
        .stderr(predicate::str::contains("one kind needs a weight above 0"));
}

#[test]
fn attributes_of_the_catalogue_filter_lists() {
    let world = World::new();
    let row = |i: usize| {
        let kind = if i.is_multiple_of(2) { "\"even\"" } else { "[\"odd\", \"rest\"]" };
        format!("{{\"item_id\": \"{i}\", \"title\": \"Thing {i}\", \"cost\": {i}.5, \"kind\": {kind}}}\n")
    };
    fs::write(world.path("shop.jsonl"), (0..30).map(row).collect::<String>()).unwrap();
    let prepare = |more: &[&str]| {
        let args = ["prepare", "--interactions", &world.at("log.inter"), "--out", &world.at("data")];
        alike().args(args).args(["--items", &world.at("shop.jsonl")]).args(more).assert()
    };
    prepare(&["--attribute", "brand"]).code(1).stderr(predicate::str::contains("no column `brand`"));
    prepare(&["--attribute", "title"])
        .code(1)
        .stderr(predicate::str::contains("give another, as NAME=COLUMN"));
    prepare(&["--attribute", "a=cost", "--attribute", "a=kind"])
        .code(1)
        .stderr(predicate::str::contains("named twice"));
    prepare(&["--attribute", "price=cost", "--attribute", "kind"]).success();
    world.train("popularity", "run", &[]).assert().success();
    let list = |filter: &str| -> Vec<usize> {
        let args =
            ["recommend", &world.at("run"), "--user", "4", "--top", "30", "--json", "--filter", filter];
        let output = alike().args(args).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let body: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let items = body["items"].as_array().unwrap().iter();
        items.map(|item| item["item"].as_str().unwrap().parse().unwrap()).collect()
    };
    let all = list("{}");
    let right = |test: &dyn Fn(usize) -> bool| all.iter().copied().filter(|&i| test(i)).collect::<Vec<_>>();
    let cheap = r#"{"must": {"key": "price", "range": {"lt": 12.5}}}"#;
    assert_eq!(list(cheap), right(&|i| i < 12));
    assert_eq!(list(r#"{"must": {"key": "kind", "match": {"value": "rest"}}}"#), right(&|i| i % 2 == 1));
    assert_eq!(
        list(r#"{"must_not": [{"key": "kind", "match": {"any": ["even"]}}, {"has_id": ["3"]}]}"#),
        right(&|i| i % 2 == 1 && i != 3)
    );
    // What may not be listed by what the catalogue says is in no list.
    let sold_out =
        |i: usize| format!("{{\"item_id\": \"{i}\", \"stock\": {}, \"hidden\": {}}}\n", i % 3, i == 4);
    fs::write(world.path("stock.jsonl"), (0..30).map(sold_out).collect::<String>()).unwrap();
    let args = ["prepare", "--interactions", &world.at("log.inter"), "--out", &world.at("stocked")];
    let more = ["--items", &world.at("stock.jsonl"), "--attribute", "stock", "--attribute", "hidden"];
    alike().args(args).args(more).assert().success();
    let train = ["train", "popularity", "--data", &world.at("stocked"), "--out", &world.at("stocked-run")];
    alike().args(train).assert().success();
    let stocked = ["recommend", &world.at("stocked-run"), "--user", "4", "--top", "30", "--json"];
    let body: serde_json::Value =
        serde_json::from_slice(&alike().args(stocked).output().unwrap().stdout).unwrap();
    let listed = body["items"].as_array().unwrap().iter();
    let listed: Vec<usize> = listed.map(|item| item["item"].as_str().unwrap().parse().unwrap()).collect();
    assert_eq!(listed, right(&|i| i % 3 != 0 && i != 4));
    let out = world.at("lists.csv");
    alike()
        .args(["recommend", &world.at("run"), "--all", "--out", &out, "--filter", cheap])
        .assert()
        .success();
    let rows = fs::read_to_string(&out).unwrap();
    let items = rows.lines().skip(1).map(|line| line.split(',').nth(2).unwrap().parse::<usize>().unwrap());
    assert!(items.clone().count() > 40 && items.into_iter().all(|i| i < 12));
    let wrong = ["recommend", &world.at("run"), "--user", "4", "--filter", r#"{"must": 7}"#];
    alike().args(wrong).assert().code(2).stderr(predicate::str::contains("`filter.must` is no object"));
    // The same with a catalogue that a store holds.
    let store = format!("sqlite:{}", world.at("events.sqlite"));
    let from_store =
        ["prepare", "--interactions", &world.at("log.inter"), "--items", &store, "--out", &world.at("data2")];
    alike().args(from_store).assert().code(1).stderr(predicate::str::contains("no such store"));
    prepare(&["--items", &world.at("shop.jsonl")])
        .code(2)
        .stderr(predicate::str::contains("is a file; over the first only stores can lie"));
    prepare(&["--items", &store]).code(1).stderr(predicate::str::contains("no such store"));
}
