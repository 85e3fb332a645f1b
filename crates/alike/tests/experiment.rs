//! Experiments from their file to their outcome, with runs in this process.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use alike::experiment::{Job, Phase, Scheduler};
use alike::train::{TrainRequest, fit};

/// Even users take even items, odd users odd ones.
fn board(dir: &Path) {
    let mut inter = String::from("userID\titemID\trating\ttimestamp\tx_label\n");
    for u in 0..30 {
        for n in 0..20 {
            let label = [1, 2, 0, 0, 0, 0, 0, 0, 0, 0][(n + u / 2) % 10];
            writeln!(inter, "{u}\t{}\t5\t{n}\t{label}", 2 * n + u % 2).unwrap();
        }
    }
    std::fs::write(dir.join("board.inter"), inter).unwrap();
}

struct World {
    dir: tempfile::TempDir,
}

impl World {
    fn new(text: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        board(dir.path());
        std::fs::write(dir.path().join("experiment.toml"), text).unwrap();
        Self { dir }
    }

    fn open(&self) -> alike::Result<Scheduler> {
        let at = self.dir.path();
        Scheduler::open(&at.join("experiment.toml"), at, &at.join("out"), &mut |_| {})
    }

    fn refused(text: &str) -> String {
        let message = Self::new(text).open().err().map(|e| e.to_string()).unwrap_or_default();
        assert!(!message.contains('\n'), "{message}");
        message
    }
}

/// Trains a job as the command line does, in this process.
fn train(job: &Job) -> Result<(), String> {
    let data = alike::data::Dataset::open(&job.data_dir).unwrap();
    let settings = job.settings.clone();
    let resume = job.run.join("run.json").is_file();
    let request = TrainRequest {
        settings,
        seed: job.seed,
        run: Some(&job.run),
        resume,
        test: false,
        ..TrainRequest::new(&job.model)
    };
    fit(&data, &request, &mut |_| {}).map(|_| ()).map_err(|e| e.to_string())
}

/// Runs everything; returns the jobs in order.
fn run_all(scheduler: &mut Scheduler) -> Vec<Job> {
    let mut done = Vec::new();
    while let Some(job) = scheduler.ready().unwrap().0.into_iter().next() {
        scheduler.started(&job);
        let result = train(&job);
        scheduler.ended(&job, result).unwrap();
        done.push(job);
    }
    done
}

const DATA: &str = "[[data]]\nname = \"Board\"\ninteractions = \"board.inter\"\n";

const SMALL: &str = r#"
title = "Boards"
seeds = [3, 4]
[settings]
epochs = 4
dim = 8
[grid]
lr = [1e-3, 5e-2]
[[data]]
name = "Board"
interactions = "board.inter"
[[models]]
name = "Popular"
model = "popularity"
[[models]]
name = "MF"
model = "bpr"
published = { Board = { "recall@20" = 0.5 } }
[[models]]
name = "LightGCN, as MF"
model = "lightgcn"
base = "MF"
settings = { layers = 1 }
[[studies]]
title = "Width"
base = "MF"
setting = "dim"
values = [4, 8]
"#;

