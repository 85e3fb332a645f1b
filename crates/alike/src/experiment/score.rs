//! The test split of a chosen run, scored once and kept in its folder, and what the run cost.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::checkpoint::{RunDir, State};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::eval::{Group, Metrics, Protocol, Split, all_metrics, evaluate, groups, rank};

/// Metrics whose values are kept user by user, for paired tests.
pub(super) const PAIRED: [&str; 2] = ["recall@20", "ndcg@20"];

/// What the kept parameters of a run do on the test split, `test.json` of its folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Hash of the parameters that were scored.
    pub best: String,
    /// Public protocol, with what lists are like beyond accuracy.
    pub public: Metrics,
    /// Clean protocol, accuracy.
    pub clean: Metrics,
    /// Public protocol for groups of users and items.
    pub groups: Vec<Group>,
    /// Public protocol, Recall@20 and NDCG@20 of each user with a held-out item, in the order of their
    /// numbers.
    pub users: BTreeMap<String, Vec<f64>>,
}

/// What a run took, `usage.json` of its folder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Peak memory of the process, bytes.
    pub peak_memory_bytes: u64,
    /// Threads it had.
    pub threads: usize,
    /// Runs at a time on the machine, itself included.
    pub jobs: usize,
}

impl Usage {
    /// Keeps it in the run folder; of a run in several parts the largest peak counts.
    pub fn keep(self, run: &Path) -> Result<()> {
        let before = Self::read(run)?.unwrap_or_default();
        let peak_memory_bytes = self.peak_memory_bytes.max(before.peak_memory_bytes);
        RunDir::open(run)?.0.write_json("usage.json", &Self { peak_memory_bytes, ..self })
    }

    /// What was kept.
    pub fn read(run: &Path) -> Result<Option<Self>> {
        RunDir::open(run)?.0.read_json("usage.json")
    }
}

/// The scores of the run in `dir`, computed if they are not there or of other parameters.
pub(super) fn scores(dir: &Path, data: &Dataset) -> Result<Scores> {
    let (run, _) = RunDir::open(dir)?;
    let best = run.read_json::<State>("state.json")?.and_then(|s| s.best_file);
    let best = best.ok_or_else(|| Error::checkpoint(dir, "nothing evaluated yet"))?;
    if let Some(kept) = run.read_json::<Scores>("test.json")?.filter(|s| s.best == best.hash) {
        return Ok(kept);
    }
    let scorer = run.read_scorer(&best)?;
    let ranked = rank(&scorer, data, Split::Test, Protocol::Public, &())?;
    let each = ranked.per_user();
    let scores = Scores {
        best: best.hash,
        public: all_metrics(&ranked, &each),
        clean: evaluate(&scorer, data, Split::Test, Protocol::Clean, &())?,
        groups: groups(&ranked, &each),
        users: PAIRED.iter().filter_map(|m| Some(((*m).to_string(), each.column(m)?))).collect(),
    };
    run.write_json("test.json", &scores)?;
    Ok(scores)
}
