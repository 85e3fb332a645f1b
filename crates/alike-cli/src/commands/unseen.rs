//! The demo's second question: which of the items that nobody took in training would people take? Every tenth
//! item is taken out of training, models learn from the rest, and rank those items for everybody who took
//! one.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use alike::data::{Dataset, PrepareOptions, SplitKind, prepare};
use alike::run::Run;

use crate::failure::{Failure, Outcome};

/// One item in so many is left out of training.
const EVERY: u32 = 10;
/// Length of the lists.
const TOP: usize = 20;

/// What came out.
#[derive(Debug, Default, Clone)]
pub(crate) struct Unseen {
    /// Items that were left out.
    pub(crate) items: usize,
    /// Users who took one of them.
    pub(crate) users: usize,
    /// Recall@20 among these items by model.
    pub(crate) recall: Vec<(String, f64)>,
    /// What a random order gives.
    pub(crate) chance: f64,
}

/// Prepares `data` without any of the items left out in training or validation; what people took of these is
/// the test. `like` says where the features of the items are.
pub(crate) fn split(data: &Dataset, like: &PrepareOptions, folder: &Path) -> Outcome<Dataset> {
    let mut log = String::from("userID\titemID\tx_label\n");
    for (label, split) in [&data.train, &data.valid, &data.test].into_iter().enumerate() {
        for u in 0..split.rows() as u32 {
            for &i in split.row(u as usize) {
                let label = match (left_out(i), label) {
                    (true, _) => 2,
                    (false, 2) => continue,
                    (false, label) => label,
                };
                let _ = writeln!(log, "{}\t{}\t{label}", data.users.name(u), data.items.name(i));
            }
        }
    }
    fs::create_dir_all(folder).map_err(|e| Failure::io(folder, &e))?;
    let file = folder.join("unseen.inter");
    fs::write(&file, log).map_err(|e| Failure::io(&file, &e))?;
    let out = folder.join("data");
    prepare(&PrepareOptions {
        interactions: file,
        split: SplitKind::Label,
        out: out.clone(),
        ..like.clone()
    })?;
    Ok(Dataset::open(&out)?)
}

/// Whether an item of the whole data is left out of training.
fn left_out(item: u32) -> bool {
    item % EVERY == EVERY / 2
}

/// Recall@20 of each run among the items that nobody took in training.
pub(crate) fn measure(data: &Dataset, runs: &[PathBuf]) -> Outcome<Unseen> {
    let mut taken = vec![false; data.items.len()];
    data.train.idx().iter().chain(data.valid.idx()).for_each(|&i| taken[i as usize] = true);
    let unseen: Vec<u32> = (0..data.items.len() as u32).filter(|&i| !taken[i as usize]).collect();
    let users: Vec<u32> =
        (0..data.users.len() as u32).filter(|&u| data.test.degree(u as usize) > 0).collect();
    let mut recall = Vec::new();
    for path in runs {
        let run = Run::open(path)?;
        let found = |&u: &u32| {
            let mut list: Vec<(u32, f32)> = unseen.iter().map(|&i| (i, run.scorer.score(u, i))).collect();
            list.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            let wanted = data.test.row(u as usize);
            let hits = list.iter().take(TOP).filter(|(i, _)| wanted.binary_search(i).is_ok()).count();
            hits as f64 / wanted.len() as f64
        };
        let mean = users.iter().map(found).sum::<f64>() / users.len().max(1) as f64;
        recall.push((run.model.clone(), mean));
    }
    let chance = (TOP as f64 / unseen.len().max(1) as f64).min(1.0);
    Ok(Unseen { items: unseen.len(), users: users.len(), recall, chance })
}
