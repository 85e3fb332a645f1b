//! Candidates from an index: the lists are those of the exact scan, whatever filters say and whatever
//! happens.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;

use alike::checkpoint::{FORMAT, RunDir, RunInfo, State};
use alike::data::{Dataset, PrepareOptions, SplitKind, prepare};
#[cfg(feature = "hnsw")]
use alike::scorer::{Hybrid, ItemItem};
use alike::scorer::{Matrix, Scorer};
#[cfg(feature = "hnsw")]
use alike_ops::Csr;
use serde_json::{Value, json};

#[cfg(feature = "postgres")]
use super::cluster::Cluster;
use super::{Served, files, items};
use crate::serve::index::IndexChoice;
use crate::serve::model::ReloadableModel;
#[cfg(feature = "postgres")]
use crate::skipped::skipped;

const USERS: usize = 80;
const ITEMS: usize = 4000;
const DIM: usize = 16;

/// A number between -1 and 1 that depends on `n` alone.
fn noise(n: usize) -> f32 {
    let hash = blake3::hash(&n.to_le_bytes());
    f32::from(u16::from_le_bytes([hash.as_bytes()[0], hash.as_bytes()[1]])) / 32767.5 - 1.0
}

/// Writes checkpoint `epoch` of a run.
fn write_checkpoint(files: &files::World, epoch: usize) {
    let (users, items) = vectors(epoch);
    write_scorer(files, epoch, &Scorer::Dot { users, items });
}

/// Items in forty groups, of different lengths, and people between two groups; the people first.
fn vectors(epoch: usize) -> (Matrix, Matrix) {
    let centre = |group: usize, d: usize| noise(epoch * 100_000 + group % 40 * DIM + d);
    let item = |i: usize, d: usize| {
        (1.0 + 0.5 * noise(7 * i + epoch)) * (centre(i, d) + 0.5 * noise(1_000_000 * epoch + i * DIM + d))
    };
    let user = |u: usize, d: usize| {
        centre(u, d) + centre(3 * u + 1, d) + 0.3 * noise(9_000_000 * epoch + u * DIM + d)
    };
    let matrix = |rows: usize, value: &dyn Fn(usize, usize) -> f32| {
        let values = (0..rows).flat_map(|r| (0..DIM).map(move |d| (r, d))).map(|(r, d)| value(r, d));
        Matrix::new(rows, DIM, values.collect())
    };
    (matrix(USERS, &user), matrix(ITEMS, &item))
}

fn write_scorer(files: &files::World, epoch: usize, scorer: &Scorer) {
    let data = Dataset::open(&files.path("data")).unwrap();
    let run = match RunDir::open(&files.path("run")) {
        Ok((run, _)) => run,
        Err(_) => {
            let info = RunInfo {
                format: FORMAT,
                version: "0".into(),
                model: "bpr".into(),
                settings: toml::Table::new(),
                seed: 1,
                data: files.path("data"),
                data_from_run: None,
                data_hash: data.hash.clone(),
                warm_start: None,
                devices: Vec::new(),
            };
            RunDir::create(&files.path("run"), &info).unwrap()
        }
    };
    let best_file = Some(run.write_best(epoch, &[], scorer).unwrap());
    run.commit(&State { epoch, best_epoch: epoch, best_file, ..State::default() }).unwrap();
}

/// A catalogue that is large enough for an index: everything is of the category `all`, half of it `half`, few
/// `few`.
fn wide() -> Arc<files::World> {
    let files = files::World::new();
    let mut log = String::from("userID\titemID\tx_label\n");
    let mut catalogue = String::new();
    for i in 0..ITEMS {
        writeln!(log, "{}\t{i}\t{}", i % USERS, if i < 2 * USERS { 1 + i / USERS } else { 0 }).unwrap();
        let kinds = ["all", "half", "few"].into_iter().zip([1, 2, 500]).filter(|k| i % k.1 == 0);
        let kinds: Vec<&str> = kinds.map(|k| k.0).collect();
        writeln!(catalogue, "{}", json!({ "itemID": i, "title": format!("{i}"), "genres": kinds })).unwrap();
    }
    std::fs::write(files.path("log.inter"), log).unwrap();
    std::fs::write(files.path("items.jsonl"), catalogue).unwrap();
    let options = PrepareOptions {
        items: Some(files.path("items.jsonl")),
        split: SplitKind::Label,
        ..PrepareOptions::new(files.path("log.inter"), files.path("data"))
    };
    prepare(&options).unwrap();
    write_checkpoint(&files, 1);
    Arc::new(files)
}

