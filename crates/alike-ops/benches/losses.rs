//! Fused losses, forward and backward, and the Adam step, at the sizes of the Amazon data sets with a batch
//! of 2048; each against the same thing out of Burn's own operators.
//!
//! `cargo bench -p alike-ops --bench losses`

use std::hint::black_box;
use std::sync::Arc;

use alike_ops::{Adam, AdamState, Triples, adam_step, bpr_dot_l2, bpr_pair_mlp, l2_rows, log_sum_exp};
use burn::tensor::{Device, Int, Tensor, TensorData, activation};
use divan::{Bencher, counter::ItemsCount};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    divan::main();
}

/// Name, users, items.
const SETS: [(&str, usize, usize); 3] =
    [("baby", 19_445, 7_050), ("sports", 35_598, 18_357), ("clothing", 39_387, 23_033)];
const NAMES: [&str; 3] = [SETS[0].0, SETS[1].0, SETS[2].0];
const BATCH: usize = 2048;
const L2: f32 = 1e-3;

fn set(name: &str) -> (usize, usize) {
    let found = SETS.iter().find(|s| s.0 == name).expect("one of the sets");
    (found.1, found.2)
}

fn random<const D: usize>(shape: [usize; D], seed: u64, device: &Device) -> Tensor<D> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| rng.random_range(-0.1..0.1)).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

fn tracked<const D: usize>(shape: [usize; D], seed: u64) -> Tensor<D> {
    random(shape, seed, &Device::flex().autodiff()).require_grad()
}

fn triples(users: usize, items: usize) -> Arc<Triples> {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut draw = |from: usize, n: usize| -> Vec<u32> {
        (0..BATCH).map(|_| (from + rng.random_range(0..n)) as u32).collect()
    };
    Arc::new(Triples { users: draw(0, users), positives: draw(users, items), negatives: draw(users, items) })
}

fn select(z: &Tensor<2>, rows: &[u32]) -> Tensor<2> {
    let rows: Vec<i32> = rows.iter().map(|&r| r as i32).collect();
    let n = rows.len();
    z.clone().select(0, Tensor::<1, Int>::from_data(TensorData::new(rows, [n]), &z.device()))
}

fn mean_loss(margins: Tensor<2>) -> Tensor<1> {
    activation::softplus(margins, 1.0).mean()
}

/// Bayesian personalised ranking of a table of 64 columns with its squared norms, as LightGCN has it.
#[divan::bench(args = NAMES, sample_count = 50)]
fn bpr_dot_64(bencher: Bencher<'_, '_>, name: &str) {
    let (users, items) = set(name);
    let (table, ego) = (tracked([users + items, 64], 1), tracked([users + items, 64], 2));
    let t = triples(users, items);
    bencher
        .counter(ItemsCount::new(BATCH))
        .bench(|| bpr_dot_l2(black_box(table.clone()), ego.clone(), &t, L2).backward());
}

#[divan::bench(args = NAMES, sample_count = 20)]
fn naive_bpr_dot_64(bencher: Bencher<'_, '_>, name: &str) {
    let (users, items) = set(name);
    let (table, ego) = (tracked([users + items, 64], 1), tracked([users + items, 64], 2));
    let t = triples(users, items);
    bencher.counter(ItemsCount::new(BATCH)).bench(|| {
        let [u, p, n] = [&t.users, &t.positives, &t.negatives].map(|rows| select(&table, rows));
        let loss = mean_loss((u * (n - p)).sum_dim(1));
        let norms =
            [&t.users, &t.positives, &t.negatives].map(|rows| select(&ego, rows).powf_scalar(2.0).sum());
        let [a, b, c] = norms;
        (loss + (a + b + c) * (L2 / BATCH as f32)).backward()
    });
}

/// The pair MLP of 128 columns and 64 hidden units, as NSMAR+ has it.
#[divan::bench(args = NAMES, sample_count = 50)]
fn bpr_pair_mlp_128_64(bencher: Bencher<'_, '_>, name: &str) {
    let (users, items) = set(name);
    let table = tracked([users + items, 128], 1);
    let (wu, wi) = (tracked([128, 64], 2), tracked([128, 64], 3));
    let (bias, out) = (tracked([64], 4), tracked([64], 5));
    let t = triples(users, items);
    bencher.counter(ItemsCount::new(BATCH)).bench(|| {
        let [wu, wi] = [&wu, &wi].map(Clone::clone);
        bpr_pair_mlp(black_box(table.clone()), wu, wi, bias.clone(), out.clone(), &t).backward()
    });
}

