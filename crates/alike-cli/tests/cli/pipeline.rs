//! From files to recommendations, and the shapes of the JSON.

use std::collections::BTreeSet;
use std::fs::{self, File};

use arrow_array::{Float32Array, StringArray, UInt32Array};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use predicates::prelude::*;
use serde_json::Value;

use crate::usage::one_line;
use crate::world::{ITEMS, USERS, World, alike};

const SMALL: [&str; 8] = ["--set", "dim=8", "--set", "epochs=3", "--set", "batch=64", "--seed", "3"];

pub(crate) fn json(args: &[&str]) -> Value {
    let output = alike().args(args).assert().success().get_output().stdout.clone();
    serde_json::from_slice(&output).unwrap()
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn a_run_is_evaluated_and_recommends() {
    let world = World::new().prepared();
    let trained = world.train("nsmar+", "run", &SMALL).assert().success();
    let planned = predicate::str::contains("of memory, at most 3 epochs of ");
    trained.stdout(predicate::str::contains("recall@20")).stderr(planned);
    let run = world.at("run");

    let metrics = json(&["evaluate", &run, "--split", "test", "--protocol", "clean", "--json"]);
    for cut in [5, 10, 20, 50] {
        for name in ["recall", "ndcg", "precision", "map", "hitrate", "mrr"] {
            let value = metrics[format!("{name}@{cut}")].as_f64().unwrap();
            assert!((0.0..=1.0).contains(&value), "{name}@{cut} is {value}");
        }
    }
    assert_eq!(
        (&metrics["model"], &metrics["split"], &metrics["protocol"]),
        (&"nsmar+".into(), &"test".into(), &"clean".into())
    );
    let text = alike().args(["evaluate", &run]).assert().success();
    text.stdout(
        predicate::str::contains("nsmar+, test split, public protocol").and(predicate::str::contains("@50")),
    );

    let list = json(&["recommend", &run, "--user", "4", "--top", "5", "--json"]);
    assert_eq!((&list["user"], list["items"].as_array().unwrap().len()), (&"4".into(), 5));
    for (at, item) in list["items"].as_array().unwrap().iter().enumerate() {
        assert_eq!(keys(item), BTreeSet::from(["item", "rank", "score", "title"]));
        assert_eq!(item["rank"], at + 1);
        assert_eq!(item["title"], format!("Thing {}", item["item"].as_str().unwrap()));
    }
    let text = alike().args(["recommend", &run, "--user", "4", "--top", "5"]).assert().success();
    let text = String::from_utf8(text.get_output().stdout.clone()).unwrap();
    assert_eq!(text.lines().count(), 7, "{text}");

    let list = json(&["similar", &run, "--item", "7", "--top", "4", "--json"]);
    assert_eq!((&list["item"], list["items"].as_array().unwrap().len()), (&"7".into(), 4));
    assert!(
        list["items"].as_array().unwrap().iter().all(|i| i["item"] != "7"),
        "an item is not its own neighbour"
    );
}

#[test]
fn quiet_leaves_only_what_was_asked_for() {
    let world = World::new().prepared();
    let train = |run: &str, more: &[&str]| {
        world.train("bpr", run, &[&SMALL[..], more].concat()).assert().success().stderr("")
    };
    train("run", &["--quiet"]).stdout("");
    let summary = train("other", &["-q", "--json"]).get_output().stdout.clone();
    assert_eq!(serde_json::from_slice::<Value>(&summary).unwrap()["model"], "bpr");
    let run = world.at("run");
    let run = run.as_str();
    let asked: [&[&str]; 3] =
        [&["evaluate", run], &["recommend", run, "--user", "4"], &["similar", run, "--item", "7"]];
    for args in asked {
        let usual = alike().args(args).assert().success().get_output().stdout.clone();
        assert!(!usual.is_empty());
        alike().args(args).arg("-q").assert().success().stdout(usual).stderr("");
    }
}

#[test]
fn a_run_opens_where_it_was_moved_or_copied() {
    let world = World::new().prepared();
    world.train("bpr", "runs/one", &SMALL).assert().success();
    let asked = |run: &str, more: &[&str]| {
        alike().args(["recommend", &world.at(run), "--user", "4", "--json"]).args(more).assert()
    };
    let output = |assert: assert_cmd::assert::Assert| assert.success().get_output().stdout.clone();
    let before = output(asked("runs/one", &[]));
    fs::create_dir(world.path("elsewhere")).unwrap();
    for part in ["data", "runs"] {
        fs::rename(world.path(part), world.path("elsewhere").join(part)).unwrap();
    }
    assert_eq!(output(asked("elsewhere/runs/one", &[])), before);
    // Without its data, and with them named.
    fs::rename(world.path("elsewhere/data"), world.path("prepared")).unwrap();
    asked("elsewhere/runs/one", &[]).failure().stderr(one_line("say where they are with --data"));
    assert_eq!(output(asked("elsewhere/runs/one", &["--data", &world.at("prepared")])), before);
}

#[test]
fn all_recommendations_are_in_the_parquet_file_and_nothing_taken_is() {
    let world = World::new().prepared();
    world.train("bpr", "run", &SMALL).assert().success();
    let (run, out) = (world.at("run"), world.at("all.parquet"));
    let said = json(&["recommend", &run, "--all", "--out", &out, "--top", "6", "--json"]);
    assert_eq!(said["users"], USERS);

    let reader =
        ParquetRecordBatchReaderBuilder::try_new(File::open(&out).unwrap()).unwrap().build().unwrap();
    let mut rows: Vec<(String, u32, String, f32)> = Vec::new();
    for batch in reader.map(Result::unwrap) {
        let names: Vec<String> = batch.schema().fields().iter().map(|f| f.name().clone()).collect();
        assert_eq!(names, ["user", "rank", "item", "score"]);
        let user = batch.column(0).as_any().downcast_ref::<StringArray>().unwrap();
        let rank = batch.column(1).as_any().downcast_ref::<UInt32Array>().unwrap();
        let item = batch.column(2).as_any().downcast_ref::<StringArray>().unwrap();
        let score = batch.column(3).as_any().downcast_ref::<Float32Array>().unwrap();
        rows.extend(
            (0..batch.num_rows()).map(|r| {
                (user.value(r).to_string(), rank.value(r), item.value(r).to_string(), score.value(r))
            }),
        );
    }
    assert_eq!(rows.len(), USERS * 6);
    assert_eq!(said["rows"], rows.len());
    let log = fs::read_to_string(world.path("log.inter")).unwrap();
    let taken: BTreeSet<(&str, &str)> = log
        .lines()
        .skip(1)
        .map(|l| l.split('\t').collect::<Vec<_>>())
        .filter(|c| c[4] != "2")
        .map(|c| (c[0], c[1]))
        .collect();
    for list in rows.chunk_by(|a, b| a.0 == b.0) {
        assert_eq!(list.iter().map(|r| r.1).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
        assert!(list.windows(2).all(|w| w[0].3 >= w[1].3), "scores fall with the rank");
        assert!(list.iter().all(|r| !taken.contains(&(r.0.as_str(), r.2.as_str()))), "taken before");
    }
    let one = json(&["recommend", &run, "--user", &rows[0].0, "--top", "6", "--json"]);
    let items: Vec<&str> =
        one["items"].as_array().unwrap().iter().map(|i| i["item"].as_str().unwrap()).collect();
    assert_eq!(items, rows[..6].iter().map(|r| r.2.as_str()).collect::<Vec<_>>());
    let left: Vec<_> = fs::read_dir(world.path("")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(left.iter().all(|n| !n.to_string_lossy().ends_with(".tmp")), "{left:?}");
}

#[test]
fn fewer_items_than_asked_for_is_fine() {
    let world = World::new().prepared();
    world.train("popularity", "run", &[]).assert().success();
    let list = json(&["recommend", &world.at("run"), "--user", "0", "--top", "1000", "--json"]);
    let found = list["items"].as_array().unwrap().len();
    assert!(found > 0 && found < ITEMS, "{found}");
}

#[test]
fn the_registry_is_told_as_json_with_every_setting() {
    let models = json(&["models", "--json"]);
    for model in models.as_array().unwrap() {
        assert_eq!(keys(model), BTreeSet::from(["name", "reference", "settings", "summary"]));
        for setting in model["settings"].as_array().unwrap() {
            assert_eq!(keys(setting), BTreeSet::from(["allowed", "default", "doc", "kind", "name"]));
        }
    }
    let name = models[0]["name"].as_str().unwrap();
    assert_eq!(json(&["models", name, "--json"])[0], models[0]);
    alike().arg("models").assert().success().stdout(predicate::str::contains(name));
}

#[test]
fn prepare_and_train_tell_json_when_asked() {
    let world = World::new();
    let report =
        json(&["prepare", "--interactions", &world.at("log.inter"), "--out", &world.at("data"), "--json"]);
    assert!(report.is_object());
    let args: Vec<String> = world.train_args("bpr", "run", &[&SMALL[..], &["--json"]].concat());
    let summary = json(&args.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(summary["model"], "bpr");
    assert!(summary["valid"]["recall@20"].is_number() && summary["test_clean"]["ndcg@20"].is_number());
}

#[test]
fn unknown_people_and_things_are_named() {
    let world = World::new().prepared();
    world.train("bpr", "run", &SMALL).assert().success();
    let run = world.at("run");
    let user = alike().args(["recommend", &run, "--user", "nobody"]).assert().code(1).stdout("");
    user.stderr(one_line("unknown user `nobody`"));
    let item = alike().args(["similar", &run, "--item", "nothing"]).assert().code(1).stdout("");
    item.stderr(one_line("unknown item `nothing`"));
}
