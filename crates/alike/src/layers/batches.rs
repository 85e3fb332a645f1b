//! Batches: shuffled positives with the negatives that a model wants.

use std::collections::VecDeque;
use std::sync::{Arc, mpsc};
use std::thread;

use alike_ops::Csr;
use rand::RngExt;
use rand::distr::Distribution;
use rand::distr::weighted::WeightedIndex;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::config::Stream;
use crate::error::{Error, Result};
use crate::ids::{ItemId, UserId};

/// Negatives of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Negatives {
    /// None.
    None,
    /// So many for each positive pair; never an item that the user took in train.
    PerPair(usize),
    /// So many for the whole batch; they may be items that some of its users took.
    Shared(usize),
}

/// How a model wants its batches drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// How many negatives.
    pub negatives: Negatives,
    /// Negatives are drawn in proportion to their number of train interactions to this power; 0: uniformly.
    pub popularity: f64,
}

impl Sampling {
    /// Positive pairs only.
    pub const POSITIVES: Self = Self { negatives: Negatives::None, popularity: 0.0 };

    /// `count` uniform negatives per positive pair; 0: [`Self::POSITIVES`].
    pub const fn per_pair(count: usize) -> Self {
        match count {
            0 => Self::POSITIVES,
            _ => Self { negatives: Negatives::PerPair(count), popularity: 0.0 },
        }
    }

    /// `count` uniform negatives per batch; 0: [`Self::POSITIVES`].
    pub const fn shared(count: usize) -> Self {
        match count {
            0 => Self::POSITIVES,
            _ => Self { negatives: Negatives::Shared(count), popularity: 0.0 },
        }
    }

    /// The same, negatives weighted by popularity.
    pub const fn by_popularity(self, power: f64) -> Self {
        Self { popularity: power, ..self }
    }

    /// How often a positive pair is in its batch.
    pub fn repeats(self) -> usize {
        match self.negatives {
            Negatives::PerPair(count) => count,
            Negatives::None | Negatives::Shared(_) => 1,
        }
    }
}

/// The pairs of one batch and their negatives.
///
/// With negatives per pair all three lists have one length, and the triples of one pair are side by side.
/// Shared negatives have a length of their own.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    /// Users.
    pub users: Vec<UserId>,
    /// Items that they took, one per user.
    pub positives: Vec<ItemId>,
    /// Items that they did not take.
    pub negatives: Vec<ItemId>,
}

impl Batch {
    /// Number of pairs, repeated ones counted each time.
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// Whether there is no pair.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// At most `count` batches of one size, the last maybe smaller, none empty, that are this one together.
    /// Shared negatives go to each.
    pub fn split(self, count: usize, sampling: Sampling) -> Vec<Self> {
        if count == 1 {
            return vec![self];
        }
        let size = self.len().div_ceil(count).max(1);
        let part = |at: usize| {
            let range = at * size..((at + 1) * size).min(self.len());
            let negatives = match sampling.negatives {
                Negatives::PerPair(_) => self.negatives[range.clone()].to_vec(),
                Negatives::None | Negatives::Shared(_) => self.negatives.clone(),
            };
            Self {
                users: self.users[range.clone()].to_vec(),
                positives: self.positives[range].to_vec(),
                negatives,
            }
        };
        (0..self.len().div_ceil(size)).map(part).collect()
    }
}

/// Draws the batches of every epoch.
#[derive(Debug)]
pub struct Sampler {
    train: Arc<Csr>,
    pairs: Vec<(u32, u32)>,
    /// Weight of each pair, where they differ.
    weights: Option<Vec<f32>>,
    /// Pairs per epoch.
    len: usize,
    candidates: Arc<Candidates>,
    sampling: Sampling,
    seed: u64,
}

/// What negatives are drawn from: the items that occur in train.
#[derive(Debug)]
struct Candidates {
    items: Vec<u32>,
    weighted: Option<WeightedIndex<f64>>,
}

impl Candidates {
    fn draw(&self, rng: &mut ChaCha8Rng) -> u32 {
        let at = match &self.weighted {
            Some(weighted) => weighted.sample(rng),
            None => rng.random_range(0..self.items.len()),
        };
        self.items[at]
    }
}

