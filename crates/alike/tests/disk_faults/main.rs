//! A disk that fails on purpose: each call that changes it fails once, or is the last before the process
//! dies, or before the power goes and takes with it what was not synced. After each, what was there is there,
//! old or new and whole; the same command ends with the same bits; what was acknowledged stays; nothing
//! half-written is left.
#![allow(clippy::unwrap_used)]

#[path = "../data_files/mod.rs"]
mod data_files;
mod model;

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alike::checkpoint::{RunDir, State};
use alike::data::{Dataset, PrepareOptions, SplitKind, prepare};
use alike::disk::{Op, watch};
use alike::embed::{self, EmbedSource, EncoderChoice};
use alike::experiment::Scheduler;
use alike::train::Summary;
use data_files::{parities, train};
use model::{Left, Model};

/// Something that people do, and what they find afterwards.
struct Case {
    name: &'static str,
    /// What was there before.
    set_up: fn(&Path),
    /// The command; the same again goes on where it was.
    work: fn(&Path) -> alike::Result<()>,
    /// What there is, but for times; an error where that is damaged.
    found: fn(&Path) -> alike::Result<String>,
    /// Whether something between the old and the new may be there.
    in_steps: bool,
}

/// How a call goes wrong.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// It fails, those after it do not.
    Fails,
    /// It and all after it are not made: the process is dead.
    Dies,
}

/// The watcher is one for the process.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Does the work while call `fault_at` goes wrong. Returns how it ended, the disk, and how many calls there
/// were.
fn tried(
    case: &Case,
    base: &Path,
    fault_at: usize,
    fault: Fault,
) -> (alike::Result<()>, Arc<Mutex<(Model, usize)>>) {
    let disk = Arc::new(Mutex::new((Model::new(base), 0)));
    let seen = disk.clone();
    watch(Some(Arc::new(move |op: &Op<'_>| {
        let mut disk = seen.lock().unwrap_or_else(PoisonError::into_inner);
        let path = match op {
            Op::Create(p) | Op::Write(p, ..) | Op::SetLength(p, _) | Op::Sync(p) => p,
            Op::SyncFolder(p) | Op::MakeFolder(p) | Op::Rename(p, _) | Op::Exchange(p, _) | Op::Remove(p) => {
                p
            }
        };
        if !disk.0.holds(path) {
            return Ok(());
        }
        let at = disk.1;
        disk.1 += 1;
        let wrong = match fault {
            Fault::Fails => at == fault_at,
            Fault::Dies => at >= fault_at,
        };
        if wrong {
            return Err(io::Error::other("no space left on purpose"));
        }
        disk.0.apply(op);
        Ok(())
    })));
    let result = (case.work)(base);
    watch(None);
    (result, disk)
}

/// Names of half-written files below `folder`.
fn half_written(folder: &Path, into: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.contains(".writing-") || name.contains(".replaced-") {
            into.push(name);
        } else if entry.path().is_dir() {
            half_written(&entry.path(), into);
        }
    }
}

/// What is found now is whole; the command once more gives `after` and leaves nothing half-written.
fn check(case: &Case, base: &Path, allowed: Option<&[String]>, after: &str, when: &str) {
    let found = (case.found)(base).unwrap_or_else(|e| panic!("{}: {when}: {e}", case.name));
    assert!(allowed.is_none_or(|a| a.contains(&found)), "{}: {when}: found {found}", case.name);
    (case.work)(base).unwrap_or_else(|e| panic!("{}: {when}: the command again: {e}", case.name));
    assert_eq!((case.found)(base).unwrap(), after, "{}: {when}: the command again", case.name);
    let mut left = Vec::new();
    half_written(base, &mut left);
    assert!(left.is_empty(), "{}: {when}: {left:?} is left", case.name);
}

/// Tries every call. Returns how many faults there were.
fn every_call(case: &Case) -> usize {
    let _one = alone();
    // In memory where that can be had: thousands of syncs of a real disk take minutes.
    let memory = Path::new("/dev/shm");
    let fresh = || {
        let base = tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir()).unwrap();
        (case.set_up)(base.path());
        base
    };
    let base = fresh();
    let before = (case.found)(base.path()).unwrap();
    let (result, disk) = tried(case, base.path(), usize::MAX, Fault::Dies);
    result.unwrap();
    let after = (case.found)(base.path()).unwrap();
    assert_ne!(before, after, "{}: the work changes something", case.name);
    let calls = disk.lock().unwrap().1;
    for left in [Left::Synced, Left::All] {
        disk.lock().unwrap().0.lose_power(left);
        assert_eq!(
            (case.found)(base.path()).unwrap(),
            after,
            "{}: power lost after the end, {left:?}",
            case.name
        );
    }

    let allowed = (!case.in_steps).then(|| [before, after.clone()]);
    let allowed = allowed.as_ref().map(|a| &a[..]);
    let mut faults = 0;
    for at in 0..calls {
        let base = fresh();
        let (result, _) = tried(case, base.path(), at, Fault::Fails);
        if let Err(e) = result {
            let text = e.to_string();
            assert!(!text.contains('\n') && !text.contains(".writing-"), "{}: {text}", case.name);
        }
        check(case, base.path(), allowed, &after, &format!("call {at} failed"));

        let base = fresh();
        let (_, disk) = tried(case, base.path(), at, Fault::Dies);
        check(case, base.path(), allowed, &after, &format!("died at call {at}"));
        for left in [Left::Synced, Left::All] {
            disk.lock().unwrap().0.lose_power(left);
            check(case, base.path(), allowed, &after, &format!("power lost at call {at}, {left:?}"));
        }
        faults += 4;
    }
    eprintln!("{}: {calls} calls, {faults} faults", case.name);
    faults
}

