//! What builds a model, and what plans it: parameters, features, graphs and memory are declared once.

use std::sync::Arc;

use alike_ops::{ConstSparse, Csr};
use burn::tensor::{Device, Tensor, TensorData};

use super::{FeatureInput, FeatureMap, Init, Linear, ParamId, Params, Row, Table};
use crate::config::{Draw, ModalityWeights, Stream};
use crate::data::{Dataset, Features};
use crate::error::{Error, Result};
use crate::graph::{self, Normalization};

/// Declares what a model is made of.
///
/// A model is built twice: once for shapes only, to state its size before any memory is taken, and once in
/// earnest. In the first pass graphs and constants are empty and parameters have no values; what is declared
/// counts.
pub struct Builder<'a> {
    data: &'a Dataset,
    params: Params,
    seed: u64,
    /// Numbers that are held beside parameters.
    values: usize,
}

impl<'a> Builder<'a> {
    /// A builder that allocates nothing.
    pub fn shapes_only(data: &'a Dataset) -> Self {
        Self { data, params: Params::shapes_only(), seed: 0, values: 0 }
    }

    /// A builder of a model on `device`, all its randomness drawn from `seed`.
    pub fn new(data: &'a Dataset, seed: u64, device: &Device) -> Self {
        Self { data, params: Params::new(seed, device), seed, values: 0 }
    }

    /// The parameters declared, and how many numbers are held as well.
    pub fn finish(self) -> (Params, usize) {
        (self.params, self.values)
    }

    /// The data to train on.
    pub fn data(&self) -> &'a Dataset {
        self.data
    }

    /// Number of users.
    pub fn users(&self) -> usize {
        self.data.users.len()
    }

    /// Number of items.
    pub fn items(&self) -> usize {
        self.data.items.len()
    }

    /// Number of nodes: users and items.
    pub fn nodes(&self) -> usize {
        self.users() + self.items()
    }

    /// Pairs of a batch of the size `batch`: no more than there are.
    pub fn pairs(&self, batch: usize) -> usize {
        batch.min(self.data().train.nnz())
    }

    /// The feature matrices, one per modality.
    ///
    /// # Errors
    /// There is none.
    pub fn features(&self) -> Result<&'a [Features]> {
        if self.data.features.is_empty() {
            return Err(Error::Data(
                "this model needs item features; the data have none (`alike prepare --feature NAME=FILE`)"
                    .into(),
            ));
        }
        Ok(&self.data.features)
    }

    /// Names of the modalities that have features.
    pub fn modalities(&self) -> Vec<&'a str> {
        self.data.features.iter().map(|f| f.name.as_str()).collect()
    }

    /// A trained table with a row for each user, item or node.
    pub fn table<R: Row>(&mut self, name: &str, width: usize, init: Init) -> Table<R> {
        self.params.table(name, self.data, width, init)
    }

    /// A trained matrix.
    pub fn matrix(&mut self, name: &str, rows: usize, cols: usize, init: Init) -> ParamId {
        self.params.add(name, &[rows, cols], init)
    }

    /// A trained affine map: `<name>.weight`, `<name>.bias`.
    pub fn linear(&mut self, name: &str, input: usize, output: usize) -> Linear {
        Linear::new(&mut self.params, name, input, output)
    }

    /// As [`Self::linear`] with another start of the weight.
    pub fn linear_with(&mut self, name: &str, input: usize, output: usize, init: Init) -> Linear {
        Linear::with_init(&mut self.params, name, input, output, init)
    }

    /// A trained affine map `input.<modality>` of a feature matrix to `width` columns; an item without
    /// features has a learned row there.
    ///
    /// # Errors
    /// The features are not a matrix of the items.
    pub fn input(&mut self, features: &Features, width: usize) -> Result<FeatureInput> {
        let name = format!("input.{}", features.name);
        self.input_with(
            features,
            FeatureMap { name: &name, normalize: false, width, bias: true, filled: width },
        )
    }

    /// As [`Self::input`], set up otherwise.
    ///
    /// # Errors
    /// The features are not a matrix of the items.
    pub fn input_with(&mut self, features: &Features, map: FeatureMap<'_>) -> Result<FeatureInput> {
        // With a transposed copy, for the map's gradient.
        self.values += 2 * features.dim * self.items();
        FeatureInput::new(&mut self.params, features, map)
    }

    /// Lets parameters learn at `share` of the optimiser's learning rate; at 0 they stay as drawn.
    pub fn scale_lr(&mut self, ids: impl IntoIterator<Item = ParamId>, share: f64) {
        ids.into_iter().for_each(|id| self.params.set_lr_scale(id, share));
    }

    /// The normalised bipartite graph of all nodes, `[N, N]`.
    ///
    /// # Errors
    /// The graph is too large for its index type.
    pub fn bipartite(&mut self, normalization: Normalization, self_loops: bool) -> Result<Arc<ConstSparse>> {
        let train = &self.data.train;
        self.sparse(2 * train.nnz(), || graph::bipartite(train, normalization, self_loops))
    }

    /// The mixed item graph of [`graph::item_mean_graph`] among all nodes, `[N, N]`; rows of users are empty.
    ///
    /// # Errors
    /// Those of the graph.
    pub fn item_mean_graph(&mut self, k: usize, weights: &ModalityWeights) -> Result<Arc<ConstSparse>> {
        let (data, names) = (self.data, self.modalities());
        self.sparse(self.items() * k * names.len(), || {
            let near = graph::item_mean_graph(data, &names, k, weights)?;
            graph::block_diagonal(&graph::Neighbors::none(data.users.len()), &near)
        })
    }

    /// A constant sparse matrix of about `entries` entries.
    ///
    /// # Errors
    /// Those of `build`.
    pub fn sparse(
        &mut self,
        entries: usize,
        build: impl FnOnce() -> Result<ConstSparse>,
    ) -> Result<Arc<ConstSparse>> {
        // Value and column, and the same transposed for the backward pass.
        self.values += 4 * entries;
        Ok(Arc::new(match self.params.is_shapes_only() {
            true => ConstSparse::new(Arc::new(nothing()?), Vec::new())?,
            false => build()?,
        }))
    }

    /// A pattern of about `entries` entries.
    ///
    /// # Errors
    /// Those of `build`.
    pub fn pattern(&mut self, entries: usize, build: impl FnOnce() -> Result<Csr>) -> Result<Csr> {
        self.values += 2 * entries;
        match self.params.is_shapes_only() {
            true => nothing(),
            false => build(),
        }
    }

    /// A constant column, `[n, 1]`.
    pub fn column(&mut self, values: impl FnOnce() -> Vec<f32>) -> Tensor<2> {
        let values = if self.params.is_shapes_only() { Vec::new() } else { values() };
        let rows = values.len();
        Tensor::from_data(TensorData::new(values, [rows, 1]), self.params.device())
    }

    /// Declares that a training step holds so many numbers more than parameters, their moments and gradients,
    /// features and graphs: activations and their gradients, at the peak.
    pub fn holds(&mut self, values: usize) {
        self.values += values;
    }

    /// The draw that evaluation uses.
    pub fn evaluation(&self) -> Draw {
        Draw::new(self.seed, Stream::EVALUATION)
    }
}

/// The pattern that stands for one of a first pass.
fn nothing() -> Result<Csr> {
    Ok(Csr::new(0, 0, vec![0], Vec::new())?)
}
