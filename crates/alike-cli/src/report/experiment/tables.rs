//! The tables of an experiment's report: results, what lists are like, and what was tried.

use std::cmp::Ordering;

use alike::config::show_all;
use alike::experiment::stats::mean;
use alike::experiment::{DataOutcome, EntryOutcome, Experiment, RunOutcome, Trial};
use alike::train::Remark;
use maud::{Markup, html};

use crate::report::page;

/// A cell without a value.
pub(super) const NONE: &str = "–";

/// A table whose caption says all: names of the columns, and rows.
pub(super) fn table<'a>(caption: &str, head: impl IntoIterator<Item = &'a str>, rows: &Markup) -> Markup {
    let head = html! { tr { @for name in head { th scope="col" { (name) } } } };
    page::table(caption, caption, &head, rows)
}

/// A metric's name as people write it.
pub(super) fn title(metric: &str) -> String {
    let known = [("ndcg", "NDCG"), ("map", "MAP"), ("mrr", "MRR"), ("hitrate", "HitRate")];
    let (name, cut) = metric.split_once('@').unwrap_or((metric, ""));
    let name = known.iter().find(|(key, _)| *key == name).map_or_else(
        || name.chars().take(1).flat_map(char::to_uppercase).chain(name.chars().skip(1)).collect(),
        |(_, name)| (*name).to_string(),
    );
    if cut.is_empty() { name } else { format!("{name}@{cut}") }
}

/// Our results with published ones beside them.
pub(super) fn results(experiment: &Experiment, set: &DataOutcome) -> Markup {
    let metrics = &experiment.metrics;
    let titles: Vec<String> = metrics.iter().map(|m| title(m)).collect();
    let head = ["Model", "Seeds", "Validation R@20"].into_iter().chain(titles.iter().map(String::as_str));
    let rows = html! {
        @for entry in &set.entries {
            tr {
                th scope="row" { (name(set, entry)) }
                td { (entry.runs.len()) }
                td { (entry.valid().map_or_else(|| NONE.into(), |v| format!("{v:.4}"))) }
                @for metric in metrics { td { (cell(set, entry, metric)) } }
            }
        }
    };
    table(&format!("{}: test split, public protocol", set.name), head, &rows)
}

/// An entry's name, and what is to be said of it.
fn name(set: &DataOutcome, entry: &EntryOutcome) -> Markup {
    html! {
        (entry.name)
        @if set.reference.as_ref() == Some(&entry.name) { " " small { "reference" } }
        @for said in entry.problem.iter().cloned().chain(remarks(entry)) { br; small { (said) } }
    }
}

/// Mean and standard deviation, the arrow of the test, and the published value.
fn cell(set: &DataOutcome, entry: &EntryOutcome, metric: &str) -> Markup {
    html! {
        @if let Some((value, sd)) = entry.cell(metric) {
            @let text = format!("{value:.4}");
            @if is_best(set, metric, value) { strong { (text) } } @else { (text) }
            " "
            span.nowrap {
                @if sd.is_finite() { "± " (format!("{sd:.4}")) }
                @if let Some(sign) = sign(set, entry, metric) { " " (arrow(sign)) }
            }
        } @else {
            (NONE)
        }
        @if let Some(value) = entry.published.get(metric) { br; small { (format!("{value:.4}")) } }
    }
}

/// What should be said of the training of an entry's runs.
fn remarks(entry: &EntryOutcome) -> impl Iterator<Item = String> {
    let count = |of: &dyn Fn(&Remark) -> bool| {
        entry.runs.iter().filter(|r| r.summary.remarks().iter().any(of)).count()
    };
    let cut_short = count(&|r| matches!(r, Remark::CutShort(_)));
    let near = count(&|r| matches!(r, Remark::NearPopularity { .. }));
    let all = entry.runs.len();
    let said = [
        (cut_short, "ended at the last epoch and might still get better"),
        (near, "not clearly above the most popular items on validation"),
    ];
    said.into_iter().filter(|(n, _)| *n > 0).map(move |(n, what)| format!("{n} of {all} runs: {what}"))
}

/// Whether `value` is the best of its column, as it is shown: ties share it.
pub(super) fn is_best(set: &DataOutcome, metric: &str, value: f64) -> bool {
    let rounded = |v: f64| (v * 1e4).round();
    set.entries.iter().filter_map(|e| e.cell(metric)).all(|(other, _)| rounded(other) <= rounded(value))
}

