//! The best items of one user while items are offered: a bounded list of sortable keys.
//!
//! Keys come in any order. The list grows to some more than `k` before it is cut back by selection, which
//! costs a few comparisons per kept item; scores below the worst of `k` never get here.

use std::sync::Arc;

use super::item_set::ItemSet;

/// The best items of one user so far, of those that are not excluded.
pub(super) struct TopKHeap {
    pub(super) kept: Candidates,
    /// Items to leave out, ascending.
    excluded: Vec<u32>,
    /// The only items to take, if not all.
    among: Option<Arc<ItemSet>>,
    /// The worst of `k`, as a key; 0 while there are not so many.
    worst: u64,
}

impl TopKHeap {
    /// An empty heap; the excluded items are ascending.
    pub(super) fn new(excluded: Vec<u32>, k: usize) -> Self {
        Self { kept: Candidates::new(k), excluded, among: None, worst: 0 }
    }

    /// The same that takes no other items than these.
    pub(super) fn among(self, among: Option<Arc<ItemSet>>) -> Self {
        Self { among, ..self }
    }

    /// The candidates. Items of score -∞ or NaN are never offered: if fewer than `k` were kept, `scores`
    /// gives the scores of all items, and the candidates are taken from these.
    pub(super) fn with_fallback(mut self, k: usize, scores: impl FnOnce() -> Vec<f32>) -> Candidates {
        if self.kept.len() < k {
            self.kept.keys.clear();
            for (i, score) in (0u32..).zip(scores()) {
                self.keep(key(score, i));
            }
        }
        self.kept
    }

    /// Adds what another heap kept of items that this one was not offered.
    pub(super) fn merge(&mut self, other: Self) {
        for key in other.kept.keys {
            self.kept.push(key);
        }
    }

    /// An empty heap with the same exclusions and the limit reached so far, for another part of the items.
    pub(super) fn fork(&self) -> Self {
        let Self { kept, excluded, among, worst } = self;
        Self {
            kept: Candidates::new(kept.k),
            excluded: excluded.clone(),
            among: among.clone(),
            worst: *worst,
        }
    }

    /// What a score must be above: one step below the worst of `k`, since an item of the same score and a
    /// lower number ranks higher.
    pub(super) fn limit(&self) -> f32 {
        if self.worst == 0 { f32::NEG_INFINITY } else { score_of(self.worst).next_down() }
    }

    /// Takes an item unless it is excluded; as [`Candidates::push`].
    #[inline]
    fn keep(&mut self, key: u64) -> Option<u64> {
        let item = item_of(key);
        let left_out = self.among.as_ref().is_some_and(|set| !set.contains(item))
            || self.excluded.binary_search(&item).is_ok();
        if left_out { None } else { self.kept.push(key) }
    }

    /// Drops what is not among the `k` best, and gives what a score must be above from now on.
    pub(super) fn tighten(&mut self) -> f32 {
        self.kept.truncate();
        if self.kept.len() == self.kept.k
            && let Some(&worst) = self.kept.keys.iter().min()
        {
            self.worst = worst;
        }
        self.limit()
    }

    /// Takes an item of a score above `limit`, and raises the limit once there are enough.
    #[inline]
    pub(super) fn offer(&mut self, item: u32, score: f32, limit: &mut f32) {
        let key = key(score, item);
        if score > *limit
            && key > self.worst
            && let Some(worst) = self.keep(key)
        {
            self.worst = worst;
            *limit = self.limit();
        }
    }
}

/// The `k` best keys of those pushed, and some more.
pub(super) struct Candidates {
    k: usize,
    /// At least the `k` best, in no order.
    keys: Vec<u64>,
}

impl Candidates {
    pub(super) fn new(k: usize) -> Self {
        Self { k, keys: Vec::new() }
    }

    /// Number of keys held, which may be more than `k`.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Adds a key. Once there are many more than `k`, drops all but the best `k` and returns the worst of
    /// these.
    #[inline]
    pub(super) fn push(&mut self, key: u64) -> Option<u64> {
        self.keys.push(key);
        (self.keys.len() >= self.k + self.k.clamp(32, 256)).then(|| {
            self.truncate();
            self.keys[self.k - 1]
        })
    }

    /// Drops all but the `k` best; the worst of them is then the last.
    fn truncate(&mut self) {
        if self.keys.len() > self.k {
            self.keys.select_nth_unstable_by(self.k - 1, |a, b| b.cmp(a));
            self.keys.truncate(self.k);
        }
    }

    /// Writes the best, in order, into one row of a result.
    pub(super) fn write(mut self, items: &mut [u32], scores: &mut [f32]) {
        self.truncate();
        self.keys.sort_unstable_by(|a, b| b.cmp(a));
        for ((item, score), key) in items.iter_mut().zip(scores).zip(self.keys) {
            (*item, *score) = (item_of(key), score_of(key));
        }
    }
}

/// One number that is larger for a better rank: score, then lower item. NaN is below everything, -0 equals 0.
#[inline]
pub(super) fn key(score: f32, item: u32) -> u64 {
    let bits = (score + 0.0).to_bits();
    let order = match score {
        s if s.is_nan() => 0,
        _ if bits >> 31 == 1 => !bits,
        _ => bits | 1 << 31,
    };
    u64::from(order) << 32 | u64::from(!item)
}

/// The item of a key.
pub(super) fn item_of(key: u64) -> u32 {
    !(key as u32)
}

/// The score of a key.
pub(super) fn score_of(key: u64) -> f32 {
    match (key >> 32) as u32 {
        0 => f32::NAN,
        order if order >> 31 == 1 => f32::from_bits(order & !(1 << 31)),
        order => f32::from_bits(!order),
    }
}
