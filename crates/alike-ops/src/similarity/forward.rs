//! Forward kernels: centred rows, tiles of similarities, weighted sums.

use std::mem::MaybeUninit;
use std::ops::Range;

use super::plan::TILE;
use crate::simd::f32x16::{F32x16, LANES};
use crate::simd::kernel::kernel;
use crate::simd::prefetch::prefetch;
use crate::sparse::csr::Csr;

/// Lower bound of a mean of `α` in a division.
pub(super) const LEAST_MEAN: f32 = 1e-6;

/// Norm below which a centred row counts as constant.
const CONSTANT: f32 = 1e-12;

/// How many entries ahead of the current target rows are prefetched.
const AHEAD: usize = 24;

/// Rows as the kernels read them.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    /// `x̂ [C + 1, 16·groups]`, padded by zeros; the last row is zero and means "no neighbour".
    pub(super) unit: &'a [f32],
    /// Mean and norm of each of the `C` rows; the norm of a constant row is 0.
    pub(super) stats: &'a [[f32; 2]],
    /// Vectors per row.
    pub(super) groups: usize,
}

impl Rows<'_> {
    /// Start of row `j ≤ C`.
    #[inline(always)]
    pub(super) fn at(&self, j: usize) -> *const f32 {
        self.unit.as_ptr().wrapping_add(j * self.groups * LANES)
    }
}

/// Register `g` of a row of `whole` registers and `rest` floats.
///
/// # Safety
/// The instruction set of `V`; such a row at `from`, `g` within it.
#[inline(always)]
pub(super) unsafe fn read<V: F32x16>(from: *const f32, g: usize, whole: usize, rest: usize) -> V {
    // SAFETY: the caller's.
    unsafe {
        let from = from.add(g * LANES);
        if g < whole { V::load(from) } else { V::load_part(from, rest) }
    }
}

#[inline(always)]
unsafe fn center_body<V: F32x16>(x: &[f32], d: usize, unit: &mut [f32], stats: &mut [[f32; 2]]) {
    let groups = d.div_ceil(LANES);
    assert!(x.len() == stats.len() * d && unit.len() == stats.len() * groups * LANES);
    let (whole, rest) = (d / LANES, d % LANES);
    for (r, stat) in stats.iter_mut().enumerate() {
        // SAFETY: row `r` of both, within the lengths above.
        unsafe {
            let (from, to) = (x.as_ptr().add(r * d), unit.as_mut_ptr().add(r * groups * LANES));
            let mut sum = V::zero();
            for g in 0..groups {
                sum = sum.add(read::<V>(from, g, whole, rest));
            }
            let mean = sum.sum() / d as f32;
            let mut squares = V::zero();
            for g in 0..groups {
                let c = read::<V>(from, g, whole, rest).sub(V::splat(mean));
                // Lanes after the row's end stay zero instead of minus the mean.
                let c = if g < whole { c } else { c.keep((1 << rest) - 1) };
                squares = squares.fma(c, c);
                c.store(to.add(g * LANES));
            }
            let norm = squares.sum().sqrt();
            let (norm, inverse) = if norm < CONSTANT { (0.0, 0.0) } else { (norm, 1.0 / norm) };
            for g in 0..groups {
                V::load(to.add(g * LANES)).mul(V::splat(inverse)).store(to.add(g * LANES));
            }
            *stat = [mean, norm];
        }
    }
}

kernel! {
    /// Unit rows, padded to whole registers, with the mean and norm of each row.
    pub(super) fn center = center_body(x: &[f32], d: usize, unit: &mut [f32], stats: &mut [[f32; 2]])
}

/// Starts of the neighbours' rows, padded to whole tiles with the zero row.
#[inline(always)]
pub(super) fn locate(rows: Rows<'_>, neighbors: &[u32], at: &mut Vec<*const f32>) {
    let none = rows.at(rows.stats.len());
    at.clear();
    at.extend(neighbors.iter().map(|&j| rows.at(j as usize)));
    at.resize(neighbors.len().next_multiple_of(TILE), none);
}

/// Four starts of tile row `t`.
#[inline(always)]
pub(super) fn four(at: &[*const f32], t: usize) -> [*const f32; TILE] {
    *at[t * TILE..].first_chunk().expect("whole tiles")
}

/// The outputs of a block of targets.
pub(super) struct Outputs<'a> {
    /// `[targets, d]`
    pub(super) y: &'a mut [MaybeUninit<f32>],
    /// The weight of each entry.
    pub(super) weights: &'a mut [MaybeUninit<f32>],
}

