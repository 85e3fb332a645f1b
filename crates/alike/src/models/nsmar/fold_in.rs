//! People whom NSMAR+ was not trained on: its forward pass for them alone, items and other users where
//! training left them. They have no trained row to start from: `x^(0)` is zero, and `mix` is the mean of all
//! users'. All of a history takes part, however long.

use std::sync::Arc;

use alike_ops::{ConstSparse, Csr, add, matmul, neighbor_similarity, scale_rows, spmm_const};
use burn::tensor::{Tensor, TensorData};
use rayon::prelude::*;

use crate::error::Result;
use crate::graph::{CoCounts, Neighbors, UserWeight};
use crate::layers::{Forward, Linear, ParamId, Weights};
use crate::scorer::{Matrix, UserHistory, matrix};

/// People whose neighbours one task finds.
const TASK: usize = 256;

/// What a trained model leaves for them.
pub(super) struct Fold {
    pub(super) w: Weights,
    /// What each layer of each modality aggregates: the items' rows, `[I, d]`.
    pub(super) inputs: Vec<Vec<Matrix>>,
    /// The weight of each modality.
    pub(super) mix: Vec<f32>,
    /// For the plain convolution: how many users took each item, at least 1, `[I]`.
    pub(super) taken: Option<Vec<f32>>,
    /// The user graph, where there is one.
    pub(super) graph: Option<UserGraph>,
    /// The scorer's map of users.
    pub(super) side: Option<Side>,
}

/// What gives people a place in the user graph.
pub(super) struct UserGraph {
    /// The users' rows before the graph, `[U, D]`.
    pub(super) rows: Matrix,
    /// Who took what, `[U, I]`.
    pub(super) train: Arc<Csr>,
    /// Maximum of a person's neighbours.
    pub(super) neighbors: usize,
    /// What the edges count.
    pub(super) weight: UserWeight,
}

impl Fold {
    /// The forward pass for anybody.
    pub(super) fn forward(self) -> Forward {
        Box::new(move |people| self.place(people))
    }

    /// Rows as the scorer takes them, `[B, D]`.
    fn place(&self, people: &[UserHistory]) -> Result<Matrix> {
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
        let plain = match &self.taken {
            Some(taken) => Some(Arc::new(plain(&pattern, &items, taken)?)),
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
        Ok(match self.side {
            None => z,
            Some(side) => matrix(side.forward(&self.w, self.tensor(z))),
        })
    }

    /// Adds the rows of the users who share most with each of `people`.
    fn propagate(&self, people: &[UserHistory], z: &mut Matrix) {
        let Some(graph) = &self.graph else { return };
        let width = z.cols;
        z.data.par_chunks_mut(width * TASK).zip(people.par_chunks(TASK)).for_each(|(rows, people)| {
            let mut shared = CoCounts::new(&graph.train, graph.train.transposed());
            let mut best = Vec::new();
            for (row, person) in rows.chunks_exact_mut(width).zip(people) {
                let k = graph.neighbors;
                shared.nearest(&person.history, person.user, k, graph.weight, &mut best);
                let (weight, idx) = best.drain(..).unzip();
                let neighbors = Neighbors::single(idx, weight).softmax();
                for (other, weight) in neighbors.row(0) {
                    let other = graph.rows.row(other as usize);
                    row.iter_mut().zip(other).for_each(|(r, o)| *r += weight * o);
                }
            }
        });
    }

    fn tensor(&self, m: Matrix) -> Tensor<2> {
        Tensor::from_data(TensorData::new(m.data.into_vec(), [m.rows, m.cols]), &self.w.device())
    }
}

/// Symmetric weights of the edges from people to `items`; `taken` says of every item how many took it.
fn plain(pattern: &Arc<Csr>, items: &[u32], taken: &[f32]) -> Result<ConstSparse> {
    let taken: &[f32] = &items.iter().map(|&i| taken[i as usize]).collect::<Vec<_>>();
    let row = |r: usize| {
        let own = pattern.degree(r) as f32;
        pattern.row(r).iter().map(move |&j| own * taken[j as usize])
    };
    let values = (0..pattern.rows()).flat_map(row).map(|product| product.sqrt().recip());
    Ok(ConstSparse::new(pattern.clone(), values.collect())?)
}

/// One layer: each row of `pattern` from the rows of `x` that it names, weighed by `plain` where given.
pub(super) fn aggregate(pattern: &Arc<Csr>, plain: Option<&Arc<ConstSparse>>, x: Tensor<2>) -> Tensor<2> {
    match plain {
        Some(plain) => spmm_const(plain, x),
        None => neighbor_similarity(pattern, x),
    }
}

/// The modalities' rows side by side.
pub(super) fn fuse(outputs: Vec<Tensor<2>>) -> Tensor<2> {
    match outputs.len() {
        1 => outputs.into_iter().next().expect("one output"),
        _ => Tensor::cat(outputs, 1),
    }
}

/// One side of the scorer: `x + leaky(x W + b) V`. A bias after `V` would vanish from the difference of two
/// items.
#[derive(Clone, Copy)]
pub(super) struct Side {
    pub(super) hidden: Linear,
    pub(super) back: ParamId,
}

impl Side {
    /// `[n, D]` → `[n, D]`.
    pub(super) fn forward(&self, w: &Weights, x: Tensor<2>) -> Tensor<2> {
        add(x.clone(), matmul(self.hidden.forward_leaky(w, x), w.matrix(self.back)))
    }
}
