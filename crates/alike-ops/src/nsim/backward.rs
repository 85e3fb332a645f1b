//! Backward kernels: gradients of unit rows summed by part, then through the normalisation.

use std::mem::MaybeUninit;
use std::ops::Range;

use super::forward::{AHEAD, Rows, four, locate, read};
use super::plan::{Part, TILE};
use crate::Csr;
use crate::lanes::{LANES, Lanes, kernel, prefetch};

/// What the forward pass kept of a part, and the gradient to its result.
#[derive(Clone, Copy)]
pub(super) struct Inputs<'a> {
    /// `[targets of the pattern, d]`
    pub(super) grad: &'a [f32],
    /// `α` of every entry.
    pub(super) alpha: &'a [f32],
    /// Signs of every tile of the part.
    pub(super) signs: &'a [u16],
}

/// Sums over the entries of a part, for each node that it reaches.
pub(super) struct Sums<'a> {
    /// `u_j = Σ ∂x̂_j + ‖x_j - mean‖ α_j g`, padded like the unit rows.
    pub(super) rows: &'a mut [f32],
    /// `Σ α_j (x̂_j · g)` and `Σ α_j mean(g)`.
    pub(super) scalars: &'a mut [[f32; 2]],
}

#[inline(always)]
unsafe fn part_body<V: Lanes>(
    pattern: &Csr,
    rows: Rows<'_>,
    part: &Part,
    d: usize,
    scale: bool,
    inputs: Inputs<'_>,
    sums: Sums<'_>,
) {
    let (groups, stride) = (rows.groups, rows.groups * LANES);
    assert!(groups == d.div_ceil(LANES) && rows.stats.len() == pattern.cols());
    assert!(rows.unit.len() >= (pattern.cols() + 1) * stride);
    assert!(sums.rows.len() >= part.nodes.len() * stride && sums.scalars.len() == part.nodes.len());
    sums.rows.fill(0.0);
    sums.scalars.fill([0.0; 2]);
    let (mut at, mut a, mut pull) = (Vec::new(), Vec::new(), Vec::new());
    let mut weights: Vec<[f32; LANES]> = Vec::new();
    let mut g = vec![0.0f32; stride];
    let mut signs = inputs.signs;
    let last = pattern.ptr()[part.targets.end] as usize;
    let low = part.nodes.start;
    for target in part.targets.clone() {
        let neighbors = pattern.row(target);
        let n = neighbors.len();
        if n == 0 {
            continue;
        }
        let next = pattern.ptr()[target + 1] as usize;
        let ahead = (next - n + AHEAD).min(last)..(next + AHEAD).min(last);
        for &j in &pattern.idx()[ahead] {
            let j = j as usize;
            prefetch(rows.at(j), groups);
            prefetch(&raw const rows.stats[j], 1);
            prefetch(sums.rows.as_ptr().wrapping_add((j - low) * stride), groups);
            prefetch(&raw const sums.scalars[j - low], 1);
        }
        locate(rows, neighbors, &mut at);
        let count = at.len() / TILE;
        let (own, rest) = signs.split_at(count * (count + 1) / 2);
        signs = rest;
        let alpha = &inputs.alpha[next - n..next];
        let share = 1.0 / n as f32;
        let factor = if scale { 1.0 / (n as f32).sqrt() } else { 1.0 };
        // SAFETY: a row of `d` floats; `g` holds as many registers.
        let total = unsafe { scaled::<V>(&inputs.grad[target * d..(target + 1) * d], factor, &mut g) };
        let mean_g = total / d as f32;
        // a_j = g · x_j / n, and how strongly g itself pulls at x_j.
        a.clear();
        pull.clear();
        for t in 0..count {
            // SAFETY: whole tiles of rows of `groups` registers; `g` has as many.
            a.extend(unsafe { V::dots(g.as_ptr(), four(&at, t), groups) });
        }
        for ((a, &alpha), &j) in a.iter_mut().zip(alpha).zip(neighbors) {
            let [mean, norm] = rows.stats[j as usize];
            let scalars = &mut sums.scalars[j as usize - low];
            scalars[0] += alpha * *a;
            scalars[1] += alpha * mean_g;
            *a = (norm * *a + mean * total) * share;
            pull.push(alpha * norm);
        }
        a[n..].fill(0.0);
        pull.resize(at.len(), 0.0);
        weights.resize((count * count).max(weights.len()), [0.0; LANES]);
        // SAFETY: `a` holds whole tiles, `weights` a tile for each pair of tile rows, `own` a mask for each pair
        // on and above the diagonal; every row and every sum row has `groups` registers.
        unsafe {
            pair_weights::<V>(&a, own, count, &mut weights);
            let sum_rows = sums.rows.as_mut_ptr();
            for p in 0..count {
                let w = &weights[p * count..(p + 1) * count];
                let pull: &[f32; TILE] = pull[p * TILE..].first_chunk().expect("whole tiles");
                let mut to = [std::ptr::null_mut(); TILE];
                let valid = TILE.min(n - p * TILE);
                for (to, &j) in to.iter_mut().zip(&neighbors[p * TILE..p * TILE + valid]) {
                    *to = sum_rows.add((j as usize - low) * stride);
                }
                let mut k = 0;
                while k + V::GROUP <= groups && V::GROUP == 4 {
                    combine::<V, 4>(&at, w, g.as_ptr(), pull, k, &to[..valid]);
                    k += 4;
                }
                while k < groups {
                    combine::<V, 1>(&at, w, g.as_ptr(), pull, k, &to[..valid]);
                    k += 1;
                }
            }
        }
    }
}

