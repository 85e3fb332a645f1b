//! What commands write, and what they leave alone.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::usage::one_line;
use crate::world::{World, alike};

/// Four items, one with a name that CSV has to quote; `full` took all of them.
fn with_somebody_who_took_everything() -> World {
    let world = World::new();
    let mut log = String::from("user,item,x_label\n");
    for (user, items) in [("ada", "012"), ("bob", "123"), ("full", "0123")] {
        for (at, item) in items.chars().enumerate() {
            let label = if user == "full" || at == 0 { 0 } else { at };
            log += &format!("{user},\"item, {item}\",{label}\n");
        }
    }
    fs::write(world.path("few.csv"), log).unwrap();
    alike()
        .args(["prepare", "--interactions", &world.at("few.csv"), "--out", &world.at("data")])
        .assert()
        .success();
    world.train("popularity", "run", &[]).assert().success();
    world
}

fn all(world: &World, out: &str) -> Value {
    let output = alike().args(["recommend", &world.at("run"), "--all", "--json", "--out", out]).assert();
    serde_json::from_slice(&output.success().get_output().stdout).unwrap()
}

#[test]
fn lists_have_more_columns_and_limits_where_they_are_asked_for() {
    let world = World::new().prepared();
    world.train("bpr", "run", &["--set", "epochs=20"]).assert().success();
    let run = world.at("run");
    let ask = |out: &str, more: &[&str]| {
        let mut command = alike();
        command.args(["recommend", &run, "--all", "--top", "5", "--out", &world.at(out)]).args(more);
        command
    };
    // One of the categories of every item is the same.
    ask("two.csv", &["--limit", "category=2"]).assert().success();
    ask("all.csv", &[]).assert().success();
    let rows = |name: &str| -> Vec<(String, usize, String)> {
        let mut reader = csv::Reader::from_path(world.path(name)).unwrap();
        let records = reader.records().map(Result::unwrap);
        records.map(|r| (r[0].to_string(), r[1].parse().unwrap(), r[2].to_string())).collect()
    };
    let two: Vec<_> = rows("all.csv").into_iter().filter(|row| row.1 <= 2).collect();
    assert_eq!(rows("two.csv"), two);
    for name in ["more.csv", "more.jsonl", "more.parquet"] {
        // The second time it is known as a file of ours.
        for _ in 0..2 {
            ask(name, &["--with", "reasons,time", "--with", "model"]).assert().success();
        }
    }
    let mut reader = csv::Reader::from_path(world.path("more.csv")).unwrap();
    let names = ["user", "rank", "item", "score", "model", "time", "reasons"];
    assert_eq!(reader.headers().unwrap(), names.as_slice());
    let text = fs::read_to_string(world.path("more.jsonl")).unwrap();
    let lines: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let items = lines.iter().flat_map(|l| l["items"].as_array().unwrap().iter().map(move |i| (l, i)));
    let mut count = 0;
    for (record, (line, item)) in reader.records().map(Result::unwrap).zip(items) {
        assert_eq!(
            (&record[0], &record[2], &record[4]),
            (line["user"].as_str().unwrap(), item["item"].as_str().unwrap(), "bpr")
        );
        assert!(
            record[5].len() == 20 && record[5].ends_with('Z') && line["time"].as_str().unwrap().len() == 20
        );
        let reasons: Vec<String> = serde_json::from_str(&record[6]).unwrap();
        assert_eq!(serde_json::json!(reasons), item["reasons"]);
        // Users take items of one group, and these are what carries the others.
        assert!((1..=3).contains(&reasons.len()), "{record:?}");
        count += 1;
    }
    assert_eq!(count, rows("all.csv").len());
    ask("x.csv", &["--limit", "brand=2"])
        .assert()
        .code(2)
        .stderr(predicates::str::contains("no item has `brand`; allowed: category"));
    ask("x.csv", &["--limit", "category=0"])
        .assert()
        .code(2)
        .stderr(predicates::str::contains("allowed: 1 to 1000"));
    alike().args(["recommend", &run, "--user", "1", "--with", "time"]).assert().code(2);
}

