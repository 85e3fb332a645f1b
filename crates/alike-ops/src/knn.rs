//! Nearest neighbours by cosine, in blocks: no matrix of all pairs.

use rayon::prelude::*;

use crate::score::Formula;
use crate::topk::{Search, search};

/// The `k` most similar rows of each row, most similar first; equal similarities by lower index.
#[derive(Debug, Clone, PartialEq)]
pub struct Knn {
    /// Neighbours a row.
    pub k: usize,
    /// Neighbours, `rows × k`; `u32::MAX` where there are fewer than `k` other rows.
    pub idx: Vec<u32>,
    /// Cosines, `rows × k`; 0 where there is no neighbour.
    pub cos: Vec<f32>,
}

/// Cosine nearest neighbours of the rows of `x [rows, dim]`. A zero row (or one of a norm below 1e-38) has
/// similarity 0 to every row.
///
/// Panics when `x` does not hold `rows × dim` values.
pub fn knn_cosine(x: &[f32], rows: usize, dim: usize, k: usize, include_self: bool) -> Knn {
    assert!(x.len() == rows * dim && dim > 0, "{rows} rows of {dim} values, not {} values", x.len());
    let scale: Vec<f32> = x
        .par_chunks(dim)
        .map(|row| {
            let norm = row.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>().sqrt();
            let scale = (1.0 / norm) as f32;
            if scale.is_infinite() { 0.0 } else { scale }
        })
        .collect();
    let all: Vec<u32> = (0..rows as u32).collect();
    let what = Search { users: x, items: x, dim, scale: Some(&scale), formula: Formula::Dot };
    let top = search(&what, &all, k, |row, masked| {
        if !include_self {
            masked.push(row);
        }
    });
    // Rounding may leave [-1, 1] by an ulp or two; the order above is that of the unclamped values.
    let cos = top
        .scores
        .iter()
        .zip(&top.items)
        .map(|(&s, &i)| if i == u32::MAX { 0.0 } else { s.clamp(-1.0, 1.0) });
    Knn { k, cos: cos.collect(), idx: top.items }
}
