//! NSMAR and NSMAR+: "Neighbor Similarity and Multimodal Alignment based Product Recommendation Study".
//!
//! Per modality `m`, with all `N = U + I` nodes in one table (users first):
//!
//! - Alignment (eqs. 9, 10): items come into the shared space as `S(MLP_m(X_m))`, one hidden layer per modality and one `S`
//!   for all, started at the identity; NSMAR: `(X_m W_m) A_m`. An item without features in `m` gets the learned row
//!   `missing.m` in place of `MLP_m(X_m)`.
//! - Start (eqs. 1, 2): `x^(0) = unit rows of [user.m ; aligned items + item]`, `item` a table shared by modalities that
//!   starts at zero (drawn where a modality has no features).
//! - Convolution (eqs. 3-6): `x^(l)_t = 1/√n_t Σ_j α_j / (mean_k α_k) · x^(l-1)_j / √n_j` over the `n_t` neighbours of `t`, at most
//!   `neighbors`, with `α_j = 1/n_t Σ_k ReLU(r(x_j, x_k))`, `r` Pearson, `k = j` included; `n_j` counts all neighbours of `j`. These
//!   weights are constants of the backward pass.
//! - Output of the modality (eqs. 7, 8): `x_m = Σ_{l=0..L} x^(l)`, `[N, d]`, those of users times `mix_um`, a learned weight
//!   that each user gives to each modality, started at equal shares of the setting `mix`.
//! - Fusion (eqs. 11, 12): `x = concat_m x_m`, `[N, D]`, `D = d · |m|`.
//! - Graphs (eqs. 13-16): `Z = x + P x`, `P` the user co-interaction graph and the item semantic graph, each row a softmax.
//! - Score (eq. 17): `(Z_u + MLP_u(Z_u)) · (Z_i + MLP_i(Z_i))`, `MLP(z) = leaky(z W + b) V` with `V` started at zero, or
//!   `Z_u · Z_i`.
//! - Loss (eqs. 18, 19): mean BPR over the batch's pairs with `negatives` negatives each + `l2` times the mean over these of
//!   the squared norms of their rows of the user tables and of `item`.
//!
//! Departures from the paper; `docs/nsmar.md` has what each is worth:
//!
//! - `α` is divided by its mean over the target's neighbours, and a neighbour's row by the root of its own number of
//!   neighbours: as printed, messages are several times too weak at the start and feed on themselves later. No gradient flows
//!   through `α`, and the maximum of neighbours is far above the paper's 60: both cost recall.
//! - Features are aligned before the convolutions, "before modal fusion" as the text has it: after them the same maps move every
//!   vector at once and overfit. Users' tables lie in the shared space from the start.
//! - Eq. 17's map of both vectors is one per side inside an inner product: it starts as one, and ranks as one.
//! - `mix`, unit rows at the start and several negatives are not in the paper; DRAGON has the first two.
//! - The paper sums the loss (`l2` would depend on the batch), sums layers 0..L-1 (its last layer would not count), and writes
//!   the sums of eqs. 13 and 14 over the node itself (read as over its neighbours).

mod config;
mod fold_in;
mod variants;

use std::sync::Arc;

use alike_ops::{
    Csr, FixedSparse, Triples, add, bpr_dot, l2_rows, leaky, matmul, neighbor_similarity, scale_rows,
    spmm_fixed, unit_rows,
};
use burn::tensor::{Device, Tensor, TensorData};

use super::{FoldIn, GradientModel, Learner, held, resolve};
use crate::config::Stream;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::graph::{self, Normalization};
use crate::layers::{
    Affine, FeatureInput, FeatureMap, Init, LEAKY_SLOPE, Local, ParamId, Params, Rows, Tracked, gather,
    on_device_of, propagated, weights_of_nodes,
};
use config::{Aggregation, Alignment, Config, Scoring};
pub(super) use variants::{NO_ALIGNMENT, NO_GRAPHS, NO_IMAGE, NO_SIMILARITY, NO_TEXT, NSMAR, PLUS};

/// One modality's features and parameters.
struct Modality {
    users: ParamId,
    /// The features' way into the shared space; `None` where the data have only a neighbour graph of this modality.
    input: Option<(FeatureInput, Align)>,
}

/// What follows the first map of the features.
enum Align {
    None,
    Matrix(ParamId),
    /// The second map of the MLP, and `S`.
    Mlp(Affine, Affine),
}

