//! What models of weights between items share: co-occurrence counts, and weights by column as a scorer.

use std::sync::Arc;

use alike_ops::{Csr, SparseSums};
use rayon::prelude::*;

use crate::data::Dataset;
use crate::error::Result;
use crate::progress::Progress;
use crate::scorer::ItemItem;

/// `AᵀA`: how many users took both items.
pub(super) struct Gram {
    ptr: Vec<usize>,
    idx: Vec<u32>,
    count: Vec<f32>,
    /// How many took each item.
    pub(super) diagonal: Vec<f32>,
}

impl Gram {
    /// Peak memory of building it and of weights of its pattern, bytes: at most an entry for each two items
    /// of a user, and at most all pairs.
    pub(super) fn memory(data: &Dataset) -> u64 {
        let pairs: u64 = (0..data.users.len()).map(|u| (data.train.degree(u) as u64).pow(2)).sum();
        let gram = pairs.min((data.items.len() as u64).pow(2));
        8 * (2 * gram + 4 * data.train.nnz() as u64 + data.items.len() as u64)
    }

    /// Of the train interactions `[U, I]`.
    pub(super) fn new(train: &Csr, progress: &dyn Progress) -> Result<Self> {
        let items = train.cols();
        let t = train.transposed();
        let parts = progress.phase("items taken together", items)?;
        let rows: Vec<(Vec<u32>, Vec<f32>)> = (0..items)
            .into_par_iter()
            .map_init(
                || SparseSums::new(items),
                |counts, i| {
                    parts.add(1)?;
                    for &j in t.rows_of(i).iter().flat_map(|&u| train.row(u as usize)) {
                        counts.add(j, 1.0);
                    }
                    Ok(counts.take_sorted().unzip())
                },
            )
            .collect::<Result<_>>()?;
        let mut ptr = vec![0];
        let (mut idx, mut count) = (Vec::new(), Vec::new());
        for (row, values) in &rows {
            idx.extend_from_slice(row);
            count.extend_from_slice(values);
            ptr.push(idx.len());
        }
        let diagonal = (0..items).map(|i| (t.ptr[i + 1] - t.ptr[i]) as f32).collect();
        Ok(Self { ptr, idx, count, diagonal })
    }

    /// The items that somebody took together with `i`, itself among them, each with the number of people, by
    /// item.
    pub(super) fn row(&self, i: usize) -> impl Iterator<Item = (usize, f32)> + '_ {
        let at = self.ptr[i]..self.ptr[i + 1];
        self.idx[at.clone()].iter().map(|&j| j as usize).zip(self.count[at].iter().copied())
    }
}

/// The scorer of weights given by column: for each item `i` the items `j` whose weight `w_ji` is not zero, by
/// item.
pub(super) fn from_columns(history: Arc<Csr>, columns: &[Vec<(u32, f32)>]) -> Result<ItemItem> {
    let mut ptr = vec![0u32; columns.len() + 1];
    columns.iter().flatten().for_each(|&(j, _)| ptr[j as usize + 1] += 1);
    (0..columns.len()).for_each(|j| ptr[j + 1] += ptr[j]);
    let entries = ptr[columns.len()] as usize;
    let (mut idx, mut values) = (vec![0u32; entries], vec![0f32; entries]);
    let mut next = ptr.clone();
    for (i, column) in columns.iter().enumerate() {
        for &(j, weight) in column {
            let at = next[j as usize] as usize;
            (idx[at], values[at]) = (i as u32, weight);
            next[j as usize] += 1;
        }
    }
    let pattern = Arc::new(Csr::new(columns.len(), columns.len(), ptr, idx)?);
    Ok(ItemItem { history, pattern, values })
}

/// The `k` entries of largest absolute weight, ties to the smaller item, by item; all where `k` is 0.
pub(super) fn largest(mut column: Vec<(u32, f32)>, k: usize) -> Vec<(u32, f32)> {
    if k > 0 && column.len() > k {
        let order = |a: &(u32, f32), b: &(u32, f32)| b.1.abs().total_cmp(&a.1.abs()).then(a.0.cmp(&b.0));
        column.select_nth_unstable_by(k - 1, order);
        column.truncate(k);
        column.sort_unstable_by_key(|&(j, _)| j);
    }
    column
}
