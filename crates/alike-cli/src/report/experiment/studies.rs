//! One setting varied: the mean of each value, joined by a line, with one standard deviation to each side.

use alike::config::show;
use alike::experiment::stats::{mean, sd};
use alike::experiment::{DataOutcome, RunOutcome, StudyOutcome};
use maud::{Markup, html};

use super::figures::{SHOWN, id, pair};
use super::tables::title;
use crate::report::export::{Chart, file_name};
use crate::report::palette::Palette;
use crate::report::plane::{Plane, ticks};
use crate::report::svg::{Drawing, px};

const HEIGHT: f64 = 296.0;
const MARGINS: [f64; 4] = [54.0, 20.0, 30.0, 42.0];

/// A value of the setting, and what it gives.
struct Tried {
    value: String,
    /// Mean and standard deviation over seeds, 0 of one; `None` without runs.
    result: Option<(f64, f64)>,
}

/// The charts of each study, one a metric.
pub(super) fn charts(set: &DataOutcome, palette: &Palette) -> Vec<Vec<Chart>> {
    let with = set.studies.iter().filter(|s| s.points.iter().any(|(_, runs)| !runs.is_empty()));
    with.map(|study| SHOWN.iter().map(|metric| chart(set, study, metric, palette)).collect()).collect()
}

fn chart(set: &DataOutcome, study: &StudyOutcome, metric: &str, palette: &Palette) -> Chart {
    let all: Vec<Tried> = study
        .points
        .iter()
        .map(|(value, runs)| Tried { value: show(value), result: mean_and_spread(runs, metric) })
        .collect();
    let descriptions: Vec<String> = all
        .iter()
        .filter_map(|t| t.result.map(|(m, s)| format!("{} {}: {}", study.setting, t.value, pair(m, s))))
        .collect();
    let svg = Drawing {
        id: id(&["study", &set.name, &study.title, metric]),
        title: format!("{} by {}", title(metric), study.setting),
        description: descriptions.join("; "),
        height: HEIGHT,
        shapes: draw(&all, palette.style_of(&study.base).colour, &study.setting, &title(metric)),
    };
    Chart {
        file: file_name(&["study", &set.name, &study.title, metric]),
        caption: format!("{}, {}", study.title, set.name),
        note: format!(
            "{} of {} on the test split; the values are drawn at even distances.",
            title(metric),
            study.base
        ),
        svg,
    }
}

fn mean_and_spread(runs: &[RunOutcome], metric: &str) -> Option<(f64, f64)> {
    let values: Vec<f64> = runs.iter().map(|r| r.scores.public.get(metric)).collect();
    let spread = if values.len() > 1 { sd(&values) } else { 0.0 };
    (!values.is_empty()).then(|| (mean(&values), spread))
}

/// Values at even distances: they may be words, or powers of ten.
fn draw(all: &[Tried], colour: usize, x_name: &str, y_name: &str) -> Markup {
    let ends = || all.iter().filter_map(|t| t.result).flat_map(|(m, s)| [m - s, m + s]);
    let (low, high) = (ends().fold(f64::INFINITY, f64::min), ends().fold(f64::NEG_INFINITY, f64::max));
    let plane = Plane { height: HEIGHT, margins: MARGINS, ticks: ticks(low, high, 5) };
    let x = |at: usize| px(plane.x((at as f64 + 0.5) / all.len() as f64));
    let y = |value: f64| px(plane.y(value));
    let line: Vec<String> = all
        .iter()
        .enumerate()
        .filter_map(|(at, t)| t.result.map(|(m, _)| format!("{},{}", x(at), y(m))))
        .collect();
    html! {
        (plane.grid(x_name, y_name))
        polyline.curve.{ "s" (colour) }.d0 points=(line.join(" ")) {}
        @for (at, tried) in all.iter().enumerate() {
            text x=(x(at)) y=(px(plane.floor() + 18.0)) text-anchor="middle" { (tried.value) }
            @if let Some((m, s)) = tried.result {
                path.whisker d=(format!("M{} {}V{}", x(at), y(m - s), y(m + s))) {}
                circle.dot.{ "s" (colour) } cx=(x(at)) cy=(y(m)) r="4" {}
            }
        }
    }
}