#[test]
fn recommendations_are_csv_or_json_lines_by_the_ending() {
    let world = with_somebody_who_took_everything();
    let said = all(&world, &world.at("all.csv"));
    assert_eq!((&said["users"], &said["users_without_items"]), (&3.into(), &1.into()));
    let mut reader = csv::Reader::from_path(world.path("all.csv")).unwrap();
    assert_eq!(reader.headers().unwrap(), ["user", "rank", "item", "score"].as_slice());
    let rows: Vec<(String, usize, String, f32)> = reader.deserialize().map(Result::unwrap).collect();
    assert_eq!(said["rows"], rows.len());
    assert!(rows.iter().all(|r| r.0 != "full" && r.2.starts_with("item, ")), "{rows:?}");

    assert_eq!(all(&world, &world.at("all.jsonl"))["rows"], rows.len());
    let text = fs::read_to_string(world.path("all.jsonl")).unwrap();
    let lines: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let users: Vec<&Value> = lines.iter().map(|l| &l["user"]).collect();
    assert_eq!(users, ["ada", "bob", "full"]);
    assert_eq!(lines[2]["items"], Value::Array(Vec::new()));
    let same = lines.iter().flat_map(|l| {
        let user = l["user"].as_str().unwrap();
        l["items"].as_array().unwrap().iter().map(move |i| {
            let score = i["score"].as_f64().unwrap() as f32;
            (user.into(), i["rank"].as_u64().unwrap() as usize, i["item"].as_str().unwrap().into(), score)
        })
    });
    assert_eq!(same.collect::<Vec<(String, usize, String, f32)>>(), rows);

    // Capitals are no other kind of file.
    assert_eq!(all(&world, &world.at("ALL.CSV"))["rows"], rows.len());
    assert!(fs::read(world.path("ALL.CSV")).unwrap() == fs::read(world.path("all.csv")).unwrap());
    let told = alike().args(["recommend", &world.at("run"), "--all", "--out", &world.at("all.csv")]).assert();
    let told = String::from_utf8(told.success().get_output().stdout.clone()).unwrap();
    assert!(told.contains("for 2 users to ") && told.contains("1 user has no row"), "{told}");
}

#[test]
fn only_recommendations_are_replaced() {
    let world = with_somebody_who_took_everything();
    let refused = |code: i32, args: &[&str], says: &str| {
        let run = world.at("run");
        alike().args(["recommend", &run]).args(args).assert().code(code).stdout("").stderr(one_line(says));
    };
    for name in ["all.csv", "all.jsonl", "all.parquet"] {
        all(&world, &world.at(name));
        let before = fs::read(world.path(name)).unwrap();
        all(&world, &world.at(name));
        assert!(fs::read(world.path(name)).unwrap() == before, "{name}: the same twice");
        // The catalogue under that name is not ours.
        fs::copy(world.path("items.jsonl"), world.path(name)).unwrap();
        refused(
            1,
            &["--all", "--out", &world.at(name)],
            "is not a file of recommendations, and is left alone",
        );
        assert!(fs::read(world.path(name)).unwrap() == fs::read(world.path("items.jsonl")).unwrap());
    }
    let says = "the output is a .csv, .jsonl or .parquet file";
    refused(2, &["--all", "--out", &world.at("all.txt")], says);
    refused(2, &["--all", "--out", &world.at("all")], says);
    refused(2, &["--user", "ada", "--out", &world.at("one.csv")], "--out is for --all");
    let nowhere = world.at("no/all.csv");
    refused(1, &["--all", "--out", &nowhere], &format!("{nowhere}: there is no folder "));
    assert!(!world.path("one.csv").exists() && !world.path("no").exists());
}

