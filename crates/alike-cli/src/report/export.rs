//! Charts as files of their own, for papers and slides.

use maud::{Markup, PreEscaped};

use super::page::file;
use super::svg::Drawing;

/// A drawn chart: part of a page, and a file beside it.
#[derive(Debug, Clone)]
pub(crate) struct Chart {
    /// What its file is called, without the ending.
    pub(crate) file: String,
    /// Heading.
    pub(super) caption: String,
    /// What is under the heading.
    pub(super) note: String,
    /// The drawing.
    pub(super) svg: Drawing,
}

impl Chart {
    /// The chart as a file: the same drawing in the light colours, without variables, which few programs but
    /// browsers know.
    pub(crate) fn standalone(&self) -> String {
        file(self.svg.standalone(&plain(include_str!("chart.css"))))
    }
}

/// A style sheet of ours with the page's light colours in the place of variables.
fn plain(style: &'static str) -> Markup {
    let page = include_str!("page.css");
    let light = &page[..page.find("@media").unwrap_or(page.len())];
    let colours = light.split("--").skip(1).filter_map(|part| part.split_once(':'));
    PreEscaped(colours.fold(style.to_string(), |style, (name, rest)| {
        let value = rest.split(';').next().unwrap_or_default().trim();
        style.replace(&format!("var(--{name})"), value)
    }))
}

/// The name of a chart's file, made of words: lower case, what is not a letter or digit becomes one `-`.
pub(super) fn file_name(words: &[&str]) -> String {
    let mut name = String::new();
    for c in words.join("-").chars().flat_map(char::to_lowercase) {
        if c.is_alphanumeric() {
            name.push(c);
        } else if !name.is_empty() && !name.ends_with('-') {
            name.push('-');
        }
    }
    name.trim_end_matches('-').to_string()
}

/// Gives every chart a file name of its own: a second one of a name gets a number.
pub(super) fn distinct<'a>(charts: impl Iterator<Item = &'a mut Chart>) {
    let mut seen: Vec<String> = Vec::new();
    for chart in charts {
        let free = |name: &String| !seen.contains(name);
        let numbered = (2..).map(|n| format!("{}-{n}", chart.file));
        let name = std::iter::once(chart.file.clone()).chain(numbered).find(free).unwrap_or_default();
        chart.file.clone_from(&name);
        seen.push(name);
    }
}

#[cfg(test)]
mod tests {
    use maud::html;

    use super::*;

    fn chart(file: &str) -> Chart {
        let svg = Drawing {
            id: "x".into(),
            title: "t".into(),
            description: "d".into(),
            height: 9.0,
            shapes: html! { text.s1 { "x" } },
        };
        Chart { file: file.into(), caption: String::new(), note: String::new(), svg }
    }

    #[test]
    fn a_file_needs_nothing_of_the_page() {
        let file = chart("x").standalone();
        assert!(
            file.contains("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox") && file.contains("<style>")
        );
        assert!(!file.contains("var(") && file.contains("svg .s0 { color: #667080; }"), "{file}");
    }

    #[test]
    fn names_are_plain_and_distinct() {
        assert_eq!(file_name(&["bars", "Baby & more", "recall@20"]), "bars-baby-more-recall-20");
        let mut all = [chart("a"), chart("b"), chart("a"), chart("a")];
        distinct(all.iter_mut());
        assert_eq!(all.map(|c| c.file), ["a", "b", "a-2", "a-3"]);
    }
}
