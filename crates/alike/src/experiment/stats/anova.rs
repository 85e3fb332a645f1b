//! One-way analysis of variance, the tests of what it assumes, and what to read where that does not hold.

use serde::Serialize;
use statrs::distribution::{ChiSquared, ContinuousCDF, FisherSnedecor};

use super::{Test, mean, ranks, sd, shapiro_wilk, squares};

/// What differs between groups of results.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Anova {
    /// Degrees of freedom between groups and within.
    pub df: (usize, usize),
    /// One-way analysis of variance, F.
    pub classic: Test,
    /// Shapiro-Wilk of the residuals, W; `None` where they are too few or all equal.
    pub normality: Option<Test>,
    /// Levene's test around medians (Brown and Forsythe), F; `None` where all distances are equal.
    pub equal_variances: Option<Test>,
    /// Welch's analysis, which needs no equal variances, F; `None` where a group has no variance.
    pub welch: Option<Test>,
    /// Kruskal and Wallis' test, which needs no normality, H.
    pub kruskal: Option<Test>,
}

impl Anova {
    /// Name and result of the test whose assumptions hold at level 0.05: the classic analysis; Welch's where only the
    /// variances differ; Kruskal and Wallis' where the residuals are not normal.
    pub fn verdict(&self) -> (&'static str, Test) {
        let fails = |test: Option<Test>| test.is_some_and(|t| t.p < 0.05);
        let other = if fails(self.normality) {
            self.kruskal.map(|t| ("Kruskal-Wallis", t))
        } else if fails(self.equal_variances) {
            self.welch.map(|t| ("Welch's ANOVA", t))
        } else {
            None
        };
        other.unwrap_or(("one-way ANOVA", self.classic))
    }
}

/// Compares `groups`; those with fewer than two values are left out, and there is nothing to say below two groups or when
/// nothing varies within them.
pub fn anova(groups: &[Vec<f64>]) -> Option<Anova> {
    let groups: Vec<&[f64]> = groups.iter().map(Vec::as_slice).filter(|g| g.len() > 1).collect();
    let (df, classic) = classic(&groups)?;
    let residuals: Vec<f64> = groups.iter().flat_map(|g| g.iter().map(|v| v - mean(g))).collect();
    Some(Anova {
        df,
        classic,
        normality: shapiro_wilk(&residuals),
        equal_variances: levene(&groups),
        welch: welch(&groups),
        kruskal: kruskal(&groups),
    })
}

fn upper_f(f: f64, df: (f64, f64)) -> Option<f64> {
    Some(FisherSnedecor::new(df.0, df.1).ok()?.sf(f))
}

fn classic(groups: &[&[f64]]) -> Option<((usize, usize), Test)> {
    let all: Vec<f64> = groups.concat();
    if groups.len() < 2 || all.len() <= groups.len() {
        return None;
    }
    let df = (groups.len() - 1, all.len() - groups.len());
    let within: f64 = groups.iter().map(|g| squares(g)).sum();
    let centre = mean(&all);
    let between: f64 = groups.iter().map(|g| g.len() as f64 * (mean(g) - centre).powi(2)).sum();
    if within <= 0.0 {
        return None;
    }
    let f = between / df.0 as f64 / (within / df.1 as f64);
    Some((df, Test { statistic: f, p: upper_f(f, (df.0 as f64, df.1 as f64))? }))
}

fn levene(groups: &[&[f64]]) -> Option<Test> {
    let distances: Vec<Vec<f64>> = groups
        .iter()
        .map(|g| {
            let mut sorted = g.to_vec();
            sorted.sort_by(f64::total_cmp);
            let median = (sorted[(g.len() - 1) / 2] + sorted[g.len() / 2]) / 2.0;
            g.iter().map(|v| (v - median).abs()).collect()
        })
        .collect();
    let slices: Vec<&[f64]> = distances.iter().map(Vec::as_slice).collect();
    classic(&slices).map(|(_, test)| test)
}

fn welch(groups: &[&[f64]]) -> Option<Test> {
    let k = groups.len() as f64;
    let weights: Vec<f64> = groups.iter().map(|g| g.len() as f64 / sd(g).powi(2)).collect();
    let total: f64 = weights.iter().sum();
    if !total.is_finite() {
        return None;
    }
    let centre = groups.iter().zip(&weights).map(|(g, w)| w * mean(g)).sum::<f64>() / total;
    let between =
        groups.iter().zip(&weights).map(|(g, w)| w * (mean(g) - centre).powi(2)).sum::<f64>() / (k - 1.0);
    let spread: f64 =
        groups.iter().zip(&weights).map(|(g, w)| (1.0 - w / total).powi(2) / (g.len() - 1) as f64).sum();
    let f = between / (1.0 + 2.0 * (k - 2.0) / (k * k - 1.0) * spread);
    Some(Test { statistic: f, p: upper_f(f, (k - 1.0, (k * k - 1.0) / (3.0 * spread)))? })
}

fn kruskal(groups: &[&[f64]]) -> Option<Test> {
    let all: Vec<f64> = groups.concat();
    let n = all.len() as f64;
    let (ranks, ties) = ranks(&all);
    let mut from = 0;
    let mut sum = 0.0;
    for g in groups {
        sum += ranks[from..from + g.len()].iter().sum::<f64>().powi(2) / g.len() as f64;
        from += g.len();
    }
    let correction = 1.0 - ties / (n.powi(3) - n);
    let h = (12.0 / (n * (n + 1.0)) * sum - 3.0 * (n + 1.0)) / correction;
    let p = ChiSquared::new(groups.len() as f64 - 1.0).ok()?.sf(h);
    h.is_finite().then_some(Test { statistic: h, p })
}
