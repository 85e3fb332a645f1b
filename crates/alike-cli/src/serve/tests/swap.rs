//! A newer checkpoint takes the place of the one that answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use super::{Served, train};
use crate::serve::index::Choice;
use crate::serve::model::Slot;

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

#[tokio::test]
async fn two_models_side_by_side() {
    let compare = |app: &mut crate::serve::app::App| {
        let run = app.main.current().serving.run().dir.with_file_name("other");
        let data = run.with_file_name("data");
        train(&data, &run, "popularity", 1);
        app.compare = Some(Slot::open(&run, Choice::Exact).unwrap());
    };
    let served = Served::with("bpr", compare).await;
    assert_eq!(served.got("/v1/model?model=compare").await["name"], "popularity");
    assert_eq!(served.got("/v1/model").await["compare"], true);
    let own = served.list("4", "").await;
    let other = served.list("4", "&model=compare").await;
    assert!(own != other && own.len() == other.len());
    served.event("4", &own[0], "take").await;
    assert!(!served.list("4", "&model=compare").await.contains(&own[0]), "events count for both");
}
