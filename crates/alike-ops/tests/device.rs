//! Every operator on a graphics processor against the same on the processor: values, gradients, and the same
//! bits twice.
#![cfg(feature = "gpu")]
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use alike_ops::{
    Activation, Adam, AdamState, ConstSparse, Csr, FrozenFeatures, RowSubset, TopKRequest, Triples,
    adam_step, add, add_propagated, add_row, bpr_dot, bpr_dot_l2, bpr_dot_own_l2, bpr_pair_mlp, gather,
    info_nce, l2_rows, leaky, linear, linear_pair, log_sum_exp, matmul, multiply, neighbor_similarity,
    project, project_rows, propagate_mean, propagate_sum, scale_rows, segment_softmax, sigmoid, spmm,
    spmm_const, spmm_rows, sum_squares, tanh, top_k_dot_device, top_k_pair_mlp_device, uniformity, unit_rows,
    wgpu_devices,
};
use burn::tensor::{Device, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

#[path = "../../skipped.rs"]
mod skipped;

/// The first device that there is; without one the test says so and passes.
fn device() -> Option<Device> {
    #[cfg(feature = "cuda")]
    let cuda = Device::enumerate(burn::tensor::DeviceType::Cuda).into_vec();
    #[cfg(not(feature = "cuda"))]
    let cuda = Vec::new();
    let found = cuda.into_iter().chain(wgpu_devices()).next();
    if found.is_none() {
        skipped::skipped("device", "there is no graphics device");
    }
    found
}

fn values(n: usize, seed: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..n).map(|_| rng.random_range(-1.0..1.0)).collect()
}

fn read<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec::<f32>().unwrap()
}

/// The result of `f`, and the gradient of `Σ w ⊙ result` to each input.
fn run(device: &Device, shapes: &[[usize; 2]], f: &dyn Fn(&[Tensor<2>]) -> Tensor<2>) -> Vec<Vec<f32>> {
    let device = device.clone().autodiff();
    let tensor =
        |values: Vec<f32>, shape: [usize; 2]| Tensor::<2>::from_data(TensorData::new(values, shape), &device);
    let leaves: Vec<Tensor<2>> = (0u64..)
        .zip(shapes)
        .map(|(at, shape)| tensor(values(shape[0] * shape[1], at + 1), *shape).require_grad())
        .collect();
    let y = f(&leaves);
    let [rows, cols] = y.dims();
    let mut all = vec![read(y.clone())];
    let grads = (y * tensor(values(rows * cols, 99), [rows, cols])).sum().backward();
    all.extend(leaves.iter().map(|leaf| leaf.grad(&grads).map(read).unwrap_or_default()));
    all
}

/// Asserts that values and gradients agree within `tolerance · (1 + |x|)`, and that a second run gives the
/// same bits.
fn same(name: &str, tolerance: f32, shapes: &[[usize; 2]], f: impl Fn(&[Tensor<2>]) -> Tensor<2>) {
    let Some(device) = device() else { return };
    let wanted = run(&Device::flex(), shapes, &f);
    let found = run(&device, shapes, &f);
    assert_eq!(wanted.len(), found.len());
    for (at, (wanted, found)) in wanted.iter().zip(&found).enumerate() {
        let what = if at == 0 { "result".into() } else { format!("gradient {at}") };
        assert_eq!(wanted.len(), found.len(), "{name}: {what}");
        let worst =
            wanted.iter().zip(found).map(|(w, f)| (w - f).abs() / (1.0 + w.abs())).fold(0f32, f32::max);
        let all_numbers = found.iter().all(|v| v.is_finite());
        assert!(worst <= tolerance && all_numbers, "{name}: {what} is off by {worst}");
    }
    let bits = |all: &[Vec<f32>]| all.iter().flatten().map(|v| v.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&found), bits(&run(&device, shapes, &f)), "{name}: another run, other bits");
}

fn flat(t: Tensor<2>) -> Tensor<1> {
    let [rows, cols] = t.dims();
    t.reshape([rows * cols])
}

fn row(t: Tensor<1>) -> Tensor<2> {
    let [n] = t.dims();
    t.reshape([1, n])
}