impl Sampler {
    /// A sampler over the train interactions. With negatives per pair, users who took every item that occurs
    /// in train have no negative and are left out. Where interactions have `weights`, in the order of the
    /// matrix, one of weight `w` takes part in an epoch with probability `w`.
    ///
    /// # Errors
    /// There is nothing to train on.
    pub fn new(train: Arc<Csr>, weights: Option<&[f32]>, seed: u64, sampling: Sampling) -> Result<Self> {
        let mut count = vec![0u32; train.cols()];
        train.idx().iter().for_each(|&i| count[i as usize] += 1);
        let items: Vec<u32> = (0..train.cols() as u32).filter(|&i| count[i as usize] > 0).collect();
        let complete = matches!(sampling.negatives, Negatives::PerPair(_)).then_some(items.len());
        let users = || (0..train.rows() as u32).filter(|&u| complete != Some(train.degree(u as usize)));
        let pairs: Vec<(u32, u32)> =
            users().flat_map(|u| train.row(u as usize).iter().map(move |&i| (u, i))).collect();
        let of_user = |u: u32| train.ptr()[u as usize] as usize..train.ptr()[u as usize + 1] as usize;
        let weights: Option<Vec<f32>> =
            weights.map(|all| users().flat_map(|u| &all[of_user(u)]).copied().collect());
        if pairs.is_empty() {
            return Err(Error::Data("nothing to train on: no user has both taken and untaken items".into()));
        }
        let weight = |&i: &u32| f64::from(count[i as usize]).powf(sampling.popularity);
        let weighted = match sampling.popularity {
            0.0 => None,
            _ => Some(WeightedIndex::new(items.iter().map(weight)).map_err(|e| {
                Error::Data(format!("items cannot be drawn by popularity^{}: {e}", sampling.popularity))
            })?),
        };
        let expected =
            |weights: &Vec<f32>| weights.iter().map(|w| f64::from(*w)).sum::<f64>().round() as usize;
        let len = weights.as_ref().map_or(pairs.len(), |weights| expected(weights).max(1));
        let candidates = Arc::new(Candidates { items, weighted });
        Ok(Self { train, pairs, weights, len, candidates, sampling, seed })
    }

    /// Number of positive pairs per epoch, expected where interactions have weights.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is nothing to train on.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// The batches of `epoch` (from 1), of `batch` pairs each. They are drawn some at a time when they are
    /// asked for: a graphics processor works on those before meanwhile.
    pub fn epoch(&self, epoch: u64, batch: usize) -> Batches {
        let pairs = match &self.weights {
            None => self.pairs.clone(),
            Some(weights) => self.drawn(weights, epoch),
        };
        Batches {
            order: Some(Stream::Order.rng(self.seed, epoch)),
            train: self.train.clone(),
            candidates: self.candidates.clone(),
            rng: Stream::Negatives.rng(self.seed, epoch),
            pairs,
            batch,
            sampling: self.sampling,
            at: 0,
            drawn: VecDeque::new(),
        }
    }

    /// The pairs that take part in `epoch`, at least one.
    fn drawn(&self, weights: &[f32], epoch: u64) -> Vec<(u32, u32)> {
        let mut rng = Stream::Weights.rng(self.seed, epoch);
        let drawn = self.pairs.iter().zip(weights).filter(|(_, weight)| rng.random::<f32>() < **weight);
        let pairs: Vec<(u32, u32)> = drawn.map(|(pair, _)| *pair).collect();
        if pairs.is_empty() { vec![self.pairs[0]] } else { pairs }
    }
}

/// The batches of one epoch, in order.
#[derive(Debug)]
pub struct Batches {
    train: Arc<Csr>,
    candidates: Arc<Candidates>,
    /// What shuffles the pairs, until they are.
    order: Option<ChaCha8Rng>,
    rng: ChaCha8Rng,
    pairs: Vec<(u32, u32)>,
    batch: usize,
    sampling: Sampling,
    /// Pairs that have been drawn for.
    at: usize,
    drawn: VecDeque<Batch>,
}

