//! What the PyTorch peers of `benches/peers` do, done by this library: one JSON line each, medians in
//! seconds.
//!
//! `cargo bench -p alike --bench steps -- FILE.inter [--only nsmar|lightgcn|slim|pair|dot]`. Features are
//! random, 4096 and 384 wide; widths, batch, layers and neighbours are those of the peers. Without a file the
//! bundled data are used.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Instant;

use alike::data::{Dataset, PrepareOptions, SplitKind, prepare};
use alike::layers::Sampler;
use alike::models::{self, Learner};
use alike_ops::{Adam, Exclusions, top_k_dot, top_k_pair_mlp};
use burn::tensor::Device;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

#[path = "../tests/models/npy.rs"]
mod npy;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Settings under which `nsmar+` computes what the peer computes.
const AS_PEER: &str = "neighbors = 60\nnegatives = 1";

/// Steps before those that are timed: until then the allocator still asks for memory.
const WARM_UP: usize = 10;

fn main() {
    alike_ops::keep_freed_memory();
    let mut args = std::env::args().skip(1).filter(|a| a != "--bench");
    let bundled = Path::new(env!("CARGO_MANIFEST_DIR")).join("../alike-cli/data/ml_small/ml_small.inter");
    let (mut file, mut only) = (bundled, String::new());
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--only" => only = args.next().unwrap_or_default(),
            path => file = PathBuf::from(path),
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let wanted = |name: &str| only.is_empty() || name.contains(&only);
    if wanted("nsmar+ step") {
        let data = prepared(&file, dir.path(), "features", &[("image", 4096), ("text", 384)]);
        steps("nsmar+", &data, &AS_PEER.parse().unwrap(), "step", 15);
    }
    if wanted("lightgcn epoch") {
        let data = prepared(&file, dir.path(), "plain", &[]);
        epochs("lightgcn", &data, 5);
    }
    if wanted("slim solve") {
        let data = prepared(&file, dir.path(), "plain", &[]);
        let settings = toml::toml! { l2 = 10.0 feature_weight = 0.0 };
        let solved = (0..5).map(|_| {
            let learner = models::build("slim", &data, &settings, 1, &Device::flex()).unwrap();
            let Learner::Direct(solve) = learner else { panic!("solved at once") };
            let started = Instant::now();
            black_box(solve(&data, &()).unwrap());
            started.elapsed().as_secs_f64()
        });
        report("slim solve", median(solved.collect()));
    }
    if wanted("pair ranking") || wanted("dot ranking") {
        let data = prepared(&file, dir.path(), "plain", &[]);
        for (name, width) in
            [("pair", 64), ("dot", 128)].into_iter().filter(|(n, _)| wanted(&format!("{n} ranking")))
        {
            ranking(name, width, &data);
        }
    }
}

/// The interactions of `file` with random features.
fn prepared(file: &Path, dir: &Path, name: &str, widths: &[(&str, usize)]) -> Dataset {
    let out = dir.join(name);
    if !out.exists() {
        let base = PrepareOptions { split: SplitKind::Label, ..PrepareOptions::new(file, &out) };
        prepare(&base).unwrap();
        let items = Dataset::open(&out).unwrap().items.len();
        let features = widths.iter().map(|&(m, width)| {
            let path = dir.join(format!("{m}.npy"));
            npy::write_npy(&path, items, width, &random(items * width, width as u64));
            (m.to_string(), path)
        });
        prepare(&PrepareOptions { features: features.collect(), ..base }).unwrap();
    }
    Dataset::open(&out).unwrap()
}

fn random(n: usize, seed: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..n).map(|_| rng.random_range(-1.0..1.0)).collect()
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Peak resident size of this process in MiB, where the system tells.
fn peak_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1024.0
}

fn report(what: &str, seconds: f64) {
    println!("{}", serde_json::json!({ "what": what, "seconds": seconds, "peak_mib": peak_mib() }));
}

/// Median of single training steps: forward, backward, Adam. Drawing neighbours and triples is timed apart.
fn steps(model: &str, data: &Dataset, settings: &toml::Table, what: &str, count: usize) {
    let device = Device::flex();
    let Learner::Gradient(mut learner) = models::build(model, data, settings, 1, &device).unwrap() else {
        panic!("{model} has no steps")
    };
    let started = Instant::now();
    learner.start_epoch(1).unwrap();
    let sampler = Sampler::new(data.train.clone(), None, 1, learner.sampling()).unwrap();
    let list: Vec<_> = sampler.epoch(1, 2048).take(count + WARM_UP).collect();
    report(&format!("{model} start of an epoch"), started.elapsed().as_secs_f64());
    let (mut forward, mut backward, mut optimiser, mut total) = (vec![], vec![], vec![], vec![]);
    for (at, batch) in list.into_iter().enumerate() {
        let started = Instant::now();
        let tracked = learner.params().with_grad();
        let loss = learner.loss(&tracked, &learner.step(batch, 1, at));
        let after_forward = started.elapsed().as_secs_f64();
        let grads = loss.backward();
        drop(loss);
        let after_backward = started.elapsed().as_secs_f64();
        learner.params_mut().step(tracked, grads, &Adam::default());
        let all = started.elapsed().as_secs_f64();
        forward.push(after_forward);
        backward.push(after_backward - after_forward);
        optimiser.push(all - after_backward);
        total.push(all);
    }
    for (part, mut times) in
        [("forward", forward), ("backward", backward), ("optimiser", optimiser), ("all", total)]
    {
        times.drain(..WARM_UP.min(times.len() - 1));
        report(&format!("{model} {what} {part}"), median(times));
    }
}

/// Median of whole epochs, drawing of triples included.
fn epochs(model: &str, data: &Dataset, count: usize) {
    let device = Device::flex();
    let Learner::Gradient(mut learner) = models::build(model, data, &toml::Table::new(), 1, &device).unwrap()
    else {
        panic!("{model} has no epochs")
    };
    let sampler = Sampler::new(data.train.clone(), None, 1, learner.sampling()).unwrap();
    let mut times = Vec::new();
    for epoch in 1..=count as u64 {
        let started = Instant::now();
        learner.start_epoch(epoch).unwrap();
        for (at, batch) in sampler.epoch(epoch, 2048).enumerate() {
            let tracked = learner.params().with_grad();
            let loss = learner.loss(&tracked, &learner.step(batch, epoch, at));
            let grads = loss.backward();
            drop(loss);
            learner.params_mut().step(tracked, grads, &Adam::default());
        }
        times.push(started.elapsed().as_secs_f64());
    }
    report(&format!("{model} epoch"), median(times));
}

/// Every user's best fifty of all items, train items masked.
fn ranking(name: &str, width: usize, data: &Dataset) {
    let (users, items) = (data.users.len(), data.items.len());
    let (a, b, w) = (random(users * width, 1), random(items * width, 2), random(width, 3));
    let rows: Vec<u32> = (0..users as u32).collect();
    let masks = Exclusions { seen: Some(&data.train), extra: None };
    let times = (0..5).map(|_| {
        let started = Instant::now();
        let top = match name {
            "pair" => top_k_pair_mlp(&a, &b, &w, &rows, &masks, 50),
            _ => top_k_dot(&a, &b, width, &rows, &masks, 50),
        };
        assert_eq!(top.items.len(), users * 50);
        started.elapsed().as_secs_f64()
    });
    report(&format!("{name} ranking"), median(times.collect()));
}