/// Sums of a target's similarities: `Σ_k ReLU(x̂_j · x̂_k)` for every neighbour `j`.
///
/// # Safety
/// The instruction set of `V`; `at` holds whole tiles of rows of `groups` registers.
#[inline(always)]
unsafe fn similarities<V: F32x16>(
    at: &[*const f32],
    groups: usize,
    columns: &mut Vec<[f32; LANES]>,
    sums: &mut Vec<f32>,
) {
    let count = at.len() / TILE;
    columns.clear();
    columns.resize(count, [0.0; LANES]);
    sums.clear();
    // SAFETY: the caller's.
    unsafe {
        for p in 0..count {
            let here = four(at, p);
            let mut row = V::gram(here, here, groups).max(V::zero());
            for (q, column) in columns.iter_mut().enumerate().skip(p + 1) {
                let tile = V::gram(here, four(at, q), groups).max(V::zero());
                row = row.add(tile);
                V::load(column.as_ptr()).add(tile).store(column.as_mut_ptr());
            }
            sums.extend(row.transpose4().add(V::load(columns[p].as_ptr())).fold4());
        }
    }
}

#[inline(always)]
unsafe fn targets_body<V: F32x16>(
    pattern: &Csr,
    rows: Rows<'_>,
    targets: Range<usize>,
    d: usize,
    out: Outputs<'_>,
) {
    assert!(rows.groups == d.div_ceil(LANES) && rows.stats.len() == pattern.cols());
    assert!(rows.unit.len() >= (pattern.cols() + 1) * rows.groups * LANES);
    let (mut at, mut columns, mut sums) = (Vec::new(), Vec::new(), Vec::new());
    let mut kept = out.weights;
    let last = pattern.ptr()[targets.end] as usize;
    for (target, y) in targets.zip(out.y.chunks_exact_mut(d)) {
        let neighbors = pattern.row(target);
        let n = neighbors.len();
        if n == 0 {
            y.fill(MaybeUninit::new(0.0));
            continue;
        }
        // The next targets' rows are loaded while this one is computed.
        let next = pattern.ptr()[target + 1] as usize;
        let ahead = (next - n + AHEAD).min(last)..(next + AHEAD).min(last);
        for &j in &pattern.idx()[ahead] {
            prefetch(rows.at(j as usize), rows.groups);
            prefetch(&raw const rows.stats[j as usize], 1);
        }
        locate(rows, neighbors, &mut at);
        let (own, rest) = std::mem::take(&mut kept).split_at_mut(n);
        kept = rest;
        // SAFETY: `locate` made whole tiles of rows of `groups` registers.
        unsafe { similarities::<V>(&at, rows.groups, &mut columns, &mut sums) };
        sums.truncate(n);
        // The sums are n α: dividing by their mean and by the root of n gives the weights.
        let mean = sums.iter().sum::<f32>() / n as f32;
        let factor = 1.0 / (mean.max(n as f32 * LEAST_MEAN) * (n as f32).sqrt());
        // x_j = ‖x_j - mean‖ x̂_j + mean: the weighted sum reads the rows that are in the cache anyway.
        let mut shift = 0.0;
        for ((sum, kept), &j) in sums.iter_mut().zip(own).zip(neighbors) {
            let weight = *sum * factor;
            kept.write(weight);
            let [mean, norm] = rows.stats[j as usize];
            shift += weight * mean;
            *sum = weight * norm;
        }
        let (at, weights) = (&at[..n], &sums[..n]);
        let mut g = 0;
        // SAFETY: `at` holds `n` rows of `groups` registers; `y` has room for `d` floats.
        unsafe {
            let y = y.as_mut_ptr().cast::<f32>();
            while (g + 4) * LANES <= d {
                weigh::<V, 4>(at, weights, shift, g, y, 4 * LANES);
                g += 4;
            }
            while g * LANES < d {
                weigh::<V, 1>(at, weights, shift, g, y, LANES.min(d - g * LANES));
                g += 1;
            }
        }
    }
}

/// `shift + Σ_j w_j row_j` for `G` registers from register `g` on; writes `width` floats of them.
///
/// # Safety
/// The instruction set of `V`; rows of more than `g + G - 1` registers; room in `y` for `width` floats.
#[inline(always)]
unsafe fn weigh<V: F32x16, const G: usize>(
    at: &[*const f32],
    weights: &[f32],
    shift: f32,
    g: usize,
    y: *mut f32,
    width: usize,
) {
    // SAFETY: the caller's.
    unsafe {
        let mut acc = [V::splat(shift); G];
        for (row, &w) in at.iter().zip(weights) {
            for (h, acc) in acc.iter_mut().enumerate() {
                *acc = acc.fma(V::splat(w), V::load(row.add((g + h) * LANES)));
            }
        }
        for (h, acc) in acc.into_iter().enumerate() {
            let to = y.add((g + h) * LANES);
            if width < LANES { acc.store_part(to, width) } else { acc.store(to) }
        }
    }
}

kernel! {
    /// Results and weights of a block of targets.
    pub(super) fn targets = targets_body(
        pattern: &Csr,
        rows: Rows<'_>,
        targets: Range<usize>,
        d: usize,
        out: Outputs<'_>,
    )
}
