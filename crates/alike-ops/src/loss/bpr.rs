//! Bayesian personalised ranking, fused: rows of a batch gathered, its loss, and the gradients scattered
//! back.
//!
//! For triples `(u, p, n)` of rows of a table `Z [N, D]` and a batch of `b`: `loss = 1/b Σ softplus(x)` with
//! `x = y_un - y_up` and `y_ui = z_u · z_i`. With `c = σ(x)/b · ∂loss`: `∂z_u += c (z_n - z_p)`, `∂z_p -= c
//! z_u`, `∂z_n += c z_u`. Squared norms: `∂e += 2 s e` for every use of a row. The gradient of a table is
//! dense; each row of the batch is summed in the order of the batch, and losses are summed in double
//! precision over fixed blocks.

use std::sync::Arc;

use burn::tensor::Tensor;
use rayon::prelude::*;

use super::softplus::mean_softplus;
use super::triples::Triples;
use crate::autodiff::{Operator, apply1, apply2};
use crate::simd::f32x16::F32x16;
use crate::simd::isa::Isa;
use crate::simd::kernel::kernel;
use crate::simd::slices::{axpy, dot};
use crate::tensor::dense::Dense;
use crate::tensor::row_groups::{RowGroups, TablePart};

/// Mean over the batch of `softplus(z_u · z_n - z_u · z_p)`, `[1]`; `table [N, D]`.
///
/// # Panics
/// When the batch is empty, its lists differ in length, or a row is not below `N`.
pub fn bpr_dot(table: Tensor<2>, t: &Arc<Triples>) -> Tensor<1> {
    bpr_dot_own_l2(table, t, 0.0)
}

/// [`bpr_dot`] of `table` + `l2/b · Σ (‖z_u‖² + ‖z_p‖² + ‖z_n‖²)` over the batch's rows of it.
///
/// # Panics
/// As [`bpr_dot`] does.
pub fn bpr_dot_own_l2(table: Tensor<2>, t: &Arc<Triples>, l2: f32) -> Tensor<1> {
    apply1(Bpr { t: t.clone(), l2 }, table)
}

/// [`bpr_dot`] of `table` + `l2/b · Σ (‖e_u‖² + ‖e_p‖² + ‖e_n‖²)` over the batch's rows of another table `ego
/// [N, d]`.
///
/// # Panics
/// As [`bpr_dot`] does.
pub fn bpr_dot_l2(table: Tensor<2>, ego: Tensor<2>, t: &Arc<Triples>, l2: f32) -> Tensor<1> {
    apply2(Bpr { t: t.clone(), l2 }, table, ego)
}

/// `scale · Σ_r ‖table[rows[r]]‖²`, `[1]`; a row that occurs twice counts twice.
///
/// # Panics
/// When a row is not below `N`.
pub fn l2_rows(table: Tensor<2>, rows: &Arc<Vec<u32>>, scale: f32) -> Tensor<1> {
    apply1(Squares { rows: rows.clone(), scale }, table)
}

/// The loss over one table, or over one and the norms of another.
#[derive(Debug)]
struct Bpr {
    t: Arc<Triples>,
    l2: f32,
}

/// Squared norms of rows.
#[derive(Debug)]
struct Squares {
    rows: Arc<Vec<u32>>,
    scale: f32,
}

/// Triples or rows per task.
const BLOCK: usize = 256;

/// A table as its values and its width.
#[derive(Clone, Copy)]
struct Table<'a>(&'a [f32], usize);

impl<'a> Table<'a> {
    fn new(x: &'a Dense) -> Self {
        Self(x.data(), x.cols())
    }

    #[inline(always)]
    fn row(self, r: u32) -> &'a [f32] {
        &self.0[r as usize * self.1..(r as usize + 1) * self.1]
    }
}

