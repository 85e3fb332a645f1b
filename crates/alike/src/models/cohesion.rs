//! COHESION: Xu et al., "COHESION: Composite Graph Convolutional Network with Dual-Stage Fusion for
//! Multimodal Recommendation", SIGIR 2025.
//!
//! - Branches `m`: the ids `F [I, d]` (`X_id = F`) and each modality; `y_m = f_2(leaky(f_1(X_m)))`, early
//!   fusion `t_m = √((F² + y_m²)/2 + 1e-8)` entry by entry, `x_m [N, d]` the unit rows of `[P_m ; t_m]`.
//! - Propagation: `h^0 = x_m`, `p = Â h^l`, `h^{l+1}_r = cos(p_r, x_m,r) · p_r`; `H_m = Σ_{l=0..L} h^l`.
//! - Late fusion: `v = [H_id ; H_m ; …]` side by side, `H_id` a constant of the gradient as in the authors'
//!   code. `Z_u = v_u + Σ_o softmax(e_uo) v_o`, `Z_i = v_i + (S v)_i` with DRAGON's `e` and `S`.
//! - Loss: with `y_k = z_u,k · (z_p,k - z_n,k)` in the block of branch `k`, mean BPR in bits of the margin
//!   `Σ_k (1 - softmax_k(y)) y_k`, these weights constants of the gradient; + `table_l2` · the mean square of
//!   `P_m` at the batch's users, per modality; + the contrast of `layers/neighbor_contrast.rs` between the
//!   layers' means over branches. Without it `P_id` and the ids' maps stay as they were drawn.
//!
//! Departures: tables start uniform (theirs: normal); the norm of weights that they use nowhere is left out;
//! in the user graph as in DRAGON; evaluation by the parameters after the last step.

use alike_ops::{ConstSparse, Triples, add, multiply, scale_rows, spmm_const, unit_rows};
use burn::tensor::activation::{log_sigmoid, softmax};

use super::prelude::*;
use crate::config::ModalityWeights as Shares;
use crate::graph::{self, Normalization, UserWeight};
use crate::layers::{NeighborContrast, Tower};

pub(super) const INFO: ModelInfo = ModelInfo::trained::<Cohesion>(
    "cohesion",
    "Ids refine each modality before DRAGON's convolutions; modalities that rank well already weigh less in training.",
    "Xu et al., COHESION: Composite Graph Convolutional Network with Dual-Stage Fusion for Multimodal Recommendation, SIGIR 2025",
);

crate::settings! {
    /// Settings of COHESION.
    pub(super) struct Config {
        /// Embedding width of a branch: of the ids, and of each modality.
        dim: usize = 64, 1..=1024;
        /// Width of the hidden layer over ids and raw features.
        hidden: usize = 256, 1..=4096;
        /// Propagation layers.
        layers: usize = 1, 1..=8;
        /// Nearest items per modality, the item itself among them.
        item_neighbors: usize = 10, 1..=1_000;
        /// Share of each modality in the item graph; empty: equal shares.
        item_weights: Shares = graph::text_first(), ();
        /// Neighbours in the user graph.
        user_neighbors: usize = 40, 1..=10_000;
        /// Weight of the mean squared values of the batch users' preferences, per modality.
        table_l2: f64 = 1e-3, 0.0..=10.0;
        /// Weight of the contrast between neighbouring layers.
        neighbor_contrast: f64 = 0.0, 0.0..=10.0;
        /// Share of that contrast whose anchors are items; those of the rest are users.
        contrast_balance: f64 = 0.5, 0.0..=1.0;
        /// Temperature of that contrast.
        temperature: f64 = 0.2, 0.05..=10.0;
    }
}

/// The branch of the ids.
struct Ids {
    item: Table<ItemId>,
    preference: Table<UserId>,
    maps: [Linear; 2],
}

struct Cohesion {
    config: Config,
    contrast: NeighborContrast,
    ids: Ids,
    /// The branches of the modalities.
    towers: Vec<Tower>,
    bipartite: Arc<ConstSparse>,
    /// User graph and item graph as two blocks.
    neighbors: Arc<ConstSparse>,
}

impl Cohesion {
    /// The layers of each branch, that of the ids first.
    fn layers(&self, w: &Weights) -> Vec<Vec<Tensor<2>>> {
        let Ids { item, preference, maps: [first, second] } = &self.ids;
        let ids = w.table(*item);
        let mapped = second.forward(w, first.forward_leaky(w, ids.clone()));
        let modalities = self.towers.iter().map(|tower| (tower.preference, tower.items(w)));
        let all = std::iter::once((*preference, mapped)).chain(modalities);
        all.map(|(preference, y)| self.branch(w.table(preference), &ids, y)).collect()
    }