/// Triples that are drawn one after the other: the interactions stay in the processor's caches meanwhile,
/// which a training step empties.
const TOGETHER: usize = 1 << 18;

impl Batches {
    /// Draws the next batch, if there is one.
    fn draw(&mut self) -> Option<Batch> {
        if let Some(mut order) = self.order.take() {
            self.pairs.shuffle(&mut order);
        }
        let pairs = &self.pairs[self.at..(self.at + self.batch).min(self.pairs.len())];
        if pairs.is_empty() {
            return None;
        }
        self.at += pairs.len();
        let mut batch = Batch::default();
        for &(u, i) in pairs.iter().flat_map(|pair| std::iter::repeat_n(pair, self.sampling.repeats())) {
            batch.users.push(UserId(u));
            batch.positives.push(ItemId(i));
            if let Negatives::PerPair(_) = self.sampling.negatives {
                let taken = self.train.row(u as usize);
                let negative = loop {
                    let j = self.candidates.draw(&mut self.rng);
                    if taken.binary_search(&j).is_err() {
                        break j;
                    }
                };
                batch.negatives.push(ItemId(negative));
            }
        }
        if let Negatives::Shared(count) = self.sampling.negatives {
            batch.negatives = (0..count).map(|_| ItemId(self.candidates.draw(&mut self.rng))).collect();
        }
        Some(batch)
    }
}

