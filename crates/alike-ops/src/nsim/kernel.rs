//! Kernels of neighbour similarity. A panel holds sixteen neighbours' centred rows transposed, feature by feature,
//! so that sixteen similarities to one row are one chain of multiply-adds.

use super::plan::words;
use crate::Csr;
use crate::simd::{axpy, dispatch, dot, mul_add};

/// Norm below which a centred row counts as constant.
const CONSTANT: f32 = 1e-12;
/// Neighbours a panel.
const LANES: usize = 16;

#[inline(always)]
fn center_body<const F: bool>(x: &[f32], d: usize, x_hat: &mut [f32], inverse: &mut [f32]) {
    for ((x, h), inverse) in x.chunks_exact(d).zip(x_hat.chunks_exact_mut(d)).zip(inverse) {
        let mut lanes = [0f32; 16];
        let (chunks, rest) = x.as_chunks::<16>();
        for c in chunks {
            for t in 0..16 {
                lanes[t] += c[t];
            }
        }
        let mean = (crate::simd::sum16(lanes) + rest.iter().sum::<f32>()) / d as f32;
        for (h, x) in h.iter_mut().zip(x) {
            *h = x - mean;
        }
        let norm = dot::<F>(h, h).sqrt();
        *inverse = if norm < CONSTANT { 0.0 } else { 1.0 / norm };
        let scale = *inverse;
        h.iter_mut().for_each(|h| *h *= scale);
    }
}

dispatch! {
    /// Rows of `x̂` and `1/‖x - mean‖` (0 for constant rows).
    pub(super) fn center = center_body(x: &[f32], d: usize, x_hat: &mut [f32], inverse: &mut [f32])
}

/// `1/√n` when scaled.
#[inline(always)]
fn factor(n: usize, scale: bool) -> f32 {
    if scale { 1.0 / (n as f32).sqrt() } else { 1.0 }
}

/// Copies the neighbours' rows into `rows [n, d]` and into panels `[⌈n/16⌉, d, 16]`, padded by zeros.
#[inline(always)]
fn load(neighbors: &[u32], x_hat: &[f32], d: usize, rows: &mut Vec<f32>, panels: &mut Vec<f32>) {
    let n = neighbors.len();
    let count = n.div_ceil(LANES);
    if rows.len() < n * d {
        rows.resize(n * d, 0.0);
    }
    if panels.len() < count * d * LANES {
        panels.resize(count * d * LANES, 0.0);
    }
    for (row, &j) in rows.chunks_exact_mut(d).zip(neighbors) {
        row.copy_from_slice(&x_hat[j as usize * d..(j as usize + 1) * d]);
    }
    for (p, panel) in panels[..count * d * LANES].chunks_exact_mut(d * LANES).enumerate() {
        let here = (n - p * LANES).min(LANES);
        let (panel, _) = panel.as_chunks_mut::<LANES>();
        let rows = &rows[p * LANES * d..(p * LANES + here) * d];
        if here < LANES {
            panel.iter_mut().for_each(|c| *c = [0.0; LANES]);
        }
        for (lane, row) in rows.chunks_exact(d).enumerate() {
            for (c, v) in panel.iter_mut().zip(row) {
                c[lane] = *v;
            }
        }
    }
}

/// Similarities of `M` rows to the sixteen neighbours of a panel.
#[inline(always)]
fn tile<const F: bool, const M: usize>(rows: &[f32], d: usize, panel: &[[f32; LANES]]) -> [[f32; LANES]; M] {
    let mut acc = [[0f32; LANES]; M];
    let rows: [&[f32]; M] = std::array::from_fn(|m| &rows[m * d..(m + 1) * d]);
    for (k, lanes) in panel.iter().enumerate() {
        for m in 0..M {
            let v = rows[m][k];
            for t in 0..LANES {
                acc[m][t] = mul_add::<F>(v, lanes[t], acc[m][t]);
            }
        }
    }
    acc
}

/// Rectifies the similarities, adds them to the rows' sums and, right of the diagonal panel, to the columns';
/// notes which are positive.
#[inline(always)]
fn take<const M: usize>(
    s: [[f32; LANES]; M],
    (first, panel, panels): (usize, usize, usize),
    alpha: &mut [f32],
    columns: &mut [f32; LANES],
    bits: &mut [u16],
) {
    for m in 0..M {
        let (mut positive, mut kept) = (0u16, [0f32; LANES]);
        for t in 0..LANES {
            positive |= u16::from(s[m][t] > 0.0) << t;
            kept[t] = s[m][t].max(0.0);
            columns[t] += kept[t];
        }
        alpha[first + m] += crate::simd::sum16(kept);
        bits[(first + m) * panels + panel] = positive;
    }
}

