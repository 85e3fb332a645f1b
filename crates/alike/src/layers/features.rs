//! Item features as models take them in.

use std::sync::Arc;

use alike_ops::{FrozenFeatures, add_row, project, project_rows};
use burn::tensor::{Tensor, TensorData};

use super::{Init, ParamId, Params, Weights, gather, on_device_of};
use crate::data::Features;
use crate::error::Result;
use crate::ids::{ItemId, numbers};

/// The frozen features of one modality, an affine map of them, and a learned row for items that have none.
#[derive(Debug)]
pub struct FeatureInput {
    weight: ParamId,
    bias: Option<ParamId>,
    missing: Option<ParamId>,
    /// Features, and a column of 1 where they are missing; `None` where only shapes are wanted.
    loaded: Option<(Arc<FrozenFeatures>, Option<Tensor<2>>)>,
}

/// How a [`FeatureInput`] is set up.
#[derive(Debug, Clone, Copy)]
pub struct FeatureMap<'a> {
    /// Names of the map's parameters begin so.
    pub name: &'a str,
    /// Whether feature rows are scaled to length 1 first.
    pub normalize: bool,
    /// Width of the map's result.
    pub width: usize,
    /// Whether the map has a bias. Where only differences of two items are seen, it would get no gradient.
    pub bias: bool,
    /// Width of the rows in which missing items are filled.
    pub filled: usize,
}

impl FeatureInput {
    /// Registers `missing.<modality>` where items lack features, and `<name>.weight`, `<name>.bias`.
    pub fn new(params: &mut Params, features: &Features, map: FeatureMap<'_>) -> Result<Self> {
        let lacking = features.missing.contains(&true);
        let missing =
            lacking.then(|| params.add(&format!("missing.{}", features.name), &[map.filled], Init::Xavier));
        let weight = params.add(&format!("{}.weight", map.name), &[features.dim, map.width], Init::Xavier);
        let bias = map.bias.then(|| params.add(&format!("{}.bias", map.name), &[map.width], Init::Zeros));
        let loaded =
            if params.is_shapes_only() { None } else { Some(load(params, features, map.normalize)?) };
        Ok(Self { weight, bias, missing, loaded })
    }

    /// `X W + b`, `[I, width]`; rows of missing items are not filled yet.
    pub fn project(&self, w: &Weights) -> Tensor<2> {
        self.biased(w, project(&self.loaded().0, w.matrix(self.weight)))
    }

    /// `rows [I, filled]` with the learned row where features are missing.
    pub fn fill(&self, w: &Weights, rows: Tensor<2>) -> Tensor<2> {
        match &self.loaded().1 {
            Some(column) => self.filled(w, rows, column.clone()),
            None => rows,
        }
    }

    /// [`Self::project`], filled.
    pub fn forward(&self, w: &Weights) -> Tensor<2> {
        self.fill(w, self.project(w))
    }

    /// The rows of the items `items` of [`Self::forward`], in that order; the others are not worked out.
    pub fn forward_rows(&self, w: &Weights, items: &[ItemId]) -> Tensor<2> {
        let (features, column) = self.loaded();
        let items = numbers(items);
        let rows = self.biased(w, project_rows(features, items, w.matrix(self.weight)));
        match column {
            Some(column) => self.filled(w, rows, gather(column.clone(), items)),
            None => rows,
        }
    }

    fn loaded(&self) -> &(Arc<FrozenFeatures>, Option<Tensor<2>>) {
        self.loaded.as_ref().expect("features are loaded unless only shapes are wanted")
    }

    fn biased(&self, w: &Weights, rows: Tensor<2>) -> Tensor<2> {
        match self.bias {
            Some(bias) => add_row(rows, w.matrix(bias)),
            None => rows,
        }
    }

    /// `rows` with the learned row where `column` is 1.
    fn filled(&self, w: &Weights, rows: Tensor<2>, column: Tensor<2>) -> Tensor<2> {
        let Some(row) = self.missing else { return rows };
        let column = on_device_of(&column, &rows);
        rows * (column.clone().neg() + 1.0) + column.matmul(w.matrix(row))
    }
}

fn load(
    params: &Params,
    features: &Features,
    normalize: bool,
) -> Result<(Arc<FrozenFeatures>, Option<Tensor<2>>)> {
    let mut values = features.values().to_vec();
    if normalize {
        for row in values.chunks_exact_mut(features.dim) {
            let norm = row.iter().map(|v| v * v).sum::<f32>().sqrt();
            if norm > 0.0 {
                row.iter_mut().for_each(|v| *v /= norm);
            }
        }
    }
    let items = features.missing.len();
    let column = features.missing.contains(&true).then(|| {
        let column: Vec<f32> = features.missing.iter().map(|&m| f32::from(u8::from(m))).collect();
        Tensor::from_data(TensorData::new(column, [items, 1]), params.device())
    });
    Ok((Arc::new(FrozenFeatures::new(values, items, features.dim)?), column))
}
