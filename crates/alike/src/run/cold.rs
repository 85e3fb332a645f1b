//! Items that nobody took in training, among those that people took.

use alike_ops::{Csr, TopK};
use rayon::prelude::*;

use crate::scorer::{Scorer, best};

/// Users whose scores are looked at, at most; fewer where there are very many items.
const SAMPLE: usize = 1000;
/// Scores that are looked at, about.
const SCORES: usize = 50_000_000;
/// How many more items are ranked at first than are asked for, since cold ones may be among them.
const MORE: usize = 64;

/// How the scores of items that nobody took in training are brought to where those of others are. A model has
/// seen people take the others, so it scores these higher whatever suits whom. Over people, a raised score
/// has the mean and the spread that scores of the average item that somebody took have; `weight` is how far
/// the way there is gone: 0 leaves scores as they are, at 1 a cold item competes as if it were such an item.
#[derive(Debug, Clone)]
pub struct ColdItems {
    /// The items, ascending.
    items: Vec<u32>,
    /// Factor and summand of each one's scores at weight 1.
    lines: Vec<[f32; 2]>,
}

impl ColdItems {
    /// Looks at the scores that a sample of users gives to all items.
    pub fn new(scorer: &Scorer, train: &Csr) -> Self {
        let (users, count) = (train.rows(), train.cols());
        let mut taken = vec![false; count];
        train.idx().iter().for_each(|&i| taken[i as usize] = true);
        let items: Vec<u32> = (0..count as u32).filter(|&i| !taken[i as usize]).collect();
        if items.is_empty() || items.len() == count {
            return Self { items: Vec::new(), lines: Vec::new() };
        }
        let sample = (SCORES / count).clamp(100, SAMPLE).min(users);
        let mut sums = vec![[0f64; 2]; count];
        let ranker = scorer.ranker();
        for user in (0..sample).map(|n| n * users / sample) {
            let row = scorer.user_row(user as u32).unwrap_or_default();
            let scores = scorer.scores(ranker.as_ref(), row, train.row(user));
            sums.par_iter_mut().zip(&scores).for_each(|([sum, squares], &score)| {
                let score = f64::from(score);
                *sum += score;
                *squares += score * score;
            });
        }
        let spread = |[sum, squares]: [f64; 2]| {
            let mean = sum / sample as f64;
            (mean, (squares / sample as f64 - mean * mean).max(0.0).sqrt())
        };
        let warm = (0..count).filter(|&i| taken[i]);
        let (mut mean, mut deviation) = (0.0, 0.0);
        for i in warm.clone() {
            let (m, d) = spread(sums[i]);
            mean += m;
            deviation += d;
        }
        let number = warm.count() as f64;
        let (mean, deviation) = (mean / number, deviation / number);
        let line = |&i: &u32| {
            let (own, d) = spread(sums[i as usize]);
            // One that everybody is given alike stays alike.
            let factor = if d > 0.0 { deviation / d } else { 1.0 };
            [factor as f32, (mean - factor * own) as f32]
        };
        Self { lines: items.iter().map(line).collect(), items }
    }

    /// Whether every item was taken by somebody, or none was.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether `item` is one of them.
    pub fn contains(&self, item: u32) -> bool {
        self.items.binary_search(&item).is_ok()
    }

    /// The score of `item`, raised by `weight` where it is cold.
    pub fn raised(&self, item: u32, score: f32, weight: f32) -> f32 {
        match self.items.binary_search(&item) {
            Ok(at) => self.raise(at, score, weight),
            Err(_) => score,
        }
    }

    fn raise(&self, at: usize, score: f32, weight: f32) -> f32 {
        let [factor, summand] = self.lines[at];
        score + weight * ((factor - 1.0) * score + summand)
    }