/// Writes `factor · row` to `to`, whose registers beyond the row stay zero; the sum of what it wrote.
///
/// # Safety
/// The instruction set of `V`; `to` holds the row in whole registers.
#[inline(always)]
unsafe fn scaled<V: Lanes>(row: &[f32], factor: f32, to: &mut [f32]) -> f32 {
    let (whole, rest) = (row.len() / LANES, row.len() % LANES);
    // SAFETY: the caller's.
    unsafe {
        let mut sum = V::zero();
        for g in 0..to.len() / LANES {
            let v = read::<V>(row.as_ptr(), g, whole, rest).mul(V::splat(factor));
            sum = sum.add(v);
            v.store(to.as_mut_ptr().add(g * LANES));
        }
        sum.sum()
    }
}

/// `M_jk (a_j + a_k)` for all pairs, tile by tile; 0 on the diagonal, which the normalisation projects out.
///
/// # Safety
/// The instruction set of `V`; `a` holds `4 · count` floats, `weights` at least `count²` tiles.
#[inline(always)]
unsafe fn pair_weights<V: Lanes>(a: &[f32], signs: &[u16], count: usize, weights: &mut [[f32; LANES]]) {
    /// Lanes `4i + i`.
    const DIAGONAL: u16 = 0x8421;
    let mut signs = signs.iter();
    let mut mask = || *signs.next().expect("one mask a tile");
    // SAFETY: the caller's.
    unsafe {
        for p in 0..count {
            let columns = V::tile4(a.as_ptr().add(p * TILE));
            let rows = columns.transpose4();
            rows.add(columns).keep(mask() & !DIAGONAL).store(weights[p * count + p].as_mut_ptr());
            for q in p + 1..count {
                let tile = rows.add(V::tile4(a.as_ptr().add(q * TILE))).keep(mask());
                tile.store(weights[p * count + q].as_mut_ptr());
                tile.transpose4().store(weights[q * count + p].as_mut_ptr());
            }
        }
    }
}