/// How many lists came from the index, and from a scan.
async fn counts(served: &Served) -> (u64, u64) {
    let page = served.get("/metrics").await.1;
    let of = |from: &str| {
        let start = format!("alike_lists_total{{from=\"{from}\"}} ");
        let line = page.as_str().unwrap().lines().find_map(|l| l.strip_prefix(&start));
        line.map_or(0, |n| n.parse().unwrap())
    };
    (of("index"), of("scan"))
}

/// Items and scores of a list.
fn scored(body: &Value) -> Vec<(String, f64)> {
    let one = |i: &Value| (i["item"].as_str().unwrap().to_string(), i["score"].as_f64().unwrap());
    body["items"].as_array().unwrap().iter().map(one).collect()
}

/// Asks both for everybody; how much of the exact lists the index found. Scores must be the exact ones.
async fn agreement(exact: &Served, indexed: &Served, more: &Value) -> f64 {
    let (mut found, mut wanted) = (0, 0);
    for user in 0..USERS {
        let mut ask = json!({ "user": user.to_string(), "top": 20 });
        ask.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let truth = scored(&exact.posted("/v1/recommendations", ask.clone()).await);
        let list = scored(&indexed.posted("/v1/recommendations", ask).await);
        assert_eq!(list.len(), truth.len(), "user {user} {more}");
        assert!(list.is_sorted_by(|a, b| a.1 >= b.1));
        wanted += truth.len();
        for (item, score) in &list {
            let Some((_, real)) = truth.iter().find(|t| t.0 == *item) else { continue };
            assert!((score - real).abs() < 1e-4, "user {user}, item {item}: {score}, not {real}");
            found += 1;
        }
    }
    found as f64 / wanted as f64
}

/// What holds of any index.
async fn contract(files: &Arc<files::World>, index: IndexChoice, least: f64) {
    let exact = Served::open(files.clone(), IndexChoice::Exact).await;
    let indexed = Served::open(files.clone(), index).await;
    let found = agreement(&exact, &indexed, &json!({})).await;
    assert!(found >= least, "found {found}");
    assert_eq!(counts(&indexed).await, (USERS as u64, 0), "every list came from the index");
    assert_eq!(counts(&exact).await, (0, USERS as u64));
    // Filters that leave much are answered from the index, too.
    let found = agreement(&exact, &indexed, &json!({ "category": "half" })).await;
    assert!(found >= least, "found {found}");
    let (by_index, by_scan) = counts(&indexed).await;
    assert!(by_index > USERS as u64 * 3 / 2, "{by_index} from the index, {by_scan} from a scan");
    // Those that leave little are not.
    let few: Vec<String> = (0..ITEMS).step_by(7).take(30).map(|i| i.to_string()).collect();
    for filter in [json!({ "category": "few" }), json!({ "allow": few })] {
        let before = counts(&indexed).await.0;
        assert_eq!(agreement(&exact, &indexed, &filter).await, 1.0);
        assert_eq!(counts(&indexed).await.0, before, "{filter}");
    }
    // Anyone who denies all that is near gets what is farther, and nothing of what they denied, took or
    // dislikes.
    for user in ["3", "41"] {
        let mut denied = BTreeSet::new();
        for _ in 0..8 {
            let ask = json!({ "user": user, "top": 100, "deny": denied });
            let list = items(&exact.posted("/v1/recommendations", ask.clone()).await);
            let found = items(&indexed.posted("/v1/recommendations", ask).await);
            assert!(found.len() == 100 && found.iter().all(|i| !denied.contains(i)));
            let common = found.iter().filter(|i| list.contains(i)).count();
            assert!(common >= 80, "{common} of 100 beside {}", denied.len());
            denied.extend(list);
        }
    }
    let first = indexed.list("5", "").await[0].clone();
    indexed.event("5", &first, "dislike").await;
    let list = indexed.list("5", "").await;
    assert!(!list.contains(&first) && list.len() == 30);
    let all = indexed.list("5", "&seen=true&diversity=0.5").await;
    assert!(!all.contains(&first) && all.len() == 30);
    // People nobody knew.
    let ask = json!({ "items": ["40", "80", "120"], "top": 20 });
    let truth = items(&exact.posted("/v1/recommendations", ask.clone()).await);
    let list = items(&indexed.posted("/v1/recommendations", ask).await);
    assert!(list.iter().filter(|i| truth.contains(i)).count() >= 18, "{list:?} {truth:?}");
}

