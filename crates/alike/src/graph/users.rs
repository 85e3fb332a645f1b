//! The graph of users: who took the same items.

use alike_ops::{Csr, SparseSums, Transposed};
use rayon::prelude::*;

use crate::data::Dataset;
use crate::error::Result;
use crate::graph::neighbors::{Neighbors, cached};

crate::choice! {
    /// What the edges of the user graph count.
    pub enum UserWeight {
        /// Number of shared items.
        Count = "count",
        /// Shared items over the union of both users' items.
        Jaccard = "jaccard",
        /// Shared items over the geometric mean of both users' numbers of items.
        Cosine = "cosine",
    }
}

/// For each user the `k` others with the largest co-interaction weight; ties go to the smaller user id.
/// Counting walks the items' user lists, one user at a time: memory is `O(U)` a thread.
pub fn co_interaction(train: &Csr, k: usize, weight: UserWeight) -> Neighbors {
    let users = train.rows();
    let users_of_item = train.transposed();
    let mut idx = vec![u32::MAX; users * k];
    let mut weights = vec![0f32; users * k];
    let scratch = || (CoCounts::new(train, users_of_item), Vec::<(f32, u32)>::new());
    idx.par_chunks_mut(k).zip(weights.par_chunks_mut(k)).enumerate().for_each_init(
        scratch,
        |(shared, best), (u, (idx, weights))| {
            shared.nearest(train.row(u), Some(u as u32), k, weight, best);
            for (at, (w, o)) in best.drain(..).enumerate() {
                (idx[at], weights[at]) = (o, w);
            }
        },
    );
    Neighbors { k, idx, weight: weights }
}

/// Counts the items that one person shares with each user.
pub(crate) struct CoCounts<'a> {
    train: &'a Csr,
    users_of_item: &'a Transposed,
    counts: SparseSums<u32>,
}

impl<'a> CoCounts<'a> {
    /// For the users of `train`, whose transposed matrix is `users_of_item`.
    pub(crate) fn new(train: &'a Csr, users_of_item: &'a Transposed) -> Self {
        Self { train, users_of_item, counts: SparseSums::new(train.rows()) }
    }

    /// The `k` users who share most with somebody who took `items`, by falling weight, ties by the smaller
    /// user; `exclude` is left out. They go into `best`, which is empty.
    pub(crate) fn nearest(
        &mut self,
        items: &[u32],
        exclude: Option<u32>,
        k: usize,
        weight: UserWeight,
        best: &mut Vec<(f32, u32)>,
    ) {
        let Self { train, users_of_item, counts } = self;
        let users = items.iter().flat_map(|&i| users_of_item.rows_of(i as usize));
        users.filter(|&&o| Some(o) != exclude).for_each(|&o| counts.add(o, 1));
        let own = items.len() as f32;
        best.extend(counts.take().map(|(o, count)| {
            let shared = count as f32;
            let other = train.degree(o as usize) as f32;
            let w = match weight {
                UserWeight::Count => shared,
                UserWeight::Jaccard => shared / (own + other - shared),
                UserWeight::Cosine => shared / (own * other).sqrt(),
            };
            (w, o)
        }));
        let order = |a: &(f32, u32), b: &(f32, u32)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
        if best.len() > k {
            best.select_nth_unstable_by(k - 1, order);
            best.truncate(k);
        }
        best.sort_unstable_by(order);
    }
}

/// [`co_interaction`], kept in the prepared folder.
pub fn user_graph(data: &Dataset, k: usize, weight: UserWeight) -> Result<Neighbors> {
    let key = format!("users-{weight:?}-{k}").to_lowercase();
    cached(data, &key, || Ok(co_interaction(&data.train, k, weight)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::toy::toy;

    #[test]
    fn co_interaction_counts_shared_items_and_breaks_ties_by_id() {
        let n = co_interaction(&toy(), 2, UserWeight::Count);
        assert_eq!(n.row(0).collect::<Vec<_>>(), [(1, 2.0), (2, 1.0)]);
        assert_eq!(n.row(4).collect::<Vec<_>>(), [(0, 1.0), (1, 1.0)]);
        assert_eq!(n.row(3).count(), 0);
        let j = co_interaction(&toy(), 2, UserWeight::Jaccard);
        assert!((j.row(0).next().unwrap().1 - 2.0 / 3.0).abs() < 1e-6);
        let c = co_interaction(&toy(), 2, UserWeight::Cosine);
        assert!((c.row(0).next().unwrap().1 - 2.0 / 6f32.sqrt()).abs() < 1e-6);
    }
}
