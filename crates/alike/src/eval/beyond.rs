//! What lists are like beyond finding held-out items, and for whom they are good.
//!
//! With `L_u` the first `k` items of user `u`, `n(i)` the train interactions of item `i`, `c(i)` how many
//! lists hold `i`:
//!
//! - `coverage` = share of the catalogue that occurs in at least one list.
//! - `gini` = Gini index of `c` over all items: 0 when all are recommended equally often, towards 1 when few
//!   are. Both as RecBole has them.
//! - `novelty` = mean over list entries of `-log2(max(n(i), 1) / U)`: self-information, in bits (Zhou et al.,
//!   PNAS 107(10), 2010).
//! - `tail` = mean over users of the share of `L_u` that is not in the short head, the most popular items
//!   that together hold 80 % of the train interactions (average percentage of long-tail items; Abdollahpouri
//!   et al., FLAIRS 2019).
//! - `diversity` = mean over users of `1 - cos` over all pairs of `L_u`, for each modality, then the mean
//!   over modalities; items without features are left out (intra-list diversity; Ziegler et al., WWW 2005).

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{CUTS, Metrics, PerUser, Ranked};
use crate::data::Features;

/// Users a task of the pool takes at a time.
const BLOCK: usize = 256;
/// Share of the train interactions that the short head holds.
const HEAD: f64 = 0.8;

/// Coverage, Gini index, novelty, tail share and, where items have features, diversity of the lists, at each
/// cut-off.
pub fn beyond_accuracy(ranked: &Ranked<'_>) -> Metrics {
    let counts = degrees_of_items(ranked);
    let tail = tail(&counts);
    let bits: Vec<f64> =
        counts.iter().map(|&n| -(f64::from(n.max(1)) / ranked.held_out.rows() as f64).log2()).collect();
    let mut metrics = Metrics::default();
    for k in CUTS {
        let mut shown = vec![0u64; counts.len()];
        let (mut novelty, mut entries, mut tails) = (0.0, 0usize, 0.0);
        for row in 0..ranked.users.len() {
            let list = list(ranked, row, k);
            for &i in list {
                shown[i as usize] += 1;
                novelty += bits[i as usize];
            }
            entries += list.len();
            let in_tail = list.iter().filter(|i| tail[**i as usize]).count();
            tails += in_tail as f64 / list.len().max(1) as f64;
        }
        let covered = shown.iter().filter(|n| **n > 0).count();
        let mut add = |name: &str, value: f64| metrics.0.insert(format!("{name}@{k}"), value);
        add("coverage", covered as f64 / counts.len() as f64);
        add("gini", gini(&mut shown));
        add("novelty", novelty / entries.max(1) as f64);
        add("tail", tails / ranked.users.len() as f64);
    }
    let modalities = &ranked.data.features;
    if !modalities.is_empty() {
        let of_each: Vec<[f64; CUTS.len()]> = modalities.iter().map(|f| diversity(ranked, f)).collect();
        for (at, k) in CUTS.into_iter().enumerate() {
            let mean = of_each.iter().map(|d| d[at]).sum::<f64>() / of_each.len() as f64;
            metrics.0.insert(format!("diversity@{k}"), mean);
        }
    }
    metrics
}

/// Everything that is measured of the lists: accuracy, of which `each` has every user's, and what they are
/// like beyond it.
pub fn all_metrics(ranked: &Ranked<'_>, each: &PerUser) -> Metrics {
    let mut metrics = each.mean();
    metrics.0.extend(beyond_accuracy(ranked).0);
    metrics
}

impl Ranked<'_> {
    /// All metrics, those of groups, and each user's.
    pub fn evaluated(&self) -> (Metrics, Vec<Group>, PerUser) {
        let each = self.per_user();
        (all_metrics(self, &each), groups(self, &each), each)
    }
}

/// The first `k` items of a list; shorter where fewer were left to recommend.
fn list<'a>(ranked: &'a Ranked<'_>, row: usize, k: usize) -> &'a [u32] {
    let list = ranked.top.row(row).0;
    let list = &list[..k.min(list.len())];
    let end = list.iter().position(|i| *i == u32::MAX).unwrap_or(list.len());
    &list[..end]
}

fn degrees_of_items(ranked: &Ranked<'_>) -> Vec<u32> {
    let mut counts = vec![0u32; ranked.held_out.cols()];
    for &i in ranked.data.train.idx() {
        counts[i as usize] += 1;
    }
    counts
}

/// Which items are outside the short head. Of equally popular items at its edge those with smaller numbers
/// are in it.
fn tail(counts: &[u32]) -> Vec<bool> {
    let mut order: Vec<usize> = (0..counts.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(counts[i]), i));
    let limit = HEAD * counts.iter().map(|n| f64::from(*n)).sum::<f64>();
    let (mut taken, mut tail) = (0.0, vec![false; counts.len()]);
    for i in order {
        tail[i] = taken >= limit;
        taken += f64::from(counts[i]);
    }
    tail
}

/// Gini index of counts, which are put in order.
fn gini(counts: &mut [u64]) -> f64 {
    counts.sort_unstable();
    let n = counts.len() as f64;
    let total = counts.iter().sum::<u64>() as f64;
    let weighted: f64 =
        counts.iter().enumerate().map(|(at, c)| (2.0 * (at + 1) as f64 - n - 1.0) * *c as f64).sum();
    if total > 0.0 { weighted / (n * total) } else { 0.0 }
}

