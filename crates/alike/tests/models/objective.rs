//! Losses by setting: every model that takes its loss from the settings learns by each of them.

use alike::layers::{Batch, Negatives, Objective, RankingLoss, Sampling};
use alike::models::{self, Learner};
use alike::replicas::Replicas;
use alike::train::{TrainRequest, fit};
use burn::tensor::Device;

use crate::conformance::request;
use crate::support::{USERS, checkerboard};

const LOSSES: [&str; 3] = ["softmax", "slk", "directau"];

fn by(model: &'static str, loss: &str) -> TrainRequest<'static> {
    let mut request = request(model);
    request.settings.insert("loss".into(), loss.into());
    if loss != "directau" {
        request.settings.insert("loss_shared".into(), 40.into());
    }
    request
}

fn ranking() -> Vec<&'static str> {
    let all = models::all();
    let ranks = all.iter().filter(|m| m.settings().iter().any(|s| s.name == "loss_shared"));
    ranks.map(|m| m.name).collect()
}

#[test]
fn every_model_that_ranks_learns_the_checkerboard_by_every_loss() {
    let dir = tempfile::tempdir().unwrap();
    let data = checkerboard(dir.path());
    assert!(ranking().len() > 15);
    for model in ranking() {
        for loss in LOSSES {
            let summary = fit(&data, &by(model, loss), &mut |_| {}).unwrap();
            let recall = summary.test_public.get("recall@10");
            // 42 items are left, so that chance is .24.
            assert!(recall > 0.7, "{model} by {loss}: Recall@10 {recall}");
        }
        let mut several = request(model);
        several.settings.insert("negatives".into(), 3.into());
        let recall = fit(&data, &several, &mut |_| {}).unwrap().test_public.get("recall@10");
        assert!(recall > 0.9, "{model} with three negatives: Recall@10 {recall}");
    }
}

/// The contrast of items with their nearest by features, by its formula.
#[test]
fn the_contrast_of_items_is_its_formula_and_needs_features() {
    let dir = tempfile::tempdir().unwrap();
    let data = checkerboard(dir.path());
    let settings =
        |weight: f64| toml::toml! { dim = 16 loss_neighbors = weight loss_neighbors_temperature = 0.5 };
    let of = |weight: f64| {
        let Learner::Gradient(model) =
            models::build("bpr", &data, &settings(weight), 5, &Device::flex()).unwrap()
        else {
            panic!("bpr is trained")
        };
        let ids = |list: &[u32]| list.iter().map(|&i| alike::ids::ItemId(i)).collect::<Vec<_>>();
        // Item 8 comes twice.
        let items = [8u32, 2, 30, 8, 41];
        let batch = Batch {
            users: [0, 4, 2, 6, 1].map(alike::ids::UserId).to_vec(),
            positives: ids(&items),
            negatives: ids(&[1, 3, 5, 7, 0]),
        };
        let loss = model.loss(&model.params().with_grad(), &model.step(batch, 1, 0));
        let z = model.vectors().unwrap().into_data().try_into_vec::<f32>().unwrap();
        (f64::from(loss.inner().into_scalar::<f32>()), z)
    };
    let ((plain, z), (with, _)) = (of(0.0), of(0.7));
    let names = ["image", "text"];
    let near = alike::graph::item_mean_graph(&data, &names, 10, &Default::default()).unwrap();
    let cosine = |i: u32, j: u32| {
        let row = |i: u32| z[(USERS + i as usize) * 16..][..16].iter().map(|v| f64::from(*v));
        let dot = |a: u32, b: u32| row(a).zip(row(b)).map(|(a, b)| a * b).sum::<f64>();
        dot(i, j) / (dot(i, i) * dot(j, j)).sqrt()
    };
    let items = [2u32, 8, 30, 41];
    let mut terms = Vec::new();
    for i in items {
        let e = |j: u32| (cosine(i, j) / 0.5).exp();
        let others = || items.into_iter().filter(|&j| j != i);
        let weight = |j: u32| near[i as usize].iter().find(|n| n.0 == j).map_or(0.0, |n| f64::from(n.1));
        let neighbors: f64 = others().map(|j| weight(j) * e(j)).sum();
        if neighbors > 0.0 {
            terms.push(others().map(e).sum::<f64>().ln() - neighbors.ln());
        }
    }
    assert!(!terms.is_empty() && terms.len() < 4, "items with neighbours in the batch, and without");
    let wanted = plain + 0.7 * terms.iter().sum::<f64>() / terms.len() as f64;
    assert!((with - wanted).abs() < 1e-5, "{with}, not {wanted}");

    let bare = dir.path().join("bare");
    let log = dir.path().join("board.inter");
    alike::data::prepare(&alike::data::PrepareOptions {
        split: alike::data::SplitKind::Label,
        ..alike::data::PrepareOptions::new(&log, &bare)
    })
    .unwrap();
    let bare = alike::data::Dataset::open(&bare).unwrap();
    let error = models::find("bpr").unwrap().plan(&bare, &settings(0.1)).unwrap_err().to_string();
    assert!(error.contains("`loss_neighbors` needs item features"), "{error}");
}

