//! The loss by which a model ranks, as its settings ([`Objective`](super::Objective)) have it.
//!
//! Of the batch's pairs `(u, i)` with final vectors `z`, cosine `s_ui` and score `y_ui = z_u · z_i`:
//!
//! - `bpr`: mean of `-log σ(y_ui - y_uj)` over `negatives` items `j` per pair that `u` did not take (Rendle et
//!   al., UAI 2009).
//! - `softmax`: mean of `-log (e^{s_ui/τ} / (e^{s_ui/τ} + Σ_j e^{s_uj/τ}))` over `loss_shared` items `j` that all
//!   pairs share (sampled softmax, Wu et al., TOIS 2024).
//! - `slk`: mean of `σ((s_ui - β_u)/τ_β) · log Σ_j e^{(s_uj - s_ui)/τ}`, `β_u` the `loss_top`-th largest cosine of
//!   `u` over all items (SL@K, Yang et al., KDD 2025).
//! - `directau`: mean of `‖ẑ_u - ẑ_i‖²` + `loss_uniformity` times the mean of the uniformities of the batch's
//!   users and of its items (Wang et al., KDD 2022). No negatives.
//!
//! Beside any of these, with `loss_neighbors` > 0, that weight times the contrast of items with their nearest by
//! features (TMLP, Huang et al., AAAI 2025): mean over the batch's items `B` that have a neighbour in `B` of
//! `log Σ_{j ∈ B, j ≠ i} e^{s_ij/τ} - log Σ_{j ∈ B} S_ij e^{s_ij/τ}`, `S` the mean over modalities of the ten nearest.
//!
//! Departures: `B` are the first 2,048 items of the batch's pairs. The negatives of `softmax` and `slk` are
//! shared by a batch, not drawn per pair, and may be items that some of its users took; `β_u` is exact and as
//! old as the epoch (the authors estimate it from a sample).

use std::collections::BTreeMap;
use std::sync::Arc;

use alike_ops::{
    ConstSparse, Csr, Triples, bpr_dot, bpr_dot_l2, bpr_dot_own_l2, l2_rows, log_sum_exp, multiply, sigmoid,
    spmm_const, uniformity, unit_rows,
};
use burn::tensor::activation::log_sigmoid;
use burn::tensor::{Tensor, TensorData};

use super::objective::{CONTRASTED, RankingLoss, StepObjective};
use super::{Step, gather, rows_of};

impl Step {
    /// The loss by which the model ranks, of the rows `batch` of `z`: final vectors `[n, D]`. `batch` has the
    /// pairs of the step in their order, with the numbers of their rows in `z`.
    pub fn ranking_loss(&self, z: Tensor<2>, batch: &Arc<Triples>) -> Tensor<1> {
        self.ranking_loss_or(z, batch, |z| bpr_dot(z, batch))
    }

    /// The same where the model has a BPR of its own, which `bpr` gives for `z`.
    pub fn ranking_loss_or(
        &self,
        z: Tensor<2>,
        batch: &Arc<Triples>,
        bpr: impl FnOnce(Tensor<2>) -> Tensor<1>,
    ) -> Tensor<1> {
        let loss = match self.loss() {
            RankingLoss::Bpr => bpr(z.clone()),
            _ => self.pair_loss(z.clone(), batch),
        };
        self.with_neighbors(loss, z, batch)
    }

    /// The same without the contrast of items, for rows of `z` that are not those which rank.
    pub fn pair_loss(&self, z: Tensor<2>, batch: &Arc<Triples>) -> Tensor<1> {
        let StepObjective { settings, thresholds, .. } = self.objective();
        if settings.loss == RankingLoss::Bpr {
            return bpr_dot(z, batch);
        }
        let rows = |list: &[u32]| unit_rows(gather(z.clone(), list));
        let (users, positives) = (rows(&batch.users), rows(&batch.positives));
        let own = multiply(users.clone(), positives.clone()).sum_dim(1);
        if settings.loss == RankingLoss::DirectAu {
            // ‖a - b‖² = 2 - 2 a · b.
            let alignment = own.mean() * -2.0 + 2.0;
            if self.len() < 2 || settings.loss_uniformity == 0.0 {
                return alignment;
            }
            let spread = uniformity(users, 2.0) + uniformity(positives, 2.0);
            return alignment + spread * (settings.loss_uniformity / 2.0) as f32;
        }
        let temperature = settings.loss_temperature as f32;
        let others = log_sum_exp(users, rows(&batch.negatives), temperature, false);
        let above = others - own.clone() / temperature;
        match thresholds {
            None => log_sigmoid(above.neg()).mean().neg(),
            Some(thresholds) => {
                let of_users = self.users().iter().map(|u| thresholds[u.0 as usize]).collect();
                let shape = TensorData::new(of_users, [self.len(), 1]);
                let thresholds = Tensor::<2>::from_data::<TensorData>(shape, &own.device());
                let weight = sigmoid((own - thresholds) / settings.loss_top_temperature as f32);
                multiply(weight, above).mean()
            }
        }
    }

