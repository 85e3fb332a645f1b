//! Tests of significance: analysis of variance over per-seed results with the tests of its assumptions,
//! paired tests over users, Holm's correction, and intervals that may be looked at at any time. Distributions
//! come from `statrs`.

mod anova;
mod paired;
mod sequential;
mod shapiro;

use serde::Serialize;

pub use anova::{Anova, Verdict, anova};
pub use paired::{Paired, holm, paired};
pub use sequential::{difference_interval, proportion_interval};
pub use shapiro::shapiro_wilk;

/// A test's statistic and the probability of one at least as extreme when there is no difference.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Test {
    /// The statistic.
    pub statistic: f64,
    /// The p-value.
    pub p: f64,
}

/// Arithmetic mean; NaN of nothing.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Sum of squared distances from the mean.
fn squares(values: &[f64]) -> f64 {
    let centre = mean(values);
    values.iter().map(|v| (v - centre).powi(2)).sum()
}

/// Whether a sum of squares over `df` degrees of freedom is rounding noise beside values of size `scale`.
/// Doubles are rounded to about 1e-16 of themselves and means of them to little more: a spread below 1e-12
/// says nothing of models.
fn is_noise(squares: f64, df: f64, scale: f64) -> bool {
    squares <= df * (1e-12 * scale).powi(2)
}

/// Standard deviation of a sample, with `n - 1`; NaN below two values.
pub fn sd(values: &[f64]) -> f64 {
    if values.len() < 2 { f64::NAN } else { (squares(values) / (values.len() - 1) as f64).sqrt() }
}

/// Ranks from 1, ties sharing their mean, and the sum of `t³ - t` over groups of `t` ties.
fn ranks(values: &[f64]) -> (Vec<f64>, f64) {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let (mut ranks, mut ties, mut from) = (vec![0.0; values.len()], 0.0, 0);
    for same in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let t = same.len() as f64;
        let shared = from as f64 + (t + 1.0) / 2.0;
        same.iter().for_each(|&at| ranks[at] = shared);
        ties += t.powi(3) - t;
        from += same.len();
    }
    (ranks, ties)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_share_a_rank() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 2.0]), (vec![3.5, 1.0, 3.5, 2.0], 6.0));
    }

    #[test]
    fn deviations_are_of_a_sample() {
        assert!((sd(&[1.0, 2.0, 3.0, 4.0]) - 1.290_994_448_735_805_6).abs() < 1e-15);
        assert!(sd(&[1.0]).is_nan());
    }
}
