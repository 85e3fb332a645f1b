//! Scores of many users for many items, 6 × 48 at a time in registers.
//!
//! Both sides are packed first, so that a tile reads two contiguous streams: users in groups of [`ROWS`] as
//! `[depth, 6]`, items in panels of [`COLS`] as `[depth, 48]`. A score is summed over the depth in order,
//! whatever the block it falls in: it has the same bits for one user as for all of them.

use std::ops::Range;

use rayon::prelude::*;

use crate::simd::f32x16::{F32x16, LANES};
use crate::simd::isa::Isa;
use crate::simd::kernel::kernel;

/// Users in a tile.
pub(super) const ROWS: usize = 6;
/// Items in a tile.
pub(super) const COLS: usize = 48;
/// Depth of a tile where the whole depth is too much for the first-level cache.
const DEPTH: usize = 128;

/// How a user's vector `a` and an item's vector `b` make a score.
#[derive(Debug, Clone, Copy)]
pub(super) enum Formula<'a> {
    /// `a · b`.
    Dot,
    /// `w · ReLU(a + b)`.
    PairMlp(&'a [f32]),
}

/// Rows of a matrix in groups of `group`, each group transposed; the last one padded with zeros.
#[derive(Debug)]
pub(super) struct Packed {
    data: Vec<f32>,
    dim: usize,
    group: usize,
}

impl Packed {
    /// Packs `count` rows of `x [_, dim]`: `row(i)` names the row, and its values are multiplied by `scale`.
    pub(super) fn new(
        x: &[f32],
        dim: usize,
        count: usize,
        group: usize,
        scale: Option<&[f32]>,
        row: impl Fn(usize) -> usize + Sync,
    ) -> Self {
        let size = dim * group;
        let mut data = vec![0f32; count.div_ceil(group) * size];
        data.par_chunks_mut(size.max(1)).enumerate().for_each(|(at, out)| {
            for c in 0..group.min(count - at * group) {
                let r = row(at * group + c);
                let scale = scale.map_or(1.0, |s| s[r]);
                for (out, &v) in out[c..].iter_mut().step_by(group).zip(&x[r * dim..(r + 1) * dim]) {
                    *out = v * scale;
                }
            }
        });
        Self { data, dim, group }
    }

    /// Number of groups.
    pub(super) fn groups(&self) -> usize {
        self.data.len().checked_div(self.dim * self.group).unwrap_or(0)
    }

    /// The values of packed row `at`, `[dim]`.
    pub(super) fn row(&self, at: usize) -> Vec<f32> {
        let group = self.part(at / self.group, 0, self.dim);
        group[at % self.group..].iter().step_by(self.group).copied().collect()
    }

    /// Depths `from..to` of group `at`, `[to - from, group]`.
    fn part(&self, at: usize, from: usize, to: usize) -> &[f32] {
        let start = at * self.dim * self.group;
        &self.data[start + from * self.group..start + to * self.group]
    }
}

/// A scan of users over panels of items: how much of the depth is done in one go, and how many panels share
/// it.
#[derive(Debug, Clone, Copy)]
pub(super) struct TileScan<'a> {
    formula: Formula<'a>,
    dim: usize,
    depth: usize,
    panels: usize,
    isa: Isa,
}

impl<'a> TileScan<'a> {
    /// A scan for vectors of `dim`.
    pub(super) fn new(formula: Formula<'a>, dim: usize) -> Self {
        let whole = dim <= 2 * DEPTH;
        let (depth, panels) = if whole { (dim.max(1), 1) } else { (DEPTH, 16) };
        Self { formula, dim, depth, panels, isa: Isa::best() }
    }

    /// Scores every packed user for every item of the panels `among`. `visit(group, panel, tile, hits,
    /// limits)` gets each tile `[6, 48]` once, panels in ascending order within a group; bit `c` of `hits[r]`
    /// says that score `(r, c)` is above `limits[group][r]`, which `visit` may raise. Tiles for which
    /// `prune(group, panel, limits)` holds are skipped; it must still hold when limits rise.
    pub(super) fn run(
        &self,
        users: &Packed,
        items: &Packed,
        among: Range<usize>,
        limits: &mut [[f32; ROWS]],
        prune: impl Fn(usize, usize, &[f32; ROWS]) -> bool,
        mut visit: impl FnMut(usize, usize, &[f32], [u64; ROWS], &mut [f32; ROWS]),
    ) {
        let groups = users.groups();
        assert!(limits.len() == groups && users.group == ROWS && items.group == COLS);
        let tile = ROWS * COLS;
        let mut scores = vec![0f32; self.panels.min(among.len()) * groups * tile];
        for first in among.clone().step_by(self.panels) {
            let last = (first + self.panels).min(among.end);
            for from in (0..self.dim).step_by(self.depth) {
                let to = (from + self.depth).min(self.dim);
                for panel in first..last {
                    let b = items.part(panel, from, to);
                    for (group, limits) in limits.iter_mut().enumerate() {
                        if prune(group, panel, limits) {
                            continue;
                        }
                        let a = users.part(group, from, to);
                        let at = ((panel - first) * groups + group) * tile;
                        let out = &mut scores[at..at + tile];
                        let hits = match self.formula {
                            Formula::Dot => dot_tile(self.isa, a, b, from > 0, limits, out),
                            Formula::PairMlp(w) => {
                                mlp_tile(self.isa, a, b, &w[from..to], from > 0, limits, out)
                            }
                        };
                        if to == self.dim {
                            visit(group, panel, out, hits, limits);
                        }
                    }
                }
            }
        }
    }

