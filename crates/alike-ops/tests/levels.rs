//! Bits of the operators at each instruction set: what docs/operators.md promises, and only that.
//!
//! `cargo test -p alike-ops --test levels -- --nocapture` prints all of them, to be compared with those of
//! another machine.
#![allow(clippy::unwrap_used)]

use std::process::Command;
use std::sync::Arc;

use alike_ops::*;
use burn::tensor::{Device, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What is promised of an operator's bits, as hashes of them. A change of a kernel that changes bits changes
/// them here, at every level alike.
enum Bits {
    /// The same at every level.
    Always(u32),
    /// The same at every level that fuses multiplication and addition, others at `portable`.
    Fused(u32, u32),
    /// As the above, and others at `avx512` too.
    Narrow(u32, u32, u32),
    /// Nothing: products of dense matrices choose for themselves, and exponentials and logarithms of single
    /// floats are the system's. (Those of doubles, as in BPR, are rounded to floats and agree.)
    Own,
}
use Bits::{Always, Fused, Narrow, Own};

const TABLE: &[(&str, Bits)] = &[
    ("spmm_const", Fused(0xa115_66f7, 0x89e5_e7b1)),
    ("propagate_mean", Fused(0xa8d7_3092, 0xcff7_6e49)),
    ("propagate_sum", Fused(0x7be3_1c52, 0x3b29_51e1)),
    ("add_propagated", Fused(0x85fb_f6c4, 0xa3bd_fa04)),
    ("spmm_rows", Fused(0xc320_b552, 0x6cf7_aaa2)),
    ("gather", Always(0xd03e_751a)),
    ("spmm", Fused(0x4dc9_aaa8, 0xc5b0_2946)),
    ("segment_softmax", Own),
    ("neighbor_similarity", Narrow(0x447d_58f2, 0x27e3_3e5f, 0xc4d0_e2db)),
    ("matmul", Own),
    ("linear", Own),
    ("project", Own),
    ("add", Always(0x13ac_bb38)),
    ("multiply", Always(0x82f4_84c0)),
    ("add_row", Always(0x4078_9836)),
    ("scale_rows", Fused(0x4af9_a254, 0x4e60_5a81)),
    ("unit_rows", Fused(0xb162_c568, 0x7e64_954e)),
    ("leaky", Always(0x16fa_d776)),
    ("sigmoid", Fused(0x6b36_40d4, 0x6514_265a)),
    ("tanh", Fused(0x14b9_66f9, 0xd282_1083)),
    ("sum_squares", Fused(0x66ea_7439, 0x9c89_1b31)),
    ("bpr_dot", Fused(0xdd74_0cf7, 0xb45c_4524)),
    ("bpr_dot_own_l2", Fused(0xa85f_c438, 0x89e9_8dee)),
    ("bpr_dot_l2", Fused(0x7a32_d355, 0x2a06_62ea)),
    ("l2_rows", Fused(0xe06a_444d, 0xe06a_444d)),
    ("bpr_pair_mlp", Own),
    ("log_sum_exp", Own),
    ("info_nce", Own),
    ("uniformity", Own),
    ("adam_step", Fused(0x50c7_850d, 0x9b68_0f48)),
    ("top_k_dot", Fused(0x3b0b_0b89, 0x8779_d261)),
    ("top_k_pair_mlp", Fused(0x6c9b_2447, 0x6ff0_8f3a)),
    ("top_k_item_item", Always(0xb32c_c577)),
    ("add_item_item", Fused(0x8651_b93d, 0x05aa_c1e8)),
    ("top_k_static", Always(0xa567_518d)),
    ("Ranker", Fused(0xa4e4_f65b, 0x793e_e232)),
    ("scores_dot", Fused(0x9e40_684d, 0x5c4a_1742)),
    ("scores_pair_mlp", Fused(0x13af_b58b, 0x2ba9_e578)),
    ("knn_cosine", Fused(0xe0d4_c5e3, 0x0393_3f5d)),
    ("dot", Fused(0x6d0c_1334, 0xb47a_489e)),
];

/// Operators, and what they compute.
type Results = Vec<(&'static str, Vec<f32>)>;

fn values(n: usize, seed: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..n).map(|_| rng.random_range(-1.0..1.0)).collect()
}

fn tensor<const D: usize>(values: &[f32], shape: [usize; D]) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), &Device::flex().autodiff()).require_grad()
}

