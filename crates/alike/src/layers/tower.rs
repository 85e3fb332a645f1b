//! What DualGNN and DRAGON share: a preference per user and modality, propagated with mapped item features.

use std::sync::Arc;

use alike_ops::{FixedSparse, Triples, l2_rows, propagate_mean};
use burn::tensor::Tensor;
use burn::tensor::activation::leaky_relu;

use super::{Affine, FeatureInput, FeatureMap, Init, LEAKY_SLOPE, ParamId, Params, Tracked, unit_rows};
use crate::data::{Dataset, Features};
use crate::error::Result;

/// One modality: `x = unit rows of [P_m ; f_2(leaky(f_1(X_m)))]`, then `Σ_{l=0..L} Â^l x`.
#[derive(Debug)]
pub struct PreferenceTower {
    preference: ParamId,
    input: FeatureInput,
    second: Affine,
}

impl PreferenceTower {
    /// Registers `preference.<m> [U, dim]` and the maps `input.<m>.0` (to `hidden`), `input.<m>.1` (to `dim`).
    pub fn new(
        params: &mut Params,
        data: &Dataset,
        features: &Features,
        hidden: usize,
        dim: usize,
    ) -> Result<Self> {
        let m = &features.name;
        let preference = params.add(&format!("preference.{m}"), &[data.users.len(), dim], Init::Xavier);
        let name = &format!("input.{m}.0");
        let map = FeatureMap { name, normalize: false, width: hidden, bias: true, filled: dim };
        let input = FeatureInput::new(params, features, map)?;
        let second = Affine::new(params, &format!("input.{m}.1"), hidden, dim);
        Ok(Self { preference, input, second })
    }

    /// `[N, dim]` over the symmetric bipartite `graph`.
    pub fn forward(&self, p: &Tracked, graph: &Arc<FixedSparse>, layers: usize) -> Tensor<2> {
        let hidden = leaky_relu(self.input.project(p), LEAKY_SLOPE.into());
        let items = self.input.fill(p, self.second.forward(p, hidden));
        let x = unit_rows(Tensor::cat(vec![p.matrix(self.preference), items], 0));
        propagate_mean(graph, x, layers) * (layers + 1) as f32
    }

    /// `scale · Σ ‖P_m[u]‖²` over the users of the batch.
    pub fn norms(&self, p: &Tracked, users: &Arc<Vec<u32>>, scale: f32) -> Tensor<1> {
        l2_rows(p.matrix(self.preference), users, scale)
    }
}

/// The weight that each user gives to each modality, `[U, M]`, started at equal shares and free after that.
#[derive(Debug)]
pub struct UserMix(ParamId);

impl UserMix {
    /// Registers `mix`.
    pub fn new(params: &mut Params, users: usize, modalities: usize) -> Self {
        Self(params.add("mix", &[users, modalities], Init::Constant(1.0 / modalities as f32)))
    }

    /// Each modality's user rows `[U, d]`, weighted.
    pub fn weigh(&self, p: &Tracked, towers: &[Tensor<2>]) -> Vec<Tensor<2>> {
        let mix = p.matrix(self.0);
        let users = mix.dims()[0];
        let part = |(m, x): (usize, &Tensor<2>)| x.clone().narrow(0, 0, users) * mix.clone().narrow(1, m, 1);
        towers.iter().enumerate().map(part).collect()
    }

    /// `l2/b` times the squared norms of the batch users' preferences and of their weights.
    pub fn norms(&self, p: &Tracked, towers: &[PreferenceTower], batch: &Triples, l2: f32) -> Tensor<1> {
        let users = Arc::new(batch.users.clone());
        let scale = l2 / batch.users.len() as f32;
        let own = l2_rows(p.matrix(self.0), &users, scale);
        towers.iter().fold(own, |sum, t| sum + t.norms(p, &users, scale))
    }
}
