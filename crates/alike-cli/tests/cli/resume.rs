//! Training that is stopped, killed or runs out of disk goes on as if nothing had happened.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::usage::one_line;
use crate::world::{World, run_files};

const LONG: [&str; 12] = [
    "--set",
    "dim=8",
    "--set",
    "epochs=60",
    "--set",
    "batch=16",
    "--set",
    "patience=1000",
    "--set",
    "lr=0.01",
    "--seed",
    "5",
];

fn spawn(world: &World, model: &str, run: &str) -> Child {
    Command::new(assert_cmd::cargo::cargo_bin("alike"))
        .args(world.train_args(model, run, &LONG))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits until the log of `run` has at least `lines` lines.
fn wait_for_log(run: &Path, lines: usize) {
    let since = Instant::now();
    loop {
        let found = std::fs::read_to_string(run.join("log.jsonl")).map_or(0, |log| log.lines().count());
        if found >= lines {
            return;
        }
        assert!(since.elapsed() < Duration::from_secs(120), "training did not get to {lines} epochs");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

/// Resumes `run` and compares it with the run that nobody interrupted.
fn resumes_to_the_same(world: &World, model: &str, run: &str) {
    assert!(!world.path(run).join("metrics.json").exists(), "training was over before it was interrupted");
    world.train(model, run, &[&LONG[..], &["--resume"]].concat()).assert().success();
    let (whole, resumed) = (run_files(&world.path("whole")), run_files(&world.path(run)));
    let names = |files: &[(String, Vec<u8>)]| files.iter().map(|f| f.0.clone()).collect::<Vec<_>>();
    assert_eq!(names(&whole), names(&resumed));
    for ((name, expected), (_, found)) in whole.iter().zip(&resumed) {
        assert!(expected == found, "{name} differs");
    }
}

#[test]
fn killed_and_resumed_is_the_same_bit_for_bit() {
    let world = World::new().prepared();
    for model in ["nsmar+", "lightgcn"] {
        let _ = std::fs::remove_dir_all(world.path("whole"));
        world.train(model, "whole", &LONG).assert().success();
        let run = format!("killed-{}", model.len());
        let mut child = spawn(&world, model, &run);
        wait_for_log(&world.path(&run), 4);
        child.kill().unwrap();
        child.wait().unwrap();
        resumes_to_the_same(&world, model, &run);
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_cleanly_and_resumes_to_the_same() {
    let world = World::new().prepared();
    world.train("nsmar+", "whole", &LONG).assert().success();
    let child = spawn(&world, "nsmar+", "stopped");
    wait_for_log(&world.path("stopped"), 3);
    signal(&child, "-INT");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let err = String::from_utf8(output.stderr).unwrap();
    let last = err.trim_end().lines().last().unwrap();
    assert!(last.starts_with("error: interrupted; ") && last.contains("--resume"), "{err}");
    resumes_to_the_same(&world, "nsmar+", "stopped");
}

#[cfg(unix)]
#[test]
fn a_full_disk_fails_with_the_file_and_resumes_to_the_same() {
    let world = World::new().prepared();
    world.train("bpr", "whole", &LONG).assert().success();
    let args = world.train_args("bpr", "full", &LONG);
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 2; exec \"$@\"", "sh"])
        .arg(assert_cmd::cargo::cargo_bin("alike"))
        .args(args)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let err = String::from_utf8(output.stderr).unwrap();
    let errors: Vec<&str> = err.lines().filter(|l| l.starts_with("error: ")).collect();
    assert!(errors.len() == 1 && err.ends_with(&format!("{}\n", errors[0])), "{err}");
    assert!(errors[0].contains(&world.at("full")), "{err}");
    resumes_to_the_same(&world, "bpr", "full");
}

#[test]
fn one_thread_or_two_are_the_same_bits() {
    let world = World::new().prepared();
    for model in ["nsmar+", "lightgcn", "bpr"] {
        let short = [&LONG[..], &["--set", "epochs=4", "--threads"]].concat();
        let (one, two) = (format!("one-{}", model.len()), format!("two-{}", model.len()));
        world.train(model, &one, &[&short[..], &["1"]].concat()).assert().success();
        world.train(model, &two, &[&short[..], &["2"]].concat()).assert().success();
        assert!(run_files(&world.path(&one)) == run_files(&world.path(&two)), "{model} differs");
    }
}

#[test]
fn another_seed_gives_another_model() {
    let world = World::new().prepared();
    let short = [&LONG[..10], &["--set", "epochs=2"]].concat();
    world.train("bpr", "a", &[&short[..], &["--seed", "1"]].concat()).assert().success();
    world.train("bpr", "b", &[&short[..], &["--seed", "2"]].concat()).assert().success();
    assert!(run_files(&world.path("a")) != run_files(&world.path("b")));
}

#[test]
fn a_run_is_only_resumed_as_itself() {
    let world = World::new().prepared();
    let short = [&LONG[..], &["--set", "epochs=2"]].concat();
    world.train("bpr", "run", &short).assert().success();
    let again = world.train("bpr", "run", &short).assert().code(1);
    again.stderr(one_line("holds a run already"));
    let resume = |more: &[&str]| world.train("bpr", "run", &[&short[..10], more, &["--resume"]].concat());
    resume(&["--set", "epochs=2", "--seed", "6"]).assert().code(1).stderr(one_line("its seed is 5, not 6"));
    resume(&["--set", "epochs=1", "--seed", "5"]).assert().code(1).stderr(one_line("setting `epochs`"));
    let other = [&short[..], &["--resume"]].concat();
    world
        .train("lightgcn", "run", &other)
        .assert()
        .code(1)
        .stderr(one_line("its model is bpr, not lightgcn"));
    world.train("bpr", "none", &other).assert().code(1).stderr(one_line("no such run folder"));
    resume(&["--set", "epochs=2", "--seed", "5"]).assert().success();
}