#[divan::bench(args = NAMES, sample_count = 20)]
fn naive_bpr_pair_mlp_128_64(bencher: Bencher<'_, '_>, name: &str) {
    let (users, items) = set(name);
    let table = tracked([users + items, 128], 1);
    let (wu, wi) = (tracked([128, 64], 2), tracked([128, 64], 3));
    let (bias, out) = (tracked([64], 4), tracked([64], 5));
    let t = triples(users, items);
    bencher.counter(ItemsCount::new(BATCH)).bench(|| {
        let score = |rows: &[u32]| {
            let user = select(&table, &t.users).matmul(wu.clone()) + bias.clone().unsqueeze();
            let hidden = activation::relu(user + select(&table, rows).matmul(wi.clone()));
            hidden.matmul(out.clone().unsqueeze_dim(1))
        };
        mean_loss(score(&t.negatives) - score(&t.positives)).backward()
    });
}

/// Users of a batch and the items that they are set against, of 64 columns and length 1.
fn pairs(others: usize) -> [Tensor<2>; 2] {
    [BATCH, others].map(|rows| {
        let x: Tensor<2> = random([rows, 64], rows as u64, &Device::flex());
        let norms = x.clone().powf_scalar(2.0).sum_dim(1).sqrt();
        Tensor::<2>::from_inner(x / norms).require_grad()
    })
}

/// Logarithms of sums over pairs, as softmax over sampled items has them; `others` items.
#[divan::bench(args = [1_000, BATCH], sample_count = 50)]
fn log_sum_exp_64(bencher: Bencher<'_, '_>, others: usize) {
    let [a, c] = pairs(others);
    bencher
        .counter(ItemsCount::new(BATCH))
        .bench(|| log_sum_exp(black_box(a.clone()), c.clone(), 0.2, false).mean().backward());
}

#[divan::bench(args = [1_000, BATCH], sample_count = 20)]
fn naive_log_sum_exp_64(bencher: Bencher<'_, '_>, others: usize) {
    let [a, c] = pairs(others);
    bencher.counter(ItemsCount::new(BATCH)).bench(|| {
        let pairs = black_box(a.clone()).matmul(c.clone().transpose()) / 0.2;
        pairs.exp().sum_dim(1).log().mean().backward()
    });
}

/// Squared norms of the batch's users in one table.
#[divan::bench(args = NAMES, sample_count = 50)]
fn l2_rows_64(bencher: Bencher<'_, '_>, name: &str) {
    let (users, items) = set(name);
    let table = tracked([users, 64], 1);
    let rows = Arc::new(triples(users, items).users.clone());
    bencher.counter(ItemsCount::new(BATCH)).bench(|| l2_rows(black_box(table.clone()), &rows, L2).backward());
}

/// One Adam step of a table of 64 columns; items are parameters.
#[divan::bench(args = NAMES, sample_count = 50)]
fn adam_64(bencher: Bencher<'_, '_>, name: &str) {
    let (users, items) = set(name);
    let device = Device::flex();
    let mut param = Some(random([users + items, 64], 1, &device));
    let grad = random([users + items, 64], 2, &device);
    let (mut state, adam, mut step) = (AdamState::default(), Adam::default(), 0);
    bencher.counter(ItemsCount::new((users + items) * 64)).bench_local(|| {
        step += 1;
        let p = param.take().expect("put back after each step");
        param = Some(adam_step(p, grad.clone(), &mut state, &adam, step));
    });
}

#[divan::bench(args = NAMES, sample_count = 20)]
fn naive_adam_64(bencher: Bencher<'_, '_>, name: &str) {
    let (users, items) = set(name);
    let device = Device::flex();
    let shape = [users + items, 64];
    let mut p = random(shape, 1, &device);
    let g = random(shape, 2, &device);
    let (mut m, mut v) = (Tensor::<2>::zeros(shape, &device), Tensor::<2>::zeros(shape, &device));
    let mut step = 0;
    bencher.counter(ItemsCount::new((users + items) * 64)).bench_local(|| {
        step += 1;
        m = m.clone() * 0.9 + g.clone() * 0.1;
        v = v.clone() * 0.999 + g.clone() * g.clone() * 0.001;
        let root = (v.clone() / (1.0 - 0.999f32.powi(step))).sqrt() + 1e-8;
        p = p.clone() - m.clone() / root * (1e-3 / (1.0 - 0.9f32.powi(step)));
    });
}