impl Iterator for Batches {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        if self.drawn.is_empty() {
            for _ in 0..(TOGETHER / (self.batch * self.sampling.repeats()).max(1)).max(1) {
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

/// Batches that may wait, drawn, for a device.
const AHEAD: usize = 16;

impl Batches {
    /// The same batches, drawn by a thread of their own.
    pub fn ahead(self) -> DrawnAhead {
        let (to, drawn) = mpsc::sync_channel(AHEAD);
        let thread = thread::spawn(move || {
            for batch in self {
                // Nobody wants more.
                if to.send(batch).is_err() {
                    break;
                }
            }
        });
        DrawnAhead { drawn, thread: Some(thread) }
    }
}

/// Batches that another thread draws.
#[derive(Debug)]
pub struct DrawnAhead {
    drawn: mpsc::Receiver<Batch>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Iterator for DrawnAhead {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        let batch = self.drawn.recv().ok();
        // At the end, or where the thread panicked, which must not look like an end.
        if batch.is_none()
            && let Some(Err(panic)) = self.thread.take().map(thread::JoinHandle::join)
        {
            std::panic::resume_unwind(panic);
        }
        batch
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn train() -> Arc<Csr> {
        let rows: Vec<Vec<u32>> = vec![vec![0, 1, 2, 3], vec![1], vec![], vec![0, 2]];
        Arc::new(Csr::from_rows(5, &rows).unwrap())
    }

    #[test]
    fn negatives_are_never_train_items_and_epochs_are_seeded() {
        let train = train();
        let sampler = Sampler::new(train.clone(), None, 3, Sampling::per_pair(1)).unwrap();
        // The first user took every item that occurs in train.
        assert_eq!(sampler.len(), 3);
        let collect = |epoch| -> Vec<(UserId, ItemId, ItemId)> {
            let list = |b: Batch| -> Vec<_> {
                (0..b.len()).map(|k| (b.users[k], b.positives[k], b.negatives[k])).collect()
            };
            sampler.epoch(epoch, 2).flat_map(list).collect()
        };
        let mut negatives = BTreeSet::new();
        for epoch in 1..50 {
            let triples = collect(epoch);
            assert_eq!(triples.len(), 3);
            for (u, p, n) in triples {
                assert!(train.row(u.0 as usize).contains(&p.0));
                assert!(!train.row(u.0 as usize).contains(&n.0));
                negatives.insert(n.0);
            }
        }
        assert_eq!(negatives.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert_eq!(collect(1), collect(1));
        let ahead: Vec<Batch> = sampler.epoch(1, 2).ahead().collect();
        assert_eq!(ahead, sampler.epoch(1, 2).collect::<Vec<_>>());
        assert_ne!(collect(1), collect(2));
    }

    #[test]
    fn an_interaction_takes_part_as_often_as_its_weight_says() {
        let weights = [1.0, 0.5, 0.25, 1.0, 0.1, 1.0, 0.75];
        let sampler = Sampler::new(train(), Some(&weights), 3, Sampling::POSITIVES).unwrap();
        assert_eq!(sampler.len(), 5);
        let mut seen = std::collections::BTreeMap::new();
        for epoch in 1..=2000 {
            for batch in sampler.epoch(epoch, 4) {
                for pair in batch.users.iter().zip(&batch.positives).map(|(u, i)| (u.0, i.0)) {
                    *seen.entry(pair).or_insert(0) += 1;
                }
            }
        }
        let expected = [(0, 0), (0, 1), (0, 2), (0, 3), (1, 1), (3, 0), (3, 2)];
        for (pair, weight) in expected.iter().zip(weights) {
            let share = f64::from(seen[pair]) / 2000.0;
            assert!((share - f64::from(weight)).abs() < 0.04, "{pair:?}: {share} of {weight}");
        }
        // Users who took everything are left out with their weights.
        let fewer = Sampler::new(train(), Some(&weights), 3, Sampling::per_pair(1)).unwrap();
        assert_eq!(fewer.weights.unwrap(), [0.1, 1.0, 0.75]);
    }

    #[test]
    fn a_model_may_want_no_negatives_or_some_for_the_whole_batch() {
        let plain = Sampler::new(train(), None, 3, Sampling::POSITIVES).unwrap();
        // Nobody needs a negative: everybody takes part.
        assert_eq!(plain.len(), 7);
        assert!(plain.epoch(1, 4).all(|batch| batch.negatives.is_empty() && !batch.is_empty()));
        let shared = Sampler::new(train(), None, 3, Sampling::shared(5)).unwrap();
        let batches: Vec<Batch> = shared.epoch(1, 4).collect();
        assert_eq!(
            batches.iter().map(|b| (b.len(), b.negatives.len())).collect::<Vec<_>>(),
            [(4, 5), (3, 5)]
        );
        // Item 4 does not occur in train.
        assert!(batches.iter().flat_map(|b| &b.negatives).all(|n| n.0 < 4));
    }

    #[test]
    fn popular_items_are_drawn_more_often() {
        // Item 0 was taken nine times, item 1 three times.
        let rows: Vec<Vec<u32>> = (0..10).map(|u| if u < 7 { vec![0] } else { vec![0, 1] }).collect();
        let train = Arc::new(Csr::from_rows(2, &rows[1..]).unwrap());
        let share = |power: f64| {
            let sampling = Sampling::shared(20_000).by_popularity(power);
            let batch = Sampler::new(train.clone(), None, 1, sampling).unwrap().epoch(1, 100).next().unwrap();
            batch.negatives.iter().filter(|n| n.0 == 0).count() as f64 / 20_000.0
        };
        for (power, expected) in [(0.0, 0.5), (1.0, 0.75), (0.5, 3.0 / (3.0 + 3f64.sqrt()))] {
            assert!((share(power) - expected).abs() < 0.015, "power {power}: {}", share(power));
        }
    }

    #[test]
    fn parts_are_the_batch_in_order_and_never_empty() {
        let items = |range: std::ops::Range<u32>| range.map(ItemId).collect::<Vec<_>>();
        let batch =
            Batch { users: (0..10).map(UserId).collect(), positives: items(0..10), negatives: items(20..30) };
        for (n, sizes) in [(1, vec![10]), (3, vec![4, 4, 2]), (4, vec![3, 3, 3, 1]), (20, vec![1; 10])] {
            let parts = batch.clone().split(n, Sampling::per_pair(1));
            assert_eq!(parts.iter().map(Batch::len).collect::<Vec<_>>(), sizes);
            assert_eq!(parts.iter().flat_map(|p| p.negatives.clone()).collect::<Vec<_>>(), batch.negatives);
        }
        let parts = batch.clone().split(3, Sampling::shared(10));
        assert!(parts.iter().all(|part| part.negatives == batch.negatives));
    }
}
