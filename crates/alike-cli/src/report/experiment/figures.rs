//! The learning curves of an experiment's report, and what all of its figures have in common.

use std::fmt::Write;

use alike::experiment::{DataOutcome, EntryOutcome};

use crate::report::chart::{Labels, Series, draw};
use crate::report::export::{Chart, file_name};
use crate::report::palette::Palette;

/// The metrics that are drawn.
pub(super) const SHOWN: [&str; 2] = ["recall@20", "ndcg@20"];

/// An id that is unique on the page.
pub(super) fn id(parts: &[&str]) -> String {
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

/// Mean and standard deviation, as a text.
pub(super) fn pair(mean: f64, sd: f64) -> String {
    if sd.is_finite() { format!("{mean:.4} ± {sd:.4}") } else { format!("{mean:.4}") }
}

/// Validation Recall@20 by epoch, a line per model; `None` before anything is trained.
pub(super) fn curves(set: &DataOutcome, palette: &Palette) -> Option<Chart> {
    let series: Vec<Series<'_>> = set.entries.iter().filter_map(|e| line(e, palette)).collect();
    if series.is_empty() {
        return None;
    }
    let descriptions: Vec<String> = set
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
        description: &descriptions.join("; "),
        y: "Recall@20",
        x: "epoch",
    };
    Some(Chart {
        file: file_name(&["curves", &set.name]),
        caption: set.name.clone(),
        note: "A line from side to side: a model that is solved at once.".into(),
        svg: draw(&labels, &series),
    })
}

fn line<'a>(entry: &'a EntryOutcome, palette: &Palette) -> Option<Series<'a>> {
    let first = entry.runs.first()?;
    let points: Vec<(f64, f64)> = entry
        .curve
        .iter()
        .filter_map(|r| Some((r.epoch as f64, r.valid.as_ref()?.get("recall@20"))))
        .collect();
    let marked = points.iter().position(|p| p.0 == first.summary.best_epoch as f64);
    let level = points.is_empty().then(|| first.summary.valid.get("recall@20"));
    Some(Series { name: &entry.name, style: palette.style_of(&entry.name), points, marked, level })
}