/// Rows without entries, with repeated ones, with one, and with more than any piece or tile holds.
fn irregular(cols: usize, longest: usize) -> Arc<Csr> {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut rows: Vec<Vec<u32>> = vec![vec![], vec![0, 2, 2, 1], vec![cols as u32 - 1]];
    for n in [70, 2, 3, 5, 16, 0, 17, 33, 4, 61, longest, 32, 31] {
        rows.push((0..n).map(|_| rng.random_range(0..cols as u32)).collect());
    }
    Arc::new(Csr::from_rows(cols, &rows).unwrap())
}

fn square() -> Arc<ConstSparse> {
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    let mut rows: Vec<Vec<u32>> =
        (0..40usize).map(|r| (0..r % 7).map(|_| rng.random_range(0..40)).collect()).collect();
    rows[3] = (0..1100).map(|_| rng.random_range(0..40)).collect();
    let pattern = Arc::new(Csr::from_rows(40, &rows).unwrap());
    let weights = values(pattern.nnz(), 3);
    Arc::new(ConstSparse::new(pattern, weights).unwrap())
}

fn triples(b: usize, rows: u32) -> Arc<Triples> {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut list = || (0..b).map(|_| rng.random_range(0..rows)).collect();
    Arc::new(Triples { users: list(), positives: list(), negatives: list() })
}

#[test]
fn pointwise_maps() {
    for shape in [[1, 1], [37, 5], [300, 64], [19, 130]] {
        same("add", 0.0, &[shape, shape], |x| add(x[0].clone(), x[1].clone()));
        same("multiply", 0.0, &[shape, shape], |x| multiply(x[0].clone(), x[1].clone()));
        same("add_row", 1e-5, &[shape, [1, shape[1]]], |x| add_row(x[0].clone(), x[1].clone()));
        same("scale_rows", 1e-5, &[shape, [shape[0], 1]], |x| scale_rows(x[0].clone(), x[1].clone()));
        same("leaky", 1e-6, &[shape], |x| leaky(x[0].clone(), 0.01));
        same("sigmoid", 1e-5, &[shape], |x| sigmoid(x[0].clone() * 4.0));
        same("tanh", 1e-5, &[shape], |x| tanh(x[0].clone() * 2.0));
        same("unit_rows", 1e-4, &[shape], |x| unit_rows(x[0].clone()));
        same("sum_squares", 1e-4, &[shape], |x| row(sum_squares(x[0].clone())));
    }
}

/// More workgroups than one dimension of a launch holds.
#[test]
fn large_tensors() {
    let n = 140_000;
    same("add, large", 0.0, &[[n, 64], [n, 64]], |x| add(x[0].clone(), x[1].clone()));
    same("unit_rows, large", 1e-4, &[[n, 40]], |x| unit_rows(x[0].clone()));
    let rows: Vec<u32> = (0..n as u32).rev().collect();
    same("gather, large", 0.0, &[[n, 33]], |x| gather(x[0].clone(), &rows));
    let lists: Vec<Vec<u32>> = (0..n as u32).map(|r| vec![r / 2, (r * 7) % n as u32]).collect();
    let pattern = Arc::new(Csr::from_rows(n, &lists).unwrap());
    same("neighbor_similarity, large", 1e-3, &[[n, 8]], |x| neighbor_similarity(&pattern, x[0].clone()));
}

#[test]
fn dense_products() {
    let degrees = irregular(9, 80);
    let n = degrees.rows();
    for (n, p, q) in [(1, 1, 1), (n, 5, 3), (700, 64, 64), (260, 33, 70)] {
        same("matmul", 1e-4, &[[n, p], [p, q]], |x| matmul(x[0].clone(), x[1].clone()));
        for activation in [Activation::None, Activation::Leaky(0.1)] {
            same("linear", 1e-4, &[[n, p], [p, q], [1, q]], |x| {
                linear(x[0].clone(), x[1].clone(), flat(x[2].clone()), activation, None)
            });
            same("linear_pair", 1e-4, &[[n, p], [n, 3], [p + 3, q], [1, q]], |x| {
                linear_pair([x[0].clone(), x[1].clone()], x[2].clone(), flat(x[3].clone()), activation)
            });
        }
    }
    for activation in [Activation::None, Activation::Leaky(0.1)] {
        same("linear, scaled", 1e-4, &[[n, 5], [5, 3], [1, 3]], |x| {
            linear(x[0].clone(), x[1].clone(), flat(x[2].clone()), activation, Some(&degrees))
        });
    }
    let features = Arc::new(FrozenFeatures::new(values(150 * 70, 4), 150, 70).unwrap());
    same("project", 1e-4, &[[70, 16]], |x| project(&features, x[0].clone()));
    same("project_rows", 1e-4, &[[70, 16]], |x| project_rows(&features, &[5, 149, 5, 0], x[0].clone()));
}

