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
