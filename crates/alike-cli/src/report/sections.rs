//! The parts of the page: headline, curves, metrics, data, settings, what to do next.

use std::fmt::Write;

use super::chart::{Labels, Series, draw};
use super::palette::Style;
use super::{DemoReport, ModelSummary, RecallAndNdcg, Text, figure};
use crate::commands::Unseen;
use crate::output::{duration, grouped};

/// Headline, sentence, and one bar a model.
pub(super) fn header(page: &mut String, report: &DemoReport) {
    page.push_str("<header><div class=\"in\">\n<div class=\"top\"><div class=\"mark\">alike<i>.</i></div><nav aria-label=\"Sections\">");
    for (id, name) in
        [("learning", "Learning"), ("metrics", "Metrics"), ("people", "People"), ("data", "Data")]
    {
        let _ = write!(page, "<a href=\"#{id}\">{name}</a>");
    }
    page.push_str("</nav></div>\n");
    let _ = writeln!(page, "<h1>{}</h1>", Text(&headline(report)));
    let _ = writeln!(
        page,
        "<p class=\"lede\">{} users, {} {}, {} choices to learn from. Everything on this page was computed on one machine in {}.</p>",
        grouped(report.users),
        grouped(report.items),
        Text(&report.noun.1),
        grouped(report.train),
        duration(report.seconds).replace(' ', "\u{a0}")
    );
    let most = report.models.iter().map(|m| m.public.recall[1]).fold(f64::MIN_POSITIVE, f64::max);
    page.push_str("<dl class=\"bars\">\n");
    let palette = report.palette();
    for model in &report.models {
        let recall = model.public.recall[1];
        let _ = writeln!(
            page,
            "<dt>{}</dt><dd><span class=\"bar s{}\" style=\"width:{:.1}%\"></span><b>{:.1}\u{a0}%</b></dd>",
            Text(&model.name),
            palette.of(&model.name).colour,
            (80.0 * recall / most).max(0.5),
            100.0 * recall
        );
    }
    let _ = writeln!(
        page,
        "</dl>\n<small>Recall@20 on the test split: how many of a user’s held-out {} are among the first 20 suggested \
         out of all {}. Public protocol; one seed.</small>\n</div></header>",
        Text(&report.noun.1),
        grouped(report.items)
    );
}

fn headline(report: &DemoReport) -> String {
    let Some(best) = report.winner() else { return format!("Recommendations for {}", report.data_name) };
    let found = format!(
        "{} finds {:.0}\u{a0}% of the {} we had hidden",
        best.name,
        100.0 * best.public.recall[1],
        report.noun.1
    );
    let base = report.models.iter().find(|m| m.name == "popularity" && m.name != best.name);
    match base.map(|b| best.public.recall[1] / b.public.recall[1]) {
        Some(gain) if gain.is_finite() && gain >= 1.95 => {
            format!("{found}, {gain:.1} times as many as the bestseller list")
        }
        Some(gain) if gain.is_finite() && gain > 1.005 => {
            format!("{found}, {:.0}\u{a0}% more than the bestseller list", 100.0 * (gain - 1.0))
        }
        _ => found,
    }
}

/// Validation Recall@20 and loss by epoch.
pub(super) fn curves(page: &mut String, report: &DemoReport) {
    page.push_str(
        "<section id=\"learning\">\n<h2>How they learned</h2>\n<p>After each epoch the model ranks all ",
    );
    let _ = write!(page, "{}", Text(&report.noun.1));
    page.push_str(
        " for the validation split. The ring marks the epoch that was kept.</p>\n<div class=\"grid2\">\n",
    );
    let recall: Vec<Series> =
        report.models.iter().enumerate().filter_map(|(at, m)| recall_line(report, at, m)).collect();
    let loss: Vec<Series> = report
        .models
        .iter()
        .enumerate()
        .filter(|(_, m)| !m.curve.is_empty())
        .map(|(at, m)| loss_line(report, at, m))
        .collect();
    let told = report.models.iter().filter(|m| !m.curve.is_empty());
    let story: Vec<String> = told
        .clone()
        .map(|m| {
            format!(
                "{} reaches {:.4} in epoch {} of {}",
                m.name,
                m.valid.recall[1],
                m.best_epoch,
                m.curve.len()
            )
        })
        .collect();
    let ends: Vec<String> = told
        .filter_map(|m| Some((m, m.curve.first()?, m.curve.last()?)))
        .map(|(m, first, last)| format!("{} from {:.4} to {:.4}", m.name, first.loss, last.loss))
        .collect();
    let labels = Labels {
        id: "recall",
        title: "Validation Recall@20 by epoch",
        description: &story.join("; "),
        y: "Recall@20",
        x: "epoch",
    };
    lines(page, "Validation Recall@20", "Higher is better.", &labels, &recall);
    let labels = Labels {
        id: "loss",
        title: "Training loss by epoch",
        description: &ends.join("; "),
        y: "loss",
        x: "epoch",
    };
    lines(
        page,
        "Training loss",
        "Mean over the epoch; each model has its own, compare shapes, not heights.",
        &labels,
        &loss,
    );
    page.push_str("</div>\n");
    for (model, remark) in report.models.iter().flat_map(|m| m.remarks.iter().map(move |r| (m, r))) {
        let _ = writeln!(page, "<p><strong>{}</strong>: {}.</p>", Text(&model.name), Text(remark));
    }
    page.push_str("</section>\n");
}

