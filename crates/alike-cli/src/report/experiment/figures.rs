//! The figures of an experiment's report: bars, studies, learning curves.

use std::fmt::Write;

use alike::config::show;
use alike::experiment::stats::{mean, sd};
use alike::experiment::{DataOutcome, EntryOutcome, RunOutcome, StudyOutcome};

use super::tables::title;
use crate::report::chart::{Labels, Series, WIDTH, draw, number, open, ticks};
use crate::report::{Text, figure};

/// The metrics that are drawn.
const SHOWN: [&str; 2] = ["recall@20", "ndcg@20"];
const HEIGHT: f64 = 280.0;

/// An id that is unique on the page.
fn id(parts: &[&str]) -> String {
    let text = parts.join("-");
    text.bytes().fold(String::from("f"), |mut id, b| {
        if b.is_ascii_alphanumeric() {
            id.push(b as char)
        } else {
            let _ = write!(id, "-{b:x}");
        }
        id
    })
}

/// A bar a model, from 0, with a line of one standard deviation to each side of its end.
pub(super) fn bars(page: &mut String, set: &DataOutcome) {
    page.push_str("<div class=\"grid2\">\n");
    for metric in SHOWN {
        let with: Vec<(usize, &EntryOutcome, (f64, f64))> =
            set.entries.iter().enumerate().filter_map(|(n, e)| Some((n, e, e.cell(metric)?))).collect();
        if with.is_empty() {
            continue;
        }
        let (left, right, row) = (118.0, 138.0, 26.0);
        let most = with.iter().map(|(_, _, (m, s))| m + s.max(0.0)).fold(f64::MIN_POSITIVE, f64::max);
        let x = |v: f64| left + (WIDTH - left - right) * v.max(0.0) / most;
        let told: Vec<String> =
            with.iter().map(|(_, e, (m, s))| format!("{} {}", e.name, pair(*m, *s))).collect();
        figure(page, &format!("{}, {}", title(metric), set.name), "Higher is better.", |page| {
            let id = id(&["bars", &set.name, metric]);
            open(
                page,
                row * with.len() as f64 + 8.0,
                &id,
                &format!("{} by model", title(metric)),
                &told.join("; "),
            );
            for (at, (n, e, (m, s))) in with.iter().enumerate() {
                let y = row * at as f64 + 4.0;
                let (colour, end, middle) = (n % 6, x(*m), y + row / 2.0);
                let _ = writeln!(
                    page,
                    "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
                     <rect class=\"fill s{colour}\" x=\"{left}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"3\"/>",
                    left - 8.0,
                    middle + 4.0,
                    Text(&e.name),
                    y + 4.0,
                    (end - left).max(1.0),
                    row - 8.0
                );
                if *s > 0.0 {
                    let _ = writeln!(
                        page,
                        "<path class=\"whisker\" d=\"M{0:.1} {2:.1}H{1:.1}M{0:.1} {3:.1}v8M{1:.1} {3:.1}v8\"/>",
                        x(m - s),
                        x(m + s),
                        middle,
                        middle - 4.0
                    );
                }
                let _ = writeln!(
                    page,
                    "<text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                    x(m + s.max(0.0)) + 8.0,
                    middle + 4.0,
                    pair(*m, *s)
                );
            }
            page.push_str("</svg>\n");
        });
    }
    page.push_str("</div>\n");
}

fn pair(mean: f64, sd: f64) -> String {
    if sd.is_finite() { format!("{mean:.4} ± {sd:.4}") } else { format!("{mean:.4}") }
}

/// For each study a chart a metric: values at even distances.
pub(super) fn studies(page: &mut String, set: &DataOutcome) {
    for study in set.studies.iter().filter(|s| s.points.iter().any(|(_, runs)| !runs.is_empty())) {
        page.push_str("<div class=\"grid2\">\n");
        SHOWN.iter().enumerate().for_each(|(n, metric)| one_study(page, set, study, metric, n));
        page.push_str("</div>\n");
    }
}