/// One side of the scorer: `x + leaky(x W + b) V`. A bias after `V` would vanish from the difference of two items.
#[derive(Clone, Copy)]
struct Side {
    hidden: Affine,
    back: ParamId,
}

/// Handles of all parameters.
struct Parts {
    modalities: Vec<Modality>,
    items: ParamId,
    mix: ParamId,
    /// The scorer's maps of users and of items.
    scorer: Option<[Side; 2]>,
}

struct Nsmar {
    config: Config,
    seed: u64,
    /// The modalities in use.
    names: Vec<String>,
    /// What everybody took, `[U, I]`.
    train: Arc<Csr>,
    users: usize,
    params: Params,
    parts: Parts,
    /// All neighbours of every node.
    pattern: Csr,
    /// The draw used for evaluation, and that of the current epoch.
    fixed: Arc<Csr>,
    sampled: Arc<Csr>,
    /// Column of `1/√n` of every node. Pearson does not see a row's scale, so damping changes no `α`.
    damping: Tensor<2>,
    /// Symmetric weights of all edges, for the plain convolution.
    plain: Option<Arc<FixedSparse>>,
    /// User graph and item graph.
    graphs: Option<Arc<FixedSparse>>,
}

/// Modalities in use: those of the data without the excluded ones.
fn used<'a>(data: &'a Dataset, config: &Config) -> Result<Vec<&'a str>> {
    let have = graph::modalities(data);
    let names: Vec<&str> =
        have.iter().copied().filter(|n| !config.exclude.0.iter().any(|e| e == n)).collect();
    if names.is_empty() {
        return Err(Error::Data(format!(
            "this model needs item features or a kNN graph; the data have: {}; excluded: {}",
            if have.is_empty() { "none".into() } else { have.join(", ") },
            if config.exclude.0.is_empty() { "none".into() } else { config.exclude.0.join(", ") },
        )));
    }
    Ok(names)
}

fn build_variant(
    variant: fn() -> Config,
    data: &Dataset,
    overrides: &toml::Table,
    seed: u64,
    device: &Device,
) -> Result<Learner> {
    let (config, _) = resolve(variant(), config::train_defaults(), overrides)?;
    let names = used(data, &config)?;
    let mut params = Params::new(seed, device);
    let parts = Parts::register(&mut params, data, &config, &names)?;
    let graphs = if config.user_graph || config.item_graph {
        Some(Arc::new(graphs(data, &names, &config)?))
    } else {
        None
    };
    let pattern = graph::bipartite_pattern(&data.train)?;
    let fixed = Arc::new(graph::sample_neighbors(&pattern, config.neighbors, seed, Stream::EVALUATION)?);
    let plain = match config.aggregation {
        Aggregation::Plain => Some(Arc::new(graph::bipartite(&data.train, Normalization::Symmetric, false)?)),
        Aggregation::Similarity => None,
    };
    let inverse = |r| 1.0 / (pattern.degree(r).max(1) as f32).sqrt();
    let column: Vec<f32> = (0..pattern.rows()).map(inverse).collect();
    let damping = Tensor::from_data(TensorData::new(column, [pattern.rows(), 1]), device);
    let model = Nsmar {
        names: names.into_iter().map(String::from).collect(),
        train: data.train.clone(),
        damping,
        config,
        seed,
        users: data.users.len(),
        params,
        parts,
        pattern,
        sampled: fixed.clone(),
        fixed,
        plain,
        graphs,
    };
    Ok(Learner::Gradient(Box::new(model)))
}

impl Parts {
    fn register(params: &mut Params, data: &Dataset, config: &Config, names: &[&str]) -> Result<Self> {
        let d = config.dim;
        let featured = |name: &&str| data.features.iter().any(|f| f.name == **name);
        let ids = if names.iter().all(featured) { Init::Zeros } else { Init::Xavier };
        let items = params.table("item", Rows::Items, data, d, ids);
        let share = Init::Constant(config.mix as f32 / names.len() as f32);
        let mix = params.table("mix", Rows::Users, data, names.len(), share);
        let shared = (config.alignment == Alignment::Mlp).then(|| {
            let shared = Affine::with(params, "shared", d, d, Init::Identity);
            shared.params().into_iter().for_each(|id| params.slow(id, SLOW));
            shared
        });
        let modalities =
            names.iter().map(|n| modality(data, n, config, shared, params)).collect::<Result<Vec<_>>>()?;
        let width = d * names.len();
        let scorer = (config.scorer == Scoring::Mlp).then(|| {
            ["user", "item"].map(|side| {
                let hidden = Affine::new(params, &format!("score.{side}.0"), width, d);
                let back = params.add(&format!("score.{side}.1.weight"), &[d, width], Init::Zeros);
                hidden.params().into_iter().chain([back]).for_each(|id| params.slow(id, SLOW));
                Side { hidden, back }
            })
        });
        Ok(Self { modalities, items, mix, scorer })
    }
}

