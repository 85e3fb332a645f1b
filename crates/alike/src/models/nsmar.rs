//! NSMAR and NSMAR+: "Neighbor Similarity and Multimodal Alignment based Product Recommendation Study".
//!
//! Per modality `m`, with all `N = U + I` nodes in one table (users first):
//!
//! - Alignment (eqs. 9, 10): items come into the shared space as `S(MLP_m(X_m))`, one hidden layer per
//!   modality and one `S` for all, started at the identity; NSMAR: `(X_m W_m) A_m`. An item without features
//!   in `m` gets the learned row `missing.m` in place of `MLP_m(X_m)`.
//! - Start (eqs. 1, 2): `x^(0) = unit rows of [user.m ; aligned items + item]`, `item` a table shared by
//!   modalities that starts at zero (drawn where a modality has no features).
//! - Convolution (eqs. 3-6): `x^(l)_t = 1/√n_t Σ_j α_j / (mean_k α_k) · x^(l-1)_j / √n_j` over the `n_t`
//!   neighbours of `t`, at most `neighbors`, with `α_j = 1/n_t Σ_k ReLU(r(x_j, x_k))`, `r` Pearson, `k = j`
//!   included; `n_j` counts all neighbours of `j`. These weights are constants of the backward pass.
//! - Output of the modality (eqs. 7, 8): `x_m = Σ_{l=0..L} x^(l)`, `[N, d]`, those of users times `mix_um`, a
//!   learned weight that each user gives to each modality, started at equal shares of the setting `mix`.
//! - Fusion (eqs. 11, 12): `x = concat_m x_m`, `[N, D]`, `D = d · |m|`.
//! - Graphs (eqs. 13-16): `Z = x + P x`, `P` the user co-interaction graph and the item semantic graph, each
//!   row a softmax.
//! - Score (eq. 17): `(Z_u + MLP_u(Z_u)) · (Z_i + MLP_i(Z_i))`, `MLP(z) = leaky(z W + b) V` with `V` started
//!   at zero, or `Z_u · Z_i`.
//! - Loss (eqs. 18, 19): mean BPR over the batch's pairs with `negatives` negatives each + `l2` times the
//!   mean over these of the squared norms of their rows of the user tables and of `item`. NSMAR+c: +
//!   `contrast` times InfoNCE of users against the items that they took, `-1/b Σ log(exp(cos(Z_u, Z_i)/τ) /
//!   Σ_j exp(cos(Z_u, Z_j)/τ))` over the items `j` of the batch.
//!
//! Departures from the paper; `docs/nsmar.md` has what each is worth:
//!
//! - `α` is divided by its mean over the target's neighbours, and a neighbour's row by the root of its own
//!   number of neighbours: as printed, messages are several times too weak at the start and feed on
//!   themselves later. No gradient flows through `α`, and the maximum of neighbours is far above the paper's
//!   60: both cost recall.
//! - Features are aligned before the convolutions, "before modal fusion" as the text has it: after them the
//!   same maps move every vector at once and overfit. Users' tables lie in the shared space from the start.
//! - Eq. 17's map of both vectors is one per side inside an inner product: it starts as one, and ranks as
//!   one.
//! - `mix`, unit rows at the start and several negatives are not in the paper; DRAGON has the first two.
//! - The paper sums the loss (`l2` would depend on the batch), sums layers 0..L-1 (its last layer would not
//!   count), and writes the sums of eqs. 13 and 14 over the node itself (read as over its neighbours).

mod fold_in;

use alike_ops::{ConstSparse, Csr, add, info_nce, leaky, matmul, scale_rows, unit_rows};

use self::fold_in::{Fold, Side, UserGraph, aggregate, fuse};
use super::prelude::*;
use crate::config::{Draw, ModalityWeights as Shares, Names};
use crate::graph::{self, Normalization, UserWeight};
use crate::scorer::matrix;

