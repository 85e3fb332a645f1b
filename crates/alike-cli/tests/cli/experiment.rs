//! `alike experiment`: what it leaves behind, and that nothing stops it for good.

use std::fs;
#[cfg(target_os = "linux")]
use std::process::{Child, Command, Stdio};
#[cfg(target_os = "linux")]
use std::time::{Duration, Instant};

use arrow_array::{Array, Float64Array, StringArray};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::usage::one_line;
use crate::world::{World, alike};

const FILE: &str = r#"
title = "Two <tastes>"
seeds = [1, 2]
[settings]
epochs = 6
batch = 16
[grid]
lr = [1e-3, 5e-2]
[[data]]
name = "Tastes"
interactions = "log.inter"
features = { text = "text.npy" }
items = "items.jsonl"
[[models]]
name = "Popularity"
model = "popularity"
[[models]]
name = "MF"
model = "bpr"
[[models]]
name = "LightGCN"
model = "lightgcn"
base = "MF"
[[studies]]
title = "Width"
base = "MF"
setting = "dim"
values = [8, 64]
"#;

/// Runs of [`FILE`]: popularity; two trials of MF, one of which is the final run of seed 1; seed 2; two of
/// LightGCN; two of another width.
const RUNS: usize = 1 + 2 + 1 + 2 + 2;

fn world(text: &str) -> World {
    let world = World::new();
    fs::write(world.path("two.toml"), text).unwrap();
    world
}

fn args(world: &World) -> Vec<String> {
    ["experiment".into(), world.at("two.toml"), "--out".into(), world.at("out"), "--jobs".into(), "2".into()]
        .to_vec()
}

fn csv(world: &World) -> Vec<Vec<String>> {
    let mut reader = csv::Reader::from_path(world.path("out/results.csv")).unwrap();
    let head: Vec<String> = reader.headers().unwrap().iter().map(String::from).collect();
    let timed = |name: &String| name.ends_with("seconds") || name == "peak_memory_bytes";
    let keep: Vec<usize> = (0..head.len()).filter(|c| !timed(&head[*c])).collect();
    let row = |fields: Vec<String>| keep.iter().map(|c| fields[*c].clone()).collect();
    let rows = reader.records().map(|r| row(r.unwrap().iter().map(String::from).collect()));
    std::iter::once(row(head.clone())).chain(rows).collect()
}

/// The processes that train for the experiment in `world`.
#[cfg(target_os = "linux")]
fn trainers(world: &World) -> usize {
    let out = world.at("out");
    let arguments = |pid: fs::DirEntry| fs::read(pid.path().join("cmdline")).unwrap_or_default();
    let lines = fs::read_dir("/proc").unwrap().flatten().map(arguments);
    let lines = lines.map(|bytes| String::from_utf8_lossy(&bytes).replace('\0', " "));
    lines.filter(|l| l.contains(" train ") && l.contains(&out)).count()
}

