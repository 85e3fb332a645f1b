//! Shapiro and Wilk's test of normality, by Royston's approximation (Applied Statistics 44(4), 1995,
//! algorithm R94).

use std::f64::consts::PI;

use statrs::distribution::{ContinuousCDF, Normal};

use super::{Test, squares};

/// Correction of the largest weight, by powers of `1/√n` from the first.
const LAST: [f64; 5] = [0.221157, -0.147981, -2.071190, 4.434685, -2.706056];
/// The same for the second largest.
const SECOND: [f64; 5] = [0.042981, -0.293762, -1.752461, 5.682633, -3.582633];

/// Whether `values` may come from a normal distribution; `None` below 3 values, above 5000, or when all are
/// equal.
pub fn shapiro_wilk(values: &[f64]) -> Option<Test> {
    let n = values.len();
    let spread = squares(values);
    if !(3..=5000).contains(&n) || spread <= 0.0 {
        return None;
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let b: f64 = weights(n).iter().zip(&sorted).map(|(a, x)| a * x).sum();
    let w = (b * b / spread).min(1.0);
    Some(Test { statistic: w, p: probability(w, n) })
}

/// Weights of the values in growing order.
fn weights(n: usize) -> Vec<f64> {
    if n == 3 {
        return vec![-0.5f64.sqrt(), 0.0, 0.5f64.sqrt()];
    }
    let normal = Normal::standard();
    let m: Vec<f64> = (1..=n).map(|i| normal.inverse_cdf((i as f64 - 0.375) / (n as f64 + 0.25))).collect();
    let norm: f64 = m.iter().map(|v| v * v).sum();
    let u = 1.0 / (n as f64).sqrt();
    let corrected =
        |at: usize, by: &[f64; 5]| m[at] / norm.sqrt() + by.iter().rev().fold(0.0, |sum, c| (sum + c) * u);
    let last = corrected(n - 1, &LAST);
    // Up to five values only the outermost weight is corrected.
    let second = (n > 5).then(|| corrected(n - 2, &SECOND));
    let of = |at: usize| 2.0 * m[at] * m[at];
    let (known, left) = match second {
        Some(s) => (2.0 * last * last + 2.0 * s * s, norm - of(n - 1) - of(n - 2)),
        None => (2.0 * last * last, norm - of(n - 1)),
    };
    let scale = (left / (1.0 - known)).sqrt();
    let mut a: Vec<f64> = m.iter().map(|v| v / scale).collect();
    (a[n - 1], a[0]) = (last, -last);
    if let Some(s) = second {
        (a[n - 2], a[1]) = (s, -s);
    }
    a
}

fn probability(w: f64, n: usize) -> f64 {
    let size = n as f64;
    if n == 3 {
        return (6.0 / PI * (w.sqrt().asin() - 0.75f64.sqrt().asin())).clamp(0.0, 1.0);
    }
    let polynomial = |c: [f64; 4], x: f64| c.iter().rev().fold(0.0, |sum, c| sum * x + c);
    let rest = (1.0 - w).max(f64::MIN_POSITIVE).ln();
    let (value, centre, width) = if n <= 11 {
        let limit = 0.459 * size - 2.273;
        if rest >= limit {
            return 0.0;
        }
        let centre = polynomial([0.5440, -0.39978, 0.025054, -0.0006714], size);
        (-(limit - rest).ln(), centre, polynomial([1.3822, -0.77857, 0.062767, -0.0020322], size).exp())
    } else {
        let x = size.ln();
        let centre = polynomial([-1.5861, -0.31082, -0.083751, 0.0038915], x);
        (rest, centre, polynomial([-0.4803, -0.082676, 0.0030302, 0.0], x).exp())
    };
    Normal::standard().sf((value - centre) / width)
}
