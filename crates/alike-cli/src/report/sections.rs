//! The parts of the page beside learning, metrics and people: headline, unseen items, data, settings, what to
//! do next.

use maud::{Markup, html};

use super::{DemoReport, page};
use crate::commands::Unseen;
use crate::output::{duration, grouped};

/// Headline, sentence, and one bar per model.
pub(super) fn header(report: &DemoReport) -> Markup {
    let links = [("learning", "Learning"), ("metrics", "Metrics"), ("people", "People"), ("data", "Data")];
    let content = html! {
        h1 { (headline(report)) }
        p.lede {
            (grouped(report.users)) " users, " (grouped(report.items)) " " (report.noun.1) ", " (grouped(report.train))
            " choices to learn from. Everything on this page was computed on one machine in "
            (duration(report.seconds).replace(' ', "\u{a0}")) "."
        }
        (bars(report))
        small {
            "Recall@20 on the test split: how many of a user’s held-out " (report.noun.1)
            " are among the first 20 suggested out of all " (grouped(report.items)) ". Public protocol; one seed."
        }
    };
    page::header(&links, &content)
}

fn bars(report: &DemoReport) -> Markup {
    let palette = report.palette();
    let most = report.models.iter().map(|m| m.public.recall[1]).fold(f64::MIN_POSITIVE, f64::max);
    html! {
        dl.bars {
            @for model in &report.models {
                @let recall = model.public.recall[1];
                @let width = format!("width:{:.1}%", (80.0 * recall / most).max(0.5));
                dt { (model.name) }
                dd {
                    span.bar.{ "s" (palette.style_of(&model.name).colour) } style=(width) {}
                    b { (format!("{:.1}\u{a0}%", 100.0 * recall)) }
                }
            }
        }
    }
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

/// Recall among the items that nobody took in training.
pub(super) fn unseen(report: &DemoReport) -> Markup {
    let Unseen { items, users, recall, chance } = &report.unseen;
    if recall.is_empty() {
        return Markup::default();
    }
    let (many, items) = (&report.noun.1, grouped(*items));
    let text = format!(
        "The models that learn, trained once more and for an eighth of the time, without {items} of the {many}, which stand for new \
         ones; then these {items} were ranked for each of the {} users who took one. Pictures and texts are all that is known of them.",
        grouped(*users)
    );
    let head = html! { tr { th scope="col" { "Model" } th scope="col" { "Recall@20" } } };
    let best = recall.iter().map(|r| r.1).fold(*chance, f64::max);
    let rows = html! {
        @for (name, value) in recall.iter().map(|(n, v)| (n.as_str(), *v)).chain([("a random order", *chance)]) {
            @let text = format!("{value:.4}");
            tr {
                th scope="row" { (name) }
                td { @if value == best { strong { (text) } } @else { (text) } }
            }
        }
    };
    let caption = format!("Recall@20 among {many} that nobody took in training.");
    let table = page::table(&format!("Unseen {many}"), &caption, &head, &rows);
    page::section("unseen", "What nobody had taken yet", &text, &table)
}

/// Facts of the data.
pub(super) fn data(report: &DemoReport) -> Markup {
    let facts = html! { div.panel { dl.facts style="margin:0" { (pairs(&report.facts)) } } };
    page::section("data", "The data", &report.data_name, &facts)
}

/// Every setting of every model, folded.
pub(super) fn settings(report: &DemoReport) -> Markup {
    let text = "What each model was trained with; the same seed gives the same numbers.";
    let models = html! {
        div.panel {
            @for model in &report.models {
                details {
                    summary {
                        (model.name)
                        small { (model.summary) " · " (grouped(model.parameters)) " parameters" }
                    }
                    dl.set { (pairs(&model.settings)) }
                }
            }
        }
    };
    page::section("settings", "Settings", text, &models)
}

/// Names and values, for a `dl`.
fn pairs(all: &[(String, String)]) -> Markup {
    html! { @for (name, value) in all { div { dt { (name) } dd { (value) } } } }
}

/// Commands to go on with.
pub(super) fn next(report: &DemoReport) -> Markup {
    if report.next.is_empty() {
        return Markup::default();
    }
    let text = "The prepared data and the trained models are on disk; these commands use them.";
    let commands = html! { pre tabindex="0" { code { (report.next.join("\n")) } } };
    page::section("next", "Go on from here", text, &commands)
}
