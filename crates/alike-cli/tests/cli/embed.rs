//! `alike embed`: what it prints, what it refuses, and that a killed run goes on to the same bytes.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::usage::one_line;
use crate::world::{World, alike};

fn many_items(world: &World) {
    let words = ["red", "blue", "green", "old", "new", "small", "large"];
    let item = |i: usize| {
        format!("{{\"id\": {i}, \"title\": \"{} {} thing {i}\"}}\n", words[i % 7], words[i / 7 % 7])
    };
    fs::write(world.path("many.jsonl"), (0..4000).map(item).collect::<String>()).unwrap();
}

fn args(world: &World, out: &str, batch: &str) -> Vec<String> {
    ["embed", "--items", &world.at("many.jsonl"), "--dim", "32", "--batch", batch, "--out", &world.at(out)]
        .map(String::from)
        .to_vec()
}

/// Starts the work and waits until some of it is saved.
fn started(world: &World, out: &str) -> Child {
    let child = Command::new(assert_cmd::cargo::cargo_bin("alike"))
        .args(args(world, out, "1"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let since = Instant::now();
    let part = format!("{}.part", world.at(out));
    while fs::metadata(&part).map_or(0, |m| m.len()) < 2000 {
        assert!(since.elapsed() < Duration::from_secs(120), "nothing was saved");
        std::thread::sleep(Duration::from_millis(1));
    }
    child
}

fn goes_on(world: &World, out: &str) {
    assert!(!world.path(out).exists(), "the work was over before it was interrupted");
    alike().args(args(world, "whole.safetensors", "500")).assert().success();
    let output = alike().args(args(world, out, "500")).arg("--json").output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(report["reused"].as_u64().unwrap() > 5, "{report}");
    let read = |path: &Path| fs::read(path).unwrap();
    for ending in ["safetensors", "encoder.json", "encoder.safetensors"] {
        let (a, b) = (world.path(out).with_extension(ending), world.path("whole").with_extension(ending));
        let rename =
            |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).replace("whole.", "").replace("cut.", "");
        assert!(rename(read(&a)) == rename(read(&b)), "{ending} differs");
    }
}

#[test]
fn a_killed_run_goes_on_to_the_same_bytes() {
    let world = World::new();
    many_items(&world);
    let mut child = started(&world, "cut.safetensors");
    child.kill().unwrap();
    child.wait().unwrap();
    goes_on(&world, "cut.safetensors");
}

#[cfg(unix)]
#[test]
fn ctrl_c_says_how_to_go_on() {
    let world = World::new();
    many_items(&world);
    let child = started(&world, "cut.safetensors");
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(
        err.trim_end().lines().last().unwrap().starts_with("error: interrupted; what was encoded"),
        "{err}"
    );
    goes_on(&world, "cut.safetensors");
}

#[test]
fn features_made_here_train_a_model() {
    let world = World::new();
    let out = world.at("made.safetensors");
    let made = alike().args(["embed", "--items", &world.at("items.jsonl"), "--out", &out]).assert().success();
    let said = String::from_utf8(made.get_output().stdout.clone()).unwrap();
    assert!(said.contains("wrote 30 rows") && said.contains("next: alike prepare --feature text="), "{said}");
    alike()
        .args(["prepare", "--interactions", &world.at("log.inter"), "--out", &world.at("data")])
        .args(["--feature", &format!("text={out}")])
        .assert()
        .success();
    world.train("vbpr", "run", &["--set", "epochs=2"]).assert().success();
}

#[test]
fn what_is_left_out_is_named() {
    let world = World::new();
    let items = "id,title\n1,Red\n2,\n3,Blue\n4,\n5,\n6,\n7,\n8,\n";
    fs::write(world.path("items.csv"), items).unwrap();
    let run = |more: &[&str]| {
        let mut command = alike();
        command.args(["embed", "--items", &world.at("items.csv"), "--out", &world.at("o.safetensors")]);
        command.args(more).output().unwrap()
    };
    let err = String::from_utf8(run(&[]).stderr).unwrap();
    assert!(err.contains("6 of 8 items are left out:\n  2: has no text\n"), "{err}");
    assert!(err.contains("  7: has no text\n  and 1 more (--json lists all)\n"), "{err}");
    let output = run(&["--json", "--quiet"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((report["rows"].as_u64(), report["left_out"].as_array().unwrap().len()), (Some(2), 6));
    assert_eq!(report["left_out"][5]["item"], "8");
    assert!(output.stderr.is_empty());
}

#[test]
fn wrong_commands_and_files_are_one_line() {
    let world = World::new();
    fs::write(world.path("plain.jsonl"), "{\"itemID\": 1, \"title\": \"a\"}\n").unwrap();
    let (items, out) = (world.at("plain.jsonl"), world.at("o.safetensors"));
    let fails = |code: i32, args: &[&str], says: &str| {
        let mut all = vec!["embed", "--out", &out];
        all.extend(args);
        alike().args(all).assert().code(code).stdout("").stderr(one_line(says));
    };
    fails(2, &[], "--items");
    fails(2, &["--items", &items, "--text", "title", "--images", "x"], "cannot be used with");
    fails(2, &["--items", &items, "--encoder", "m.onnx", "--dim", "9"], "--dim is for");
    fails(2, &["--items", &items, "--tokenizer", "t.json"], "--tokenizer is for");
    fails(2, &["--items", &items, "--preprocess", "clip"], "--preprocess is for");
    fails(2, &["--image-folder", "x", "--dim", "9"], "--dim is for");
    fails(1, &["--items", &world.at("none.jsonl")], "none.jsonl");
    fails(1, &["--items", &items, "--text", "plot"], "no column `plot`; the columns are `itemID`, `title`");
    fails(1, &["--items", &items, "--id", "sku"], "no column `sku`");
    fails(1, &["--items", &items, "--images"], "--images COLUMN");
    fails(1, &["--items", &items, "--encoder", "m.onnx"], "--tokenizer tokenizer.json");
    assert!(!world.path("o.safetensors").exists());
}

#[test]
fn only_an_encoder_of_ours_is_replaced() {
    let world = World::new();
    let out = world.at("text.safetensors");
    let embed = || {
        let mut command = alike();
        command.args(["embed", "--items", &world.at("items.jsonl"), "--out", &out]);
        command
    };
    for name in ["text.encoder.json", "text.encoder.safetensors"] {
        fs::write(world.path(name), "{\"layers\": 12}").unwrap();
        let says =
            format!("{name}: is not an encoder of `alike embed`, and is left alone; choose another --out");
        embed().assert().code(1).stdout("").stderr(one_line(&says));
        assert!(!world.path("text.safetensors").exists());
        fs::remove_file(world.path(name)).unwrap();
    }
    embed().assert().success();
    embed().assert().success();
}

#[test]
fn a_catalogue_may_be_in_another_encoding() {
    let world = World::new();
    fs::write(world.path("latin.csv"), b"id,title\n1,caf\xe9\n2,th\xe9\n").unwrap();
    let embed = |more: &[&str]| {
        let mut command = alike();
        command.args(["embed", "--items", &world.at("latin.csv"), "--out", &world.at("T.SAFETENSORS")]);
        command.args(more).assert()
    };
    embed(&[]).code(1).stdout("").stderr(one_line("`--encoding windows-1252`"));
    embed(&["--encoding", "latin1"]).success();
    embed(&["--encoding", "klingon"]).code(2).stdout("").stderr(one_line("`encoding` is klingon"));
    assert!(world.path("T.SAFETENSORS").exists());
}

/// Terms are counted before anything is encoded, and nothing is kept of that.
#[cfg(unix)]
#[test]
fn a_stop_before_the_first_item_claims_nothing() {
    let world = World::new();
    // A pipe that nobody writes to: the program waits for its items.
    let pipe = world.at("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let child = Command::new(assert_cmd::cargo::cargo_bin("alike"))
        .args(["embed", "--items", &pipe, "--out", &world.at("o.safetensors")])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Opening waits until the program has opened its end, after it listens to signals.
    let writer = fs::OpenOptions::new().write(true).open(&pipe).unwrap();
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    drop(writer);
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert!(err.trim_end().ends_with("error: interrupted; nothing was encoded yet"), "{err}");
}
