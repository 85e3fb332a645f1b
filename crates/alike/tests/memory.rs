//! What a plan announces against what training takes: live bytes at the peak, counted by the allocator.
#![allow(clippy::unwrap_used, unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use alike::data::{Dataset, PrepareOptions, prepare};
use alike::layers::Sampler;
use alike::models::{self, Learner};
use alike_ops::Adam;
use burn::tensor::Device;

#[path = "models/npy.rs"]
mod npy;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, counted.
struct Counting;

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(live, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const USERS: usize = 6000;
const ITEMS: usize = 3000;

/// A shop large enough that fixed costs vanish: 6,000 people, 3,000 items, 10 or more interactions each,
/// features of 96 and 64 columns.
fn shop(dir: &Path) -> Dataset {
    let mut log = String::from("user,item,time\n");
    for u in 0..USERS {
        let step = 1 + u % 7;
        for k in 0..10 + u % 9 {
            log += &format!("{u},{},{}\n", (u * 31 + k * k * step) % ITEMS, 1000 + k);
        }
    }
    let file = dir.join("log.csv");
    std::fs::write(&file, log).unwrap();
    let mut features = Vec::new();
    for (name, width) in [("image", 96), ("text", 64)] {
        let values: Vec<f32> =
            (0..ITEMS * width).map(|v| ((v * 7919 + v / width) % 1009) as f32 / 500.0 - 1.0).collect();
        let path = dir.join(format!("{name}.npy"));
        npy::write_npy(&path, ITEMS, width, &values);
        features.push((name.to_string(), path));
    }
    let out = dir.join("data");
    prepare(&PrepareOptions { features, k_core: 0, ..PrepareOptions::new(&file, &out) }).unwrap();
    Dataset::open(&out).unwrap()
}

#[test]
fn plans_announce_what_training_takes() {
    let dir = tempfile::tempdir().unwrap();
    let data = shop(dir.path());
    let mut wrong = Vec::new();
    for info in models::all() {
        let settings = toml::Table::new();
        let plan = info.plan(&data, &settings).unwrap();
        // Graphs that are kept in the prepared folder are built before.
        drop(info.build(&data, &settings, 1, &Device::flex()).unwrap());
        let before = LIVE.load(Ordering::Relaxed);
        PEAK.store(before, Ordering::Relaxed);
        match info.build(&data, &settings, 1, &Device::flex()).unwrap() {
            Learner::Direct(solver) => drop(solver(&data, &()).unwrap()),
            Learner::Gradient(mut model) => {
                let added = model.linear(&data, &()).unwrap();
                model.start_epoch(1).unwrap();
                let sampler = Sampler::new(data.train.clone(), None, 1, model.sampling()).unwrap();
                for (at, batch) in
                    sampler.epoch(1, plan.training.as_ref().unwrap().config.batch).take(3).enumerate()
                {
                    let weights = model.params().with_grad();
                    let loss = model.loss(&weights, &model.step(batch, 1, at));
                    let gradients = loss.backward();
                    drop(loss);
                    model.params_mut().step(weights, gradients, &Adam::default());
                }
                drop(model.vectors().unwrap());
                drop(added);
            }
        }
        let taken = (PEAK.load(Ordering::Relaxed) - before) as f64;
        let ratio = plan.memory_bytes as f64 / taken;
        let line = format!(
            "{:12} announced {:7.1} MB, took {:7.1}",
            info.name,
            plan.memory_bytes as f64 / 1e6,
            taken / 1e6
        );
        println!("{line}: {ratio:.2}");
        if !(1.0 / 1.5..=1.5).contains(&ratio) {
            wrong.push(line);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