#[test]
fn sparse_products() {
    let pattern = irregular(11, 1300);
    let fixed = Arc::new(ConstSparse::new(pattern.clone(), values(pattern.nnz(), 2)).unwrap());
    let whole = square();
    for d in [1, 7, 64, 100] {
        same("spmm_const", 1e-4, &[[11, d]], |x| spmm_const(&fixed, x[0].clone()));
        same("spmm", 1e-4, &[[1, pattern.nnz()], [11, d]], |x| {
            spmm(&pattern, flat(x[0].clone()), x[1].clone())
        });
        same("propagate_mean", 1e-3, &[[40, d]], |x| propagate_mean(&whole, x[0].clone() * 0.05, 2));
        same("propagate_sum", 1e-3, &[[40, d]], |x| propagate_sum(&whole, x[0].clone() * 0.05, 2));
        same("add_propagated", 1e-4, &[[40, d]], |x| add_propagated(&whole, x[0].clone()));
        for identity in [false, true] {
            let rows = RowSubset::new(&whole, &[7, 3, 7, 39, 0], identity);
            same("spmm_rows", 1e-4, &[[40, d]], |x| spmm_rows(&rows, x[0].clone()));
        }
        same("gather", 1e-6, &[[40, d]], |x| gather(x[0].clone(), &[5, 0, 5, 39, 5]));
    }
    same("segment_softmax", 1e-5, &[[1, pattern.nnz()]], |x| {
        row(segment_softmax(&pattern, flat(x[0].clone()) * 3.0))
    });
}

#[test]
fn neighbor_similarities() {
    // Mesa's software driver leaves loops after 65 535 rounds: longer rows come out wrong there.
    let pattern = irregular(50, 200);
    // Rows short enough for one tile.
    let short = Arc::new(
        Csr::from_rows(50, &(0..90).map(|r| (0..r % 21).collect::<Vec<u32>>()).collect::<Vec<_>>()).unwrap(),
    );
    for pattern in [&short, &pattern] {
        for d in [64, 33, 130, 5, 3] {
            same(&format!("neighbor_similarity of {d}"), 1e-3, &[[50, d]], |x| {
                neighbor_similarity(pattern, x[0].clone())
            });
        }
    }
    // Constant rows have no direction.
    same("neighbor_similarity, constant rows", 1e-3, &[[50, 12]], |x| {
        let keep = Tensor::<2>::ones([50, 1], &x[0].device()).slice_fill([3..9, 0..1], 0.0);
        neighbor_similarity(&pattern, scale_rows(x[0].clone(), keep) + 0.7)
    });
}

#[test]
fn losses() {
    for (n, d, b) in [(7, 3, 1), (40, 64, 60), (600, 17, 700)] {
        let t = triples(b, n as u32);
        same("bpr_dot", 1e-4, &[[n, d]], |x| row(bpr_dot(x[0].clone(), &t)));
        same("bpr_dot_own_l2", 1e-4, &[[n, d]], |x| row(bpr_dot_own_l2(x[0].clone(), &t, 0.3)));
        same("bpr_dot_l2", 1e-4, &[[n, d], [n, 5]], |x| row(bpr_dot_l2(x[0].clone(), x[1].clone(), &t, 0.3)));
        let users = Arc::new(t.users.clone());
        same("l2_rows", 1e-4, &[[n, d]], |x| row(l2_rows(x[0].clone(), &users, 0.2)));
        same("bpr_pair_mlp", 1e-4, &[[n, d], [d, 20], [d, 20], [1, 20], [1, 20]], |x| {
            let [bias, out] = [flat(x[3].clone()), flat(x[4].clone())];
            row(bpr_pair_mlp(x[0].clone(), x[1].clone(), x[2].clone(), bias, out, &t))
        });
    }
    for (b, d) in [(1, 3), (300, 16)] {
        same("info_nce", 1e-3, &[[b, d], [b, d]], |x| {
            row(info_nce(unit_rows(x[0].clone()), unit_rows(x[1].clone()), 0.2)) * b as f32
        });
        same("log_sum_exp", 1e-3, &[[b, d], [b + 70, d]], |x| {
            log_sum_exp(unit_rows(x[0].clone()), unit_rows(x[1].clone()), 0.2, false)
        });
    }
}

