//! What is nearest by features: for a text or a picture that somebody brings, and for items that are new.

use std::collections::BTreeMap;

use alike_ops::dot;
use rayon::prelude::*;

use super::{Recommender, UserVector};
use crate::error::{Error, Result};
use crate::scorer::{Hybrid, Matrix, Scorer, best, norm};

/// Known items a modality from which a new one takes its place.
const NEIGHBORS: usize = 50;
/// How much nearer ones count for more: shares are the softmax of the cosines over this.
const TEMPERATURE: f32 = 0.1;

/// A new item as the scorer takes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Placed {
    /// A row of the scorer's items; empty where it has none.
    pub row: Vec<f32>,
    /// The known items that it is placed between, with their shares, largest first.
    pub between: Vec<(u32, f32)>,
}

impl Recommender {
    /// The `k` items whose features of `modality` point most nearly where `features` does, with cosines.
    ///
    /// # Errors
    /// The data have no such modality, or its features have another width.
    pub fn nearest(&self, modality: &str, features: &[f32], k: usize) -> Result<Vec<(u32, f32)>> {
        let data = &self.run.data;
        let at = data.modality(modality)?;
        let own = &data.features[at];
        if features.len() != own.dim || features.iter().any(|v| !v.is_finite()) {
            let text =
                format!("features of `{modality}` are {} finite values, not {}", own.dim, features.len());
            return Err(Error::Data(text));
        }
        let length = norm(features);
        let score = |(i, row): (usize, &[f32])| {
            let scale = length * self.lengths.features[at][i];
            (i as u32, if scale > 0.0 { dot(features, row) / scale } else { 0.0 })
        };
        let rows = own.values().par_chunks(own.dim).enumerate().filter(|(i, _)| !own.missing[*i]);
        Ok(best(rows.map(score).collect(), k))
    }

    /// The place of an item that has features but that nobody took yet: between the items nearest to it, with
    /// shares that are the softmax of the cosines in each modality given, then their mean. The row of an
    /// inner product is made as long as those of known items are on average, since a mean of rows is shorter.
    ///
    /// # Errors
    /// As [`Self::nearest`]; no modality given.
    pub fn place_item(&self, features: &[(&str, &[f32])]) -> Result<Placed> {
        let rows: Option<&Matrix> = match &self.run.scorer {
            Scorer::Dot { items, .. }
            | Scorer::PairMlp { items, .. }
            | Scorer::Hybrid(Hybrid { items, .. }) => Some(items),
            _ => None,
        };
        if features.is_empty() {
            return Err(Error::Data("a new item needs features of at least one modality".into()));
        }
        let mut sum = BTreeMap::<u32, f32>::new();
        for (modality, values) in features {
            let near = self.nearest(modality, values, NEIGHBORS)?;
            let first = near.first().map_or(0.0, |n| n.1);
            let weights: Vec<f32> = near.iter().map(|n| ((n.1 - first) / TEMPERATURE).exp()).collect();
            let total = weights.iter().sum::<f32>() * features.len() as f32;
            for ((item, _), weight) in near.into_iter().zip(weights) {
                *sum.entry(item).or_default() += weight / total;
            }
        }
        let count = sum.len();
        let between = best(sum.into_iter().collect(), count);
        let Some(rows) = rows else { return Ok(Placed { row: Vec::new(), between }) };
        let mut row = vec![0f32; rows.cols];
        for &(item, share) in &between {
            row.iter_mut().zip(rows.row(item as usize)).for_each(|(r, v)| *r += v * share);
        }
        if matches!(self.run.scorer, Scorer::Dot { .. } | Scorer::Hybrid(_)) {
            let scale = self.lengths.mean_item / norm(&row).max(f32::MIN_POSITIVE);
            row.iter_mut().for_each(|r| *r *= scale);
        }
        Ok(Placed { row, between })
    }

    /// The score of a new item for `vector`; where weights between items count, those to the items that it is
    /// placed between, by their shares. Where the scorer has no item vectors, the scores of these by their
    /// shares.
    pub fn score_placed(&self, vector: &UserVector, item: &Placed) -> f32 {
        if item.row.is_empty() {
            return item.between.iter().map(|&(near, share)| share * self.score(vector, near)).sum();
        }
        let by_row = self.run.scorer.score_rows(&vector.row, &item.row);
        let Scorer::Hybrid(all) = &self.run.scorer else { return by_row };
        let sum = |&(near, share): &(u32, f32)| share * all.weights.sum(&vector.history, near);
        by_row + item.between.iter().map(sum).sum::<f32>()
    }
}