/// How an entry differs from the reference by more than chance: `Less` is worse; `None` where it does not.
pub(super) fn sign(set: &DataOutcome, entry: &EntryOutcome, metric: &str) -> Option<Ordering> {
    let (_, all) = set.comparisons.iter().find(|(m, _)| m == metric)?;
    let found = all.iter().find(|c| c.name == entry.name).filter(|c| c.t_holm < 0.05)?;
    0.0.partial_cmp(&found.test.difference).filter(|order| order.is_ne())
}

fn arrow(sign: Ordering) -> Markup {
    let (meaning, arrow) = match sign {
        Ordering::Less => ("worse than the reference", "▼"),
        _ => ("better than the reference", "▲"),
    };
    html! { span title=(meaning) { (arrow) } }
}

/// A statistic with two digits, or as a power of ten where that is too long to read.
pub(super) fn statistic(value: f64) -> String {
    if value.abs() < 1e5 { format!("{value:.2}") } else { format!("{value:.1e}") }
}

/// The mean over the runs of an entry that have the value, `None` where none has.
pub(super) fn mean_over_runs(entry: &EntryOutcome, of: impl Fn(&RunOutcome) -> Option<f64>) -> Option<f64> {
    let values: Vec<f64> = entry.runs.iter().filter_map(of).collect();
    (!values.is_empty()).then(|| mean(&values))
}

/// Columns of [`beyond_accuracy`] over whole lists: heading, metric, digits.
const LISTS: [(&str, &str, usize); 5] = [
    ("Coverage", "coverage@20", 3),
    ("Gini", "gini@20", 3),
    ("Novelty", "novelty@20", 2),
    ("Diversity", "diversity@20", 3),
    ("Tail", "tail@20", 3),
];
/// Columns of [`beyond_accuracy`] over some of the users or items: heading, group.
const GROUPS: [(&str, &str); 4] = [
    ("Recall@20, cold users", "cold-users"),
    ("warm users", "warm-users"),
    ("cold items", "cold-items"),
    ("warm items", "warm-items"),
];

/// What lists are like, and for whom they are good.
pub(super) fn beyond_accuracy(set: &DataOutcome) -> Markup {
    let with: Vec<&EntryOutcome> = set.entries.iter().filter(|e| !e.runs.is_empty()).collect();
    if with.is_empty() {
        return Markup::default();
    }
    let head = std::iter::once("Model").chain(LISTS.map(|l| l.0)).chain(GROUPS.map(|g| g.0));
    let shown = |value: Option<f64>, digits| value.map_or_else(|| NONE.into(), |v| format!("{v:.digits$}"));
    let of_group = |run: &RunOutcome, name| {
        Some(run.scores.groups.iter().find(|g| g.name == name)?.metrics.get("recall@20"))
    };
    let rows = html! {
        @for entry in with {
            tr {
                th scope="row" { (entry.name) }
                @for (_, metric, digits) in LISTS {
                    td { (shown(mean_over_runs(entry, |r| r.scores.public.0.get(metric).copied()), digits)) }
                }
                @for (_, group) in GROUPS { td { (shown(mean_over_runs(entry, |r| of_group(r, group)), 4)) } }
            }
        }
    };
    table(&set.name, head, &rows)
}

/// What was tried for each model, folded.
pub(super) fn settings(set: &DataOutcome) -> Markup {
    html! {
        div.panel style="margin-top:20px" {
            h3 { (set.name) }
            @for entry in &set.entries { (tried(entry)) }
        }
    }
}

fn tried(entry: &EntryOutcome) -> Markup {
    let chosen = entry.chosen.as_ref().map(show_all).filter(|text| !text.is_empty());
    let how = match (&entry.base, entry.trials.len()) {
        (Some(base), _) => format!("settings of {base}"),
        (None, 0) => "nothing searched".into(),
        (None, n) => format!("{n} combinations"),
    };
    let mut trials: Vec<&Trial> = entry.trials.iter().collect();
    trials.sort_by(|a, b| b.valid.unwrap_or(-1.0).total_cmp(&a.valid.unwrap_or(-1.0)));
    let reached = |t: &Trial| t.valid.map_or_else(|| NONE.into(), |v| format!("{v:.4}, {} epochs", t.epochs));
    html! {
        details {
            summary { (entry.name) small { (how) } }
            p {
                "Chosen, beside the defaults of " (entry.model) ": " (chosen.as_deref().unwrap_or("nothing"))
            }
            dl.set {
                @for trial in trials { div { dt { (show_all(&trial.settings)) } dd { (reached(trial)) } } }
            }
        }
    }
}