#[cfg(target_os = "linux")]
fn until(what: &str, mut done: impl FnMut() -> bool) {
    let since = Instant::now();
    while !done() {
        assert!(since.elapsed() < Duration::from_secs(120), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn an_experiment_writes_a_table_and_a_report_and_repeats_nothing() {
    let world = world(FILE);
    let plan = alike().args(args(&world)).arg("--dry-run").assert().success();
    let text = String::from_utf8(plan.get_output().stdout.clone()).unwrap();
    assert!(
        text.contains("MF") && text.contains("lr=0.05") && text.contains("runs in all, 0 done"),
        "{text}"
    );
    assert!(!world.path("out/runs").exists(), "a dry run trains nothing");

    let first = alike().args(args(&world)).assert().success();
    let said = String::from_utf8(first.get_output().stderr.clone()).unwrap();
    assert_eq!(said.lines().filter(|l| l.starts_with('[')).count(), RUNS, "{said}");
    let shown = String::from_utf8(first.get_output().stdout.clone()).unwrap();
    assert!(shown.contains("LightGCN") && shown.contains(" ± "), "{shown}");
    let table = csv(&world);
    // Popularity, two trials and two final runs of MF, two of LightGCN, four of the study.
    assert_eq!(table.len(), 1 + 1 + 2 + 2 + 2 + 4);
    let page = fs::read_to_string(world.path("out/report.html")).unwrap();
    assert!(
        page.contains("Two &lt;tastes&gt;") && page.contains("LightGCN") && page.contains("Shapiro-Wilk")
    );
    // For papers: tables, and every chart as a drawing that needs no page.
    assert!(fs::read_to_string(world.path("out/tables.tex")).unwrap().contains("\\midrule"));
    let drawings = fs::read_dir(world.path("out")).unwrap().map(|e| e.unwrap().path());
    let drawings: Vec<_> = drawings.filter(|p| p.extension().is_some_and(|e| e == "svg")).collect();
    assert_eq!(drawings.len(), 5, "{drawings:?}");
    for drawing in drawings {
        let text = fs::read_to_string(&drawing).unwrap();
        assert!(text.starts_with("<?xml") && text.ends_with("</svg>\n") && !text.contains("var("), "{text}");
    }
    // Both files hold the same rows.
    let file = fs::File::open(world.path("out/results.parquet")).unwrap();
    let batch =
        ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap().next().unwrap().unwrap();
    assert_eq!(batch.num_rows(), table.len() - 1);
    let column = |name: &str| table[0].iter().position(|n| n == name).unwrap();
    let names = batch.column_by_name("name").unwrap().as_any().downcast_ref::<StringArray>().unwrap();
    let recall =
        batch.column_by_name("test:recall@20").unwrap().as_any().downcast_ref::<Float64Array>().unwrap();
    for (n, row) in table[1..].iter().enumerate() {
        assert_eq!(names.value(n), row[column("name")]);
        let text = &row[column("test:recall@20")];
        assert_eq!(recall.is_null(n), text.is_empty());
        assert_eq!(row[column("phase")] == "search", text.is_empty(), "test is not scored in a search");
        if !text.is_empty() {
            assert!((recall.value(n) - text.parse::<f64>().unwrap()).abs() < 1e-12);
        }
    }

    let again = alike().args(args(&world)).assert().success();
    let said = String::from_utf8(again.get_output().stderr.clone()).unwrap();
    assert_eq!(said.lines().filter(|l| l.starts_with('[')).count(), 0, "{said}");
    assert_eq!(csv(&world), table);
    fs::remove_file(world.path("out/report.html")).unwrap();
    alike().args(args(&world)).arg("--report").assert().success();
    assert_eq!(fs::read_to_string(world.path("out/report.html")).unwrap(), page);
}

#[test]
#[cfg(target_os = "linux")]
fn an_experiment_that_was_stopped_or_killed_goes_on() {
    let whole = world(FILE);
    alike().args(args(&whole)).assert().success();
    let world = world(FILE);
    let spawn = || -> Child {
        Command::new(assert_cmd::cargo::cargo_bin("alike"))
            .args(args(&world))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    // Killed: its runs notice that it is gone, and end.
    let mut child = spawn();
    until("no run started", || trainers(&world) > 0);
    child.kill().unwrap();
    child.wait().unwrap();
    until("a run outlived its experiment", || trainers(&world) == 0);
    // Stopped: it says how to go on.
    let child = spawn();
    until("no run started", || trainers(&world) > 0);
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let out = child.wait_with_output().unwrap();
    let said = String::from_utf8(out.stderr).unwrap();
    if out.status.code() == Some(130) {
        assert!(said.contains("goes on from there"), "{said}");
    } else {
        assert!(out.status.success(), "{said}");
    }
    alike().args(args(&world)).assert().success();
    assert_eq!(csv(&world), csv(&whole));
}

#[test]
#[cfg(target_os = "linux")]
fn the_same_command_right_after_a_kill_goes_on() {
    let long = FILE.replace("epochs = 6", "epochs = 40");
    let world = world(&long);
    for moment in [0, 40, 150] {
        let mut child = Command::new(assert_cmd::cargo::cargo_bin("alike"))
            .args(args(&world))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        until("no run started", || trainers(&world) > 0 || child.try_wait().unwrap().is_some());
        std::thread::sleep(Duration::from_millis(moment));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    // Whatever the last one left is still ending.
    alike().args(args(&world)).assert().success();
    assert!(csv(&world).len() == 12, "all runs are there");
}

#[test]
fn a_wrong_file_is_one_line() {
    let refused = |text: &str, words: &str| {
        let world = world(text);
        alike().args(args(&world)).arg("--quiet").assert().failure().stdout("").stderr(one_line(words));
    };
    refused("title = ", "two.toml:1");
    refused(&FILE.replace("bpr", "bprr"), "unknown model `bprr`");
    refused(&FILE.replace("log.inter", "none.inter"), "none.inter");
    refused(&FILE.replace("lr = [1e-3, 5e-2]", "lr = [1e-3, 50.0]"), "setting `lr` is 50");
    alike().args(["experiment", "none.toml"]).assert().failure().stderr(one_line("none.toml"));
}
