//! The tables of tests: analysis of variance with its assumptions, and the paired tests.

use alike::experiment::stats::{Anova, Test};
use alike::experiment::{Comparison, DataOutcome};
use maud::{Markup, html};

use super::tables::{NONE, statistic, table, title};

const VARIANCE: [&str; 7] =
    ["Metric", "To read", "Shapiro-Wilk W", "Levene F", "ANOVA F", "Welch F", "Kruskal-Wallis H"];
const PAIRED: [&str; 6] = ["Model", "Metric", "Difference", "Student t", "p, Holm", "Wilcoxon p, Holm"];

/// All tests of a data set.
pub(super) fn tests(set: &DataOutcome) -> Markup {
    html! {
        (variance(set))
        @if let Some(reference) = &set.reference { (paired(set, reference)) }
    }
}

/// Whether the models differ at all.
fn variance(set: &DataOutcome) -> Markup {
    if set.anova.is_empty() {
        return html! {
            p {
                (set.name)
                ": no analysis of variance; it needs two models with several seeds each whose results differ."
            }
        };
    }
    let rows = html! {
        @for (metric, anova) in &set.anova {
            tr {
                th scope="row" { (title(metric)) }
                td { (verdict(anova)) }
                td { (test(anova.normality)) }
                td { (test(anova.equal_variances)) }
                td { "(" (anova.df.0) ",\u{a0}" (anova.df.1) ") " (test(Some(anova.classic))) }
                td { (test(anova.welch)) }
                td { (test(anova.kruskal)) }
            }
        }
    };
    table(&format!("{}: analysis of variance over seeds", set.name), VARIANCE, &rows)
}

/// The test to read, and why.
fn verdict(anova: &Anova) -> Markup {
    let verdict = anova.verdict();
    let differ = if verdict.test.p < 0.05 { "they differ" } else { "no difference shown" };
    html! { span.words { (verdict.name) ": " (differ) br; small { (verdict.why) } } }
}

/// A test in a narrow cell: the statistic, and p under it.
fn test(test: Option<Test>) -> Markup {
    html! {
        @if let Some(Test { statistic: value, p }) = test {
            (statistic(value)) br; "p\u{a0}" (p_value(p))
        } @else {
            (NONE)
        }
    }
}

fn p_value(p: f64) -> String {
    if p < 1e-4 { "< 0.0001".into() } else { format!("{p:.4}") }
}

/// Each model against the reference, user by user.
fn paired(set: &DataOutcome, reference: &str) -> Markup {
    let all = set.comparisons.iter().flat_map(|(metric, all)| all.iter().map(move |c| (metric, c)));
    let all: Vec<(&String, &Comparison)> = all.collect();
    if all.is_empty() {
        return Markup::default();
    }
    let rows = html! {
        @for (metric, Comparison { name, test, t_holm, wilcoxon_holm }) in all {
            tr {
                th scope="row" { (name) }
                td { (title(metric)) }
                td { (format!("{:+.4}", test.difference)) }
                td { (statistic(test.t.statistic)) }
                td { (p_value(*t_holm)) }
                td { (p_value(*wilcoxon_holm)) }
            }
        }
    };
    let caption = format!("{}: {reference} minus the other, over users, mean over seeds", set.name);
    table(&caption, PAIRED, &rows)
}
