//! Run folders: round trips, damage, locks.

use std::fs;
use std::sync::Arc;

use alike_ops::Csr;
use serde_json::{Value, json};

use super::*;
use crate::layers::Saved;
use crate::scorer::{Hybrid, ItemItem, Matrix, Scorer};

fn info() -> RunInfo {
    RunInfo {
        format: FORMAT,
        version: "0".into(),
        model: "bpr".into(),
        settings: toml::from_str("dim = 8\nlr = 0.001").unwrap(),
        seed: 1,
        data: "data".into(),
        data_from_run: None,
        data_hash: "00".into(),
        warm_start: None,
        devices: Vec::new(),
    }
}

#[test]
fn states_round_trip_and_damage_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("run");
    let run = RunDir::create(&at, &info()).unwrap();
    assert_eq!(RunDir::open(&at).unwrap().1, info());
    assert!(RunDir::create(&at, &info()).unwrap_err().to_string().contains("holds a run already"));
    let saved = vec![
        Saved { name: "a".into(), shape: vec![2, 1], value: vec![1.0, -0.0], m: vec![0.5, 1e-30], v: vec![] },
        Saved { name: "b".into(), shape: vec![1], value: vec![f32::MIN_POSITIVE], m: vec![], v: vec![] },
    ];
    let file = run.write_state(3, &saved).unwrap();
    let mut back = run.read_state(&file).unwrap();
    back.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(back, saved);
    let path = at.join(&file.name);
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, bytes).unwrap();
    assert!(run.read_state(&file).unwrap_err().to_string().contains("damaged"));
}

#[test]
fn every_scorer_round_trips() {
    let dir = tempfile::tempdir().unwrap();
    let run = RunDir::create(dir.path(), &info()).unwrap();
    let m = |r, c| Matrix::new(r, c, (0..r * c).map(|v| v as f32).collect());
    let weights = ItemItem {
        history: Arc::new(Csr::from_rows(2, &[vec![0u32, 1], vec![], vec![1]]).unwrap()),
        pattern: Arc::new(Csr::from_rows(2, &[vec![1u32], vec![0]]).unwrap()),
        values: vec![0.5, 0.25],
    };
    for scorer in [
        Scorer::Dot { users: m(2, 3), items: m(4, 3) },
        Scorer::PairMlp { users: m(2, 3), items: m(4, 3), out: vec![1.0, 2.0, 3.0], vectors: m(4, 5) },
        Scorer::Hybrid(Hybrid { users: m(3, 4), items: m(2, 4), weights: weights.clone() }),
        Scorer::ItemItem(weights),
        Scorer::Static { users: 7, scores: vec![1.0, 0.0] },
    ] {
        let file = run.write_best(1, &[], &scorer).unwrap();
        assert_eq!(run.read_scorer(&file).unwrap(), scorer);
        let mapped = run.map_scorer(&file).unwrap();
        assert_eq!(mapped, scorer);
        assert_eq!(mapped.is_mapped(), scorer.user_rows().is_some());
    }
}

#[test]
fn one_process_writes_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let first = RunDir::create(dir.path(), &info()).unwrap();
    let (mut second, _) = RunDir::open(dir.path()).unwrap();
    assert!(second.lock().unwrap_err().to_string().contains("another process is training"));
    drop(first);
    second.lock().unwrap();
    second.lock().unwrap();
}

#[test]
fn a_start_that_was_killed_is_no_obstacle() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("lock"), "").unwrap();
    fs::write(dir.path().join(".run.json.writing-1-0"), "{").unwrap();
    RunDir::create(dir.path(), &info()).unwrap();
    assert!(!dir.path().join(".run.json.writing-1-0").exists());
}

#[test]
fn foreign_folders_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    assert!(RunDir::open(dir.path()).unwrap_err().to_string().contains("no run.json"));
    assert!(RunDir::open(&dir.path().join("none")).unwrap_err().to_string().contains("no such run"));
    fs::write(dir.path().join("notes.txt"), "mine").unwrap();
    assert!(RunDir::create(dir.path(), &info()).unwrap_err().to_string().contains("not a run"));
    fs::write(dir.path().join("run.json"), "{\"format\":").unwrap();
    assert!(RunDir::open(dir.path()).unwrap_err().to_string().contains("damaged"));
}