fn read<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec::<f32>().unwrap()
}

/// Rows without entries, of one, and of up to 70, with repeated indices.
fn pattern(rows: usize, cols: u32, seed: u64) -> Csr {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let lengths = [0, 1, 2, 3, 4, 5, 16, 17, 33, 70];
    let rows: Vec<Vec<u32>> = (0..rows)
        .map(|r| (0..lengths[r % lengths.len()]).map(|_| rng.random_range(0..cols)).collect())
        .collect();
    Csr::from_rows(cols as usize, &rows).unwrap()
}

fn triples(b: usize, rows: u32, seed: u64) -> Arc<Triples> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut draw = || (0..b).map(|_| rng.random_range(0..rows)).collect::<Vec<u32>>();
    Arc::new(Triples { users: draw(), positives: draw(), negatives: draw() })
}

/// Values and gradients of functions of matrices, of widths with and without whole vectors.
fn matrices(f: impl Fn(Tensor<2>, Tensor<2>) -> Tensor<2>, second: impl Fn(usize) -> [usize; 2]) -> Vec<f32> {
    let mut all = Vec::new();
    for d in [1, 16, 21, 64, 75, 130] {
        let shape = second(d);
        let x = tensor(&values(ROWS * d, 1), [ROWS, d]);
        let y = tensor(&values(shape[0] * shape[1], 2), shape);
        let z = f(x.clone(), y.clone());
        all.extend(read(z.clone().inner()));
        let weights = tensor(&values(z.dims().iter().product(), 3), z.dims());
        let grads = (z * weights).sum().backward();
        all.extend(x.grad(&grads).map(read).unwrap_or_default());
        all.extend(y.grad(&grads).map(read).unwrap_or_default());
    }
    all
}

/// Rows of the matrices above.
const ROWS: usize = 40;

/// [`matrices`] of one matrix.
fn matrix(f: impl Fn(Tensor<2>) -> Tensor<2>) -> Vec<f32> {
    matrices(|x, _| f(x), |_| [1, 1])
}

/// [`matrix`] of a loss.
fn loss(f: impl Fn(Tensor<2>) -> Tensor<1>) -> Vec<f32> {
    matrix(|x| f(x).reshape([1, 1]))
}

fn products() -> Results {
    let n = ROWS as u32;
    let wide = Arc::new(pattern(23, n, 4));
    let a = Arc::new(ConstSparse::new(wide.clone(), values(wide.nnz(), 5)).unwrap());
    let square = Arc::new(pattern(ROWS, n, 6));
    let s = Arc::new(ConstSparse::new(square.clone(), values(square.nnz(), 7)).unwrap());
    let some = RowSubset::new(&s, &[3, 9, 9, 0], true);
    let nnz = wide.nnz();
    vec![
        ("spmm_const", matrix(|x| spmm_const(&a, x))),
        ("propagate_mean", matrix(|x| propagate_mean(&s, x, 3))),
        ("propagate_sum", matrix(|x| propagate_sum(&s, x, 3))),
        ("add_propagated", matrix(|x| add_propagated(&s, x))),
        ("spmm_rows", matrix(|x| spmm_rows(&some, x))),
        ("gather", matrix(|x| gather(x, &[3, 9, 9, 0]))),
        ("spmm", matrices(|x, v| spmm(&wide, v.reshape([nnz]), x), |_| [1, nnz])),
        ("segment_softmax", {
            let logits = tensor(&values(nnz, 8), [nnz]);
            let y = segment_softmax(&wide, logits.clone());
            let grads = (y.clone() * tensor(&values(nnz, 9), [nnz])).sum().backward();
            [read(y.inner()), read(logits.grad(&grads).unwrap())].concat()
        }),
        ("neighbor_similarity", matrix(|x| neighbor_similarity(&wide, x))),
        ("matmul", matrices(matmul, |d| [d, 24])),
        (
            "linear",
            matrices(
                |x, w| linear(x, w, tensor(&values(24, 3), [24]), Activation::Leaky(0.1), None),
                |d| [d, 24],
            ),
        ),
        ("project", {
            let features = Arc::new(FrozenFeatures::new(values(ROWS * 70, 4), ROWS, 70).unwrap());
            read(project(&features, tensor(&values(70 * 24, 5), [70, 24])).inner())
        }),
    ]
}

