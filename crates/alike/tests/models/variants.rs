//! What the presets of one model must and must not share.

use crate::support::checkerboard;
use alike::models::{self, Learner};
use alike::scorer::matrix;
use burn::tensor::Device;

#[test]
fn the_plain_convolution_is_damped_once() {
    let dir = tempfile::tempdir().unwrap();
    let data = checkerboard(dir.path());
    let vectors = |model: &str, damp: bool| {
        let settings = toml::Table::from_iter([("damp_neighbors".into(), toml::Value::Boolean(damp))]);
        let Learner::Gradient(model) = models::build(model, &data, &settings, 1, &Device::flex()).unwrap()
        else {
            panic!("a model with a loss")
        };
        matrix(model.vectors(&model.params().plain()).unwrap()).data
    };
    assert_eq!(vectors("nsmar+/nc", true), vectors("nsmar+/nc", false));
    assert_ne!(vectors("nsmar+", true), vectors("nsmar+", false));
}
