//! A finished or running run, opened to recommend from it.

use std::ops::Range;
use std::path::{Path, PathBuf};

use alike_ops::{Csr, TopK};
use rayon::prelude::*;
use serde::Serialize;

use crate::checkpoint::{FileRef, RunDir};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::eval::{Group, Metrics, Protocol, Ranked, Split, all_metrics, groups, rank};
use crate::ids::ItemId;
use crate::layers::Saved;
use crate::scorer::{Scorer, best};
use crate::train::{EpochRecord, Summary};

/// Which lists to make: for which users, how long, and of which items.
#[derive(Debug, Clone, Copy)]
pub struct ListRequest<'a> {
    users: &'a [u32],
    k: usize,
    seen: bool,
    candidates: Option<&'a [u32]>,
    exclude: &'a [u32],
}

impl<'a> ListRequest<'a> {
    /// The `k` best items for the users with these numbers, without those of their train and validation
    /// history.
    pub fn new(users: &'a [u32], k: usize) -> Self {
        Self { users, k, seen: false, candidates: None, exclude: &[] }
    }

    /// Those of their history too, where `seen`.
    pub fn seen(self, seen: bool) -> Self {
        Self { seen, ..self }
    }

    /// Only these items, each once.
    pub fn among(self, candidates: &'a [u32]) -> Self {
        Self { candidates: Some(candidates), ..self }
    }

    /// Without these items, ascending.
    pub fn without(self, exclude: &'a [u32]) -> Self {
        Self { exclude, ..self }
    }
}

/// One recommended item.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Recommendation {
    /// Place in the list, from 1.
    pub rank: usize,
    /// Item id.
    pub item: String,
    /// Score; comparable within one list only.
    pub score: f32,
    /// Title, where the catalogue has one.
    pub title: Option<String>,
}

/// The best parameters of a run with the data they were trained on.
pub struct Run {
    /// The run folder.
    pub dir: PathBuf,
    /// Model name.
    pub model: String,
    /// Every setting.
    pub settings: toml::Table,
    /// Seed.
    pub seed: u64,
    /// The prepared data.
    pub data: Dataset,
    /// What ranks.
    pub scorer: Scorer,
    run: RunDir,
    best: FileRef,
}

impl Run {
    /// Opens a run folder and the prepared data it names.
    ///
    /// # Errors
    /// One of them is damaged or gone, or the data are not those that the run was trained on.
    pub fn open(dir: &Path) -> Result<Self> {
        Self::open_with(dir, None)
    }