    /// The scores of one user `a [dim]` for all `count` items.
    pub(super) fn row(&self, a: &[f32], items: &Packed, count: usize) -> Vec<f32> {
        let users = Packed::new(a, self.dim, 1, ROWS, None, |_| 0);
        let mut scores = vec![0f32; count];
        let mut limits = [[f32::INFINITY; ROWS]];
        self.run(&users, items, 0..items.groups(), &mut limits, no_pruning, |_, panel, tile, _, _| {
            let from = panel * COLS;
            let n = COLS.min(count - from);
            scores[from..from + n].copy_from_slice(&tile[..n]);
        });
        scores
    }
}

/// For [`TileScan::run`] where no tile is skipped.
pub(super) fn no_pruning(_: usize, _: usize, _: &[f32; ROWS]) -> bool {
    false
}

/// A tile, `R` users × `G` vectors of items at a time: `a [depth, 6]`, `b [depth, 48]`, `w [depth]` for the
/// pair MLP, `out [6, 48]`, added to when `add` is set. Gives one bit per score above its user's limit.
///
/// # Safety
/// The processor has the instruction set of `V`.
#[inline(always)]
#[allow(clippy::needless_range_loop)] // registers are named by number
unsafe fn tile<V: F32x16, const R: usize, const G: usize, const MLP: bool>(
    a: &[f32],
    b: &[f32],
    w: &[f32],
    add: bool,
    limits: &[f32; ROWS],
    out: &mut [f32],
) -> [u64; ROWS] {
    const { assert!(ROWS.is_multiple_of(R) && COLS.is_multiple_of(G * LANES)) };
    let depth = a.len() / ROWS;
    assert!(a.len() == depth * ROWS && b.len() == depth * COLS && out.len() == ROWS * COLS);
    assert!(!MLP || w.len() == depth);
    let mut hits = [0u64; ROWS];
    // SAFETY: all offsets stay inside the lengths asserted above; the instruction set is the caller's to
    // promise.
    unsafe {
        for column in (0..COLS).step_by(G * LANES) {
            for row in (0..ROWS).step_by(R) {
                let out = out.as_mut_ptr().add(row * COLS + column);
                let mut acc = [[V::zero(); G]; R];
                if add {
                    for r in 0..R {
                        for g in 0..G {
                            acc[r][g] = V::load(out.add(r * COLS + g * LANES));
                        }
                    }
                }
                let (mut ap, mut bp) = (a.as_ptr().add(row), b.as_ptr().add(column));
                for k in 0..depth {
                    let mut items = [V::zero(); G];
                    for g in 0..G {
                        items[g] = V::load(bp.add(g * LANES));
                    }
                    let weight = if MLP { V::splat(*w.get_unchecked(k)) } else { V::zero() };
                    let users = V::few::<R>(ap);
                    for r in 0..R {
                        let user = V::spread(users, r);
                        for g in 0..G {
                            acc[r][g] = if MLP {
                                acc[r][g].fma(weight, user.add(items[g]).relu())
                            } else {
                                acc[r][g].fma(user, items[g])
                            };
                        }
                    }
                    // Past the end after the last step: never read there.
                    ap = ap.wrapping_add(ROWS);
                    bp = bp.wrapping_add(COLS);
                }
                for r in 0..R {
                    let limit = V::splat(limits[row + r]);
                    for g in 0..G {
                        acc[r][g].store(out.add(r * COLS + g * LANES));
                        hits[row + r] |= u64::from(acc[r][g].above(limit)) << (column + g * LANES);
                    }
                }
            }
        }
    }
    hits
}

/// [`tile`] with as many accumulators as the registers hold beside the operands. Of six users and one value
/// of items, AVX2 has 12 of 16 registers for sums, 2 for items and 1 for a user; NEON 24 of 32, 4 and 2.
///
/// # Safety
/// The processor has the instruction set of `V`.
#[inline(always)]
unsafe fn fitted<V: F32x16, const MLP: bool>(
    a: &[f32],
    b: &[f32],
    w: &[f32],
    add: bool,
    limits: &[f32; ROWS],
    out: &mut [f32],
) -> [u64; ROWS] {
    // SAFETY: the caller's.
    unsafe {
        match V::REGISTERS {
            32.. => tile::<V, 6, 3, MLP>(a, b, w, add, limits, out),
            // The pair MLP has more operands.
            8.. if MLP => tile::<V, 3, 1, MLP>(a, b, w, add, limits, out),
            8.. => tile::<V, 6, 1, MLP>(a, b, w, add, limits, out),
            _ => tile::<V, 2, 1, MLP>(a, b, w, add, limits, out),
        }
    }
}

