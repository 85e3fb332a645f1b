//! Writes run folders over a prepared folder with random vectors instead of trained ones, to measure `alike serve` at scale:
//! `cargo run --release --example synthetic_run -- DATA OUT [width]`
//!
//! `OUT/dot` ranks by inner product, `OUT/pair-mlp` by a pair MLP with as many hidden units as the vectors are wide. Both
//! say that their model is `bpr`, since that has no fold-in of its own which would need parameters. What they recommend
//! means nothing; what it costs does, since an exact scan does not look at the values.

use std::path::Path;

use alike::checkpoint::{FORMAT, RunDir, RunInfo, State};
use alike::data::Dataset;
use alike::scorer::{Matrix, Scorer};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

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
    for (name, scorer) in [
        ("dot", Scorer::Dot { users: users.clone(), items: items.clone() }),
        ("pair-mlp", Scorer::PairMlp { users, items, out: hidden, vectors }),
    ] {
        let info = RunInfo {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").into(),
            model: "bpr".into(),
            settings: toml::Table::new(),
            seed: 1,
            data: std::path::absolute(&data)?,
            data_hash: dataset.hash.clone(),
            warm_start: None,
        };
        let run = RunDir::create(&Path::new(&out).join(name), &info)?;
        let best_file = Some(run.write_best(1, &[], &scorer)?);
        run.commit(&State { epoch: 1, best_epoch: 1, best_file, ..State::default() })?;
    }
    Ok(())
}
