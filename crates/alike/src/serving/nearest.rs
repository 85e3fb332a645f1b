//! What is nearest by features: for a text or a picture that somebody brings, and for items that are new.

use rayon::prelude::*;

use super::{Serving, Taste};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::scorer::{Matrix, Scorer};

/// Known items from which a new one takes its place.
const NEIGHBORS: usize = 20;

/// Lengths of the feature rows, one list a modality.
pub(super) struct Nearest {
    norms: Vec<Vec<f32>>,
}

/// A new item as the scorer takes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Placed {
    /// A row of the scorer's items.
    pub row: Vec<f32>,
    /// The known items that it stands between, with their shares, largest first.
    pub between: Vec<(u32, f32)>,
}

impl Nearest {
    pub(super) fn new(data: &Dataset) -> Self {
        let norms = |f: &crate::data::Features| f.values().par_chunks(f.dim).map(norm).collect();
        Self { norms: data.features.iter().map(norms).collect() }
    }
}

impl Serving {
    /// The `k` items whose features of `modality` point most nearly where `features` does, with cosines.
    ///
    /// # Errors
    /// The data have no such modality, or its features have another width.
    pub fn nearest(&self, modality: &str, features: &[f32], k: usize) -> Result<Vec<(u32, f32)>> {
        let data = &self.run.data;
        let at = data.features.iter().position(|f| f.name == modality).ok_or_else(|| {
            let have: Vec<&str> = data.features.iter().map(|f| &*f.name).collect();
            let have = if have.is_empty() { "none".into() } else { have.join(", ") };
            Error::Data(format!("unknown modality `{modality}`; the data have: {have}"))
        })?;
        let own = &data.features[at];
        if features.len() != own.dim || features.iter().any(|v| !v.is_finite()) {
            let text =
                format!("features of `{modality}` are {} finite values, not {}", own.dim, features.len());
            return Err(Error::Data(text));
        }
        let length = norm(features);
        let score = |(i, row): (usize, &[f32])| {
            let scale = length * self.nearest.norms[at][i];
            (i as u32, if scale > 0.0 { dot(features, row) / scale } else { 0.0 })
        };
        let rows = own.values().par_chunks(own.dim).enumerate().filter(|(i, _)| !own.missing[*i]);
        Ok(best(rows.map(score).collect(), k))
    }

    /// Where an item stands that has features but that nobody took yet: between the items nearest to it, by the mean of
    /// the cosines over the modalities given.
    ///
    /// # Errors
    /// As [`Self::nearest`]; no modality given; the scorer has no item vectors.
    pub fn place_item(&self, features: &[(&str, &[f32])]) -> Result<Placed> {
        let rows: &Matrix = match &self.run.scorer {
            Scorer::Dot { items, .. } | Scorer::PairMlp { items, .. } => items,
            _ => return Err(Error::Data("this model has no item vectors to place a new item among".into())),
        };
        if features.is_empty() {
            return Err(Error::Data("a new item needs features of at least one modality".into()));
        }
        let mut sum = std::collections::BTreeMap::<u32, f32>::new();
        for (modality, values) in features {
            for (item, cosine) in self.nearest(modality, values, NEIGHBORS)? {
                *sum.entry(item).or_default() += cosine.max(0.0) / features.len() as f32;
            }
        }
        let mut between = best(sum.into_iter().filter(|s| s.1 > 0.0).collect(), NEIGHBORS);
        let total: f32 = between.iter().map(|b| b.1).sum();
        let mut row = vec![0f32; rows.cols];
        for (item, share) in &mut between {
            *share /= total;
            row.iter_mut().zip(rows.row(*item as usize)).for_each(|(r, v)| *r += v * *share);
        }
        Ok(Placed { row, between })
    }

    /// The score of a new item for `taste`.
    pub fn score_placed(&self, taste: &Taste, item: &Placed) -> f32 {
        self.run.scorer.score_rows(&taste.row, &item.row)
    }
}

pub(super) fn best(mut all: Vec<(u32, f32)>, k: usize) -> Vec<(u32, f32)> {
    let order = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
    if k < all.len() && k > 0 {
        all.select_nth_unstable_by(k - 1, order);
    }
    all.truncate(k);
    all.sort_unstable_by(order);
    all
}

pub(super) fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let scale = norm(a) * norm(b);
    if scale > 0.0 { dot(a, b) / scale } else { 0.0 }
}

fn norm(v: &[f32]) -> f32 {
    dot(v, v).sqrt()
}

/// Eight sums side by side, so that the compiler may use wide registers.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0f32; 8];
    let (a8, b8) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    for (x, y) in a8.0.iter().zip(b8.0) {
        for lane in 0..8 {
            sums[lane] += x[lane] * y[lane];
        }
    }
    sums.iter().sum::<f32>() + a8.1.iter().zip(b8.1).map(|(x, y)| x * y).sum::<f32>()
}
