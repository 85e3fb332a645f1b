//! A model of a crate outside whose batches share their negatives: sampled softmax over matrix factorisation.
#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::path::Path;

use alike::data::{Dataset, PrepareOptions, SplitKind, prepare};
use alike::layers::Negatives;
use alike::models::prelude::*;
use alike::models::register;
use alike::train::{Summary, TrainEvent, TrainRequest, fit};
use burn::tensor::activation::log_softmax;

const NEGATIVES: usize = 12;

const SOFTMAX: ModelInfo =
    ModelInfo::trained::<Softmax>("softmax", "Softmax over the positive and shared negatives.", "a test");

alike::settings! {
    /// Settings of the model.
    struct Config {
        /// Embedding width.
        dim: usize = 16, 1..=64;
    }
}

struct Softmax {
    user: Table<UserId>,
    item: Table<ItemId>,
}

impl Model for Softmax {
    type Config = Config;

    fn build(b: &mut Builder<'_>, config: Config) -> Result<Self> {
        let (user, item) =
            (b.table("user", config.dim, Init::Xavier), b.table("item", config.dim, Init::Xavier));
        Ok(Self { user, item })
    }

    fn sampling(&self) -> Sampling {
        Sampling::shared(NEGATIVES).by_popularity(0.5)
    }

    fn loss(&self, w: &Weights, step: &Step) -> Tensor<1> {
        assert_eq!(step.negatives().len(), NEGATIVES);
        let users = gather(w.table(self.user), numbers(step.users()));
        let items = |rows: &[ItemId]| gather(w.table(self.item), numbers(rows));
        let own = (users.clone() * items(step.positives())).sum_dim(1);
        let others = users.matmul(items(step.negatives()).transpose());
        log_softmax(Tensor::cat(vec![own, others], 1), 1).narrow(1, 0, 1).mean().neg()
    }

    fn vectors(&self, w: &Weights) -> Result<Tensor<2>> {
        Ok(Tensor::cat(vec![w.table(self.user), w.table(self.item)], 0))
    }
}

/// Even users take even items, odd users odd ones.
fn data(folder: &Path) -> Dataset {
    let mut log = String::from("userID\titemID\tx_label\n");
    for (u, n) in (0..40).flat_map(|u| (0..30).map(move |n| (u, n))) {
        let label = match (n + u / 2) % 10 {
            0 => 1,
            1 => 2,
            _ => 0,
        };
        writeln!(log, "{u}\t{}\t{label}", 2 * n + u % 2).unwrap();
    }
    std::fs::write(folder.join("log.inter"), log).unwrap();
    let out = folder.join("data");
    let options = PrepareOptions::new(folder.join("log.inter"), &out);
    prepare(&PrepareOptions { split: SplitKind::Label, ..options }).unwrap();
    Dataset::open(&out).unwrap()
}

#[test]
fn shared_negatives_are_trained_resumed_and_the_same_with_any_number_of_threads() {
    register(SOFTMAX).unwrap();
    assert_eq!(Sampling::shared(0), Sampling::POSITIVES);
    assert_eq!(Sampling::per_pair(0).negatives, Negatives::None);
    let folder = tempfile::tempdir().unwrap();
    let data = data(folder.path());
    let run = |out: Option<&Path>, epochs: i64, resume: bool, threads: usize| -> (Vec<u32>, Summary) {
        let mut settings = toml::Table::new();
        settings.insert("lr".into(), toml::Value::Float(0.01));
        settings.insert("batch".into(), toml::Value::Integer(64));
        settings.insert("epochs".into(), toml::Value::Integer(epochs));
        let request = TrainRequest { settings, seed: 3, run: out, resume, ..TrainRequest::new("softmax") };
        let mut losses = Vec::new();
        let mut note = |event: TrainEvent<'_>| {
            if let TrainEvent::Batch { loss, .. } = event {
                losses.push(loss.to_bits());
            }
        };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let summary = pool.install(|| fit(&data, &request, &mut note)).unwrap();
        (losses, summary)
    };
    let (losses, summary) = run(None, 20, false, 1);
    assert!(summary.test_public.get("recall@10") > 0.8, "{:?}", summary.test_public);
    assert_eq!(run(None, 20, false, 3).0, losses);
    let out = folder.path().join("run");
    let (first, _) = run(Some(&out), 8, false, 2);
    let (rest, resumed) = run(Some(&out), 20, true, 2);
    assert_eq!([first, rest].concat(), losses);
    assert_eq!(resumed.test_public, summary.test_public);
}