#[inline(always)]
fn margins_body<V: F32x16>(z: Table<'_>, t: &Triples, first: usize, out: &mut [f32]) {
    for (k, out) in (first..).zip(out) {
        let u = z.row(t.users[k]);
        *out = dot::<V>(u, z.row(t.negatives[k])) - dot::<V>(u, z.row(t.positives[k]));
    }
}

kernel! {
    /// `y_un - y_up` of the triples from `first` on.
    fn margins = margins_body(z: Table<'_>, t: &Triples, first: usize, out: &mut [f32])
}

#[inline(always)]
fn squares_body<V: F32x16>(e: Table<'_>, rows: &[u32]) -> f64 {
    // Loops, not adapters: a closure that is not inlined would lose the instruction set.
    let mut sum = 0.0;
    for &r in rows {
        sum += f64::from(dot::<V>(e.row(r), e.row(r)));
    }
    sum
}

kernel! {
    /// Sum of the squared norms of some rows.
    fn squares = squares_body(e: Table<'_>, rows: &[u32]) -> f64
}

fn all_squares(e: Table<'_>, rows: &[u32]) -> f64 {
    let blocks: Vec<f64> = rows.par_chunks(4 * BLOCK).map(|rows| squares(Isa::best(), e, rows)).collect();
    blocks.into_iter().sum()
}

/// What the backward pass of the loss needs apart from the table.
#[derive(Clone, Copy)]
struct Slopes<'a> {
    t: &'a Triples,
    /// `c` of each triple without the factor `scale`.
    slopes: &'a [f32],
    scale: f32,
}

#[inline(always)]
fn add_loss_body<V: F32x16>(groups: &RowGroups, part: &mut TablePart<'_>, z: Table<'_>, s: Slopes<'_>) {
    let b = s.t.len();
    for at in part.span.clone() {
        let out = part.row(groups.rows()[at]);
        for &position in groups.positions(at) {
            let (role, k) = (position as usize / b, position as usize % b);
            let c = s.scale * s.slopes[k];
            match role {
                0 => {
                    let difference = z.row(s.t.negatives[k]).iter().zip(z.row(s.t.positives[k]));
                    for (o, (n, p)) in out.iter_mut().zip(difference) {
                        *o += c * (n - p);
                    }
                }
                1 => axpy::<V>(-c, z.row(s.t.users[k]), out),
                _ => axpy::<V>(c, z.row(s.t.users[k]), out),
            }
        }
    }
}

kernel! {
    /// Adds the gradient of the loss to the rows of one part of the table's gradient.
    fn add_loss = add_loss_body(groups: &RowGroups, part: &mut TablePart<'_>, z: Table<'_>, s: Slopes<'_>)
}

#[inline(always)]
fn add_squares_body<V: F32x16>(groups: &RowGroups, part: &mut TablePart<'_>, e: Table<'_>, scale: f32) {
    for at in part.span.clone() {
        let r = groups.rows()[at];
        axpy::<V>(2.0 * scale * groups.positions(at).len() as f32, e.row(r), part.row(r));
    }
}

kernel! {
    /// Adds `2 · scale · e` for each use of a row.
    fn add_squares = add_squares_body(groups: &RowGroups, part: &mut TablePart<'_>, e: Table<'_>, scale: f32)
}

/// Loss, and the slopes of the triples.
fn loss(table: &Dense, ego: &Dense, t: &Triples, l2: f32) -> (Dense, Vec<f32>) {
    let z = Table::new(table);
    t.check(table.rows());
    let mut slopes = vec![0f32; t.len()];
    slopes
        .par_chunks_mut(BLOCK)
        .enumerate()
        .for_each(|(at, out)| margins(Isa::best(), z, t, at * BLOCK, out));
    let mut loss = mean_softplus(&mut slopes);
    if l2 != 0.0 {
        t.check(ego.rows());
        let e = Table::new(ego);
        let sum: f64 = [&t.users, &t.positives, &t.negatives].map(|rows| all_squares(e, rows)).iter().sum();
        loss += f64::from(l2) / t.len() as f64 * sum;
    }
    (Dense::new(vec![loss as f32], [1]), slopes)
}

/// A dense gradient of the shape of `like`, each part of it filled by `fill`.
fn gradient(like: &Dense, groups: &RowGroups, fill: impl Fn(&mut TablePart<'_>) + Sync) -> Dense {
    let (rows, width) = (like.rows(), like.cols());
    let mut out = vec![0f32; rows * width];
    groups.parts(&mut out, width).into_par_iter().with_max_len(1).for_each(|mut part| fill(&mut part));
    Dense::new(out, [rows, width])
}

/// Tables, and the slopes of the triples.
type SavedLoss<const N: usize> = ([Dense; N], Vec<f32>);

impl Operator<1> for Bpr {
    type Saved = SavedLoss<1>;

    fn forward(&self, [table]: [Dense; 1], _: bool) -> (Dense, SavedLoss<1>) {
        let (loss, slopes) = loss(&table, &table, &self.t, self.l2);
        (loss, ([table], slopes))
    }

    fn backward(
        &self,
        ([table], slopes): SavedLoss<1>,
        grad: Dense,
        [needed]: [bool; 1],
    ) -> [Option<Dense>; 1] {
        let scale = grad.data()[0];
        let (z, groups) = (Table::new(&table), RowGroups::new(self.t.all()));
        let (s, norms) =
            (Slopes { t: &self.t, slopes: &slopes, scale }, scale * self.l2 / self.t.len() as f32);
        let fill = |part: &mut TablePart<'_>| {
            add_loss(Isa::best(), &groups, part, z, s);
            if norms != 0.0 {
                add_squares(Isa::best(), &groups, part, z, norms);
            }
        };
        [needed.then(|| gradient(&table, &groups, fill))]
    }
}

impl Operator<2> for Bpr {
    type Saved = SavedLoss<2>;

    fn forward(&self, [table, ego]: [Dense; 2], _: bool) -> (Dense, SavedLoss<2>) {
        let (loss, slopes) = loss(&table, &ego, &self.t, self.l2);
        (loss, ([table, ego], slopes))
    }

    fn backward(
        &self,
        ([table, ego], slopes): SavedLoss<2>,
        grad: Dense,
        needs: [bool; 2],
    ) -> [Option<Dense>; 2] {
        let scale = grad.data()[0];
        let groups = RowGroups::new(self.t.all());
        let (s, norms) =
            (Slopes { t: &self.t, slopes: &slopes, scale }, scale * self.l2 / self.t.len() as f32);
        let to_table = |part: &mut TablePart<'_>| add_loss(Isa::best(), &groups, part, Table::new(&table), s);
        let to_ego =
            |part: &mut TablePart<'_>| add_squares(Isa::best(), &groups, part, Table::new(&ego), norms);
        [
            needs[0].then(|| gradient(&table, &groups, to_table)),
            needs[1].then(|| gradient(&ego, &groups, to_ego)),
        ]
    }
}

impl Operator<1> for Squares {
    type Saved = Dense;

    fn forward(&self, [table]: [Dense; 1], _: bool) -> (Dense, Dense) {
        let sum = f64::from(self.scale) * all_squares(Table::new(&table), &self.rows);
        (Dense::new(vec![sum as f32], [1]), table)
    }

    fn backward(&self, table: Dense, grad: Dense, [needed]: [bool; 1]) -> [Option<Dense>; 1] {
        let groups = RowGroups::new(self.rows.iter().copied());
        let scale = grad.data()[0] * self.scale;
        let fill =
            |part: &mut TablePart<'_>| add_squares(Isa::best(), &groups, part, Table::new(&table), scale);
        [needed.then(|| gradient(&table, &groups, fill))]
    }
}

#[cfg(feature = "gpu")]
mod gpu;
