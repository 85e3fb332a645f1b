//! One-way analysis of variance, the tests of what it assumes, and what to read where that does not hold.

use serde::Serialize;
use statrs::distribution::{ChiSquared, ContinuousCDF, FisherSnedecor};

use super::{Test, is_noise, mean, ranks, sd, shapiro_wilk, squares};

/// Values that each group needs before the assumptions are tested. With two, both are equally far from their
/// middle whatever they are, so that nothing can be learned of their distribution or spread.
const TESTED: usize = 3;

/// What differs between groups of results.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Anova {
    /// Degrees of freedom between groups and within.
    pub df: (usize, usize),
    /// Number of values of the smallest group.
    pub smallest: usize,
    /// One-way analysis of variance, F.
    pub classic: Test,
    /// Shapiro-Wilk of the residuals, W; `None` where a group has fewer than three values, or they vary by
    /// rounding alone.
    pub normality: Option<Test>,
    /// Levene's test around medians (Brown and Forsythe), F; `None` for the same reasons.
    pub equal_variances: Option<Test>,
    /// Welch's analysis, which needs no equal variances, F; `None` where a group has no variance.
    pub welch: Option<Test>,
    /// Kruskal and Wallis' test, which needs no normality, H.
    pub kruskal: Option<Test>,
}

/// Which of the tests to read.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// Name of the test.
    pub name: &'static str,
    /// Its result.
    pub test: Test,
    /// Why this one, in words.
    pub why: String,
}

impl Anova {
    /// The test whose assumptions hold at level 0.05: the classic analysis, also where nothing could be
    /// tested; Welch's where only the variances differ; Kruskal and Wallis' where the residuals are not
    /// normal.
    pub fn verdict(&self) -> Verdict {
        let classic = |why: String| Verdict { name: "one-way ANOVA", test: self.classic, why };
        if self.smallest < TESTED {
            return classic(format!("normality and equal variances cannot be tested below {TESTED} seeds"));
        }
        let said = |name: &str, test: Test| format!("{name}, p {}", p_value(test.p));
        let fails = |test: &Test| test.p < 0.05;
        if let Some(normality) = self.normality.filter(fails) {
            let why = format!("residuals are not normal ({})", said("Shapiro-Wilk", normality));
            return match self.kruskal {
                Some(test) => Verdict { name: "Kruskal-Wallis", test, why },
                None => classic(format!("{why}, but all ranks are tied")),
            };
        }
        if let Some(levene) = self.equal_variances.filter(fails) {
            let why = format!("variances differ ({})", said("Levene", levene));
            return match self.welch {
                Some(test) => Verdict { name: "Welch's ANOVA", test, why },
                None => classic(format!("{why}, but the seeds of one model all give the same")),
            };
        }
        let passed = [
            ("normal residuals", "Shapiro-Wilk", self.normality),
            ("equal variances", "Levene", self.equal_variances),
        ];
        let part = |(what, name, test): (&str, &str, Option<Test>)| match test {
            Some(test) => format!("{what} are plausible ({})", said(name, test)),
            None => format!("{what} cannot be tested"),
        };
        classic(passed.map(part).join(", "))
    }
}

/// A p-value with four digits.
fn p_value(p: f64) -> String {
    if p < 1e-4 { "below 0.0001".into() } else { format!("{p:.4}") }
}

/// Compares `groups`; those with fewer than two values are left out, and there is nothing to say below two
/// groups or when nothing but rounding varies within them.
pub fn anova(groups: &[Vec<f64>]) -> Option<Anova> {
    let groups: Vec<&[f64]> = groups.iter().map(Vec::as_slice).filter(|g| g.len() > 1).collect();
    let smallest = groups.iter().map(|g| g.len()).min()?;
    let scale = mean(&groups.concat().iter().map(|v| v.abs()).collect::<Vec<_>>());
    let (df, classic) = classic(&groups, scale)?;
    let residuals = || groups.iter().flat_map(|g| g.iter().map(|v| v - mean(g))).collect::<Vec<f64>>();
    let tested = smallest >= TESTED;
    Some(Anova {
        df,
        smallest,
        classic,
        normality: tested.then(|| shapiro_wilk(&residuals())).flatten(),
        equal_variances: tested.then(|| levene(&groups, scale)).flatten(),
        welch: welch(&groups, scale),
        kruskal: kruskal(&groups),
    })
}

fn upper_f(f: f64, df: (f64, f64)) -> Option<f64> {
    Some(FisherSnedecor::new(df.0, df.1).ok()?.sf(f))
}

/// One-way analysis of variance of values that were computed from numbers of size `scale`.
fn classic(groups: &[&[f64]], scale: f64) -> Option<((usize, usize), Test)> {
    let all: Vec<f64> = groups.concat();
    if groups.len() < 2 || all.len() <= groups.len() {
        return None;
    }
    let df = (groups.len() - 1, all.len() - groups.len());
    let within: f64 = groups.iter().map(|g| squares(g)).sum();
    let centre = mean(&all);
    let between: f64 = groups.iter().map(|g| g.len() as f64 * (mean(g) - centre).powi(2)).sum();
    if is_noise(within, df.1 as f64, scale) {
        return None;
    }
    let f = between / df.0 as f64 / (within / df.1 as f64);
    Some((df, Test { statistic: f, p: upper_f(f, (df.0 as f64, df.1 as f64))? }))
}

fn levene(groups: &[&[f64]], scale: f64) -> Option<Test> {
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
    classic(&slices, scale).map(|(_, test)| test)
}

fn welch(groups: &[&[f64]], scale: f64) -> Option<Test> {
    if groups.iter().any(|g| is_noise(squares(g), (g.len() - 1) as f64, scale)) {
        return None;
    }
    let k = groups.len() as f64;
    let weights: Vec<f64> = groups.iter().map(|g| g.len() as f64 / sd(g).powi(2)).collect();
    let total: f64 = weights.iter().sum();
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
