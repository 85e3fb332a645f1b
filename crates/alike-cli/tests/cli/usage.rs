//! Wrong command lines: exit code 2 and one line that says what is allowed.

use predicates::prelude::*;

use crate::world::{World, alike};

/// One line on standard error that starts with `error: `, nothing on standard output.
pub(crate) fn one_line(text: &str) -> impl Predicate<str> {
    let text = text.to_string();
    predicate::function(move |err: &str| {
        err.starts_with("error: ") && err.trim_end().lines().count() == 1 && err.contains(&text)
    })
}

fn refused(args: &[&str], says: &str) {
    alike().args(args).assert().code(2).stdout("").stderr(one_line(says));
}

#[test]
fn an_instruction_set_that_the_processor_lacks_is_refused() {
    for word in ["mmx", "AVX2"] {
        let says = format!("`ALIKE_ISA` is `{word}`; allowed on this processor: portable");
        alike().arg("models").env("ALIKE_ISA", word).assert().code(2).stdout("").stderr(one_line(&says));
    }
    for word in ["portable", ""] {
        alike().arg("models").env("ALIKE_ISA", word).assert().success();
    }
}

#[test]
fn wrong_arguments_exit_with_2() {
    refused(&["fly"], "unrecognized subcommand 'fly'");
    refused(&["train"], "required arguments were not provided");
    refused(&["train", "bpr", "--data", "d", "--out", "o", "--seed", "x"], "invalid value 'x'");
    refused(&["models", "--colour"], "unexpected argument '--colour'");
    refused(&["recommend", "run"], "required arguments were not provided: <--user <ID>|--all>");
    refused(&["recommend", "run", "--user", "a", "--all", "--out", "x"], "cannot be used with");
    refused(&["recommend", "run", "--all"], "--out");
    refused(&["recommend", "run", "--user", "a", "--top", "0"], "0 is not in 1..=10000");
    refused(&["evaluate", "run", "--split", "train"], "'train' for '--split <SPLIT>'; allowed: valid, test");
    refused(&["evaluate", "run", "--protocol", "best"], "allowed: public, clean");
    refused(&["prepare", "--interactions", "a", "--out", "b", "--feature", "text.npy"], "expected NAME=FILE");
    refused(
        &["prepare", "--interactions", "a", "--out", "b", "--column", "when=t"],
        "user, item, rating, time, label",
    );
    refused(
        &["train", "bpr", "--data", "d", "--out", "o", "--device", "gpu"],
        "setting `device` is gpu; allowed: cpu, wgpu, vulkan, metal, cuda",
    );
    refused(&["models", "--threads", "0"], "0 is not in 1..=1024");
    refused(&["completions", "tcsh"], "allowed: bash");
}

#[test]
fn what_is_given_for_something_else_is_told_with_the_way_out() {
    let world = World::new().prepared();
    let (log, data, run) = (world.at("log.inter"), world.at("data"), world.at("run"));
    let (log, data, run) = (log.as_str(), data.as_str(), run.as_str());
    let way =
        format!("`alike prepare --interactions {log} --out DIR`, then `alike train --data DIR --out RUN`");
    let a_run = format!("it is a file; a run folder is wanted: {way}");
    refused(&["evaluate", log, "--json"], &a_run);
    refused(&["recommend", log], &a_run);
    refused(&["recommend", log, "--user", "1"], &a_run);
    refused(&["similar", log, "--item", "1"], &a_run);
    refused(&["serve", log], &a_run);
    refused(&["serve", run, "--compare", log], &a_run);
    refused(&["train", "bpr", "--data", data, "--out", run, "--warm-start", log], &a_run);
    refused(&["train", log], &format!("it is a file; a model's name is wanted: {way}"));
    let prepared = "it is a file; a folder of prepared data is wanted";
    refused(&["train", "bpr", "--data", log, "--out", run], prepared);
    let trained = format!("`alike train --data {data} --out RUN`");
    refused(&["train", data], &format!("it is prepared data, which comes after --data: {trained}"));
    refused(&["evaluate", data], &format!("it is prepared data; a run folder is wanted: {trained}"));
    world.train("popularity", "run", &[]).assert().success();
    refused(&["train", "bpr", "--data", run, "--out", &world.at("other")], "it is a run");
    refused(&["evaluate", &world.at("run/run.json")], "give the run folder that it is in");
}

