//! Bayesian personalised ranking by a hidden layer over both sides.
//!
//! `y_ui = out · ReLU(a_u + b_i)` with `a_u = z_u W_user + bias` and `b_i = z_i W_item`, and the loss of
//! [`bpr`](crate::bpr_dot) over it. The hidden values are computed once per distinct row of the batch.
//! Backward, with `c = σ(x)/b · ∂loss` and `H(v) = 1[v > 0]`, all of width `h`: `∂b_n += c out ⊙ H(a_u +
//! b_n)`, `∂b_p -= c out ⊙ H(a_u + b_p)`, `∂a_u` = the sum of both, `∂out += c (ReLU(a_u + b_n) - ReLU(a_u +
//! b_p))`; then, per distinct row, `∂z += ∂a W_userᵀ` (items: `∂b W_itemᵀ`), `∂W_user = Σ z ∂aᵀ`, `∂bias = Σ
//! ∂a`.

use std::sync::Arc;

use burn::tensor::Tensor;
use rayon::prelude::*;

use super::softplus::mean_softplus;
use super::triples::Triples;
use crate::autodiff::{Operator, apply5};
use crate::dense::gemm::product;
use crate::simd::f32x16::F32x16;
use crate::simd::isa::Isa;
use crate::simd::kernel::kernel;
use crate::simd::slices::sum16;
use crate::tensor::dense::Dense;
use crate::tensor::row_groups::{BLOCK, RowGroups, TablePart};

/// As [`bpr_dot`](crate::bpr_dot) with a hidden layer: mean of `softplus(y_un - y_up)`, `[1]`, with `y_ui =
/// out · ReLU(z_u W_user + bias + z_i W_item)`; `table [N, D]`, `w_user [D, h]`, `w_item [D, h]`, `bias [h]`,
/// `out [h]`. Gradients to all five.
///
/// # Panics
/// When the batch is empty, its lists differ in length, a row is not below `N`, or the shapes do not fit.
pub fn bpr_pair_mlp(
    table: Tensor<2>,
    w_user: Tensor<2>,
    w_item: Tensor<2>,
    bias: Tensor<1>,
    out: Tensor<1>,
    t: &Arc<Triples>,
) -> Tensor<1> {
    apply5(Pair(t.clone()), table, [w_user, w_item], [bias, out])
}

/// The loss of a batch.
#[derive(Debug)]
struct Pair(Arc<Triples>);

/// The distinct rows of one side of the batch.
#[derive(Debug, Clone)]
struct Side {
    groups: RowGroups,
    /// The distinct row of each position of the batch.
    slots: Vec<u32>,
    /// Hidden values of the distinct rows, `[rows, h]`.
    hidden: Vec<f32>,
}

impl Side {
    /// Hidden values `z w + bias`: `z [N, d]`, `w [d, h]`.
    fn new(list: impl Iterator<Item = u32>, z: &[f32], d: usize, w: &[f32], bias: &[f32]) -> Self {
        let (groups, h) = (RowGroups::new(list), bias.len());
        let mut hidden = vec![0f32; groups.rows().len() * h];
        hidden.par_chunks_mut(BLOCK * h).zip(groups.rows().par_chunks(BLOCK)).for_each(|(out, rows)| {
            let x = gathered(z, d, rows);
            out.chunks_exact_mut(h).for_each(|out| out.copy_from_slice(bias));
            product(rows.len(), h, d, out, true, (&x, [d as isize, 1]), (w, [h as isize, 1]));
        });
        Self { slots: groups.slots(), groups, hidden }
    }

    #[inline(always)]
    fn row(&self, position: usize, h: usize) -> &[f32] {
        let at = self.slots[position] as usize * h;
        &self.hidden[at..at + h]
    }
}

fn gathered(z: &[f32], d: usize, rows: &[u32]) -> Vec<f32> {
    let mut out = Vec::with_capacity(rows.len() * d);
    rows.iter().for_each(|&r| out.extend_from_slice(&z[r as usize * d..(r as usize + 1) * d]));
    out
}

/// What the forward pass keeps of the batch.
#[derive(Debug, Clone)]
struct Hidden {
    users: Side,
    /// Positions are the positives, then the negatives.
    items: Side,
    /// `σ(x)/b` of each triple.
    slopes: Vec<f32>,
}

#[inline(always)]
fn margins_body<V: F32x16>(users: &Side, items: &Side, w: &[f32], first: usize, out: &mut [f32]) {
    let (b, h) = (users.slots.len(), w.len());
    for (k, out) in (first..).zip(out) {
        let (a, p, n) = (users.row(k, h), items.row(k, h), items.row(b + k, h));
        let mut lanes = [0f32; 16];
        let (w16, wr) = w.as_chunks::<16>();
        let ((a16, ar), (p16, pr), (n16, nr)) =
            (a.as_chunks::<16>(), p.as_chunks::<16>(), n.as_chunks::<16>());
        for (((w, a), p), n) in w16.iter().zip(a16).zip(p16).zip(n16) {
            for t in 0..16 {
                lanes[t] += w[t] * ((a[t] + n[t]).max(0.0) - (a[t] + p[t]).max(0.0));
            }
        }
        let mut rest = 0.0;
        for (((w, a), p), n) in wr.iter().zip(ar).zip(pr).zip(nr) {
            rest += w * ((a + n).max(0.0) - (a + p).max(0.0));
        }
        *out = sum16(lanes) + rest;
    }
}

