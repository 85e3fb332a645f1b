//! Tests of significance against SciPy and statsmodels, see `golden/significance.py`.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use alike::experiment::stats::{Test, anova, holm, paired, shapiro_wilk};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    anova: Vec<Groups>,
    paired: Vec<Pair>,
    shapiro: Vec<Sample>,
    holm: Corrected,
}

#[derive(Deserialize)]
struct Groups {
    groups: Vec<Vec<f64>>,
    df: (usize, usize),
    classic: [f64; 2],
    normality: [f64; 2],
    equal_variances: [f64; 2],
    welch: [f64; 2],
    kruskal: [f64; 2],
}

#[derive(Deserialize)]
struct Pair {
    first: Vec<f64>,
    second: Vec<f64>,
    t: [f64; 2],
    wilcoxon: [f64; 2],
}

#[derive(Deserialize)]
struct Sample {
    values: Vec<f64>,
    test: [f64; 2],
}

#[derive(Deserialize)]
struct Corrected {
    p: Vec<f64>,
    corrected: Vec<f64>,
}

fn same(what: &str, found: Test, [statistic, p]: [f64; 2], tolerance: f64) {
    assert!(
        (found.statistic - statistic).abs() <= tolerance * statistic.abs(),
        "{what}: {found:?}, {statistic}"
    );
    assert!((found.p - p).abs() <= tolerance * p.max(1e-3), "{what}: {found:?}, {p}");
}

#[test]
fn tests_agree_with_scipy_and_statsmodels() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/significance.json");
    let case: Case = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    for wanted in &case.anova {
        let found = anova(&wanted.groups).unwrap();
        assert_eq!(found.df, wanted.df);
        same("F", found.classic, wanted.classic, 1e-9);
        same("Shapiro-Wilk", found.normality.unwrap(), wanted.normality, 1e-5);
        same("Levene", found.equal_variances.unwrap(), wanted.equal_variances, 1e-9);
        same("Welch", found.welch.unwrap(), wanted.welch, 1e-9);
        same("Kruskal-Wallis", found.kruskal.unwrap(), wanted.kruskal, 1e-9);
    }
    for wanted in &case.paired {
        let found = paired(&wanted.first, &wanted.second);
        same("t", found.t, wanted.t, 1e-9);
        same("Wilcoxon", found.wilcoxon, wanted.wilcoxon, 1e-9);
    }
    for wanted in &case.shapiro {
        same("Shapiro-Wilk", shapiro_wilk(&wanted.values).unwrap(), wanted.test, 1e-5);
    }
    for (found, wanted) in holm(&case.holm.p).iter().zip(&case.holm.corrected) {
        assert!((found - wanted).abs() < 1e-12);
    }
}

#[test]
fn what_cannot_be_tested_is_not() {
    assert!(anova(&[vec![1.0, 2.0]]).is_none());
    assert!(anova(&[vec![1.0], vec![2.0]]).is_none());
    assert!(anova(&[vec![1.0, 1.0], vec![2.0, 2.0]]).is_none());
    assert!(shapiro_wilk(&[1.0, 1.0, 1.0]).is_none());
    // A group without variance: no Welch, the rest stands.
    let found = anova(&[vec![1.0, 1.0], vec![2.0, 2.1]]).unwrap();
    assert!(found.welch.is_none() && found.classic.p < 0.05);
}

#[test]
fn the_verdict_follows_the_assumptions() {
    let normal = anova(&[vec![1.0, 1.1, 0.9, 1.05], vec![2.0, 2.1, 1.9, 1.95]]).unwrap();
    let verdict = normal.verdict();
    assert_eq!(verdict.name, "one-way ANOVA");
    assert!(verdict.why.starts_with("normal residuals are plausible (Shapiro-Wilk, p 0."), "{verdict:?}");
    let wide = vec![-6.0, -3.0, -1.0, 0.0, 1.0, 3.0, 6.0, 8.0];
    let narrow: Vec<f64> = wide.iter().map(|v| 5.0 + v / 1000.0).collect();
    let found = anova(&[wide, narrow, vec![1.0, 1.1, 0.9, 1.05, 1.2, 0.8, 0.95, 1.0]]).unwrap();
    assert!(found.equal_variances.unwrap().p < 0.05, "{found:?}");
    let verdict = found.verdict();
    assert_ne!(verdict.name, "one-way ANOVA");
    assert!(verdict.why.contains("not normal") || verdict.why.contains("variances differ"), "{verdict:?}");
}

#[test]
fn assumptions_are_not_tested_below_three_values() {
    // Two values are equally far from their middle up to rounding, of which Levene's F once made 1e27.
    let two = anova(&[vec![0.1234, 0.1241], vec![0.2013, 0.2017], vec![0.1733, 0.1752]]).unwrap();
    assert!(two.normality.is_none() && two.equal_variances.is_none(), "{two:?}");
    let verdict = two.verdict();
    assert_eq!((verdict.name, verdict.test), ("one-way ANOVA", two.classic));
    assert_eq!(verdict.why, "normality and equal variances cannot be tested below 3 seeds");
    // One group of two is enough to know nothing.
    let mixed = anova(&[vec![0.1, 0.11, 0.13], vec![0.2, 0.21]]).unwrap();
    assert!(mixed.smallest == 2 && mixed.normality.is_none() && mixed.equal_variances.is_none());
}

#[test]
fn rounding_noise_is_no_spread() {
    let noisy = |v: f64| vec![v, v * (1.0 + f64::EPSILON), v * (1.0 - f64::EPSILON)];
    assert!(anova(&[noisy(0.1), noisy(0.2)]).is_none());
    // A model whose seeds give the same up to rounding has no weight in Welch's analysis.
    let one = anova(&[noisy(0.1), vec![0.2, 0.21, 0.23]]).unwrap();
    assert!(one.welch.is_none() && one.classic.statistic < 1e4, "{one:?}");
    // The same distances from the middle in all groups: nothing for Levene to compare.
    let same = anova(&[vec![0.1, 0.2, 0.3], vec![1.1, 1.2, 1.3]]).unwrap();
    assert!(same.equal_variances.is_some_and(|t| t.p > 0.9), "{same:?}");
}
