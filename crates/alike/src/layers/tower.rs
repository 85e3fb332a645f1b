//! What DualGNN and DRAGON share: a preference per user and modality, propagated with mapped item features.

use std::sync::Arc;

use alike_ops::{FixedSparse, Triples, bpr_dot, l2_rows, leaky, propagate_sum, scale_rows, unit_rows};
use burn::tensor::Tensor;

use super::{
    Affine, FeatureInput, FeatureMap, Init, LEAKY_SLOPE, Local, ParamId, Params, Rows, Tracked, featured,
    weights_of_nodes,
};
use crate::data::{Dataset, Features};
use crate::error::Result;

/// One modality: `x = unit rows of [P_m ; f_2(leaky(f_1(X_m)))]`, then `Σ_{l=0..L} Â^l x`.
#[derive(Debug)]
struct Tower {
    preference: ParamId,
    input: FeatureInput,
    second: Affine,
}

impl Tower {
    /// Registers `preference.<m> [U, dim]` and the maps `input.<m>.0` (to `hidden`), `input.<m>.1` (to `dim`).
    fn new(
        params: &mut Params,
        data: &Dataset,
        features: &Features,
        hidden: usize,
        dim: usize,
    ) -> Result<Self> {
        let m = &features.name;
        let preference = params.table(&format!("preference.{m}"), Rows::Users, data, dim, Init::Xavier);
        let name = &format!("input.{m}.0");
        let map = FeatureMap { name, normalize: false, width: hidden, bias: true, filled: dim };
        let input = FeatureInput::new(params, features, map)?;
        let second = Affine::new(params, &format!("input.{m}.1"), hidden, dim);
        Ok(Self { preference, input, second })
    }

    /// `[N, dim]` over the symmetric bipartite `graph`.
    fn forward(&self, p: &Tracked, graph: &Arc<FixedSparse>, layers: usize) -> Tensor<2> {
        let hidden = leaky(self.input.project(p), LEAKY_SLOPE);
        let items = self.input.fill(p, self.second.forward(p, hidden));
        let x = unit_rows(Tensor::cat(vec![p.matrix(self.preference), items], 0));
        propagate_sum(graph, x, layers)
    }
}

/// One tower a modality, and the weight that each user gives to each modality, `[U, M]`, started at equal shares and
/// free after that.
#[derive(Debug)]
pub struct Towers {
    towers: Vec<Tower>,
    mix: ParamId,
}

impl Towers {
    /// Registers the towers' parameters and `mix`.
    ///
    /// # Errors
    /// The data have no features.
    pub fn new(params: &mut Params, data: &Dataset, hidden: usize, dim: usize) -> Result<Self> {
        let towers = featured(data)?.iter().map(|f| Tower::new(params, data, f, hidden, dim));
        let towers = towers.collect::<Result<Vec<_>>>()?;
        let share = Init::Constant(1.0 / towers.len() as f32);
        let mix = params.table("mix", Rows::Users, data, towers.len(), share);
        Ok(Self { towers, mix })
    }

    /// Each modality's rows `[N, dim]`, those of users weighted.
    pub fn forward(&self, p: &Tracked, graph: &Arc<FixedSparse>, layers: usize) -> Vec<Tensor<2>> {
        let mix = p.matrix(self.mix);
        let items = graph.pattern().rows() - mix.dims()[0];
        let mix = weights_of_nodes(mix, items);
        let rows = |(m, tower): (usize, &Tower)| {
            scale_rows(tower.forward(p, graph, layers), mix.clone().narrow(1, m, 1))
        };
        self.towers.iter().enumerate().map(rows).collect()
    }

    /// Mean BPR in bits over the rows `z` of a batch, and `l2/b` times the squared norms of the batch users' preferences
    /// and weights.
    pub fn loss(&self, p: &Tracked, z: Tensor<2>, local: &Local, batch: &Triples, l2: f64) -> Tensor<1> {
        let users = Arc::new(batch.users.clone());
        let scale = l2 as f32 / batch.users.len() as f32;
        let tables = self.towers.iter().map(|t| t.preference).chain([self.mix]);
        let norms = tables.map(|table| l2_rows(p.matrix(table), &users, scale));
        norms.fold(bpr_dot(z, &local.batch) / std::f32::consts::LN_2, |sum, norm| sum + norm)
    }
}
