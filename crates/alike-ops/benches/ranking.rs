//! Full ranking and nearest neighbours at the sizes of the Amazon data sets. `items` a second are users
//! ranked, or rows whose neighbours were found; the naive versions score everything and sort, on a sample of
//! the rows.
//!
//! `cargo bench -p alike-ops --bench ranking`

use std::hint::black_box;

use alike_ops::{
    Csr, Exclusions, HybridUser, Mask, Ranker, add_item_item, knn_cosine, top_k_dot, top_k_pair_mlp,
    top_k_static,
};
use divan::{Bencher, counter::ItemsCount};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    divan::main();
}

/// Name, users, items.
const SETS: [(&str, usize, usize); 3] =
    [("baby", 19_445, 7_050), ("sports", 35_598, 18_357), ("clothing", 39_387, 23_033)];
const SAMPLE: usize = 512;
const K: usize = 50;

fn random(n: usize, seed: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..n).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// `rows` lists of `each` of the items.
fn drawn(rows: usize, each: usize, items: usize, seed: u64) -> Csr {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let rows: Vec<Vec<u32>> = (0..rows)
        .map(|_| {
            let mut row: Vec<u32> = (0..each).map(|_| rng.random_range(0..items as u32)).collect();
            row.sort_unstable();
            row
        })
        .collect();
    Csr::from_rows(items, &rows).expect("drawn below the number of items")
}

struct Case {
    users: Vec<f32>,
    items: Vec<f32>,
    w: Vec<f32>,
    seen: Csr,
    rows: Vec<u32>,
}

fn case((_, users, items): (&str, usize, usize), dim: usize) -> Case {
    Case {
        users: random(users * dim, 1),
        items: random(items * dim, 2),
        w: random(dim, 3),
        seen: drawn(users, 6, items, 9),
        rows: (0..users as u32).collect(),
    }
}

