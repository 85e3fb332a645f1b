//! The best items of many users, without a users × items matrix.
//!
//! Users go in blocks, items in panels. Only scores above the worst of a user's `k` best so far are looked at
//! one by one.

use rayon::prelude::*;

use super::exclusions::Exclusions;
use super::heap::{TopKHeap, item_of, key, score_of};
use super::panels::{ItemPanels, UserBlock};
use super::tile::{COLS, Formula, Packed, ROWS, TileScan};
use crate::sparse::csr::Csr;

/// The `k` best items of each requested row, best first; equal scores by lower item; NaN last.
#[derive(Debug, Clone, PartialEq)]
pub struct TopK {
    /// Items per row.
    pub k: usize,
    /// Items, `rows × k`; `u32::MAX` where a row has fewer than `k` items.
    pub items: Vec<u32>,
    /// Scores, `rows × k`; -∞ where there is no item.
    pub scores: Vec<f32>,
}

impl TopK {
    /// Lists of nothing, all of length `k`.
    pub fn empty(rows: usize, k: usize) -> Self {
        Self { k, items: vec![u32::MAX; rows * k], scores: vec![f32::NEG_INFINITY; rows * k] }
    }

    /// From a list per row, best first, of which the first `k` are taken.
    pub fn from_lists(lists: Vec<Vec<(u32, f32)>>, k: usize) -> Self {
        let mut top = Self::empty(lists.len(), k);
        for (row, list) in lists.into_iter().enumerate() {
            for (at, (item, score)) in (row * k..).zip(list.into_iter().take(k)) {
                (top.items[at], top.scores[at]) = (item, score);
            }
        }
        top
    }

    /// The rows of `more` after these.
    ///
    /// # Panics
    /// When their lists are of another length.
    pub fn append(&mut self, more: Self) {
        assert_eq!(self.k, more.k, "lists of one length");
        self.items.extend(more.items);
        self.scores.extend(more.scores);
    }

    /// Items and scores of every row, to be written; `k` is not 0.
    pub(super) fn rows_mut(&mut self) -> impl Iterator<Item = (&mut [u32], &mut [f32])> {
        self.items.chunks_exact_mut(self.k).zip(self.scores.chunks_exact_mut(self.k))
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.items.len().checked_div(self.k).unwrap_or(0)
    }

    /// Items and scores of row `r`, best first, without the empty ones.
    pub fn row(&self, r: usize) -> (&[u32], &[f32]) {
        let span = r * self.k..(r + 1) * self.k;
        let n = self.items[span.clone()].partition_point(|&i| i != u32::MAX);
        (&self.items[span.clone()][..n], &self.scores[span][..n])
    }

    /// The same, item by item.
    pub fn pairs(&self, r: usize) -> impl Iterator<Item = (u32, f32)> + '_ {
        let (items, scores) = self.row(r);
        items.iter().copied().zip(scores.iter().copied())
    }
}

/// Score `users[u] · items[i]` and top `k`: `users [U, dim]`, `items [I, dim]`, for the users `rows`.
///
/// # Panics
/// When a length is not a multiple of `dim` or a row is not below `U`.
pub fn top_k_dot(
    users: &[f32],
    items: &[f32],
    dim: usize,
    rows: &[u32],
    exclude: &Exclusions<'_>,
    k: usize,
) -> TopK {
    search(&Search { users, items, dim, scale: None, formula: Formula::Dot }, rows, k, |u, list| {
        exclude.list(u, list);
    })
}

/// Score `w · ReLU(a[u] + b[i])` and top `k`: `a [U, h]` with the bias, `b [I, h]`, `w [h]`, for the users
/// `rows`.
///
/// # Panics
/// When a length is not a multiple of `h` or a row is not below `U`.
pub fn top_k_pair_mlp(
    a: &[f32],
    b: &[f32],
    w: &[f32],
    rows: &[u32],
    exclude: &Exclusions<'_>,
    k: usize,
) -> TopK {
    let search_ = Search { users: a, items: b, dim: w.len(), scale: None, formula: Formula::PairMlp(w) };
    search(&search_, rows, k, |u, list| exclude.list(u, list))
}

/// The same `scores [I]` for each of the users `rows`; only the exclusions differ.
pub fn top_k_static(scores: &[f32], rows: &[u32], exclude: &Exclusions<'_>, k: usize) -> TopK {
    let mut order: Vec<u64> = (0u32..).zip(scores).map(|(i, &s)| key(s, i)).collect();
    order.par_sort_unstable_by(|a, b| b.cmp(a));
    let mut top = TopK::empty(rows.len(), k);
    if k > 0 {
        top.items.par_chunks_mut(k).zip(top.scores.par_chunks_mut(k)).zip(rows).for_each_init(
            Vec::new,
            |list, ((items, out), &u)| {
                exclude.list(u, list);
                let left = order.iter().filter(|&&key| list.binary_search(&item_of(key)).is_err());
                for ((item, score), &key) in items.iter_mut().zip(out).zip(left) {
                    (*item, *score) = (item_of(key), score_of(key));
                }
            },
        );
    }
    top
}