    /// [`Self::ranking_loss`] and `l2/b` times the squared norms of the rows `batch` of `ego`, each as often as
    /// it is there.
    pub fn ranking_loss_l2(&self, z: Tensor<2>, ego: Tensor<2>, batch: &Arc<Triples>, l2: f64) -> Tensor<1> {
        match self.loss() {
            RankingLoss::Bpr => self.ranking_loss_or(z, batch, |z| bpr_dot_l2(z, ego, batch, l2 as f32)),
            _ => self.ranking_loss(z, batch) + l2_rows(ego, &rows_of(batch), self.share(l2)),
        }
    }

    /// The same with the norms of the rows of `z`.
    pub fn ranking_loss_own_l2(&self, z: Tensor<2>, batch: &Arc<Triples>, l2: f64) -> Tensor<1> {
        match self.loss() {
            RankingLoss::Bpr => self.ranking_loss_or(z, batch, |z| bpr_dot_own_l2(z, batch, l2 as f32)),
            _ => self.ranking_loss(z.clone(), batch) + l2_rows(z, &rows_of(batch), self.share(l2)),
        }
    }

    /// `loss` and the weighted contrast of the batch's items with their nearest by features, if there is one.
    fn with_neighbors(&self, loss: Tensor<1>, z: Tensor<2>, batch: &Triples) -> Tensor<1> {
        let StepObjective { settings, near_items: Some(near), .. } = self.objective() else { return loss };
        let pairs = self.positives().iter().map(|i| i.0).zip(batch.positives.iter().copied());
        let items = first_items(pairs, CONTRASTED);
        let place = |item: u32| items.binary_search_by_key(&item, |&(i, _)| i).ok();
        // The pairs of neighbours, by the first of them; items without one are left out.
        let (mut anchors, mut ptr, mut pairs, mut weights) =
            (Vec::new(), vec![0u32], [Vec::new(), Vec::new()], Vec::new());
        for (at, &(item, _)) in items.iter().enumerate() {
            let before = weights.len();
            for &(j, weight) in &near[item as usize] {
                if let Some(other) = place(j) {
                    pairs[0].push(at as u32);
                    pairs[1].push(other as u32);
                    weights.push(weight);
                }
            }
            if weights.len() > before {
                anchors.push(at as u32);
                ptr.push(weights.len() as u32);
            }
        }
        if weights.is_empty() {
            return loss;
        }
        let temperature = settings.loss_neighbors_temperature as f32;
        let rows: Vec<u32> = items.iter().map(|&(_, row)| row).collect();
        let x = unit_rows(gather(z, &rows));
        let all = log_sum_exp(x.clone(), x.clone(), temperature, true);
        let [a, b] = pairs.map(|list| gather(x.clone(), &list));
        let each = (multiply(a, b).sum_dim(1) / temperature).exp();
        let entries = weights.len();
        let pattern = Csr::new(anchors.len(), entries, ptr, (0..entries as u32).collect());
        let sums = ConstSparse::new(Arc::new(pattern.expect("rows follow each other")), weights);
        let near = spmm_const(&Arc::new(sums.expect("one weight per entry")), each).log();
        let contrast = (gather(all, &anchors) - near).mean();
        loss + contrast * settings.loss_neighbors as f32
    }

    fn loss(&self) -> RankingLoss {
        self.objective().settings.loss
    }
}

/// The first `most` items of `pairs`, which are items with their rows: each once, by item.
fn first_items(pairs: impl Iterator<Item = (u32, u32)>, most: usize) -> Vec<(u32, u32)> {
    let mut items = BTreeMap::new();
    for (item, row) in pairs {
        if items.len() == most {
            break;
        }
        items.insert(item, row);
    }
    items.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_items_are_those_of_the_first_pairs() {
        let pairs = [(9, 3), (4, 1), (9, 3), (7, 2), (0, 0)];
        assert_eq!(first_items(pairs.into_iter(), 3), [(4, 1), (7, 2), (9, 3)]);
        assert_eq!(first_items(pairs.into_iter(), 8), [(0, 0), (4, 1), (7, 2), (9, 3)]);
    }
}
