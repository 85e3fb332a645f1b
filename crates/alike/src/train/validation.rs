//! The evaluation after an epoch.

use super::summary::CRITERION;
use crate::data::Dataset;
use crate::error::Result;
use crate::eval::{Metrics, evaluate_each};
use crate::models::LinearPart;
use crate::scorer::DeviceScorer;

/// What a model has learned, with its metrics on validation, and the share of what it adds to inner products.
pub(super) struct Evaluated {
    pub(super) scorer: DeviceScorer,
    pub(super) metrics: Metrics,
    pub(super) share: Option<f64>,
}

/// Evaluates `scorer` on validation, with `added` where there is something; of the shares that this offers
/// the first of the best is taken.
pub(super) fn validate(
    scorer: DeviceScorer,
    added: Option<&LinearPart>,
    data: &Dataset,
) -> Result<Evaluated> {
    let (scorer, shares) = match added {
        None => (scorer, vec![1.0]),
        Some(part) => (part.added(scorer), part.shares()),
    };
    let scales: Vec<f32> = shares.iter().map(|&s| s as f32).collect();
    let each =
        evaluate_each(data, |users, k| scorer.rank_scaled(users, [Some(&data.train), None], k, &scales))?;
    let mut best = 0;
    for at in 1..each.len() {
        if each[at].get(CRITERION) > each[best].get(CRITERION) {
            best = at;
        }
    }
    let metrics = each.into_iter().nth(best).expect("there is a share");
    Ok(Evaluated { scorer: scorer.rescaled(scales[best]), metrics, share: added.map(|_| shares[best]) })
}
