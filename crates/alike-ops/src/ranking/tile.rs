//! Scores of many users for many items, 8 × 48 at a time in registers.
//!
//! Both sides are packed first, so that a tile reads two contiguous streams: users in groups of [`ROWS`] as
//! `[depth, 8]`, items in panels of [`COLS`] as `[depth, 48]`. A score is summed over the depth in order, whatever the
//! block it falls in: it has the same bits for one user as for all of them.

use std::ops::Range;

use rayon::prelude::*;

use crate::simd::{Level, level};

/// Users in a tile.
pub(crate) const ROWS: usize = 8;
/// Items in a tile.
pub(crate) const COLS: usize = 48;
/// Depth of a tile where the whole depth is too much for the first-level cache.
const DEPTH: usize = 128;

/// How a user's vector `a` and an item's vector `b` make a score.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Formula<'a> {
    /// `a · b`.
    Dot,
    /// `w · ReLU(a + b)`.
    PairMlp(&'a [f32]),
}

/// Rows of a matrix in groups of `group`, each group transposed; the last one filled up with zeros.
#[derive(Debug)]
pub(crate) struct Packed {
    data: Vec<f32>,
    dim: usize,
    group: usize,
}

impl Packed {
    /// Packs `count` rows of `x [_, dim]`: `row(i)` names the row, and its values are multiplied by `scale`.
    pub(crate) fn new(
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
    pub(crate) fn groups(&self) -> usize {
        self.data.len().checked_div(self.dim * self.group).unwrap_or(0)
    }

    /// The values of packed row `at`, `[dim]`.
    pub(crate) fn row(&self, at: usize) -> Vec<f32> {
        let group = self.part(at / self.group, 0, self.dim);
        group[at % self.group..].iter().step_by(self.group).copied().collect()
    }

    /// Depths `from..to` of group `at`, `[to - from, group]`.
    fn part(&self, at: usize, from: usize, to: usize) -> &[f32] {
        let start = at * self.dim * self.group;
        &self.data[start + from * self.group..start + to * self.group]
    }
}

/// A run over panels of items: which depths are taken in one go, and how many panels share them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sweep<'a> {
    formula: Formula<'a>,
    dim: usize,
    depth: usize,
    panels: usize,
    level: Level,
}

impl<'a> Sweep<'a> {
    /// A run for vectors of `dim`.
    pub(crate) fn new(formula: Formula<'a>, dim: usize) -> Self {
        let whole = dim <= 2 * DEPTH;
        let (depth, panels) = if whole { (dim.max(1), 1) } else { (DEPTH, 16) };
        Self { formula, dim, depth, panels, level: level() }
    }

    /// Scores every packed user for every item of the panels `among`. `take(group, panel, tile, hits)` gets each tile
    /// `[8, 48]` once, panels in ascending order within a group; bit `c` of `hits[r]` says that score `(r, c)` is above
    /// `limits[group][r]`, which `take` may raise. Tiles for which `beyond(group, panel, limits)` holds are left out; it must
    /// go on to hold when limits rise.
    pub(crate) fn run(
        &self,
        users: &Packed,
        items: &Packed,
        among: Range<usize>,
        limits: &mut [[f32; ROWS]],
        beyond: impl Fn(usize, usize, &[f32; ROWS]) -> bool,
        mut take: impl FnMut(usize, usize, &[f32], [u64; ROWS], &mut [f32; ROWS]),
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
                        if beyond(group, panel, limits) {
                            continue;
                        }
                        let a = users.part(group, from, to);
                        let at = ((panel - first) * groups + group) * tile;
                        let out = &mut scores[at..at + tile];
                        let hits = match self.formula {
                            Formula::Dot => dot_tile(self.level, a, b, &[], from > 0, limits, out),
                            Formula::PairMlp(w) => {
                                mlp_tile(self.level, a, b, &w[from..to], from > 0, limits, out)
                            }
                        };
                        if to == self.dim {
                            take(group, panel, out, hits, limits);
                        }
                    }
                }
            }
        }
    }

    /// The scores of one user `a [dim]` for all `count` items.
    pub(crate) fn row(&self, a: &[f32], items: &Packed, count: usize) -> Vec<f32> {
        let users = Packed::new(a, self.dim, 1, ROWS, None, |_| 0);
        let mut scores = vec![0f32; count];
        let mut limits = [[f32::INFINITY; ROWS]];
        self.run(&users, items, 0..items.groups(), &mut limits, nothing_beyond, |_, panel, tile, _, _| {
            let from = panel * COLS;
            let n = COLS.min(count - from);
            scores[from..from + n].copy_from_slice(&tile[..n]);
        });
        scores
    }
}

