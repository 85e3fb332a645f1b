//! The contrast between neighbouring layers of a propagation: Xu et al., "NLGCL: Naturally Existing Neighbor
//! Layers Graph Contrastive Learning for Recommendation", RecSys 2025.
//!
//! What an item is in layer `l` is made of what its users were in layer `l - 1`, and the other way round: two
//! views without augmentation. Of layers `g^0 … g^L`, `[N, d]` each, and the batch's pairs `(u, i)`, each as
//! often as it was drawn: `Σ_{l=1..L} [α · NCE(g_i^l, g_u^{l-1}) + (1 - α) · NCE(g_u^l, g_i^{l-1})]`, with
//! `NCE(a, c) = -1/b Σ_r log(exp(a_r·c_r/τ) / Σ_s exp(a_r·c_s/τ))` over unit rows.
//!
//! Departure: a mean over the pairs (the authors' code sums them: multiply its weight by the batch size).

use std::sync::Arc;

use alike_ops::{ConstSparse, gather, info_nce, spmm_const, unit_rows};
use burn::tensor::Tensor;

use super::Step;

/// The contrast as the settings of a model have it.
#[derive(Debug, Clone, Copy)]
pub struct NeighborContrast {
    weight: f32,
    balance: f32,
    temperature: f32,
}

impl NeighborContrast {
    /// Of weight `weight` in the loss, 0 for none; `balance` is `α`, `temperature` is `τ`.
    pub fn new(weight: f64, balance: f64, temperature: f64) -> Self {
        Self { weight: weight as f32, balance: balance as f32, temperature: temperature as f32 }
    }

    /// Whether there is none. Where there is one, devices cannot share a batch.
    pub fn is_off(&self) -> bool {
        self.weight == 0.0
    }

    /// How many numbers a step holds for it with `layers` propagations of `nodes` rows, `dim` wide, where a
    /// batch has `pairs` pairs: the layers, and of the pairs their rows and similarities.
    pub fn held(&self, layers: usize, nodes: usize, dim: usize, pairs: usize) -> usize {
        if self.is_off() {
            return 0;
        }
        (layers + 3) * nodes * dim + pairs * (2 * layers * pairs + 4 * (layers + 1) * dim)
    }

    /// `loss` + the weighted contrast of the layers that `layers` gives, the first one first, over the
    /// pairs of `step`. Where there is none, no layer is asked for.
    pub fn added(&self, loss: Tensor<1>, step: &Step, layers: impl FnOnce() -> Vec<Tensor<2>>) -> Tensor<1> {
        if self.is_off() {
            return loss;
        }
        let pairs = step.pairs(step.nodes());
        let views = |layer: &Tensor<2>| pairs.each_ref().map(|rows| unit_rows(gather(layer.clone(), rows)));
        let views: Vec<[Tensor<2>; 2]> = layers().iter().map(views).collect();
        views.windows(2).fold(loss, |loss, pair| {
            let ([users, items], [next_users, next_items]) = (pair[0].clone(), pair[1].clone());
            let of_items = info_nce(next_items, users, self.temperature) * self.balance;
            let of_users = info_nce(next_users, items, self.temperature) * (1.0 - self.balance);
            loss + (of_items + of_users) * self.weight
        })
    }
}

/// The layers of a linear propagation: `x, A x, …, A^L x`.
pub fn propagations(a: &Arc<ConstSparse>, x: Tensor<2>, layers: usize) -> Vec<Tensor<2>> {
    let mut all = vec![x];
    for l in 0..layers {
        all.push(spmm_const(a, all[l].clone()));
    }
    all
}

#[cfg(test)]
mod tests {
    use alike_ops::{Csr, propagate_sum};
    use burn::tensor::{Device, TensorData};

    use super::*;
    use crate::config::Draw;
    use crate::ids::{ItemId, UserId};
    use crate::layers::Batch;

    /// Users 0, 1, 2 and items 3 to 6; a width.
    const NODES: usize = 7;
    const D: usize = 3;

    fn step() -> Step {
        // User 0 and item 3 come twice, and the last pair is the first one again.
        let batch = Batch {
            users: [0, 1, 0, 0].map(UserId).to_vec(),
            positives: [0, 0, 2, 0].map(ItemId).to_vec(),
            negatives: [3, 3, 1, 1].map(ItemId).to_vec(),
        };
        Step::new(batch, 3, NODES - 3, Draw::new(1, 1), 0)
    }

    fn values(seed: usize) -> Vec<f32> {
        (0..NODES * D).map(|k| ((k * 37 + seed * 53) % 101) as f32 / 50.0 - 1.0).collect()
    }