fn lines(page: &mut String, caption: &str, note: &str, labels: &Labels, series: &[Series]) {
    figure(page, caption, note, |page| {
        draw(page, labels, series);
        page.push_str("<ul class=\"legend\">");
        for s in series {
            let _ = write!(
                page,
                "<li><svg viewBox=\"0 0 34 10\" aria-hidden=\"true\"><line class=\"curve s{} d{}\" x1=\"1\" x2=\"33\" y1=\"5\" y2=\"5\"/></svg>{}{}</li>",
                s.style.colour,
                s.style.dash,
                Text(s.name),
                if s.level.is_some() { " (not trained by epochs)" } else { "" }
            );
        }
        page.push_str("</ul>");
    });
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
    Style { dash, ..report.palette().of(name) }
}

/// The columns of the metrics table: protocol, metric, value.
type MetricColumn = (&'static str, &'static str, fn(&ModelSummary) -> f64);

const COLUMNS: [MetricColumn; 8] = [
    ("Validation", "Recall@20", |m| m.valid.recall[1]),
    ("Validation", "NDCG@20", |m| m.valid.ndcg[1]),
    ("Test, public protocol", "Recall@10", |m| m.public.recall[0]),
    ("Test, public protocol", "Recall@20", |m| m.public.recall[1]),
    ("Test, public protocol", "NDCG@10", |m| m.public.ndcg[0]),
    ("Test, public protocol", "NDCG@20", |m| m.public.ndcg[1]),
    ("Test, clean protocol", "Recall@20", |m| m.clean.recall[1]),
    ("Test, clean protocol", "NDCG@20", |m| m.clean.ndcg[1]),
];

/// The table of all metrics, the best of each column in bold.
pub(super) fn metrics(page: &mut String, report: &DemoReport) {
    page.push_str(
        "<section id=\"metrics\">\n<h2>Measured on what was held out</h2>\n<p>Full ranking over all items, no sampled \
         candidates. The public protocol masks what a user had in training, as published tables do; the clean one also \
         masks the validation items at test time.</p>\n<div class=\"panel scroll\" style=\"padding:0\" tabindex=\"0\" \
         role=\"region\" aria-label=\"Metrics table\">\n<table>\n<caption>Mean over users with held-out items; best of \
         each column in bold.</caption>\n<thead><tr><th scope=\"col\" rowspan=\"2\">Model</th>",
    );
    let mut groups: Vec<(&str, usize)> = Vec::new();
    for (group, _, _) in COLUMNS {
        match groups.last_mut() {
            Some((name, span)) if *name == group => *span += 1,
            _ => groups.push((group, 1)),
        }
    }
    for (group, span) in groups {
        let _ = write!(page, "<th scope=\"colgroup\" class=\"edge\" colspan=\"{span}\">{group}</th>");
    }
    page.push_str("<th scope=\"col\" class=\"edge\" rowspan=\"2\">Time</th></tr>\n<tr>");
    for (at, (_, name, _)) in COLUMNS.iter().enumerate() {
        let _ = write!(page, "<th scope=\"col\"{}>{name}</th>", edge(at));
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    let rounded = |v: f64| (v * 1e4).round();
    let palette = report.palette();
    for model in &report.models {
        let _ = write!(
            page,
            "<tr><th scope=\"row\"><span class=\"swatch s{}\"></span>{}</th>",
            palette.of(&model.name).colour,
            Text(&model.name)
        );
        for (at, (_, _, value)) in COLUMNS.iter().enumerate() {
            let best = report.models.iter().map(value).fold(f64::NEG_INFINITY, f64::max);
            let text = format!("{:.4}", value(model));
            let text = if rounded(value(model)) == rounded(best) {
                format!("<strong>{text}</strong>")
            } else {
                text
            };
            let _ = write!(page, "<td{}>{text}</td>", edge(at));
        }
        let _ = writeln!(page, "<td class=\"edge\">{}</td></tr>", duration(model.seconds));
    }
    page.push_str("</tbody>\n</table>\n</div>\n</section>\n");
}

fn edge(at: usize) -> &'static str {
    if at == 0 || COLUMNS[at].0 != COLUMNS[at - 1].0 { " class=\"edge\"" } else { "" }
}