fn maps() -> Results {
    let like = |d| [ROWS, d];
    vec![
        ("add", matrices(add, like)),
        ("multiply", matrices(multiply, like)),
        ("add_row", matrices(add_row, |d| [1, d])),
        ("scale_rows", matrices(scale_rows, |_| [ROWS, 1])),
        ("unit_rows", matrix(unit_rows)),
        ("leaky", matrix(|x| leaky(x, 0.1))),
        ("sigmoid", matrix(|x| sigmoid(x * 9.0))),
        ("tanh", matrix(|x| tanh(x * 3.0))),
        ("sum_squares", loss(sum_squares)),
    ]
}

fn losses() -> Results {
    let t = triples(100, ROWS as u32, 8);
    let rows = Arc::new(t.users.clone());
    let pairs = |x: Tensor<2>| unit_rows(x);
    vec![
        ("bpr_dot", loss(|x| bpr_dot(x, &t))),
        ("bpr_dot_own_l2", loss(|x| bpr_dot_own_l2(x, &t, 0.1))),
        ("bpr_dot_l2", matrices(|x, y| bpr_dot_l2(x, y, &t, 0.1).reshape([1, 1]), |_| [ROWS, 20])),
        ("l2_rows", loss(|x| l2_rows(x, &rows, 0.3))),
        (
            "bpr_pair_mlp",
            matrices(
                |x, w| {
                    let (bias, out) = (tensor(&values(24, 3), [24]), tensor(&values(24, 4), [24]));
                    bpr_pair_mlp(x, w.clone(), w * 0.7, bias, out, &t).reshape([1, 1])
                },
                |d| [d, 24],
            ),
        ),
        ("log_sum_exp", matrices(|x, y| log_sum_exp(pairs(x), pairs(y), 0.2, false), |d| [30, d])),
        ("info_nce", loss(|x| info_nce(pairs(x.clone()), pairs(x * 0.5 + 0.1), 0.2))),
        ("uniformity", loss(|x| uniformity(pairs(x), 2.0))),
        ("adam_step", {
            let n = 1000;
            let mut p = tensor(&values(n, 1), [n]).inner();
            let mut state = AdamState::default();
            for step in 1..=3 {
                let grad = tensor(&values(n, 1 + step), [n]).inner();
                p = adam_step(p, grad, &mut state, &Adam::default(), step);
            }
            let [m, v] = state.values();
            [read(p), m, v].concat()
        }),
    ]
}

const USERS: usize = 17;
const ITEMS: usize = 300;

/// `f` of the vectors of users and items, of widths below and above what a tile scores in one go.
fn over(f: impl Fn(&[f32], &[f32], usize) -> Vec<f32>) -> Vec<f32> {
    let one = |dim: usize| f(&values(USERS * dim, 1), &values(ITEMS * dim, 2), dim);
    [3, 64, 300].into_iter().flat_map(one).collect()
}