/// Learning rate of maps that move all vectors at once, as a share of the others'.
const SLOW: f64 = 0.001;

fn modality(
    data: &Dataset,
    name: &str,
    config: &Config,
    shared: Option<Affine>,
    params: &mut Params,
) -> Result<Modality> {
    let d = config.dim;
    let users = params.table(&format!("user.{name}"), Rows::Users, data, d, Init::Xavier);
    let Some(features) = data.features.iter().find(|f| f.name == name) else {
        return Ok(Modality { users, input: None });
    };
    let (width, map) = match config.alignment {
        Alignment::Mlp => (config.hidden, format!("align.{name}.0")),
        Alignment::Matrix | Alignment::None => (d, format!("input.{name}")),
    };
    let map = FeatureMap { name: &map, normalize: true, width, bias: true, filled: d };
    let first = FeatureInput::new(params, features, map)?;
    let align = match shared {
        Some(shared) => Align::Mlp(Affine::new(params, &format!("align.{name}.1"), width, d), shared),
        None if config.alignment == Alignment::Matrix => {
            Align::Matrix(params.add(&format!("align.{name}.matrix"), &[d, d], Init::Identity))
        }
        None => Align::None,
    };
    Ok(Modality { users, input: Some((first, align)) })
}

/// User graph and item graph as one block-diagonal matrix; a graph that is switched off is an empty block.
fn graphs(data: &Dataset, names: &[&str], config: &Config) -> Result<FixedSparse> {
    let users = if config.user_graph {
        graph::user_graph(data, config.user_neighbors, config.user_weight)?.softmax()
    } else {
        graph::Neighbors::none(data.users.len())
    };
    let items = if config.item_graph {
        graph::item_graph(data, names, config.item_neighbors, &config.item_weights)?
    } else {
        vec![Vec::new(); data.items.len()]
    };
    graph::block_diagonal(&users, &items)
}

/// The modalities' rows side by side.
fn fuse(outputs: Vec<Tensor<2>>) -> Tensor<2> {
    match outputs.len() {
        1 => outputs.into_iter().next().expect("one output"),
        _ => Tensor::cat(outputs, 1),
    }
}

/// One layer: each row of `pattern` from the rows of `x` that it names, weighed by `plain` where given.
fn aggregate(pattern: &Arc<Csr>, plain: Option<&Arc<FixedSparse>>, x: Tensor<2>) -> Tensor<2> {
    match plain {
        Some(plain) => spmm_fixed(plain, x),
        None => neighbor_similarity(pattern, x),
    }
}

impl Nsmar {
    /// `Z [N, D]` over the neighbour lists of `pattern`, or the rows `rows` of it, which grow; as the scorer compares them.
    fn forward(&self, p: &Tracked, pattern: &Arc<Csr>, rows: Option<&[u32]>) -> Tensor<2> {
        let fused = fuse(self.outputs(p, pattern, |_, _| {}));
        let z = match (&self.graphs, rows) {
            (Some(graphs), _) => propagated(graphs, fused, rows),
            (None, Some(rows)) => gather(fused, rows),
            (None, None) => fused,
        };
        let users = rows.map_or(self.users, |rows| rows.partition_point(|&r| (r as usize) < self.users));
        let [n, _] = z.dims();
        match self.parts.scorer {
            None => z,
            Some([own, others]) => {
                let sides = [(own, 0, users), (others, users, n - users)];
                let moved =
                    sides.map(|(side, from, count)| side.forward(p, z.clone().narrow(0, from, count)));
                Tensor::cat(moved.to_vec(), 0)
            }
        }
    }