    /// The same with the prepared data at `data`, where that is given.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with(dir: &Path, data: Option<&Path>) -> Result<Self> {
        Self::open_checked(dir, data, Dataset::open)
    }

    /// The same with features that are the run's own; see [`Dataset::open_owned`].
    pub(crate) fn open_owned(dir: &Path, data: Option<&Path>, in_memory: usize) -> Result<Self> {
        Self::open_checked(dir, data, |data| Dataset::open_owned(data, in_memory))
    }

    fn open_checked(
        dir: &Path,
        data: Option<&Path>,
        open: impl FnOnce(&Path) -> Result<Dataset>,
    ) -> Result<Self> {
        let (run, info) = RunDir::open(dir)?;
        let best = run.best()?;
        let scorer = run.read_scorer(&best)?;
        let data = run.data(&info, data, open)?;
        if (scorer.users(), scorer.items()) != (data.users.len(), data.items.len()) {
            return Err(Error::checkpoint(dir, "its scorer does not fit the data"));
        }
        let (model, settings, seed) = (info.model, info.settings, info.seed);
        Ok(Self { dir: dir.into(), model, settings, seed, data, scorer, run, best })
    }

    /// The file that ranks and the hash of its content, which tells one checkpoint of a run from another.
    pub fn best_file(&self) -> &FileRef {
        &self.best
    }

    fn user(&self, user: &str) -> Result<u32> {
        self.data.users.get(user).ok_or_else(|| Error::UnknownUser(user.into()))
    }

    fn describe(&self, ranked: impl Iterator<Item = (u32, f32)>) -> Vec<Recommendation> {
        let one = |(at, (item, score)): (usize, (u32, f32))| Recommendation {
            rank: at + 1,
            item: self.data.items.name(item).to_string(),
            score,
            title: self.data.title(item).map(String::from),
        };
        ranked.enumerate().map(one).collect()
    }

    /// The `top` best items of `user`, without those of their train and validation history.
    pub fn recommend(&self, user: &str, top: usize) -> Result<Vec<Recommendation>> {
        let list = self.top(&[self.user(user)?], top);
        let ranked = list.items.into_iter().zip(list.scores).filter(|&(i, _)| i != u32::MAX);
        Ok(self.describe(ranked))
    }

    /// The same for all users; row `u` is user `u`.
    pub fn recommend_all(&self, top: usize) -> TopK {
        self.recommend_block(0..self.data.users.len() as u32, top)
    }

    /// The same for the users with these numbers, in order.
    pub fn recommend_block(&self, users: Range<u32>, top: usize) -> TopK {
        self.top(&users.collect::<Vec<_>>(), top)
    }

    /// The lists that `request` asks for, a row per user.
    ///
    /// # Errors
    /// A number of a user or of an item is not one of the data.
    pub fn recommend_lists(&self, request: &ListRequest<'_>) -> Result<TopK> {
        let (users, items) = (self.data.users.len(), self.data.items.len());
        let ListRequest { users: rows, k, seen, candidates, exclude } = *request;
        check_numbers("user", rows, users)?;
        check_numbers("item", exclude, items)?;
        check_numbers("item", candidates.unwrap_or_default(), items)?;
        let k = k.min(items);
        let taken = |u: u32, i: u32| {
            let known = |rows: &Csr| rows.row(u as usize).binary_search(&i).is_ok();
            !seen && (known(&self.data.train) || known(&self.data.valid))
        };
        let excluded = |i: u32| exclude.binary_search(&i).is_ok();
        let lists: Vec<Vec<(u32, f32)>> = if let Some(candidates) = candidates {
            let list = |&u: &u32| {
                let open = candidates.iter().filter(|&&i| !taken(u, i) && !excluded(i));
                best(open.map(|&i| (i, self.scorer.score(u, i))).collect(), k)
            };
            rows.par_iter().map(list).collect()
        } else {
            // As many more as may have to go.
            let mask = |rows| if seen { None } else { Some(rows) };
            let longer = (k + exclude.len()).min(items);
            let top = self.scorer.top_k(rows, mask(&*self.data.train), mask(&*self.data.valid), longer);
            if exclude.is_empty() {
                return Ok(top);
            }
            let list = |row| {
                let (items, scores) = top.row(row);
                let kept = items.iter().copied().zip(scores.iter().copied()).filter(|&(i, _)| !excluded(i));
                kept.take(k).collect()
            };
            (0..rows.len()).map(list).collect()
        };
        let mut top = TopK {
            k,
            items: vec![u32::MAX; rows.len() * k],
            scores: vec![f32::NEG_INFINITY; rows.len() * k],
        };
        for (row, list) in lists.into_iter().enumerate() {
            for (at, (item, score)) in list.into_iter().enumerate() {
                (top.items[row * k + at], top.scores[row * k + at]) = (item, score);
            }
        }
        Ok(top)
    }

    fn top(&self, rows: &[u32], top: usize) -> TopK {
        self.scorer.top_k(rows, Some(&self.data.train), Some(&self.data.valid), top)
    }

    /// The `top` items most like `item`.
    pub fn similar(&self, item: &str, top: usize) -> Result<Vec<Recommendation>> {
        let item = self.data.items.get(item).ok_or_else(|| Error::UnknownItem(item.into()))?;
        Ok(self.describe(self.scorer.similar(item, top)?.into_iter()))
    }

    /// Items that `user` took in train, then in validation.
    pub fn history(&self, user: &str) -> Result<Vec<ItemId>> {
        let u = self.user(user)? as usize;
        Ok(self.data.train.row(u).iter().chain(self.data.valid.row(u)).map(|&i| ItemId(i)).collect())
    }

    /// The lists that are evaluated on one split under one protocol.
    pub fn rank(&self, split: Split, protocol: Protocol) -> Result<Ranked<'_>> {
        rank(&self.scorer, &self.data, split, protocol)
    }

    /// All metrics on one split under one protocol, and those of groups of users and items.
    pub fn evaluate(&self, split: Split, protocol: Protocol) -> Result<(Metrics, Vec<Group>)> {
        let ranked = self.rank(split, protocol)?;
        let each = ranked.per_user();
        Ok((all_metrics(&ranked, &each), groups(&ranked, &each)))
    }

    /// The parameters of the best epoch.
    pub fn best_params(&self) -> Result<Vec<Saved>> {
        self.run.read_state(&self.best)
    }

    /// The learning curve.
    pub fn log(&self) -> Result<Vec<EpochRecord>> {
        self.run.read_log()
    }

    /// How the run ended; `None` while it has not.
    pub fn summary(&self) -> Result<Option<Summary>> {
        self.run.read_json("metrics.json")
    }
}

fn check_numbers(what: &str, numbers: &[u32], count: usize) -> Result<()> {
    match numbers.iter().find(|&&n| n as usize >= count) {
        Some(wrong) => Err(Error::Data(format!("{what} number {wrong}; there are {count} {what}s"))),
        None => Ok(()),
    }
}