#[test]
fn settings_are_chosen_on_validation_and_test_is_scored_once() {
    let world = World::new(SMALL);
    let mut scheduler = world.open().unwrap();
    let (ready, progress) = scheduler.ready().unwrap();
    assert_eq!(ready.len(), 3, "popularity, and two trials of MF");
    // 1 + (2 trials + 2 seeds + 2 widths × 2 seeds) + 2 seeds.
    assert_eq!((progress.total, progress.done), (11, 0));
    let done = run_all(&mut scheduler);
    let (_, progress) = scheduler.ready().unwrap();
    assert_eq!((progress.total, progress.done, progress.failed), (11, 11, 0));
    // The trial that won is the final run of its seed, and the width that was chosen is a point of the study.
    assert_eq!(done.len(), 1 + 2 + 1 + 2 + 2);
    let runs: std::collections::HashSet<&PathBuf> = done.iter().map(|j| &j.run).collect();
    assert_eq!(runs.len(), done.len());

    let outcome = scheduler.outcome().unwrap();
    let [set] = &outcome.data[..] else { panic!("one data set") };
    let [popular, mf, lightgcn] = &set.entries[..] else { panic!("three models") };
    assert_eq!((popular.runs.len(), mf.runs.len(), lightgcn.runs.len()), (1, 2, 2));
    let best = mf.trials.iter().max_by(|a, b| a.valid.unwrap().total_cmp(&b.valid.unwrap())).unwrap();
    assert_eq!(mf.chosen.as_ref().unwrap()["lr"], best.settings["lr"]);
    assert_eq!(lightgcn.chosen.as_ref().unwrap()["lr"], best.settings["lr"]);
    assert_eq!(lightgcn.chosen.as_ref().unwrap()["layers"].as_integer(), Some(1));
    assert!(lightgcn.trials.is_empty() && lightgcn.base.as_deref() == Some("MF"));
    assert_eq!(mf.published["recall@20"], 0.5);
    assert!(mf.cell("recall@20").unwrap().0 > popular.cell("recall@20").unwrap().0);
    assert!(popular.cell("recall@20").unwrap().1.is_nan(), "no deviation of one run");
    let [study] = &set.studies[..] else { panic!("one study") };
    assert_eq!(study.points.iter().map(|(_, runs)| runs.len()).collect::<Vec<_>>(), [2, 2]);
    assert_eq!(study.points[1].1[0].scores, mf.runs[0].scores);
    assert_eq!(set.comparisons.len(), 2);
    assert!(set.comparisons[0].1.iter().all(|c| c.t_holm >= c.test.t.p));
    // Trials that lost have never seen the test split.
    for job in done.iter().filter(|j| j.phase == Phase::Search) {
        let chosen = mf.runs.iter().any(|r| r.dir == job.run);
        assert_eq!(job.run.join("test.json").exists(), chosen, "{}", job.what);
        assert!(!std::fs::read_to_string(job.run.join("metrics.json")).unwrap().contains("test_"));
    }

    // Opened again, nothing is left to do, and the outcome is the same.
    let mut again = world.open().unwrap();
    assert!(again.ready().unwrap().0.is_empty());
    let same = again.outcome().unwrap();
    assert_eq!(same.data[0].entries[1].values("ndcg@20"), mf.values("ndcg@20"));
}

#[test]
fn halving_trains_the_better_ones_on_and_repeats_nothing() {
    let text = SMALL
        .replace("[settings]", "[search]\nkind = \"halving\"\ntrials = 4\nepochs = 1\nkeep = 2\n[settings]");
    let text = text.replace("lr = [1e-3, 5e-2]", "lr = [1e-4, 1e-3, 1e-2, 5e-2]");
    let text = text.split("[[studies]]").next().unwrap().to_string();
    let world = World::new(&text);
    let mut scheduler = world.open().unwrap();
    let done = run_all(&mut scheduler);
    let mut epochs: HashMap<&PathBuf, Vec<usize>> = HashMap::new();
    done.iter()
        .filter(|j| j.phase == Phase::Search)
        .for_each(|j| epochs.entry(&j.run).or_default().push(j.epochs));
    let mut ladders: Vec<Vec<usize>> = epochs.into_values().collect();
    ladders.sort();
    assert_eq!(ladders, [vec![1], vec![1], vec![1, 2], vec![1, 2, 4]]);
    let outcome = scheduler.outcome().unwrap();
    let mf = &outcome.data[0].entries[1];
    assert_eq!(mf.runs.iter().map(|r| r.summary.epochs).collect::<Vec<_>>(), [4, 4]);
    assert_eq!(mf.trials.iter().map(|t| t.epochs).max(), Some(4));
    // What was trained in three parts is what is trained at once.
    let at_once = World::new(&text);
    let mut job = done.iter().find(|j| j.run == mf.runs[0].dir).unwrap().clone();
    job.settings.insert("epochs".into(), toml::Value::Integer(4));
    job.run = at_once.dir.path().join("run");
    train(&job).unwrap();
    let read = |run: &Path| {
        let text = std::fs::read_to_string(run.join("metrics.json")).unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap()["valid"].clone()
    };
    assert_eq!(read(&job.run), read(&mf.runs[0].dir));
}

