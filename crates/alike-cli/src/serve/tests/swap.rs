//! A newer checkpoint takes the place of the one that answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use alike::checkpoint::{RunDir, State};
use alike::scorer::{Matrix, Scorer};
use serde_json::json;

use super::{Served, train};
use crate::serve::index::IndexChoice;
use crate::serve::model::ReloadableModel;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_checkpoint_takes_over_and_no_request_fails() {
    let served = Arc::new(Served::trained("bpr", 2, |_| ()).await);
    let before = served.got("/v1/model").await["checkpoint"].clone();
    let same = served.posted("/v1/model/reload", json!({})).await;
    assert_eq!(same, json!({ "changed": false, "version": 1 }));
    let done = Arc::new(AtomicBool::new(false));
    let load = |user: usize| {
        let (served, done) = (served.clone(), done.clone());
        tokio::spawn(async move {
            let mut versions = std::collections::BTreeSet::new();
            while !done.load(Ordering::SeqCst) {
                let body = served.got(&format!("/v1/users/{user}/recommendations?reasons=1")).await;
                versions.insert(body["model"]["version"].as_u64().unwrap());
                served.event("new", "3", "take").await;
            }
            // The last request begins after the swap.
            let body = served.got(&format!("/v1/users/{user}/recommendations")).await;
            versions.insert(body["model"]["version"].as_u64().unwrap());
            versions
        })
    };
    let clients: Vec<_> = (0..4).map(load).collect();
    let (data, run) = (served.files.path("data"), served.files.path("run"));
    let (swapped, rounds) = (served.clone(), 3);
    for round in 1..=rounds {
        let (data, run) = (data.clone(), run.clone());
        tokio::task::spawn_blocking(move || train(&data, &run, "bpr", 2 + 6 * round)).await.unwrap();
        swapped.posted("/v1/model/reload", json!({})).await;
    }
    done.store(true, Ordering::SeqCst);
    let version = served.app.main.current().version;
    assert!(version > 1, "training on made nothing better");
    for client in clients {
        let versions = client.await.unwrap();
        assert!(versions.contains(&version), "{versions:?}");
    }
    assert_ne!(served.got("/v1/model").await["checkpoint"], before);
}

#[tokio::test]
async fn a_checkpoint_that_cannot_be_read_changes_nothing() {
    let served = Served::new("bpr").await;
    let path = served.files.path("run/state.json");
    let good = std::fs::read_to_string(&path).unwrap();
    let hash = served.app.main.current().checkpoint().to_string();
    std::fs::write(&path, good.replace(&hash, &"0".repeat(64))).unwrap();
    assert_eq!(served.post("/v1/model/reload", &json!({})).await.0, 500);
    std::fs::write(&path, "{").unwrap();
    assert_eq!(served.post("/v1/model/reload", &json!({})).await.0, 500);
    assert_eq!(served.got("/v1/users/4/recommendations").await["model"]["version"], 1);
    std::fs::write(&path, good).unwrap();
    assert_eq!(served.posted("/v1/model/reload", json!({})).await["changed"], false);
}

/// Puts `scorer` in the place of the run's best one, with a hash that is right.
fn forge(served: &Served, scorer: &Scorer) {
    let (run, _) = RunDir::open(&served.files.path("run")).unwrap();
    let params = served.app.main.current().recommender.run().best_params().unwrap();
    let state: State = run.read_json("state.json").unwrap().unwrap();
    let best_file = Some(run.write_best(999, &params, scorer).unwrap());
    run.write_json("state.json", &State { best_file, ..state }).unwrap();
}