/// Score `Σ_{j ∈ history(u)} w_ji` and top `k`, for the users `rows`: `history [U, I]`, `weights [I, I]` with
/// one of `values` per entry; row `j` holds what item `j` contributes to others.
///
/// # Panics
/// When the shapes do not fit or a row is not below `U`.
pub fn top_k_item_item(
    history: &Csr,
    weights: &Csr,
    values: &[f32],
    rows: &[u32],
    exclude: &Exclusions<'_>,
    k: usize,
) -> TopK {
    assert!(
        weights.rows() == history.cols() && weights.cols() == history.cols(),
        "weights are items x items"
    );
    assert_eq!(values.len(), weights.nnz(), "one value per entry");
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
            let mut best = heap_of(u, k, &|u, list: &mut Vec<u32>| exclude.list(u, list));
            let mut limit = f32::NEG_INFINITY;
            (0u32..).zip(&*sums).for_each(|(i, &score)| best.offer(i, score, &mut limit));
            best.kept.write(items, scores);
        },
    );
    top
}

/// The scores `user · items[i]` of one user: `user [dim]`, `items [I, dim]`. The same bits as [`top_k_dot`]
/// ranks by.
pub fn scores_dot(user: &[f32], items: &[f32], dim: usize) -> Vec<f32> {
    assert_eq!(user.len(), dim, "the user's vector has dim values");
    all_scores(user, items, dim, Formula::Dot)
}

/// The scores `w · ReLU(a + b[i])` of one user: `a [h]`, `b [I, h]`, `w [h]`. The same bits as
/// [`top_k_pair_mlp`] ranks by.
pub fn scores_pair_mlp(a: &[f32], b: &[f32], w: &[f32]) -> Vec<f32> {
    assert_eq!(a.len(), w.len(), "the user's vector has h values");
    all_scores(a, b, w.len(), Formula::PairMlp(w))
}

fn all_scores(user: &[f32], items: &[f32], dim: usize, formula: Formula<'_>) -> Vec<f32> {
    let count = count(items, dim);
    let packed = Packed::new(items, dim, count, COLS, None, |i| i);
    TileScan::new(formula, dim).row(user, &packed, count)
}

fn count(x: &[f32], dim: usize) -> usize {
    assert!(dim > 0 && x.len().is_multiple_of(dim), "rows of {dim} values, not {} values", x.len());
    x.len() / dim
}

/// What is searched: `users [U, dim]`, `items [I, dim]`, both multiplied row by row by `scale` where given.
pub(super) struct Search<'a> {
    pub(super) users: &'a [f32],
    pub(super) items: &'a [f32],
    pub(super) dim: usize,
    pub(super) scale: Option<&'a [f32]>,
    pub(super) formula: Formula<'a>,
}

/// An empty heap for `user`, whose excluded items `excluded` writes.
fn heap_of(user: u32, k: usize, excluded: &impl Fn(u32, &mut Vec<u32>)) -> TopKHeap {
    let mut list = Vec::new();
    excluded(user, &mut list);
    TopKHeap::new(list, k)
}

/// The `k` best items of each of the users `rows`, without those that `excluded` writes, ascending, into the
/// list.
pub(super) fn search(
    search: &Search<'_>,
    rows: &[u32],
    k: usize,
    excluded: impl Fn(u32, &mut Vec<u32>) + Sync,
) -> TopK {
    let Search { users, items, dim, scale, formula } = *search;
    let (user_count, item_count) = (count(users, dim), count(items, dim));
    assert!(rows.iter().all(|&u| (u as usize) < user_count), "every row is one of {user_count} users");
    let mut top = TopK::empty(rows.len(), k);
    if k == 0 || item_count == 0 {
        return top;
    }
    let panels = ItemPanels::new(items, dim, scale, formula);
    // Enough blocks for many threads, and enough users in each to make reading the items worth it.
    let block = (rows.len() / 16).next_multiple_of(ROWS).clamp(ROWS, 21 * ROWS);
    let parts = top.items.par_chunks_mut(block * k).zip(top.scores.par_chunks_mut(block * k));
    parts.zip(rows.par_chunks(block)).for_each(|((items, scores), rows)| {
        let group = UserBlock::new(users, dim, rows.len(), scale, |i| rows[i] as usize);
        let mut best: Vec<TopKHeap> = rows.iter().map(|&u| heap_of(u, k, &excluded)).collect();
        let scan = TileScan::new(formula, dim);
        panels.offer(&scan, &group, 0..panels.len(), &mut best);
        for (at, best) in best.into_iter().enumerate() {
            let span = at * k..(at + 1) * k;
            let row = || panels.scores(&scan, &group.row(at));
            best.with_fallback(k, row).write(&mut items[span.clone()], &mut scores[span]);
        }
    });
    top
}