    /// The layers `h^0 … h^L`, `[N, d]` each, of `P_m [U, d]` and of `F` and `y_m`, `[I, d]`.
    fn branch(&self, preference: Tensor<2>, ids: &Tensor<2>, y: Tensor<2>) -> Vec<Tensor<2>> {
        let squares = add(multiply(ids.clone(), ids.clone()), multiply(y.clone(), y));
        let items = (squares / 2.0 + 1e-8).sqrt();
        let start = unit_rows(Tensor::cat(vec![preference, items], 0));
        let mut all = vec![start.clone()];
        for l in 0..self.config.layers {
            let moved = spmm_const(&self.bipartite, all[l].clone());
            // Rows of the start have length 1.
            let near = multiply(unit_rows(moved.clone()), start.clone()).sum_dim(1);
            all.push(scale_rows(moved, near));
        }
        all
    }

    /// The rows `rows` of `Z`, all of them when there are none.
    fn fused(&self, layers: &[Vec<Tensor<2>>], rows: Option<&[u32]>) -> Tensor<2> {
        let sums = layers.iter().map(|all| all.iter().cloned().reduce(add).expect("a layer at least"));
        let constant = |(m, h): (usize, Tensor<2>)| if m == 0 { h.detach() } else { h };
        propagated(&self.neighbors, Tensor::cat(sums.enumerate().map(constant).collect(), 1), rows)
    }

    /// Mean BPR in bits; a branch that tells the items of a triple apart already has less weight in it.
    fn bpr(&self, z: &Tensor<2>, batch: &Triples) -> Tensor<1> {
        let rows = |rows: &Vec<u32>| gather(z.clone(), rows);
        let apart = rows(&batch.positives) - rows(&batch.negatives);
        let [pairs, count, dim] = [batch.len(), 1 + self.towers.len(), self.config.dim];
        let blocks: Tensor<2> = multiply(rows(&batch.users), apart).reshape([pairs * count, dim]);
        let margins: Tensor<2> = blocks.sum_dim(1).reshape([pairs, count]);
        let weights = softmax(margins.clone().detach(), 1).neg() + 1.0;
        log_sigmoid((margins * weights).sum_dim(1)).mean().neg() / std::f32::consts::LN_2
    }
}

impl Model for Cohesion {
    type Config = Config;
    const RANKS: bool = true;

    fn build(b: &mut Builder<'_>, config: Config) -> Result<Self> {
        let Config { dim, hidden, layers, neighbor_contrast, contrast_balance, temperature, .. } = config;
        let contrast = NeighborContrast::new(neighbor_contrast, contrast_balance, temperature);
        let item = b.table("item", dim, Init::Xavier);
        let preference = b.table("user", dim, Init::Xavier);
        let maps = [b.linear("item.0", dim, hidden), b.linear("item.1", hidden, dim)];
        let ids = Ids { item, preference, maps };
        let towers =
            b.features()?.iter().map(|f| Tower::new(b, f, hidden, dim)).collect::<Result<Vec<_>>>()?;
        let bipartite = b.bipartite(Normalization::Symmetric, false)?;
        let (data, names) = (b.data(), b.modalities());
        let per_item = b.items() * config.item_neighbors * names.len();
        let neighbors = b.sparse(b.users() * config.user_neighbors + per_item, || {
            let users = graph::user_graph(data, config.user_neighbors, UserWeight::Count)?.softmax();
            let items = graph::item_mean_graph(data, &names, config.item_neighbors, &config.item_weights)?;
            graph::block_diagonal(&users, &items)
        })?;
        let branches = 1 + towers.len();
        b.holds(branches * ((3 + 3 * layers) * b.nodes() * dim + b.items() * hidden));
        b.holds(contrast.held(layers, b.nodes(), dim, b.pairs(Self::training().batch)));
        Ok(Self { config, contrast, ids, towers, bipartite, neighbors })
    }

    /// The contrast sets the pairs of a batch against each other.
    fn separable(&self) -> bool {
        self.contrast.is_off()
    }

    fn loss(&self, w: &Weights, step: &Step) -> Tensor<1> {
        let (local, layers) = (step.local(), self.layers(w));
        let z = self.fused(&layers, Some(&local.rows));
        let share = self.config.table_l2 / self.config.dim as f64;
        let norms = self.towers.iter().map(|tower| step.l2(w, tower.preference, step.users(), share));
        let ranking = step.ranking_loss_or(z, &local.triples, |z| self.bpr(&z, &local.triples));
        let loss = norms.fold(ranking, |sum, norm| sum + norm);
        let mean = |l: usize| {
            let sum = layers.iter().map(|all| all[l].clone()).reduce(add).expect("the branch of the ids");
            sum / layers.len() as f32
        };
        self.contrast.added(loss, step, || (0..=self.config.layers).map(mean).collect())
    }

    fn vectors(&self, w: &Weights) -> Result<Tensor<2>> {
        Ok(self.fused(&self.layers(w), None))
    }
}
