//! People whom NSMAR+ was not trained on: its forward pass for them alone, items and other users where training left
//! them. They have no trained row to start from: `x^(0)` is zero. All of a history takes part, however long.

use std::sync::Arc;

use alike_ops::{Csr, FixedSparse, add, add_propagated};
use burn::tensor::{Tensor, TensorData};
use rayon::prelude::*;

use super::{Nsmar, aggregate, fuse};
use crate::error::Result;
use crate::graph::{Neighbors, Shared};
use crate::layers::Tracked;
use crate::models::Forward;
use crate::scorer::{Matrix, Person, matrix};

/// People whose neighbours one task finds.
const TASK: usize = 256;

struct Fold {
    model: Nsmar,
    p: Tracked,
    /// What each layer of each modality aggregates: the items' rows, `[I, d]`.
    inputs: Vec<Vec<Matrix>>,
    /// The users' rows before each hop over the user graph, `[U, D]`.
    hops: Vec<Matrix>,
}

/// The forward pass of a trained model for anybody.
pub(super) fn of(model: Nsmar) -> Result<Forward> {
    let p = model.params.plain();
    let users = model.users;
    let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
    for m in &model.parts.modalities {
        let mut layers = Vec::new();
        let rows = model.convolve(&p, m, &model.fixed, |x| {
            let items = x.dims()[0] - users;
            layers.push(matrix(x.clone().narrow(0, users, items)));
        });
        outputs.push(model.align(&p, m, rows));
        inputs.push(layers);
    }
    let mut hops = Vec::new();
    if let Some(graphs) = model.graphs.as_ref().filter(|_| model.config.user_graph) {
        let mut z = fuse(outputs);
        for hop in 0..model.config.hops {
            if hop > 0 {
                z = add_propagated(graphs, z);
            }
            hops.push(matrix(z.clone().narrow(0, 0, users)));
        }
    }
    let fold = Fold { model, p, inputs, hops };
    Ok(Box::new(move |people| fold.place(people)))
}

impl Fold {
    /// Rows as the scorer takes them, `[B, D]` or `[B, h]`.
    fn place(&self, people: &[Person]) -> Result<Matrix> {
        let (model, p) = (&self.model, &self.p);
        // Only the items that somebody took are needed.
        let mut items: Vec<u32> = people.iter().flat_map(|person| person.history.iter().copied()).collect();
        items.sort_unstable();
        items.dedup();
        if items.is_empty() {
            items.push(0);
        }
        let local = |i: &u32| items.binary_search(i).expect("every item was collected") as u32;
        let rows: Vec<Vec<u32>> =
            people.iter().map(|person| person.history.iter().map(local).collect()).collect();
        let pattern = Arc::new(Csr::from_rows(items.len(), &rows)?);
        let plain = match model.plain {
            Some(_) => Some(Arc::new(self.plain(&pattern, &items)?)),
            None => None,
        };
        let mut outputs = Vec::new();
        for (m, inputs) in model.parts.modalities.iter().zip(&self.inputs) {
            let layer = |(l, input): (usize, &Matrix)| {
                let taken = items.iter().flat_map(|&i| input.row(i as usize).iter().copied()).collect();
                let x = self.tensor(Matrix::new(items.len(), input.cols, taken));
                aggregate(p, &pattern, plain.as_ref(), x, m.transforms.get(l))
            };
            let sum = inputs.iter().enumerate().map(layer).reduce(add).expect("there is a layer");
            outputs.push(model.align(p, m, sum));
        }
        let mut z = matrix(fuse(outputs));
        self.propagate(people, &mut z);
        let Some([user, _, bias, _]) = model.parts.scorer else { return Ok(z) };
        Ok(matrix(self.tensor(z).matmul(p.matrix(user)) + p.matrix(bias)))
    }

    /// Symmetric weights of the people's edges.
    fn plain(&self, pattern: &Arc<Csr>, items: &[u32]) -> Result<FixedSparse> {
        let users = self.model.users;
        let degree = |&i: &u32| self.model.pattern.degree(users + i as usize).max(1) as f32;
        let taken: &[f32] = &items.iter().map(degree).collect::<Vec<_>>();
        let row = |r: usize| {
            let own = pattern.degree(r) as f32;
            pattern.row(r).iter().map(move |&j| own * taken[j as usize])
        };
        let values = (0..pattern.rows()).flat_map(row).map(|product| product.sqrt().recip());
        Ok(FixedSparse::new(pattern.clone(), values.collect())?)
    }

    /// Adds the rows of the users who share most with each of `people`.
    fn propagate(&self, people: &[Person], z: &mut Matrix) {
        if self.hops.is_empty() {
            return;
        }
        let config = &self.model.config;
        let width = z.cols;
        z.data.par_chunks_mut(width * TASK).zip(people.par_chunks(TASK)).for_each(|(rows, people)| {
            let mut shared = Shared::new(&self.model.train, self.model.train.transposed());
            let mut best = Vec::new();
            for (row, person) in rows.chunks_exact_mut(width).zip(people) {
                let k = config.user_neighbors;
                shared.nearest(&person.history, person.user, k, config.user_weight, &mut best);
                let (weight, idx) = best.drain(..).unzip();
                let near = Neighbors::single(idx, weight).softmax();
                for hop in &self.hops {
                    for (other, weight) in near.row(0) {
                        let other = hop.row(other as usize);
                        row.iter_mut().zip(other).for_each(|(r, o)| *r += weight * o);
                    }
                }
            }
        });
    }

    fn tensor(&self, m: Matrix) -> Tensor<2> {
        Tensor::from_data(TensorData::new(m.data, [m.rows, m.cols]), self.model.params.device())
    }
}