#[inline(always)]
fn targets_body<const F: bool>(
    pattern: &Csr,
    (x, x_hat, d): (&[f32], &[f32], usize),
    first: usize,
    scale: bool,
    y: &mut [f32],
    mut alpha: &mut [f32],
    mut kept: &mut [f32],
) {
    let (mut rows, mut panels, mut bits) = (Vec::new(), Vec::new(), Vec::new());
    for (r, y) in y.chunks_exact_mut(d).enumerate() {
        let neighbors = pattern.row(first + r);
        let n = neighbors.len();
        y.fill(0.0);
        if n == 0 {
            continue;
        }
        let (own, rest) = alpha.split_at_mut(n);
        alpha = rest;
        let (own_bits, rest) = kept.split_at_mut(words(n));
        kept = rest;
        load(neighbors, x_hat, d, &mut rows, &mut panels);
        let count = n.div_ceil(LANES);
        bits.clear();
        bits.resize(words(n) * 2, 0u16);
        for p in 0..count {
            let (panel, _) = panels[p * d * LANES..(p + 1) * d * LANES].as_chunks::<LANES>();
            // Rows up to the end of this panel: those above it give the mirrored sums too.
            let upto = n.min((p + 1) * LANES);
            let above = p * LANES;
            let mut columns = [0f32; LANES];
            let mut at = 0;
            while at < upto {
                if at == above {
                    // The panel's own rows: both sides of the diagonal are in the rows' sums.
                    for (a, c) in own[above..upto].iter_mut().zip(columns) {
                        *a += c;
                    }
                    columns = [0.0; LANES];
                }
                let place = (at, p, count);
                let left = if at < above { above - at } else { upto - at };
                if left >= 8 {
                    let s = tile::<F, 8>(&rows[at * d..], d, panel);
                    take(s, place, own, &mut columns, &mut bits);
                    at += 8;
                } else if left >= 4 {
                    let s = tile::<F, 4>(&rows[at * d..], d, panel);
                    take(s, place, own, &mut columns, &mut bits);
                    at += 4;
                } else if left >= 2 {
                    let s = tile::<F, 2>(&rows[at * d..], d, panel);
                    take(s, place, own, &mut columns, &mut bits);
                    at += 2;
                } else {
                    let s = tile::<F, 1>(&rows[at * d..], d, panel);
                    take(s, place, own, &mut columns, &mut bits);
                    at += 1;
                }
            }
        }
        for (word, pair) in own_bits.iter_mut().zip(bits.as_chunks::<2>().0) {
            *word = f32::from_bits(u32::from(pair[0]) | u32::from(pair[1]) << 16);
        }
        let (share, c) = (1.0 / n as f32, factor(n, scale));
        for (a, &j) in own.iter_mut().zip(neighbors) {
            *a *= share;
            axpy::<F>(*a * c, &x[j as usize * d..(j as usize + 1) * d], y);
        }
    }
}

dispatch! {
    /// Results of the targets from `first` on, one a row of `y`; their `α`, one an entry; the bits of `M`.
    pub(super) fn targets = targets_body(
        pattern: &Csr,
        operands: (&[f32], &[f32], usize),
        first: usize,
        scale: bool,
        y: &mut [f32],
        alpha: &mut [f32],
        kept: &mut [f32],
    )
}

/// `Σ_k w_mk rows_k` for `M` rows of weights, features sixteen at a time.
#[inline(always)]
fn combine<const F: bool, const M: usize>(w: &[f32], n: usize, rows: &[f32], d: usize, out: &mut [f32]) {
    let mut k = 0;
    while k < d {
        if k + 32 <= d {
            let mut acc = [[[0f32; 16]; 2]; M];
            for q in 0..n {
                let row: &[f32; 32] = rows[q * d + k..].first_chunk().expect("rows hold d features");
                for m in 0..M {
                    let v = w[m * n + q];
                    for h in 0..2 {
                        for t in 0..16 {
                            acc[m][h][t] = mul_add::<F>(v, row[h * 16 + t], acc[m][h][t]);
                        }
                    }
                }
            }
            for m in 0..M {
                out[m * d + k..m * d + k + 16].copy_from_slice(&acc[m][0]);
                out[m * d + k + 16..m * d + k + 32].copy_from_slice(&acc[m][1]);
            }
            k += 32;
        } else {
            let here = (d - k).min(16);
            for m in 0..M {
                let mut acc = [0f32; 16];
                for q in 0..n {
                    let v = w[m * n + q];
                    for (a, x) in acc.iter_mut().zip(&rows[q * d + k..q * d + k + here]) {
                        *a = mul_add::<F>(v, *x, *a);
                    }
                }
                out[m * d + k..m * d + k + here].copy_from_slice(&acc[..here]);
            }
            k += here;
        }
    }
}

