//! Full-ranking metrics under the two protocols of `docs/results.md`: how many of the held-out items are
//! found, and in [`beyond_accuracy`] what else the lists are like.

mod beyond;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use alike_ops::{Csr, TopK};
use serde::{Deserialize, Serialize};

use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::scorer::Ranks;

pub use beyond::{Group, all_metrics, beyond_accuracy, groups};

/// The cut-offs that are computed.
pub const CUTS: [usize; 4] = [5, 10, 20, 50];

/// Which held-out interactions are scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// Validation.
    Valid,
    /// Test.
    Test,
}

/// Which items are masked at test time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Only the user's train items are masked, as in the published tables.
    Public,
    /// At test time the validation items are masked too.
    Clean,
}

macro_rules! words {
    ($name:ident, $what:literal, $($variant:ident = $word:literal),*) => {
        impl FromStr for $name {
            type Err = Error;
            fn from_str(text: &str) -> Result<Self> {
                match text {
                    $($word => Ok(Self::$variant),)*
                    _ => Err(Error::Setting {
                        name: $what.into(),
                        value: text.into(),
                        allowed: [$($word),*].join(", "),
                    }),
                }
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $word,)* })
            }
        }
    };
}
words!(Split, "split", Valid = "valid", Test = "test");
words!(Protocol, "protocol", Public = "public", Clean = "clean");

/// Metrics by name, such as `recall@20`; each a mean over the users with at least one held-out item.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Metrics(pub BTreeMap<String, f64>);

impl Metrics {
    /// The value of `name`, 0 where it was not computed.
    pub fn get(&self, name: &str) -> f64 {
        self.0.get(name).copied().unwrap_or(0.0)
    }

    /// Whether nothing was computed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Metrics of one ranked list at cut-off `k`: recall, NDCG, precision, MAP, hit rate, MRR.
///
/// `hits[p]` says whether the item at rank `p + 1` is held out; `held_out` is the number of held-out items.
/// NDCG is binary with the ideal cut at `min(k, held_out)`; MAP divides by `min(k, held_out)`. A list shorter
/// than `k` has no hits beyond its end; precision divides by `k` all the same.
pub fn metrics_at(hits: &[bool], held_out: usize, k: usize) -> [f64; 6] {
    let (mut found, mut dcg, mut ap, mut rr) = (0usize, 0.0, 0.0, 0.0);
    for (rank, _) in hits.iter().take(k).enumerate().filter(|(_, hit)| **hit) {
        found += 1;
        dcg += discount(rank);
        ap += found as f64 / (rank + 1) as f64;
        if found == 1 {
            rr = 1.0 / (rank + 1) as f64;
        }
    }
    let ideal: f64 = (0..k.min(held_out)).map(discount).sum();
    [
        found as f64 / held_out as f64,
        dcg / ideal,
        found as f64 / k as f64,
        ap / k.min(held_out) as f64,
        f64::from(u8::from(found > 0)),
        rr,
    ]
}

fn discount(rank: usize) -> f64 {
    1.0 / (rank as f64 + 2.0).log2()
}

const NAMES: [&str; 6] = ["recall", "ndcg", "precision", "map", "hitrate", "mrr"];

/// Per-user values of every metric, `users × (6 · cuts)`, and the users they belong to.
#[derive(Debug, Clone)]
pub struct PerUser {
    /// Users with at least one held-out item.
    pub users: Vec<u32>,
    /// Metric names, one per column.
    pub names: Vec<String>,
    /// Values, row-major.
    pub values: Vec<f64>,
}

impl PerUser {
    /// The values of one metric, a user each; `None` where it was not computed.
    pub fn column(&self, name: &str) -> Option<Vec<f64>> {
        let at = self.names.iter().position(|n| n == name)?;
        Some(self.values.iter().skip(at).step_by(self.names.len()).copied().collect())
    }

    /// Means over the users.
    pub fn mean(&self) -> Metrics {
        let mut sums = vec![0.0; self.names.len()];
        for row in self.values.chunks_exact(self.names.len()) {
            for (sum, v) in sums.iter_mut().zip(row) {
                *sum += v;
            }
        }
        let n = self.users.len() as f64;
        Metrics(self.names.iter().cloned().zip(sums.into_iter().map(|s| s / n)).collect())
    }
}

/// The best items of every user with a held-out item.
#[derive(Debug)]
pub struct Ranked<'a> {
    /// The data.
    pub data: &'a Dataset,
    /// Held-out interactions, `[U, I]`.
    pub held_out: &'a Csr,
    /// Users with at least one held-out item.
    pub users: Vec<u32>,
    /// Their lists, as long as the last of [`CUTS`], a row each.
    pub top: TopK,
}

/// The held-out interactions of a split, and the users who have any.
pub(crate) fn asked(data: &Dataset, split: Split) -> Result<(&Csr, Vec<u32>)> {
    let held_out = match split {
        Split::Valid => &data.valid,
        Split::Test => &data.test,
    };
    let users: Vec<u32> = (0..held_out.rows() as u32).filter(|&u| held_out.degree(u as usize) > 0).collect();
    match users.is_empty() {
        true => Err(Error::Data(format!("the {split} split is empty: nothing to evaluate"))),
        false => Ok((held_out, users)),
    }
}