/// Mean over users of the mean of `1 - cos` over the pairs of a list, at each cut-off. With unit rows `v` the
/// sum of cosines over pairs is `(|Σ v|² - n) / 2`, so that a list costs one pass.
fn diversity(ranked: &Ranked<'_>, features: &Features) -> [f64; CUTS.len()] {
    let (values, dim) = (features.values(), features.dim);
    let row = |i: u32| &values[i as usize * dim..(i as usize + 1) * dim];
    let norms: Vec<f32> = (0..features.missing.len() as u32)
        .into_par_iter()
        .map(|i| {
            if features.missing[i as usize] { 0.0 } else { row(i).iter().map(|x| x * x).sum::<f32>().sqrt() }
        })
        .collect();
    let rows: Vec<usize> = (0..ranked.users.len()).collect();
    let of_blocks: Vec<([f64; CUTS.len()], [usize; CUTS.len()])> = rows
        .par_chunks(BLOCK)
        .map(|block| {
            let (mut sums, mut users) = ([0.0; CUTS.len()], [0; CUTS.len()]);
            let mut sum = vec![0f32; dim];
            for &at in block {
                sum.fill(0.0);
                let (mut n, mut from) = (0usize, 0usize);
                for (cut, k) in CUTS.into_iter().enumerate() {
                    let list = list(ranked, at, k);
                    for &i in list.iter().skip(from).filter(|i| norms[**i as usize] > 0.0) {
                        let scale = norms[i as usize].recip();
                        sum.iter_mut().zip(row(i)).for_each(|(s, x)| *s += scale * x);
                        n += 1;
                    }
                    from = list.len();
                    if n > 1 {
                        let pairs = (n * (n - 1)) as f64;
                        let square = sum.iter().map(|s| f64::from(*s) * f64::from(*s)).sum::<f64>();
                        sums[cut] += 1.0 - (square - n as f64) / pairs;
                        users[cut] += 1;
                    }
                }
            }
            (sums, users)
        })
        .collect();
    let mut means = [0.0; CUTS.len()];
    for (cut, mean) in means.iter_mut().enumerate() {
        let sum: f64 = of_blocks.iter().map(|b| b.0[cut]).sum();
        let users: usize = of_blocks.iter().map(|b| b.1[cut]).sum();
        *mean = sum / users.max(1) as f64;
    }
    means
}

/// Accuracy for some of the users, or on some of the items.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// `cold-users`, `warm-users`, `cold-items` or `warm-items`.
    pub name: String,
    /// Cold are those with at most so many train interactions: the quarter with the fewest, ties included.
    pub limit: u32,
    /// Users that the means are over.
    pub users: usize,
    /// The metrics.
    pub metrics: Metrics,
}

/// Accuracy for cold and for warm users, and on cold and on warm held-out items; for the latter a user's
/// other held-out items do not count, and users without any are left out. Groups without users are left out.
/// `all` is the accuracy of every user.
pub fn groups(ranked: &Ranked<'_>, all: &PerUser) -> Vec<Group> {
    let (train, items) = (&ranked.data.train, degrees_of_items(ranked));
    let degree = |u: u32| train.degree(u as usize) as u32;
    let of_users = quarter(ranked.users.iter().map(|u| degree(*u)).collect());
    let of_items = quarter(items.clone());
    let users = |name: &str, wanted: &dyn Fn(u32) -> bool| {
        let width = all.names.len();
        let kept = |at: &usize| wanted(all.users[*at]);
        let rows: Vec<usize> = (0..all.users.len()).filter(kept).collect();
        let values =
            rows.iter().flat_map(|r| all.values[r * width..(r + 1) * width].iter().copied()).collect();
        let users = rows.iter().map(|r| all.users[*r]).collect();
        (name.to_string(), of_users, PerUser { users, names: all.names.clone(), values })
    };
    let cold = |i: u32| items[i as usize] <= of_items;
    let all_groups = [
        users("cold-users", &|u| degree(u) <= of_users),
        users("warm-users", &|u| degree(u) > of_users),
        ("cold-items".to_string(), of_items, ranked.accuracy(cold)),
        ("warm-items".to_string(), of_items, ranked.accuracy(|i| !cold(i))),
    ];
    all_groups
        .into_iter()
        .filter(|(_, _, of)| !of.users.is_empty())
        .map(|(name, limit, of)| Group { name, limit, users: of.users.len(), metrics: of.mean() })
        .collect()
}

/// The largest of the smallest quarter.
fn quarter(mut counts: Vec<u32>) -> u32 {
    counts.sort_unstable();
    counts.get((counts.len().max(1) - 1) / 4).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gini_index_of_known_counts() {
        assert!(gini(&mut [3, 3, 3]).abs() < 1e-12);
        // One of four has all: (n - 1) / n.
        assert!((gini(&mut [0, 5, 0, 0]) - 0.75).abs() < 1e-12);
        assert_eq!(gini(&mut [0, 0]), 0.0);
    }

    #[test]
    fn the_short_head_holds_four_fifths() {
        // 10 interactions: 5 + 3 reach 8.
        assert_eq!(tail(&[1, 5, 0, 3, 1]), [true, false, true, false, true]);
    }

    #[test]
    fn a_quarter_takes_ties() {
        assert_eq!(quarter(vec![9, 1, 2, 3]), 1);
        assert_eq!(quarter(vec![4, 4, 4, 4, 4]), 4);
        assert_eq!(quarter(vec![5, 1, 2, 3, 4]), 2);
    }
}
