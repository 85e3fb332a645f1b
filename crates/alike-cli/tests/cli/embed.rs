//! `alike embed`: what it prints, what it refuses, and that a killed run goes on to the same bytes.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use predicates::Predicate;

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

/// A picture model, `[1, 3, 8, 8]` to one value, that makes so many copies of the picture on its way.
fn copying(copies: u64) -> Vec<u8> {
    fn varint(mut n: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        while n > 0x7f {
            bytes.push(n as u8 | 0x80);
            n >>= 7;
        }
        bytes.push(n as u8);
        bytes
    }
    let number = |field: u64, n: u64| [varint(field << 3), varint(n)].concat();
    let bytes = |field: u64, b: &[u8]| [varint(field << 3 | 2), varint(b.len() as u64), b.to_vec()].concat();
    let list = |sizes: &[u64]| sizes.iter().flat_map(|&n| varint(n)).collect::<Vec<u8>>();
    let tensor = |name: &str, sizes: &[u64]| {
        let sizes: Vec<u8> = sizes.iter().flat_map(|&n| bytes(1, &number(1, n))).collect();
        let kind = bytes(2, &bytes(1, &[number(1, 1), bytes(2, &sizes)].concat()));
        [bytes(1, name.as_bytes()), kind].concat()
    };
    let node = |inputs: &[&str], output: &str, operator: &str| {
        let inputs: Vec<u8> = inputs.iter().flat_map(|name| bytes(1, name.as_bytes())).collect();
        bytes(1, &[inputs, bytes(2, output.as_bytes()), bytes(4, operator.as_bytes())].concat())
    };
    let shape =
        [number(1, 4), number(2, 7), bytes(7, &list(&[copies, 3, 8, 8])), bytes(8, b"shape")].concat();
    let graph = [
        node(&["picture", "shape"], "copies", "Expand"),
        node(&["copies"], "features", "ReduceMean"),
        bytes(2, b"graph"),
        bytes(5, &shape),
        bytes(11, &tensor("picture", &[1, 3, 8, 8])),
        bytes(12, &tensor("features", &[1, 1, 1, 1])),
    ];
    [number(1, 8), bytes(8, &number(2, 17)), bytes(7, &graph.concat())].concat()
}

#[test]
fn a_model_takes_no_more_memory_than_it_may() {
    let world = World::new();
    fs::create_dir(world.path("pictures")).unwrap();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../alike/tests/golden/embed");
    let picture = fs::read_dir(golden)
        .unwrap()
        .map(|e| e.unwrap().path())
        .find(|p| p.extension().is_some_and(|e| e == "png"));
    fs::copy(picture.unwrap(), world.path("pictures/1.png")).unwrap();
    // 115 MiB of copies.
    fs::write(world.path("m.onnx"), copying(150_000)).unwrap();
    let preprocess = "size = [8, 8]\nresize = \"stretch\"\nfilter = \"bilinear\"\nchannels = \"rgb\"\nscale = 0.01\n\
                      mean = [0.0, 0.0, 0.0]\nstd = [1.0, 1.0, 1.0]\n";
    fs::write(world.path("m.toml"), preprocess).unwrap();
    let embed = |memory: &str| {
        let mut command = alike();
        command.args(["embed", "--image-folder", &world.at("pictures"), "--encoder", &world.at("m.onnx")]);
        command.args(["--preprocess", &world.at("m.toml"), "--out", &world.at("image.safetensors")]);
        command.env("ALIKE_ONNX_MEMORY", memory).output().unwrap()
    };
    let fails = |memory: &str, says: &str| {
        let output = embed(memory);
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && one_line(says).eval(&text), "{text}");
    };
    fails("much", "ALIKE_ONNX_MEMORY is `much`; allowed: a number of MiB from 1 on");
    let text = String::from_utf8(embed("1024").stderr).unwrap();
    if text.contains("need ONNX Runtime") {
        assert!(std::env::var_os("ORT_DYLIB_PATH").is_none(), "the library was named: {text}");
        crate::skipped::skipped("onnxruntime", &text);
        return;
    }
    assert!(world.path("image.safetensors").exists(), "{text}");
    fails("64", "m.onnx: wants more memory than the 64 MiB");
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