pub(super) const PLUS: ModelInfo = ModelInfo::trained::<Nsmar>(
    "nsmar+",
    "Neighbour-similarity convolution per modality, aligned by MLPs, with user and item graphs.",
    "Zhang et al., Neighbor Similarity and Multimodal Alignment based Product Recommendation Study",
);
/// The same model under other names.
pub(super) const VARIANTS: [ModelInfo; 7] = [
    PLUS.variant(
        "nsmar",
        "NSMAR+ with an explicit alignment matrix per modality in place of the MLPs.",
        || {
            toml::toml! { alignment = "matrix" }
        },
    ),
    PLUS.variant("nsmar+c", "NSMAR+ with a contrast of users and the items they took, in the batch.", || {
        toml::toml! { contrast = 0.001 }
    }),
    PLUS.variant("nsmar+/nc", "Ablation: plain convolution in place of neighbour similarity.", || {
        toml::toml! { aggregation = "plain" }
    }),
    PLUS.variant("nsmar+/ma", "Ablation: no alignment of modalities.", || {
        toml::toml! { alignment = "none" }
    }),
    PLUS.variant("nsmar+/gui", "Ablation: neither user graph nor item graph.", || {
        toml::toml! { user_graph = false item_graph = false }
    }),
    PLUS.variant("nsmar+/t", "Ablation: without the modality `text`.", || {
        toml::toml! { exclude = "text" }
    }),
    PLUS.variant("nsmar+/v", "Ablation: without the modality `image`.", || {
        toml::toml! { exclude = "image" }
    }),
];

crate::choice! {
    /// How neighbours are weighed.
    pub(super) enum Aggregation {
        /// By neighbour similarity.
        Similarity = "similarity",
        /// `D^-1/2 A D^-1/2`.
        Plain = "plain",
    }
}
crate::choice! {
    /// How features come into the shared space.
    pub(super) enum Alignment {
        /// One hidden layer per modality, then a map shared by all.
        Mlp = "mlp",
        /// An affine map and a learned matrix per modality (NSMAR).
        Matrix = "matrix",
        /// An affine map per modality.
        None = "none",
    }
}
crate::choice! {
    /// How a user and an item give a score.
    pub(super) enum Scoring {
        /// The inner product of both vectors, each moved by a map with one hidden layer.
        Mlp = "mlp",
        /// The inner product.
        Dot = "dot",
    }
}

crate::settings! {
    /// Settings of NSMAR+ and all its variants.
    pub(super) struct Config {
        /// Width of a modality's embeddings.
        dim: usize = 64, 1..=1024;
        /// How features come into the shared space.
        alignment: Alignment = Alignment::Mlp, ();
        /// Width of the alignment's hidden layer.
        hidden: usize = 256, 1..=4096;
        /// What the weights sum to that a user starts to give to the modalities: with rows of length 1 the scale of a score.
        mix: f64 = 0.5, 0.0..=10.0;
        /// Convolution layers.
        layers: usize = 2, 1..=8;
        /// How neighbours are weighed.
        aggregation: Aggregation = Aggregation::Similarity, ();
        /// Maximum of a node's neighbours that take part; of more, some are drawn, others each epoch.
        neighbors: usize = 1000, 1..=10_000;
        /// Whether users propagate over the co-interaction graph.
        user_graph: bool = true, ();
        /// Neighbours in the user graph.
        user_neighbors: usize = 40, 1..=10_000;
        /// What the edges of the user graph count.
        user_weight: UserWeight = UserWeight::Count, ();
        /// Whether items propagate over the semantic graph.
        item_graph: bool = true, ();
        /// Neighbours in the item graph, per modality.
        item_neighbors: usize = 10, 1..=1_000;
        /// Share of each modality in the item graph; empty: equal shares.
        item_weights: Shares = crate::graph::text_first(), ();
        /// How a user and an item give a score.
        scorer: Scoring = Scoring::Mlp, ();
        /// Weight of the squared norms of the batch's rows of the user and item tables.
        l2: f64 = 3e-2, 0.0..=10.0;
        /// Weight of the contrast of users and the items they took; 0: none.
        contrast: f64 = 0.0, 0.0..=10.0;
        /// Temperature of the contrast.
        temperature: f64 = 0.2, 0.01..=10.0;
        /// Modalities left out.
        exclude: Names = Names::default(), ();
    }
}

/// One modality's features and parameters.
struct Modality {
    users: Table<UserId>,
    /// The features' way into the shared space; `None` where the data have only a neighbour graph of this
    /// modality.
    input: Option<(FeatureInput, Align)>,
}

/// What follows the first map of the features.
enum Align {
    None,
    Matrix(ParamId),
    /// The second map of the MLP, and `S`.
    Mlp(Linear, Linear),
}

