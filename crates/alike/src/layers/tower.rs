//! What DualGNN, DRAGON and COHESION share: a preference per user and modality beside mapped item features,
//! which the first two propagate together.

use std::sync::Arc;

use alike_ops::{ConstSparse, bpr_dot, leaky, propagate_sum, scale_rows, unit_rows};
use burn::tensor::Tensor;

use super::{
    BatchRows, Builder, FeatureInput, FeatureMap, Init, LEAKY_SLOPE, Linear, Step, Table, Weights,
    weights_of_nodes,
};
use crate::data::Features;
use crate::error::Result;
use crate::ids::UserId;

/// One modality: `P_m [U, dim]` and `f_2(leaky(f_1(X_m))) [I, dim]`.
#[derive(Debug)]
pub struct Tower {
    /// `P_m`.
    pub preference: Table<UserId>,
    input: FeatureInput,
    second: Linear,
}

impl Tower {
    /// Declares `preference.<m> [U, dim]` and the maps `input.<m>.0` (to `hidden`), `input.<m>.1` (to `dim`).
    ///
    /// # Errors
    /// The features cannot be mapped.
    pub fn new(b: &mut Builder<'_>, features: &Features, hidden: usize, dim: usize) -> Result<Self> {
        let m = &features.name;
        let preference = b.table(&format!("preference.{m}"), dim, Init::Xavier);
        let name = &format!("input.{m}.0");
        let map = FeatureMap { name, normalize: false, width: hidden, bias: true, filled: dim };
        let input = b.input_with(features, map)?;
        let second = b.linear(&format!("input.{m}.1"), hidden, dim);
        Ok(Self { preference, input, second })
    }

    /// The mapped features, `[I, dim]`.
    pub fn items(&self, w: &Weights) -> Tensor<2> {
        let hidden = leaky(self.input.project(w), LEAKY_SLOPE);
        self.input.fill(w, self.second.forward(w, hidden))
    }

    /// `Σ_{l=0..L} Â^l x [N, dim]` over the symmetric bipartite `graph`, `x` the unit rows of both.
    fn forward(&self, w: &Weights, graph: &Arc<ConstSparse>, layers: usize) -> Tensor<2> {
        let x = unit_rows(Tensor::cat(vec![w.table(self.preference), self.items(w)], 0));
        propagate_sum(graph, x, layers)
    }
}

/// One tower per modality, and the weight that each user gives to each modality, `[U, M]`, started at equal
/// shares and free after that.
#[derive(Debug)]
pub struct Towers {
    towers: Vec<Tower>,
    mix: Table<UserId>,
}

impl Towers {
    /// Declares the towers of all modalities, `mix`, and what a step of `layers` propagations holds.
    ///
    /// # Errors
    /// The data have no features.
    pub fn new(b: &mut Builder<'_>, hidden: usize, dim: usize, layers: usize) -> Result<Self> {
        let features = b.features()?;
        let towers = features.iter().map(|f| Tower::new(b, f, hidden, dim)).collect::<Result<Vec<_>>>()?;
        let mix = b.table("mix", towers.len(), Init::Constant(1.0 / towers.len() as f32));
        b.holds(towers.len() * (b.items() * hidden + (1 + layers) * b.nodes() * dim));
        Ok(Self { towers, mix })
    }

    /// Each modality's rows `[N, dim]`, those of users weighted.
    pub fn forward(&self, w: &Weights, graph: &Arc<ConstSparse>, layers: usize) -> Vec<Tensor<2>> {
        let mix = w.table(self.mix);
        let items = graph.pattern().rows() - mix.dims()[0];
        let mix = weights_of_nodes(mix, items);
        let rows = |(m, tower): (usize, &Tower)| {
            scale_rows(tower.forward(w, graph, layers), mix.clone().narrow(1, m, 1))
        };
        self.towers.iter().enumerate().map(rows).collect()
    }

    /// The ranking loss, BPR in bits, over the rows `z` of a batch, and `l2/b` times the squared norms of the batch users'
    /// preferences and weights.
    pub fn loss(&self, w: &Weights, step: &Step, z: Tensor<2>, local: &BatchRows, l2: f64) -> Tensor<1> {
        let tables = self.towers.iter().map(|t| t.preference).chain([self.mix]);
        let norms = tables.map(|table| step.l2(w, table, step.users(), l2));
        let in_bits = |z| bpr_dot(z, &local.triples) / std::f32::consts::LN_2;
        norms.fold(step.ranking_loss_or(z, &local.triples, in_bits), |sum, norm| sum + norm)
    }
}