#[test]
fn the_log_is_cut_to_what_the_state_knows() {
    let dir = tempfile::tempdir().unwrap();
    let run = RunDir::create(dir.path(), &info()).unwrap();
    (1..=3).for_each(|n| run.append_log(&json!({ "epoch": n })).unwrap());
    run.cut_log(2).unwrap();
    run.append_log(&json!({ "epoch": 9 })).unwrap();
    let epochs: Vec<Value> = run.read_log::<Value>().unwrap().iter().map(|r| r["epoch"].clone()).collect();
    assert_eq!(epochs, [1, 2, 9]);
    assert!(run.cut_log(4).unwrap_err().to_string().contains("3 lines, state.json knows of 4"));
}

#[test]
fn a_flipped_digit_is_noticed_in_every_file() {
    let dir = tempfile::tempdir().unwrap();
    let run = RunDir::create(dir.path(), &info()).unwrap();
    run.write_json("state.json", &State { best: 0.01899, ..State::default() }).unwrap();
    run.append_log(&json!({ "loss": 0.5 })).unwrap();
    let flip = |name: &str, from: &str, to: &str| {
        let path = dir.path().join(name);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(&path, text.replace(from, to)).unwrap();
    };
    flip("state.json", "0.01899", "0.03899");
    assert!(run.read_json::<State>("state.json").unwrap_err().to_string().contains("damaged"));
    flip("log.jsonl", "0.5", "0.7");
    assert!(run.read_log::<Value>().unwrap_err().to_string().contains("log.jsonl:1: damaged"));
    assert!(run.cut_log(1).unwrap_err().to_string().contains("log.jsonl:1: damaged"));
    flip("run.json", "\"seed\": 1", "\"seed\": 3");
    assert!(RunDir::open(dir.path()).unwrap_err().to_string().contains("damaged"));
}

#[test]
fn a_hash_whose_name_is_damaged_is_missed() {
    let dir = tempfile::tempdir().unwrap();
    let run = RunDir::create(dir.path(), &info()).unwrap();
    run.write_json("state.json", &State::default()).unwrap();
    run.append_log(&json!({ "loss": 0.5 })).unwrap();
    for name in ["state.json", "log.jsonl", "run.json"] {
        let path = dir.path().join(name);
        let whole = fs::read_to_string(&path).unwrap();
        fs::write(&path, whole.replace("\"blake3\"", "\"blake7\"")).unwrap();
        let read = RunDir::open(dir.path()).and_then(|(run, _)| {
            run.read_json::<State>("state.json")?;
            run.cut_log(1)?;
            run.read_log::<Value>()
        });
        let error = read.unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("the hash of its content is not in it"), "{error}");
        fs::write(&path, whole).unwrap();
    }
    // As the first format has it, some files have no hash.
    let plain = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    plain("run.json", &serde_json::to_string(&RunInfo { format: 1, ..info() }).unwrap());
    plain("state.json", &serde_json::to_string(&State { epoch: 7, ..State::default() }).unwrap());
    let (run, _) = RunDir::open(dir.path()).unwrap();
    assert_eq!(run.read_json::<State>("state.json").unwrap().unwrap().epoch, 7);
    plain("run.json", &serde_json::to_string(&RunInfo { format: 3, ..info() }).unwrap());
    assert!(
        RunDir::open(dir.path()).unwrap_err().to_string().contains("run format 3; this version reads 1..=2")
    );
}

#[test]
fn only_what_a_run_writes_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let run = RunDir::create(dir.path(), &info()).unwrap();
    let mine =
        ["text.safetensors", "notes.tmp", "best-of.safetensors", "state-1.safetensors", ".mine.writing-1-0"];
    let old =
        ["state-000001.safetensors", "best-000001.safetensors", ".state-000002.safetensors.writing-1-0"];
    mine.iter().chain(&old).for_each(|name| fs::write(dir.path().join(name), "x").unwrap());
    let file = run.write_state(3, &[]).unwrap();
    run.commit(&State { state_file: Some(file), ..State::default() }).unwrap();
    let there = |name: &&str| dir.path().join(name).exists();
    assert!(mine.iter().all(there) && !old.iter().any(there) && there(&"state-000003.safetensors"));
}
