//! Which interactions stay: no repeats, and at least k of every user and item.

use crate::data::prepare::log::Log;

/// Rows of a [`Log`] grouped by user, in file order within a user.
#[derive(Debug)]
pub(crate) struct KeptRows {
    /// Where each user's rows start, `users + 1` values.
    pub(crate) ptr: Vec<u32>,
    /// Rows of the log.
    pub(crate) rows: Vec<u32>,
}

impl KeptRows {
    /// Rows of `user`.
    pub(crate) fn rows_of(&self, user: usize) -> &[u32] {
        &self.rows[self.ptr[user] as usize..self.ptr[user + 1] as usize]
    }

    fn users(&self) -> usize {
        self.ptr.len() - 1
    }
}

/// Rows that [`without_repeats`] dropped.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DroppedRows {
    /// Rows with a low rating, and rows of pairs whose last rating is low.
    pub(crate) low: usize,
    /// Later rows of pairs that stay.
    pub(crate) repeats: usize,
    /// Rows that were taken back.
    pub(crate) undone: usize,
    /// Rows that take back.
    pub(crate) undoing: usize,
}

/// Groups the rows by user. Of each (user, item) the last row, by time, then by place in the file, decides:
/// if its rating is low, the pair is dropped. Otherwise the earliest row whose rating is not low stays, with
/// the weight of the heaviest. What comes before the last row that takes back does not count.
pub(crate) fn without_repeats(log: &mut Log) -> (KeptRows, DroppedRows) {
    let mut ptr = vec![0u32; log.users.len() + 1];
    for &u in &log.user {
        ptr[u as usize + 1] += 1;
    }
    for u in 0..log.users.len() {
        ptr[u + 1] += ptr[u];
    }
    let mut next = ptr.clone();
    let mut rows = vec![0u32; log.user.len()];
    for (row, &u) in log.user.iter().enumerate() {
        rows[next[u as usize] as usize] = row as u32;
        next[u as usize] += 1;
    }
    drop(next);

    let mut dropped = DroppedRows::default();
    let mut weight = std::mem::take(&mut log.weight);
    let (mut to, mut from) = (0, 0);
    for u in 0..log.users.len() {
        let end = ptr[u + 1] as usize;
        let own = &mut rows[from..end];
        let key = |r: &u32| log.item[*r as usize];
        own.sort_unstable_by(|a, b| {
            key(a).cmp(&key(b)).then(log.time_of(*a).total_cmp(&log.time_of(*b))).then(a.cmp(b))
        });
        let (mut kept, mut at) = (0, 0);
        while at < own.len() {
            let all = own[at..].iter().take_while(|r| key(r) == key(&own[at])).count();
            let before = own[at..at + all].iter().rposition(|r| log.is_undo(*r)).map_or(0, |last| last + 1);
            let undoing = own[at..at + before].iter().filter(|r| log.is_undo(**r)).count();
            dropped.undoing += undoing;
            dropped.undone += before - undoing;
            at += before;
            let pair = all - before;
            if pair == 0 {
                continue;
            }
            let low = own[at..at + pair].iter().filter(|r| log.is_low(**r)).count();
            if log.is_low(own[at + pair - 1]) {
                dropped.low += pair;
            } else {
                let good = own[at..at + pair].iter().copied().filter(|r| !log.is_low(*r));
                let first = good.clone().next().expect("the last row is not low");
                if !weight.is_empty() {
                    weight[first as usize] = good.map(|r| weight[r as usize]).fold(0.0, f32::max);
                }
                own[kept] = first;
                kept += 1;
                dropped.low += low;
                dropped.repeats += pair - low - 1;
            }
            at += pair;
        }
        own[..kept].sort_unstable();
        rows.copy_within(from..from + kept, to);
        from = end;
        to += kept;
        ptr[u + 1] = to as u32;
    }
    rows.truncate(to);
    log.weight = weight;
    (KeptRows { ptr, rows }, dropped)
}

/// Drops users and items with fewer than `k` interactions until none is left.
pub(crate) fn k_core(log: &Log, mut kept: KeptRows, k: usize) -> KeptRows {
    loop {
        let mut of_item = vec![0u32; log.items.len()];
        for &r in &kept.rows {
            of_item[log.item[r as usize] as usize] += 1;
        }
        let before = kept.rows.len();
        let (mut to, mut from) = (0, 0);
        for u in 0..kept.users() {
            let end = kept.ptr[u + 1] as usize;
            let start = to;
            for at in from..end {
                let row = kept.rows[at];
                if of_item[log.item[row as usize] as usize] as usize >= k {
                    kept.rows[to] = row;
                    to += 1;
                }
            }
            if to - start < k {
                to = start;
            }
            from = end;
            kept.ptr[u + 1] = to as u32;
        }
        kept.rows.truncate(to);
        if to == before {
            return kept;
        }
    }
}