    /// The outputs of all modalities, `[N, d]` each; `each` sees the place of a modality and what each layer aggregates.
    fn outputs(
        &self,
        p: &Tracked,
        pattern: &Arc<Csr>,
        mut each: impl FnMut(usize, &Tensor<2>),
    ) -> Vec<Tensor<2>> {
        let mix = weights_of_nodes(p.matrix(self.parts.mix), self.pattern.rows() - self.users);
        let modalities = self.parts.modalities.iter().enumerate();
        let output =
            |(at, m)| scale_rows(self.convolve(p, m, pattern, |x| each(at, x)), mix.clone().narrow(1, at, 1));
        modalities.map(output).collect()
    }

    /// The starting rows of one modality, `[N, d]`.
    fn start(&self, p: &Tracked, m: &Modality) -> Tensor<2> {
        let ids = p.matrix(self.parts.items);
        let items = match &m.input {
            None => ids,
            Some((input, align)) => {
                let rows = input.project(p);
                let rows = match align {
                    Align::None => input.fill(p, rows),
                    Align::Matrix(matrix) => matmul(input.fill(p, rows), p.matrix(*matrix)),
                    Align::Mlp(second, shared) => {
                        let rows = input.fill(p, second.forward(p, leaky(rows, LEAKY_SLOPE)));
                        shared.forward(p, rows)
                    }
                };
                add(rows, ids)
            }
        };
        unit_rows(Tensor::cat(vec![p.matrix(m.users), items], 0))
    }

    /// `Σ_l x^(l)` of one modality; `each` sees what every layer aggregates, `[N, d]`.
    fn convolve(
        &self,
        p: &Tracked,
        m: &Modality,
        pattern: &Arc<Csr>,
        mut each: impl FnMut(&Tensor<2>),
    ) -> Tensor<2> {
        let mut x = self.start(p, m);
        let mut sum = x.clone();
        for _ in 0..self.config.layers {
            // Symmetric weights have the neighbour's root already.
            if self.plain.is_none() {
                let damping = on_device_of(&self.damping, &x);
                x = scale_rows(x, damping);
            }
            each(&x);
            x = aggregate(pattern, self.plain.as_ref(), x);
            sum = add(sum, x.clone());
        }
        sum
    }

    /// The squared norms of the batch's rows of the tables, times `l2` over the number of triples.
    fn norms(&self, p: &Tracked, batch: &Triples) -> Option<Tensor<1>> {
        let l2 = self.config.l2 as f32;
        if l2 == 0.0 {
            return None;
        }
        let scale = l2 / batch.users.len() as f32;
        let users = Arc::new(batch.users.clone());
        let offset = self.users as u32;
        let items = batch.positives.iter().chain(&batch.negatives).map(|i| i - offset).collect();
        let tables = self.parts.modalities.iter().map(|m| l2_rows(p.matrix(m.users), &users, scale));
        let own = l2_rows(p.matrix(self.parts.items), &Arc::new(items), scale);
        tables.chain([own]).reduce(|a, b| a + b)
    }
}

impl Side {
    /// `[n, D]` → `[n, D]`.
    fn forward(&self, p: &Tracked, x: Tensor<2>) -> Tensor<2> {
        add(x.clone(), matmul(self.hidden.forward_leaky(p, x), p.matrix(self.back)))
    }
}

impl GradientModel for Nsmar {
    held!();

    fn negatives(&self) -> usize {
        self.config.negatives
    }

    fn start_epoch(&mut self, epoch: u64) -> Result<()> {
        // Where the draw of evaluation cuts nothing, neither does this one: the lists stay, with what is kept beside them.
        if self.fixed.nnz() < self.pattern.nnz() && self.plain.is_none() {
            let pattern = graph::sample_neighbors(&self.pattern, self.config.neighbors, self.seed, epoch)?;
            self.sampled = Arc::new(pattern);
        }
        Ok(())
    }

    fn loss(&self, p: &Tracked, batch: &Arc<Triples>) -> Tensor<1> {
        let local = Local::of(batch, self.pattern.rows());
        let loss = bpr_dot(self.forward(p, &self.sampled, Some(&local.rows)), &local.batch);
        self.norms(p, batch).into_iter().fold(loss, |loss, norms| loss + norms)
    }

    fn vectors(&self, p: &Tracked) -> Result<Tensor<2>> {
        Ok(self.forward(p, &self.fixed, None))
    }

    fn parts(&self) -> Vec<(String, usize)> {
        self.names.iter().map(|n| (n.clone(), self.config.dim)).collect()
    }

    fn fold_in(self: Box<Self>) -> Result<Option<FoldIn>> {
        fold_in::of(*self).map(|forward| Some(FoldIn::Forward(forward)))
    }
}
