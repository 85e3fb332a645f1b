//! A bar per model, from 0, with a line of one standard deviation to each side of its end.

use alike::experiment::DataOutcome;
use maud::{Markup, html};

use super::figures::{SHOWN, id, pair};
use super::tables::title;
use crate::report::export::{Chart, file_name};
use crate::report::palette::Palette;
use crate::report::svg::{Drawing, WIDTH, px};

/// Where bars start and the longest ends, from the left and the right of the drawing.
const MARGINS: [f64; 2] = [118.0, 138.0];
/// Height of a bar with the space around it.
const ROW: f64 = 26.0;

struct Bar<'a> {
    name: &'a str,
    colour: usize,
    mean: f64,
    /// Standard deviation; NaN of one value.
    sd: f64,
}

/// A chart a metric.
pub(super) fn charts(set: &DataOutcome, palette: &Palette) -> Vec<Chart> {
    SHOWN.iter().filter_map(|metric| chart(set, palette, metric)).collect()
}

fn chart(set: &DataOutcome, palette: &Palette, metric: &str) -> Option<Chart> {
    let cells = set.entries.iter().filter_map(|e| Some((e.name.as_str(), e.cell(metric)?)));
    let bars: Vec<Bar> = cells
        .map(|(name, (mean, sd))| Bar { name, colour: palette.style_of(name).colour, mean, sd })
        .collect();
    if bars.is_empty() {
        return None;
    }
    let most = bars.iter().map(|b| b.mean + b.sd.max(0.0)).fold(f64::MIN_POSITIVE, f64::max);
    let descriptions: Vec<String> =
        bars.iter().map(|b| format!("{} {}", b.name, pair(b.mean, b.sd))).collect();
    let svg = Drawing {
        id: id(&["bars", &set.name, metric]),
        title: format!("{} by model", title(metric)),
        description: descriptions.join("; "),
        height: ROW * bars.len() as f64 + 8.0,
        shapes: html! { @for (at, bar) in bars.iter().enumerate() { (draw(bar, ROW * at as f64 + 4.0, most)) } },
    };
    Some(Chart {
        file: file_name(&["bars", &set.name, metric]),
        caption: format!("{}, {}", title(metric), set.name),
        note: "Higher is better.".into(),
        svg,
    })
}

/// A bar whose row begins at `y`; a value of `most` is as long as there is room.
fn draw(bar: &Bar, y: f64, most: f64) -> Markup {
    let Bar { name, colour, mean, sd } = bar;
    let [left, right] = MARGINS;
    let x = |v: f64| left + (WIDTH - left - right) * v.max(0.0) / most;
    let middle = y + ROW / 2.0;
    let length = (x(*mean) - left).max(1.0);
    let whisker = (*sd > 0.0).then(|| {
        let (from, to, top) = (px(x(mean - sd)), px(x(mean + sd)), px(middle - 4.0));
        format!("M{from} {}H{to}M{from} {top}v8M{to} {top}v8", px(middle))
    });
    html! {
        text x=(px(left - 8.0)) y=(px(middle + 4.0)) text-anchor="end" { (name) }
        rect.fill.{ "s" (colour) } x=(left) y=(px(y + 4.0)) width=(px(length)) height=(px(ROW - 8.0)) rx="3" {}
        @if let Some(path) = whisker { path.whisker d=(path) {} }
        text x=(px(x(mean + sd.max(0.0)) + 8.0)) y=(px(middle + 4.0)) { (pair(*mean, *sd)) }
    }
}