#[inline(always)]
fn target_gradients_body<const F: bool>(
    pattern: &Csr,
    (g, x, x_hat, d): (&[f32], &[f32], &[f32], usize),
    (first, last): (usize, usize),
    scale: bool,
    mut kept: &[f32],
    mut out: &mut [f32],
) {
    let (mut rows, mut a, mut w, mut bits) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for target in first..last {
        let neighbors = pattern.row(target);
        let n = neighbors.len();
        if n == 0 {
            continue;
        }
        let (own_bits, rest) = kept.split_at(words(n));
        kept = rest;
        let (own, rest) = out.split_at_mut(n * d);
        out = rest;
        let g = &g[target * d..(target + 1) * d];
        let share = factor(n, scale) / n as f32;
        if rows.len() < n * d {
            rows.resize(n * d, 0.0);
        }
        a.clear();
        for (row, &j) in rows.chunks_exact_mut(d).zip(neighbors) {
            let span = j as usize * d..(j as usize + 1) * d;
            row.copy_from_slice(&x_hat[span.clone()]);
            a.push(dot::<F>(g, &x[span]) * share);
        }
        bits.clear();
        for word in own_bits {
            let word = word.to_bits();
            bits.extend([word as u16, (word >> 16) as u16]);
        }
        // Weights M_jk (a_j + a_k); only pairs on and above the panel diagonal have bits, the rest mirrors them.
        let count = n.div_ceil(LANES);
        if w.len() < n * n {
            w.resize(n * n, 0.0);
        }
        for j in 0..n {
            let own_panel = j / LANES;
            for k in own_panel * LANES..n {
                let bit = bits[j * count + k / LANES] >> (k % LANES) & 1;
                let v = f32::from(bit) * (a[j] + a[k]);
                w[j * n + k] = v;
                if k / LANES > own_panel {
                    w[k * n + j] = v;
                }
            }
        }
        let mut at = 0;
        while at < n {
            let (w, out) = (&w[at * n..], &mut own[at * d..]);
            match n - at {
                left if left >= 6 => {
                    combine::<F, 6>(w, n, &rows, d, out);
                    at += 6;
                }
                left if left >= 3 => {
                    combine::<F, 3>(w, n, &rows, d, out);
                    at += 3;
                }
                _ => {
                    combine::<F, 1>(w, n, &rows, d, out);
                    at += 1;
                }
            }
        }
    }
}

dispatch! {
    /// Gradients of the centred rows by entry, for the targets `first..last`: `[entries, d]`.
    pub(super) fn target_gradients = target_gradients_body(
        pattern: &Csr,
        operands: (&[f32], &[f32], &[f32], usize),
        span: (usize, usize),
        scale: bool,
        kept: &[f32],
        out: &mut [f32],
    )
}

#[inline(always)]
fn gather_body<const F: bool>(
    pattern: &Csr,
    entries: &[[u32; 3]],
    (g, alpha, buffer): (&[f32], &[f32], &[f32]),
    scale: bool,
    (base, first_node, d): (usize, usize, usize),
    dx: &mut [f32],
    d_hat: &mut [f32],
) {
    for &[node, target, entry] in entries {
        let (target, entry) = (target as usize, entry as usize);
        let at = (node as usize - first_node) * d;
        let weight = alpha[entry] * factor(pattern.degree(target), scale);
        axpy::<F>(weight, &g[target * d..(target + 1) * d], &mut dx[at..at + d]);
        let part = &buffer[(entry - base) * d..(entry - base + 1) * d];
        for (h, v) in d_hat[at..at + d].iter_mut().zip(part) {
            *h += v;
        }
    }
}

dispatch! {
    /// Sums `α_j g` into `dx` and the buffered gradients into `d_hat`, both from node `first_node` on; the buffer
    /// starts at entry `base`.
    pub(super) fn gather = gather_body(
        pattern: &Csr,
        entries: &[[u32; 3]],
        operands: (&[f32], &[f32], &[f32]),
        scale: bool,
        place: (usize, usize, usize),
        dx: &mut [f32],
        d_hat: &mut [f32],
    )
}

#[inline(always)]
fn finish_body<const F: bool>(d_hat: &[f32], x_hat: &[f32], inverse: &[f32], d: usize, dx: &mut [f32]) {
    let rows = d_hat.chunks_exact(d).zip(x_hat.chunks_exact(d)).zip(inverse);
    for (dx, ((dh, h), inverse)) in dx.chunks_exact_mut(d).zip(rows) {
        let along = dot::<F>(dh, h);
        // x̂ has mean 0, so only the mean of ∂x̂ is taken off.
        let mut lanes = [0f32; 16];
        let (chunks, rest) = dh.as_chunks::<16>();
        for c in chunks {
            for t in 0..16 {
                lanes[t] += c[t];
            }
        }
        let mean = (crate::simd::sum16(lanes) + rest.iter().sum::<f32>()) / d as f32;
        for ((dx, dh), h) in dx.iter_mut().zip(dh).zip(h) {
            *dx = mul_add::<F>(dh - h * along - mean, *inverse, *dx);
        }
    }
}

dispatch! {
    /// Adds the gradient through the normalisation to `dx`.
    pub(super) fn finish = finish_body(d_hat: &[f32], x_hat: &[f32], inverse: &[f32], d: usize, dx: &mut [f32])
}
