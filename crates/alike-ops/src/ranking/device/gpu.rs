//! Ranking on a graphics processor: scores of a block of users, exclusions, and one workgroup per user that
//! picks the best.

use std::sync::Arc;

use burn::backend::tensor::{FloatTensor, IntTensor};
use cubecl::prelude::*;

use super::{RankOps, SCORES, TopKRequest};
use crate::autodiff::Native;
use crate::gpu::{Cube, Gpu, IndexBuffer, UNITS, copy_rows, grid, product_nt};

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

/// The score of an item that is left out or was picked; [`LAST`] is the lowest of the others.
const TAKEN: f32 = f32::MIN;
/// The score that NaN and lower scores count as.
const LAST: f32 = -3.402_823e38;

/// Takes the excluded items of each user of a block out.
#[cube(launch_unchecked)]
fn mask_kernel(rows: &[u32], ptr: &[u32], idx: &[u32], scores: &mut [f32], users: u32, items: u32) {
    let user = CUBE_POS;
    if user < users as usize {
        let row = rows[user] as usize;
        let mut e = ptr[row] + UNIT_POS;
        let end = ptr[row + 1];
        while e < end {
            scores[user * items as usize + idx[e as usize] as usize] = TAKEN;
            e += UNITS;
        }
    }
}

/// Whether score `a` of item `i` comes before `b` of `j`.
#[cube]
fn before(a: f32, i: u32, b: f32, j: u32) -> bool {
    a > b || (a == b && i < j)
}

/// The score that an item is ranked by.
#[cube]
fn ranked_by(score: f32) -> f32 {
    let mut v = score;
    if v != TAKEN {
        v = LAST.runtime();
        if score > LAST {
            v = score;
        }
    }
    v
}

/// The best item of a unit's stripe that is not taken, `u32::MAX` where there is none.
#[cube]
fn best_of_stripe(scores: &mut [f32], first: usize, items: u32) -> (f32, u32) {
    let mut best = TAKEN.runtime();
    let mut item = u32::MAX.runtime();
    let mut i = UNIT_POS;
    while i < items {
        let v = ranked_by(scores[first + i as usize]);
        if v != TAKEN && before(v, i, best, item) {
            best = v;
            item = i;
        }
        i += UNITS;
    }
    (best, item)
}

/// Whether item `i` of score `v` may be picked and does not come after the item `limit_item` of score
/// `limit`.
#[cube]
fn reaches(v: f32, i: u32, limit: f32, limit_item: u32) -> bool {
    v != TAKEN && !before(limit, limit_item, v, i)
}

/// Items that a workgroup sorts at once.
const SORTED: u32 = 1024;

/// The `k` best items of a user. The `k`-th best of the units' best items bounds the `k` best of all from
/// below: items that do not come after it are collected and sorted. Where they are too many, or units fewer
/// than `k`, items are picked one by one.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn best_kernel(
    scores: &mut [f32],
    out_scores: &mut [f32],
    out_items: &mut [u32],
    users: u32,
    items: u32,
    k: u32,
    first_row: u32,
) {
    let mut shared_scores = Shared::<[f32]>::new_slice(comptime!(SORTED as usize));
    let mut shared_items = Shared::<[u32]>::new_slice(comptime!(SORTED as usize));
    let mut counts = Shared::<[u32]>::new_slice(comptime!(UNITS as usize));
    let mut limit_score = Shared::<[f32]>::new_slice(1usize);
    let mut limit_item = Shared::<[u32]>::new_slice(1usize);
    let user = CUBE_POS;
    let mut own_items = items;
    if user >= users as usize {
        own_items = 0u32.runtime();
    }
    let first = user * items as usize;
    let to = (first_row as usize + user) * k as usize;
    let place = UNIT_POS as usize;
    let found = best_of_stripe(scores, first, own_items);
    let mut best = found.0;
    let mut item = found.1;
    shared_scores[place] = best;
    shared_items[place] = item;
    if UNIT_POS == 0 {
        limit_score[0] = TAKEN;
        limit_item[0] = u32::MAX.runtime();
    }
    sync_cube();
    let mut rank = 0u32;
    for other in 0..UNITS {
        if before(shared_scores[other as usize], shared_items[other as usize], best, item) {
            rank += 1;
        }
    }
    if rank + 1 == k && item != u32::MAX {
        limit_score[0] = best;
        limit_item[0] = item;
    }
    sync_cube();
    let lowest = limit_score[0];
    let lowest_item = limit_item[0];
    // Units whose best comes after the limit have nothing to give.
    let gives = reaches(best, item, lowest, lowest_item);
    let mut count = 0u32;
    if gives {
        let mut i = UNIT_POS;
        while i < own_items {
            let v = ranked_by(scores[first + i as usize]);
            if reaches(v, i, lowest, lowest_item) {
                count += 1;
            }
            i += UNITS;
        }
    }
    counts[place] = count;
    sync_cube();
    let mut total = 0u32;
    let mut own = 0u32;
    for other in 0..UNITS {
        if other < UNIT_POS {
            own += counts[other as usize];
        }
        total += counts[other as usize];
    }
    if total <= SORTED {
        if gives {
            let mut i = UNIT_POS;
            while i < own_items {
                let v = ranked_by(scores[first + i as usize]);
                if reaches(v, i, lowest, lowest_item) {
                    shared_scores[own as usize] = v;
                    shared_items[own as usize] = i;
                    own += 1;
                }
                i += UNITS;
            }
        }
        sync_cube();
        if user < users as usize {
            let mut at = UNIT_POS;
            while at < total {
                let mut rank = 0u32;
                let (v, i) = (shared_scores[at as usize], shared_items[at as usize]);
                for other in 0..total {
                    if before(shared_scores[other as usize], shared_items[other as usize], v, i) {
                        rank += 1;
                    }
                }
                if rank < k {
                    out_scores[to + rank as usize] = v;
                    out_items[to + rank as usize] = i;
                }
                at += UNITS;
            }
            let mut rest = total + UNIT_POS;
            while rest < k {
                out_scores[to + rest as usize] = TAKEN;
                out_items[to + rest as usize] = u32::MAX.runtime();
                rest += UNITS;
            }
        }
    } else {
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
                out_items[to + rank as usize] = winner;
                out_scores[to + rank as usize] = shared_scores[0];
            }
            if winner != u32::MAX && winner % UNITS == UNIT_POS {
                scores[first + winner as usize] = TAKEN;
                let found = best_of_stripe(scores, first, own_items);
                best = found.0;
                item = found.1;
            }
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
            // SAFETY: a place for each user of the block and each item; masks are users × items, rows below
            // the number of users (`TopKRequest::check`); lists are written below `rows × k`.
            unsafe {
                for mask in request.excluded.iter().flatten() {
                    let graph = mask.device_csr(&users);
                    mask_kernel::launch_unchecked(
                        client,
                        grid(b),
                        CubeDim::new_1d(UNITS),
                        list.arg(),
                        graph.ptr.arg(),
                        graph.idx.arg(),
                        scores.arg(),
                        b as u32,
                        n as u32,
                    );
                }
                best_kernel::launch_unchecked(
                    client,
                    grid(b),
                    CubeDim::new_1d(UNITS),
                    scores.arg(),
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
