//! What is taken together, and what people like somebody took.

use std::collections::HashMap;

use super::{Recommender, UserVector};
use crate::error::Result;
use crate::scorer::best;

/// People of an item who are looked at, at most.
const PEOPLE: usize = 5_000;
/// How many people must have taken two items before half of their lift is believed.
const SHRINKAGE: f32 = 5.0;
/// Neighbours whose items count.
const NEIGHBOURS: usize = 50;

impl Recommender {
    /// The `k` items that were taken by the people of `item` most above what chance would have: the lift
    /// `n_ij U / (n_i n_j)`, times `n_ij / (n_ij + 5)` since few people say little. `n_i` of `U` people took
    /// an item, `n_ij` both. Only what is above chance is listed; of an item that very many took, 5,000
    /// people spread evenly are looked at.
    pub fn taken_together(&self, item: u32, k: usize) -> Vec<(u32, f32)> {
        let train = &self.run.data.train;
        let by_item = train.transposed();
        let people = by_item.rows_of(item as usize);
        let step = people.len().div_ceil(PEOPLE).max(1);
        let mut counts = HashMap::<u32, u32>::new();
        let mut asked = 0f32;
        for &user in people.iter().step_by(step) {
            asked += 1.0;
            train.row(user as usize).iter().for_each(|&j| *counts.entry(j).or_default() += 1);
        }
        let lift = |(j, both): (u32, u32)| {
            let (both, all) = (both as f32, by_item.rows_of(j as usize).len() as f32);
            let lift = both * train.rows() as f32 / (asked * all);
            (j != item && lift > 1.0).then_some((j, lift * both / (both + SHRINKAGE)))
        };
        best(counts.into_iter().filter_map(lift).collect(), k)
    }

    /// The `k` items that the fifty people most like somebody took, each counted by how alike they are; of
    /// `user` themselves nothing.
    ///
    /// # Errors
    /// The model has no vectors of users.
    pub fn taken_by_similar(
        &self,
        vector: &UserVector,
        user: Option<u32>,
        k: usize,
    ) -> Result<Vec<(u32, f32)>> {
        let mut sums = HashMap::<u32, f32>::new();
        for (other, cosine) in self.similar_users(vector, user, NEIGHBOURS)? {
            let taken = self.run.data.train.row(other as usize);
            taken.iter().filter(|_| cosine > 0.0).for_each(|&j| *sums.entry(j).or_default() += cosine);
        }
        Ok(best(sums.into_iter().collect(), k))
    }
}
