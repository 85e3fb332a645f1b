//! The tables of an experiment's report.

use std::cmp::Ordering;
use std::fmt::Write;

use alike::config::show_all;
use alike::experiment::stats::{Test, mean};
use alike::experiment::{DataOutcome, EntryOutcome, Experiment, RunOutcome};
use alike::train::Remark;

use super::table;
use crate::output::{bytes, duration, grouped};
use crate::report::Text;

const NONE: &str = "–";

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
pub(super) fn results(page: &mut String, experiment: &Experiment, set: &DataOutcome) {
    let metrics = &experiment.metrics;
    let mut head = vec!["Model".to_string(), "Seeds".into(), "Validation R@20".into()];
    head.extend(metrics.iter().map(|m| title(m)));
    let rows: Vec<Vec<String>> = set
        .entries
        .iter()
        .map(|entry| {
            let reference = set.reference.as_ref() == Some(&entry.name);
            let mark = if reference { " <small>reference</small>" } else { "" };
            let why =
                entry.problem.as_ref().map(|p| format!("<br><small>{}</small>", Text(p))).unwrap_or_default();
            let said: String = remarks(entry).map(|r| format!("<br><small>{}</small>", Text(&r))).collect();
            let mut row =
                vec![format!("{}{mark}{why}{said}", Text(&entry.name)), entry.runs.len().to_string()];
            row.push(entry.valid().map_or_else(|| NONE.into(), |v| format!("{v:.4}")));
            row.extend(metrics.iter().map(|metric| {
                let cell = match entry.cell(metric) {
                    Some((value, sd)) => {
                        let text = format!("{value:.4}");
                        let text = if is_best(set, metric, value) {
                            format!("<strong>{text}</strong>")
                        } else {
                            text
                        };
                        let sd = if sd.is_finite() { format!("± {sd:.4}") } else { String::new() };
                        let sign = sign(set, entry, metric).map(arrow).unwrap_or_default();
                        format!("{text} <span class=\"nowrap\">{sd}{sign}</span>")
                    }
                    None => NONE.to_string(),
                };
                let published = entry.published.get(metric);
                cell + &published.map(|v| format!("<br><small>{v:.4}</small>")).unwrap_or_default()
            }));
            row
        })
        .collect();
    table(page, &format!("{}: test split, public protocol", set.name), &head, &rows);
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

fn arrow(sign: Ordering) -> &'static str {
    match sign {
        Ordering::Less => " <span title=\"worse than the reference\">▼</span>",
        _ => " <span title=\"better than the reference\">▲</span>",
    }
}

fn p_value(p: f64) -> String {
    match p {
        p if p < 1e-4 => "&lt; 0.0001".into(),
        p => format!("{p:.4}"),
    }
}

/// A test in a narrow cell: the statistic, and p under it.
fn test(test: Option<Test>) -> String {
    test.map_or_else(|| NONE.into(), |t| format!("{}<br>p\u{a0}{}", statistic(t.statistic), p_value(t.p)))
}

/// A statistic with two digits, or as a power of ten where that is too long to read.
pub(super) fn statistic(value: f64) -> String {
    if value.abs() < 1e5 { format!("{value:.2}") } else { format!("{value:.1e}") }
}

/// Analysis of variance with its assumptions, and the paired tests.
pub(super) fn significance(page: &mut String, set: &DataOutcome) {
    let head = ["Metric", "To read", "Shapiro-Wilk W", "Levene F", "ANOVA F", "Welch F", "Kruskal-Wallis H"];
    let rows: Vec<Vec<String>> = set
        .anova
        .iter()
        .map(|(metric, a)| {
            let verdict = a.verdict();
            let differ = if verdict.test.p < 0.05 { "they differ" } else { "no difference shown" };
            vec![
                title(metric),
                format!(
                    "<span class=\"words\">{}: {differ}<br><small>{}</small></span>",
                    verdict.name,
                    Text(&verdict.why)
                ),
                test(a.normality),
                test(a.equal_variances),
                format!("({},\u{a0}{}) {}", a.df.0, a.df.1, test(Some(a.classic))),
                test(a.welch),
                test(a.kruskal),
            ]
        })
        .collect();
    if rows.is_empty() {
        let _ = writeln!(
            page,
            "<p>{}: no analysis of variance; it needs two models with several seeds each whose results differ.</p>",
            Text(&set.name)
        );
    } else {
        table(
            page,
            &format!("{}: analysis of variance over seeds", set.name),
            &head.map(String::from),
            &rows,
        );
    }
    let Some(reference) = &set.reference else { return };
    let head = ["Model", "Metric", "Difference", "Student t", "p, Holm", "Wilcoxon p, Holm"];
    let rows: Vec<Vec<String>> = set
        .comparisons
        .iter()
        .flat_map(|(metric, all)| all.iter().map(move |c| (metric, c)))
        .map(|(metric, c)| {
            vec![
                Text(&c.name).to_string(),
                title(metric),
                format!("{:+.4}", c.test.difference),
                statistic(c.test.t.statistic),
                p_value(c.t_holm),
                p_value(c.wilcoxon_holm),
            ]
        })
        .collect();
    if !rows.is_empty() {
        let caption = format!("{}: {reference} minus the other, over users, mean over seeds", set.name);
        table(page, &caption, &head.map(String::from), &rows);
    }
}