pub(super) struct Nsmar {
    config: Config,
    users: usize,
    /// The modalities in use.
    names: Vec<String>,
    modalities: Vec<Modality>,
    item: Table<ItemId>,
    mix: Table<UserId>,
    /// The scorer's maps of users and of items.
    scorer: Option<[Side; 2]>,
    /// Who took what, `[U, I]`.
    train: Arc<Csr>,
    /// All neighbours of every node.
    pattern: Csr,
    /// The draw used for evaluation, and that of the current epoch.
    fixed: Arc<Csr>,
    sampled: Arc<Csr>,
    /// Column of `1/√n` of every node. Pearson does not see a row's scale, so damping changes no `α`.
    damping: Tensor<2>,
    /// Symmetric weights of all edges, for the plain convolution.
    plain: Option<Arc<ConstSparse>>,
    /// User graph and item graph as one block-diagonal matrix; a graph that is switched off is an empty
    /// block.
    graphs: Option<Arc<ConstSparse>>,
}

/// Modalities in use: those of the data without the excluded ones.
pub(super) fn used<'a>(data: &'a Dataset, config: &Config) -> Vec<&'a str> {
    let names = graph::modalities(data).into_iter();
    names.filter(|n| !config.exclude.0.iter().any(|e| e == n)).collect()
}

/// The same; an error where there are none.
fn needed<'a>(data: &'a Dataset, config: &Config) -> Result<Vec<&'a str>> {
    let names = used(data, config);
    if names.is_empty() {
        let have = graph::modalities(data);
        return Err(Error::Data(format!(
            "this model needs item features or a kNN graph; the data have: {}; excluded: {}",
            if have.is_empty() { "none".into() } else { have.join(", ") },
            if config.exclude.0.is_empty() { "none".into() } else { config.exclude.0.join(", ") },
        )));
    }
    Ok(names)
}

/// Pairs of a batch that the contrast sets against each other, at most: its cost grows with their square.
const CONTRASTED: usize = 2048;

/// Learning rate of maps that move all vectors at once, as a share of the others'.
const SLOW: f64 = 0.001;

fn modality(b: &mut Builder<'_>, name: &str, config: &Config, shared: Option<Linear>) -> Result<Modality> {
    let d = config.dim;
    let users = b.table(&format!("user.{name}"), d, Init::Xavier);
    let Some(features) = b.data().features.iter().find(|f| f.name == name) else {
        return Ok(Modality { users, input: None });
    };
    let (width, map) = match config.alignment {
        Alignment::Mlp => (config.hidden, format!("align.{name}.0")),
        Alignment::Matrix | Alignment::None => (d, format!("input.{name}")),
    };
    let map = FeatureMap { name: &map, normalize: true, width, bias: true, filled: d };
    let first = b.input_with(features, map)?;
    // The hidden layer and its gradient.
    b.holds(2 * b.items() * width);
    let align = match shared {
        Some(shared) => Align::Mlp(b.linear(&format!("align.{name}.1"), width, d), shared),
        None if config.alignment == Alignment::Matrix => {
            Align::Matrix(b.matrix(&format!("align.{name}.matrix"), d, d, Init::Identity))
        }
        None => Align::None,
    };
    Ok(Modality { users, input: Some((first, align)) })
}

/// User graph and item graph.
fn graphs(data: &Dataset, names: &[&str], config: &Config) -> Result<ConstSparse> {
    let users = match config.user_graph {
        true => graph::user_graph(data, config.user_neighbors, config.user_weight)?.softmax(),
        false => graph::Neighbors::none(data.users.len()),
    };
    let items = match config.item_graph {
        true => graph::item_graph(data, names, config.item_neighbors, &config.item_weights)?,
        false => vec![Vec::new(); data.items.len()],
    };
    graph::block_diagonal(&users, &items)
}

