//! Ranking on a graphics processor: scores of a block of users, exclusions, and one workgroup per user that
//! picks the best.

use std::sync::Arc;

use burn::backend::tensor::{FloatTensor, IntTensor};
use cubecl::prelude::*;

use super::{RankOps, SCORES, TopKRequest};
use crate::autodiff::Native;
use crate::gpu::{Cube, Gpu, IndexBuffer, UNITS, copy_rows, grid, launch_per_value, product_nt};

/// Users and items of a tile of hidden scores, and hidden units of a step.
const TILE: u32 = 32;

/// A tile of `out · ReLU(a + b)`: each unit four scores.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn pair_kernel(
    a: &[f32],
    b: &[f32],
    w: &[f32],
    scores: &mut [f32],
    users: u32,
    items: u32,
    h: u32,
    tiles_across: u32,
) {
    let mut left = Shared::<[f32]>::new_slice(comptime!((TILE * (TILE + 1)) as usize));
    let mut right = Shared::<[f32]>::new_slice(comptime!((TILE * (TILE + 1)) as usize));
    let mut weights = Shared::<[f32]>::new_slice(comptime!(TILE as usize));
    let width = comptime!(TILE + 1);
    let tile = CUBE_POS as u32;
    let down = tile / tiles_across * TILE;
    let across = tile % tiles_across * TILE;
    let column = UNIT_POS % TILE;
    let group = UNIT_POS / TILE;
    let mut s0 = 0f32;
    let mut s1 = 0f32;
    let mut s2 = 0f32;
    let mut s3 = 0f32;
    let mut first = 0u32;
    while first < h {
        sync_cube();
        let mut row = group;
        while row < TILE {
            let mut l = 0f32;
            let mut r = 0f32;
            if first + column < h {
                if down + row < users {
                    l = a[((down + row) * h + first + column) as usize];
                }
                if across + row < items {
                    r = b[((across + row) * h + first + column) as usize];
                }
            }
            left[(row * width + column) as usize] = l;
            right[(row * width + column) as usize] = r;
            row += 8u32;
        }
        if UNIT_POS < TILE {
            let mut v = 0f32;
            if first + UNIT_POS < h {
                v = w[(first + UNIT_POS) as usize];
            }
            weights[UNIT_POS as usize] = v;
        }
        sync_cube();
        for c in 0..TILE {
            let v = weights[c as usize];
            let r = right[(column * width + c) as usize];
            let place = (group * 4 * width + c) as usize;
            s0 += v * max(left[place] + r, 0.0f32);
            s1 += v * max(left[place + width as usize] + r, 0.0f32);
            s2 += v * max(left[place + 2 * width as usize] + r, 0.0f32);
            s3 += v * max(left[place + 3 * width as usize] + r, 0.0f32);
        }
        first += TILE;
    }
    if across + column < items {
        let top = down + group * 4;
        let place = (top * items + across + column) as usize;
        if top < users {
            scores[place] = s0;
        }
        if top + 1 < users {
            scores[place + items as usize] = s1;
        }
        if top + 2 < users {
            scores[place + 2 * items as usize] = s2;
        }
        if top + 3 < users {
            scores[place + 3 * items as usize] = s3;
        }
    }
}

/// Marks the excluded items of each user of a block as taken.
#[cube(launch_unchecked)]
fn mask_kernel(rows: &[u32], ptr: &[u32], idx: &[u32], taken: &mut [u32], users: u32, items: u32) {
    let user = CUBE_POS;
    if user < users as usize {
        let row = rows[user] as usize;
        let mut e = ptr[row] + UNIT_POS;
        let end = ptr[row + 1];
        while e < end {
            taken[user * items as usize + idx[e as usize] as usize] = 1u32;
            e += UNITS;
        }
    }
}

#[cube(launch_unchecked)]
fn clear_kernel(taken: &mut [u32], count: u32) {
    if ABSOLUTE_POS < count as usize {
        taken[ABSOLUTE_POS] = 0u32;
    }
}

/// Whether score `a` of item `i` comes before `b` of `j`.
#[cube]
fn before(a: f32, i: u32, b: f32, j: u32) -> bool {
    a > b || (a == b && i < j)
}

