//! `alloy`: what it is made of, held against the models it is made of.

use std::fmt::Write as _;

use alike::data::{Dataset, PrepareOptions, SplitKind, prepare};
use alike::models::{self, Learner, LinearPart};
use alike::scorer::{Hybrid, ItemItem, Scorer};
use alike::train::{Summary, TrainEvent, fit};
use burn::tensor::Device;

use crate::conformance::request;
use crate::support::checkerboard;

fn scorer(model: &str, data: &Dataset, settings: toml::Table) -> Scorer {
    match models::build(model, data, &settings, 3, &Device::flex()).unwrap() {
        Learner::Direct(solve) => solve(data, &()).unwrap(),
        Learner::Gradient(model) => match model.linear(data, &()).unwrap() {
            None => model.scorer().unwrap(),
            Some(part) => {
                let whole = part.added(model.device_scorer().unwrap());
                whole.rescaled(part.shares()[0] as f32).to_host()
            }
        },
    }
}

#[test]
fn it_is_the_vectors_of_nsmar_plus_and_the_weights_of_slim_at_the_share_that_is_set() {
    let dir = tempfile::tempdir().unwrap();
    let data = checkerboard(dir.path());
    let alloy = scorer("alloy", &data, toml::toml! { linear = 0.3 linear_l2 = 4.0 linear_features = 0.7 });
    let Scorer::Hybrid(Hybrid { users, items, weights }) = alloy else { panic!("both kinds of scores") };
    let Scorer::Dot { users: plain_users, items: plain_items } = scorer("nsmar+", &data, toml::Table::new())
    else {
        panic!("inner products")
    };
    assert_eq!((&users, &items), (&plain_users, &plain_items));

    let slim = scorer("slim", &data, toml::toml! { l2 = 4.0 feature_weight = 0.7 });
    let Scorer::ItemItem(slim) = slim else { panic!("weights between items") };
    assert_eq!(weights.pattern.idx(), slim.pattern.idx());
    let scale = weights.values[0] / slim.values[0];
    let near = |(a, b): (&f32, &f32)| (a - b * scale).abs() <= 1e-5 * a.abs();
    assert!(weights.values.iter().zip(&slim.values).all(near));

    // The share, by all scores there are.
    let deviation = |score: &dyn Fn(u32) -> f32| {
        let scores: Vec<f64> = (0..items.rows as u32).map(|i| f64::from(score(i))).collect();
        let mean = scores.iter().sum::<f64>() / scores.len() as f64;
        (scores.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / scores.len() as f64).sqrt()
    };
    let sums = |weights: &ItemItem, u: usize, i| weights.sum(weights.history.row(u), i);
    let dot = |u: usize, i: u32| -> f32 {
        users.row(u).iter().zip(items.row(i as usize)).map(|(a, b)| a * b).sum()
    };
    let (mut linear, mut inner) = (0.0, 0.0);
    for u in 0..users.rows {
        linear += deviation(&|i| sums(&weights, u, i));
        inner += deviation(&|i| dot(u, i));
    }
    assert!((linear / inner - 0.3).abs() < 1e-4, "{}", linear / inner);
}

#[test]
fn the_share_that_is_best_on_validation_is_taken_and_the_others_are_not_better() {
    let dir = tempfile::tempdir().unwrap();
    let data = checkerboard(dir.path());
    let fitted = |share: Option<f64>| {
        let mut request = request("alloy");
        request.settings.insert("epochs".into(), 1i64.into());
        request.settings.extend(share.map(|s| ("linear".to_string(), s.into())));
        let mut log = Vec::new();
        let mut note = |event: TrainEvent<'_>| {
            if let TrainEvent::Epoch { record, .. } = event {
                log.push(record.clone());
            }
        };
        let summary = fit(&data, &request, &mut note).unwrap();
        let [record] = &log[..] else { panic!("one epoch") };
        assert_eq!(record.valid.as_ref(), Some(&summary.valid));
        (summary.valid, record.share.unwrap())
    };
    let (best, share) = fitted(None);
    let set: Vec<_> = LinearPart::SHARES.into_iter().filter(|&s| s > 0.0).map(|s| fitted(Some(s))).collect();
    assert!(set.iter().all(|(valid, _)| valid.get("recall@20") <= best.get("recall@20")));
    assert!(share == 0.0 || set.iter().any(|(valid, set)| *set == share && *valid == best));
    let mut other = set.iter().map(|(valid, _)| valid);
    let first = other.next().unwrap();
    assert!(other.any(|valid| valid != first), "the share changes lists");
}

#[test]
fn it_works_where_items_have_no_features() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = String::from("user,item,time\n");
    for u in 0..30 {
        for n in 0..12 {
            writeln!(log, "{u},{},{n}", 2 * ((n * 5 + u) % 16) + u % 2).unwrap();
        }
    }
    std::fs::write(dir.path().join("log.csv"), log).unwrap();
    let out = dir.path().join("data");
    prepare(&PrepareOptions {
        split: SplitKind::Temporal,
        ..PrepareOptions::new(dir.path().join("log.csv"), &out)
    })
    .unwrap();
    let data = Dataset::open(&out).unwrap();
    assert!(data.features.is_empty() && data.knn.is_empty());
    let mut longer = request("alloy");
    longer.settings.insert("epochs".into(), 60i64.into());
    let summary = fit(&data, &longer, &mut |_| {}).unwrap();
    // Half of the items are of a user's own kind; by chance ten of the 22 that are left hold .45.
    let recall = |summary: &Summary| summary.valid.get("recall@10");
    let popular = fit(&data, &request("popularity"), &mut |_| {}).unwrap();
    assert!(recall(&summary) > 0.75, "{}", recall(&summary));
    assert!(recall(&popular) < 0.7, "{}", recall(&popular));
    assert!(fit(&data, &request("nsmar+"), &mut |_| {}).unwrap_err().to_string().contains("item features"));
}
