//! The frame of every page, and the parts that pages share. Texts go in as they are: `html!` escapes them.

use maud::{DOCTYPE, Markup, PreEscaped, html};

/// A whole page, as it is written to a file.
pub(super) fn document(title: &str, header: &Markup, main: &Markup, footer: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "alike · " (title) }
                style { (PreEscaped(include_str!("chart.css"))) (PreEscaped(include_str!("page.css"))) }
            }
            body {
                (header)
                main { (main) }
                (footer)
            }
        }
    };
    file(page)
}

/// Markup as the text of a file that ends with a line feed. Control characters of texts become blanks here,
/// in one place for all: SVG must not have them, and browsers do not show them.
pub(super) fn file(markup: Markup) -> String {
    let hidden =
        |c: char| c.is_control() && !matches!(c, '\n' | '\t') || matches!(c, '\u{fffe}' | '\u{ffff}');
    let text = markup.into_string();
    let mut text = if text.contains(hidden) { text.replace(hidden, " ") } else { text };
    text.push('\n');
    text
}

/// The top of a page: links to `sections`, given by id and name, and `content`.
pub(super) fn header(sections: &[(&str, &str)], content: &Markup) -> Markup {
    html! {
        header {
            div.in {
                div.top {
                    div.mark { "alike" i { "." } }
                    nav aria-label="Sections" {
                        @for (id, name) in sections { a href={ "#" (id) } { (name) } }
                    }
                }
                (content)
            }
        }
    }
}

/// The end of a page: a notice, and the version.
pub(super) fn footer(notice: &str) -> Markup {
    html! {
        footer {
            div.in {
                p { (notice) }
                p { "Made by alike " (env!("CARGO_PKG_VERSION")) "." }
            }
        }
    }
}

/// A part of a page: heading, a paragraph of text, and `content`.
pub(super) fn section(id: &str, heading: &str, text: &str, content: &Markup) -> Markup {
    html! {
        section id=(id) {
            h2 { (heading) }
            p { (text) }
            (content)
        }
    }
}

/// A panel with a heading, a note under it, and `content`.
pub(super) fn figure(caption: &str, note: &str, content: &Markup) -> Markup {
    html! {
        figure.panel {
            figcaption { h3 { (caption) } span { (note) } }
            (content)
        }
    }
}

/// A table in a panel that scrolls on a narrow screen, with the keyboard too; `label` is for screen readers.
pub(super) fn table(label: &str, caption: &str, head: &Markup, rows: &Markup) -> Markup {
    html! {
        div class="panel scroll" style="padding:0" tabindex="0" role="region" aria-label=(label) {
            table {
                caption { (caption) }
                thead { (head) }
                tbody { (rows) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_become_blanks() {
        let text = "a\u{0}b\u{1b}c\nd\u{85}e\u{ffff}f";
        assert_eq!(file(html! { p title=(text) { (text) } }), "<p title=\"a b c\nd e f\">a b c\nd e f</p>\n");
    }
}