fn rankings() -> Results {
    let (users, items, k) = (USERS, ITEMS, 12);
    let rows: Vec<u32> = (0..users as u32).collect();
    let seen = pattern(users, items as u32, 4);
    let seen = Csr::from_rows(items, &(0..users).map(|u| sorted(seen.row(u))).collect::<Vec<_>>()).unwrap();
    let none = Exclusions { seen: Some(&seen), extra: None };
    let weights = pattern(items, items as u32, 5);
    let w: Vec<f32> = values(weights.nnz(), 6).iter().map(|v| v.abs()).collect();
    let flat = |top: &TopK| [top.items.iter().map(|&i| i as f32).collect(), top.scores.clone()].concat();
    vec![
        ("top_k_dot", over(|u, i, dim| flat(&top_k_dot(u, i, dim, &rows, &none, k)))),
        ("top_k_pair_mlp", over(|u, i, dim| flat(&top_k_pair_mlp(u, i, &values(dim, 3), &rows, &none, k)))),
        ("top_k_item_item", flat(&top_k_item_item(&seen, &weights, &w, &rows, &none, k))),
        (
            "add_item_item",
            over(|u, i, dim| {
                let by_dot = top_k_dot(u, i, dim, &rows, &none, k);
                let user = |r: usize| HybridUser { vector: &u[r * dim..][..dim], history: seen.row(r) };
                let excluded = |r: usize, list: &mut Vec<u32>| {
                    none.list(r as u32, list);
                    None
                };
                flat(&add_item_item(&by_dot, i, &weights, &w, &[0.5], user, excluded)[0])
            }),
        ),
        ("top_k_static", flat(&top_k_static(&values(items, 3), &rows, &none, k))),
        (
            "Ranker",
            over(|u, i, dim| {
                let masks: Vec<Mask> = rows.iter().map(|_| Mask { hidden: &[], among: None }).collect();
                flat(&Ranker::dot(i, dim).top_k(u, &masks, k))
            }),
        ),
        ("scores_dot", over(|u, i, dim| scores_dot(&u[..dim], i, dim))),
        ("scores_pair_mlp", over(|u, i, dim| scores_pair_mlp(&u[..dim], i, &values(dim, 3)))),
        (
            "knn_cosine",
            over(|_, i, dim| {
                let near = knn_cosine(i, items, dim, 5, false);
                [near.idx.iter().map(|&i| i as f32).collect(), near.cos].concat()
            }),
        ),
        ("dot", (0..140).map(|n| dot(&values(n, 1), &values(n, 2))).collect()),
    ]
}

fn sorted(row: &[u32]) -> Vec<u32> {
    let mut row = row.to_vec();
    row.sort_unstable();
    row.dedup();
    row
}

/// FNV-1a over the bits.
fn hash(values: &[f32]) -> u32 {
    let bytes = values.iter().flat_map(|v| v.to_bits().to_le_bytes());
    bytes.fold(0x811c_9dc5, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193))
}

#[test]
fn bits_are_as_promised() {
    let used = instruction_sets().unwrap().used;
    let mut wrong = Vec::new();
    let all: Results = [products(), maps(), losses(), rankings()].concat();
    assert_eq!(all.iter().map(|r| r.0).collect::<Vec<_>>(), TABLE.iter().map(|r| r.0).collect::<Vec<_>>());
    for ((name, values), (_, bits)) in all.iter().zip(TABLE) {
        assert!(!values.is_empty() && values.iter().all(|v| v.is_finite()), "{name}");
        let found = hash(values);
        println!("{used} {name} {found:#010x}");
        let promised = match *bits {
            Always(bits) => bits,
            Fused(_, bits) if used == "portable" => bits,
            Narrow(_, bits, _) if used == "avx512" => bits,
            Narrow(_, _, bits) if used == "portable" => bits,
            Fused(bits, _) | Narrow(bits, ..) => bits,
            Own => found,
        };
        if found != promised {
            wrong.push(*name);
        }
    }
    assert!(wrong.is_empty(), "other bits than promised at {used}: {wrong:?}");
}

#[test]
fn every_level_of_this_processor_keeps_the_promise_and_a_word_for_none_is_an_error() {
    let again = |level: &str| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let output =
            command.args(["--exact", "bits_are_as_promised"]).env("ALIKE_ISA", level).output().unwrap();
        (output.status.success(), format!("{output:?}"))
    };
    for level in instruction_sets().unwrap().supported {
        let (done, said) = again(level);
        assert!(done && said.contains("1 passed"), "{level}: {said}");
    }
    let (done, said) = again("sse9");
    assert!(!done && said.contains("sse9"), "{said}");
}
