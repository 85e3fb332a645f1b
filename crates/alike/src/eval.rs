//! Full-ranking metrics under the two protocols of `docs/results.md`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::scorer::Scorer;

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
}

/// Metrics of one ranked list at cut-off `k`: recall, NDCG, precision, MAP, hit rate, MRR.
///
/// `hits[p]` says whether the item at rank `p + 1` is held out; `held_out` is the number of held-out items.
/// NDCG is binary with the ideal cut at `min(k, held_out)`; MAP divides by `min(k, held_out)`.
pub fn at(hits: &[bool], held_out: usize, k: usize) -> [f64; 6] {
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
    /// Metric names, one a column.
    pub names: Vec<String>,
    /// Values, row-major.
    pub values: Vec<f64>,
}

/// Ranks all items for every user with a held-out item and computes each metric for each of them.
pub fn per_user(scorer: &Scorer, data: &Dataset, split: Split, protocol: Protocol) -> Result<PerUser> {
    let held = match split {
        Split::Valid => &data.valid,
        Split::Test => &data.test,
    };
    let users: Vec<u32> = (0..held.rows() as u32).filter(|&u| held.degree(u as usize) > 0).collect();
    if users.is_empty() {
        return Err(Error::Data(format!("the {split} split is empty: nothing to evaluate")));
    }
    if (scorer.users(), scorer.items()) != (held.rows(), held.cols()) {
        return Err(Error::Data(format!(
            "the model knows {} users and {} items, the data have {} and {}",
            scorer.users(),
            scorer.items(),
            held.rows(),
            held.cols()
        )));
    }
    let also = (split == Split::Test && protocol == Protocol::Clean).then_some(&*data.valid);
    let most = CUTS[CUTS.len() - 1];
    let top = scorer.top_k(&users, Some(&data.train), also, most);
    let mut values = Vec::with_capacity(users.len() * CUTS.len() * NAMES.len());
    let mut hits = vec![false; most];
    for (row, &u) in users.iter().enumerate() {
        let wanted = held.row(u as usize);
        for (hit, item) in hits.iter_mut().zip(&top.items[row * most..(row + 1) * most]) {
            *hit = wanted.binary_search(item).is_ok();
        }
        for k in CUTS {
            values.extend(at(&hits, wanted.len(), k));
        }
    }
    let names = CUTS.iter().flat_map(|k| NAMES.iter().map(move |n| format!("{n}@{k}"))).collect();
    Ok(PerUser { users, names, values })
}

/// Mean metrics of `scorer` on one split under one protocol.
pub fn evaluate(scorer: &Scorer, data: &Dataset, split: Split, protocol: Protocol) -> Result<Metrics> {
    let all = per_user(scorer, data, split, protocol)?;
    let width = all.names.len();
    let mut sums = vec![0.0; width];
    for row in all.values.chunks_exact(width) {
        for (sum, v) in sums.iter_mut().zip(row) {
            *sum += v;
        }
    }
    let n = all.users.len() as f64;
    Ok(Metrics(all.names.into_iter().zip(sums.into_iter().map(|s| s / n)).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_of_a_known_list() {
        // Hits at ranks 1 and 3 of 4, three held out.
        let [recall, ndcg, precision, map, hit, mrr] = at(&[true, false, true, false], 3, 4);
        assert!((recall - 2.0 / 3.0).abs() < 1e-12);
        let dcg = 1.0 + 0.5;
        let ideal = 1.0 + 1.0 / 3f64.log2() + 0.5;
        assert!((ndcg - dcg / ideal).abs() < 1e-12);
        assert_eq!((precision, hit, mrr), (0.5, 1.0, 1.0));
        assert!((map - (1.0 + 2.0 / 3.0) / 3.0).abs() < 1e-12);
        assert_eq!(at(&[false, false], 1, 2), [0.0; 6]);
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
