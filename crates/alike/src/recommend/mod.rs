//! Answers for people as they are now: new ones, and those who took something since the model was trained.
//!
//! A person's row is what training found, if it knew them, moved by what they took since: `z_u + f(H) -
//! f(H_train)` with `f` the model's fold-in and `H` all that they took; `f(H)` for a new one. Items keep
//! the rows of training.

mod diverse;
mod fold_in;
mod index;
mod lengths;
mod nearest;
mod other_data;
mod probe;
mod reasons;
mod request;
mod together;

use std::collections::BTreeMap;
use std::path::Path;

use alike_ops::{Csr, Exclusions, Mask, Ranker, TopK, dot, top_k_item_item, top_k_static};
use burn::tensor::Device;
use rayon::prelude::*;

pub use fold_in::fit;
pub use index::{Index, dot_items};
use lengths::Lengths;
pub use nearest::Placed;
pub use reasons::{HISTORY_LOOKED_AT, Reason};
pub use request::{PeopleRequest, UserVector};

use crate::error::{Error, Result};
use crate::models::{FoldIn, Learner, find};
use crate::run::Run;
pub use crate::scorer::UserHistory;
use crate::scorer::{Hybrid, Matrix, Scorer, best, norm};
use crate::train::EXTERNAL;

/// Bytes of features that are held in memory at most; what is more is copied to a file of our own without a
/// name.
const IN_MEMORY: usize = 1 << 30;

/// Items that one thread scores, at least, where there is another.
const MANY: usize = 4096;

/// Names and widths.
type Parts = Vec<(String, usize)>;

/// A trained run, opened to answer for anybody at any time. It can be shared between threads.
pub struct Recommender {
    run: Run,
    fold: Option<FoldIn>,
    /// What final vectors are put together from, one part per modality; empty where they are not.
    parts: Parts,
    ranker: Option<Ranker>,
    /// The mean of all users' rows: who took nothing is nobody in particular.
    mean_user: Vec<f32>,
    /// Whether what was held out for test is history too.
    held_out: bool,
    lengths: Lengths,
}

impl Recommender {
    /// Opens a run folder: the scorer of its best epoch, its data, and the model's fold-in.
    ///
    /// # Errors
    /// The folder holds no evaluated run, is damaged, or its data have changed.
    pub fn open(dir: &Path) -> Result<Self> {
        Self::open_with(dir, None)
    }

