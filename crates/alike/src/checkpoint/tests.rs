//! Run folders: round trips, damage, locks.

use std::sync::Arc;

use alike_ops::Csr;

use super::*;

fn info() -> RunInfo {
    RunInfo {
        format: FORMAT,
        version: "0".into(),
        model: "bpr".into(),
        settings: toml::from_str("dim = 8\nlr = 0.001").unwrap(),
        seed: 1,
        data: "data".into(),
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
    for scorer in [
        Scorer::Dot { users: m(2, 3), items: m(4, 3) },
        Scorer::PairMlp { users: m(2, 3), items: m(4, 3), out: vec![1.0, 2.0, 3.0], vectors: m(4, 5) },
        Scorer::ItemItem(ItemItem {
            history: Arc::new(Csr::from_rows(2, &[vec![0u32, 1], vec![], vec![1]]).unwrap()),
            pattern: Arc::new(Csr::from_rows(2, &[vec![1u32], vec![0]]).unwrap()),
            values: vec![0.5, 0.25],
        }),
        Scorer::Static { users: 7, scores: vec![1.0, 0.0] },
    ] {
        let file = run.write_best(1, &[], &scorer).unwrap();
        assert_eq!(run.read_scorer(&file).unwrap(), scorer);
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
    fs::write(dir.path().join(LOCK), "").unwrap();
    fs::write(dir.path().join("run.json.tmp"), "{").unwrap();
    RunDir::create(dir.path(), &info()).unwrap();
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
    (1..=3).for_each(|n| run.append_log(&n).unwrap());
    run.cut_log(2).unwrap();
    run.append_log(&9).unwrap();
    assert_eq!(run.read_log::<u32>().unwrap(), [1, 2, 9]);
}
