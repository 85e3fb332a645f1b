//! The best items of each user, without a users × items matrix.
//!
//! Users go in blocks, items in panels; a user's scores are looked at only where they are above the worst score that
//! is still wanted, and those few are kept until there are enough to throw the worse ones away again.

use rayon::prelude::*;

use crate::Csr;
use crate::catalogue::{Catalogue, Crowd};
use crate::score::{COLS, Formula, Packed, ROWS, Sweep};

/// Items that a user must not be given. Row `u` of a pattern lists the items of user `u`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Masks<'a> {
    /// Items that the user knows, `U × I`.
    pub seen: Option<&'a Csr>,
    /// More items to leave out, `U × I`.
    pub also: Option<&'a Csr>,
}

impl Masks<'_> {
    /// Writes the masked items of `user`, in ascending order, into `list`.
    fn list(&self, user: u32, list: &mut Vec<u32>) {
        list.clear();
        for mask in [self.seen, self.also].into_iter().flatten() {
            list.extend_from_slice(mask.row(user as usize));
        }
        if !list.is_sorted() {
            list.sort_unstable();
        }
    }
}

/// The `k` best items of each asked row, best first; equal scores by lower item; NaN comes last.
#[derive(Debug, Clone, PartialEq)]
pub struct TopK {
    /// Places a row.
    pub k: usize,
    /// Items, `rows × k`; `u32::MAX` where a row has fewer than `k` items to give.
    pub items: Vec<u32>,
    /// Scores, `rows × k`; -∞ where there is no item.
    pub scores: Vec<f32>,
}

impl TopK {
    pub(crate) fn empty(rows: usize, k: usize) -> Self {
        Self { k, items: vec![u32::MAX; rows * k], scores: vec![f32::NEG_INFINITY; rows * k] }
    }

    /// The places of every row; `k` is not 0.
    pub(crate) fn rows_mut(&mut self) -> impl Iterator<Item = (&mut [u32], &mut [f32])> {
        self.items.chunks_exact_mut(self.k).zip(self.scores.chunks_exact_mut(self.k))
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.items.len().checked_div(self.k).unwrap_or(0)
    }

    /// Items and scores of row `r`, best first, without the empty places.
    pub fn row(&self, r: usize) -> (&[u32], &[f32]) {
        let span = r * self.k..(r + 1) * self.k;
        let n = self.items[span.clone()].partition_point(|&i| i != u32::MAX);
        (&self.items[span.clone()][..n], &self.scores[span][..n])
    }
}

/// Score `users[u] · items[i]` and top `k`: `users [U, dim]`, `items [I, dim]`, for the users `rows`.
///
/// Panics when a length is not a multiple of `dim` or a row is not below `U`.
pub fn top_k_dot(users: &[f32], items: &[f32], dim: usize, rows: &[u32], mask: &Masks<'_>, k: usize) -> TopK {
    search(&Search { users, items, dim, scale: None, formula: Formula::Dot }, rows, k, |u, list| {
        mask.list(u, list);
    })
}

/// Score `w · ReLU(a[u] + b[i])` and top `k`: `a [U, h]` with the bias, `b [I, h]`, `w [h]`, for the users `rows`.
///
/// Panics when a length is not a multiple of `h` or a row is not below `U`.
pub fn top_k_pair_mlp(a: &[f32], b: &[f32], w: &[f32], rows: &[u32], mask: &Masks<'_>, k: usize) -> TopK {
    let search_ = Search { users: a, items: b, dim: w.len(), scale: None, formula: Formula::PairMlp(w) };
    search(&search_, rows, k, |u, list| mask.list(u, list))
}

/// The same `scores [I]` for each of the users `rows`; only the masks differ.
pub fn top_k_static(scores: &[f32], rows: &[u32], mask: &Masks<'_>, k: usize) -> TopK {
    let mut order: Vec<u64> = (0u32..).zip(scores).map(|(i, &s)| key(s, i)).collect();
    order.par_sort_unstable_by(|a, b| b.cmp(a));
    let mut top = TopK::empty(rows.len(), k);
    if k > 0 {
        top.items.par_chunks_mut(k).zip(top.scores.par_chunks_mut(k)).zip(rows).for_each_init(
            Vec::new,
            |list, ((items, out), &u)| {
                mask.list(u, list);
                let left = order.iter().filter(|&&key| list.binary_search(&item_of(key)).is_err());
                for ((item, score), &key) in items.iter_mut().zip(out).zip(left) {
                    (*item, *score) = (item_of(key), score_of(key));
                }
            },
        );
    }
    top
}