#[test]
fn flags_for_another_kind_of_file_are_refused() {
    let world = World::new().prepared();
    let (log, out) = (world.at("log.inter"), world.at("new"));
    let prepare = |file: &str, more: &[&str], says: &str| {
        refused(&[&["prepare", "--interactions", file, "--out", out.as_str()][..], more].concat(), says);
    };
    prepare(&log, &["--sheet", "Log"], "log.inter is no workbook; leave --sheet out");
    let book = world.at("log.ods");
    let head = b"PK\x03\x04--------------------------mimetypeapplication/vnd.oasis.opendocument.spreadsheet";
    std::fs::write(&book, head).unwrap();
    prepare(&book, &["--delimiter", ","], "--delimiter: ");
    prepare(&book, &["--encoding", "utf-8"], "log.ods is a workbook, which says its own");
    prepare(&world.at("data"), &[], "data is a prepared folder; give the log");
    prepare(&world.at("data/manifest.json"), &[], "manifest.json is a prepared folder; give the log");
    let within = world.at("data/new");
    refused(&["prepare", "--interactions", &log, "--out", &within], "which is a prepared folder; choose");
    assert!(!world.path("data/new").exists());
    world.train("popularity", "run", &[]).assert().success();
    prepare(&world.at("run"), &[], "run is a run; give the log");
    refused(&["embed", "--image-folder", &log, "--out", &world.at("x.safetensors")], "is a file; the folder");
    // A word for a sign is that sign.
    let text = std::fs::read_to_string(&log).unwrap().replace('\t', ";");
    std::fs::write(world.path("log.csv"), text).unwrap();
    let csv = world.at("log.csv");
    let words = ["prepare", "--interactions", &csv, "--out", &out, "--delimiter", "semicolon"];
    alike().args(words).assert().success().stdout(predicate::str::contains("40 users, 30 items"));
}

#[test]
fn nothing_at_all_shows_the_help_and_exits_with_2() {
    alike().assert().code(2).stdout("").stderr(predicate::str::contains("alike demo"));
}

#[test]
fn help_and_version_exit_with_0() {
    alike().arg("--help").assert().success().stdout(predicate::str::contains("recommend"));
    alike().args(["train", "--help"]).assert().success().stdout(predicate::str::contains("--resume"));
    alike().arg("--version").assert().success().stdout(predicate::str::starts_with("alike "));
}

#[test]
fn unknown_models_and_settings_exit_with_2() {
    let world = World::new().prepared();
    let unknown = one_line("unknown model `gnn`; allowed: ");
    world.train("gnn", "run", &[]).assert().code(2).stdout("").stderr(unknown);
    alike().args(["models", "gnn"]).assert().code(2).stderr(one_line("unknown model `gnn`; allowed: "));
    let set = |text: &str| world.train("bpr", "run", &["--set", text]);
    set("dmi=8").assert().code(2).stderr(one_line("unknown setting `dmi`; allowed: "));
    set("dim=0").assert().code(2).stderr(one_line("setting `dim` is 0; allowed: "));
    set("dim=wide").assert().code(2).stderr(one_line("setting `dim` is wide; allowed: "));
    set("dim").assert().code(2).stderr(one_line("KEY=VALUE"));
    assert!(!world.path("run").exists(), "a refused training leaves nothing behind");
}

#[test]
fn a_config_file_is_strict_and_says_where_it_is_wrong() {
    let world = World::new().prepared();
    let config = world.at("config.toml");
    let train = || world.train("bpr", "run", &["--config", &config]);
    train().assert().code(1).stderr(one_line("config.toml"));
    std::fs::write(&config, "dim = 8\nlr = = 1\n").unwrap();
    train().assert().code(2).stderr(one_line("config.toml:2: "));
    std::fs::write(&config, "dim = 8\nspeed = 3\n").unwrap();
    train().assert().code(2).stderr(one_line("unknown setting `speed`"));
    std::fs::write(&config, "dim = 8\nepochs = 0\n").unwrap();
    train().assert().code(2).stderr(one_line("setting `epochs` is 0"));
    std::fs::write(&config, "dim = 8\nepochs = 500\n").unwrap();
    world.train("bpr", "run", &["--config", &config, "--set", "epochs=2", "--quiet"]).assert().success();
}

#[test]
fn completions_are_made_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = alike().args(["completions", shell]).assert().success();
        script.stdout(predicate::str::contains("recommend").and(predicate::str::contains("resume")));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_behind_standard_output_is_an_error() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin("alike"));
    let output = command.arg("models").stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().starts_with("error: standard output: "));
}

#[test]
fn devices_that_are_not_there_exit_with_1_and_write_nothing() {
    let world = World::new().prepared();
    // No test is built with CUDA.
    let missing = one_line("this program was built without `cuda`; it knows: cpu");
    world.train("bpr", "run", &["--device", "cuda:1"]).assert().code(1).stdout("").stderr(missing);
    let twice = one_line("device `cpu` is named twice");
    world.train("bpr", "run", &["--device", "cpu", "--device", "cpu"]).assert().code(1).stderr(twice);
    assert!(!world.path("run").exists());
    world.train("bpr", "run", &["--device", "cpu", "--set", "epochs=1"]).assert().success();
}
