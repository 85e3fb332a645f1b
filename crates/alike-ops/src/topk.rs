//! Full ranking: score every item for a block of users, mask, keep the best `k`. Nothing `U × I` is ever held: a
//! task scores a few users against a chunk of the items and keeps candidates above its threshold.
//!
//! Lists fall by score; equal scores rise by item. NaN and −∞ are never returned; a list that runs out of items is
//! padded by `u32::MAX` and −∞. The result does not depend on the number of threads.

use rayon::prelude::*;

use crate::Csr;
use crate::linear::product;
use crate::simd::{dispatch, mul_add};

/// Items that must not be returned, `U × I`, rows ascending.
#[derive(Debug, Clone, Copy, Default)]
pub struct Masks<'a> {
    /// Usually the train interactions.
    pub seen: Option<&'a Csr>,
    /// Further ones.
    pub also: Option<&'a Csr>,
}

/// The best items of each asked user.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TopK {
    /// Places a list.
    pub k: usize,
    /// Items, `rows × k`.
    pub items: Vec<u32>,
    /// Their scores, `rows × k`.
    pub scores: Vec<f32>,
}

/// Users a task ranks at a time, and items a chunk.
const USERS: usize = 32;
const CHUNK: usize = 2048;
/// Items a panel.
const LANES: usize = 16;

/// The best `k` of a stream of scores, items rising.
#[derive(Debug, Clone)]
pub(crate) struct Best {
    k: usize,
    threshold: f32,
    list: Vec<(f32, u32)>,
}

fn order(a: &(f32, u32), b: &(f32, u32)) -> std::cmp::Ordering {
    b.0.total_cmp(&a.0).then(a.1.cmp(&b.1))
}

impl Best {
    pub(crate) fn new(k: usize) -> Self {
        Self { k, threshold: f32::NEG_INFINITY, list: Vec::with_capacity(2 * k + LANES) }
    }

    fn shrink(&mut self) {
        if self.list.len() > self.k && self.k > 0 {
            self.list.select_nth_unstable_by(self.k - 1, order);
            self.list.truncate(self.k);
            self.threshold = self.list[self.k - 1].0;
        }
    }

    /// Writes the list and starts anew.
    pub(crate) fn finish(&mut self, items: &mut [u32], scores: &mut [f32]) {
        self.shrink();
        // −0 and 0 are equal scores: make them the same bits before ordering by bits.
        self.list.sort_unstable_by(order);
        items.fill(u32::MAX);
        scores.fill(f32::NEG_INFINITY);
        for ((score, item), (i, s)) in self.list.drain(..).zip(items.iter_mut().zip(scores)) {
            (*i, *s) = (item, score);
        }
        self.threshold = f32::NEG_INFINITY;
    }
}

#[inline(always)]
fn offer_body<const F: bool>(best: &mut Best, scores: &[f32], first: u32) {
    let (chunks, rest) = scores.as_chunks::<LANES>();
    for (c, chunk) in chunks.iter().enumerate() {
        let mut above = 0u32;
        for t in 0..LANES {
            above |= u32::from(chunk[t] > best.threshold) << t;
        }
        while above != 0 {
            let t = above.trailing_zeros();
            above &= above - 1;
            // + 0 turns −0 into 0, so that equal scores have equal bits.
            best.list.push((chunk[t as usize] + 0.0, first + (c * LANES) as u32 + t));
        }
        if best.list.len() >= 2 * best.k {
            best.shrink();
        }
    }
    for (t, &v) in rest.iter().enumerate() {
        if v > best.threshold {
            best.list.push((v + 0.0, first + (chunks.len() * LANES + t) as u32));
        }
    }
}

dispatch! {
    /// Takes the scores of items `first..` into account.
    pub(crate) fn offer = offer_body(best: &mut Best, scores: &[f32], first: u32)
}

fn mask(scores: &mut [f32], first: usize, masks: &Masks<'_>, user: u32) {
    let end = first + scores.len();
    for csr in [masks.seen, masks.also].into_iter().flatten() {
        let row = csr.row(user as usize);
        let from = row.partition_point(|&i| (i as usize) < first);
        for &i in row[from..].iter().take_while(|&&i| (i as usize) < end) {
            scores[i as usize - first] = f32::NEG_INFINITY;
        }
    }
}

