//! Models that take a given kNN graph where a modality has no features.

use alike::data::{Dataset, GivenKnn};
use alike::models::{self, Learner};
use alike::train::fit;
use burn::tensor::Device;

use crate::conformance::request;
use crate::support::{ITEMS, checkerboard};

/// Three neighbours of each item, of its own colour; the first item has none, the second two.
fn neighbors(name: &str) -> GivenKnn {
    let near = |i: usize| [2, 4, 6].map(|step| ((i + step) % ITEMS) as u32);
    let mut idx: Vec<u32> = (0..ITEMS).flat_map(near).collect();
    let mut cos = [0.9, 0.8, 0.7].repeat(ITEMS);
    for at in [0, 1, 2, 5] {
        (idx[at], cos[at]) = (u32::MAX, 0.0);
    }
    GivenKnn { name: name.into(), k: 3, idx, cos }
}

fn parameters(data: &Dataset) -> Vec<String> {
    let learner = models::build("soil", data, &request("soil").settings, 1, &Device::flex()).unwrap();
    let Learner::Gradient(model) = learner else { panic!("a model with a loss") };
    model.params().names().map(String::from).collect()
}

#[test]
fn soil_learns_from_neighbours_alone_and_beside_features() {
    for kept in [1, 0] {
        let dir = tempfile::tempdir().unwrap();
        let mut data = checkerboard(dir.path());
        data.features.truncate(kept);
        data.knn = vec![neighbors("text")];
        // A modality without features has a graph, but no gate.
        let gates = parameters(&data).into_iter().filter(|name| name.starts_with("purify."));
        assert_eq!(gates.collect::<Vec<_>>(), ["purify.image.weight", "purify.image.bias"][..2 * kept]);
        let summary = fit(&data, &request("soil"), &mut |_| {}).unwrap();
        let recall = summary.test_public.get("recall@10");
        assert!(recall > 0.9, "{kept} modalities with features: Recall@10 {recall}");
    }
}

#[test]
fn soil_needs_features_or_neighbours() {
    let dir = tempfile::tempdir().unwrap();
    let mut data = checkerboard(dir.path());
    data.features.clear();
    let error = fit(&data, &request("soil"), &mut |_| {}).unwrap_err().to_string();
    assert!(error.contains("item features") && error.contains("alike prepare --feature"), "{error}");
}