/// What lists are like, and for whom they are good.
pub(super) fn beyond(page: &mut String, set: &DataOutcome) {
    let metrics = ["coverage@20", "gini@20", "novelty@20", "diversity@20", "tail@20"];
    let groups = ["cold-users", "warm-users", "cold-items", "warm-items"];
    let mut head = vec!["Model".to_string()];
    head.extend(["Coverage", "Gini", "Novelty", "Diversity", "Tail"].map(String::from));
    head.extend(["Recall@20, cold users", "warm users", "cold items", "warm items"].map(String::from));
    let over = |entry: &EntryOutcome, of: &dyn Fn(&RunOutcome) -> Option<f64>, digits: usize| {
        let values: Vec<f64> = entry.runs.iter().filter_map(of).collect();
        if values.is_empty() { NONE.to_string() } else { format!("{:.digits$}", mean(&values)) }
    };
    let rows: Vec<Vec<String>> = set
        .entries
        .iter()
        .filter(|e| !e.runs.is_empty())
        .map(|entry| {
            let mut row = vec![Text(&entry.name).to_string()];
            row.extend(metrics.map(|m| {
                let digits = if m.starts_with("novelty") { 2 } else { 3 };
                over(entry, &|r| r.scores.public.0.get(m).copied(), digits)
            }));
            row.extend(groups.map(|name| {
                let of = |r: &RunOutcome| {
                    Some(r.scores.groups.iter().find(|g| g.name == name)?.metrics.get("recall@20"))
                };
                over(entry, &of, 4)
            }));
            row
        })
        .collect();
    if !rows.is_empty() {
        table(page, &set.name, &head, &rows);
    }
}

/// What the final runs took.
pub(super) fn cost(page: &mut String, set: &DataOutcome) {
    let head =
        ["Model", "Parameters", "Epochs", "An epoch", "An evaluation", "In all", "Peak memory", "Threads"]
            .map(String::from);
    let over = |entry: &EntryOutcome, of: &dyn Fn(&RunOutcome) -> Option<f64>| {
        let values: Vec<f64> = entry.runs.iter().filter_map(of).collect();
        (!values.is_empty()).then(|| mean(&values))
    };
    let or_none = |text: Option<String>| text.unwrap_or_else(|| NONE.into());
    let rows: Vec<Vec<String>> = set
        .entries
        .iter()
        .filter_map(|e| Some((e, e.runs.first()?)))
        .map(|(e, first)| {
            let threads = first.usage.map(|u| match u.jobs {
                0 | 1 => u.threads.to_string(),
                jobs => format!("{}, {jobs} runs at a time", u.threads),
            });
            vec![
                Text(&e.name).to_string(),
                grouped(first.summary.parameters),
                or_none(
                    over(e, &|r| (r.summary.epochs > 0).then_some(r.summary.epochs as f64))
                        .map(|v| format!("{v:.0}")),
                ),
                or_none(over(e, &|r| r.seconds.map(|s| s.0)).map(seconds)),
                or_none(over(e, &|r| r.seconds.map(|s| s.1)).map(seconds)),
                or_none(over(e, &|r| Some(r.summary.seconds)).map(duration)),
                or_none(over(e, &|r| r.usage.map(|u| u.peak_memory_bytes as f64)).map(|v| bytes(v as u64))),
                or_none(threads),
            ]
        })
        .collect();
    if !rows.is_empty() {
        table(page, &set.name, &head, &rows);
    }
}

fn seconds(value: f64) -> String {
    if value < 1.0 { format!("{value:.3} s") } else { duration(value) }
}

/// What was tried for each model, folded.
pub(super) fn settings(page: &mut String, set: &DataOutcome) {
    let _ = writeln!(page, "<div class=\"panel\" style=\"margin-top:20px\"><h3>{}</h3>", Text(&set.name));
    for entry in &set.entries {
        let chosen = entry.chosen.as_ref().map(show_all).unwrap_or_default();
        let how = match (&entry.base, entry.trials.len()) {
            (Some(base), _) => format!("settings of {base}"),
            (None, 0) => "nothing searched".into(),
            (None, n) => format!("{n} combinations"),
        };
        let _ = writeln!(
            page,
            "<details><summary>{}<small>{}</small></summary><p>Chosen, besides the defaults of {}: {}</p>",
            Text(&entry.name),
            Text(&how),
            Text(&entry.model),
            Text(if chosen.is_empty() { "nothing" } else { &chosen })
        );
        let mut trials: Vec<_> = entry.trials.iter().collect();
        trials.sort_by(|a, b| b.valid.unwrap_or(-1.0).total_cmp(&a.valid.unwrap_or(-1.0)));
        page.push_str("<dl class=\"set\">");
        for trial in trials {
            let valid =
                trial.valid.map_or_else(|| NONE.into(), |v| format!("{v:.4}, {} epochs", trial.epochs));
            let _ = write!(page, "<div><dt>{}</dt><dd>{valid}</dd></div>", Text(&show_all(&trial.settings)));
        }
        page.push_str("</dl></details>\n");
    }
    page.push_str("</div>\n");
}
