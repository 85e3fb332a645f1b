//! Copies on several devices train as one model on one.

use alike::data::Dataset;
use alike::layers::{Sampler, Saved};
use alike::models;
use alike::replicas::{Built, Replicas};
use alike_ops::Adam;
use burn::tensor::Device;

use crate::conformance::request;
use crate::support::checkerboard;

/// The parameters of every copy after some steps; `None` for a model that is solved at once.
fn trained(model: &'static str, data: &Dataset, devices: &[Device]) -> Option<Vec<Vec<Saved>>> {
    let settings = request(model).settings;
    let Built::Gradient(mut replicas) = Replicas::build(model, data, &settings, 7, devices).unwrap() else {
        return None;
    };
    replicas.each(|model| model.start_epoch(1)).unwrap();
    // Batches of 63: shares differ in size; the last one has fewer triples than there are copies.
    let sampler = Sampler::new(data.train.clone(), None, 7, replicas.first().sampling()).unwrap();
    let mut batches: Vec<_> = sampler.epoch(1, 63).take(5).collect();
    batches.extend(sampler.epoch(2, 1).take(1));
    for (at, batch) in batches.into_iter().enumerate() {
        let length = batch.len();
        let step = replicas.begin(batch, 1, at);
        assert_eq!(step.losses.iter().map(|(_, n)| n).sum::<usize>(), length);
        replicas.finish(step, &Adam { lr: 0.005, ..Adam::default() });
    }
    let mut saved = Vec::new();
    replicas
        .each(|model| {
            saved.push(model.params().save());
            Ok(())
        })
        .unwrap();
    Some(saved)
}

fn distance(a: &[Saved], b: &[Saved]) -> f64 {
    let values = a.iter().zip(b).flat_map(|(a, b)| a.value.iter().zip(&b.value));
    values.map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt()
}

/// Asserts that copies on `devices` end where one on the processor ends, all at the same place.
pub(crate) fn check(model: &'static str, data: &Dataset, devices: &[Device]) {
    let Some(one) = trained(model, data, &[Device::flex()]) else { return };
    let start = {
        let built = Replicas::build(model, data, &request(model).settings, 7, &[Device::flex()]).unwrap();
        let Built::Gradient(replicas) = built else { return };
        replicas.first().params().save()
    };
    let copies = trained(model, data, devices).unwrap();
    assert_eq!(copies.len(), devices.len());
    for copy in &copies {
        assert_eq!(copy, &copies[0], "{model}: copies differ");
        let (moved, apart) = (distance(&one[0], &start), distance(&one[0], copy));
        assert!(moved > 0.0 && apart < 0.01 * moved, "{model}: moved {moved}, apart {apart}");
    }
}

#[test]
fn two_and_three_copies_train_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let data = checkerboard(folder.path());
    for model in models::all() {
        let settings = request(model.name).settings;
        if model.plan(&data, &settings).unwrap().training.is_none_or(|t| t.separable) {
            check(model.name, &data, &[Device::flex(), Device::flex()]);
            check(model.name, &data, &[Device::flex(), Device::flex(), Device::flex()]);
        } else {
            let built = Replicas::build(model.name, &data, &settings, 7, &[Device::flex(), Device::flex()]);
            assert!(built.is_err_and(|e| e.to_string().contains("one device")), "{}", model.name);
        }
    }
}
