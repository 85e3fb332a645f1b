//! Bayesian personalised ranking, fused: gather the rows of a batch, its loss, and back.
//!
//! For triples `(u, p, n)` of rows of a table `Z [N, D]` and a batch of `b`: `loss = 1/b Σ softplus(y_un - y_up)`
//! with `y_ui = z_u · z_i`, or `y_ui = out · ReLU(z_u W_user + bias + z_i W_item)`. The gradient of the table is
//! dense; each touched row is the sum of its triples' parts in the order of the batch.

use std::sync::Arc;

use burn::backend::autodiff::{
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::{
    Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension, tensor::FloatTensor,
};
use burn::tensor::Tensor;
use rayon::prelude::*;

use crate::flex::{dense, slice, vector};
use crate::linear::product;
use crate::simd::{axpy, dispatch, dot};

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

    fn parts(&self) -> [&[u32]; 3] {
        [&self.users, &self.positives, &self.negatives]
    }
}

/// Mean over the batch of `softplus(z_u · z_n - z_u · z_p)`, `[1]`; `table [N, D]`.
pub fn bpr_dot(table: Tensor<2>, t: &Arc<Triples>) -> Tensor<1> {
    Tensor::from_dispatch(<Dispatch as BprOps>::bpr(table.into_dispatch(), t.clone()))
}

/// `scale · Σ_r ‖table[rows[r]]‖²`, `[1]`; a row that stands twice counts twice.
pub fn l2_rows(table: Tensor<2>, rows: &Arc<Vec<u32>>, scale: f32) -> Tensor<1> {
    Tensor::from_dispatch(<Dispatch as BprOps>::l2(table.into_dispatch(), rows.clone(), scale))
}

/// [`bpr_dot`] of `table` + `l2/b · Σ (‖e_u‖² + ‖e_p‖² + ‖e_n‖²)` over the batch's rows of `ego [N, d]`.
pub fn bpr_dot_l2(table: Tensor<2>, ego: Tensor<2>, t: &Arc<Triples>, l2: f32) -> Tensor<1> {
    let loss = bpr_dot(table, t);
    if l2 == 0.0 || t.is_empty() {
        return loss;
    }
    let rows: Vec<u32> = t.parts().concat();
    loss + l2_rows(ego, &Arc::new(rows), l2 / t.len() as f32)
}

/// As [`bpr_dot`] with a hidden layer: `w_user [D, h]`, `w_item [D, h]`, `bias [h]`, `out [h]`.
pub fn bpr_pair_mlp(
    table: Tensor<2>,
    w_user: Tensor<2>,
    w_item: Tensor<2>,
    bias: Tensor<1>,
    out: Tensor<1>,
    t: &Arc<Triples>,
) -> Tensor<1> {
    let [w_user, w_item] = [w_user, w_item].map(Tensor::into_dispatch);
    let [bias, out] = [bias, out].map(Tensor::into_dispatch);
    Tensor::from_dispatch(<Dispatch as BprOps>::pair(
        table.into_dispatch(),
        w_user,
        w_item,
        bias,
        out,
        t.clone(),
    ))
}

type Five<B> = (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>, FloatTensor<B>, FloatTensor<B>);

