//! Writes run folders over a prepared folder with random vectors instead of trained ones, to measure `alike
//! serve` at scale: `cargo run --release --example synthetic_run -- DATA OUT [width]`
//!
//! `OUT/dot` ranks by inner product, `OUT/pair-mlp` by a pair MLP with as many hidden units as the vectors
//! are wide. `OUT/groups` ranks by inner product too, with vectors that look more like trained ones, for an
//! index, whose cost and quality depend on the values: items in a thousand groups, of lengths that vary,
//! people between three of the groups. All say that their model is `bpr`, since that has no fold-in of its
//! own which would need parameters. What they recommend means nothing; what it costs does.

use std::path::Path;

use alike::checkpoint::{FORMAT, RunDir, RunInfo, State};
use alike::data::Dataset;
use alike::scorer::{Matrix, Scorer};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Groups of items.
const GROUPS: usize = 1000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (data, out) = (arguments.next(), arguments.next());
    let (data, out) = data.zip(out).ok_or("the prepared folder and the folder to write are needed")?;
    let width = arguments.next().map_or(Ok(64), |text| text.parse())?;
    let dataset = Dataset::open(Path::new(&data))?;
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut matrix = |rows: usize| {
        Matrix::new(rows, width, (0..rows * width).map(|_| rng.random::<f32>() - 0.5).collect())
    };
    let (users, items) = (matrix(dataset.users.len()), matrix(dataset.items.len()));
    let vectors = matrix(dataset.items.len());
    let hidden = matrix(1).data;
    let groups = groups(dataset.users.len(), dataset.items.len(), width);
    for (name, scorer) in [
        ("dot", Scorer::Dot { users: users.clone(), items: items.clone() }),
        ("groups", groups),
        ("pair-mlp", Scorer::PairMlp { users, items, out: hidden.into_vec(), vectors }),
    ] {
        let info = RunInfo {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").into(),
            model: "bpr".into(),
            settings: toml::Table::new(),
            seed: 1,
            data: std::path::absolute(&data)?,
            data_from_run: None,
            data_hash: dataset.hash.clone(),
            warm_start: None,
            devices: Vec::new(),
        };
        let run = RunDir::create(&Path::new(&out).join(name), &info)?;
        let best_file = Some(run.write_best(1, &[], &scorer)?);
        run.commit(&State { epoch: 1, best_epoch: 1, best_file, ..State::default() })?;
    }
    Ok(())
}

/// Vectors in groups.
fn groups(users: usize, items: usize, width: usize) -> Scorer {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    // The sum of four uniform numbers, near enough to a normal one of variance 1.
    let mut normal = move || ((0..4).map(|_| rng.random::<f32>()).sum::<f32>() - 2.0) * 3f32.sqrt();
    let centres: Vec<f32> = (0..GROUPS * width).map(|_| normal()).collect();
    let centre = |group: usize| &centres[group % GROUPS * width..][..width];
    let mut rows = Vec::with_capacity(items * width);
    for item in 0..items {
        let length = (0.4 * normal()).exp();
        rows.extend(centre(item * 7919).iter().map(|c| length * (c + 0.8 * normal())));
    }
    let mut people = Vec::with_capacity(users * width);
    for user in 0..users {
        let near = [user, user * 31 + 1, user * 57 + 2].map(|n| centre(n * 7919));
        people.extend((0..width).map(|d| near.iter().map(|c| c[d]).sum::<f32>() + normal()));
    }
    Scorer::Dot { users: Matrix::new(users, width, people), items: Matrix::new(items, width, rows) }
}