    /// The same with the prepared data at `data`, where that is given.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with(dir: &Path, data: Option<&Path>) -> Result<Self> {
        Self::new(Run::open_owned(dir, data, IN_MEMORY)?)
    }

    /// From an opened run, whose vectors and features become its own: nothing that happens to their files
    /// later changes an answer.
    ///
    /// # Errors
    /// A file is damaged; the parameters do not fit the data.
    pub fn new(mut run: Run) -> Result<Self> {
        run.own_vectors()?;
        run.data.own_features(IN_MEMORY)?;
        let (own, parts) = own_fold_in(&run)?;
        let fit = |own| fit(&run.scorer, &run.data.train, own);
        let fold = match own {
            // All but a small start of a user's row comes from their items.
            Some(own @ FoldIn::Sum { .. }) => Some(own),
            Some(own) => fit(Some(&own))?.map(|rest| FoldIn::Both(Box::new(own), Box::new(rest))),
            None => fit(None)?,
        };
        let ranker = run.scorer.ranker();
        let lengths = Lengths::new(&run.data, &run.scorer);
        let mean_user = mean_row(&run.scorer);
        Ok(Self { run, fold, parts, ranker, mean_user, held_out: false, lengths })
    }

    /// With items that nobody took in training raised by `weight`, 0 to 1, in every list; see
    /// [`ColdItems`](crate::run::ColdItems).
    pub fn with_cold_items(mut self, weight: f32) -> Self {
        self.run.cold_weight = weight;
        // Found out now, not with the first request.
        self.run.raised_items(weight);
        self
    }

    /// With what was held out for test as history of the users whom training knew, or without it: who serves
    /// people lists nothing that they have, and a test sees whether it is found.
    pub fn with_held_out(mut self, held_out: bool) -> Self {
        self.held_out = held_out;
        self
    }

    /// The run.
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// A user whom training knew, with all that they took in training and validation, and in test where that
    /// is [history](Self::with_held_out).
    pub fn history_of(&self, user: u32) -> UserHistory {
        let data = &self.run.data;
        let test: &[u32] = if self.held_out { data.test.row(user as usize) } else { &[] };
        let mut history = [data.train.row(user as usize), data.valid.row(user as usize), test].concat();
        history.sort_unstable();
        history.dedup();
        UserHistory { user: Some(user), history }
    }

    /// The vector of each of `people`. Somebody without a history whom training did not know has the mean of
    /// all users'.
    pub fn vectors(&self, people: &[UserHistory]) -> Result<Vec<UserVector>> {
        let mut vectors = self.placed(people)?;
        for (vector, person) in vectors.iter_mut().zip(people) {
            if person.user.is_none() && person.history.is_empty() {
                vector.row.clone_from(&self.mean_user);
            }
        }
        Ok(vectors)
    }

    /// The vectors that the fold-in alone gives `people`.
    fn placed(&self, people: &[UserHistory]) -> Result<Vec<UserVector>> {
        let items = self.run.data.items.len();
        if let Some(&wrong) = people.iter().flat_map(|p| &p.history).find(|&&i| i as usize >= items) {
            return Err(Error::Data(format!("item number {wrong} of a history; there are {items} items")));
        }
        let rows = match &self.fold {
            Some(fold) => Some(self.rows(fold, people)?),
            None => None,
        };
        let vector = |(at, person): (usize, &UserHistory)| UserVector {
            row: rows.as_ref().map(|m| m.row(at).to_vec()).unwrap_or_default(),
            history: person.history.clone(),
        };
        Ok(people.iter().enumerate().map(vector).collect())
    }

    /// `f(H)` for new people, `z_u + f(H) - f(H_train)` for those whom training knew, `[B, w]`. The last term
    /// is worked out when it is asked for: it costs as much as the first, and kept for a million users it
    /// would be as large as their vectors.
    fn rows(&self, fold: &FoldIn, people: &[UserHistory]) -> Result<Matrix> {
        let mut rows = fold.place(people)?;
        let users = people.iter().filter_map(|p| p.user);
        let mut trained: BTreeMap<u32, usize> = users.map(|u| (u, 0)).collect();
        if trained.is_empty() {
            return Ok(rows);
        }
        trained.values_mut().enumerate().for_each(|(at, place)| *place = at);
        let before =
            |&u: &u32| UserHistory { user: Some(u), history: self.run.data.train.row(u as usize).to_vec() };
        let before = fold.place(&trained.keys().map(before).collect::<Vec<_>>())?;
        for (person, row) in people.iter().zip(rows.data.chunks_exact_mut(rows.cols.max(1))) {
            let Some(user) = person.user else { continue };
            let found = self.run.scorer.user_row(user).expect("scorers with a fold-in have rows");
            for ((r, t), p) in row.iter_mut().zip(found).zip(before.row(trained[&user])) {
                *r += t - p;
            }
        }
        Ok(rows)
    }

    /// The lists that `request` asks for, one per person, best first, each as (item, score).
    pub fn rank(&self, request: &PeopleRequest<'_>) -> Vec<Vec<(u32, f32)>> {
        let PeopleRequest { people, k, .. } = *request;
        let weight = request.cold_items.unwrap_or(self.run.cold_weight);
        let cold = self.run.raised_items(weight);
        let open = |row: usize, item: u32| request.mask(row).passes(item);
        if let Some(candidates) = request.candidates {
            let one = |(row, person): (usize, &UserVector)| {
                // One sweep over packed items costs less than many single scores.
                let all = candidates.len() * 8 > self.run.data.items.len();
                let scores = all.then(|| self.scores(person));
                let plain = |i: u32| scores.as_ref().map_or_else(|| self.score(person, i), |s| s[i as usize]);
                let raised = |i, score| cold.map_or(score, |cold| cold.raised(i, score, weight));
                let scored = candidates.par_iter().with_min_len(MANY).filter(|&&i| open(row, i));
                best(scored.map(|&i| (i, raised(i, plain(i)))).collect(), k)
            };
            return people.par_iter().enumerate().map(one).collect();
        }
        if let Some(cold) = cold {
            let score = |row: usize, item: u32| open(row, item).then(|| self.score(&people[row], item));
            return cold.mix(people.len(), k, weight, |length| self.lists(request, length), score);
        }
        let list = self.lists(request, k);
        (0..people.len()).map(|row| list.pairs(row).collect()).collect()
    }

    /// Lists of `length` items by plain scores.
    fn lists(&self, request: &PeopleRequest<'_>, length: usize) -> TopK {
        let (people, items) = (request.people, self.run.data.items.len());
        let masks: Vec<Mask<'_>> = (0..people.len()).map(|row| request.mask(row)).collect();
        let csr = |rows: Vec<Vec<u32>>| Csr::from_rows(items, &rows).expect("items are below their number");
        match (&self.ranker, &self.run.scorer) {
            (Some(ranker), scorer) => {
                let users: Vec<f32> = people.iter().flat_map(|t| t.row.iter().copied()).collect();
                let list = ranker.top_k(&users, &masks, length);
                match scorer {
                    Scorer::Hybrid(all) => self.with_sums(all, &list, people, &masks),
                    _ => list,
                }
            }
            (None, scorer) => {
                let rows: Vec<u32> = (0..people.len() as u32).collect();
                let left_out = |mask: &Mask<'_>| match mask.among {
                    Some(_) => (0..items as u32).filter(|&i| !mask.passes(i)).collect(),
                    None => mask.hidden.to_vec(),
                };
                let mask = csr(masks.iter().map(left_out).collect());
                let masks = Exclusions { seen: Some(&mask), extra: None };
                match scorer {
                    Scorer::ItemItem(w) => {
                        let history = csr(people.iter().map(|t| t.history.clone()).collect());
                        top_k_item_item(&history, &w.pattern, &w.values, &rows, &masks, length)
                    }
                    Scorer::Static { scores, .. } => top_k_static(scores, &rows, &masks, length),
                    _ => unreachable!("scorers with vectors have a ranker"),
                }
            }
        }
    }

    /// The items to whose scores the history of `vector` adds, each once, beside the inner product; none
    /// where that is the whole score.
    pub fn reached(&self, vector: &UserVector) -> Vec<u32> {
        let Scorer::Hybrid(all) = &self.run.scorer else { return Vec::new() };
        let mut items: Vec<u32> =
            vector.history.iter().flat_map(|&j| all.weights.row(j)).map(|(i, _)| i).collect();
        items.sort_unstable();
        items.dedup();
        items
    }

    /// The best of `vectors` by the whole score, from their best by the inner product alone.
    fn with_sums(&self, all: &Hybrid, list: &TopK, vectors: &[UserVector], masks: &[Mask<'_>]) -> TopK {
        let user = |row: usize| (&vectors[row].row[..], &vectors[row].history[..]);
        let excluded = |row: usize, list: &mut Vec<u32>| {
            list.extend_from_slice(masks[row].hidden);
            masks[row].among.cloned()
        };
        all.add_sums(list, &[1.0], user, excluded).remove(0)
    }

    /// The score of `item` for `vector`.
    pub fn score(&self, vector: &UserVector, item: u32) -> f32 {
        match &self.run.scorer {
            Scorer::ItemItem(w) => w.sum(&vector.history, item),
            Scorer::Hybrid(all) => all.score_of(&vector.row, &vector.history, item),
            scorer => scorer.score_of(&vector.row, item),
        }
    }

    /// The scores of all items for `vector`, `[I]`.
    pub fn scores(&self, vector: &UserVector) -> Vec<f32> {
        self.run.scorer.scores(self.ranker.as_ref(), &vector.row, &vector.history)
    }

    /// The `k` users whose rows point most nearly where `vector` does, with cosines; `user` left out.
    ///
    /// # Errors
    /// The model has no vectors of users.
    pub fn similar_users(&self, vector: &UserVector, user: Option<u32>, k: usize) -> Result<Vec<(u32, f32)>> {
        let none = || Error::Data("this model has no user vectors to compare people by".into());
        let users = self.run.scorer.user_rows().filter(|_| !vector.row.is_empty()).ok_or_else(none)?;
        let own = norm(&vector.row);
        let cosine = |u: u32| {
            let scale = own * self.lengths.users[u as usize];
            (u, if scale > 0.0 { dot(&vector.row, users.row(u as usize)) / scale } else { 0.0 })
        };
        let others = (0..users.rows as u32).into_par_iter().filter(|&u| Some(u) != user);
        Ok(best(others.map(cosine).collect(), k))
    }
}

/// The mean of the users' rows; empty where scores do not come from rows.
fn mean_row(scorer: &Scorer) -> Vec<f32> {
    let Some(users) = scorer.user_rows() else { return Vec::new() };
    let mut sums = vec![0f64; users.cols];
    for row in users.data.chunks_exact(users.cols.max(1)) {
        sums.iter_mut().zip(row).for_each(|(s, &v)| *s += f64::from(v));
    }
    sums.into_iter().map(|s| (s / users.rows.max(1) as f64) as f32).collect()
}

/// The model's own fold-in at the best epoch, and the parts of its vectors.
fn own_fold_in(run: &Run) -> Result<(Option<FoldIn>, Parts)> {
    if run.model == EXTERNAL {
        return Ok((None, Vec::new()));
    }
    let info = find(&run.model)?;
    if !info.folds {
        return Ok((None, Vec::new()));
    }
    let learner = info.build(&run.data, &run.settings, run.seed, &Device::flex())?;
    let Learner::Gradient(mut model) = learner else { return Ok((None, Vec::new())) };
    model.params_mut().load(&run.best_params()?, 0)?;
    let parts = model.parts();
    Ok((model.fold_in()?, parts))
}