    /// The `k` best items by raised scores for each of `rows` people: `rank` gives their lists of a length by
    /// plain scores, `score` a person's plain score of an item, or none where they may not have it.
    pub fn mix(
        &self,
        rows: usize,
        k: usize,
        weight: f32,
        rank: impl Fn(usize) -> TopK,
        score: impl Fn(usize, u32) -> Option<f32> + Sync,
    ) -> Vec<Vec<(u32, f32)>> {
        let mut length = k + MORE;
        let warm = loop {
            let top = rank(length);
            let lists = (0..rows).into_par_iter().map(|row| {
                let warm = top.pairs(row).filter(|&(i, _)| !self.contains(i));
                (top.row(row).0.len(), warm.take(k).collect::<Vec<_>>())
            });
            let lists: Vec<(usize, Vec<(u32, f32)>)> = lists.collect();
            if lists.iter().all(|(all, warm)| warm.len() == k || *all < length) {
                break lists;
            }
            length *= 4;
        };
        let list = |(row, (_, mut list)): (usize, (usize, Vec<(u32, f32)>))| {
            let cold = (0..).zip(&self.items);
            list.extend(cold.filter_map(|(at, &i)| Some((i, self.raise(at, score(row, i)?, weight)))));
            best(list, k)
        };
        warm.into_par_iter().enumerate().map(list).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scorer::Matrix;

    /// Six users and five items, the last two cold: low, and low and flat.
    fn scorer() -> (Scorer, Csr) {
        let users = (0..6).flat_map(|u| [1.0, u as f32 / 5.0]).collect();
        let items = vec![2.0, 1.0, 3.0, -1.0, 2.5, 0.5, 0.0, 0.5, 0.1, -0.1];
        let scorer = Scorer::Dot { users: Matrix::new(6, 2, users), items: Matrix::new(5, 2, items) };
        let rows: Vec<Vec<u32>> = (0..6).map(|u| vec![u % 3]).collect();
        (scorer, Csr::from_rows(5, &rows).unwrap())
    }

    #[test]
    fn raised_scores_have_the_mean_and_spread_of_others() {
        let (scorer, train) = scorer();
        let cold = ColdItems::new(&scorer, &train);
        assert_eq!((cold.contains(3), cold.contains(4), cold.contains(0)), (true, true, false));
        let moments = |item: u32, weight: f32| {
            let scores = (0..6).map(|u| f64::from(cold.raised(item, scorer.score(u, item), weight)));
            let scores: Vec<f64> = scores.collect();
            let mean = scores.iter().sum::<f64>() / 6.0;
            (mean, (scores.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / 6.0).sqrt())
        };
        let warm: Vec<(f64, f64)> = (0..3).map(|i| moments(i, 1.0)).collect();
        let mean = |part: fn(&(f64, f64)) -> f64| warm.iter().map(part).sum::<f64>() / 3.0;
        for item in [3, 4] {
            let (own, spread) = moments(item, 1.0);
            assert!((own - mean(|m| m.0)).abs() < 1e-5 && (spread - mean(|m| m.1)).abs() < 1e-5);
            assert_eq!(cold.raised(item, 0.7, 0.0), 0.7);
        }
    }

    #[test]
    fn mixed_lists_are_those_of_all_raised_scores() {
        let (scorer, train) = scorer();
        let cold = ColdItems::new(&scorer, &train);
        let rows: Vec<u32> = (0..6).collect();
        for (k, weight) in [(1, 1.0), (3, 1.0), (5, 0.5), (9, 1.0), (3, 0.0)] {
            let rank = |k: usize| scorer.top_k(&rows, Some(&train), None, k);
            let open = |row: usize, i: u32| {
                let taken = train.row(row).binary_search(&i).is_ok();
                (!taken).then(|| scorer.score(row as u32, i))
            };
            let lists = cold.mix(6, k, weight, rank, open);
            for (row, list) in lists.iter().enumerate() {
                let all = (0..5).filter_map(|i| Some((i, cold.raised(i, open(row, i)?, weight))));
                assert_eq!(*list, best(all.collect(), k));
            }
        }
    }

    #[test]
    fn without_cold_items_there_is_nothing_to_raise() {
        let (scorer, _) = scorer();
        let all = Csr::from_rows(5, &[vec![0, 1, 2, 3, 4], vec![], vec![], vec![], vec![], vec![]]).unwrap();
        assert!(ColdItems::new(&scorer, &all).is_empty());
        assert!(ColdItems::new(&scorer, &Csr::from_rows(5, &vec![vec![]; 6]).unwrap()).is_empty());
    }
}
