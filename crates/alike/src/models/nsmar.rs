//! NSMAR and NSMAR+: "Neighbor Similarity and Multimodal Alignment based Product Recommendation Study".
//!
//! Per modality `m`, with all `N = U + I` nodes in one table (users first):
//!
//! - Input (eqs. 1, 2): `x^(0) = [user.m ; X_m W + b + item]`; an item without features in `m` gets the learned
//!   row `missing.m` in place of its projection.
//! - Convolution (eqs. 3-6): `x^(l)_t = 1/√n_t · f_l(Σ_j α_j x^(l-1)_j)` over the `n_t` neighbours of `t`, at
//!   most `neighbors`, with `α_j = 1/n_t Σ_k ReLU(r(x_j, x_k))`, `r` Pearson, `k = j` included, and `f_l` a
//!   leaky affine map or the identity.
//! - Output of the modality (eqs. 7, 8): `x_m = Σ_{l=0..L} x^(l)`, `[N, d]`.
//! - Alignment (eqs. 9, 10): `x_m* = S(MLP_m(x_m))`, one `S` for all modalities, or `S(x_m + MLP_m(x_m))` with
//!   `align_skip`; NSMAR: `x_m* = x_m A_m`.
//! - Fusion (eqs. 11, 12): `x = concat_m x_m*`, `[N, D]`, `D = d · |m|`.
//! - Graphs (eqs. 13-16): `Z = x + P x`, `P` the user co-interaction graph and the item semantic graph, each row
//!   a softmax.
//! - Score (eq. 17): `y_ui = out · ReLU(Z_u W_user + b + Z_i W_item)`, one hidden layer over `[Z_u ; Z_i]`
//!   written as a sum, or `Z_u · Z_i`.
//! - Loss (eqs. 18, 19): mean BPR over the batch + `l2/b` times the squared norms of the batch's rows of the
//!   user tables and of `item` (+ `l2` times the squared weight matrices with `l2_weights`; + `l2_vectors/b` times
//!   the squared norms of the batch's rows of `Z`).
//! - The alignment learns at `align_lr` times the learning rate: it moves every vector at once, and at the full rate it
//!   overfits before the vectors have formed.
//!
//! Departures, each a setting: the paper sums the loss (`l2` would depend on the batch), sums layers 0..L-1
//! (its last layer would not count), writes the sums of eqs. 13 and 14 over the node itself (read as over its
//! neighbours), and leaves open inputs, transforms, ties and the scorer.

mod config;
mod fold_in;
mod variants;

use std::sync::Arc;

use alike_ops::{
    Csr, FixedSparse, Triples, add, add_propagated, bpr_dot, bpr_pair_mlp, l2_rows, leaky, matmul,
    neighbor_similarity, scale_rows, spmm_fixed, sum_squares, unit_rows,
};
use burn::tensor::{Device, Tensor, TensorData};

use super::{FoldIn, GradientModel, Learner, batch_rows, held, resolve};
use crate::config::Stream;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::graph::{self, Normalization};
use crate::layers::{
    Affine, FeatureInput, FeatureMap, Init, LEAKY_SLOPE, Local, ParamId, Params, Rows, Tracked, gather,
    on_device_of, propagated,
};
use crate::scorer::{HiddenLayer, Trained};
use config::{Aggregation, Alignment, Config, Input, ScorerKind, Transform};
pub(super) use variants::{NO_ALIGNMENT, NO_GRAPHS, NO_IMAGE, NO_SIMILARITY, NO_TEXT, NSMAR, PLUS};

/// One modality's frozen features and parameters.
struct Modality {
    users: ParamId,
    /// The features' map, and a second one; `None` where the data have only a kNN graph of this modality.
    input: Option<(FeatureInput, Option<Affine>)>,
    transforms: Vec<Affine>,
    align: Align,
}

enum Align {
    None,
    Matrix(ParamId),
    Mlp(Affine, Affine),
}

impl Align {
    fn params(&self) -> Vec<ParamId> {
        match self {
            Self::None => Vec::new(),
            Self::Matrix(matrix) => vec![*matrix],
            Self::Mlp(first, second) => [first, second].into_iter().flat_map(Affine::params).collect(),
        }
    }
}