/// Ranks with scores from `score(users, first item, items, out [users, items])`.
fn rank(
    rows: &[u32],
    items: usize,
    masks: &Masks<'_>,
    k: usize,
    score: impl Fn(&[u32], usize, usize, &mut [f32]) + Sync,
) -> TopK {
    let mut out = TopK { k, items: vec![0; rows.len() * k], scores: vec![0.0; rows.len() * k] };
    if k == 0 {
        return out;
    }
    let lists = out.items.par_chunks_mut(USERS * k).zip(out.scores.par_chunks_mut(USERS * k));
    lists.zip(rows.par_chunks(USERS)).for_each_init(
        || (vec![0f32; USERS * CHUNK], vec![Best::new(k); USERS]),
        |(buffer, best), ((top_items, top_scores), users)| {
            for first in (0..items).step_by(CHUNK) {
                let n = CHUNK.min(items - first);
                let buffer = &mut buffer[..users.len() * n];
                score(users, first, n, buffer);
                for ((scores, &user), best) in buffer.chunks_exact_mut(n).zip(users).zip(&mut *best) {
                    mask(scores, first, masks, user);
                    offer(best, scores, first as u32);
                }
            }
            let lists = top_items.chunks_exact_mut(k).zip(top_scores.chunks_exact_mut(k));
            for ((items, scores), best) in lists.zip(best) {
                best.finish(items, scores);
            }
        },
    );
    out
}

/// Best items by `users[u] · items[i]`: `users [U, dim]`, `items [I, dim]`, for the users `rows`.
pub fn top_k_dot(
    users: &[f32],
    items: &[f32],
    dim: usize,
    rows: &[u32],
    masks: &Masks<'_>,
    k: usize,
) -> TopK {
    let count = items.len().checked_div(dim).unwrap_or(0);
    let strides = [dim as isize, 1];
    rank(rows, count, masks, k, |asked, first, n, out| {
        let mut gathered = [0f32; USERS * 256];
        let block: &[f32];
        let mut large = Vec::new();
        let own = if asked.len() * dim <= gathered.len() {
            &mut gathered[..asked.len() * dim]
        } else {
            large.resize(asked.len() * dim, 0.0);
            &mut large[..]
        };
        for (row, &u) in own.chunks_exact_mut(dim).zip(asked) {
            row.copy_from_slice(&users[u as usize * dim..(u as usize + 1) * dim]);
        }
        block = own;
        product(
            asked.len(),
            n,
            dim,
            out,
            false,
            (block, strides),
            (&items[first * dim..(first + n) * dim], [1, dim as isize]),
        );
    })
}

#[inline(always)]
fn pair_tile<const F: bool, const M: usize>(
    a: [&[f32]; M],
    panel: &[[f32; LANES]],
    w: &[f32],
) -> [[f32; LANES]; M] {
    let mut acc = [[0f32; LANES]; M];
    for (k, (b, &w)) in panel.iter().zip(w).enumerate() {
        for m in 0..M {
            let v = a[m][k];
            for t in 0..LANES {
                acc[m][t] = mul_add::<F>(w, (v + b[t]).max(0.0), acc[m][t]);
            }
        }
    }
    acc
}

#[inline(always)]
fn pair_scores_body<const F: bool>(
    a: &[f32],
    panels: &[f32],
    w: &[f32],
    asked: &[u32],
    n: usize,
    out: &mut [f32],
) {
    let h = w.len();
    let row = |u: u32| &a[u as usize * h..(u as usize + 1) * h];
    let (columns, _) = panels.as_chunks::<LANES>();
    for (p, panel) in columns.chunks_exact(h).enumerate().take(n.div_ceil(LANES)) {
        let here = LANES.min(n - p * LANES);
        let mut at = 0;
        while at < asked.len() {
            let mut keep = |m: usize, s: &[f32; LANES]| {
                let from = (at + m) * n + p * LANES;
                out[from..from + here].copy_from_slice(&s[..here]);
            };
            if asked.len() - at >= 8 {
                let s = pair_tile::<F, 8>(std::array::from_fn(|m| row(asked[at + m])), panel, w);
                (0..8).for_each(|m| keep(m, &s[m]));
                at += 8;
            } else {
                let s = pair_tile::<F, 1>([row(asked[at])], panel, w);
                keep(0, &s[0]);
                at += 1;
            }
        }
    }
}

dispatch! {
    fn pair_scores = pair_scores_body(a: &[f32], panels: &[f32], w: &[f32], asked: &[u32], n: usize, out: &mut [f32])
}

/// Best items by `w · ReLU(a[u] + b[i])`: `a [U, h]` with the bias in it, `b [I, h]`, `w [h]`.
pub fn top_k_pair_mlp(a: &[f32], b: &[f32], w: &[f32], rows: &[u32], masks: &Masks<'_>, k: usize) -> TopK {
    let h = w.len();
    let count = b.len().checked_div(h).unwrap_or(0);
    // Sixteen items' hidden values side by side, hidden unit by hidden unit.
    let mut panels = vec![0f32; count.div_ceil(LANES) * LANES * h];
    for (i, row) in b.chunks_exact(h.max(1)).enumerate() {
        for (j, v) in row.iter().enumerate() {
            panels[(i / LANES * h + j) * LANES + i % LANES] = *v;
        }
    }
    rank(rows, count, masks, k, |asked, first, n, out| {
        pair_scores(a, &panels[first * h..], w, asked, n, out);
    })
}