/// The best item of a unit's stripe that is not taken, `u32::MAX` where there is none.
#[cube]
fn best_of_stripe(scores: &[f32], taken: &mut [u32], first: usize, items: u32) -> (f32, u32) {
    let mut best = f32::min_value();
    let mut item = u32::MAX.runtime();
    let mut i = UNIT_POS;
    while i < items {
        if taken[first + i as usize] == 0 {
            let s = scores[first + i as usize];
            // NaN ranks last.
            let mut v = f32::min_value();
            if s >= f32::min_value() {
                v = s;
            }
            if before(v, i, best, item) {
                best = v;
                item = i;
            }
        }
        i += UNITS;
    }
    (best, item)
}

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn best_kernel(
    scores: &[f32],
    taken: &mut [u32],
    out_scores: &mut [f32],
    out_items: &mut [u32],
    users: u32,
    items: u32,
    k: u32,
    first_row: u32,
) {
    let mut shared_scores = Shared::<[f32]>::new_slice(comptime!(UNITS as usize));
    let mut shared_items = Shared::<[u32]>::new_slice(comptime!(UNITS as usize));
    let user = CUBE_POS;
    let mut own_items = items;
    if user >= users as usize {
        own_items = 0u32.runtime();
    }
    let first = user * items as usize;
    let place = UNIT_POS as usize;
    let found = best_of_stripe(scores, taken, first, own_items);
    let mut best = found.0;
    let mut item = found.1;
    for rank in 0..k {
        sync_cube();
        shared_scores[place] = best;
        shared_items[place] = item;
        sync_cube();
        let mut half = comptime!(UNITS / 2).runtime();
        while half > 0 {
            if UNIT_POS < half {
                let other = place + half as usize;
                if before(
                    shared_scores[other],
                    shared_items[other],
                    shared_scores[place],
                    shared_items[place],
                ) {
                    shared_scores[place] = shared_scores[other];
                    shared_items[place] = shared_items[other];
                }
            }
            sync_cube();
            half /= 2;
        }
        let winner = shared_items[0];
        if UNIT_POS == 0 && user < users as usize {
            let to = (first_row as usize + user) * k as usize + rank as usize;
            out_items[to] = winner;
            let mut score = f32::min_value();
            if winner != u32::MAX {
                score = scores[first + winner as usize];
            }
            out_scores[to] = score;
        }
        if winner != u32::MAX && winner % UNITS == UNIT_POS {
            taken[first + winner as usize] = 1u32;
            let found = best_of_stripe(scores, taken, first, own_items);
            best = found.0;
            item = found.1;
        }
    }
}

impl RankOps for Cube {
    fn rank(
        users: FloatTensor<Self>,
        items: FloatTensor<Self>,
        out: FloatTensor<Self>,
        request: Arc<TopKRequest>,
        hidden: bool,
    ) -> (FloatTensor<Self>, IntTensor<Self>) {
        let [users, items, out] = [users, items, out].map(Self::from_primitive);
        let (rows, n, k) = (&request.rows, items.rows(), request.k);
        let (top_scores, top_items) =
            (Gpu::empty(&users, [rows.len(), k]), Gpu::empty(&users, [rows.len(), k]));
        let client = users.client();
        let block = (SCORES / n.max(1)).clamp(1, 32_768);
        for (at, rows) in rows.chunks(block).enumerate() {
            let list = IndexBuffer::new(client, rows);
            let own = copy_rows(&users, &list, rows.len());
            let b = rows.len();
            let scores = if hidden { pair_scores(&own, &items, &out) } else { product_nt(&own, &items) };
            let taken = Gpu::empty(&users, [b, n]);
            // SAFETY: a place for each user of the block and each item; masks are users × items, rows below
            // the number of users (`TopKRequest::check`); lists are written below `rows × k`.
            unsafe {
                let (cubes, dim) = launch_per_value(b * n);
                clear_kernel::launch_unchecked(client, cubes, dim, taken.arg(), (b * n) as u32);
                for mask in request.excluded.iter().flatten() {
                    let graph = mask.device_csr(&users);
                    mask_kernel::launch_unchecked(
                        client,
                        grid(b),
                        CubeDim::new_1d(UNITS),
                        list.arg(),
                        graph.ptr.arg(),
                        graph.idx.arg(),
                        taken.arg(),
                        b as u32,
                        n as u32,
                    );
                }
                best_kernel::launch_unchecked(
                    client,
                    grid(b),
                    CubeDim::new_1d(UNITS),
                    scores.arg(),
                    taken.arg(),
                    top_scores.arg(),
                    top_items.arg(),
                    b as u32,
                    n as u32,
                    k as u32,
                    (at * block) as u32,
                );
            }
        }
        (Self::into_primitive(top_scores), top_items.into_u32())
    }
}

/// `out · ReLU(a_u + b_i)`: `a [U, h]`, `b [I, h]`, result `[U, I]`.
fn pair_scores(a: &Gpu, b: &Gpu, out: &Gpu) -> Gpu {
    let (users, items, h) = (a.rows(), b.rows(), a.cols());
    let scores = Gpu::empty(a, [users, items]);
    let (down, across) = (users.div_ceil(TILE as usize), items.div_ceil(TILE as usize));
    // SAFETY: operands of one width; each tile writes its scores.
    unsafe {
        pair_kernel::launch_unchecked(
            a.client(),
            grid(down * across),
            CubeDim::new_1d(UNITS),
            a.arg(),
            b.arg(),
            out.arg(),
            scores.arg(),
            users as u32,
            items as u32,
            h as u32,
            across as u32,
        );
    }
    scores
}