kernel! {
    /// `y_un - y_up` of the triples from `first` on.
    fn margins = margins_body(users: &Side, items: &Side, w: &[f32], first: usize, out: &mut [f32])
}

#[inline(always)]
fn out_slope_body<V: F32x16>(s: &Hidden, first: usize, count: usize, scale: f32, out: &mut [f32]) {
    let (b, h) = (s.slopes.len(), out.len());
    for k in first..first + count {
        let c = scale * s.slopes[k];
        let rows = s.users.row(k, h).iter().zip(s.items.row(k, h)).zip(s.items.row(b + k, h));
        for (o, ((a, p), n)) in out.iter_mut().zip(rows) {
            *o += c * ((a + n).max(0.0) - (a + p).max(0.0));
        }
    }
}

kernel! {
    /// Adds `∂out` of `count` triples from `first` on.
    fn out_slope = out_slope_body(s: &Hidden, first: usize, count: usize, scale: f32, out: &mut [f32])
}

#[inline(always)]
fn user_slopes_body<V: F32x16>(s: &Hidden, w: &[f32], scale: f32, first: usize, out: &mut [f32]) {
    let (b, h) = (s.slopes.len(), w.len());
    for (at, out) in (first..).zip(out.chunks_exact_mut(h)) {
        for &k in s.users.groups.positions(at) {
            let k = k as usize;
            let c = scale * s.slopes[k];
            let rows = s.users.row(k, h).iter().zip(s.items.row(k, h)).zip(s.items.row(b + k, h));
            for ((o, w), ((a, p), n)) in out.iter_mut().zip(w).zip(rows) {
                let (up, down) = (f32::from(a + n > 0.0), f32::from(a + p > 0.0));
                *o += c * w * (up - down);
            }
        }
    }
}

kernel! {
    /// Adds `∂a` of the distinct users from `first` on, `[_, h]`.
    fn user_slopes = user_slopes_body(s: &Hidden, w: &[f32], scale: f32, first: usize, out: &mut [f32])
}

#[inline(always)]
fn item_slopes_body<V: F32x16>(s: &Hidden, w: &[f32], scale: f32, first: usize, out: &mut [f32]) {
    let (b, h) = (s.slopes.len(), w.len());
    for (at, out) in (first..).zip(out.chunks_exact_mut(h)) {
        for &position in s.items.groups.positions(at) {
            let k = position as usize % b;
            let c = if (position as usize) < b { -scale } else { scale } * s.slopes[k];
            let rows = s.users.row(k, h).iter().zip(s.items.row(position as usize, h));
            for ((o, w), (a, i)) in out.iter_mut().zip(w).zip(rows) {
                *o += if a + i > 0.0 { c * w } else { 0.0 };
            }
        }
    }
}

kernel! {
    /// Adds `∂b` of the distinct items from `first` on, `[_, h]`.
    fn item_slopes = item_slopes_body(s: &Hidden, w: &[f32], scale: f32, first: usize, out: &mut [f32])
}

/// Values of the five tensors.
struct Values<'a> {
    z: &'a [f32],
    d: usize,
    w_user: &'a [f32],
    w_item: &'a [f32],
    bias: &'a [f32],
    out: &'a [f32],
}

impl<'a> Values<'a> {
    fn new(all: &'a [Dense; 5]) -> Self {
        let [table, w_user, w_item, bias, out] = all;
        check([table, w_user, w_item].map(|x| [x.rows(), x.cols()]), [bias, out].map(|x| x.data().len()));
        let [w_user, w_item, bias, out] = [w_user, w_item, bias, out].map(Dense::data);
        Self { z: table.data(), d: table.cols(), w_user, w_item, bias, out }
    }
}

/// Checks the shapes of table and weights, and the lengths of bias and output weights.
///
/// # Panics
/// When they do not fit.
fn check([[_, d], user, item]: [[usize; 2]; 3], [h, out]: [usize; 2]) {
    for (name, found) in [("user", user), ("item", item)] {
        assert!(found == [d, h], "the {name} weight is [{d}, {h}], not {found:?}");
    }
    assert_eq!(out, h, "as many output weights as hidden units");
}

