//! Intervals that may be looked at as often as one likes.
//!
//! A test that is read every day, and ended when its interval leaves zero, errs far more often than its level
//! says where the interval is made for one look. These hold at all times at once: with the probability of the
//! level, the truth lies in every one of them, however many are looked at (Ville's inequality on a mixture of
//! likelihood ratios).

use statrs::function::beta::ln_beta;

/// Bisections of an end of an interval.
const STEPS: usize = 60;

/// Where a probability lies of which `hits` of `trials` independent trials came true: all `p` of which the
/// mixture of the other probabilities, by Jeffreys' prior, is less than `1 / (1 - level)` times as likely.
/// Exact for any number of trials (Robbins 1970). The whole of 0..=1 where there are none.
pub fn proportion_interval(hits: u64, trials: u64, level: f64) -> (f64, f64) {
    let (k, n) = (hits as f64, trials as f64);
    let mixture = ln_beta(k + 0.5, n - k + 0.5) - ln_beta(0.5, 0.5);
    let limit = -(1.0 - level).ln();
    // 0 · ln 0 is 0 here.
    let times = |count: f64, p: f64| if count == 0.0 { 0.0 } else { count * p.ln() };
    let outside = |p: f64| mixture - times(k, p) - times(n - k, 1.0 - p) >= limit;
    let best = if trials == 0 { 0.5 } else { k / n };
    let end = |edge: f64| {
        if !outside(edge) {
            return edge;
        }
        let (mut inner, mut outer) = (best, edge);
        for _ in 0..STEPS {
            let middle = 0.5 * (inner + outer);
            if outside(middle) { outer = middle } else { inner = middle }
        }
        outer
    };
    (end(0.0), end(1.0))
}

/// Where the difference of two probabilities lies, the second less the first, each given as hits and trials.
/// A mixture of differences with the standard deviation `effect` around zero, as if the observed difference
/// were normally distributed (Johari et al. 2017): right for some tens of hits and more. Tightest where the
/// truth is about as large as `effect`. None where a side has no trials.
pub fn difference_interval(
    first: (u64, u64),
    second: (u64, u64),
    effect: f64,
    level: f64,
) -> Option<(f64, f64)> {
    if first.1 == 0 || second.1 == 0 {
        return None;
    }
    // Half a hit and half a miss more, so that nothing is certain after a few.
    let variance = |(hits, trials): (u64, u64)| {
        let (k, n) = (hits as f64 + 0.5, trials as f64 + 1.0);
        k / n * (1.0 - k / n) / trials as f64
    };
    let rate = |(hits, trials): (u64, u64)| hits as f64 / trials as f64;
    let (v, mixed) = (variance(first) + variance(second), effect * effect);
    let width = (v * (v + mixed) / mixed * (((v + mixed) / v).ln() - 2.0 * (1.0 - level).ln())).sqrt();
    let difference = rate(second) - rate(first);
    Some(((difference - width).max(-1.0), (difference + width).min(1.0)))
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn intervals_hold_the_observed_rate_and_shrink() {
        assert_eq!(proportion_interval(0, 0, 0.95), (0.0, 1.0));
        let mut last = 1.0;
        for n in [10, 100, 1000, 10_000] {
            let (low, high) = proportion_interval(n / 5, n, 0.95);
            assert!(low < 0.2 && 0.2 < high && high - low < last, "{n}: {low} {high}");
            last = high - low;
        }
        assert_eq!(proportion_interval(0, 50, 0.95).0, 0.0);
        assert_eq!(proportion_interval(50, 50, 0.95).1, 1.0);
        assert!(proportion_interval(0, 50, 0.95).1 > 0.03);
        let (wide, narrow) = (proportion_interval(20, 100, 0.99), proportion_interval(20, 100, 0.9));
        assert!(wide.0 < narrow.0 && narrow.1 < wide.1);
    }

    #[test]
    fn the_ends_are_where_the_mixture_says() {
        // By numerical integration of the mixture's likelihood over a grid, which knows nothing of the beta
        // function.
        let (k, n, level) = (7u64, 40u64, 0.95);
        let likelihood = |p: f64| p.powi(k as i32) * (1.0 - p).powi((n - k) as i32);
        let steps = 400_000;
        let at = |i: usize| ((i as f64 + 0.5) / steps as f64 * std::f64::consts::FRAC_PI_2).sin().powi(2);
        // p = sin² t turns Jeffreys' prior into a uniform one over t.
        let mixture = (0..steps).map(|i| likelihood(at(i))).sum::<f64>() / steps as f64;
        let (low, high) = proportion_interval(k, n, level);
        for end in [low, high] {
            assert!((mixture / likelihood(end) * (1.0 - level) - 1.0).abs() < 1e-4, "{end}");
        }
    }

    #[test]
    fn peeking_all_the_time_errs_no_more_often_than_the_level_allows() {
        let mut draw = ChaCha8Rng::seed_from_u64(1);
        for (rate, most) in [(0.02, 6000), (0.1, 3000), (0.5, 3000)] {
            let (mut wrong, mut wrong_one, runs) = (0, 0, 300);
            for _ in 0..runs {
                let (mut first, mut second) = ((0, 0), (0, 0));
                let (mut erred, mut erred_one) = (false, false);
                for n in 1..=most {
                    first = (first.0 + u64::from(draw.random_bool(rate)), n);
                    second = (second.0 + u64::from(draw.random_bool(rate)), n);
                    if n % 20 == 0 {
                        let (low, high) = difference_interval(first, second, 0.02, 0.95).unwrap();
                        erred |= low > 0.0 || high < 0.0;
                        let (low, high) = proportion_interval(first.0, n, 0.95);
                        erred_one |= !(low..=high).contains(&rate);
                    }
                }
                wrong += usize::from(erred);
                wrong_one += usize::from(erred_one);
            }
            // Fifteen of three hundred are allowed; two standard deviations more by chance.
            assert!(wrong <= 22 && wrong_one <= 22, "{rate}: {wrong}, {wrong_one} of {runs}");
        }
    }

    #[test]
    fn a_true_difference_is_found() {
        assert_eq!(difference_interval((0, 0), (1, 2), 0.02, 0.95), None);
        let (low, high) = difference_interval((1000, 10_000), (1200, 10_000), 0.02, 0.95).unwrap();
        assert!(low > 0.0 && low < 0.02 && 0.02 < high, "{low} {high}");
        let swapped = difference_interval((1200, 10_000), (1000, 10_000), 0.02, 0.95).unwrap();
        assert!((swapped.0 + high).abs() < 1e-12 && (swapped.1 + low).abs() < 1e-12);
    }
}