/// For [`Sweep::run`] where no tile is left out.
pub(crate) fn nothing_beyond(_: usize, _: usize, _: &[f32; ROWS]) -> bool {
    false
}

/// A vector register.
///
/// # Safety
/// The methods may only run where the processor has the type's instructions, on pointers valid for `WIDTH` floats.
trait Lane: Copy {
    const WIDTH: usize;
    unsafe fn splat(v: f32) -> Self;
    unsafe fn load(p: *const f32) -> Self;
    unsafe fn store(self, p: *mut f32);
    /// `self + a·b`.
    unsafe fn fma(self, a: Self, b: Self) -> Self;
    /// `max(0, self + o)`; NaN stays NaN.
    unsafe fn relu_sum(self, o: Self) -> Self;
    /// One bit a lane: `self > o`, false for NaN.
    unsafe fn above(self, o: Self) -> u64;
}

impl Lane for [f32; 4] {
    const WIDTH: usize = 4;
    #[inline(always)]
    unsafe fn splat(v: f32) -> Self {
        [v; 4]
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        // SAFETY: the caller gives four readable floats.
        unsafe { p.cast::<Self>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        // SAFETY: the caller gives four writable floats.
        unsafe { p.cast::<Self>().write_unaligned(self) }
    }
    #[inline(always)]
    unsafe fn fma(self, a: Self, b: Self) -> Self {
        std::array::from_fn(|t| self[t] + a[t] * b[t])
    }
    #[inline(always)]
    unsafe fn relu_sum(self, o: Self) -> Self {
        std::array::from_fn(|t| {
            let sum = self[t] + o[t];
            if 0.0 > sum { 0.0 } else { sum }
        })
    }
    #[inline(always)]
    unsafe fn above(self, o: Self) -> u64 {
        (0..4).map(|t| u64::from(self[t] > o[t]) << t).sum()
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Lane;
    use std::arch::x86_64::*;

    // SAFETY of every block below: the contract of the trait (instructions present, pointers valid).
    #[allow(clippy::undocumented_unsafe_blocks)]
    impl Lane for __m256 {
        const WIDTH: usize = 8;
        #[inline(always)]
        unsafe fn splat(v: f32) -> Self {
            unsafe { _mm256_set1_ps(v) }
        }
        #[inline(always)]
        unsafe fn load(p: *const f32) -> Self {
            unsafe { _mm256_loadu_ps(p) }
        }
        #[inline(always)]
        unsafe fn store(self, p: *mut f32) {
            unsafe { _mm256_storeu_ps(p, self) }
        }
        #[inline(always)]
        unsafe fn fma(self, a: Self, b: Self) -> Self {
            unsafe { _mm256_fmadd_ps(a, b, self) }
        }
        #[inline(always)]
        unsafe fn relu_sum(self, o: Self) -> Self {
            // The instruction gives its second operand where one is NaN.
            unsafe { _mm256_max_ps(_mm256_setzero_ps(), _mm256_add_ps(self, o)) }
        }
        #[inline(always)]
        unsafe fn above(self, o: Self) -> u64 {
            unsafe { _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(self, o)) as u64 }
        }
    }

    // SAFETY of every block below: the contract of the trait (instructions present, pointers valid).
    #[allow(clippy::undocumented_unsafe_blocks)]
    impl Lane for __m512 {
        const WIDTH: usize = 16;
        #[inline(always)]
        unsafe fn splat(v: f32) -> Self {
            unsafe { _mm512_set1_ps(v) }
        }
        #[inline(always)]
        unsafe fn load(p: *const f32) -> Self {
            unsafe { _mm512_loadu_ps(p) }
        }
        #[inline(always)]
        unsafe fn store(self, p: *mut f32) {
            unsafe { _mm512_storeu_ps(p, self) }
        }
        #[inline(always)]
        unsafe fn fma(self, a: Self, b: Self) -> Self {
            unsafe { _mm512_fmadd_ps(a, b, self) }
        }
        #[inline(always)]
        unsafe fn relu_sum(self, o: Self) -> Self {
            // The instruction gives its second operand where one is NaN.
            unsafe { _mm512_max_ps(_mm512_setzero_ps(), _mm512_add_ps(self, o)) }
        }
        #[inline(always)]
        unsafe fn above(self, o: Self) -> u64 {
            unsafe { u64::from(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(self, o)) }
        }
    }
}

/// A tile, `R` users × `G` registers of items at a time: `a [depth, 8]`, `b [depth, 48]`, `w [depth]` for the pair MLP,
/// `out [8, 48]`, added to when `add` is set.
///
/// # Safety
/// The processor has the instructions of `V`.
#[inline(always)]
#[allow(clippy::needless_range_loop)] // registers are named by number
unsafe fn tile<V: Lane, const R: usize, const G: usize, const MLP: bool>(
    a: &[f32],
    b: &[f32],
    w: &[f32],
    add: bool,
    limits: &[f32; ROWS],
    out: &mut [f32],
) -> [u64; ROWS] {
    const { assert!(ROWS.is_multiple_of(R) && COLS.is_multiple_of(G * V::WIDTH)) };
    let depth = a.len() / ROWS;
    assert!(a.len() == depth * ROWS && b.len() == depth * COLS && out.len() == ROWS * COLS);
    assert!(!MLP || w.len() == depth);
    let mut hits = [0u64; ROWS];
    // SAFETY: all offsets stay inside the lengths asserted above; the instructions are the caller's to promise.
    unsafe {
        for column in (0..COLS).step_by(G * V::WIDTH) {
            for row in (0..ROWS).step_by(R) {
                let out = out.as_mut_ptr().add(row * COLS + column);
                let mut acc = [[V::splat(0.0); G]; R];
                if add {
                    for r in 0..R {
                        for g in 0..G {
                            acc[r][g] = V::load(out.add(r * COLS + g * V::WIDTH));
                        }
                    }
                }
                let (mut ap, mut bp) = (a.as_ptr().add(row), b.as_ptr().add(column));
                for k in 0..depth {
                    let items: [V; G] = std::array::from_fn(|g| V::load(bp.add(g * V::WIDTH)));
                    let weight = if MLP { V::splat(*w.get_unchecked(k)) } else { V::splat(0.0) };
                    for r in 0..R {
                        let user = V::splat(*ap.add(r));
                        for g in 0..G {
                            acc[r][g] = if MLP {
                                acc[r][g].fma(weight, user.relu_sum(items[g]))
                            } else {
                                acc[r][g].fma(user, items[g])
                            };
                        }
                    }
                    ap = ap.add(ROWS);
                    bp = bp.add(COLS);
                }
                for r in 0..R {
                    let limit = V::splat(limits[row + r]);
                    for g in 0..G {
                        acc[r][g].store(out.add(r * COLS + g * V::WIDTH));
                        hits[row + r] |= acc[r][g].above(limit) << (column + g * V::WIDTH);
                    }
                }
            }
        }
    }
    hits
}

/// Makes a tile function for every level.
macro_rules! tiles {
    ($(#[$meta:meta])* $name:ident, $mlp:literal) => {
        $(#[$meta])*
        fn $name(
            level: Level,
            a: &[f32],
            b: &[f32],
            w: &[f32],
            add: bool,
            limits: &[f32; ROWS],
            out: &mut [f32],
        ) -> [u64; ROWS] {
            #[cfg(target_arch = "x86_64")]
            use std::arch::x86_64::{__m256, __m512};
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
            fn wide(
                a: &[f32],
                b: &[f32],
                w: &[f32],
                add: bool,
                limits: &[f32; ROWS],
                out: &mut [f32],
            ) -> [u64; ROWS] {
                // SAFETY: this function has the instructions.
                unsafe { tile::<__m512, 8, 3, $mlp>(a, b, w, add, limits, out) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn narrow(
                a: &[f32],
                b: &[f32],
                w: &[f32],
                add: bool,
                limits: &[f32; ROWS],
                out: &mut [f32],
            ) -> [u64; ROWS] {
                // SAFETY: this function has the instructions.
                unsafe { tile::<__m256, 4, 2, $mlp>(a, b, w, add, limits, out) }
            }
            match level {
                // SAFETY: a level is only made where the processor has its instructions.
                #[cfg(target_arch = "x86_64")]
                Level::Avx512 => unsafe { wide(a, b, w, add, limits, out) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                Level::Avx2 => unsafe { narrow(a, b, w, add, limits, out) },
                // SAFETY: plain arrays need no instructions of their own.
                Level::Portable => unsafe { tile::<[f32; 4], 2, 3, $mlp>(a, b, w, add, limits, out) },
            }
        }
    };
}

tiles!(
    /// A tile of dot products.
    dot_tile,
    false
);
tiles!(
    /// A tile of pair-MLP scores.
    mlp_tile,
    true
);

#[cfg(test)]
mod tests {
    use super::*;

    fn levels() -> Vec<Level> {
        let mut levels = vec![Level::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            if level() != Level::Portable {
                levels.push(Level::Avx2);
            }
            if level() == Level::Avx512 {
                levels.push(Level::Avx512);
            }
        }
        levels
    }

    #[test]
    fn every_level_scores_like_the_formula_at_any_depth() {
        // 300 is more than one depth block; 1, 5 and 49 users and items leave partial groups.
        for (users, items, dim) in [(5, 49, 3), (1, 1, 1), (9, 48, 300), (8, 1000, 257)] {
            let value = |i: usize| ((i * 7919 % 1013) as f32 / 1013.0) - 0.5;
            let a: Vec<f32> = (0..users * dim).map(value).collect();
            let b: Vec<f32> = (0..items * dim).map(|i| value(i + 31)).collect();
            let w: Vec<f32> = (0..dim).map(|i| value(i + 77)).collect();
            let (pa, pb) = (
                Packed::new(&a, dim, users, ROWS, None, |i| i),
                Packed::new(&b, dim, items, COLS, None, |i| i),
            );
            for (formula, level) in [Formula::Dot, Formula::PairMlp(&w)]
                .into_iter()
                .flat_map(|f| levels().into_iter().map(move |l| (f, l)))
            {
                let mut found = vec![f32::NAN; users * items];
                let mut limits = vec![[0.1f32; ROWS]; pa.groups()];
                let sweep = Sweep { level, ..Sweep::new(formula, dim) };
                sweep.run(
                    &pa,
                    &pb,
                    0..pb.groups(),
                    &mut limits,
                    nothing_beyond,
                    |group, panel, tile, hits, _| {
                        for (r, c) in (0..ROWS).flat_map(|r| (0..COLS).map(move |c| (r, c))) {
                            let (u, i) = (group * ROWS + r, panel * COLS + c);
                            assert_eq!(hits[r] >> c & 1 == 1, tile[r * COLS + c] > 0.1);
                            if u < users && i < items {
                                found[u * items + i] = tile[r * COLS + c];
                            }
                        }
                    },
                );
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
                        assert!((f64::from(found) - expected).abs() < 1e-4, "{level:?} {u} {i}");
                    }
                }
            }
        }
    }
}
