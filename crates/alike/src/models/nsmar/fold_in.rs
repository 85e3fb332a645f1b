//! People whom NSMAR+ was not trained on: its forward pass for them alone, items and other users where
//! training left them. They have no trained row to start from: `x^(0)` is zero, and `mix` is the mean of all
//! users'. All of a history takes part, however long.

use std::sync::Arc;

use alike_ops::{ConstSparse, Csr, add, scale_rows};
use burn::tensor::{Tensor, TensorData};
use rayon::prelude::*;

use super::{Nsmar, aggregate, fuse};
use crate::error::Result;
use crate::graph::{CoCounts, Neighbors};
use crate::layers::Weights;
use crate::models::Forward;
use crate::scorer::{Matrix, UserHistory, matrix};

/// People whose neighbours one task finds.
const TASK: usize = 256;

struct Fold {
    model: Nsmar,
    w: Weights,
    /// What each layer of each modality aggregates: the items' rows, `[I, d]`.
    inputs: Vec<Vec<Matrix>>,
    /// The weight of each modality.
    mix: Vec<f32>,
    /// The users' rows before the user graph, `[U, D]`, where there is one.
    users: Option<Matrix>,
}

/// The forward pass of a trained model for anybody.
pub(super) fn of(model: Nsmar, w: Weights) -> Result<Forward> {
    let users = model.users;
    let mut inputs: Vec<Vec<Matrix>> = model.modalities.iter().map(|_| Vec::new()).collect();
    let outputs = model.outputs(&w, &model.fixed, |at, x| {
        let items = x.dims()[0] - users;
        inputs[at].push(matrix(x.clone().narrow(0, users, items)));
    });
    let mix = matrix(w.table(model.mix).mean_dim(0)).data;
    let others = model.config.user_graph.then(|| matrix(fuse(outputs).narrow(0, 0, users)));
    let fold = Fold { model, w, inputs, mix, users: others };
    Ok(Box::new(move |people| fold.place(people)))
}

impl Fold {
    /// Rows as the scorer takes them, `[B, D]`.
    fn place(&self, people: &[UserHistory]) -> Result<Matrix> {
        let model = &self.model;
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
        let output = |(inputs, &weight): (&Vec<Matrix>, &f32)| {
            let layer = |input: &Matrix| {
                let taken = items.iter().flat_map(|&i| input.row(i as usize).iter().copied()).collect();
                aggregate(&pattern, plain.as_ref(), self.tensor(Matrix::new(items.len(), input.cols, taken)))
            };
            let sum = inputs.iter().map(layer).reduce(add).expect("there is a layer");
            let weights = self.tensor(Matrix::new(people.len(), 1, vec![weight; people.len()]));
            scale_rows(sum, weights)
        };
        let mut z = matrix(fuse(self.inputs.iter().zip(&self.mix).map(output).collect()));
        self.propagate(people, &mut z);
        Ok(match model.scorer {
            None => z,
            Some([side, _]) => matrix(side.forward(&self.w, self.tensor(z))),
        })
    }

    /// Symmetric weights of the people's edges.
    fn plain(&self, pattern: &Arc<Csr>, items: &[u32]) -> Result<ConstSparse> {
        let users = self.model.users;
        let degree = |&i: &u32| self.model.pattern.degree(users + i as usize).max(1) as f32;
        let taken: &[f32] = &items.iter().map(degree).collect::<Vec<_>>();
        let row = |r: usize| {
            let own = pattern.degree(r) as f32;
            pattern.row(r).iter().map(move |&j| own * taken[j as usize])
        };
        let values = (0..pattern.rows()).flat_map(row).map(|product| product.sqrt().recip());
        Ok(ConstSparse::new(pattern.clone(), values.collect())?)
    }

    /// Adds the rows of the users who share most with each of `people`.
    fn propagate(&self, people: &[UserHistory], z: &mut Matrix) {
        let Some(users) = &self.users else { return };
        let config = &self.model.config;
        let width = z.cols;
        z.data.par_chunks_mut(width * TASK).zip(people.par_chunks(TASK)).for_each(|(rows, people)| {
            let mut shared = CoCounts::new(&self.model.train, self.model.train.transposed());
            let mut best = Vec::new();
            for (row, person) in rows.chunks_exact_mut(width).zip(people) {
                let k = config.user_neighbors;
                shared.nearest(&person.history, person.user, k, config.user_weight, &mut best);
                let (weight, idx) = best.drain(..).unzip();
                let neighbors = Neighbors::single(idx, weight).softmax();
                for (other, weight) in neighbors.row(0) {
                    let other = users.row(other as usize);
                    row.iter_mut().zip(other).for_each(|(r, o)| *r += weight * o);
                }
            }
        });
    }

    fn tensor(&self, m: Matrix) -> Tensor<2> {
        Tensor::from_data(TensorData::new(m.data, [m.rows, m.cols]), &self.w.device())
    }
}
