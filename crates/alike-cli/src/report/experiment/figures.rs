//! The figures of an experiment's report: bars, studies, learning curves.

use std::fmt::Write;

use alike::config::show;
use alike::experiment::stats::{mean, sd};
use alike::experiment::{DataOutcome, EntryOutcome, RunOutcome, StudyOutcome};

use super::tables::title;
use crate::report::Text;
use crate::report::chart::{Labels, Series, WIDTH, axis, draw, number, open, ticks};
use crate::report::export::{Chart, file_name};
use crate::report::palette::Palette;

/// The metrics that are drawn.
const SHOWN: [&str; 2] = ["recall@20", "ndcg@20"];
const HEIGHT: f64 = 296.0;

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

/// A chart a metric: a bar a model, from 0, with a line of one standard deviation to each side of its end.
pub(super) fn bars(set: &DataOutcome, palette: &Palette) -> Vec<Chart> {
    SHOWN.iter().filter_map(|metric| bars_of(set, palette, metric)).collect()
}

fn bars_of(set: &DataOutcome, palette: &Palette, metric: &str) -> Option<Chart> {
    let with: Vec<(&EntryOutcome, (f64, f64))> =
        set.entries.iter().filter_map(|e| Some((e, e.cell(metric)?))).collect();
    if with.is_empty() {
        return None;
    }
    let (left, right, row) = (118.0, 138.0, 26.0);
    let most = with.iter().map(|(_, (m, s))| m + s.max(0.0)).fold(f64::MIN_POSITIVE, f64::max);
    let x = |v: f64| left + (WIDTH - left - right) * v.max(0.0) / most;
    let told: Vec<String> = with.iter().map(|(e, (m, s))| format!("{} {}", e.name, pair(*m, *s))).collect();
    let mut svg = String::new();
    open(
        &mut svg,
        row * with.len() as f64 + 8.0,
        &id(&["bars", &set.name, metric]),
        &format!("{} by model", title(metric)),
        &told.join("; "),
    );
    for (at, (e, (m, s))) in with.iter().enumerate() {
        let y = row * at as f64 + 4.0;
        let (end, middle) = (x(*m), y + row / 2.0);
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
             <rect class=\"fill s{}\" x=\"{left}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"3\"/>",
            left - 8.0,
            middle + 4.0,
            Text(&e.name),
            palette.of(&e.name).colour,
            y + 4.0,
            (end - left).max(1.0),
            row - 8.0
        );
        if *s > 0.0 {
            let _ = writeln!(
                svg,
                "<path class=\"whisker\" d=\"M{0:.1} {2:.1}H{1:.1}M{0:.1} {3:.1}v8M{1:.1} {3:.1}v8\"/>",
                x(m - s),
                x(m + s),
                middle,
                middle - 4.0
            );
        }
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            x(m + s.max(0.0)) + 8.0,
            middle + 4.0,
            pair(*m, *s)
        );
    }
    svg.push_str("</svg>\n");
    Some(Chart {
        file: file_name(&["bars", &set.name, metric]),
        caption: format!("{}, {}", title(metric), set.name),
        note: "Higher is better.".into(),
        svg,
    })
}

fn pair(mean: f64, sd: f64) -> String {
    if sd.is_finite() { format!("{mean:.4} ± {sd:.4}") } else { format!("{mean:.4}") }
}

/// The charts of each study, one a metric.
pub(super) fn studies(set: &DataOutcome, palette: &Palette) -> Vec<Vec<Chart>> {
    let with = set.studies.iter().filter(|s| s.points.iter().any(|(_, runs)| !runs.is_empty()));
    with.map(|study| SHOWN.iter().map(|metric| one_study(set, study, metric, palette)).collect()).collect()
}

/// Values at even distances: they may be words, or powers of ten.
fn one_study(set: &DataOutcome, study: &StudyOutcome, metric: &str, palette: &Palette) -> Chart {
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
    let (left, right, top, bottom) = (54.0, 20.0, 30.0, 42.0);
    let step = (WIDTH - left - right) / points.len() as f64;
    let x = |at: usize| left + step * (at as f64 + 0.5);
    let y = |v: f64| HEIGHT - bottom - (HEIGHT - top - bottom) * (v - low) / (high - low);
    let told: Vec<String> = points
        .iter()
        .filter_map(|(value, p)| p.map(|(m, s)| format!("{} {value}: {}", study.setting, pair(m, s))))
        .collect();
    let colour = palette.of(&study.base).colour;
    let mut svg = String::new();
    open(
        &mut svg,
        HEIGHT,
        &id(&["study", &set.name, &study.title, metric]),
        &format!("{} by {}", title(metric), study.setting),
        &told.join("; "),
    );
    let _ = writeln!(svg, "<text x=\"0\" y=\"12\">{}</text>", Text(&axis(&title(metric), &scale)));
    for &t in &scale {
        let _ = writeln!(
            svg,
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
    let _ = writeln!(svg, "<polyline class=\"curve s{colour} d0\" points=\"{}\"/>", line.join(" "));
    for (at, (value, p)) in points.iter().enumerate() {
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            x(at),
            HEIGHT - bottom + 18.0,
            Text(value)
        );
        let Some((m, s)) = p else { continue };
        let _ = writeln!(
            svg,
            "<path class=\"whisker\" d=\"M{0:.1} {1:.1}V{2:.1}\"/><circle class=\"dot s{colour}\" cx=\"{0:.1}\" cy=\"{3:.1}\" r=\"4\"/>",
            x(at),
            y(m - s),
            y(m + s),
            y(*m)
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\n</svg>",
        WIDTH - right,
        HEIGHT - 4.0,
        Text(&study.setting)
    );
    Chart {
        file: file_name(&["study", &set.name, &study.title, metric]),
        caption: format!("{}, {}", study.title, set.name),
        note: format!(
            "{} of {} on the test split; the values stand at even distances.",
            title(metric),
            study.base
        ),
        svg,
    }
}

/// Validation Recall@20 by epoch, a line per model; `None` before anything is trained.
pub(super) fn curves(set: &DataOutcome, palette: &Palette) -> Option<Chart> {
    let series: Vec<Series<'_>> = set
        .entries
        .iter()
        .filter_map(|e| {
            let first = e.runs.first()?;
            let points: Vec<(f64, f64)> = e
                .curve
                .iter()
                .filter_map(|r| Some((r.epoch as f64, r.valid.as_ref()?.get("recall@20"))))
                .collect();
            let marked = points.iter().position(|p| p.0 == first.summary.best_epoch as f64);
            let level = points.is_empty().then(|| first.summary.valid.get("recall@20"));
            Some(Series { name: &e.name, style: palette.of(&e.name), points, marked, level })
        })
        .collect();
    if series.is_empty() {
        return None;
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
    let labels = Labels {
        id: &id(&["curve", &set.name]),
        title: &format!("Validation Recall@20 by epoch, {}", set.name),
        description: &told.join("; "),
        y: "Recall@20",
        x: "epoch",
    };
    let mut svg = String::new();
    draw(&mut svg, &labels, &series);
    Some(Chart {
        file: file_name(&["curves", &set.name]),
        caption: set.name.clone(),
        note: "A line from side to side: a model that is solved at once.".into(),
        svg,
    })
}