#[test]
fn a_run_that_goes_on_ends_where_one_at_once_does() {
    let dir = tempfile::tempdir().unwrap();
    let data = checkerboard(dir.path());
    for loss in LOSSES {
        let with = |epochs: i64, name: &str| {
            let mut request = by("lightgcn", loss);
            request.settings.insert("epochs".into(), epochs.into());
            (request, dir.path().join(format!("{loss}-{name}")))
        };
        let (short, path) = with(2, "short");
        fit(&data, &TrainRequest { run: Some(&path), ..short }, &mut |_| {}).unwrap();
        let (more, _) = with(5, "");
        let resumed =
            fit(&data, &TrainRequest { run: Some(&path), resume: true, ..more }, &mut |_| {}).unwrap();
        let (long, at_once) = with(5, "long");
        let whole = fit(&data, &TrainRequest { run: Some(&at_once), ..long }, &mut |_| {}).unwrap();
        assert_eq!((&resumed.valid, &resumed.test_public), (&whole.valid, &whole.test_public), "{loss}");
        let file = |run: &std::path::Path| {
            let mut files = std::fs::read_dir(run).unwrap().map(|f| f.unwrap().path());
            std::fs::read(files.find(|p| p.to_string_lossy().contains("state-000005")).unwrap()).unwrap()
        };
        assert!(file(&path) == file(&at_once), "{loss}: other parameters");
    }
}

#[test]
fn only_models_that_take_their_loss_from_the_settings_have_these() {
    let dir = tempfile::tempdir().unwrap();
    let data = checkerboard(dir.path());
    let settings = toml::toml! { loss_shared = 3 };
    let error = models::find("bm3").unwrap().plan(&data, &settings).unwrap_err().to_string();
    assert!(error.contains("loss_shared"), "{error}");
    let directau = by("lightgcn", "directau").settings;
    let two = Replicas::build("lightgcn", &data, &directau, 1, &[Device::flex(), Device::flex()]);
    assert!(two.is_err_and(|e| e.to_string().contains("one device")));
}

#[test]
fn batches_are_drawn_as_the_loss_wants_them() {
    let with = |loss| Objective { loss, negatives: 3, loss_shared: 5, ..Objective::default() }.sampling();
    assert_eq!(with(RankingLoss::Bpr).negatives, Negatives::PerPair(3));
    assert_eq!(with(RankingLoss::Softmax).negatives, Negatives::Shared(5));
    assert_eq!(with(RankingLoss::SlK).negatives, Negatives::Shared(5));
    assert_eq!(with(RankingLoss::DirectAu), Sampling::POSITIVES);
}

#[test]
fn thresholds_are_the_ends_of_the_lists_and_the_loss_uses_those_of_its_users() {
    let dir = tempfile::tempdir().unwrap();
    let data = checkerboard(dir.path());
    let mut settings = by("bpr", "slk").settings;
    settings.extend(toml::toml! { loss_top = 4 l2 = 0.01 });
    let build = || match models::build("bpr", &data, &settings, 5, &Device::flex()).unwrap() {
        Learner::Gradient(model) => model,
        Learner::Direct(_) => panic!("bpr is trained"),
    };
    let mut model = build();
    model.start_epoch(1).unwrap();
    let z: Vec<f64> = {
        let z = model.vectors().unwrap().into_data().try_into_vec::<f32>().unwrap();
        z.into_iter().map(f64::from).collect()
    };
    let rows: Vec<&[f64]> = z.chunks(16).collect();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let cosine = |a: &[f64], b: &[f64]| dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
    let (user, item, negatives) = (3usize, 5usize, [8usize, 60, 8]);
    let of = |i: usize| cosine(rows[user], rows[USERS + i]);
    let mut all: Vec<f64> = (0..rows.len() - USERS).map(of).collect();
    all.sort_by(|a, b| b.total_cmp(a));
    let weight = 1.0 / (1.0 + (-(of(item) - all[3]) / 2.25).exp());
    let sum: f64 = negatives.iter().map(|&j| ((of(j) - of(item)) / 0.2).exp()).sum();
    let touched = [user, USERS + item].into_iter().chain(negatives.map(|j| USERS + j));
    let norms: f64 = touched.map(|r| dot(rows[r], rows[r])).sum();
    let batch = Batch {
        users: vec![alike::ids::UserId(user as u32)],
        positives: vec![alike::ids::ItemId(item as u32)],
        negatives: negatives.iter().map(|&j| alike::ids::ItemId(j as u32)).collect(),
    };
    let found = model.loss(&model.params().with_grad(), &model.step(batch, 1, 0));
    let found = f64::from(found.inner().into_scalar::<f32>());
    let wanted = weight * sum.ln() + 0.01 * norms;
    assert!((found - wanted).abs() < 1e-5, "{found}, not {wanted}");
}
