//! Training triples: shuffled positives with uniform negatives.

use std::collections::VecDeque;
use std::sync::Arc;

use alike_ops::{Csr, Triples};
use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::config::Stream;

/// Draws the triples of an epoch. Rows of items are offset by `U`, so that users and items share one table.
#[derive(Debug)]
pub struct Sampler {
    train: Arc<Csr>,
    pairs: Vec<(u32, u32)>,
    candidates: Arc<Vec<u32>>,
    seed: u64,
}

impl Sampler {
    /// A sampler over the train interactions. Negatives are uniform over the items that occur in train; users
    /// who took all of those have no negative and are left out.
    pub fn new(train: Arc<Csr>, seed: u64) -> Self {
        let mut seen = vec![false; train.cols()];
        train.idx().iter().for_each(|&i| seen[i as usize] = true);
        let candidates: Vec<u32> = (0..train.cols() as u32).filter(|&i| seen[i as usize]).collect();
        let pairs = (0..train.rows() as u32)
            .filter(|&u| train.degree(u as usize) < candidates.len())
            .flat_map(|u| train.row(u as usize).iter().map(move |&i| (u, i)))
            .collect();
        Self { train, pairs, candidates: Arc::new(candidates), seed }
    }

    /// Number of positives an epoch.
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether there is nothing to train on.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// The batches of `epoch` (from 1), of `batch` pairs with `negatives` triples each, side by side. They are drawn some at a
    /// time when they are asked for: a graphics processor works on those before meanwhile.
    pub fn epoch(&self, epoch: u64, batch: usize, negatives: usize) -> Batches {
        let mut pairs = self.pairs.clone();
        pairs.shuffle(&mut Stream::Order.rng(self.seed, epoch));
        Batches {
            train: self.train.clone(),
            candidates: self.candidates.clone(),
            rng: Stream::Negatives.rng(self.seed, epoch),
            pairs,
            batch,
            negatives,
            at: 0,
            drawn: VecDeque::new(),
        }
    }
}

/// The rows that a batch touches, and the batch in their numbers: what follows the last propagation of a model is needed
/// for these rows only.
#[derive(Debug, Clone)]
pub struct Local {
    /// Rows, each once, in growing order: users first.
    pub rows: Vec<u32>,
    /// The batch; its numbers are places in `rows`.
    pub batch: Arc<Triples>,
}

impl Local {
    /// Of a batch of rows of a table of `n`.
    pub fn of(batch: &Triples, n: usize) -> Self {
        let mut place = vec![u32::MAX; n];
        let lists = [&batch.users, &batch.positives, &batch.negatives];
        lists.into_iter().flatten().for_each(|&r| place[r as usize] = 0);
        let rows: Vec<u32> = (0..n as u32).filter(|&r| place[r as usize] == 0).collect();
        (0u32..).zip(&rows).for_each(|(at, &r)| place[r as usize] = at);
        let [users, positives, negatives] =
            lists.map(|list| list.iter().map(|&r| place[r as usize]).collect());
        Self { rows, batch: Arc::new(Triples { users, positives, negatives }) }
    }

    /// The rows below `users` and, less `users`, the others.
    pub fn split(&self, users: usize) -> (&[u32], Vec<u32>) {
        let (own, items) = self.rows.split_at(self.rows.partition_point(|&r| (r as usize) < users));
        (own, items.iter().map(|i| i - users as u32).collect())
    }
}

/// The batches of one epoch, in order.
#[derive(Debug)]
pub struct Batches {
    train: Arc<Csr>,
    candidates: Arc<Vec<u32>>,
    rng: ChaCha8Rng,
    pairs: Vec<(u32, u32)>,
    batch: usize,
    /// Triples of each pair.
    negatives: usize,
    /// Pairs that have been drawn for.
    at: usize,
    drawn: VecDeque<Arc<Triples>>,
}

/// Triples that are drawn one after the other: the interactions stay in the processor's caches meanwhile, which a training
/// step empties.
const TOGETHER: usize = 1 << 18;

impl Batches {
    /// Draws the next batch, if there is one.
    fn draw(&mut self) -> Option<Arc<Triples>> {
        let pairs = &self.pairs[self.at..(self.at + self.batch).min(self.pairs.len())];
        if pairs.is_empty() {
            return None;
        }
        self.at += pairs.len();
        let offset = self.train.rows() as u32;
        let mut t = Triples::default();
        for &(u, i) in pairs.iter().flat_map(|pair| std::iter::repeat_n(pair, self.negatives)) {
            let own = self.train.row(u as usize);
            let negative = loop {
                let j = self.candidates[self.rng.random_range(0..self.candidates.len())];
                if own.binary_search(&j).is_err() {
                    break j;
                }
            };
            t.users.push(u);
            t.positives.push(offset + i);
            t.negatives.push(offset + negative);
        }
        Some(Arc::new(t))
    }
}

impl Iterator for Batches {
    type Item = Arc<Triples>;

    fn next(&mut self) -> Option<Arc<Triples>> {
        if self.drawn.is_empty() {
            for _ in 0..(TOGETHER / (self.batch * self.negatives)).max(1) {
                let Some(batch) = self.draw() else { break };
                self.drawn.push_back(batch);
            }
        }
        self.drawn.pop_front()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.drawn.len() + (self.pairs.len() - self.at).div_ceil(self.batch);
        (left, Some(left))
    }
}

impl ExactSizeIterator for Batches {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negatives_are_never_train_items_and_epochs_are_seeded() {
        let rows: Vec<Vec<u32>> = vec![vec![0, 1, 2, 3], vec![1], vec![], vec![0, 2]];
        let train = Arc::new(Csr::from_rows(5, &rows).unwrap());
        let sampler = Sampler::new(train.clone(), 3);
        // The first user took every item that occurs in train.
        assert_eq!(sampler.len(), 3);
        let collect = |epoch| -> Vec<(u32, u32, u32)> {
            let list = |b: Arc<Triples>| -> Vec<_> {
                (0..b.users.len()).map(|k| (b.users[k], b.positives[k], b.negatives[k])).collect()
            };
            sampler.epoch(epoch, 2, 1).flat_map(list).collect()
        };
        let mut negatives = std::collections::BTreeSet::new();
        for epoch in 1..50 {
            let triples = collect(epoch);
            assert_eq!(triples.len(), 3);
            for (u, p, n) in triples {
                assert!(train.row(u as usize).contains(&(p - 4)));
                assert!(!train.row(u as usize).contains(&(n - 4)));
                negatives.insert(n - 4);
            }
        }
        assert_eq!(negatives.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert_eq!(collect(1), collect(1));
        assert_ne!(collect(1), collect(2));
    }
}