/// Recall among the items that nobody took in training.
pub(super) fn unseen(page: &mut String, report: &DemoReport) {
    let Unseen { items, users, recall, chance } = &report.unseen;
    if recall.is_empty() {
        return;
    }
    let many = &report.noun.1;
    let _ = writeln!(
        page,
        "<section id=\"unseen\">\n<h2>What nobody had taken yet</h2>\n<p>The models that learn, trained once more and for a third of the time, without {0} of the \
         {1}, which stand for new ones; then these {0} were ranked for each of the {2} users who took one. Pictures and texts \
         are all that is known of them.</p>\n<div class=\"panel scroll\" style=\"padding:0\" tabindex=\"0\" role=\"region\" \
         aria-label=\"Unseen {1}\">\n<table>\n<caption>Recall@20 among {1} that nobody took in training.</caption>\n<thead><tr>\
         <th scope=\"col\">Model</th><th scope=\"col\">Recall@20</th></tr></thead>\n<tbody>",
        grouped(*items),
        Text(many),
        grouped(*users)
    );
    let best = recall.iter().map(|r| r.1).fold(*chance, f64::max);
    for (name, value) in recall.iter().map(|(n, v)| (n.as_str(), *v)).chain([("a random order", *chance)]) {
        let text = format!("{value:.4}");
        let text = if value == best { format!("<strong>{text}</strong>") } else { text };
        let _ = writeln!(page, "<tr><th scope=\"row\">{}</th><td>{text}</td></tr>", Text(name));
    }
    page.push_str("</tbody>\n</table>\n</div>\n</section>\n");
}

/// Facts of the data.
pub(super) fn data(page: &mut String, report: &DemoReport) {
    let _ = writeln!(
        page,
        "<section id=\"data\">\n<h2>The data</h2>\n<p>{}</p>\n<div class=\"panel\"><dl class=\"facts\" style=\"margin:0\">",
        Text(&report.data_name)
    );
    for (name, value) in &report.facts {
        let _ = writeln!(page, "<div><dt>{}</dt><dd>{}</dd></div>", Text(name), Text(value));
    }
    page.push_str("</dl></div>\n</section>\n");
}

/// Every setting of every model, folded.
pub(super) fn settings(page: &mut String, report: &DemoReport) {
    page.push_str("<section id=\"settings\">\n<h2>Settings</h2>\n<p>What each model was trained with; the same seed gives the same numbers.</p>\n<div class=\"panel\">\n");
    for model in &report.models {
        let _ = writeln!(
            page,
            "<details><summary>{}<small>{} · {} parameters</small></summary><dl class=\"set\">",
            Text(&model.name),
            Text(&model.summary),
            grouped(model.parameters)
        );
        for (name, value) in &model.settings {
            let _ = writeln!(page, "<div><dt>{}</dt><dd>{}</dd></div>", Text(name), Text(value));
        }
        page.push_str("</dl></details>\n");
    }
    page.push_str("</div>\n</section>\n");
}

/// Commands to go on with.
pub(super) fn next(page: &mut String, report: &DemoReport) {
    if report.next.is_empty() {
        return;
    }
    page.push_str("<section id=\"next\">\n<h2>Go on from here</h2>\n<p>The prepared data and the trained models are on disk; these commands use them.</p>\n<pre tabindex=\"0\"><code>");
    let _ =
        write!(page, "{}", report.next.iter().map(|c| Text(c).to_string()).collect::<Vec<_>>().join("\n"));
    page.push_str("</code></pre>\n</section>\n");
}

/// Version and the data's notice.
pub(super) fn footer(page: &mut String, report: &DemoReport) {
    let _ = writeln!(
        page,
        "<footer><div class=\"in\"><p>{}</p><p>Made by alike {}.</p></div></footer>",
        Text(&report.notice),
        env!("CARGO_PKG_VERSION")
    );
}

impl RecallAndNdcg {
    /// The metrics that a report shows, from values by name.
    pub(crate) fn from_values(value: impl Fn(&str) -> f64) -> Self {
        Self { recall: [value("recall@10"), value("recall@20")], ndcg: [value("ndcg@10"), value("ndcg@20")] }
    }
}
