//! One bit of one file turns over: it is noticed, or nothing that anybody sees changes.
#![allow(clippy::unwrap_used)]

mod data_files;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use alike::checkpoint::{RunDir, State};
use alike::data::{PrepareOptions, SplitKind, prepare};
use alike::eval::{Protocol, Split};
use alike::run::Run;
use data_files::{npy_f32, parities, train};

const FLIPS: u64 = 1000;

/// Prepares data with features, a catalogue, and trains LATTICE on them, whose item graph is a cache entry.
fn make(base: &Path) {
    fs::write(base.join("log.inter"), parities(12, 10)).unwrap();
    let values: Vec<f32> = (0..60).map(|v| (v * v % 17) as f32 - 8.5).collect();
    fs::write(base.join("text.npy"), npy_f32(20, 3, &values)).unwrap();
    let items: String = (0..20).map(|i| format!("{{\"item_id\": {i}, \"title\": \"Item {i}\"}}\n")).collect();
    fs::write(base.join("items.jsonl"), items).unwrap();
    let options = PrepareOptions {
        split: SplitKind::Label,
        features: vec![("text".into(), base.join("text.npy"))],
        items: Some(base.join("items.jsonl")),
        ..PrepareOptions::new(base.join("log.inter"), base.join("data"))
    };
    prepare(&options).unwrap();
    train("lattice", "epochs = 2\ndim = 4", &base.join("data"), &base.join("run")).unwrap();
}

/// All that people see of the data and the run, but for times.
fn seen(base: &Path) -> alike::Result<String> {
    let run = Run::open(&base.join("run"))?;
    let (dir, info) = RunDir::open(&base.join("run"))?;
    let mut text = format!("{:?} {:?}", info.settings, (info.model, info.seed, info.data_hash));
    let state: State = dir.read_json("state.json")?.unwrap();
    let saved = dir.read_state(state.state_file.as_ref().unwrap())?;
    let mut saved: Vec<_> = saved.into_iter().map(|s| (s.name, s.value, s.m, s.v)).collect();
    saved.sort_by(|a, b| a.0.cmp(&b.0));
    write!(text, "{:?} {saved:?}", (state.epoch, state.best.to_bits(), state.best_epoch)).unwrap();
    write!(text, "{:?}", run.evaluate(Split::Test, Protocol::Public, &())?).unwrap();
    for record in run.log()? {
        write!(text, "{:?}", (record.epoch, record.loss.to_bits(), record.valid)).unwrap();
    }
    let end = run.summary()?;
    write!(text, "{:?}", end.map(|e| (e.best_epoch, e.valid, e.test_public))).unwrap();
    for item in 0..run.data.items.len() as u32 {
        write!(text, "{:?} {:?}", run.data.items.name(item), run.data.title(item)).unwrap();
    }
    let graph = alike::graph::item_neighbors(&run.data, "text", 3)?;
    write!(text, "{:?} {:?} {:?}", graph.idx, graph.weight, run.data.features[0].values()).unwrap();
    Ok(text)
}

fn files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, into) } else { into.push(path) }
    }
}

#[test]
fn a_flipped_bit_is_noticed_or_changes_nothing() {
    let base = tempfile::tempdir().unwrap();
    make(base.path());
    let right = seen(base.path()).unwrap();
    let mut all = Vec::new();
    files(&base.path().join("data"), &mut all);
    files(&base.path().join("run"), &mut all);
    all.retain(|f| fs::metadata(f).unwrap().len() > 0);
    all.sort();
    assert!(
        all.iter().any(|f| f.ends_with("feature.text.f32"))
            && all.iter().any(|f| f.extension().is_some_and(|e| e == "bin"))
    );
    let (mut noticed, mut harmless) = (0, 0);
    // A fixed walk over files and bits.
    let mut state = 7u64;
    let mut draw = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for _ in 0..FLIPS {
        let file = &all[draw(all.len())];
        let good = fs::read(file).unwrap();
        let mut bad = good.clone();
        let bit = draw(bad.len() * 8);
        bad[bit / 8] ^= 1 << (bit % 8);
        fs::write(file, &bad).unwrap();
        match seen(base.path()) {
            Err(e) => {
                let text = e.to_string();
                assert!(!text.contains('\n'), "{text}");
                noticed += 1;
            }
            Ok(now) => {
                assert_eq!(now, right, "bit {bit} of {}", file.display());
                harmless += 1;
            }
        }
        fs::write(file, &good).unwrap();
    }
    assert_eq!(seen(base.path()).unwrap(), right);
    eprintln!("{FLIPS} flips: {noticed} noticed, {harmless} without effect");
    assert!(noticed > harmless);
}