#[test]
#[cfg(unix)]
fn links_are_followed() {
    use std::os::unix::fs::symlink;
    let world = World::new();
    fs::create_dir(world.path("disk")).unwrap();
    symlink(world.path("disk/data"), world.path("data")).unwrap();
    symlink("disk/run", world.path("run")).unwrap();
    symlink("disk/all.csv", world.path("all.csv")).unwrap();
    let is_link = |name: &str| world.path(name).is_symlink();
    // Twice: the first makes the folder behind the link, the second replaces it.
    for seed in ["0", "1"] {
        alike()
            .args(["prepare", "--interactions", &world.at("log.inter"), "--out", &world.at("data")])
            .args(["--split", "random", "--seed", seed])
            .assert()
            .success();
        let manifest = fs::read_to_string(world.path("disk/data/manifest.json")).unwrap();
        let manifest: Value = serde_json::from_str(&manifest).unwrap();
        assert_eq!(manifest["seed"].to_string(), seed);
        assert!(is_link("data"));
    }
    world.train("popularity", "run", &[]).assert().success();
    assert!(is_link("run") && world.path("disk/run/run.json").is_file());
    all(&world, &world.at("all.csv"));
    assert!(is_link("all.csv") && world.path("disk/all.csv").is_file());
    // What belongs to a feature file is beside it, and would be looked for beside the link.
    symlink("disk/text.safetensors", world.path("text.safetensors")).unwrap();
    let embed = |out: &str| {
        let mut command = alike();
        command.args(["embed", "--items", &world.at("items.jsonl"), "--out", &world.at(out)]);
        command
    };
    embed("text.safetensors").assert().code(1).stdout("").stderr(one_line("is a link"));
    // Features of somebody else are left alone, ours are made again.
    fs::write(world.path("theirs.safetensors"), b"\x02\0\0\0\0\0\0\0{}").unwrap();
    let says = "is not a feature file of `alike embed`";
    embed("theirs.safetensors").assert().code(1).stdout("").stderr(one_line(says));
    embed("ours.safetensors").assert().success();
    embed("ours.safetensors").assert().success();
    embed("ours.parquet").assert().code(2).stdout("").stderr(one_line("the output is a .safetensors file"));
}

/// Every command with an output, with a limit of 1 KiB a file: one line that names the output, and nothing
/// left over.
#[test]
#[cfg(unix)]
fn a_full_disk_is_one_line_that_names_the_output() {
    let world = World::new().prepared();
    world.train("bpr", "run", &["--set", "epochs=1"]).assert().success();
    fs::create_dir(world.path("full")).unwrap();
    fs::write(
        world.path("one.toml"),
        "title = \"One\"\nseeds = [1]\n[[data]]\nname = \"D\"\ninteractions = \"log.inter\"\n\
         [[models]]\nname = \"P\"\nmodel = \"popularity\"\n",
    )
    .unwrap();
    let (run, log, items) = (world.at("run"), world.at("log.inter"), world.at("items.jsonl"));
    let fails = |args: &[&str], out: &str| {
        let place = world.at("full").clone() + "/" + out;
        let output = std::process::Command::new("sh")
            .args(["-c", "trap '' XFSZ; ulimit -f 1; exec \"$@\"", "sh"])
            .arg(assert_cmd::cargo::cargo_bin("alike"))
            .args(args)
            .args(["--quiet", "--out", &place])
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
        assert!(said.starts_with("error: ") && said.lines().count() == 1, "{args:?}: {said}");
        assert!(said.contains(&place) && !said.contains("writing-"), "{args:?}: {said}");
        left_over(&world.path("full"));
    };
    fails(&["recommend", &run, "--all"], "all.csv");
    fails(&["recommend", &run, "--all"], "all.jsonl");
    fails(&["recommend", &run, "--all", "--top", "30"], "all.parquet");
    fails(&["prepare", "--interactions", &log], "data");
    fails(&["embed", "--items", &items], "text.safetensors");
    fails(&["demo", "--epochs", "1"], "demo");
    fails(&["experiment", &world.at("one.toml")], "experiment");
}

/// Nothing under `folder` has a temporary name.
#[cfg(unix)]
fn left_over(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
        let name = entry.file_name().unwrap().to_string_lossy().into_owned();
        assert!(!name.contains("writing-") && !name.ends_with(".tmp"), "{}", entry.display());
        if entry.is_dir() {
            left_over(&entry);
        }
    }
}
