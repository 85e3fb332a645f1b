//! The evaluation after an epoch.

use super::summary::CRITERION;
use crate::data::Dataset;
use crate::error::Result;
use crate::eval::{Metrics, Protocol, Split, evaluate, evaluate_each};
use crate::models::GradientModel;
use crate::scorer::DeviceScorer;

/// What a model has learned, with its metrics on validation, and the share of what it adds to inner products.
pub(super) struct Evaluated {
    pub(super) scorer: DeviceScorer,
    pub(super) metrics: Metrics,
    pub(super) share: Option<f64>,
}

/// Evaluates `model` on validation; of the shares that it offers the first of the best is taken.
pub(super) fn validate(model: &GradientModel, data: &Dataset) -> Result<Evaluated> {
    let Some(part) = model.linear() else {
        let scorer = model.device_scorer()?;
        let metrics = evaluate(&scorer, data, Split::Valid, Protocol::Public)?;
        return Ok(Evaluated { scorer, metrics, share: None });
    };
    let shares = part.shares();
    let scales: Vec<f32> = shares.iter().map(|&s| s as f32).collect();
    let whole = part.added(model.dot()?);
    let each =
        evaluate_each(data, |users, k| whole.rank_scaled(users, [Some(&data.train), None], k, &scales))?;
    let mut best = 0;
    for at in 1..each.len() {
        if each[at].get(CRITERION) > each[best].get(CRITERION) {
            best = at;
        }
    }
    let metrics = each.into_iter().nth(best).expect("there is a share");
    Ok(Evaluated { scorer: whole.rescaled(scales[best]), metrics, share: Some(shares[best]) })
}
