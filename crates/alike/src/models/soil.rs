//! SOIL: Su et al., "SOIL: Contrastive Second-Order Interest Learning for Multimodal Recommendation", ACM MM
//! 2024.
//!
//! - Behaviour: `Â* = Â + Â₂/2`, `Â` the bipartite graph and `Â₂` that of own items and the
//!   `second_neighbors` items of each user that are nearest to one of these in all modalities (eqs. 1 to 3;
//!   `graph/second_order.rs`); `C = 1/(L+1) Σ_{l=0..L} Â*^l E`, `E = [users ; items] [N, d]` (eqs. 4, 5).
//! - A modality `m`: `G_m = S_m + IA_m [I, I]`, `S_m` the normalised cosines of the `item_neighbors` nearest
//!   items, `IA_m` those of own items with the `interest_neighbors` items per modality nearest to all that a
//!   user took (eqs. 6 to 10; `graph/interest.rs`). `h_m = G_m (E_I ⊙ σ((X_m W_m + b_m) W_m' + b_m'))`,
//!   `H_m = [R̂* h_m ; h_m] [N, d]`, `R̂*` the users' rows of `Â*` (eqs. 11 to 13).
//! - Fuser: `a_m = softmax_m(tanh(H_m W_q + b_q) · q)`; `Q = Σ_m (1 - (M-1) a_m) H_m / (M+1)`; `Z = C + Q`
//!   (eq. 14).
//! - Loss: mean BPR + `contrast` · [NCE(Q_i, C_i) + NCE(Q_u, C_u)] + `pair_contrast` · [NCE(Z_u, C_i) +
//!   NCE(Z_u, Q_i)], `NCE(a, c) = -1/b Σ_r log(e^{a_r·c_r/τ} / Σ_s e^{a_r·c_s/τ})` on the unit rows of a
//!   batch's users `u` and of the items `i` that they took (eqs. 15 to 18).
//!
//! As the authors' code, beyond the paper: half of `Â₂`, `M+1` in `Q`, one weight per user in `IA_m`.
//! Departures: no decay of the learning rate; cosines below 0 are 0 in `IA_m`; the code's users' block
//! of `Â₂` has other row sums than `Â₂`. Cosines are those of the features; where only a kNN graph of a
//! modality is given, those of that graph, all others 0, and there is no gate.

use alike_ops::{
    ConstSparse, add, info_nce, multiply, propagate_mean, scale_rows, sigmoid, spmm_const, unit_rows,
};

use super::prelude::*;
use crate::graph::{self, Normalization};
use crate::layers::{Attention, with_users};

pub(super) const INFO: ModelInfo = ModelInfo::trained::<Soil>(
    "soil",
    "MGCN with graphs of what users may like next: items near those they took, contrasted at two levels.",
    "Su et al., SOIL: Contrastive Second-Order Interest Learning for Multimodal Recommendation, ACM MM 2024",
);

crate::settings! {
    /// Settings of SOIL.
    pub(super) struct Config {
        /// Embedding width.
        dim: usize = 64, 1..=1024;
        /// Propagation layers over the graph of users and items.
        layers: usize = 2, 1..=8;
        /// Nearest items per modality, the item itself among them.
        item_neighbors: usize = 10, 1..=1_000;
        /// Items per modality that are nearest to all that a user took: the user's interests.
        interest_neighbors: usize = 10, 1..=1_000;
        /// Items that are nearest to one that a user took: edges added to the graph of users and items.
        second_neighbors: usize = 2, 1..=1_000;
        /// Weight of the contrast between behaviour and modalities.
        contrast: f64 = 0.01, 0.0..=10.0;
        /// Weight of the contrast between users and items.
        pair_contrast: f64 = 0.01, 0.0..=10.0;
        /// Temperature of both.
        temperature: f64 = 0.2, 0.01..=10.0;
    }
}

impl Config {
    fn contrasts(&self) -> bool {
        self.contrast > 0.0 || self.pair_contrast > 0.0
    }
}

struct View {
    /// Input and map of the gate, where the modality has features.
    gate: Option<(FeatureInput, Linear)>,
    graph: Arc<ConstSparse>,
}

struct Soil {
    config: Config,
    users: usize,
    embedding: Table<NodeId>,
    views: Vec<View>,
    attention: Attention,
    /// `Â*`.
    nodes: Arc<ConstSparse>,
    /// `R̂* [U, I]`.
    users_items: Arc<ConstSparse>,
}

