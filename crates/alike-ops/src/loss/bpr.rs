//! Bayesian personalised ranking, fused: gather the rows of a batch, its loss, and back.
//!
//! For triples `(u, p, n)` of rows of a table `Z [N, D]` and a batch of `b`: `loss = 1/b Σ softplus(x)` with
//! `x = y_un - y_up` and `y_ui = z_u · z_i`. With `c = σ(x)/b · ∂loss`: `∂z_u += c (z_n - z_p)`, `∂z_p -= c z_u`,
//! `∂z_n += c z_u`. Squared norms: `∂e += 2 s e` for every use of a row. The gradient of a table is dense; each
//! touched row is summed in the order of the batch, and losses are summed in double precision over fixed blocks.

use std::sync::Arc;

use burn::tensor::Tensor;
use rayon::prelude::*;

use crate::Dense;
use crate::extension::{Operator, apply1, apply2};
use crate::simd::{axpy, dispatch, dot};
use crate::touched::{Part, Touched};

/// A batch: rows of the table that hold users, positives and negatives, all of one length.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Triples {
    /// Rows of users.
    pub users: Vec<u32>,
    /// Rows of items that the users took.
    pub positives: Vec<u32>,
    /// Rows of items that they did not take.
    pub negatives: Vec<u32>,
}

impl Triples {
    /// Number of triples.
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// Panics unless there is a triple, the lists are of one length, and all rows are below `rows`.
    pub(crate) fn check(&self, rows: usize) {
        let b = self.len();
        assert!(b > 0, "a batch has at least one triple");
        assert!(self.positives.len() == b && self.negatives.len() == b, "{b} users need as many items");
        assert!(self.all().all(|r| (r as usize) < rows), "every row of the batch is below {rows}");
    }

    /// Users, then positives, then negatives.
    fn all(&self) -> impl Iterator<Item = u32> {
        self.users.iter().chain(&self.positives).chain(&self.negatives).copied()
    }
}

/// Mean over the batch of `softplus(z_u · z_n - z_u · z_p)`, `[1]`; `table [N, D]`.
///
/// Panics when the batch is empty, its lists differ in length, or a row is not below `N`.
pub fn bpr_dot(table: Tensor<2>, t: &Arc<Triples>) -> Tensor<1> {
    bpr_dot_own_l2(table, t, 0.0)
}

/// [`bpr_dot`] of `table` + `l2/b · Σ (‖z_u‖² + ‖z_p‖² + ‖z_n‖²)` over the batch's rows of it.
///
/// Panics as [`bpr_dot`] does.
pub fn bpr_dot_own_l2(table: Tensor<2>, t: &Arc<Triples>, l2: f32) -> Tensor<1> {
    apply1(Bpr { t: t.clone(), l2 }, table)
}

/// [`bpr_dot`] of `table` + `l2/b · Σ (‖e_u‖² + ‖e_p‖² + ‖e_n‖²)` over the batch's rows of another table `ego [N, d]`.
///
/// Panics as [`bpr_dot`] does.
pub fn bpr_dot_l2(table: Tensor<2>, ego: Tensor<2>, t: &Arc<Triples>, l2: f32) -> Tensor<1> {
    apply2(Bpr { t: t.clone(), l2 }, table, ego)
}

/// `scale · Σ_r ‖table[rows[r]]‖²`, `[1]`; a row that stands twice counts twice.
///
/// Panics when a row is not below `N`.
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

/// Triples, or rows, that a task handles.
const BLOCK: usize = 256;

/// `ln(1 + eˣ)` and its derivative `σ(x)`, without overflow.
pub(crate) fn softplus(x: f32) -> (f64, f64) {
    let x = f64::from(x);
    let e = (-x.abs()).exp();
    (x.max(0.0) + e.ln_1p(), if x >= 0.0 { 1.0 } else { e } / (1.0 + e))
}

/// Mean softplus of the margins, which become its slopes `σ(x)/b`.
pub(crate) fn mean_softplus(margins: &mut [f32]) -> f64 {
    let b = margins.len() as f64;
    let blocks: Vec<f64> = margins
        .par_chunks_mut(4 * BLOCK)
        .map(|block| {
            let mut sum = 0.0;
            for x in block {
                let (loss, slope) = softplus(*x);
                sum += loss;
                *x = (slope / b) as f32;
            }
            sum
        })
        .collect();
    blocks.into_iter().sum::<f64>() / b
}

