//! The tables of an experiment for LaTeX: `booktabs`, the best of a column in bold, arrows where a difference
//! is significant.

use std::cmp::Ordering;
use std::fmt::{self, Write};

use alike::experiment::{DataOutcome, EntryOutcome, Experiment, Outcome};

use super::tables::{is_best, sign, statistic, title};

/// All tables, each in an environment of its own.
pub(crate) fn tables(experiment: &Experiment, outcome: &Outcome) -> String {
    let mut page = format!(
        "% Tables of \"{}\", made by alike {}. They need \\usepackage{{booktabs}}.\n",
        experiment.title.replace(char::is_control, " "),
        env!("CARGO_PKG_VERSION")
    );
    for (at, set) in outcome.data.iter().enumerate() {
        results(&mut page, experiment, set, at + 1);
        paired(&mut page, set, at + 1);
    }
    page
}

fn results(page: &mut String, experiment: &Experiment, set: &DataOutcome, number: usize) {
    let mut caption = format!(
        "{}: test split, full ranking, public protocol. Mean $\\pm$ standard deviation over seeds; best of a column in bold.",
        Tex(&set.name)
    );
    if let Some(reference) = set.reference.as_ref().filter(|_| set.entries.len() > 1) {
        let _ = write!(
            caption,
            " $\\downarrow$ and $\\uparrow$: worse or better than {} with $p < 0.05$, Student's paired $t$ over users, Holm's \
             correction.",
            Tex(reference)
        );
    }
    let head: Vec<String> = experiment.metrics.iter().map(|m| Tex(&title(m)).to_string()).collect();
    let rows = set.entries.iter().map(|entry| {
        let cells = experiment.metrics.iter().map(|metric| cell(set, entry, metric));
        std::iter::once(Tex(&entry.name).to_string()).chain(cells).collect()
    });
    let head = [&["Model".to_string()], &head[..]].concat();
    let columns = format!("l{}", "r".repeat(experiment.metrics.len()));
    table(page, &caption, &format!("tab:results-{number}"), &columns, &head, rows);
}

fn cell(set: &DataOutcome, entry: &EntryOutcome, metric: &str) -> String {
    let Some((value, sd)) = entry.cell(metric) else { return "--".into() };
    let mean =
        if is_best(set, metric, value) { format!("\\mathbf{{{value:.4}}}") } else { format!("{value:.4}") };
    let sd = if sd.is_finite() { format!(" \\pm {sd:.4}") } else { String::new() };
    let sign = match sign(set, entry, metric) {
        None => "",
        Some(Ordering::Less) => "^{\\downarrow}",
        Some(_) => "^{\\uparrow}",
    };
    format!("${mean}{sd}{sign}$")
}

/// The tests over users, and in comments what the analysis of variance over seeds says.
fn paired(page: &mut String, set: &DataOutcome, number: usize) {
    for (metric, anova) in &set.anova {
        let verdict = anova.verdict();
        let _ = writeln!(
            page,
            "% {}, {}: {}, statistic {}, p {}; {}",
            set.name.replace(char::is_control, " "),
            title(metric),
            verdict.name,
            statistic(verdict.test.statistic),
            p_value(verdict.test.p),
            verdict.why
        );
    }
    let Some(reference) = &set.reference else { return };
    let rows: Vec<Vec<String>> = set
        .comparisons
        .iter()
        .flat_map(|(metric, all)| all.iter().map(move |c| (metric, c)))
        .map(|(metric, c)| {
            let numbers = [
                format!("{:+.4}", c.test.difference),
                statistic(c.test.t.statistic),
                p_value(c.t_holm),
                p_value(c.wilcoxon_holm),
            ];
            let words = [Tex(&c.name).to_string(), Tex(&title(metric)).to_string()];
            words.into_iter().chain(numbers.map(|n| format!("${n}$"))).collect()
        })
        .collect();
    if rows.is_empty() {
        return;
    }
    let caption = format!(
        "{}: {} minus the other, over users, means over seeds. $p$ after Holm's correction.",
        Tex(&set.name),
        Tex(reference)
    );
    let head = ["Model", "Metric", "Difference", "Student $t$", "$p$", "Wilcoxon $p$"].map(String::from);
    table(page, &caption, &format!("tab:paired-{number}"), "llrrrr", &head, rows.into_iter());
}

fn p_value(p: f64) -> String {
    if p < 1e-4 { "< 0.0001".into() } else { format!("{p:.4}") }
}

fn table(
    page: &mut String,
    caption: &str,
    label: &str,
    columns: &str,
    head: &[String],
    rows: impl Iterator<Item = Vec<String>>,
) {
    let _ = write!(
        page,
        "\n\\begin{{table}}\n  \\centering\n  \\caption{{{caption}}}\n  \\label{{{label}}}\n  \\begin{{tabular}}{{{columns}}}\n    \
         \\toprule\n    {} \\\\\n    \\midrule\n",
        head.join(" & ")
    );
    for row in rows {
        let _ = writeln!(page, "    {} \\\\", row.join(" & "));
    }
    page.push_str("    \\bottomrule\n  \\end{tabular}\n\\end{table}\n");
}

/// A text that writes itself with LaTeX's special characters escaped.
struct Tex<'a>(&'a str);

impl fmt::Display for Tex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '\\' => f.write_str("\\textbackslash{}")?,
                '~' => f.write_str("\\textasciitilde{}")?,
                '^' => f.write_str("\\textasciicircum{}")?,
                '&' | '%' | '$' | '#' | '_' | '{' | '}' => write!(f, "\\{c}")?,
                '<' => f.write_str("\\textless{}")?,
                '>' => f.write_str("\\textgreater{}")?,
                c if c.is_control() => f.write_char(' ')?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped() {
        assert_eq!(Tex("50 % of A_1 & {B}\\").to_string(), "50 \\% of A\\_1 \\& \\{B\\}\\textbackslash{}");
        assert_eq!(
            Tex("a<b>c~d^e\nf").to_string(),
            "a\\textless{}b\\textgreater{}c\\textasciitilde{}d\\textasciicircum{}e f"
        );
    }
}