/// Best items by the same `scores [I]` for every user.
pub fn top_k_static(scores: &[f32], rows: &[u32], masks: &Masks<'_>, k: usize) -> TopK {
    rank(rows, scores.len(), masks, k, |asked, first, n, out| {
        for row in out.chunks_exact_mut(n).take(asked.len()) {
            row.copy_from_slice(&scores[first..first + n]);
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Sorts everything.
    fn naive(score: impl Fn(u32, u32) -> f32, rows: &[u32], items: u32, masks: &Masks<'_>, k: usize) -> TopK {
        let mut out = TopK { k, ..TopK::default() };
        for &u in rows {
            let hidden = |i: &u32| {
                [masks.seen, masks.also].into_iter().flatten().any(|m| m.row(u as usize).contains(i))
            };
            let mut all: Vec<(f32, u32)> = (0..items)
                .filter(|i| !hidden(i))
                .map(|i| (score(u, i), i))
                .filter(|s| !s.0.is_nan())
                .collect();
            all.sort_by(|a, b| b.0.partial_cmp(&a.0).unwrap().then(a.1.cmp(&b.1)));
            all.resize(k.max(all.len()), (f32::NEG_INFINITY, u32::MAX));
            out.items.extend(all[..k].iter().map(|s| s.1));
            out.scores.extend(all[..k].iter().map(|s| s.0));
        }
        out
    }

    fn csr(rows: Vec<Vec<u32>>, cols: usize) -> Csr {
        let rows: Vec<Vec<u32>> = rows
            .into_iter()
            .map(|mut r| {
                r.sort_unstable();
                r.dedup();
                r
            })
            .collect();
        Csr::from_rows(cols, &rows).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn rankings_match_a_full_sort(
            (items, k) in (1usize..60, 0usize..70),
            seed in 0u64..1000,
            seen in prop::collection::vec(prop::collection::vec(0u32..60, 0..40), 40),
        ) {
            // Whole numbers: scores are exact and tie often.
            let value = |n: u64| ((n.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ seed.wrapping_mul(0xD1B5)) >> 40) % 5;
            let users = 40usize;
            let a: Vec<f32> = (0..users * 3).map(|n| value(n as u64) as f32 - 2.0).collect();
            let b: Vec<f32> = (0..items * 3).map(|n| value(n as u64 + 999) as f32 - 2.0).collect();
            let w = [1.0f32, -2.0, 0.5];
            let seen: Vec<Vec<u32>> =
                seen.into_iter().map(|r| r.into_iter().filter(|&i| (i as usize) < items).collect()).collect();
            let also = csr(seen.iter().rev().cloned().collect(), items);
            let seen = csr(seen, items);
            let masks = Masks { seen: Some(&seen), also: Some(&also) };
            let rows: Vec<u32> = (0..users as u32).rev().chain([3, 3]).collect();
            let at = |m: &[f32], r: u32| -> [f32; 3] { m[r as usize * 3..][..3].try_into().unwrap() };
            let dot = |u: u32, i: u32| at(&a, u).iter().zip(at(&b, i)).map(|(x, y)| x * y).sum::<f32>();
            let pair = |u: u32, i: u32| -> f32 {
                (0..3).map(|k| w[k] * (at(&a, u)[k] + at(&b, i)[k]).max(0.0)).sum()
            };
            let n = items as u32;
            prop_assert_eq!(top_k_dot(&a, &b, 3, &rows, &masks, k), naive(dot, &rows, n, &masks, k));
            prop_assert_eq!(top_k_pair_mlp(&a, &b, &w, &rows, &masks, k), naive(pair, &rows, n, &masks, k));
            let fixed: Vec<f32> = (0..items).map(|i| b[i * 3]).collect();
            let score = |_: u32, i: u32| fixed[i as usize];
            prop_assert_eq!(top_k_static(&fixed, &rows, &masks, k), naive(score, &rows, n, &masks, k));
        }
    }

    #[test]
    fn chunks_and_threads_change_nothing_and_nan_is_never_returned() {
        let (users, items, dim) = (70usize, 5000usize, 16usize);
        let value = |n: usize| ((n * 2_654_435_761) % 1_000_003) as f32 / 1e6 - 0.5;
        let a: Vec<f32> = (0..users * dim).map(value).collect();
        let mut b: Vec<f32> = (0..items * dim).map(|n| value(n + 17)).collect();
        b[100 * dim] = f32::NAN;
        let rows: Vec<u32> = (0..users as u32).collect();
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| top_k_dot(&a, &b, dim, &rows, &Masks::default(), 50))
        };
        let one = with(1);
        assert!(!one.items.contains(&100));
        assert!(one == with(3));
        let exact = |u: usize, i: usize| -> f64 {
            (0..dim).map(|k| f64::from(a[u * dim + k]) * f64::from(b[i * dim + k])).sum()
        };
        for u in 0..users {
            let list = &one.items[u * 50..(u + 1) * 50];
            let last = exact(u, list[49] as usize);
            let above = (0..items).filter(|&i| exact(u, i) > last + 1e-5).count();
            assert!(above < 50, "{above} items score above the last of the list");
        }
    }
}
