//! What models do under other settings.

use crate::conformance::request;
use crate::support::checkerboard;
use alike::models::{self, Learner, ModelInfo};
use alike::scorer::matrix;
use alike::train::{TrainEvent, fit};
use burn::tensor::Device;

/// Neighbours that are all alike weigh alike: then neighbour similarity is the plain convolution, and only
/// then.
#[test]
fn neighbour_similarity_of_equal_neighbours_is_the_plain_convolution() {
    let dir = tempfile::tempdir().unwrap();
    let data = checkerboard(dir.path());
    let vectors = |model: &str, equal: bool| {
        let learner = models::build(model, &data, &toml::Table::new(), 1, &Device::flex()).unwrap();
        let Learner::Gradient(mut model) = learner else { panic!("a model with a loss") };
        let mut saved = model.params().save();
        for param in saved.iter_mut().filter(|_| equal) {
            match param.name.as_str() {
                // Rows of items are the bias of the shared map; those of users are all the same.
                "item" => param.value.fill(0.0),
                name if name.starts_with("align.") || name.starts_with("missing.") => param.value.fill(0.0),
                "shared.bias" => (0u8..).zip(&mut param.value).for_each(|(c, v)| *v = f32::from(c % 5) - 1.0),
                name if name.starts_with("user.") => {
                    let cols = param.shape[1];
                    (0..).zip(&mut param.value).for_each(|(at, v)| *v = ((at % cols) % 7) as f32 - 2.0);
                }
                _ => {}
            }
        }
        model.params_mut().load(&saved, 0).unwrap();
        matrix(model.vectors().unwrap()).data
    };
    let apart = |equal| {
        let both =
            vectors("nsmar+", equal).into_vec().into_iter().zip(vectors("nsmar+/nc", equal).into_vec());
        both.map(|(a, b)| (a - b).abs() / (1.0 + b.abs())).fold(0f32, f32::max)
    };
    assert!(apart(true) < 1e-5, "{}", apart(true));
    assert!(apart(false) > 1e-3, "{}", apart(false));
}

/// With a contrast between neighbouring layers the pairs of a batch are set against each other: another loss,
/// the same for any number of threads, and devices do not share a batch.
#[test]
fn a_contrast_between_layers_is_one_loss_for_any_threads_and_keeps_a_batch_whole() {
    let dir = tempfile::tempdir().unwrap();
    let data = checkerboard(dir.path());
    let offers = |m: &&ModelInfo| m.settings().iter().any(|s| s.name == "neighbor_contrast");
    let offered: Vec<_> = models::all().into_iter().filter(offers).collect();
    assert!(offered.len() > 1, "models with a contrast between layers");
    for model in offered {
        let losses = |weight: f64, threads: usize| {
            let mut request = request(model.name);
            request.settings.insert("neighbor_contrast".into(), weight.into());
            request.settings.insert("epochs".into(), 2i64.into());
            let separable = model.plan(&data, &request.settings).unwrap().training.unwrap().separable;
            assert_eq!(separable, weight == 0.0, "{}", model.name);
            let mut losses = Vec::new();
            let mut note = |event: TrainEvent<'_>| {
                if let TrainEvent::Batch { loss, .. } = event {
                    losses.push(loss.to_bits());
                }
            };
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| fit(&data, &request, &mut note)).unwrap();
            losses
        };
        let one = losses(0.2, 1);
        assert_eq!(one, losses(0.2, 3), "{}", model.name);
        assert_ne!(one, losses(0.0, 1), "{}", model.name);
    }
}
