//! What other programs trained and ranked, evaluated like runs.

use std::fs;

use serde_json::{Value, json};

use crate::pipeline::json;
use crate::usage::one_line;
use crate::world::{ITEMS, USERS, World, alike};

/// A safetensors file with two matrices of floats, rows of two values, and ids of their rows.
fn vectors(users: &[[f32; 2]], items: &[[f32; 2]], ids: &[(&str, Vec<String>)]) -> Vec<u8> {
    let mut header = serde_json::Map::new();
    let mut at = 0;
    for (name, rows) in [("users", users), ("items", items)] {
        let end = at + rows.len() * 8;
        header.insert(
            name.into(),
            json!({ "dtype": "F32", "shape": [rows.len(), 2], "data_offsets": [at, end] }),
        );
        at = end;
    }
    let ids = ids.iter().map(|(name, ids)| (name.to_string(), Value::from(ids.join("\n"))));
    header.insert("__metadata__".into(), Value::Object(ids.collect()));
    let header = Value::Object(header).to_string();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    file.extend(users.iter().chain(items).flatten().flat_map(|v| v.to_le_bytes()));
    file
}

/// A direction for each of two groups.
fn of_group(n: usize) -> [f32; 2] {
    if n.is_multiple_of(2) { [1.0, 0.0] } else { [0.0, 1.0] }
}

fn fails(args: &[&str], said: &str) {
    alike().args(args).assert().code(1).stderr(one_line(said));
}

#[test]
fn lists_of_a_file_score_as_the_run_that_wrote_them() {
    let world = World::new().prepared();
    world.train("lightgcn", "run", &["--set", "epochs=3", "--set", "dim=8"]).assert().success();
    let (run, data, lists) = (world.at("run"), world.at("data"), world.at("lists.csv"));
    alike().args(["recommend", &run, "--all", "--out", &lists, "--top", "50"]).assert().success();
    let asked = ["--split", "test", "--protocol", "clean", "--json"];
    let mut own = json(&[&["evaluate", &run], &asked[..]].concat());
    let mut given = json(&[&["evaluate", "--data", &data, "--ranking", &lists], &asked[..]].concat());
    assert_eq!((own["model"].take(), given["model"].take()), ("lightgcn".into(), "lists".into()));
    assert_eq!(own, given);

    // By scores, in any order of the rows, without ranks.
    let text = fs::read_to_string(&lists).unwrap();
    let mut rows: Vec<String> = text.lines().skip(1).map(|l| l.replace(',', "\t")).collect();
    rows.reverse();
    let cells = |row: &String| {
        let cells: Vec<&str> = row.split('\t').collect();
        format!("{}\t{}\t{}", cells[0], cells[2], cells[3])
    };
    let rows: Vec<String> = rows.iter().map(cells).collect();
    let by_score = world.at("scores.tsv");
    fs::write(&by_score, format!("user\titem\tscore\n{}\nnobody\t1\t2\n", rows.join("\n"))).unwrap();
    let found =
        alike().args(["evaluate", "--data", &data, "--ranking", &by_score]).args(asked).assert().success();
    let note = String::from_utf8(found.get_output().stderr.clone()).unwrap();
    assert!(note.contains("1 rows of") && note.contains("name a user that the data do not have"), "{note}");
    let found: Value = serde_json::from_slice(&found.get_output().stdout).unwrap();
    assert_eq!(found["recall@10"], own["recall@10"]);

    fs::write(&by_score, "user\titem\tscore\n1\t2\tmuch\n").unwrap();
    fails(
        &["evaluate", "--data", &data, "--ranking", &by_score],
        "scores.tsv:2: `much` is no rank and no score",
    );
    fs::write(&by_score, "user\titem\tscore\nx\ty\t1\n").unwrap();
    fails(
        &["evaluate", "--data", &data, "--ranking", &by_score],
        "no row has a user and an item of the data",
    );
}

#[test]
fn vectors_of_a_file_are_evaluated_and_become_a_run() {
    let world = World::new().prepared();
    let (data, file, run) = (world.at("data"), world.at("tastes.safetensors"), world.at("run"));
    // In another order than the data's, with one more.
    let users: Vec<[f32; 2]> = (0..=USERS).rev().map(of_group).collect();
    let items: Vec<[f32; 2]> = (0..=ITEMS).rev().map(of_group).collect();
    let ids = |count: usize| (0..=count).rev().map(|n| n.to_string()).collect();
    let named = [("user_ids", ids(USERS)), ("item_ids", ids(ITEMS))];
    fs::write(&file, vectors(&users, &items, &named)).unwrap();
    let metrics = json(&["evaluate", "--data", &data, "--vectors", &file, "--json", "--out", &run]);
    assert_eq!(metrics["model"], "tastes");
    assert!(metrics["recall@20"].as_f64().unwrap() > 0.99, "{metrics}");
    let mut again = json(&["evaluate", &run, "--json"]);
    assert_eq!(again["model"].take(), "external");
    assert_eq!(again["recall@5"], metrics["recall@5"]);
    let list = json(&["recommend", &run, "--user", "4", "--top", "3", "--json"]);
    for item in list["items"].as_array().unwrap() {
        assert_eq!(item["item"].as_str().unwrap().parse::<usize>().unwrap() % 2, 0, "{list}");
    }

    let wrong = |users: &[[f32; 2]], items: &[[f32; 2]], ids: &[(&str, Vec<String>)], said: &str| {
        fs::write(&file, vectors(users, items, ids)).unwrap();
        fails(&["evaluate", "--data", &data, "--vectors", &file], said);
    };
    wrong(&users, &items, &[], "user vectors without ids; the data have");
    wrong(&users[1..], &items[2..], &[("user_ids", ids(USERS)[1..].to_vec())], "item vectors without ids");
    wrong(
        &users,
        &items[2..],
        &[("user_ids", ids(USERS)), ("item_ids", ids(ITEMS)[2..].to_vec())],
        "has no vector of item `29`",
    );
    let mut broken = users.clone();
    broken[3][1] = f32::NAN;
    wrong(&broken, &items, &named, "holds NaN or infinity");
    fs::write(&file, b"user,item\n").unwrap();
    fails(&["evaluate", "--data", &data, "--vectors", &file], "neither .npz nor .safetensors");
}

#[test]
fn models_are_compared_without_a_file() {
    let world = World::new().prepared();
    let (data, out) = (world.at("data"), world.at("compared"));
    let args =
        ["experiment", "--data", &data, "--models", "popularity,itemknn", "--seeds", "2", "--out", &out];
    alike().args(args).assert().success();
    let results = fs::read_to_string(world.path("compared/results.csv")).unwrap();
    for model in ["popularity", "itemknn"] {
        assert!(results.contains(model), "{results}");
    }
    assert!(world.path("compared/report.html").is_file());
    fails(&["experiment", "--data", &data, "--models", "bpr,bpr", "--out", &out], "bpr");
    for usage in
        [&["experiment"][..], &["experiment", "--data", &data], &["experiment", "x.toml", "--models", "bpr"]]
    {
        alike().args(usage).assert().code(2);
    }
}