fn name(set: &(&'static str, usize, usize)) -> &'static str {
    set.0
}

#[divan::bench(args = SETS.map(|s| name(&s)), sample_count = 10)]
fn dot_128(bencher: Bencher<'_, '_>, set: &str) {
    run(bencher, set, 128, |c, mask| top_k_dot(&c.users, &c.items, 128, &c.rows, mask, K).items);
}

#[divan::bench(args = SETS.map(|s| name(&s)), sample_count = 10)]
fn dot_64(bencher: Bencher<'_, '_>, set: &str) {
    run(bencher, set, 64, |c, mask| top_k_dot(&c.users, &c.items, 64, &c.rows, mask, K).items);
}

/// As `dot_128`, with 100 weights between items per item, of the six items that each user took.
#[divan::bench(args = SETS.map(|s| name(&s)), sample_count = 10)]
fn hybrid_128(bencher: Bencher<'_, '_>, set: &str) {
    let items = SETS.iter().find(|s| s.0 == set).expect("one of the sets").2;
    let weights = drawn(items, 100, items, 11);
    let values = vec![0.1; weights.nnz()];
    run(bencher, set, 128, |c, mask| {
        let by_dot = top_k_dot(&c.users, &c.items, 128, &c.rows, mask, K);
        let user = |row: usize| HybridUser { vector: &c.users[row * 128..][..128], history: c.seen.row(row) };
        let excluded = |row: usize, list: &mut Vec<u32>| {
            mask.list(row as u32, list);
            None
        };
        add_item_item(&by_dot, &c.items, &weights, &values, &[1.0], user, excluded).remove(0).items
    });
}

#[divan::bench(args = SETS.map(|s| name(&s)), sample_count = 10)]
fn pair_mlp_64(bencher: Bencher<'_, '_>, set: &str) {
    run(bencher, set, 64, |c, mask| top_k_pair_mlp(&c.users, &c.items, &c.w, &c.rows, mask, K).items);
}

#[divan::bench(args = SETS.map(|s| name(&s)), sample_count = 10)]
fn popularity(bencher: Bencher<'_, '_>, set: &str) {
    run(bencher, set, 1, |c, mask| top_k_static(&c.items, &c.rows, mask, K).items);
}

#[divan::bench(args = SETS.map(|s| name(&s)), sample_count = 5)]
fn naive_dot_128(bencher: Bencher<'_, '_>, set: &str) {
    run_sample(bencher, set, 128, |c, mask| {
        naive(c, mask, 128, |a, b| a.iter().zip(b).map(|(x, y)| x * y).sum())
    });
}

#[divan::bench(args = SETS.map(|s| name(&s)), sample_count = 5)]
fn naive_pair_mlp_64(bencher: Bencher<'_, '_>, set: &str) {
    run_sample(bencher, set, 64, |c, mask| {
        naive(c, mask, 64, |a, b| a.iter().zip(b).zip(&c.w).map(|((x, y), w)| w * (x + y).max(0.0)).sum())
    });
}

fn run(
    bencher: Bencher<'_, '_>,
    set: &str,
    dim: usize,
    f: impl Fn(&Case, &Exclusions<'_>) -> Vec<u32> + Sync,
) {
    let c = case(*SETS.iter().find(|s| s.0 == set).expect("one of the sets"), dim);
    bencher
        .counter(ItemsCount::new(c.rows.len()))
        .bench(|| f(black_box(&c), &Exclusions { seen: Some(&c.seen), extra: None }));
}

fn run_sample(
    bencher: Bencher<'_, '_>,
    set: &str,
    dim: usize,
    f: impl Fn(&Case, &Exclusions<'_>) -> Vec<u32> + Sync,
) {
    let mut c = case(*SETS.iter().find(|s| s.0 == set).expect("one of the sets"), dim);
    c.rows.truncate(SAMPLE);
    bencher
        .counter(ItemsCount::new(SAMPLE))
        .bench(|| f(black_box(&c), &Exclusions { seen: Some(&c.seen), extra: None }));
}

fn naive(
    c: &Case,
    mask: &Exclusions<'_>,
    dim: usize,
    score: impl Fn(&[f32], &[f32]) -> f32 + Sync,
) -> Vec<u32> {
    let best = |&u: &u32| {
        let own = &c.users[u as usize * dim..][..dim];
        let mut scores: Vec<(f32, u32)> = c.items.chunks_exact(dim).map(|b| score(own, b)).zip(0..).collect();
        if let Some(seen) = mask.seen {
            seen.row(u as usize).iter().for_each(|&i| scores[i as usize].0 = f32::NEG_INFINITY);
        }
        scores.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        scores.truncate(K);
        scores.into_iter().map(|s| s.1).collect::<Vec<_>>()
    };
    c.rows.par_iter().flat_map_iter(best).collect()
}

/// Text features are 384 wide.
#[divan::bench(args = SETS.map(|s| name(&s)), sample_count = 3)]
fn neighbors_384(bencher: Bencher<'_, '_>, set: &str) {
    let rows = SETS.iter().find(|s| s.0 == set).expect("one of the sets").2;
    let x = random(rows * 384, 4);
    bencher.counter(ItemsCount::new(rows)).bench(|| knn_cosine(black_box(&x), rows, 384, 10, false));
}

/// Image features are 4096 wide.
#[divan::bench(args = SETS.map(|s| name(&s)), sample_count = 1)]
fn neighbors_4096(bencher: Bencher<'_, '_>, set: &str) {
    let rows = SETS.iter().find(|s| s.0 == set).expect("one of the sets").2;
    let x = random(rows * 4096, 5);
    bencher.counter(ItemsCount::new(rows)).bench(|| knn_cosine(black_box(&x), rows, 4096, 10, false));
}

#[divan::bench(args = SETS.map(|s| name(&s)), sample_count = 3)]
fn naive_neighbors_384(bencher: Bencher<'_, '_>, set: &str) {
    let rows = SETS.iter().find(|s| s.0 == set).expect("one of the sets").2;
    let x = random(rows * 384, 4);
    let c = Case {
        users: x.clone(),
        items: x,
        w: Vec::new(),
        seen: drawn(rows, 6, rows, 9),
        rows: (0..SAMPLE as u32).collect(),
    };
    bencher.counter(ItemsCount::new(SAMPLE)).bench(|| {
        naive(black_box(&c), &Exclusions::default(), 384, |a, b| {
            let norm = |v: &[f32]| v.iter().map(|v| v * v).sum::<f32>().sqrt();
            a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>() / (norm(a) * norm(b))
        })
    });
}

/// A service's case: few users at a time, 100,000 items of width 64 that stay packed.
#[divan::bench(args = [1, 4, 16])]
fn served_dot(bencher: Bencher<'_, '_>, together: usize) {
    let ranker = Ranker::dot(&random(100_000 * 64, 1), 64);
    served(bencher, together, &ranker);
}

#[divan::bench(args = [1, 4, 16])]
fn served_pair_mlp(bencher: Bencher<'_, '_>, together: usize) {
    let ranker = Ranker::pair_mlp(&random(100_000 * 64, 1), &random(64, 3));
    served(bencher, together, &ranker);
}

fn served(bencher: Bencher<'_, '_>, together: usize, ranker: &Ranker) {
    let users = random(together * 64, 2);
    let masked = vec![Mask { hidden: &[5, 700, 60_000], among: None }; together];
    bencher
        .counter(ItemsCount::new(together))
        .bench_local(|| black_box(ranker.top_k(black_box(&users), &masked, 20)));
}