    fn tensor(values: &[f32]) -> Tensor<2> {
        Tensor::from_data(TensorData::new(values.to_vec(), [NODES, D]), &Device::flex())
    }

    fn read<const N: usize>(x: Tensor<N>) -> Vec<f32> {
        x.into_data().try_into_vec::<f32>().unwrap()
    }

    /// The formula of the head, term by term.
    fn reference(layers: &[Vec<f64>], [balance, temperature]: [f64; 2]) -> f64 {
        let unit = |layer: &[f64], r: u32| -> Vec<f64> {
            let row = &layer[r as usize * D..][..D];
            let norm = row.iter().map(|v| v * v).sum::<f64>().sqrt();
            row.iter().map(|v| if norm > 0.0 { v / norm } else { 0.0 }).collect()
        };
        let nce = |anchors: (&[f64], &[u32]), others: (&[f64], &[u32])| {
            let score = |r: usize, s: usize| -> f64 {
                let (a, c) = (unit(anchors.0, anchors.1[r]), unit(others.0, others.1[s]));
                a.iter().zip(&c).map(|(a, c)| a * c).sum::<f64>() / temperature
            };
            let b = anchors.1.len();
            let row = |r: usize| (0..b).map(|s| score(r, s).exp()).sum::<f64>().ln() - score(r, r);
            (0..b).map(row).sum::<f64>() / b as f64
        };
        let step = step();
        let batch = step.nodes();
        let (users, items) = (&batch.users[..], &batch.positives[..]);
        let terms = layers.windows(2).map(|pair| {
            let (before, next) = (&pair[0][..], &pair[1][..]);
            balance * nce((next, items), (before, users))
                + (1.0 - balance) * nce((next, users), (before, items))
        });
        terms.sum()
    }

    #[test]
    fn the_contrast_and_its_gradients_are_those_of_the_formula() {
        let mut start = [values(1), values(2), values(3)];
        // A node without neighbours: no direction, and no gradient.
        start[1][3 * D..4 * D].fill(0.0);
        let leaves = start.clone().map(|v| Tensor::from_inner(tensor(&v)).require_grad());
        let contrast = NeighborContrast::new(2.0, 0.3, 0.4);
        let nothing = leaves[0].clone().sum() * 0.0;
        let loss = contrast.added(nothing, &step(), || leaves.to_vec());
        let wide = start.map(|v| v.into_iter().map(f64::from).collect::<Vec<f64>>());
        let at = |layers: &[Vec<f64>]| 2.0 * reference(layers, [0.3, 0.4]);
        let (found, wanted) = (f64::from(read(loss.clone().inner())[0]), at(&wide));
        assert!((found - wanted).abs() < 1e-5 * (1.0 + wanted), "{found} {wanted}");
        let grads = loss.backward();
        for (which, leaf) in leaves.iter().enumerate() {
            let found = read(leaf.grad(&grads).unwrap());
            for (k, found) in found.into_iter().enumerate() {
                if which == 1 && k / D == 3 {
                    assert_eq!(found, 0.0);
                    continue;
                }
                let moved = |by: f64| {
                    let mut layers = wide.to_vec();
                    layers[which][k] += by;
                    at(&layers)
                };
                let wanted = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                assert!((f64::from(found) - wanted).abs() < 1e-4, "layer {which}, {k}: {found} {wanted}");
            }
        }
    }

    #[test]
    fn without_a_weight_the_loss_is_as_it_was_and_no_layer_is_asked_for() {
        let contrast = NeighborContrast::new(0.0, 0.5, 0.2);
        assert!(contrast.is_off() && contrast.held(3, 100, 8, 50) == 0);
        let loss = tensor(&values(4)).sum();
        let same = contrast.added(loss.clone(), &step(), || panic!("no layer is needed"));
        assert_eq!(read(loss), read(same));
    }

    #[test]
    fn layers_are_powers_of_the_matrix() {
        let rows: Vec<Vec<u32>> = vec![vec![3, 5], vec![3], vec![], vec![0, 1], vec![], vec![0, 6], vec![2]];
        let pattern = Arc::new(Csr::from_rows(NODES, &rows).unwrap());
        let entries = (0..pattern.nnz()).map(|e| 0.3 + e as f32 / 10.0).collect();
        let a = Arc::new(ConstSparse::new(pattern, entries).unwrap());
        let x = tensor(&values(5));
        let all = propagations(&a, x.clone(), 2);
        assert_eq!((all.len(), read(all[0].clone())), (3, read(x.clone())));
        let sum = read(all[0].clone() + all[1].clone() + all[2].clone());
        for (found, wanted) in sum.iter().zip(read(propagate_sum(&a, x, 2))) {
            assert!((found - wanted).abs() < 1e-5, "{found} {wanted}");
        }
    }
}