/// Score `Σ_{j ∈ history(u)} w_ji` and top `k`, for the users `rows`: `history [U, I]`, `weights [I, I]` with one of
/// `values` an entry, row `j` holding what item `j` gives to others.
///
/// Panics when the shapes do not fit or a row is not below `U`.
pub fn top_k_item_item(
    history: &Csr,
    weights: &Csr,
    values: &[f32],
    rows: &[u32],
    mask: &Masks<'_>,
    k: usize,
) -> TopK {
    assert!(
        weights.rows() == history.cols() && weights.cols() == history.cols(),
        "weights are items x items"
    );
    assert_eq!(values.len(), weights.nnz(), "one value an entry");
    let mut top = TopK::empty(rows.len(), k);
    if k == 0 {
        return top;
    }
    let parts = top.items.par_chunks_mut(k).zip(top.scores.par_chunks_mut(k)).zip(rows);
    parts.for_each_init(
        || vec![0f32; weights.cols()],
        |sums, ((items, scores), &u)| {
            sums.fill(0.0);
            for &j in history.row(u as usize) {
                let at = weights.ptr()[j as usize] as usize;
                for (&i, &w) in weights.row(j as usize).iter().zip(&values[at..]) {
                    sums[i as usize] += w;
                }
            }
            let mut best = Best::new(u, k, &|u, list: &mut Vec<u32>| mask.list(u, list));
            let mut limit = f32::NEG_INFINITY;
            (0u32..).zip(&*sums).for_each(|(i, &score)| best.offer(i, score, &mut limit));
            best.kept.write(items, scores);
        },
    );
    top
}

/// The scores `user · items[i]` of one user: `user [dim]`, `items [I, dim]`. The same bits as [`top_k_dot`] ranks by.
pub fn scores_dot(user: &[f32], items: &[f32], dim: usize) -> Vec<f32> {
    assert_eq!(user.len(), dim, "the user's vector has dim values");
    all_scores(user, items, dim, Formula::Dot)
}

/// The scores `w · ReLU(a + b[i])` of one user: `a [h]`, `b [I, h]`, `w [h]`. The same bits as [`top_k_pair_mlp`]
/// ranks by.
pub fn scores_pair_mlp(a: &[f32], b: &[f32], w: &[f32]) -> Vec<f32> {
    assert_eq!(a.len(), w.len(), "the user's vector has h values");
    all_scores(a, b, w.len(), Formula::PairMlp(w))
}

fn all_scores(user: &[f32], items: &[f32], dim: usize, formula: Formula<'_>) -> Vec<f32> {
    let count = count(items, dim);
    let packed = Packed::new(items, dim, count, COLS, None, |i| i);
    Sweep::new(formula, dim).row(user, &packed, count)
}

fn count(x: &[f32], dim: usize) -> usize {
    assert!(dim > 0 && x.len().is_multiple_of(dim), "rows of {dim} values, not {} values", x.len());
    x.len() / dim
}

/// What is searched: `users [U, dim]`, `items [I, dim]`, both multiplied row by row by `scale` where given.
pub(crate) struct Search<'a> {
    pub(crate) users: &'a [f32],
    pub(crate) items: &'a [f32],
    pub(crate) dim: usize,
    pub(crate) scale: Option<&'a [f32]>,
    pub(crate) formula: Formula<'a>,
}

/// The `k` best items of each of the users `rows`, but those that `masked` writes, ascending, into the list.
pub(crate) fn search(
    search: &Search<'_>,
    rows: &[u32],
    k: usize,
    masked: impl Fn(u32, &mut Vec<u32>) + Sync,
) -> TopK {
    let Search { users, items, dim, scale, formula } = *search;
    let (user_count, item_count) = (count(users, dim), count(items, dim));
    assert!(rows.iter().all(|&u| (u as usize) < user_count), "every row is one of {user_count} users");
    let mut top = TopK::empty(rows.len(), k);
    if k == 0 || item_count == 0 {
        return top;
    }
    let catalogue = Catalogue::new(items, dim, scale, formula);
    // Enough blocks for many threads, and enough users in each to make reading the items worth it.
    let block = (rows.len() / 16).next_multiple_of(ROWS).clamp(ROWS, 16 * ROWS);
    let parts = top.items.par_chunks_mut(block * k).zip(top.scores.par_chunks_mut(block * k));
    parts.zip(rows.par_chunks(block)).for_each(|((items, scores), rows)| {
        let crowd = Crowd::new(users, dim, rows.len(), scale, |i| rows[i] as usize);
        let mut best: Vec<Best> = rows.iter().map(|&u| Best::new(u, k, &masked)).collect();
        let sweep = Sweep::new(formula, dim);
        catalogue.offer(&sweep, &crowd, 0..catalogue.panels(), &mut best);
        for (at, best) in best.into_iter().enumerate() {
            let span = at * k..(at + 1) * k;
            let row = || catalogue.scores(&sweep, &crowd.row(at));
            best.filled(k, row).write(&mut items[span.clone()], &mut scores[span]);
        }
    });
    top
}