impl Nsmar {
    /// The model over the modalities `names`. Without any there is one branch, of the item table alone, and
    /// no item graph.
    ///
    /// # Errors
    /// A graph cannot be built.
    pub(super) fn over(b: &mut Builder<'_>, config: Config, names: Vec<&str>) -> Result<Self> {
        let (data, d) = (b.data(), config.dim);
        let branches = if names.is_empty() { vec!["item"] } else { names.clone() };
        let has_features = |name: &&str| data.features.iter().any(|f| f.name == **name);
        let featured = branches.iter().all(has_features);
        let item = b.table("item", d, if featured { Init::Zeros } else { Init::Xavier });
        let mix = b.table("mix", branches.len(), Init::Constant(config.mix as f32 / branches.len() as f32));
        let aligned = config.alignment == Alignment::Mlp && branches.iter().any(has_features);
        let shared = aligned.then(|| {
            let shared = b.linear_with("shared", d, d, Init::Identity);
            b.scale_lr(shared.params(), SLOW);
            shared
        });
        let modalities: Vec<Modality> =
            branches.iter().map(|n| modality(b, n, &config, shared)).collect::<Result<_>>()?;
        let width = d * branches.len();
        let scorer = (config.scorer == Scoring::Mlp).then(|| {
            ["user", "item"].map(|side| {
                let hidden = b.linear(&format!("score.{side}.0"), width, d);
                let back = b.matrix(&format!("score.{side}.1.weight"), d, width, Init::Zeros);
                b.scale_lr(hidden.params().into_iter().chain([back]), SLOW);
                Side { hidden, back }
            })
        });
        let neighbors =
            b.users() * config.user_neighbors + b.items() * config.item_neighbors * branches.len();
        let graphs = (config.user_graph || config.item_graph)
            .then(|| b.sparse(neighbors, || graphs(data, &names, &config)))
            .transpose()?;
        let pattern = b.pattern(2 * data.train.nnz(), || graph::bipartite_pattern(&data.train))?;
        let fixed = Arc::new(graph::sample_neighbors(&pattern, config.neighbors, b.evaluation())?);
        let plain = (config.aggregation == Aggregation::Plain)
            .then(|| b.bipartite(Normalization::Symmetric, false))
            .transpose()?;
        let inverse = |r| 1.0 / (pattern.degree(r).max(1) as f32).sqrt();
        let damping = b.column(|| (0..pattern.rows()).map(inverse).collect());
        // A layer keeps its input and its sum; the fused rows and their gradients.
        b.holds(b.nodes() * width * (4 + 2 * config.layers));
        let names = names.into_iter().map(String::from).collect();
        let (users, train, sampled) = (b.users(), data.train.clone(), fixed.clone());
        Ok(Self {
            config,
            users,
            names,
            modalities,
            item,
            mix,
            scorer,
            train,
            pattern,
            fixed,
            sampled,
            damping,
            plain,
            graphs,
        })
    }

    /// `Z [N, D]` over the neighbour lists of `pattern`, or the rows `rows` of it, which grow; as the scorer
    /// compares them.
    fn forward(&self, w: &Weights, pattern: &Arc<Csr>, rows: Option<&[u32]>) -> Tensor<2> {
        let fused = fuse(self.outputs(w, pattern, |_, _| {}));
        let z = match (&self.graphs, rows) {
            (Some(graphs), _) => propagated(graphs, fused, rows),
            (None, Some(rows)) => gather(fused, rows),
            (None, None) => fused,
        };
        let users = rows.map_or(self.users, |rows| rows.partition_point(|&r| (r as usize) < self.users));
        let [n, _] = z.dims();
        match self.scorer {
            None => z,
            Some([own, others]) => {
                let sides = [(own, 0, users), (others, users, n - users)];
                let moved =
                    sides.map(|(side, from, count)| side.forward(w, z.clone().narrow(0, from, count)));
                Tensor::cat(moved.to_vec(), 0)
            }
        }
    }

    /// The outputs of all modalities, `[N, d]` each; `each` sees the place of a modality and what each layer
    /// aggregates.
    fn outputs(
        &self,
        w: &Weights,
        pattern: &Arc<Csr>,
        mut each: impl FnMut(usize, &Tensor<2>),
    ) -> Vec<Tensor<2>> {
        let mix = weights_of_nodes(w.table(self.mix), self.pattern.rows() - self.users);
        let modalities = self.modalities.iter().enumerate();
        let output =
            |(at, m)| scale_rows(self.convolve(w, m, pattern, |x| each(at, x)), mix.clone().narrow(1, at, 1));
        modalities.map(output).collect()
    }

    /// The starting rows of one modality, `[N, d]`.
    fn start(&self, w: &Weights, m: &Modality) -> Tensor<2> {
        let ids = w.table(self.item);
        let items = match &m.input {
            None => ids,
            Some((input, align)) => {
                let rows = input.project(w);
                let rows = match align {
                    Align::None => input.fill(w, rows),
                    Align::Matrix(matrix) => matmul(input.fill(w, rows), w.matrix(*matrix)),
                    Align::Mlp(second, shared) => {
                        let rows = input.fill(w, second.forward(w, leaky(rows, LEAKY_SLOPE)));
                        shared.forward(w, rows)
                    }
                };
                add(rows, ids)
            }
        };
        unit_rows(Tensor::cat(vec![w.table(m.users), items], 0))
    }

