//! The report of an experiment: tables with published values beside ours, bars, studies, tests of
//! significance, cost, learning curves, and every setting that was tried; and the same for papers, as LaTeX
//! and SVG.

mod bars;
mod cost;
mod figures;
mod latex;
mod significance;
mod studies;
mod tables;

use alike::experiment::{DataOutcome, Experiment, Outcome};
use maud::{Markup, html};

use super::export::{Chart, distinct};
use super::page::{self, figure, section};
use super::palette::Palette;
use crate::output::grouped;
pub(crate) use latex::tables as latex;

/// The charts of an experiment, in the order of its data sets.
#[derive(Debug)]
pub(crate) struct Charts(Vec<SetCharts>);

#[derive(Debug)]
struct SetCharts {
    bars: Vec<Chart>,
    studies: Vec<Vec<Chart>>,
    curves: Option<Chart>,
}

impl Charts {
    /// Draws all of them.
    pub(crate) fn draw(experiment: &Experiment, outcome: &Outcome) -> Self {
        let palette = Palette::new(experiment.models.iter().map(|m| (m.name.as_str(), m.model.as_str())));
        let of = |set| SetCharts {
            bars: bars::charts(set, &palette),
            studies: studies::charts(set, &palette),
            curves: figures::curves(set, &palette),
        };
        let mut all: Vec<SetCharts> = outcome.data.iter().map(of).collect();
        distinct(all.iter_mut().flat_map(|set| {
            set.bars.iter_mut().chain(set.studies.iter_mut().flatten()).chain(&mut set.curves)
        }));
        Self(all)
    }

    /// All of them, one after the other.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Chart> {
        self.0.iter().flat_map(|set| set.bars.iter().chain(set.studies.iter().flatten()).chain(&set.curves))
    }
}

/// The whole page.
pub(crate) fn html(experiment: &Experiment, outcome: &Outcome, charts: &Charts) -> String {
    let each = |of: fn(&DataOutcome) -> Markup| html! { @for set in &outcome.data { (of(set)) } };
    let results = html! { @for set in &outcome.data { (tables::results(experiment, set)) } };
    let bars = html! { @for set in &charts.0 { (grid(&set.bars)) } };
    let studies = html! { @for study in charts.0.iter().flat_map(|set| &set.studies) { (grid(study)) } };
    let curves = grid(charts.0.iter().filter_map(|set| set.curves.as_ref()));
    let main = html! {
        (section("results", "Results", RESULTS, &results))
        (section("bars", "Side by side", BARS, &bars))
        @if charts.0.iter().any(|set| !set.studies.is_empty()) {
            (section("studies", "One setting varied", STUDIES, &studies))
        }
        (section("significance", "Is it chance?", SIGNIFICANCE, &each(significance::tests)))
        (section("beyond", "Beyond accuracy", BEYOND, &each(tables::beyond_accuracy)))
        (section("cost", "Time and memory", COST, &each(cost::table)))
        (section("learning", "How they learned", LEARNING, &curves))
        (section("settings", "What was tried", SETTINGS, &each(tables::settings)))
    };
    page::document(&experiment.title, &header(experiment, outcome), &main, &page::footer(FILES))
}

const RESULTS: &str = "Test split, public protocol: full ranking over all items, train items masked. Mean ± standard \
    deviation over seeds; the best of a column is bold. ▼ and ▲: worse or better than the reference with p below 0.05, Student’s \
    paired t over users, Holm’s correction. Small numbers are published values. Settings were chosen on validation, and test was \
    scored once.";
const BARS: &str = "Mean over seeds; the line at a bar’s end is one standard deviation to each side.";
const STUDIES: &str = "The chosen settings with one of them varied; the vertical lines are one standard deviation to each side.";
const SIGNIFICANCE: &str = "Analysis of variance asks whether the models’ means over seeds differ at all, and needs normal \
    residuals (Shapiro-Wilk) and equal variances (Levene, around medians), which are tested from three seeds per model on; where one \
    fails, with p below 0.05, the test to read is another. The paired tests ask it for two models, user by user.";
const BEYOND: &str = "The first 20 items of each user’s list. Coverage: share of the catalogue that anybody is shown. Gini: 0 when \
    all items are shown equally often. Novelty: mean −log₂ of the share of users who took the item. Diversity: mean 1 − cosine of the \
    features over pairs of a list. Tail: share of items outside the most popular ones that hold 80 % of train. Cold: the quarter of \
    users, or of items, with the fewest train interactions, ties included.";
const COST: &str = "Mean over the final runs. Memory is the peak of the whole process.";
const LEARNING: &str = "Validation Recall@20 of the first seed. The ring marks the epoch that was kept.";
const SETTINGS: &str = "Validation Recall@20 of every combination, best first.";
const FILES: &str = "Every run of this page is a row of results.csv and results.parquet beside it; tables.tex has its tables for LaTeX, \
    and each chart is an .svg file.";

fn header(experiment: &Experiment, outcome: &Outcome) -> Markup {
    let links = [
        ("results", "Results"),
        ("significance", "Significance"),
        ("cost", "Cost"),
        ("settings", "Settings"),
    ];
    let content = html! {
        h1 { (experiment.title) }
        @if !experiment.note.is_empty() { p.lede { (experiment.note) } }
        dl.facts { @for set in &outcome.data { (facts(set)) } }
    };
    page::header(&links, &content)
}

fn facts(set: &DataOutcome) -> Markup {
    let (users, items, train) = set.size;
    html! {
        div {
            dt { (set.name) }
            dd { (leader(set)) }
            dt {
                (grouped(users)) " users · " (grouped(items)) " items · " (grouped(train)) " train interactions · split "
                (set.split) " · hash " (set.hash.chars().take(12).collect::<String>())
            }
        }
    }
}

/// Who is best on test, and by how much.
fn leader(set: &DataOutcome) -> String {
    let mut ranked: Vec<(f64, &str)> =
        set.entries.iter().filter_map(|e| Some((e.cell("recall@20")?.0, &*e.name))).collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    match ranked[..] {
        [] => "no results yet".into(),
        [(value, name)] => format!("{name}: Recall@20 {value:.4}"),
        [(value, name), (second, other), ..] => {
            format!(
                "{name} leads: Recall@20 {value:.4}, {:.1} % above {other}",
                100.0 * (value / second - 1.0)
            )
        }
    }
}

/// Charts side by side.
fn grid<'a>(charts: impl IntoIterator<Item = &'a Chart>) -> Markup {
    html! {
        div.grid2 {
            @for chart in charts { (figure(&chart.caption, &chart.note, &html! { (chart.svg) })) }
        }
    }
}

#[cfg(test)]
mod tests;
