//! Ctrl-C: every command ends within two seconds, with 130, and leaves nothing half-written.
#![cfg(target_os = "linux")]

use std::fmt::Write;
use std::fs;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::world::{World, alike};

/// From the signal to the end.
const SOON: Duration = Duration::from_secs(2);

fn spawn(args: &[&str]) -> Child {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("alike"));
    command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits until the process listens to Ctrl-C.
fn listens(child: &Child) {
    let since = Instant::now();
    let caught = || {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        let mask = status.lines().find_map(|l| l.strip_prefix("SigCgt:")).unwrap().trim().to_string();
        u64::from_str_radix(&mask, 16).unwrap() & 2 != 0
    };
    while !caught() {
        assert!(since.elapsed() < Duration::from_secs(60), "it never listened");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Sends Ctrl-C `later`, and returns what came out in time.
fn stopped(child: Child, later: Duration) -> Output {
    listens(&child);
    std::thread::sleep(later);
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let since = Instant::now();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(since.elapsed() < SOON, "{:?}: {said}", since.elapsed());
    assert_eq!(output.status.code(), Some(130), "{said}");
    let last = said.trim_end().lines().last().unwrap_or_default();
    assert!(last.starts_with("error: interrupted"), "{said}");
    output
}

/// Enough interactions for some seconds of reading: no two users alike.
fn large(world: &World, users: usize, items: usize, each: usize) -> String {
    let (mut log, mut state) = (String::from("user\titem\n"), 1u64);
    for u in 0..users {
        for _ in 0..each {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            writeln!(log, "u{u}\t{}", (state >> 33) as usize % items).unwrap();
        }
    }
    fs::write(world.path("large.inter"), log).unwrap();
    world.at("large.inter")
}

#[test]
fn slim_ends_between_its_columns() {
    let world = World::new();
    let log = large(&world, 500, 400, 100);
    alike().args(["prepare", "--interactions", &log, "--out", &world.at("data")]).assert().success();
    let long = ["--set", "l1=0.0001", "--set", "tolerance=0", "--set", "passes=100000"];
    let args = world.train_args("slim", "run", &long);
    let child = spawn(&args.iter().map(String::as_str).collect::<Vec<_>>());
    let output = stopped(child, Duration::from_millis(400));
    assert!(
        String::from_utf8_lossy(&output.stderr)
            .contains("saved at its end: the same command with --resume begins")
    );
    let mut left: Vec<_> = fs::read_dir(world.path("run"))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["lock", "run.json"]);
}

#[test]
fn preparing_leaves_nothing() {
    let world = World::new();
    let log = large(&world, 40_000, 5_000, 25);
    for later in [0, 150, 400] {
        let child =
            spawn(&["prepare", "--interactions", &log, "--k-core", "5", "--out", &world.at("out/data")]);
        stopped(child, Duration::from_millis(later));
        let left = fs::read_dir(world.path("out")).map_or(0, Iterator::count);
        assert_eq!(left, 0, "after {later} ms");
    }
}

#[test]
fn the_end_of_the_input_ends_a_run_of_an_experiment() {
    let world = World::new().prepared();
    let long = ["--set", "epochs=100000", "--set", "patience=100000", "--stop-with-input"];
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("alike"));
    command.args(world.train_args("bpr", "run", &long)).stdin(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.stdout(Stdio::null()).spawn().unwrap();
    while !world.path("run/state.json").exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended");
        std::thread::sleep(Duration::from_millis(5));
    }
    let since = Instant::now();
    drop(child.stdin.take());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(since.elapsed() < SOON, "{:?}", since.elapsed());
}