#[test]
fn pairs_of_one_matrix() {
    same("others", 1e-3, &[[150, 7]], |x| {
        let x = unit_rows(x[0].clone());
        log_sum_exp(x.clone(), x, 0.3, true)
    });
    same("uniformity", 1e-3, &[[150, 7]], |x| row(uniformity(unit_rows(x[0].clone()), 2.0)) * 150.0);
}

#[test]
fn adam_steps() {
    let Some(device) = device() else { return };
    let step = |device: &Device| {
        let tensor = |seed| Tensor::<2>::from_data(TensorData::new(values(35 * 7, seed), [35, 7]), device);
        let (mut p, mut state) = (tensor(1), AdamState::default());
        let kept = p.clone();
        for t in 1..=5 {
            p = adam_step(p, tensor(t + 1), &mut state, &Adam { lr: 0.1, ..Adam::default() }, t);
        }
        assert_eq!(read(kept), values(35 * 7, 1), "a shared parameter keeps its values");
        let [m, v] = state.values();
        let [from_m, from_v] = AdamState::from_values(m.clone(), v.clone(), device).values();
        assert_eq!((&m, &v), (&from_m, &from_v));
        [read(p), m, v].concat()
    };
    for (wanted, found) in step(&Device::flex()).iter().zip(step(&device)) {
        assert!((wanted - found).abs() < 1e-4, "{wanted} {found}");
    }
}

#[test]
fn rankings() {
    let Some(device) = device() else { return };
    let (users, items, d) = (90usize, 700usize, 13usize);
    let mask = |seed: u64, most: u32| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let rows: Vec<Vec<u32>> = (0..users)
            .map(|u| {
                // One user has interacted with all but five items.
                let count = if u == 4 { 695 } else { rng.random_range(0..most) };
                (0..count).collect()
            })
            .collect();
        Some(Arc::new(Csr::from_rows(items, &rows).unwrap()))
    };
    let tensor = |n: usize, seed: u64, device: &Device| {
        // Halves: sums are exact, so that equal scores are equal on both sides and go by number.
        let values: Vec<f32> = values(n * d, seed).iter().map(|v| (v * 4.0).round() / 2.0).collect();
        Tensor::<2>::from_data(TensorData::new(values, [n, d]), device)
    };
    let rows: Vec<u32> = (0..users as u32).rev().chain([4, 4]).collect();
    let masks = [[None, None], [mask(1, 300), None], [mask(1, 300), mask(2, 100)]];
    for (excluded, k) in masks.into_iter().flat_map(|excluded| [1, 20, 300].map(|k| (excluded.clone(), k))) {
        let wanted = TopKRequest { rows: rows.clone(), excluded, k };
        let run = |device: &Device| {
            let (u, i, out) = (tensor(users, 1, device), tensor(items, 2, device), tensor(1, 3, device));
            let dot = top_k_dot_device(u.clone(), i.clone(), &wanted).unwrap();
            (dot, top_k_pair_mlp_device(u, i, out, &wanted).unwrap())
        };
        assert_eq!(run(&Device::flex()), run(&device));
    }
}

/// More good items than a workgroup sorts, side by side, or all of one score.
#[test]
fn rankings_of_crowded_items() {
    let Some(device) = device() else { return };
    let items = 13_000usize;
    let crowded = |i: usize| if i % 256 < 50 { 1000.0 + (i % 97) as f32 } else { (i % 89) as f32 };
    for scores in [(0..items).map(crowded).collect(), vec![1.5f32; items]] {
        let request = TopKRequest { rows: vec![1, 0], excluded: [None, None], k: 100 };
        let run = |device: &Device| {
            let users = Tensor::<2>::from_data(TensorData::new(vec![1.0f32, 2.0], [2, 1]), device);
            let items = Tensor::<2>::from_data(TensorData::new(scores.clone(), [items, 1]), device);
            top_k_dot_device(users, items, &request).unwrap()
        };
        assert_eq!(run(&Device::flex()), run(&device));
    }
}
