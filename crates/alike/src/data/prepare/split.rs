//! Which interactions are for training, validation and test.

use rayon::prelude::*;

use crate::data::prepare::SplitKind;
use crate::data::prepare::filter::KeptRows;
use crate::data::prepare::log::Log;

/// Interactions are for training.
pub(crate) const TRAIN: u8 = 0;
/// Interactions are for validation.
pub(crate) const VALID: u8 = 1;
/// Interactions are for the test.
pub(crate) const TEST: u8 = 2;

/// One label a kept row, in the order of `kept.rows`.
pub(crate) fn labels(log: &Log, kept: &KeptRows, kind: SplitKind, seed: u64) -> Vec<u8> {
    match kind {
        SplitKind::Label => {
            let label = log.label.as_ref().expect("the log is read with labels for this split");
            kept.rows.iter().map(|&r| label[r as usize]).collect()
        }
        SplitKind::Random | SplitKind::Auto => random(log, kept, seed),
        SplitKind::LeaveOneOut => leave_one_out(log, kept),
        SplitKind::Temporal => temporal(log, kept),
    }
}

/// Valid and test interactions of a user who has `n`, as the MMRec family counts them: one and one below 10,
/// else 20 % held out, half of it, rounded down, for validation. Users with fewer than 3 only train.
fn held_out(n: usize) -> (usize, usize) {
    match n {
        0..=2 => (0, 0),
        3..=9 => (1, 1),
        _ => {
            let held = n / 5;
            (held / 2, held - held / 2)
        }
    }
}

/// Each user's interactions in the order of a keyed hash of (user id, item id), so that the split depends on
/// the seed and on the user's own interactions, not on other users or on the order of the file.
fn random(log: &Log, kept: &KeptRows, seed: u64) -> Vec<u8> {
    let mut key = [0u8; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..24].copy_from_slice(b"alike split rand");
    let held_of = |u: usize| {
        let rows = kept.rows_of(u);
        let (valid, test) = held_out(rows.len());
        let mut order: Vec<([u8; 16], u32)> = Vec::new();
        if test > 0 {
            let name = log.users.name(u as u32).as_bytes();
            let mut user = blake3::Hasher::new_keyed(&key);
            user.update(&(name.len() as u64).to_le_bytes()).update(name);
            order.extend((kept.ptr[u]..).zip(rows).map(|(at, &r)| {
                let item = log.items.name(log.item[r as usize]).as_bytes();
                let mut short = [0u8; 16];
                short.copy_from_slice(&user.clone().update(item).finalize().as_bytes()[..16]);
                (short, at)
            }));
            order.sort_unstable();
            order.truncate(valid + test);
        }
        order.into_iter().enumerate().map(move |(i, (_, at))| (at, if i < valid { VALID } else { TEST }))
    };
    let users = (0..log.users.len()).into_par_iter().with_min_len(1024);
    let held: Vec<(u32, u8)> = users.flat_map_iter(held_of).collect();
    let mut labels = vec![TRAIN; kept.rows.len()];
    held.into_iter().for_each(|(at, label)| labels[at as usize] = label);
    labels
}

/// Of each user with at least three interactions the last is for the test and the one before for validation;
/// equal times (or none) go by place in the file.
fn leave_one_out(log: &Log, kept: &KeptRows) -> Vec<u8> {
    let mut labels = vec![TRAIN; kept.rows.len()];
    for u in 0..log.users.len() {
        let rows = kept.rows_of(u);
        if rows.len() < 3 {
            continue;
        }
        let start = kept.ptr[u] as usize;
        let mut order: Vec<usize> = (0..rows.len()).collect();
        // Rows are in file order and the sort is stable.
        order.sort_by(|&a, &b| log.time_of(rows[a]).total_cmp(&log.time_of(rows[b])));
        labels[start + order[rows.len() - 1]] = TEST;
        labels[start + order[rows.len() - 2]] = VALID;
    }
    labels
}

/// One cut in time for all: what happened from the time of the interaction at 80 % on is held out, from 90 %
/// on it is for the test. Interactions of one moment stay together.
fn temporal(log: &Log, kept: &KeptRows) -> Vec<u8> {
    let mut times: Vec<f64> = kept.rows.iter().map(|&r| log.time_of(r)).collect();
    if times.is_empty() {
        return Vec::new();
    }
    times.sort_unstable_by(f64::total_cmp);
    let (valid, test) = (times[times.len() * 8 / 10], times[times.len() * 9 / 10]);
    let label = |time: f64| match time {
        t if t < valid => TRAIN,
        t if t < test => VALID,
        _ => TEST,
    };
    kept.rows.iter().map(|&r| label(log.time_of(r))).collect()
}