    /// `Σ_l x^(l)` of one modality; `each` sees what every layer aggregates, `[N, d]`.
    fn convolve(
        &self,
        w: &Weights,
        m: &Modality,
        pattern: &Arc<Csr>,
        mut each: impl FnMut(&Tensor<2>),
    ) -> Tensor<2> {
        let mut x = self.start(w, m);
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

    /// InfoNCE of the users of the first pairs against the items that they took; pairs are positions in `z`.
    fn contrast(&self, z: &Tensor<2>, pairs: [Vec<u32>; 2]) -> Tensor<1> {
        let rows = |list: Vec<u32>| unit_rows(gather(z.clone(), &list[..list.len().min(CONTRASTED)]));
        let [users, items] = pairs.map(rows);
        info_nce(users, items, self.config.temperature as f32)
    }
}

impl Model for Nsmar {
    type Config = Config;
    const RANKS: bool = true;
    const FOLDS: bool = true;

    /// A step costs the whole graph whatever its batch: a large one trains as well in a fraction of the time.
    fn training() -> TrainConfig {
        TrainConfig { batch: 8192, lr: 1e-3, patience: 10, patience_steps: 300, ..TrainConfig::default() }
    }

    /// A step costs the graph whatever its pairs, so several negatives are nearly free.
    fn objective() -> Objective {
        Objective { negatives: 8, ..Objective::default() }
    }

    fn build(b: &mut Builder<'_>, config: Config) -> Result<Self> {
        let names = needed(b.data(), &config)?;
        Self::over(b, config, names)
    }
    /// The contrast sets the rows of a batch against each other.
    fn separable(&self) -> bool {
        self.config.contrast == 0.0
    }

    fn start_epoch(&mut self, _: &Weights, draw: Draw) -> Result<()> {
        // Where the draw of evaluation cuts nothing, neither does this one: the lists stay, with what is kept
        // beside them.
        if self.fixed.nnz() < self.pattern.nnz() && self.plain.is_none() {
            self.sampled = Arc::new(graph::sample_neighbors(&self.pattern, self.config.neighbors, draw)?);
        }
        Ok(())
    }

    fn loss(&self, w: &Weights, step: &Step) -> Tensor<1> {
        let local = step.local();
        let z = self.forward(w, &self.sampled, Some(&local.rows));
        let mut loss = step.ranking_loss(z.clone(), &local.triples);
        if self.config.contrast > 0.0 {
            loss = loss + self.contrast(&z, step.pairs(&local.triples)) * self.config.contrast as f32;
        }
        let l2 = self.config.l2;
        if l2 == 0.0 {
            return loss;
        }
        let of_users = self.modalities.iter().map(|m| step.l2(w, m.users, step.users(), l2));
        let of_items = step.l2(w, self.item, &step.items(), l2);
        loss + of_users.chain([of_items]).reduce(|a, b| a + b).expect("items have a table")
    }

    fn vectors(&self, w: &Weights) -> Result<Tensor<2>> {
        Ok(self.forward(w, &self.fixed, None))
    }

    fn fold_in(self, w: Weights) -> Result<Option<FoldIn>> {
        let (users, items) = (self.users, self.pattern.rows() - self.users);
        let mut inputs = vec![Vec::new(); self.modalities.len()];
        let outputs = self.outputs(&w, &self.fixed, |at, x| {
            inputs[at].push(matrix(x.clone().narrow(0, users, items)));
        });
        let mix = matrix(w.table(self.mix).mean_dim(0)).data.into_vec();
        let degree = |i: usize| self.pattern.degree(users + i).max(1) as f32;
        let taken = self.plain.is_some().then(|| (0..items).map(degree).collect());
        let graph = self.config.user_graph.then(|| UserGraph {
            rows: matrix(fuse(outputs).narrow(0, 0, users)),
            train: self.train.clone(),
            neighbors: self.config.user_neighbors,
            weight: self.config.user_weight,
        });
        let side = self.scorer.map(|[own, _]| own);
        let fold = Fold { w, inputs, mix, taken, graph, side };
        Ok(Some(FoldIn::Forward(fold.forward())))
    }

    fn parts(&self) -> Vec<(String, usize)> {
        self.names.iter().map(|n| (n.clone(), self.config.dim)).collect()
    }
}
