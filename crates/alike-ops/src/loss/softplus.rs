//! Softplus, and its mean over a batch.

use rayon::prelude::*;

/// Margins per task.
const BLOCK: usize = 1024;

/// `ln(1 + eˣ)` and its derivative `σ(x)`, without overflow.
fn softplus(x: f32) -> (f64, f64) {
    let x = f64::from(x);
    let e = (-x.abs()).exp();
    (x.max(0.0) + e.ln_1p(), if x >= 0.0 { 1.0 } else { e } / (1.0 + e))
}

/// Mean softplus of the margins; overwrites each margin with its slope `σ(x)/b`.
pub(crate) fn mean_softplus(margins: &mut [f32]) -> f64 {
    let b = margins.len() as f64;
    let blocks: Vec<f64> = margins
        .par_chunks_mut(BLOCK)
        .map(|block| {
            let mut sum = 0.0;
            for x in block {
                let (loss, slope) = softplus(*x);
                sum += loss;
                *x = (slope / b) as f32;
            }
            sum
        })
        .collect();
    blocks.into_iter().sum::<f64>() / b
}

#[cfg(feature = "gpu")]
pub(crate) mod gpu;

#[cfg(test)]
mod tests {
    use super::softplus;

    #[test]
    fn softplus_is_stable_and_its_slope_is_its_derivative() {
        assert_eq!(softplus(0.0).1, 0.5);
        assert_eq!(softplus(1e30), (f64::from(1e30f32), 1.0));
        assert_eq!(softplus(f32::NEG_INFINITY), (0.0, 0.0));
        assert!((softplus(-40.0).0 / (-40f64).exp() - 1.0).abs() < 1e-12);
        assert!(softplus(f32::NAN).0.is_nan());
        for x in [-20f32, -3.0, -0.5, 0.25, 4.0, 30.0] {
            let (up, down) = (softplus(x + 0.125).0, softplus(x - 0.125).0);
            let slope = softplus(x).1;
            assert!(
                ((up - down) / 0.25 - slope).abs() < 2e-3 * slope.max(1e-9) + 1e-3 * slope * (1.0 - slope)
            );
        }
    }
}
