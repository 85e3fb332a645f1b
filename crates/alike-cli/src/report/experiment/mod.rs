//! The report of an experiment: tables with published values beside ours, bars, studies, tests of significance, cost,
//! learning curves, and every setting that was tried; and the same for papers, as LaTeX and SVG.

mod figures;
mod latex;
mod tables;

use std::fmt::Write;

use alike::experiment::{DataOutcome, Experiment, Outcome};

use super::export::{Chart, distinct};
use super::palette::Palette;
use super::{Text, figure, start};
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
            bars: figures::bars(set, &palette),
            studies: figures::studies(set, &palette),
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
    let mut page = start(&experiment.title);
    header(&mut page, experiment, outcome);
    page.push_str("<main>\n");
    section(&mut page, "results", "Results", RESULTS, |page| {
        outcome.data.iter().for_each(|set| tables::results(page, experiment, set));
    });
    section(&mut page, "bars", "Side by side", BARS, |page| {
        charts.0.iter().for_each(|set| grid(page, &set.bars));
    });
    if charts.0.iter().any(|set| !set.studies.is_empty()) {
        section(&mut page, "studies", "One setting varied", STUDIES, |page| {
            charts.0.iter().flat_map(|set| &set.studies).for_each(|study| grid(page, study));
        });
    }
    section(&mut page, "significance", "Is it chance?", SIGNIFICANCE, |page| {
        outcome.data.iter().for_each(|set| tables::significance(page, set));
    });
    section(&mut page, "beyond", "Beyond accuracy", BEYOND, |page| {
        outcome.data.iter().for_each(|set| tables::beyond(page, set));
    });
    section(&mut page, "cost", "Time and memory", COST, |page| {
        outcome.data.iter().for_each(|set| tables::cost(page, set));
    });
    section(&mut page, "learning", "How they learned", LEARNING, |page| {
        grid(page, charts.0.iter().filter_map(|set| set.curves.as_ref()));
    });
    section(&mut page, "settings", "What was tried", SETTINGS, |page| {
        outcome.data.iter().for_each(|set| tables::settings(page, set));
    });
    page.push_str("</main>\n");
    let _ = writeln!(
        page,
        "<footer><div class=\"in\"><p>Every run of this page is a row of results.csv and results.parquet beside it; \
         tables.tex has its tables for LaTeX, and each chart is an .svg file.</p><p>Made by alike {}.</p></div></footer>\n</body>\n</html>",
        env!("CARGO_PKG_VERSION")
    );
    page
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

fn header(page: &mut String, experiment: &Experiment, outcome: &Outcome) {
    page.push_str("<header><div class=\"in\">\n<div class=\"top\"><div class=\"mark\">alike<i>.</i></div><nav aria-label=\"Sections\">");
    for (id, name) in
        [("results", "Results"), ("significance", "Significance"), ("cost", "Cost"), ("settings", "Settings")]
    {
        let _ = write!(page, "<a href=\"#{id}\">{name}</a>");
    }
    let _ = writeln!(page, "</nav></div>\n<h1>{}</h1>", Text(&experiment.title));
    if !experiment.note.is_empty() {
        let _ = writeln!(page, "<p class=\"lede\">{}</p>", Text(&experiment.note));
    }
    page.push_str("<dl class=\"facts\">\n");
    for set in &outcome.data {
        let (users, items, train) = set.size;
        let _ = writeln!(
            page,
            "<div><dt>{}</dt><dd>{}</dd><dt>{} users · {} items · {} train interactions · split {} · hash {}</dt></div>",
            Text(&set.name),
            Text(&leader(set)),
            grouped(users),
            grouped(items),
            grouped(train),
            Text(&set.split),
            Text(&set.hash.chars().take(12).collect::<String>())
        );
    }
    page.push_str("</dl>\n</div></header>\n");
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

fn section(page: &mut String, id: &str, title: &str, text: &str, fill: impl FnOnce(&mut String)) {
    let _ = writeln!(page, "<section id=\"{id}\">\n<h2>{title}</h2>\n<p>{text}</p>");
    fill(page);
    page.push_str("</section>\n");
}

/// Charts side by side.
fn grid<'a>(page: &mut String, charts: impl IntoIterator<Item = &'a Chart>) {
    page.push_str("<div class=\"grid2\">\n");
    for chart in charts {
        figure(page, &chart.caption, &chart.note, |page| page.push_str(&chart.svg));
    }
    page.push_str("</div>\n");
}

/// A table in a panel that scrolls on a narrow screen: caption, head, rows; cells are HTML, the first of a row its head.
fn table(page: &mut String, caption: &str, head: &[String], rows: &[Vec<String>]) {
    let _ = writeln!(
        page,
        "<div class=\"panel scroll\" style=\"padding:0\" tabindex=\"0\" role=\"region\" aria-label=\"{0}\">\n<table>\n\
         <caption>{0}</caption>\n<thead><tr>{1}</tr></thead>\n<tbody>",
        Text(caption),
        head.iter().map(|h| format!("<th scope=\"col\">{}</th>", Text(h))).collect::<String>()
    );
    for row in rows {
        let cells: String = row.iter().skip(1).map(|cell| format!("<td>{cell}</td>")).collect();
        let _ = writeln!(page, "<tr><th scope=\"row\">{}</th>{cells}</tr>", row[0]);
    }
    page.push_str("</tbody>\n</table>\n</div>\n");
}

#[cfg(test)]
mod tests;
