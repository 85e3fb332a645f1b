//! Popularity: every user gets the items with the most train interactions.
//!
//! Score of item `i`: `|N_i|`, the number of users who took it in train. No settings.

use burn::tensor::Device;

use super::{Learner, ModelInfo, Plan, TrainConfig};
use crate::config::apply;
use crate::data::Dataset;
use crate::error::Result;
use crate::scorer::Scorer;

pub(super) const INFO: ModelInfo = ModelInfo {
    name: "popularity",
    summary: "The items taken most often, for everybody; the baseline that personal models must beat.",
    reference: "none",
    settings: Vec::new,
    plan,
    folds: false,
    build,
};

fn plan(data: &Dataset, table: &toml::Table) -> Result<Plan> {
    apply(table, &mut [])?;
    let memory_bytes = (data.items.len() * 8) as u64;
    Ok(Plan {
        settings: toml::Table::new(),
        train: TrainConfig::default(),
        parameters: 0,
        memory_bytes,
        largest_bytes: 0,
    })
}

fn build(data: &Dataset, _: &toml::Table, _: u64, _: &Device) -> Result<Learner> {
    let mut scores = vec![0f32; data.items.len()];
    data.train.idx().iter().for_each(|&i| scores[i as usize] += 1.0);
    let users = data.users.len();
    Ok(Learner::Direct(Box::new(move |_| Ok(Scorer::Static { users, scores }))))
}