#[inline(always)]
unsafe fn dot_body<V: F32x16>(
    a: &[f32],
    b: &[f32],
    add: bool,
    limits: &[f32; ROWS],
    out: &mut [f32],
) -> [u64; ROWS] {
    // SAFETY: the caller's.
    unsafe { fitted::<V, false>(a, b, &[], add, limits, out) }
}

kernel! {
    /// A tile of dot products.
    fn dot_tile = dot_body(
        a: &[f32],
        b: &[f32],
        add: bool,
        limits: &[f32; ROWS],
        out: &mut [f32],
    ) -> [u64; ROWS]
}

#[inline(always)]
unsafe fn mlp_body<V: F32x16>(
    a: &[f32],
    b: &[f32],
    w: &[f32],
    add: bool,
    limits: &[f32; ROWS],
    out: &mut [f32],
) -> [u64; ROWS] {
    // SAFETY: the caller's.
    unsafe { fitted::<V, true>(a, b, w, add, limits, out) }
}

kernel! {
    /// A tile of pair-MLP scores.
    fn mlp_tile = mlp_body(
        a: &[f32],
        b: &[f32],
        w: &[f32],
        add: bool,
        limits: &[f32; ROWS],
        out: &mut [f32],
    ) -> [u64; ROWS]
}

/// Positions of the set bits of `mask`, ascending.
#[inline]
pub(super) fn set_bits(mut mask: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let at = mask.trailing_zeros() as usize;
        mask &= mask.wrapping_sub(1);
        (at < 64).then_some(at)
    })
}

/// The columns of panel `panel` that are items, of `count` in all.
pub(super) fn valid_columns(panel: usize, count: usize) -> u64 {
    u64::MAX >> (64 - COLS.min(count - panel * COLS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instruction_set_scores_like_the_formula_at_any_depth() {
        // 300 is more than one depth block; 1, 5 and 49 users and items leave partial groups.
        // For Miri less: it takes a minute for what takes a processor a millisecond.
        let [long, wide] = if cfg!(miri) { [(1, 1, 257), (1, 1, 1)] } else { [(9, 48, 300), (8, 1000, 257)] };
        for (users, items, dim) in [(5, 49, 3), (1, 1, 1), long, wide] {
            let value = |i: usize| ((i * 7919 % 1013) as f32 / 1013.0) - 0.5;
            let a: Vec<f32> = (0..users * dim).map(value).collect();
            let b: Vec<f32> = (0..items * dim).map(|i| value(i + 31)).collect();
            let w: Vec<f32> = (0..dim).map(|i| value(i + 77)).collect();
            let (pa, pb) = (
                Packed::new(&a, dim, users, ROWS, None, |i| i),
                Packed::new(&b, dim, items, COLS, None, |i| i),
            );
            for (formula, isa) in [Formula::Dot, Formula::PairMlp(&w)]
                .into_iter()
                .flat_map(|f| Isa::supported().into_iter().map(move |l| (f, l)))
            {
                let mut found = vec![f32::NAN; users * items];
                let mut limits = vec![[0.1f32; ROWS]; pa.groups()];
                let scan = TileScan { isa, ..TileScan::new(formula, dim) };
                scan.run(&pa, &pb, 0..pb.groups(), &mut limits, no_pruning, |group, panel, tile, hits, _| {
                    for (r, c) in (0..ROWS).flat_map(|r| (0..COLS).map(move |c| (r, c))) {
                        let (u, i) = (group * ROWS + r, panel * COLS + c);
                        assert_eq!(hits[r] >> c & 1 == 1, tile[r * COLS + c] > 0.1);
                        if u < users && i < items {
                            found[u * items + i] = tile[r * COLS + c];
                        }
                    }
                });
                for u in 0..users {
                    for i in 0..items {
                        let expected: f64 = (0..dim)
                            .map(|k| {
                                let (x, y) = (f64::from(a[u * dim + k]), f64::from(b[i * dim + k]));
                                match formula {
                                    Formula::Dot => x * y,
                                    Formula::PairMlp(w) => f64::from(w[k]) * (x + y).max(0.0),
                                }
                            })
                            .sum();
                        let found = found[u * items + i];
                        assert!((f64::from(found) - expected).abs() < 1e-4, "{isa:?} {u} {i}");
                    }
                }
            }
        }
    }
}