/// The operators on backend tensors.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait BprOps: Backend {
    fn bpr(table: FloatTensor<Self>, t: Arc<Triples>) -> FloatTensor<Self>;
    fn bpr_backward(g: FloatTensor<Self>, table: FloatTensor<Self>, t: Arc<Triples>) -> FloatTensor<Self>;
    fn l2(table: FloatTensor<Self>, rows: Arc<Vec<u32>>, scale: f32) -> FloatTensor<Self>;
    fn l2_backward(
        g: FloatTensor<Self>,
        table: FloatTensor<Self>,
        rows: Arc<Vec<u32>>,
        scale: f32,
    ) -> FloatTensor<Self>;
    fn pair(
        table: FloatTensor<Self>,
        w_user: FloatTensor<Self>,
        w_item: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        out: FloatTensor<Self>,
        t: Arc<Triples>,
    ) -> FloatTensor<Self>;
    #[allow(clippy::type_complexity)]
    fn pair_backward(
        g: FloatTensor<Self>,
        table: FloatTensor<Self>,
        w_user: FloatTensor<Self>,
        w_item: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        out: FloatTensor<Self>,
        t: Arc<Triples>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

/// `ln(1 + eˣ)` without overflow.
fn softplus(x: f32) -> f64 {
    let x = f64::from(x);
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// Its derivative.
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// Triples a task handles.
const BLOCK: usize = 256;

#[inline(always)]
fn margins_body<const F: bool>(z: &[f32], d: usize, t: [&[u32]; 3], out: &mut [f32]) {
    let row = |r: u32| &z[r as usize * d..(r as usize + 1) * d];
    for (k, out) in out.iter_mut().enumerate() {
        let u = row(t[0][k]);
        *out = dot::<F>(u, row(t[2][k])) - dot::<F>(u, row(t[1][k]));
    }
}

dispatch! {
    /// `y_un - y_up` of each triple.
    fn margins = margins_body(z: &[f32], d: usize, t: [&[u32]; 3], out: &mut [f32])
}

fn all_margins(z: &[f32], d: usize, t: &Triples) -> Vec<f32> {
    let mut out = vec![0f32; t.len()];
    out.par_chunks_mut(BLOCK).enumerate().for_each(|(block, out)| {
        let span = block * BLOCK..block * BLOCK + out.len();
        margins(z, d, t.parts().map(|p| &p[span.clone()]), out);
    });
    out
}

fn mean_softplus(margins: &[f32]) -> f32 {
    (margins.iter().map(|&m| softplus(m)).sum::<f64>() / margins.len() as f64) as f32
}

/// Where each touched row is used: row, then places in the order given.
struct Uses {
    places: Vec<(u32, u32)>,
    starts: Vec<usize>,
}

impl Uses {
    fn of(rows: impl Iterator<Item = u32>) -> Self {
        let mut places: Vec<(u32, u32)> = rows.zip(0u32..).collect();
        places.sort_unstable();
        let mut starts: Vec<usize> =
            (0..places.len()).filter(|&k| k == 0 || places[k].0 != places[k - 1].0).collect();
        starts.push(places.len());
        Self { places, starts }
    }

    /// Calls `fill(place, row)` for every use of every touched row of `out`, rows side by side.
    fn scatter(&self, out: &mut [f32], d: usize, fill: impl Fn(u32, &mut [f32]) + Sync) {
        const ROWS: usize = 64;
        let mut rest = out;
        let mut done = 0;
        let mut parts = Vec::new();
        for group in self.starts.windows(2).collect::<Vec<_>>().chunks(ROWS) {
            let first = self.places[group[0][0]].0 as usize;
            let last = self.places[group[group.len() - 1][0]].0 as usize + 1;
            let (part, tail) = rest.split_at_mut((last - done) * d);
            rest = tail;
            parts.push((group[0][0]..group[group.len() - 1][1], first, &mut part[(first - done) * d..]));
            done = last;
        }
        parts.into_par_iter().for_each(|(span, first, part)| {
            for &(row, place) in &self.places[span] {
                let at = (row as usize - first) * d;
                fill(place, &mut part[at..at + d]);
            }
        });
    }
}

#[inline(always)]
fn add_scaled_body<const F: bool>(w: f32, x: &[f32], y: &mut [f32]) {
    axpy::<F>(w, x, y);
}

dispatch! {
    /// `y += w x`.
    fn add_scaled = add_scaled_body(w: f32, x: &[f32], y: &mut [f32])
}

/// Hidden layer of a batch: gathered rows `[b, D]` of users, positives and negatives, and their hidden values
/// before the rectifier, `[b, h]` each for positives and negatives.
struct Hidden {
    rows: [Vec<f32>; 3],
    before: [Vec<f32>; 2],
}

fn gathered(z: &[f32], d: usize, rows: &[u32]) -> Vec<f32> {
    let mut out = vec![0f32; rows.len() * d];
    out.par_chunks_mut(BLOCK * d).zip(rows.par_chunks(BLOCK)).for_each(|(out, rows)| {
        for (out, &r) in out.chunks_exact_mut(d).zip(rows) {
            out.copy_from_slice(&z[r as usize * d..(r as usize + 1) * d]);
        }
    });
    out
}

/// `a [b, k] · w` over blocks of rows; `w` is `[k, n]`, or `[n, k]` read transposed.
fn times(a: &[f32], k: usize, w: &[f32], n: usize, transposed: bool) -> Vec<f32> {
    let mut out = vec![0f32; a.len() / k * n];
    let strides = if transposed { [1, k as isize] } else { [n as isize, 1] };
    out.par_chunks_mut(BLOCK * n).zip(a.par_chunks(BLOCK * k)).for_each(|(out, a)| {
        product(a.len() / k, n, k, out, false, (a, [k as isize, 1]), (w, strides));
    });
    out
}

/// `aᵀ [k, b] · c [b, n]`, summed over fixed blocks of rows in order.
fn outer(a: &[f32], k: usize, c: &[f32], n: usize) -> Vec<f32> {
    let parts: Vec<Vec<f32>> = a
        .par_chunks(BLOCK * k)
        .zip(c.par_chunks(BLOCK * n))
        .map(|(a, c)| {
            let mut part = vec![0f32; k * n];
            product(k, n, a.len() / k, &mut part, false, (a, [1, k as isize]), (c, [n as isize, 1]));
            part
        })
        .collect();
    let mut sum = vec![0f32; k * n];
    for part in parts {
        sum.iter_mut().zip(part).for_each(|(s, p)| *s += p);
    }
    sum
}

fn hidden(z: &[f32], d: usize, w_user: &[f32], w_item: &[f32], bias: &[f32], t: &Triples) -> Hidden {
    let h = bias.len();
    let rows = t.parts().map(|p| gathered(z, d, p));
    let user = times(&rows[0], d, w_user, h, false);
    let before = [1, 2].map(|k| {
        let mut v = times(&rows[k], d, w_item, h, false);
        for (v, u) in v.chunks_exact_mut(h).zip(user.chunks_exact(h)) {
            for ((v, u), b) in v.iter_mut().zip(u).zip(bias) {
                *v += u + b;
            }
        }
        v
    });
    Hidden { rows, before }
}

fn pair_margins(before: &[Vec<f32>; 2], out: &[f32]) -> Vec<f32> {
    let score = |v: &[f32]| v.iter().zip(out).map(|(v, w)| v.max(0.0) * w).sum::<f32>();
    let h = out.len();
    before[0].chunks_exact(h).zip(before[1].chunks_exact(h)).map(|(p, n)| score(n) - score(p)).collect()
}

impl BprOps for Flex {
    fn bpr(table: FloatTensor<Self>, t: Arc<Triples>) -> FloatTensor<Self> {
        let table = table.to_contiguous();
        let d = table.shape()[1];
        vector(vec![mean_softplus(&all_margins(slice(&table), d, &t))])
    }

    fn bpr_backward(g: FloatTensor<Self>, table: FloatTensor<Self>, t: Arc<Triples>) -> FloatTensor<Self> {
        let (g, table) = (g.to_contiguous(), table.to_contiguous());
        let (n, d) = (table.shape()[0], table.shape()[1]);
        let (z, b) = (slice(&table), t.len());
        let scale = slice(&g)[0] / b as f32;
        let weights: Vec<f32> = all_margins(z, d, &t).into_iter().map(|m| sigmoid(m) * scale).collect();
        let row = |r: u32| &z[r as usize * d..(r as usize + 1) * d];
        let uses = Uses::of(t.parts().concat().into_iter());
        dense(n, d, |out| {
            uses.scatter(out, d, |place, out| {
                let (part, k) = (place as usize / b, place as usize % b);
                let w = weights[k];
                match part {
                    0 => {
                        add_scaled(w, row(t.negatives[k]), out);
                        add_scaled(-w, row(t.positives[k]), out);
                    }
                    1 => add_scaled(-w, row(t.users[k]), out),
                    _ => add_scaled(w, row(t.users[k]), out),
                }
            });
        })
    }

    fn l2(table: FloatTensor<Self>, rows: Arc<Vec<u32>>, scale: f32) -> FloatTensor<Self> {
        let table = table.to_contiguous();
        let d = table.shape()[1];
        let z = slice(&table);
        let norm = |rows: &[u32]| -> f64 {
            let square =
                |r: &u32| z[*r as usize * d..(*r as usize + 1) * d].iter().map(|v| v * v).sum::<f32>();
            rows.iter().map(|r| f64::from(square(r))).sum()
        };
        let parts: Vec<f64> = rows.par_chunks(BLOCK).map(norm).collect();
        vector(vec![(parts.into_iter().sum::<f64>() * f64::from(scale)) as f32])
    }

    fn l2_backward(
        g: FloatTensor<Self>,
        table: FloatTensor<Self>,
        rows: Arc<Vec<u32>>,
        scale: f32,
    ) -> FloatTensor<Self> {
        let (g, table) = (g.to_contiguous(), table.to_contiguous());
        let (n, d) = (table.shape()[0], table.shape()[1]);
        let (z, w) = (slice(&table), 2.0 * scale * slice(&g)[0]);
        let uses = Uses::of(rows.iter().copied());
        dense(n, d, |out| {
            uses.scatter(out, d, |place, out| {
                let r = rows[place as usize] as usize;
                add_scaled(w, &z[r * d..(r + 1) * d], out);
            });
        })
    }

    fn pair(
        table: FloatTensor<Self>,
        w_user: FloatTensor<Self>,
        w_item: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        out: FloatTensor<Self>,
        t: Arc<Triples>,
    ) -> FloatTensor<Self> {
        let d = table.shape()[1];
        let [table, w_user, w_item, bias, out] =
            [table, w_user, w_item, bias, out].map(|x| x.to_contiguous());
        let hidden = hidden(slice(&table), d, slice(&w_user), slice(&w_item), slice(&bias), &t);
        vector(vec![mean_softplus(&pair_margins(&hidden.before, slice(&out)))])
    }

    fn pair_backward(
        g: FloatTensor<Self>,
        table: FloatTensor<Self>,
        w_user: FloatTensor<Self>,
        w_item: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        out: FloatTensor<Self>,
        t: Arc<Triples>,
    ) -> Five<Self> {
        let (n, d, h, b) = (table.shape()[0], table.shape()[1], bias.shape()[0], t.len());
        let [g, table, w_user, w_item, bias, out] =
            [g, table, w_user, w_item, bias, out].map(|x| x.to_contiguous());
        let (z, wo) = (slice(&table), slice(&out));
        let Hidden { rows, before } = hidden(z, d, slice(&w_user), slice(&w_item), slice(&bias), &t);
        let scale = slice(&g)[0] / b as f32;
        let weights: Vec<f32> = pair_margins(&before, wo).into_iter().map(|m| sigmoid(m) * scale).collect();
        // Gradients before the rectifier: negatives rise with the margin, positives fall; users get both.
        let mut d_out = vec![0f32; h];
        let mut parts = before;
        for (part, sign) in [(0, -1.0), (1, 1.0)] {
            for (v, w) in parts[part].chunks_exact_mut(h).zip(&weights) {
                let w = sign * w;
                for ((v, wo), d_out) in v.iter_mut().zip(wo).zip(&mut d_out) {
                    *d_out += w * v.max(0.0);
                    *v = if *v > 0.0 { w * wo } else { 0.0 };
                }
            }
        }
        let [positive, negative] = &parts;
        let user: Vec<f32> = positive.iter().zip(negative).map(|(p, n)| p + n).collect();
        let mut d_bias = vec![0f32; h];
        for v in user.chunks_exact(h) {
            d_bias.iter_mut().zip(v).for_each(|(b, v)| *b += v);
        }
        let d_user = outer(&rows[0], d, &user, h);
        let mut d_item = outer(&rows[1], d, positive, h);
        d_item.iter_mut().zip(outer(&rows[2], d, negative, h)).for_each(|(a, b)| *a += b);
        let d_rows = [
            times(&user, h, slice(&w_user), d, true),
            times(positive, h, slice(&w_item), d, true),
            times(negative, h, slice(&w_item), d, true),
        ];
        let uses = Uses::of(t.parts().concat().into_iter());
        let d_table = dense(n, d, |out| {
            uses.scatter(out, d, |place, out| {
                let (part, k) = (place as usize / b, place as usize % b);
                add_scaled(1.0, &d_rows[part][k * d..(k + 1) * d], out);
            });
        });
        let weight = |values: &[f32]| dense(d, h, |out| out.copy_from_slice(values));
        (d_table, weight(&d_user), weight(&d_item), vector(d_bias), vector(d_out))
    }
}

/// An operator of one parent whose backward pass needs the parent's value.
macro_rules! single {
    ($op:ident, $x:ident, $state:ty, $extra:expr, |$b:ident, $value:ident, $args:ident| $forward:expr, |$g:ident| $backward:expr) => {{
        #[derive(Debug)]
        struct $op;
        impl<$b: BprOps> Backward<$b, 1> for $op {
            type State = (FloatTensor<$b>, $state);
            fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
                let $g = grads.consume::<$b>(&ops.node);
                let ($value, $args) = ops.state;
                if let [Some(node)] = ops.parents {
                    grads.register::<$b>(node.id, $backward);
                }
            }
        }
        let node = $x.node();
        let ($value, $args) = ($x.into_primitive(), $extra);
        match $op.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let state = ($value.clone(), $args.clone());
                prep.finish(state, $forward)
            }
            OpsKind::UnTracked(prep) => prep.finish($forward),
        }
    }};
}

