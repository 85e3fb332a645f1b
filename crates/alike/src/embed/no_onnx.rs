//! What stands for ONNX models in a build without the feature `onnx`: opening one says so.

use std::path::Path;

use image::{GenericImageView, Rgb};

use crate::embed::settings::{ImageSettings, TextSettings};
use crate::{Error, Result};

fn absent<T>(model: &Path) -> Result<T> {
    Err(Error::Data(format!(
        "{}: this build runs no ONNX models; build it with the feature `onnx`",
        model.display()
    )))
}

/// There is none.
pub(crate) enum OnnxText {}

impl OnnxText {
    pub(crate) fn open(model: &Path, _: (&Path, &[u8]), _: &TextSettings) -> Result<Self> {
        absent(model)
    }

    pub(crate) fn encode(&self, _: &str) -> Result<Vec<f32>> {
        match *self {}
    }
}

/// There is none.
pub(crate) enum OnnxImage {}

impl OnnxImage {
    pub(crate) fn open(model: &Path, _: &ImageSettings) -> Result<Self> {
        absent(model)
    }

    pub(crate) fn encode(&self, _: &impl GenericImageView<Pixel = Rgb<u8>>) -> Result<Vec<f32>> {
        match *self {}
    }
}
