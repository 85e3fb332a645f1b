//! Metrics against numbers of independent implementations, see `golden/metrics.py`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use alike::eval::{Protocol, Split, beyond, groups, rank};
use alike::scorer::{Matrix, Scorer};
use alike_ops::Csr;
use serde::Deserialize;

use crate::golden::prepared;
use crate::npy::write_npy;

#[derive(Deserialize)]
struct Case {
    user_factors: Vec<Vec<f32>>,
    item_factors: Vec<Vec<f32>>,
    train: Vec<Vec<u32>>,
    valid: Vec<Vec<u32>>,
    test: Vec<Vec<u32>>,
    features: BTreeMap<String, Vec<Vec<f32>>>,
    expected: BTreeMap<String, Expected>,
}

#[derive(Deserialize)]
struct Expected {
    users: Vec<u32>,
    mean: BTreeMap<String, f64>,
    beyond: BTreeMap<String, f64>,
    #[serde(rename = "recall@20")]
    recall: Vec<f64>,
    #[serde(rename = "ndcg@20")]
    ndcg: Vec<f64>,
}

fn matrix(rows: &[Vec<f32>]) -> Matrix {
    Matrix::new(rows.len(), rows[0].len(), rows.concat())
}

fn close(name: &str, found: f64, wanted: f64, tolerance: f64) {
    assert!((found - wanted).abs() < tolerance, "{name} is {found}, expected {wanted}");
}

#[test]
fn metrics_agree_with_other_libraries() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let case: Case = serde_json::from_slice(&std::fs::read(folder.join("metrics.json")).unwrap()).unwrap();
    let (users, items) = (case.user_factors.len(), case.item_factors.len());
    let dir = tempfile::tempdir().unwrap();
    let files = case.features.iter().map(|(name, rows)| {
        let file = dir.path().join(format!("{name}.npy"));
        write_npy(&file, rows.len(), rows[0].len(), &rows.concat());
        (name.clone(), file)
    });
    // Prepared with interactions in which every user and item occurs, which the case's then replace.
    let all: Vec<Vec<u32>> =
        (0..users).map(|u| (0..items as u32).filter(|i| *i as usize % users == u).collect()).collect();
    let mut data = prepared(&all, items, files.collect(), dir.path());
    let csr = |rows: &[Vec<u32>]| Arc::new(Csr::from_rows(items, rows).unwrap());
    (data.train, data.valid, data.test) = (csr(&case.train), csr(&case.valid), csr(&case.test));
    let scorer = Scorer::Dot { users: matrix(&case.user_factors), items: matrix(&case.item_factors) };
    for (name, wanted) in &case.expected {
        let (split, protocol) = name.split_once('/').unwrap();
        let (split, protocol): (Split, Protocol) = (split.parse().unwrap(), protocol.parse().unwrap());
        let ranked = rank(&scorer, &data, split, protocol).unwrap();
        let each = ranked.per_user();
        assert_eq!(each.users, wanted.users);
        for (column, values) in [("recall@20", &wanted.recall), ("ndcg@20", &wanted.ndcg)] {
            let found = each.column(column).unwrap();
            found.iter().zip(values).for_each(|(f, w)| close(column, *f, *w, 1e-12));
        }
        let mean = each.mean();
        assert_eq!(mean.0.len(), wanted.mean.len());
        wanted.mean.iter().for_each(|(metric, w)| close(metric, mean.get(metric), *w, 1e-12));
        let other = beyond(&ranked);
        assert_eq!(wanted.beyond.len(), 15);
        wanted.beyond.iter().for_each(|(metric, w)| close(metric, other.get(metric), *w, 1e-5));
        // Each user is in one of his two groups, and their means give the mean of all.
        let groups = groups(&ranked, &each);
        let of = |name: &str| groups.iter().find(|g| g.name == name).unwrap();
        let (cold, warm) = (of("cold-users"), of("warm-users"));
        assert_eq!(cold.users + warm.users, each.users.len());
        let sum = [cold, warm].map(|g| g.users as f64 * g.metrics.get("ndcg@10")).iter().sum::<f64>();
        close("ndcg@10 of both groups", sum / each.users.len() as f64, mean.get("ndcg@10"), 1e-12);
        // A held-out item is cold or warm: hits on both are all hits.
        let hits = |u: &[u32], limit: u32, warm: bool| {
            let taken = |i: u32| case.train.iter().filter(|row| row.contains(&i)).count() as u32;
            u.iter().filter(|i| (taken(**i) > limit) == warm).count()
        };
        let held = if split == Split::Valid { &case.valid } else { &case.test };
        for (group, warm) in [(of("cold-items"), false), (of("warm-items"), true)] {
            assert_eq!(group.users, held.iter().filter(|row| hits(row, group.limit, warm) > 0).count());
        }
    }
}