#[tokio::test]
async fn a_checkpoint_that_cannot_answer_does_not_take_over() {
    let served = Served::new("bpr").await;
    let Scorer::Dot { users, items } = served.app.main.current().recommender.run().scorer.clone() else {
        panic!()
    };
    let before = served.list("4", "").await;
    let narrow = |m: &Matrix| {
        let data = (0..m.rows).flat_map(|r| m.row(r)[1..].to_vec()).collect();
        Matrix::new(m.rows, m.cols - 1, data)
    };
    let shorter = |m: &Matrix| Matrix::new(m.rows - 1, m.cols, m.data[m.cols..].to_vec());
    let one = |m: &Matrix, value: f32| {
        let mut m = m.clone();
        m.data[3] = value;
        m
    };
    let pair = |out: usize, vectors: Matrix| Scorer::PairMlp {
        users: users.clone(),
        items: items.clone(),
        out: vec![1.0; out],
        vectors,
    };
    let forged = [
        Scorer::Dot { users: narrow(&users), items: items.clone() },
        Scorer::Dot { users: users.clone(), items: narrow(&items) },
        Scorer::Dot { users: shorter(&users), items: items.clone() },
        Scorer::Dot { users: users.clone(), items: shorter(&items) },
        Scorer::Dot { users: one(&users, f32::NAN), items: items.clone() },
        Scorer::Dot { users: users.clone(), items: one(&items, f32::INFINITY) },
        // Finite, but the scores are not.
        Scorer::Dot { users: one(&users, f32::MAX), items: one(&items, f32::MAX) },
        pair(users.cols - 1, items.clone()),
        pair(users.cols, shorter(&items)),
        Scorer::Static { users: users.rows, scores: vec![1.0; items.rows + 1] },
    ];
    for (n, scorer) in forged.iter().enumerate() {
        forge(&served, scorer);
        let (status, body) = served.post("/v1/model/reload", &json!({})).await;
        assert_eq!((status, &body["error"]["code"]), (500, &json!("checkpoint")), "forged {n}: {body}");
        assert_eq!(served.list("4", "").await, before, "forged {n}: the old one goes on");
        assert_eq!(served.got("/v1/model").await["version"], 1);
    }
    let sound = Scorer::Dot { users: users.clone(), items: one(&items, 0.5) };
    forge(&served, &sound);
    assert_eq!(served.posted("/v1/model/reload", json!({})).await, json!({ "changed": true, "version": 2 }));
}

#[tokio::test]
async fn features_that_change_in_their_place_change_no_answer() {
    let served = Served::new("popularity").await;
    let path = served.files.path("data/feature.text.f32");
    let good = std::fs::read(&path).unwrap();
    let search = json!({ "features": [1, 0, 0, 2, 0, 0.5], "modality": "text", "top": 30 });
    let before =
        (served.posted("/v1/items/search", search.clone()).await, served.list("4", "&diversity=0.7").await);
    // As `cp`, `rsync --inplace` and a restore do it; a map of the file would end the process.
    for content in [Vec::new(), vec![0; good.len()], good[..100].to_vec()] {
        std::fs::write(&path, content).unwrap();
        let again = (
            served.posted("/v1/items/search", search.clone()).await,
            served.list("4", "&diversity=0.7").await,
        );
        assert_eq!(again, before);
    }
    // What is damaged is not opened.
    let mut damaged = good.clone();
    damaged[17] ^= 0x20;
    std::fs::write(&path, damaged).unwrap();
    let error = ReloadableModel::open(&served.files.path("run"), IndexChoice::Exact.into())
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("feature.text.f32") && error.contains("damaged"), "{error}");
    std::fs::write(&path, good).unwrap();
    assert!(ReloadableModel::open(&served.files.path("run"), IndexChoice::Exact.into()).is_ok());
}

#[tokio::test]
async fn two_models_side_by_side() {
    let compare = |app: &mut crate::serve::state::App| {
        let run = app.main.current().recommender.run().dir.with_file_name("other");
        let data = run.with_file_name("data");
        train(&data, &run, "popularity", 1);
        app.compare = Some(ReloadableModel::open(&run, IndexChoice::Exact.into()).unwrap());
    };
    let served = Served::with_app("bpr", compare).await;
    assert_eq!(served.got("/v1/model?model=compare").await["name"], "popularity");
    assert_eq!(served.got("/v1/model").await["compare"], true);
    let own = served.list("4", "").await;
    let other = served.list("4", "&model=compare").await;
    assert!(own != other && own.len() == other.len());
    served.event("4", &own[0], "take").await;
    assert!(!served.list("4", "&model=compare").await.contains(&own[0]), "events count for both");
}
