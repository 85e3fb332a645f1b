//! A finished or running run, opened to recommend from it.

mod cold;
mod lists;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use alike_ops::{Csr, TopK};
use rayon::prelude::*;
use serde::Serialize;

use crate::checkpoint::{FileRef, RunDir};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::eval::{Group, Metrics, Protocol, Ranked, Split, in_parts, rank};
use crate::ids::ItemId;
use crate::layers::Saved;
use crate::progress::Progress;
use crate::rules::{AttributeIndex, ItemFilter, LISTED_BY, catalogue_values, is_listed};
use crate::scorer::{Scorer, best};
use crate::train::{EpochRecord, Summary};

pub use cold::ColdItems;
pub use lists::ListRequest;

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
    /// How far cold items are raised where a list is asked for without saying it; see [`ColdItems`].
    pub cold_weight: f32,
    /// The only items of lists that are asked for without saying it, if not all.
    pub only: Option<Vec<u32>>,
    cold: OnceLock<ColdItems>,
    run: RunDir,
    best: FileRef,
}

impl Run {
    /// Opens a run folder and the prepared data it names. Vectors of users and items and features stay in
    /// their files, which are mapped.
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
        Self::open_checked(dir, data, true, Dataset::open)
    }

    /// The same with vectors and features that are the run's own; see [`Dataset::open_owned`].
    pub(crate) fn open_owned(dir: &Path, data: Option<&Path>, in_memory: usize) -> Result<Self> {
        Self::open_checked(dir, data, false, |data| Dataset::open_owned(data, in_memory))
    }

    fn open_checked(
        dir: &Path,
        data: Option<&Path>,
        mapped: bool,
        open: impl FnOnce(&Path) -> Result<Dataset>,
    ) -> Result<Self> {
        let (run, info) = RunDir::open(dir)?;
        let best = run.best()?;
        let scorer = if mapped { run.map_scorer(&best)? } else { run.read_scorer(&best)? };
        let data = run.data(&info, data, open)?;
        if (scorer.users(), scorer.items()) != (data.users.len(), data.items.len()) {
            return Err(Error::checkpoint(dir, "its scorer does not fit the data"));
        }
        let (model, settings, seed) = (info.model, info.settings, info.seed);
        let (cold_weight, only, cold) = (0.0, None, OnceLock::new());
        Ok(Self { dir: dir.into(), model, settings, seed, data, scorer, cold_weight, only, cold, run, best })
    }

    /// Reads the vectors that are mapped, if any.
    pub(crate) fn own_vectors(&mut self) -> Result<()> {
        if self.scorer.is_mapped() {
            self.scorer = self.run.read_scorer(&self.best)?;
        }
        Ok(())
    }

    /// Items that nobody took in training; found out when they are first asked for.
    pub fn cold_items(&self) -> &ColdItems {
        self.cold.get_or_init(|| ColdItems::new(&self.scorer, &self.data.train))
    }

    /// The same where `weight` raises them and there are any: nobody else waits for them to be found out.
    pub(crate) fn raised_items(&self, weight: f32) -> Option<&ColdItems> {
        (weight != 0.0).then(|| self.cold_items()).filter(|cold| !cold.is_empty())
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
        Ok(self.describe(self.top(&[self.user(user)?], top).pairs(0)))
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
    /// A number of a user or of an item is not one of the data; [`Error::Interrupted`] when it was stopped.
    pub fn recommend_lists(&self, request: &ListRequest<'_>, progress: &dyn Progress) -> Result<TopK> {
        let k = request.k.min(self.data.items.len());
        in_parts(request.users, k, progress, |users| self.lists(&ListRequest { users, k, ..*request }))
    }

    fn lists(&self, request: &ListRequest<'_>) -> Result<TopK> {
        let (users, items) = (self.data.users.len(), self.data.items.len());
        let ListRequest { users: rows, k, seen, candidates, exclude, cold_items: weight } = *request;
        check_numbers("user", rows, users)?;
        check_numbers("item", exclude, items)?;
        check_numbers("item", candidates.unwrap_or_default(), items)?;
        let cold = self.raised_items(weight);
        let open = |u: u32, i: u32| {
            let known = |rows: &Csr| rows.row(u as usize).binary_search(&i).is_ok();
            let taken = !seen && (known(&self.data.train) || known(&self.data.valid));
            !taken && exclude.binary_search(&i).is_err()
        };
        let score = |u: u32, i: u32| open(u, i).then(|| self.scorer.score(u, i));
        let mask = |rows| if seen { None } else { Some(rows) };
        let rank = |k: usize| self.scorer.top_k(rows, mask(&*self.data.train), mask(&*self.data.valid), k);
        let lists: Vec<Vec<(u32, f32)>> = if let Some(candidates) = candidates {
            let raised = |i, score| cold.map_or(score, |cold| cold.raised(i, score, weight));
            let list = |&u: &u32| {
                let scored = candidates.iter().filter_map(|&i| Some((i, raised(i, score(u, i)?))));
                best(scored.collect(), k)
            };
            rows.par_iter().map(list).collect()
        } else if exclude.is_empty() && cold.is_none() {
            return Ok(rank(k));
        } else {
            // As many more as may have to go.
            let longer = |k: usize| {
                let top = rank((k + exclude.len()).min(items));
                let list = |row| top.pairs(row).filter(|(i, _)| exclude.binary_search(i).is_err()).collect();
                TopK::from_lists((0..rows.len()).map(list).collect(), k)
            };
            match cold {
                Some(cold) => cold.mix(rows.len(), k, weight, longer, |row, i| score(rows[row], i)),
                None => return Ok(longer(k)),
            }
        };
        Ok(TopK::from_lists(lists, k))
    }

    fn top(&self, rows: &[u32], top: usize) -> TopK {
        let request = ListRequest::new(rows, top).cold_items(self.cold_weight);
        let request = self.only.as_ref().map_or(request, |items| request.among(items));
        self.recommend_lists(&request, &()).expect("rows are users, and items those of the data")
    }

    /// With lists of those items only that pass `filter`.
    pub fn with_filter(mut self, filter: &ItemFilter) -> Self {
        self.only = Some(AttributeIndex::default().set(&self.data, filter).iter().collect());
        self
    }

    /// With lists of those items only, of the ones so far, that may be listed at `now` (milliseconds since
    /// 1970) by what the catalogue says of them; see [`is_listed`].
    pub fn listed_at(mut self, now: i64) -> Self {
        let catalogue = &self.data.catalogue;
        if catalogue.attributes().iter().any(|name| LISTED_BY.contains(&name.as_str())) {
            let listed = |item: &u32| is_listed(&|key| catalogue_values(catalogue, *item, key), now);
            let all = self.only.take().unwrap_or_else(|| (0..self.data.items.len() as u32).collect());
            self.only = Some(all.into_iter().filter(listed).collect());
        }
        self
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
    pub fn rank(&self, split: Split, protocol: Protocol, progress: &dyn Progress) -> Result<Ranked<'_>> {
        rank(&self.scorer, &self.data, split, protocol, progress)
    }

    /// All metrics on one split under one protocol, and those of groups of users and items.
    pub fn evaluate(
        &self,
        split: Split,
        protocol: Protocol,
        progress: &dyn Progress,
    ) -> Result<(Metrics, Vec<Group>)> {
        let (metrics, groups, _) = self.rank(split, protocol, progress)?.evaluated();
        Ok((metrics, groups))
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