/// The best items of one user so far, of those that are not masked.
pub(crate) struct Best {
    pub(crate) kept: Kept,
    /// Items to leave out, ascending.
    masked: Vec<u32>,
    /// The worst of `k`, as a key; 0 while there are not so many.
    worst: u64,
}

impl Best {
    /// Nothing yet; `masked` are ascending.
    pub(crate) fn without(masked: Vec<u32>, k: usize) -> Self {
        Self { kept: Kept::new(k), masked, worst: 0 }
    }

    fn new(user: u32, k: usize, masked: &impl Fn(u32, &mut Vec<u32>)) -> Self {
        let mut list = Vec::new();
        masked(user, &mut list);
        Self::without(list, k)
    }

    /// The best of all items, `scores` giving that of each: asked where there are fewer than `k` finite scores, since -∞,
    /// NaN and the end of the catalogue need a look at every item.
    pub(crate) fn filled(mut self, k: usize, scores: impl FnOnce() -> Vec<f32>) -> Kept {
        if self.kept.len() < k {
            self.kept.keys.clear();
            for (i, score) in (0u32..).zip(scores()) {
                self.keep(key(score, i));
            }
        }
        self.kept
    }

    /// Takes over what another found among items that this one was not offered.
    pub(crate) fn merge(&mut self, other: Self) {
        for key in other.kept.keys {
            self.kept.push(key);
        }
    }

    /// The same masks and nothing yet, to be offered other items: only those that have a place beside what is here.
    pub(crate) fn beside(&self) -> Self {
        Self { kept: Kept::new(self.kept.k), masked: self.masked.clone(), worst: self.worst }
    }

    /// What a score must be above: one step below the worst of `k`, since an item of the same score and a lower number has a
    /// place.
    pub(crate) fn limit(&self) -> f32 {
        if self.worst == 0 { f32::NEG_INFINITY } else { score_of(self.worst).next_down() }
    }

    /// Takes an item unless it is masked; as [`Kept::push`].
    #[inline]
    fn keep(&mut self, key: u64) -> Option<u64> {
        if self.masked.binary_search(&item_of(key)).is_ok() { None } else { self.kept.push(key) }
    }

    /// Takes an item of a score above `limit`, and raises the limit when enough have come.
    #[inline]
    pub(crate) fn offer(&mut self, item: u32, score: f32, limit: &mut f32) {
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

/// The `k` best keys of those that came, and some more.
pub(crate) struct Kept {
    k: usize,
    /// At least the `k` best, in no order.
    keys: Vec<u64>,
}

impl Kept {
    pub(crate) fn new(k: usize) -> Self {
        Self { k, keys: Vec::new() }
    }

    /// How many there are; `k` of them stay.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Takes one. When many more than `k` have come, throws away all but the best and gives the worst of these.
    #[inline]
    pub(crate) fn push(&mut self, key: u64) -> Option<u64> {
        self.keys.push(key);
        (self.keys.len() >= self.k + self.k.clamp(32, 256)).then(|| {
            self.cut();
            self.keys[self.k - 1]
        })
    }

    /// Throws away all but the `k` best; the worst of them is then the last.
    fn cut(&mut self) {
        if self.keys.len() > self.k {
            self.keys.select_nth_unstable_by(self.k - 1, |a, b| b.cmp(a));
            self.keys.truncate(self.k);
        }
    }

    /// Writes the best, in order, into one row of a [`TopK`].
    pub(crate) fn write(mut self, items: &mut [u32], scores: &mut [f32]) {
        self.cut();
        self.keys.sort_unstable_by(|a, b| b.cmp(a));
        for ((item, score), key) in items.iter_mut().zip(scores).zip(self.keys) {
            (*item, *score) = (item_of(key), score_of(key));
        }
    }
}

/// Places of the bits of `mask`, ascending.
#[inline]
pub(crate) fn bits(mut mask: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let at = mask.trailing_zeros() as usize;
        mask &= mask.wrapping_sub(1);
        (at < 64).then_some(at)
    })
}

/// The columns of panel `panel` that are items, of `count` in all.
pub(crate) fn valid(panel: usize, count: usize) -> u64 {
    u64::MAX >> (64 - COLS.min(count - panel * COLS))
}

/// One number that is larger for a better place: score, then lower item. NaN is below everything, -0 equals 0.
#[inline]
pub(crate) fn key(score: f32, item: u32) -> u64 {
    let bits = (score + 0.0).to_bits();
    let order = match score {
        s if s.is_nan() => 0,
        _ if bits >> 31 == 1 => !bits,
        _ => bits | 1 << 31,
    };
    u64::from(order) << 32 | u64::from(!item)
}

fn item_of(key: u64) -> u32 {
    !(key as u32)
}

pub(crate) fn score_of(key: u64) -> f32 {
    match (key >> 32) as u32 {
        0 => f32::NAN,
        order if order >> 31 == 1 => f32::from_bits(order & !(1 << 31)),
        order => f32::from_bits(!order),
    }
}