/// Handles of all parameters.
struct Parts {
    modalities: Vec<Modality>,
    items: Option<ParamId>,
    shared: Option<Affine>,
    scorer: Option<[ParamId; 4]>,
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
    damping: Option<Tensor<2>>,
    /// Symmetric weights, for the plain convolution.
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
    // Symmetric weights divide by the neighbour's degree already.
    let damped = config.damp_neighbors && config.aggregation == Aggregation::Similarity;
    let damping = damped.then(|| {
        let inverse = |r| 1.0 / (pattern.degree(r).max(1) as f32).sqrt();
        let column: Vec<f32> = (0..pattern.rows()).map(inverse).collect();
        Tensor::from_data(TensorData::new(column, [pattern.rows(), 1]), device)
    });
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
        let items = config.item_ids.then(|| params.table("item", Rows::Items, data, d, Init::Xavier));
        let modalities =
            names.iter().map(|n| modality(data, n, config, params)).collect::<Result<Vec<_>>>()?;
        let start = if config.align_skip { Init::Identity } else { Init::Xavier };
        let shared =
            (config.alignment == Alignment::Mlp).then(|| Affine::with(params, "shared", d, d, start));
        let width = d * names.len();
        let scorer = (config.scorer == ScorerKind::Mlp).then(|| {
            [
                params.add("score.user", &[width, config.hidden], Init::Xavier),
                params.add("score.item", &[width, config.hidden], Init::Xavier),
                params.add("score.bias", &[config.hidden], Init::Zeros),
                params.add("score.out", &[config.hidden], Init::Xavier),
            ]
        });
        let aligning = modalities.iter().flat_map(|m| m.align.params());
        for id in aligning.chain(shared.iter().flat_map(Affine::params)) {
            params.slow(id, config.align_lr);
        }
        Ok(Self { modalities, items, shared, scorer })
    }
}

fn modality(data: &Dataset, name: &str, config: &Config, params: &mut Params) -> Result<Modality> {
    let d = config.dim;
    let users = params.table(&format!("user.{name}"), Rows::Users, data, d, Init::Xavier);
    let features = data.features.iter().find(|f| f.name == name);
    if features.is_none() && !config.item_ids {
        return Err(Error::Data(format!(
            "modality `{name}` has no features, only a kNN graph: item_ids must be true"
        )));
    }
    let input = match features {
        None => None,
        Some(features) => {
            let map = |name| FeatureMap {
                name,
                normalize: config.normalize_input,
                width: d,
                bias: true,
                filled: d,
            };
            let (first, second) = match config.input {
                Input::Linear => (FeatureInput::new(params, features, map(&format!("input.{name}")))?, None),
                Input::Mlp => (
                    FeatureInput::new(params, features, map(&format!("input.{name}.0")))?,
                    Some(Affine::new(params, &format!("input.{name}.1"), d, d)),
                ),
            };
            Some((first, second))
        }
    };
    let transforms = match config.transform {
        Transform::Identity => Vec::new(),
        Transform::Mlp => {
            (1..=config.layers).map(|l| Affine::new(params, &format!("transform.{name}.{l}"), d, d)).collect()
        }
    };
    let second = if config.align_skip { Init::Zeros } else { Init::Xavier };
    let align = match config.alignment {
        Alignment::None => Align::None,
        Alignment::Matrix => {
            Align::Matrix(params.add(&format!("align.{name}.matrix"), &[d, d], Init::Identity))
        }
        Alignment::Mlp => Align::Mlp(
            Affine::new(params, &format!("align.{name}.0"), d, d),
            Affine::with(params, &format!("align.{name}.1"), d, d, second),
        ),
    };
    Ok(Modality { users, input, transforms, align })
}