fn write_log(base: &Path, each: usize) {
    fs::write(base.join("log.inter"), parities(6, each)).unwrap();
}

fn options(base: &Path) -> PrepareOptions {
    PrepareOptions {
        split: SplitKind::Label,
        ..PrepareOptions::new(base.join("log.inter"), base.join("made/data"))
    }
}

/// Content of the prepared data, or nothing.
fn prepared(base: &Path) -> alike::Result<String> {
    let dir = base.join("made/data");
    if dir.exists() { Ok(Dataset::open(&dir)?.hash) } else { Ok(String::new()) }
}

#[test]
fn preparing() {
    let work = |base: &Path| prepare(&options(base)).map(|_| ());
    let set_up = |base: &Path| write_log(base, 10);
    every_call(&Case { name: "prepare", set_up, work, found: prepared, in_steps: false });
    let set_up = |base: &Path| {
        write_log(base, 5);
        prepare(&options(base)).unwrap();
        write_log(base, 10);
    };
    every_call(&Case { name: "prepare over older data", set_up, work, found: prepared, in_steps: false });
}

#[test]
fn embedding() {
    let set_up = |base: &Path| {
        let texts = ["red shirt of cotton", "blue shirt of linen", "bread knife", "red knife", "bread"];
        let lines =
            texts.iter().enumerate().map(|(i, t)| format!("{{\"item_id\": {i}, \"title\": \"{t}\"}}\n"));
        fs::write(base.join("items.jsonl"), lines.collect::<String>()).unwrap();
    };
    let work = |base: &Path| {
        let request = embed::EmbedRequest {
            source: EmbedSource::Texts { items: base.join("items.jsonl"), columns: Vec::new() },
            text: Default::default(),
            id: None,
            encoder: EncoderChoice::Builtin { dim: 2 },
            batch: 2,
            out: base.join("made/text.safetensors"),
            progress: &(),
        };
        embed::embed(&request, &mut |_| {}).map(|_| ())
    };
    let found = |base: &Path| {
        let file = base.join("made/text.safetensors");
        Ok(fs::read(file).map(|b| blake3::hash(&b).to_hex().to_string()).unwrap_or_default())
    };
    every_call(&Case { name: "embed", set_up, work, found, in_steps: false });
}

fn train_for(base: &Path, epochs: i64) -> alike::Result<()> {
    train("bpr", &format!("epochs = {epochs}\ndim = 4"), &base.join("made/data"), &base.join("runs/one"))
}

/// Hashes of parameters, moments and scorer, and the metrics at the end.
fn trained(dir: &Path) -> alike::Result<String> {
    if !dir.join("run.json").exists() {
        return Ok(String::new());
    }
    let (run, _) = RunDir::open(dir)?;
    let mut text = String::new();
    if let Some(state) = run.read_json::<State>("state.json")? {
        let (file, best) = (state.state_file.clone().unwrap(), state.best_file.clone().unwrap());
        run.read_state(&file)?;
        run.read_scorer(&best)?;
        write!(text, "{:?}", State { seconds: 0.0, ..state }).unwrap();
    }
    if let Some(end) = run.read_json::<Summary>("metrics.json")? {
        write!(text, "\n{:?} {:?} {}", end.valid, end.test_public, end.epochs).unwrap();
    }
    Ok(text)
}

#[test]
fn training_and_resuming() {
    let set_up = |base: &Path| {
        write_log(base, 10);
        prepare(&options(base)).unwrap();
    };
    let work = |base: &Path| train_for(base, 3);
    let found = |base: &Path| trained(&base.join("runs/one"));
    every_call(&Case { name: "train", set_up, work, found, in_steps: true });
    let set_up = |base: &Path| {
        write_log(base, 10);
        prepare(&options(base)).unwrap();
        train_for(base, 2).unwrap();
    };
    let work = |base: &Path| train_for(base, 4);
    every_call(&Case { name: "resume with more epochs", set_up, work, found, in_steps: true });
}

const EXPERIMENT: &str = "title = \"Faults\"\nseeds = [1]\n[settings]\nepochs = 2\ndim = 4\n[[data]]\nname = \"Log\"\n\
    interactions = \"log.inter\"\n[[models]]\nname = \"BPR\"\nmodel = \"bpr\"\n";

fn scheduler(base: &Path) -> alike::Result<Scheduler> {
    Scheduler::open(&base.join("experiment.toml"), base, &base.join("out"), &mut |_| {})
}

#[test]
fn experimenting() {
    let set_up = |base: &Path| {
        write_log(base, 10);
        fs::write(base.join("experiment.toml"), EXPERIMENT).unwrap();
    };
    let work = |base: &Path| {
        let mut scheduler = scheduler(base)?;
        while let Some(job) = scheduler.ready()?.0.into_iter().next() {
            scheduler.started(&job);
            train(&job.model, &job.settings.to_string(), &job.data_dir, &job.run)?;
            scheduler.ended(&job, Ok(()))?;
        }
        scheduler.outcome().map(|_| ())
    };
    // Every run in the folder, in order of their names.
    let found = |base: &Path| {
        let entries =
            fs::read_dir(base.join("out/runs/log")).into_iter().flatten().map(|e| e.unwrap().path());
        let mut runs: Vec<_> = entries.filter(|p| p.join("run.json").exists()).collect();
        runs.sort();
        let scored = |run: &Path| RunDir::open(run)?.0.read_json::<serde_json::Value>("test.json");
        let all = runs.iter().map(|run| Ok(format!("{} {:?}", trained(run)?, scored(run)?)));
        all.collect::<alike::Result<Vec<_>>>().map(|all| all.join("\n"))
    };
    every_call(&Case { name: "experiment", set_up, work, found, in_steps: true });
}