/// Ranks all items for every user with a held-out item.
pub fn rank<'a>(
    scorer: &dyn Ranks,
    data: &'a Dataset,
    split: Split,
    protocol: Protocol,
    progress: &dyn Progress,
) -> Result<Ranked<'a>> {
    let (held_out, users) = asked(data, split)?;
    if (scorer.users(), scorer.items()) != (held_out.rows(), held_out.cols()) {
        return Err(Error::Data(format!(
            "the model knows {} users and {} items, the data have {} and {}",
            scorer.users(),
            scorer.items(),
            held_out.rows(),
            held_out.cols()
        )));
    }
    let extra = (split == Split::Test && protocol == Protocol::Clean).then_some(&data.valid);
    let k = CUTS[CUTS.len() - 1];
    let top = in_parts(&users, k, progress, |users| scorer.rank(users, Some(&data.train), extra, k))?;
    Ok(Ranked { data, held_out, users, top })
}

/// Users that are ranked for between two words of how far it is.
const TOGETHER: usize = 8192;

/// The lists that `rank` makes for `users`, a row of `k` items per user, made for some of them at a time.
pub fn in_parts(
    users: &[u32],
    k: usize,
    progress: &dyn Progress,
    rank: impl Fn(&[u32]) -> Result<TopK>,
) -> Result<TopK> {
    let parts = progress.phase("ranking for users", users.len())?;
    let mut all = TopK::empty(0, k);
    for some in users.chunks(TOGETHER) {
        all.append(rank(some)?);
        parts.add(some.len())?;
    }
    Ok(all)
}

/// Lists that were ranked elsewhere: for each user of the data their items, best first. What is masked, and
/// what comes again, is passed over; what comes after the last of [`CUTS`] does not count.
pub fn rank_given<'a>(
    lists: &[Vec<u32>],
    data: &'a Dataset,
    split: Split,
    protocol: Protocol,
) -> Result<Ranked<'a>> {
    let (held_out, users) = asked(data, split)?;
    let k = CUTS[CUTS.len() - 1];
    let clean = split == Split::Test && protocol == Protocol::Clean;
    let list = |&user: &u32| {
        let row = user as usize;
        let has = |taken: &Csr, item: u32| taken.row(row).binary_search(&item).is_ok();
        let mut kept: Vec<(u32, f32)> = Vec::with_capacity(k);
        for &item in &lists[row] {
            if kept.len() == k {
                break;
            }
            let masked = has(&data.train, item) || clean && has(&data.valid, item);
            if !masked && kept.iter().all(|(known, _)| *known != item) {
                // Scores say no more than the order.
                kept.push((item, -(kept.len() as f32)));
            }
        }
        kept
    };
    let top = TopK::from_lists(users.iter().map(list).collect(), k);
    Ok(Ranked { data, held_out, users, top })
}

impl Ranked<'_> {
    /// The accuracy of each user's list, where only held-out items with `counts` count; users without any are
    /// left out.
    fn accuracy(&self, counts: impl Fn(u32) -> bool) -> PerUser {
        let mut users = Vec::with_capacity(self.users.len());
        let mut values = Vec::with_capacity(self.users.len() * CUTS.len() * NAMES.len());
        let (mut wanted, mut hits) = (Vec::new(), Vec::with_capacity(self.top.k));
        for (row, &u) in self.users.iter().enumerate() {
            wanted.clear();
            wanted.extend(self.held_out.row(u as usize).iter().filter(|i| counts(**i)));
            if wanted.is_empty() {
                continue;
            }
            hits.clear();
            hits.extend(self.top.row(row).0.iter().map(|item| wanted.binary_search(item).is_ok()));
            users.push(u);
            for k in CUTS {
                values.extend(metrics_at(&hits, wanted.len(), k));
            }
        }
        let names = CUTS.iter().flat_map(|k| NAMES.iter().map(move |n| format!("{n}@{k}"))).collect();
        PerUser { users, names, values }
    }

    /// The accuracy of each user's list.
    pub fn per_user(&self) -> PerUser {
        self.accuracy(|_| true)
    }
}

/// Mean metrics of `scorer` on one split under one protocol.
pub fn evaluate(
    scorer: &dyn Ranks,
    data: &Dataset,
    split: Split,
    protocol: Protocol,
    progress: &dyn Progress,
) -> Result<Metrics> {
    Ok(rank(scorer, data, split, protocol, progress)?.per_user().mean())
}

/// Mean metrics on validation of each of several rankings, which `rank` gives for the users named to it:
/// lists of the length named to it, without train items.
pub fn evaluate_each(
    data: &Dataset,
    rank: impl FnOnce(&[u32], usize) -> Result<Vec<TopK>>,
) -> Result<Vec<Metrics>> {
    let (held_out, users) = asked(data, Split::Valid)?;
    let tops = rank(&users, CUTS[CUTS.len() - 1])?;
    let mean = |top| Ranked { data, held_out, users: users.clone(), top }.per_user().mean();
    Ok(tops.into_iter().map(mean).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_of_a_known_list() {
        // Hits at ranks 1 and 3 of 4, three held out.
        let [recall, ndcg, precision, map, hit, mrr] = metrics_at(&[true, false, true, false], 3, 4);
        assert!((recall - 2.0 / 3.0).abs() < 1e-12);
        let dcg = 1.0 + 0.5;
        let ideal = 1.0 + 1.0 / 3f64.log2() + 0.5;
        assert!((ndcg - dcg / ideal).abs() < 1e-12);
        assert_eq!((precision, hit, mrr), (0.5, 1.0, 1.0));
        assert!((map - (1.0 + 2.0 / 3.0) / 3.0).abs() < 1e-12);
        assert_eq!(metrics_at(&[false, false], 1, 2), [0.0; 6]);
    }

    #[test]
    fn words_are_strict() {
        assert_eq!("clean".parse::<Protocol>().unwrap(), Protocol::Clean);
        assert_eq!(
            "vaild".parse::<Split>().unwrap_err().to_string(),
            "setting `split` is vaild; allowed: valid, test"
        );
    }
}
