//! Popularity: every user gets the items with the most train interactions.
//!
//! Score of item `i`: `|N_i|`, the number of users who took it in train, each with the weight of the
//! interaction. No settings.

use super::prelude::*;

pub(super) const INFO: ModelInfo = ModelInfo::solved::<Popularity>(
    "popularity",
    "The items taken most often, for everybody; the baseline that personal models must beat.",
    "none",
);

crate::settings! {
    /// None.
    pub(super) struct Config {}
}

struct Popularity;

impl Solved for Popularity {
    type Config = Config;

    fn memory(data: &Dataset, _: &Config) -> u64 {
        (data.items.len() * 4) as u64
    }

    fn solve(data: &Dataset, _: &Config, _: &dyn Progress) -> Result<Scorer> {
        Ok(most_popular(data))
    }
}

/// The items by their train interactions, for everybody.
pub fn most_popular(data: &Dataset) -> Scorer {
    let mut scores = vec![0f32; data.items.len()];
    let weight = |at: usize| data.train_weights.as_ref().map_or(1.0, |weights| weights[at]);
    data.train.idx().iter().enumerate().for_each(|(at, &i)| scores[i as usize] += weight(at));
    Scorer::Static { users: data.users.len(), scores }
}