#[test]
fn a_run_that_fails_is_named_and_the_others_go_on() {
    let text = SMALL.replace(
        "[[studies]]",
        "[[models]]\nname = \"VBPR\"\nmodel = \"vbpr\"\ngrid = { lr = [1e-3] }\n[[studies]]",
    );
    // The board has no features: said before anything runs.
    let message = World::refused(&text);
    assert!(message.contains("VBPR on Board") && message.contains("feature"), "{message}");
    // A loss that is not finite is known only when it runs.
    let world = World::new(&SMALL.replace("lr = [1e-3, 5e-2]", "lr = [1e-3]"));
    let mut scheduler = world.open().unwrap();
    while let Some(job) = scheduler.ready().unwrap().0.into_iter().next() {
        scheduler.started(&job);
        let result = if job.model == "bpr" { Err("loss is NaN".into()) } else { train(&job) };
        scheduler.ended(&job, result).unwrap();
    }
    let (_, progress) = scheduler.ready().unwrap();
    assert!(progress.failed > 0 && progress.done > 0);
    let outcome = scheduler.outcome().unwrap();
    assert_eq!(outcome.data[0].entries[1].problem.as_deref(), Some("loss is NaN"));
    assert_eq!(outcome.data[0].entries[0].problem, None);
    // Asked again, what failed is tried again.
    assert!(!world.open().unwrap().ready().unwrap().0.is_empty());
}

#[test]
fn files_are_strict() {
    let models = "[[models]]\nname = \"A\"\nmodel = \"bpr\"\n";
    let head = format!("title = \"x\"\nseeds = [1]\n{DATA}");
    let check = |text: &str, words: &str| {
        let message = World::refused(text);
        assert!(message.contains(words), "{message}");
    };
    check("title = 3", "experiment.toml:1");
    check(&format!("{head}{models}speed = 3"), "unknown field `speed`");
    check(&format!("title = \"x\"\nseeds = []\n{DATA}{models}"), "at least one seed");
    check(&format!("{head}{models}{models}"), "`A` is empty or given twice");
    check(&format!("{head}{}", models.replace("bpr", "bprr")), "unknown model `bprr`");
    check(&format!("{head}{models}settings = {{ layers = 2 }}"), "unknown setting `layers`; allowed: dim");
    check(&format!("{head}{models}settings = {{ dim = 0 }}"), "setting `dim` is 0; allowed: 1..=1024");
    check(&format!("{head}{models}grid = {{ lr = 3 }}"), "`lr` is 3; allowed: a list of values");
    check(&format!("{head}{models}grid = {{ lr = [0.1, 99.0] }}"), "setting `lr` is 99");
    check(&format!("{head}{models}base = \"B\""), "unknown base `B`");
    let ablation = "[[models]]\nname = \"B\"\nmodel = \"bpr\"\nbase = \"A\"\nsettings = { dim = 0 }";
    check(&format!("{head}{models}{ablation}"), "B on Board: setting `dim` is 0");
    check(&format!("{head}{models}data = [\"Bord\"]"), "unknown data set `Bord`; allowed: Board");
    check(&format!("{head}{models}[grid]\nlayers = [1]"), "no model here has a setting `layers`");
    check(
        &format!("{head}{models}[[studies]]\ntitle = \"s\"\nbase = \"A\"\nsetting = \"dim\"\nvalues = [0]"),
        "setting `dim` is 0",
    );
    check(
        &format!("title = \"x\"\nseeds = [1]\n[[data]]\nname = \"Board\"\n{models}"),
        "needs either `dir` or `interactions`",
    );
    check(&format!("{}{models}", head.replace("board.inter", "none.inter")), "none.inter");
    check(&format!("{head}split = \"labels\"\n{models}"), "setting `split` is labels");
}

#[test]
fn the_committed_experiments_are_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs");
    let files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    assert!(files.len() >= 4);
    for file in files {
        let experiment = alike::experiment::Experiment::read(&file).unwrap();
        assert!(!experiment.seeds.is_empty() && !experiment.models.is_empty(), "{}", file.display());
    }
}