/// A table as its values and its width.
#[derive(Clone, Copy)]
struct Table<'a>(&'a [f32], usize);

impl<'a> Table<'a> {
    fn of(x: &'a Dense) -> Self {
        Self(x.data(), x.cols())
    }

    #[inline(always)]
    fn row(self, r: u32) -> &'a [f32] {
        &self.0[r as usize * self.1..(r as usize + 1) * self.1]
    }
}

#[inline(always)]
fn margins_body<const F: bool>(z: Table<'_>, t: &Triples, first: usize, out: &mut [f32]) {
    for (k, out) in (first..).zip(out) {
        let u = z.row(t.users[k]);
        *out = dot::<F>(u, z.row(t.negatives[k])) - dot::<F>(u, z.row(t.positives[k]));
    }
}

dispatch! {
    /// `y_un - y_up` of the triples from `first` on.
    fn margins = margins_body(z: Table<'_>, t: &Triples, first: usize, out: &mut [f32])
}

#[inline(always)]
fn squares_body<const F: bool>(e: Table<'_>, rows: &[u32]) -> f64 {
    // Loops, not adapters: a closure that is not inlined would lose the instruction set.
    let mut sum = 0.0;
    for &r in rows {
        sum += f64::from(dot::<F>(e.row(r), e.row(r)));
    }
    sum
}

dispatch! {
    /// Sum of the squared norms of some rows.
    fn squares = squares_body(e: Table<'_>, rows: &[u32]) -> f64
}

fn all_squares(e: Table<'_>, rows: &[u32]) -> f64 {
    let blocks: Vec<f64> = rows.par_chunks(4 * BLOCK).map(|rows| squares(e, rows)).collect();
    blocks.into_iter().sum()
}

/// What the backward pass of the loss needs beside the table.
#[derive(Clone, Copy)]
struct Slopes<'a> {
    t: &'a Triples,
    /// `c` of each triple but for the factor `scale`.
    slopes: &'a [f32],
    scale: f32,
}

#[inline(always)]
fn add_loss_body<const F: bool>(touched: &Touched, part: &mut Part<'_>, z: Table<'_>, s: Slopes<'_>) {
    let b = s.t.len();
    for at in part.span.clone() {
        let out = part.row(touched.rows()[at]);
        for &place in touched.places(at) {
            let (role, k) = (place as usize / b, place as usize % b);
            let c = s.scale * s.slopes[k];
            match role {
                0 => {
                    let difference = z.row(s.t.negatives[k]).iter().zip(z.row(s.t.positives[k]));
                    for (o, (n, p)) in out.iter_mut().zip(difference) {
                        *o += c * (n - p);
                    }
                }
                1 => axpy::<F>(-c, z.row(s.t.users[k]), out),
                _ => axpy::<F>(c, z.row(s.t.users[k]), out),
            }
        }
    }
}

dispatch! {
    /// Adds the loss's gradient to the rows of one part of the table's gradient.
    fn add_loss = add_loss_body(touched: &Touched, part: &mut Part<'_>, z: Table<'_>, s: Slopes<'_>)
}

#[inline(always)]
fn add_squares_body<const F: bool>(touched: &Touched, part: &mut Part<'_>, e: Table<'_>, scale: f32) {
    for at in part.span.clone() {
        let r = touched.rows()[at];
        axpy::<F>(2.0 * scale * touched.places(at).len() as f32, e.row(r), part.row(r));
    }
}

dispatch! {
    /// Adds `2 · scale · e` for each use of a row.
    fn add_squares = add_squares_body(touched: &Touched, part: &mut Part<'_>, e: Table<'_>, scale: f32)
}

/// Loss, and the slopes of the triples.
fn loss(table: &Dense, ego: &Dense, t: &Triples, l2: f32) -> (Dense, Vec<f32>) {
    let z = Table::of(table);
    t.check(table.rows());
    let mut slopes = vec![0f32; t.len()];
    slopes.par_chunks_mut(BLOCK).enumerate().for_each(|(at, out)| margins(z, t, at * BLOCK, out));
    let mut loss = mean_softplus(&mut slopes);
    if l2 != 0.0 {
        t.check(ego.rows());
        let e = Table::of(ego);
        let sum: f64 = [&t.users, &t.positives, &t.negatives].map(|rows| all_squares(e, rows)).iter().sum();
        loss += f64::from(l2) / t.len() as f64 * sum;
    }
    (Dense::new(vec![loss as f32], [1]), slopes)
}

/// A dense gradient of the shape of `like`, each part of it filled by `fill`.
fn gradient(like: &Dense, touched: &Touched, fill: impl Fn(&mut Part<'_>) + Sync) -> Dense {
    let (rows, width) = (like.rows(), like.cols());
    let mut out = vec![0f32; rows * width];
    touched.parts(&mut out, width).into_par_iter().with_max_len(1).for_each(|mut part| fill(&mut part));
    Dense::new(out, [rows, width])
}

/// Tables, and the slopes of the triples.
type Kept<const N: usize> = ([Dense; N], Vec<f32>);

impl Operator<1> for Bpr {
    type Saved = Kept<1>;

    fn forward(&self, [table]: [Dense; 1], _: bool) -> (Dense, Kept<1>) {
        let (loss, slopes) = loss(&table, &table, &self.t, self.l2);
        (loss, ([table], slopes))
    }

    fn backward(&self, ([table], slopes): Kept<1>, grad: Dense, [needed]: [bool; 1]) -> [Option<Dense>; 1] {
        let scale = grad.data()[0];
        let (z, touched) = (Table::of(&table), Touched::new(self.t.all()));
        let (s, norms) =
            (Slopes { t: &self.t, slopes: &slopes, scale }, scale * self.l2 / self.t.len() as f32);
        let fill = |part: &mut Part<'_>| {
            add_loss(&touched, part, z, s);
            if norms != 0.0 {
                add_squares(&touched, part, z, norms);
            }
        };
        [needed.then(|| gradient(&table, &touched, fill))]
    }
}

impl Operator<2> for Bpr {
    type Saved = Kept<2>;

    fn forward(&self, [table, ego]: [Dense; 2], _: bool) -> (Dense, Kept<2>) {
        let (loss, slopes) = loss(&table, &ego, &self.t, self.l2);
        (loss, ([table, ego], slopes))
    }

    fn backward(&self, ([table, ego], slopes): Kept<2>, grad: Dense, needs: [bool; 2]) -> [Option<Dense>; 2] {
        let scale = grad.data()[0];
        let touched = Touched::new(self.t.all());
        let (s, norms) =
            (Slopes { t: &self.t, slopes: &slopes, scale }, scale * self.l2 / self.t.len() as f32);
        let to_table = |part: &mut Part<'_>| add_loss(&touched, part, Table::of(&table), s);
        let to_ego = |part: &mut Part<'_>| add_squares(&touched, part, Table::of(&ego), norms);
        [
            needs[0].then(|| gradient(&table, &touched, to_table)),
            needs[1].then(|| gradient(&ego, &touched, to_ego)),
        ]
    }
}

impl Operator<1> for Squares {
    type Saved = Dense;

    fn forward(&self, [table]: [Dense; 1], _: bool) -> (Dense, Dense) {
        let sum = f64::from(self.scale) * all_squares(Table::of(&table), &self.rows);
        (Dense::new(vec![sum as f32], [1]), table)
    }

    fn backward(&self, table: Dense, grad: Dense, [needed]: [bool; 1]) -> [Option<Dense>; 1] {
        let touched = Touched::new(self.rows.iter().copied());
        let scale = grad.data()[0] * self.scale;
        let fill = |part: &mut Part<'_>| add_squares(&touched, part, Table::of(&table), scale);
        [needed.then(|| gradient(&table, &touched, fill))]
    }
}

#[cfg(feature = "gpu")]
pub(crate) mod gpu;
#[cfg(test)]
mod tests {
    use super::softplus;

    #[test]
    fn softplus_is_stable_and_its_slope_is_its_derivative() {
        assert_eq!(softplus(0.0).1, 0.5);
        assert_eq!(softplus(1e30), (f64::from(1e30f32), 1.0));
        assert_eq!(softplus(f32::NEG_INFINITY), (0.0, 0.0));
        assert!((softplus(-40.0).0 / (-40f64).exp() - 1.0).abs() < 1e-12);
        assert!(softplus(f32::NAN).0.is_nan());
        for x in [-20f32, -3.0, -0.5, 0.25, 4.0, 30.0] {
            let (up, down) = (softplus(x + 0.125).0, softplus(x - 0.125).0);
            let slope = softplus(x).1;
            assert!(
                ((up - down) / 0.25 - slope).abs() < 2e-3 * slope.max(1e-9) + 1e-3 * slope * (1.0 - slope)
            );
        }
    }
}