impl Soil {
    /// `C` and `Q`, `[N, d]` each, or a batch's rows of them.
    fn forward(&self, w: &Weights, batch: Option<&BatchRows>) -> (Tensor<2>, Tensor<2>) {
        let e = w.table(self.embedding);
        let ids = e.clone().narrow(0, self.users, e.dims()[0] - self.users);
        let behaviour = propagate_mean(&self.nodes, e, self.config.layers);
        let behaviour = batch.map_or(behaviour.clone(), |b| gather(behaviour, &b.rows));
        let items = self.views.iter().map(|view| {
            let start = match &view.gate {
                Some((input, map)) => multiply(ids.clone(), sigmoid(map.forward(w, input.forward(w)))),
                None => ids.clone(),
            };
            spmm_const(&view.graph, start)
        });
        let sides = with_users(&self.users_items, items.collect(), batch);
        let count = sides.len() as f32;
        let rest = self.attention.shares(w, &sides) * (1.0 - count) + 1.0;
        let weighted = |(m, h): (usize, Tensor<2>)| scale_rows(h, rest.clone().narrow(1, m, 1));
        let sum = sides.into_iter().enumerate().map(weighted).reduce(add).expect("a modality at least");
        (behaviour, sum / (count + 1.0))
    }
}

impl Model for Soil {
    type Config = Config;
    const RANKS: bool = true;

    fn build(b: &mut Builder<'_>, config: Config) -> Result<Self> {
        let Config { dim, item_neighbors, interest_neighbors, second_neighbors, .. } = config;
        let (data, users) = (b.data(), b.users());
        let names = graph::modalities(data);
        if names.is_empty() {
            b.features()?;
        }
        let embedding = b.table("embedding", dim, Init::XavierSides(users));
        let view = |name: &&str| -> Result<View> {
            let gate = data.features.iter().find(|f| f.name == *name).map(|f| -> Result<_> {
                let input = b.input(f, dim)?;
                Ok((input, b.linear(&format!("purify.{name}"), dim, dim)))
            });
            let entries = b.items() * item_neighbors;
            let entries = entries + graph::interest_entries(data, names.len(), interest_neighbors);
            let graph = b.sparse(entries, || {
                let near = graph::item_cosine_graph(data, name, item_neighbors)?;
                graph::sum(&near, &graph::interest_graph(data, &names, name, interest_neighbors)?, 1.0)
            })?;
            Ok(View { gate: gate.transpose()?, graph })
        };
        let views: Vec<View> = names.iter().map(view).collect::<Result<_>>()?;
        let attention = Attention::new(b, dim);
        let per_user = data.train.nnz() + users * second_neighbors;
        let nodes = b.sparse(2 * per_user, || {
            let first = graph::bipartite(&data.train, Normalization::Symmetric, false)?;
            graph::sum(&first, &graph::second_order_graph(data, &names, second_neighbors)?, 0.5)
        })?;
        let users_items = b.sparse(per_user, || graph::users_rows(&nodes, users))?;
        // Rows of the nodes; of a batch of the usual size its views and their similarities.
        let pairs = b.pairs(Self::training().batch);
        b.holds((4 + 3 * names.len()) * b.nodes() * dim);
        b.holds(if config.contrasts() { pairs * (4 * pairs + 16 * dim) } else { 0 });
        Ok(Self { config, users, embedding, views, attention, nodes, users_items })
    }

    /// The contrasts set the rows of a batch against each other.
    fn separable(&self) -> bool {
        !self.config.contrasts()
    }

    fn loss(&self, w: &Weights, step: &Step) -> Tensor<1> {
        let local = step.local();
        let (behaviour, side) = self.forward(w, Some(&local));
        let z = add(behaviour.clone(), side.clone());
        let loss = step.ranking_loss(z.clone(), &local.triples);
        if !self.config.contrasts() {
            return loss;
        }
        let [users, items] = &step.pairs(&local.triples);
        let unit = |x: &Tensor<2>, rows: &[u32]| unit_rows(gather(x.clone(), rows));
        let nce = |a: Tensor<2>, c: Tensor<2>| info_nce(a, c, self.config.temperature as f32);
        let [users_z, items_c, items_q] = [unit(&z, users), unit(&behaviour, items), unit(&side, items)];
        let views = nce(items_q.clone(), items_c.clone()) + nce(unit(&side, users), unit(&behaviour, users));
        let pairs = nce(users_z.clone(), items_c) + nce(users_z, items_q);
        loss + views * self.config.contrast as f32 + pairs * self.config.pair_contrast as f32
    }

    fn vectors(&self, w: &Weights) -> Result<Tensor<2>> {
        let (behaviour, side) = self.forward(w, None);
        Ok(add(behaviour, side))
    }
}