fn hidden(all: &[Dense; 5], t: &Triples) -> (f32, Hidden) {
    t.check(all[0].rows());
    let v = Values::new(all);
    let users = Side::new(t.users.iter().copied(), v.z, v.d, v.w_user, v.bias);
    let items = t.positives.iter().chain(&t.negatives).copied();
    let items = Side::new(items, v.z, v.d, v.w_item, &vec![0.0; v.bias.len()]);
    let mut slopes = vec![0f32; t.len()];
    slopes
        .par_chunks_mut(BLOCK)
        .enumerate()
        .for_each(|(at, out)| margins(Isa::best(), &users, &items, v.out, at * BLOCK, out));
    let loss = mean_softplus(&mut slopes);
    (loss as f32, Hidden { users, items, slopes })
}

/// Adds `parts`, all of one length, in their order.
fn sum(parts: Vec<Vec<f32>>) -> Vec<f32> {
    let mut parts = parts.into_iter();
    let mut sum = parts.next().unwrap_or_default();
    parts.for_each(|part| sum.iter_mut().zip(part).for_each(|(s, p)| *s += p));
    sum
}

/// The backward pass of one side: `∂W [d, h]` and the sum of the hidden slopes `[h]`; adds the gradients of
/// the rows to `table` if there is one. `slopes(first, out)` computes the hidden slopes of the distinct rows
/// from `first` on.
fn backward_side(
    side: &Side,
    v: &Values<'_>,
    w: &[f32],
    table: Option<&mut [f32]>,
    slopes: impl Fn(usize, &mut [f32]) + Sync,
) -> (Vec<f32>, Vec<f32>) {
    let (d, h, groups) = (v.d, v.bias.len(), &side.groups);
    let one = |from: usize, part: Option<TablePart<'_>>| {
        let rows = &groups.rows()[from..(from + BLOCK).min(groups.rows().len())];
        let mut s = vec![0f32; rows.len() * h];
        slopes(from, &mut s);
        let mut bias = vec![0f32; h];
        s.chunks_exact(h).for_each(|s| bias.iter_mut().zip(s).for_each(|(b, s)| *b += s));
        let mut x = gathered(v.z, d, rows);
        let mut weight = vec![0f32; d * h];
        product(d, h, rows.len(), &mut weight, false, (&x, [1, d as isize]), (&s, [h as isize, 1]));
        if let Some(mut part) = part {
            product(rows.len(), d, h, &mut x, false, (&s, [h as isize, 1]), (w, [1, h as isize]));
            for (&r, x) in rows.iter().zip(x.chunks_exact(d)) {
                part.row(r).iter_mut().zip(x).for_each(|(o, x)| *o += x);
            }
        }
        (weight, bias)
    };
    let parts: Vec<_> = match table {
        Some(table) => {
            let parts = groups.parts(table, d);
            parts.into_par_iter().with_max_len(1).map(|part| one(part.span.start, Some(part))).collect()
        }
        None => {
            let starts: Vec<usize> = (0..groups.rows().len()).step_by(BLOCK).collect();
            starts.into_par_iter().with_max_len(1).map(|from| one(from, None)).collect()
        }
    };
    let (weights, biases) = parts.into_iter().unzip();
    (sum(weights), sum(biases))
}

impl Operator<5> for Pair {
    type Saved = ([Dense; 5], Hidden);

    fn forward(&self, all: [Dense; 5], _: bool) -> (Dense, Self::Saved) {
        let (loss, hidden) = hidden(&all, &self.0);
        (Dense::new(vec![loss], [1]), (all, hidden))
    }

    fn backward(&self, (all, s): Self::Saved, grad: Dense, needs: [bool; 5]) -> [Option<Dense>; 5] {
        let scale = grad.data()[0];
        let v = Values::new(&all);
        let (n, d, h) = (all[0].rows(), v.d, v.bias.len());
        let blocks: Vec<usize> = (0..s.slopes.len()).step_by(BLOCK).collect();
        let d_out = blocks.into_par_iter().map(|first| {
            let mut part = vec![0f32; h];
            out_slope(Isa::best(), &s, first, BLOCK.min(s.slopes.len() - first), scale, &mut part);
            part
        });
        let d_out = sum(d_out.collect());
        let mut d_table = needs[0].then(|| vec![0f32; n * d]);
        let (d_user, d_bias) = backward_side(&s.users, &v, v.w_user, d_table.as_deref_mut(), |first, out| {
            user_slopes(Isa::best(), &s, v.out, scale, first, out);
        });
        let (d_item, _) = backward_side(&s.items, &v, v.w_item, d_table.as_deref_mut(), |first, out| {
            item_slopes(Isa::best(), &s, v.out, scale, first, out);
        });
        [
            d_table.map(|values| Dense::new(values, [n, d])),
            Some(Dense::new(d_user, [d, h])),
            Some(Dense::new(d_item, [d, h])),
            Some(Dense::new(d_bias, [h])),
            Some(Dense::new(d_out, [h])),
        ]
    }
}

#[cfg(feature = "gpu")]
mod gpu;
