//! A program with every command of `alike` and a model of its own, `popular-bpr`: matrix factorisation whose
//! negatives are drawn by popularity, with dropout on the rows of a batch.
//!
//!     cargo run --release -p custom-model -- train popular-bpr --data DIR --out RUN
//!     cargo run --release -p custom-model -- serve RUN

use std::process::ExitCode;

use alike::Result;
use alike::ids::NodeId;
use alike::layers::{Builder, Init, Sampling, Step, Table, Weights, gather};
use alike::models::{Model, ModelInfo, register};
use alike_ops::bpr_dot_own_l2;
use burn::tensor::Tensor;

const POPULAR_BPR: ModelInfo = ModelInfo::trained::<PopularBpr>(
    "popular-bpr",
    "BPR with negatives by popularity and dropout.",
    "an example, of nobody's paper",
);

alike::settings! {
    /// Settings of the model: command line, search and documentation know them from here.
    struct Config {
        /// Embedding width.
        dim: usize = 64, 1..=1024;
        /// Power of the number of interactions by which negatives are drawn.
        popularity: f64 = 0.5, 0.0..=2.0;
        /// Share of the values of a row that a step leaves out.
        dropout: f64 = 0.1, 0.0..=0.9;
        /// Weight of the squared norms of the batch's rows.
        l2: f64 = 1e-2, 0.0..=10.0;
    }
}

struct PopularBpr {
    config: Config,
    embedding: Table<NodeId>,
}

impl Model for PopularBpr {
    type Config = Config;

    fn build(b: &mut Builder<'_>, config: Config) -> Result<Self> {
        let embedding = b.table("embedding", config.dim, Init::XavierSides(b.users()));
        Ok(Self { config, embedding })
    }

    fn sampling(&self) -> Sampling {
        Sampling::per_pair(1).by_popularity(self.config.popularity)
    }

    fn loss(&self, w: &Weights, step: &Step) -> Tensor<1> {
        let local = step.local();
        let rows =
            step.dropout(gather(w.table(self.embedding), &local.rows), &local.rows, self.config.dropout);
        bpr_dot_own_l2(rows, &local.triples, self.config.l2 as f32)
    }

    fn vectors(&self, w: &Weights) -> Result<Tensor<2>> {
        Ok(w.table(self.embedding))
    }
}

fn main() -> ExitCode {
    register(POPULAR_BPR).expect("the name is free");
    alike_cli::main()
}