/// Adds `Σ_k w_jk x̂_k + pull_j g` to the sums of the tile row's neighbours, for `G` registers from `k` on.
///
/// # Safety
/// The instruction set of `V`; rows, `g` and sums of more than `k + G - 1` registers, one tile of weights for each
/// four rows.
#[inline(always)]
#[allow(clippy::needless_range_loop)]
unsafe fn combine<V: Lanes, const G: usize>(
    at: &[*const f32],
    weights: &[[f32; LANES]],
    g: *const f32,
    pull: &[f32; TILE],
    k: usize,
    to: &[*mut f32],
) {
    // SAFETY: the caller's.
    unsafe {
        let mut acc = [[V::zero(); G]; TILE];
        for h in 0..G {
            let g = V::load(g.add((k + h) * LANES));
            for i in 0..TILE {
                acc[i][h] = g.mul(V::splat(pull[i]));
            }
        }
        for (q, w) in weights.iter().enumerate() {
            let rows = four(at, q);
            for c in 0..TILE {
                let mut row = [V::zero(); G];
                for h in 0..G {
                    row[h] = V::load(rows[c].add((k + h) * LANES));
                }
                for i in 0..TILE {
                    let w = V::splat(w[TILE * i + c]);
                    for h in 0..G {
                        acc[i][h] = acc[i][h].fma(w, row[h]);
                    }
                }
            }
        }
        for (&to, acc) in to.iter().zip(acc) {
            for (h, acc) in acc.into_iter().enumerate() {
                let to = to.add((k + h) * LANES);
                V::load(to).add(acc).store(to);
            }
        }
    }
}

kernel! {
    /// Sums the gradients of the entries of a part.
    pub(super) fn part = part_body(
        pattern: &Csr,
        rows: Rows<'_>,
        part: &Part,
        d: usize,
        scale: bool,
        inputs: Inputs<'_>,
        sums: Sums<'_>,
    )
}

/// Sums of one part, for its range of nodes.
pub(super) struct PartSums<'a> {
    pub(super) nodes: Range<usize>,
    pub(super) rows: &'a [f32],
    pub(super) scalars: &'a [[f32; 2]],
}

#[inline(always)]
unsafe fn finish_body<V: Lanes>(
    rows: Rows<'_>,
    nodes: Range<usize>,
    d: usize,
    parts: &[PartSums<'_>],
    dx: &mut [MaybeUninit<f32>],
) {
    let (groups, stride) = (rows.groups, rows.groups * LANES);
    assert!(groups == d.div_ceil(LANES) && nodes.end <= rows.stats.len());
    let mut u = vec![0.0f32; stride];
    for (j, dx) in nodes.zip(dx.chunks_exact_mut(d)) {
        let norm = rows.stats[j][1];
        let inverse = if norm == 0.0 { 0.0 } else { 1.0 / norm };
        let (mut along, mut mean) = (0.0, 0.0);
        u.fill(0.0);
        // SAFETY: every part's sums hold `stride` floats for each node of its range; `dx` has room for `d`.
        unsafe {
            let u = u.as_mut_ptr();
            for part in parts.iter().filter(|p| p.nodes.contains(&j)) {
                let at = j - part.nodes.start;
                along += part.scalars[at][0];
                mean += part.scalars[at][1];
                let from = part.rows[at * stride..(at + 1) * stride].as_ptr();
                for g in 0..groups {
                    V::load(u.add(g * LANES)).add(V::load(from.add(g * LANES))).store(u.add(g * LANES));
                }
            }
            let (mut total, mut dot) = (V::zero(), V::zero());
            for g in 0..groups {
                let v = V::load(u.add(g * LANES));
                total = total.add(v);
                dot = dot.fma(v, V::load(rows.at(j).add(g * LANES)));
            }
            // ∂x = (u - mean(u) - x̂ (x̂·u)) / norm + x̂ along + mean
            let shift = V::splat(mean - total.sum() / d as f32 * inverse);
            let along = V::splat(along - dot.sum() * inverse);
            let to = dx.as_mut_ptr().cast::<f32>();
            for g in 0..groups {
                let v = V::load(u.add(g * LANES)).mul(V::splat(inverse)).add(shift);
                let v = v.fma(along, V::load(rows.at(j).add(g * LANES)));
                let left = d - g * LANES;
                if left < LANES { v.store_part(to.add(g * LANES), left) } else { v.store(to.add(g * LANES)) }
            }
        }
    }
}

kernel! {
    /// Adds the parts' sums of each node and takes them through the normalisation.
    pub(super) fn finish = finish_body(
        rows: Rows<'_>,
        nodes: Range<usize>,
        d: usize,
        parts: &[PartSums<'_>],
        dx: &mut [MaybeUninit<f32>],
    )
}