/// User graph and item graph as one block-diagonal matrix; a graph that is switched off is an empty block.
fn graphs(data: &Dataset, names: &[&str], config: &Config) -> Result<FixedSparse> {
    let users = if config.user_graph {
        let graph = graph::user_graph(data, config.user_neighbors, config.user_weight)?;
        graph.softmax()
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

/// One layer: each row of `pattern` from the rows of `x` that it names, with the weights `plain` where given.
fn aggregate(
    p: &Tracked,
    pattern: &Arc<Csr>,
    plain: Option<&Arc<FixedSparse>>,
    x: Tensor<2>,
    transform: Option<&Affine>,
) -> Tensor<2> {
    match (plain, transform) {
        (Some(plain), None) => spmm_fixed(plain, x),
        (Some(plain), Some(f)) => f.forward_leaky(p, spmm_fixed(plain, x)),
        (None, None) => neighbor_similarity(pattern, x, true),
        (None, Some(f)) => f.forward_leaky_scaled(p, neighbor_similarity(pattern, x, false), pattern),
    }
}

impl Nsmar {
    /// `Z [N, D]` over the neighbour lists of `pattern`, or the rows `rows` of it.
    fn forward(&self, p: &Tracked, pattern: &Arc<Csr>, rows: Option<&[u32]>) -> Tensor<2> {
        let output = |m| self.align(p, m, self.convolve(p, m, pattern, |_| {}));
        let fused = fuse(self.parts.modalities.iter().map(output).collect());
        match (&self.graphs, rows) {
            (Some(graphs), _) => {
                let z = (1..self.config.hops).fold(fused, |z, _| add_propagated(graphs, z));
                propagated(graphs, z, rows)
            }
            (None, Some(rows)) => gather(fused, rows),
            (None, None) => fused,
        }
    }

    /// The starting rows of one modality, `[N, d]`.
    fn start(&self, p: &Tracked, m: &Modality) -> Tensor<2> {
        let projected = m.input.as_ref().map(|(input, second)| {
            let rows = input.project(p);
            let rows = match second {
                Some(second) => second.forward(p, leaky(rows, LEAKY_SLOPE)),
                None => rows,
            };
            input.fill(p, rows)
        });
        let items = match (projected, self.parts.items) {
            (Some(rows), Some(ids)) => add(rows, p.matrix(ids)),
            (Some(rows), None) => rows,
            (None, Some(ids)) => p.matrix(ids),
            (None, None) => unreachable!("a modality without features needs item ids; `modality` checks it"),
        };
        let start = Tensor::cat(vec![p.matrix(m.users), items], 0);
        if self.config.normalize_start { unit_rows(start) } else { start }
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
        for l in 0..self.config.layers {
            if let Some(damping) = &self.damping {
                let damping = on_device_of(damping, &x);
                x = scale_rows(x, damping);
            }
            each(&x);
            x = aggregate(p, pattern, self.plain.as_ref(), x, m.transforms.get(l));
            sum = add(sum, x.clone());
        }
        sum
    }

    fn align(&self, p: &Tracked, m: &Modality, x: Tensor<2>) -> Tensor<2> {
        let x = match &m.align {
            Align::None => x,
            Align::Matrix(a) => matmul(x, p.matrix(*a)),
            Align::Mlp(first, second) => {
                let moved = second.forward(p, first.forward_leaky(p, x.clone()));
                if self.config.align_skip { add(x, moved) } else { moved }
            }
        };
        match &self.parts.shared {
            Some(shared) => shared.forward(p, x),
            None => x,
        }
    }

    /// `l2` times the squared norms of what the batch touches of the tables, over the batch size.
    fn parameter_norms(&self, p: &Tracked, batch: &Triples) -> Option<Tensor<1>> {
        let l2 = self.config.l2 as f32;
        if l2 == 0.0 {
            return None;
        }
        let scale = l2 / batch.users.len() as f32;
        let users = Arc::new(batch.users.clone());
        let offset = self.users as u32;
        let items: Vec<u32> = batch.positives.iter().chain(&batch.negatives).map(|i| i - offset).collect();
        let items = Arc::new(items);
        let tables = self.parts.modalities.iter().map(|m| l2_rows(p.matrix(m.users), &users, scale));
        let ids = self.parts.items.iter().map(|&id| l2_rows(p.matrix(id), &items, scale));
        let mut sum = tables.chain(ids).reduce(|a, b| a + b)?;
        if self.config.l2_weights {
            let tables: Vec<ParamId> =
                self.parts.modalities.iter().map(|m| m.users).chain(self.parts.items).collect();
            for w in p.matrices(&self.params.matrices_but(&tables)) {
                sum = sum + sum_squares(w) * l2;
            }
        }
        Some(sum)
    }
}

impl GradientModel for Nsmar {
    held!();

    fn start_epoch(&mut self, epoch: u64) -> Result<()> {
        let pattern = graph::sample_neighbors(&self.pattern, self.config.neighbors, self.seed, epoch)?;
        self.sampled = Arc::new(pattern);
        Ok(())
    }

    fn loss(&self, p: &Tracked, batch: &Arc<Triples>) -> Tensor<1> {
        let local = Local::of(batch, self.pattern.rows());
        let z = self.forward(p, &self.sampled, Some(&local.rows));
        let own = self.parameter_norms(p, batch);
        let batch = &local.batch;
        let loss = match self.parts.scorer {
            None => bpr_dot(z.clone(), batch),
            Some([user, item, bias, out]) => {
                bpr_pair_mlp(z.clone(), p.matrix(user), p.matrix(item), p.vector(bias), p.vector(out), batch)
            }
        };
        let loss = own.into_iter().fold(loss, |loss, own| loss + own);
        if self.config.l2_vectors == 0.0 {
            return loss;
        }
        loss + l2_rows(z, &batch_rows(batch), self.config.l2_vectors as f32 / batch.users.len() as f32)
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

    fn trained(&self) -> Result<Trained> {
        let p = self.params.plain();
        let z = self.vectors(&p)?;
        let all = Trained::dot(z, self.users);
        let Some([user, item, bias, out]) = self.parts.scorer else { return Ok(all) };
        Ok(Trained {
            users: all.users.matmul(p.matrix(user)) + p.matrix(bias),
            items: all.items.clone().matmul(p.matrix(item)),
            hidden: Some(HiddenLayer { out: p.matrix(out), vectors: all.items }),
        })
    }
}