fn one_study(page: &mut String, set: &DataOutcome, study: &StudyOutcome, metric: &str, colour: usize) {
    let values =
        |runs: &[RunOutcome]| -> Vec<f64> { runs.iter().map(|r| r.scores.public.get(metric)).collect() };
    let points: Vec<(String, Option<(f64, f64)>)> = study
        .points
        .iter()
        .map(|(value, runs)| {
            let values = values(runs);
            let spread = if values.len() > 1 { sd(&values) } else { 0.0 };
            (show(value), (!values.is_empty()).then(|| (mean(&values), spread)))
        })
        .collect();
    let ends = || points.iter().filter_map(|(_, p)| *p).flat_map(|(m, s)| [m - s, m + s]);
    let scale = ticks(ends().fold(f64::INFINITY, f64::min), ends().fold(f64::NEG_INFINITY, f64::max), 5);
    let (low, high) = (scale[0], scale[scale.len() - 1]);
    let (left, right, top, bottom) = (54.0, 20.0, 14.0, 42.0);
    let step = (WIDTH - left - right) / points.len() as f64;
    let x = |at: usize| left + step * (at as f64 + 0.5);
    let y = |v: f64| HEIGHT - bottom - (HEIGHT - top - bottom) * (v - low) / (high - low);
    let told: Vec<String> = points
        .iter()
        .filter_map(|(value, p)| p.map(|(m, s)| format!("{} {value}: {}", study.setting, pair(m, s))))
        .collect();
    let caption = format!("{}, {}", study.title, set.name);
    let note = format!("{} of {} on the test split.", title(metric), study.base);
    figure(page, &caption, &note, |page| {
        let id = id(&["study", &set.name, &study.title, metric]);
        open(page, HEIGHT, &id, &format!("{} by {}", title(metric), study.setting), &told.join("; "));
        for &t in &scale {
            let _ = writeln!(
                page,
                "<line class=\"grid\" x1=\"{left}\" x2=\"{0}\" y1=\"{1:.1}\" y2=\"{1:.1}\"/>\
                 <text x=\"{2:.1}\" y=\"{3:.1}\" text-anchor=\"end\">{4}</text>",
                WIDTH - right,
                y(t),
                left - 8.0,
                y(t) + 4.0,
                number(t, &scale)
            );
        }
        let line: Vec<String> = points
            .iter()
            .enumerate()
            .filter_map(|(at, (_, p))| p.map(|(m, _)| format!("{:.1},{:.1}", x(at), y(m))))
            .collect();
        let _ =
            writeln!(page, "<polyline class=\"curve s{} d0\" points=\"{}\"/>", colour + 1, line.join(" "));
        for (at, (value, p)) in points.iter().enumerate() {
            let _ = writeln!(
                page,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                x(at),
                HEIGHT - bottom + 18.0,
                Text(value)
            );
            let Some((m, s)) = p else { continue };
            let _ = writeln!(
                page,
                "<path class=\"whisker\" d=\"M{0:.1} {1:.1}V{2:.1}\"/><circle class=\"dot s{3}\" cx=\"{0:.1}\" cy=\"{4:.1}\" r=\"4\"/>",
                x(at),
                y(m - s),
                y(m + s),
                colour + 1,
                y(*m)
            );
        }
        let _ = writeln!(
            page,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\n</svg>",
            WIDTH - right,
            HEIGHT - 4.0,
            Text(&study.setting)
        );
    });
}

/// Validation Recall@20 by epoch, a line a model.
pub(super) fn curves(page: &mut String, set: &DataOutcome) {
    let series: Vec<Series<'_>> = set
        .entries
        .iter()
        .enumerate()
        .filter_map(|(n, e)| {
            let first = e.runs.first()?;
            let points: Vec<(f64, f64)> = e
                .curve
                .iter()
                .filter_map(|r| Some((r.epoch as f64, r.valid.as_ref()?.get("recall@20"))))
                .collect();
            let marked = points.iter().position(|p| p.0 == first.summary.best_epoch as f64);
            let level = points.is_empty().then(|| first.summary.valid.get("recall@20"));
            Some(Series { name: &e.name, style: n, dash: n / 6, points, marked, level })
        })
        .collect();
    if series.is_empty() {
        return;
    }
    let told: Vec<String> = set
        .entries
        .iter()
        .filter_map(|e| Some((e, e.runs.first()?)))
        .map(|(e, r)| {
            let (best, of) = (r.summary.best_epoch, r.summary.epochs);
            format!("{} reaches {:.4} in epoch {best} of {of}", e.name, r.summary.valid.get("recall@20"))
        })
        .collect();
    let id = id(&["curve", &set.name]);
    let labels = Labels {
        id: &id,
        title: &format!("Validation Recall@20 by epoch, {}", set.name),
        description: &told.join("; "),
        y: "Recall@20",
        x: "epoch",
    };
    figure(
        page,
        &set.name,
        "Dotted and dashed lines: the second half of the models, and those solved at once.",
        |page| {
            draw(page, &labels, &series);
        },
    );
}
