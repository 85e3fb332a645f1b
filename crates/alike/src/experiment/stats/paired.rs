//! Tests over users who saw both lists, and the correction for many of them.

use serde::Serialize;
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

use super::{Test, mean, ranks, sd};

/// Differences of two models' results, user by user.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Paired {
    /// Mean difference, first minus second.
    pub difference: f64,
    /// Student's paired t; 0 where nothing differs.
    pub t: Test,
    /// Wilcoxon's signed ranks by their normal approximation, equal pairs left out: the smaller rank sum.
    pub wilcoxon: Test,
}

/// Compares two models on the same users.
///
/// # Panics
/// When the lists are not of the same length.
pub fn paired(first: &[f64], second: &[f64]) -> Paired {
    assert_eq!(first.len(), second.len(), "paired values belong to the same users");
    let d: Vec<f64> = first.iter().zip(second).map(|(a, b)| a - b).collect();
    Paired { difference: mean(&d), t: student(&d), wilcoxon: wilcoxon(&d) }
}

fn student(d: &[f64]) -> Test {
    let n = d.len() as f64;
    let t = mean(d) / (sd(d) / n.sqrt());
    match StudentsT::new(0.0, 1.0, n - 1.0) {
        Ok(students) if t.is_finite() => Test { statistic: t, p: 2.0 * students.sf(t.abs()) },
        _ => Test { statistic: 0.0, p: 1.0 },
    }
}

fn wilcoxon(d: &[f64]) -> Test {
    let kept: Vec<f64> = d.iter().copied().filter(|v| *v != 0.0).collect();
    let n = kept.len() as f64;
    let (ranks, ties) = ranks(&kept.iter().map(|v| v.abs()).collect::<Vec<_>>());
    let up: f64 = ranks.iter().zip(&kept).filter(|(_, v)| **v > 0.0).map(|(r, _)| r).sum();
    let all = n * (n + 1.0) / 2.0;
    let width = (n * (n + 1.0) * (2.0 * n + 1.0) / 24.0 - ties / 48.0).sqrt();
    let z = (up - all / 2.0) / width;
    let p = if z.is_finite() { 2.0 * Normal::standard().sf(z.abs()) } else { 1.0 };
    Test { statistic: up.min(all - up), p }
}

/// Holm's correction: p-values that may be held against one level together.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let (mut corrected, mut least) = (vec![0.0; p.len()], 0.0f64);
    for (at, &i) in order.iter().enumerate() {
        least = least.max(((p.len() - at) as f64 * p[i]).min(1.0));
        corrected[i] = least;
    }
    corrected
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holm_multiplies_the_smallest_most() {
        let found = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (a, b) in found.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((a - b).abs() < 1e-12, "{found:?}");
        }
        assert_eq!(holm(&[0.7, 0.9]), [1.0, 1.0]);
    }

    #[test]
    fn equal_lists_do_not_differ() {
        let same = paired(&[0.5, 1.0], &[0.5, 1.0]);
        assert_eq!((same.difference, same.t.p, same.wilcoxon.p), (0.0, 1.0, 1.0));
    }
}
