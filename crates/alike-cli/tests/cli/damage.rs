//! Files that are missing, damaged or something else: exit code 1, one line, the file named.

use std::fs;
use std::path::{Path, PathBuf};

use crate::usage::one_line;
use crate::world::{World, alike, npy};

fn trained() -> World {
    let world = World::new().prepared();
    world.train("bpr", "run", &["--set", "dim=8", "--set", "epochs=2"]).assert().success();
    world
}

fn fails(args: &[&str], says: &str) {
    alike().args(args).assert().code(1).stdout("").stderr(one_line(says));
}

fn file(folder: &Path, start: &str) -> PathBuf {
    let mut all: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    all.sort();
    all.into_iter().find(|p| p.file_name().unwrap().to_string_lossy().starts_with(start)).unwrap()
}

#[test]
fn missing_files_are_named() {
    let world = World::new();
    let (out, none) = (world.at("out"), world.at("none"));
    fails(&["prepare", "--interactions", &world.at("none.csv"), "--out", &out], "none.csv");
    let log = world.at("log.inter");
    let feature = format!("text={}", world.at("none.npy"));
    fails(&["prepare", "--interactions", &log, "--feature", &feature, "--out", &out], "none.npy");
    fails(
        &["prepare", "--interactions", &log, "--items", &world.at("none.jsonl"), "--out", &out],
        "none.jsonl",
    );
    assert!(!world.path("out").exists(), "a failed preparation leaves nothing behind");
    fails(&["train", "bpr", "--data", &none, "--out", &out], "none");
    fails(&["evaluate", &none], "no such run folder");
    fails(&["recommend", &none, "--user", "1"], "no such run folder");
    fails(&["similar", &none, "--item", "1"], "no such run folder");
}

#[test]
fn features_that_do_not_fit_the_items_are_refused() {
    let world = World::new();
    fs::write(world.path("short.npy"), npy(29, 2, &[0.5; 58])).unwrap();
    fs::write(world.path("cut.npy"), &npy(30, 2, &[0.5; 60])[..200]).unwrap();
    fs::write(world.path("text.bin"), "what is this?").unwrap();
    let log = world.at("log.inter");
    for (name, says) in [("short.npy", "29"), ("cut.npy", "cut.npy"), ("text.bin", "text.bin")] {
        let feature = format!("text={}", world.at(name));
        fails(&["prepare", "--interactions", &log, "--feature", &feature, "--out", &world.at("out")], says);
    }
    assert!(!world.path("out").exists());
}

#[test]
fn damaged_interactions_are_named_with_their_line() {
    let world = World::new();
    let log = world.path("log.inter");
    let text = fs::read_to_string(&log).unwrap().replacen("\t5.0\t1000\t", "\tgood\t1000\t", 1);
    let line = 1 + text.lines().position(|l| l.contains("good")).unwrap();
    fs::write(&log, text).unwrap();
    let says = format!("log.inter:{line}: ");
    fails(
        &[
            "prepare",
            "--interactions",
            &world.at("log.inter"),
            "--out",
            &world.at("out"),
            "--min-rating",
            "3",
        ],
        &says,
    );
    fs::write(&log, "").unwrap();
    fails(&["prepare", "--interactions", &world.at("log.inter"), "--out", &world.at("out")], "log.inter");
}

#[test]
fn a_damaged_run_is_refused() {
    let world = trained();
    let run = world.at("run");
    let best = file(&world.path("run"), "best-");
    let whole = fs::read(&best).unwrap();
    let mut flipped = whole.clone();
    *flipped.last_mut().unwrap() ^= 1;
    for damaged in [flipped, whole[..whole.len() / 2].to_vec(), Vec::new()] {
        fs::write(&best, damaged).unwrap();
        fails(&["recommend", &run, "--user", "1"], "damaged");
        fails(&["evaluate", &run, "--json"], "damaged");
    }
    fs::write(&best, whole).unwrap();
    alike().args(["recommend", &run, "--user", "1"]).assert().success();
    fs::write(world.path("run/state.json"), "{").unwrap();
    fails(&["recommend", &run, "--user", "1"], "state.json");
    fs::write(world.path("run/run.json"), "[]").unwrap();
    fails(&["recommend", &run, "--user", "1"], "run.json");
}

#[test]
fn foreign_folders_are_refused_and_left_alone() {
    let world = World::new().prepared();
    fs::create_dir(world.path("mine")).unwrap();
    fs::write(world.path("mine/notes.txt"), "mine").unwrap();
    let mine = world.at("mine");
    fails(&["recommend", &mine, "--user", "1"], "not a run folder");
    fails(&["train", "bpr", "--data", &world.at("data"), "--out", &mine], "not a run");
    fails(&["train", "bpr", "--data", &mine, "--out", &world.at("run")], "mine");
    fails(&["prepare", "--interactions", &world.at("log.inter"), "--out", &mine], "mine");
    fails(&["demo", "--out", &mine], "something else than a demo");
    assert_eq!(fs::read_dir(&mine).unwrap().count(), 1);
    assert_eq!(fs::read_to_string(world.path("mine/notes.txt")).unwrap(), "mine");
}

#[test]
fn a_run_whose_data_have_changed_is_refused() {
    let world = trained();
    let log = fs::read_to_string(world.path("log.inter")).unwrap();
    let fewer: Vec<&str> = log.lines().take(log.lines().count() - 5).collect();
    fs::write(world.path("log.inter"), fewer.join("\n") + "\n").unwrap();
    fs::remove_dir_all(world.path("data")).unwrap();
    let world = world.prepared();
    fails(&["recommend", &world.at("run"), "--user", "1"], "other data");
    fs::remove_dir_all(world.path("data")).unwrap();
    fails(&["recommend", &world.at("run"), "--user", "1"], "data");
}

#[test]
fn a_parquet_file_that_cannot_be_written_is_an_error() {
    let world = trained();
    let run = world.at("run");
    let nowhere = world.at("no/folder/all.parquet");
    fails(&["recommend", &run, "--all", "--out", &nowhere], "no/folder/all.parquet: there is no folder");
    fs::create_dir(world.path("folder.parquet")).unwrap();
    fails(&["recommend", &run, "--all", "--out", &world.at("folder.parquet")], "folder.parquet");
}
