//! Learning curves: validation Recall@20 and loss by epoch.

use maud::{Markup, html};

use super::chart::{Labels, Series, draw};
use super::palette::Style;
use super::{DemoReport, ModelSummary, page};

/// Both charts, and what should be said of the trainings.
pub(super) fn section(report: &DemoReport) -> Markup {
    let text = format!(
        "After each epoch the model ranks all {} for the validation split. The ring marks the epoch that was kept.",
        report.noun.1
    );
    let content = html! {
        div.grid2 {
            (recall(report))
            (loss(report))
        }
        @for model in &report.models {
            @for remark in &model.remarks { p { strong { (model.name) } ": " (with_code(remark)) "." } }
        }
    };
    page::section("learning", "How they learned", &text, &content)
}

/// A text whose parts between backticks are code.
fn with_code(text: &str) -> Markup {
    html! {
        @for (at, part) in text.split('`').enumerate() {
            @if at % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

fn recall(report: &DemoReport) -> Markup {
    let series: Vec<Series> =
        report.models.iter().enumerate().filter_map(|(at, m)| recall_line(report, at, m)).collect();
    let reached = |m: &ModelSummary| {
        let (recall, best, last) = (m.valid.recall[1], m.best_epoch, m.curve.len());
        format!("{} reaches {recall:.4} in epoch {best} of {last}", m.name)
    };
    let descriptions: Vec<String> =
        report.models.iter().filter(|m| !m.curve.is_empty()).map(reached).collect();
    let labels = Labels {
        id: "recall",
        title: "Validation Recall@20 by epoch",
        description: &descriptions.join("; "),
        y: "Recall@20",
        x: "epoch",
    };
    lines("Validation Recall@20", "Higher is better.", &labels, &series)
}

fn loss(report: &DemoReport) -> Markup {
    let learned = report.models.iter().enumerate().filter(|(_, m)| !m.curve.is_empty());
    let series: Vec<Series> = learned.map(|(at, m)| loss_line(report, at, m)).collect();
    let ends = |m: &ModelSummary| {
        let (first, last) = (m.curve.first()?, m.curve.last()?);
        Some(format!("{} from {:.4} to {:.4}", m.name, first.loss, last.loss))
    };
    let descriptions: Vec<String> = report.models.iter().filter_map(ends).collect();
    let labels = Labels {
        id: "loss",
        title: "Training loss by epoch",
        description: &descriptions.join("; "),
        y: "loss",
        x: "epoch",
    };
    let note = "Mean over the epoch; each model has its own, compare shapes, not heights.";
    lines("Training loss", note, &labels, &series)
}

/// A chart with a legend.
fn lines(caption: &str, note: &str, labels: &Labels, series: &[Series]) -> Markup {
    let content = html! {
        (draw(labels, series))
        ul.legend {
            @for Series { name, style: Style { colour, dash }, level, .. } in series {
                li {
                    svg viewBox="0 0 34 10" aria-hidden="true" {
                        line.curve.{ "s" (colour) }.{ "d" (dash) } x1="1" x2="33" y1="5" y2="5" {}
                    }
                    (name)
                    @if level.is_some() { " (not trained by epochs)" }
                }
            }
        }
    };
    page::figure(caption, note, &content)
}

fn recall_line<'a>(report: &DemoReport, at: usize, model: &'a ModelSummary) -> Option<Series<'a>> {
    let points: Vec<(f64, f64)> =
        model.curve.iter().filter_map(|p| p.recall.map(|r| (p.epoch as f64, r))).collect();
    let level = points.is_empty().then_some(model.valid.recall[1]);
    let marked = points.iter().position(|p| p.0 == model.best_epoch as f64);
    level.is_none_or(f64::is_finite).then_some(Series {
        name: &model.name,
        style: style(report, at),
        points,
        marked,
        level,
    })
}

fn loss_line<'a>(report: &DemoReport, at: usize, model: &'a ModelSummary) -> Series<'a> {
    let points: Vec<(f64, f64)> = model.curve.iter().map(|p| (p.epoch as f64, p.loss)).collect();
    let marked = model.curve.iter().position(|p| p.epoch == model.best_epoch);
    Series { name: &model.name, style: style(report, at), points, marked, level: None }
}

/// The line of the model that the page is about is solid, the others are dashed, each in its own way.
fn style(report: &DemoReport, at: usize) -> Style {
    let name = &report.models[at].name;
    let dash = if *name == report.shown { 0 } else { 1 + at % 3 };
    Style { dash, ..report.palette().style_of(name) }
}
