//! The table of all metrics of the demo's models.

use maud::{Markup, html};

use super::{DemoReport, ModelSummary, page};
use crate::output::duration;

/// The columns of the table: protocol, metric, value.
type MetricColumn = (&'static str, &'static str, fn(&ModelSummary) -> f64);

static COLUMNS: [MetricColumn; 8] = [
    ("Validation", "Recall@20", |m| m.valid.recall[1]),
    ("Validation", "NDCG@20", |m| m.valid.ndcg[1]),
    ("Test, public protocol", "Recall@10", |m| m.public.recall[0]),
    ("Test, public protocol", "Recall@20", |m| m.public.recall[1]),
    ("Test, public protocol", "NDCG@10", |m| m.public.ndcg[0]),
    ("Test, public protocol", "NDCG@20", |m| m.public.ndcg[1]),
    ("Test, clean protocol", "Recall@20", |m| m.clean.recall[1]),
    ("Test, clean protocol", "NDCG@20", |m| m.clean.ndcg[1]),
];

const TEXT: &str = "Full ranking over all items, no sampled candidates. The public protocol masks what a user had in training, as \
    published tables do; the clean one also masks the validation items at test time.";

/// The table, the best of each column in bold.
pub(super) fn section(report: &DemoReport) -> Markup {
    let caption = "Mean over users with held-out items; best of each column in bold.";
    let rows = html! { @for model in &report.models { (row(report, model)) } };
    let table = page::table("Metrics table", caption, &head(), &rows);
    page::section("metrics", "Measured on what was held out", TEXT, &table)
}

/// The columns of each protocol.
fn protocols() -> impl Iterator<Item = &'static [MetricColumn]> {
    COLUMNS.chunk_by(|a, b| a.0 == b.0)
}

fn head() -> Markup {
    html! {
        tr {
            th scope="col" rowspan="2" { "Model" }
            @for columns in protocols() { th.edge scope="colgroup" colspan=(columns.len()) { (columns[0].0) } }
            th.edge scope="col" rowspan="2" { "Time" }
        }
        tr {
            @for columns in protocols() {
                @for (at, (_, name, _)) in columns.iter().enumerate() { th scope="col" class=[edge(at)] { (name) } }
            }
        }
    }
}

fn row(report: &DemoReport, model: &ModelSummary) -> Markup {
    html! {
        tr {
            th scope="row" {
                span.swatch.{ "s" (report.palette().style_of(&model.name).colour) } {}
                (model.name)
            }
            @for columns in protocols() {
                @for (at, (_, _, value)) in columns.iter().enumerate() { td class=[edge(at)] { (cell(report, model, *value)) } }
            }
            td.edge { (duration(model.seconds)) }
        }
    }
}

/// The class of a protocol's first column.
fn edge(at: usize) -> Option<&'static str> {
    (at == 0).then_some("edge")
}

fn cell(report: &DemoReport, model: &ModelSummary, value: fn(&ModelSummary) -> f64) -> Markup {
    let rounded = |v: f64| (v * 1e4).round();
    let best = report.models.iter().map(value).fold(f64::NEG_INFINITY, f64::max);
    let text = format!("{:.4}", value(model));
    html! { @if rounded(value(model)) == rounded(best) { strong { (text) } } @else { (text) } }
}
