//! Nearest neighbours by cosine, in blocks: no matrix of all pairs.

use std::sync::{Mutex, MutexGuard};

use rayon::prelude::*;

use super::heap::{Candidates, key, score_of};
use super::tile::{COLS, Formula, Packed, ROWS, TileScan, no_pruning, set_bits, valid_columns};
use super::topk::{Search, TopK, search};

/// Panels of rows per task, which compares them with themselves and all rows after them.
const PANELS: usize = 3;

/// The `k` most similar rows of each row, most similar first; equal similarities by lower index.
#[derive(Debug, Clone, PartialEq)]
pub struct Knn {
    /// Neighbours per row.
    pub k: usize,
    /// Neighbours, `rows × k`; `u32::MAX` where there are fewer than `k` other rows.
    pub idx: Vec<u32>,
    /// Cosines, `rows × k`; 0 where there is no neighbour.
    pub cos: Vec<f32>,
}

/// Cosine nearest neighbours of the rows of `x [rows, dim]`. A zero row (or one of a norm below 1e-38) has
/// similarity 0 to every row.
///
/// # Panics
/// When `x` does not hold `rows × dim` values.
pub fn knn_cosine(x: &[f32], rows: usize, dim: usize, k: usize, include_self: bool) -> Knn {
    assert!(x.len() == rows * dim && dim > 0, "{rows} rows of {dim} values, not {} values", x.len());
    let scale: Vec<f32> = x
        .par_chunks(dim)
        .map(|row| {
            let norm = row.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>().sqrt();
            let scale = (1.0 / norm) as f32;
            if scale.is_infinite() { 0.0 } else { scale }
        })
        .collect();
    let what = Search { users: x, items: x, dim, scale: Some(&scale), formula: Formula::Dot };
    let top = nearest(&what, rows, k, include_self);
    // Rounding may leave [-1, 1] by an ulp or two; the order above is that of the unclamped values.
    let cos = top
        .scores
        .iter()
        .zip(&top.items)
        .map(|(&s, &i)| if i == u32::MAX { 0.0 } else { s.clamp(-1.0, 1.0) });
    Knn { k, cos: cos.collect(), idx: top.items }
}

/// The rows of a panel: their nearest so far, and the scores that a row needs to be among them.
struct Panel {
    best: Vec<Candidates>,
    /// One step below the worst of `k`: another row of the same score ranks higher if its number is lower.
    limits: [f32; COLS],
    /// The worst of `k`, as a key.
    worst: [u64; COLS],
}

impl Panel {
    fn new(rows: usize, k: usize) -> Self {
        let best = (0..rows).map(|_| Candidates::new(k)).collect();
        Self { best, limits: [f32::NEG_INFINITY; COLS], worst: [0; COLS] }
    }

    #[inline]
    fn offer(&mut self, at: usize, other: usize, score: f32) {
        let key = key(score, other as u32);
        if score > self.limits[at]
            && key > self.worst[at]
            && let Some(worst) = self.best[at].push(key)
        {
            self.limits[at] = score_of(worst).next_down();
            self.worst[at] = worst;
        }
    }
}

/// The `k` nearest of each row. A pair is scored once and offered to both: each task takes a few panels of
/// rows and compares them with the rows that follow. The result does not depend on the order of the offers.
fn nearest(what: &Search<'_>, rows: usize, k: usize, include_self: bool) -> TopK {
    let mut top = TopK::empty(rows, k);
    if k == 0 || rows == 0 {
        return top;
    }
    let (x, dim) = (what.users, what.dim);
    let packed = Packed::new(x, dim, rows, COLS, what.scale, |i| i);
    let widths = (0..packed.groups()).map(|panel| COLS.min(rows - panel * COLS));
    let panels: Vec<Mutex<Panel>> = widths.map(|width| Mutex::new(Panel::new(width, k))).collect();
    let scan = TileScan::new(what.formula, dim);
    (0..packed.groups().div_ceil(PANELS)).into_par_iter().for_each(|task| {
        let start = task * PANELS * COLS;
        let own = Packed::new(x, dim, (PANELS * COLS).min(rows - start), ROWS, what.scale, |i| start + i);
        let mut limits = vec![[f32::NEG_INFINITY; ROWS]; own.groups()];
        let among = task * PANELS..packed.groups();
        scan.run(&own, &packed, among, &mut limits, no_pruning, |group, panel, tile, hits, limits| {
            let (row, column) = (start + group * ROWS, panel * COLS);
            let (here, first) = (row / COLS, row % COLS);
            let (count, valid) = (ROWS.min(rows - row), valid_columns(panel, rows));
            // Only pairs of a row and one that follows it (or itself).
            let follows =
                |r: usize, c: usize| column + c > row + r || (include_self && column + c == row + r);
            if hits[..count].iter().any(|&h| h != 0) {
                let mut own = held(&panels[here]);
                for r in 0..count {
                    for c in set_bits(hits[r] & valid).filter(|&c| follows(r, c)) {
                        own.offer(first + r, column + c, tile[r * COLS + c]);
                    }
                    limits[r] = own.limits[first + r];
                }
            }
            let mut other = held(&panels[panel]);
            for (r, scores) in tile.chunks_exact(COLS).take(count).enumerate() {
                let above = scores.iter().zip(&other.limits).fold(0, |n, (s, l)| n | u32::from(s > l));
                if above != 0 {
                    for c in set_bits(valid).filter(|&c| column + c > row + r) {
                        other.offer(c, row + r, scores[c]);
                    }
                }
            }
        });
    });
    let wanted = k.min(rows - usize::from(!include_self));
    let lists = panels.into_iter().flat_map(|panel| panel.into_inner().expect(UNBROKEN).best);
    let mut short = Vec::new();
    for ((row, best), (items, scores)) in (0u32..).zip(lists).zip(top.rows_mut()) {
        if best.len() < wanted {
            short.push(row);
        } else {
            best.write(items, scores);
        }
    }
    if short.is_empty() {
        return top;
    }
    // NaN was not offered: it ranks last, as everywhere.
    let own = |row: u32, excluded: &mut Vec<u32>| excluded.extend((!include_self).then_some(row));
    let mut late = search(what, &short, k, own);
    for (&row, (items, scores)) in short.iter().zip(late.rows_mut()) {
        let span = row as usize * k..(row as usize + 1) * k;
        top.items[span.clone()].copy_from_slice(items);
        top.scores[span].copy_from_slice(scores);
    }
    top
}

const UNBROKEN: &str = "no task panics while it holds a panel";

fn held(panel: &Mutex<Panel>) -> MutexGuard<'_, Panel> {
    panel.lock().expect(UNBROKEN)
}