/// A newer checkpoint has an index of its own.
async fn swapped(files: &Arc<files::World>, index: IndexChoice) {
    let indexed = Served::open(files.clone(), index.clone()).await;
    write_checkpoint(files, 2);
    assert_eq!(indexed.posted("/v1/model/reload", json!({})).await["version"], 2);
    let exact = Served::open(files.clone(), IndexChoice::Exact).await;
    let before = counts(&indexed).await;
    let found = agreement(&exact, &indexed, &json!({})).await;
    assert!(found >= 0.97, "found {found}");
    assert_eq!(counts(&indexed).await, (before.0 + USERS as u64, before.1));
    assert_eq!(indexed.got("/v1/model").await["version"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_graph_finds_what_a_scan_finds() {
    let files = wide();
    contract(&files, IndexChoice::Hnsw, 0.97).await;
    swapped(&files, IndexChoice::Hnsw).await;
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread")]
async fn pgvector_finds_what_a_scan_finds() {
    let Some(cluster) = Cluster::named() else {
        skipped("postgresql", "PostgreSQL is not installed");
        return;
    };
    let url = cluster.database("vectors");
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let number = async |query: &str| client.query_one(query, &[]).await.unwrap().get::<_, i64>(0);
    let files = wide();
    if number("SELECT count(*) FROM pg_available_extensions WHERE name = 'vector'").await == 0 {
        let error = refused(files.clone(), IndexChoice::Postgres(url)).await;
        assert!(error.contains("needs the extension pgvector 0.5 or newer"), "{error}");
        skipped(
            "pgvector",
            "this PostgreSQL has no pgvector; name one that has by ALIKE_TEST_POSTGRES=…/bin",
        );
        return;
    }
    let tables = "SELECT count(*) FROM pg_tables WHERE tablename LIKE 'alike\\_vectors\\_%'";
    contract(&files, IndexChoice::Postgres(url.clone()), 0.97).await;
    assert_eq!(
        (number(tables).await, number("SELECT count(*) FROM pg_indexes WHERE indexdef LIKE '%hnsw%'").await),
        (1, 1)
    );
    // Servers that start together write one table; the next finds it as it is.
    let oid = "SELECT oid::bigint FROM pg_class WHERE relname LIKE 'alike\\_vectors\\_%' AND relkind = 'r'";
    let before = number(oid).await;
    let again = |_| tokio::spawn(Served::open(files.clone(), IndexChoice::Postgres(url.clone())));
    for task in (0..3).map(again).collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert_eq!(number(oid).await, before);
    // A table of ours that nobody holds goes when a new one is written; what is not ours stays.
    client
        .batch_execute(&format!(
            "CREATE TABLE alike_vectors_{} (item int); CREATE TABLE alike_vectors_mine ()",
            "0".repeat(32)
        ))
        .await
        .unwrap();
    let holds = Served::open(files.clone(), IndexChoice::Postgres(url.clone())).await;
    swapped(&files, IndexChoice::Postgres(url.clone())).await;
    let names = client
        .query("SELECT tablename::text FROM pg_tables WHERE tablename LIKE 'alike%'", &[])
        .await
        .unwrap();
    let names: BTreeSet<String> = names.iter().map(|row| row.get(0)).collect();
    let hash = |served: &Served| format!("alike_vectors_{}", &served.app.main.current().checkpoint()[..32]);
    let new = Served::open(files.clone(), IndexChoice::Postgres(url.clone())).await;
    assert_eq!(names, BTreeSet::from([hash(&holds), hash(&new), "alike_vectors_mine".to_string()]));
    // Without the database lists come from a scan, and from the index when it is back.
    let list = new.list("7", "").await;
    cluster.control("stop");
    let (by_index, by_scan) = counts(&new).await;
    for _ in 0..5 {
        assert_eq!(new.list("7", "").await, list);
    }
    assert_eq!(counts(&new).await, (by_index, by_scan + 5));
    cluster.control("start");
    assert_eq!(new.list("7", "").await, list);
    assert_eq!(counts(&new).await.0, by_index + 1);
}

/// What is said to an index that cannot be.
async fn refused(files: Arc<files::World>, index: IndexChoice) -> String {
    let opened = tokio::task::spawn_blocking(move || ReloadableModel::open(&files.path("run"), index.into()));
    opened.await.unwrap().err().unwrap().to_string()
}

/// What weights between items lift above all else is far from where the vectors of people point.
#[cfg(feature = "hnsw")]
#[tokio::test(flavor = "multi_thread")]
async fn items_that_weights_reach_are_candidates_too() {
    let files = wide();
    let (users, items) = vectors(2);
    let pattern: Vec<Vec<u32>> = (0..ITEMS).map(|j| vec![((j + ITEMS / 2 + 1) % ITEMS) as u32]).collect();
    let weights = ItemItem {
        history: Dataset::open(&files.path("data")).unwrap().train.clone(),
        pattern: Arc::new(Csr::from_rows(ITEMS, &pattern).unwrap()),
        values: vec![50.0; ITEMS],
    };
    write_scorer(&files, 2, &Scorer::Hybrid(Hybrid { users, items, weights }));
    let exact = Served::open(files.clone(), IndexChoice::Exact).await;
    let indexed = Served::open(files.clone(), IndexChoice::Hnsw).await;
    let found = agreement(&exact, &indexed, &json!({})).await;
    assert!(found >= 0.97, "found {found}");
    assert_eq!(counts(&indexed).await, (USERS as u64, 0), "every list came from the index");
    let list = scored(&exact.posted("/v1/recommendations", json!({ "user": "7", "top": 20 })).await);
    assert!(list.iter().all(|(_, score)| *score > 40.0), "{list:?}");
}

#[tokio::test]
async fn models_without_inner_products_have_no_index() {
    let served = Served::trained("slim", 1, |_| ()).await;
    for index in [IndexChoice::Hnsw, IndexChoice::Postgres("postgres://localhost:1/none".into())] {
        let error = refused(served.files.clone(), index).await;
        let says = "slim: an index needs a model that ranks by inner product; this one has weights between items; \
            allowed: --index exact";
        assert_eq!(error.lines().next(), Some(error.as_str()));
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn places_of_an_index_are_parsed() {
    assert_eq!("hnsw".parse(), Ok(IndexChoice::Hnsw));
    assert_eq!("exact".parse(), Ok(IndexChoice::Exact));
    assert!(matches!("postgres://host/db".parse(), Ok(IndexChoice::Postgres(_))));
    for wrong in ["", "HNSW", "qdrant://x"] {
        let error = wrong.parse::<IndexChoice>().unwrap_err();
        assert_eq!(error, "expected exact, hnsw or postgres://…");
    }
}