impl<B: BprOps, C: CheckpointStrategy> BprOps for Autodiff<B, C> {
    fn bpr(table: FloatTensor<Self>, t: Arc<Triples>) -> FloatTensor<Self> {
        single!(Bpr, table, Arc<Triples>, t, |B, z, t| B::bpr(z, t), |g| B::bpr_backward(g, z, t))
    }

    fn l2(table: FloatTensor<Self>, rows: Arc<Vec<u32>>, scale: f32) -> FloatTensor<Self> {
        single!(Rows, table, (Arc<Vec<u32>>, f32), (rows, scale), |B, z, a| B::l2(z, a.0, a.1), |g| {
            B::l2_backward(g, z, a.0, a.1)
        })
    }

    fn pair(
        table: FloatTensor<Self>,
        w_user: FloatTensor<Self>,
        w_item: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        out: FloatTensor<Self>,
        t: Arc<Triples>,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Pair;
        impl<B: BprOps> Backward<B, 5> for Pair {
            type State = ([FloatTensor<B>; 5], Arc<Triples>);
            fn backward(self, ops: Ops<Self::State, 5>, grads: &mut Gradients, _: &mut Checkpointer) {
                let g = grads.consume::<B>(&ops.node);
                let ([table, w_user, w_item, bias, out], t) = ops.state;
                let (a, b, c, d, e) = B::pair_backward(g, table, w_user, w_item, bias, out, t);
                for (parent, d) in ops.parents.into_iter().zip([a, b, c, d, e]) {
                    if let Some(node) = parent {
                        grads.register::<B>(node.id, d);
                    }
                }
            }
        }
        let all = [table, w_user, w_item, bias, out];
        let nodes = all.each_ref().map(|x| x.node());
        let all = all.map(|x| x.into_primitive());
        let [table, w_user, w_item, bias, out] = all.clone();
        match Pair.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                prep.finish((all, t.clone()), B::pair(table, w_user, w_item, bias, out, t))
            }
            OpsKind::UnTracked(prep) => prep.finish(B::pair(table, w_user, w_item, bias, out, t)),
        }
    }

    fn bpr_backward(_: FloatTensor<Self>, _: FloatTensor<Self>, _: Arc<Triples>) -> FloatTensor<Self> {
        unreachable!("a gradient is not differentiated again")
    }

    fn l2_backward(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: Arc<Vec<u32>>,
        _: f32,
    ) -> FloatTensor<Self> {
        unreachable!("a gradient is not differentiated again")
    }

    fn pair_backward(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: Arc<Triples>,
    ) -> Five<Self> {
        unreachable!("a gradient is not differentiated again")
    }
}
