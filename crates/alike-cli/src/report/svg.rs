//! A drawing with a title and a description for screen readers: part of a page, or a file of its own.

use maud::{Markup, PreEscaped, Render, html};

/// Width of every drawing.
pub(super) const WIDTH: f64 = 480.0;

/// An `svg` element.
#[derive(Debug, Clone)]
pub(super) struct Drawing {
    /// Unique id within the page.
    pub(super) id: String,
    /// Title for screen readers.
    pub(super) title: String,
    /// What it shows, in words.
    pub(super) description: String,
    /// Height beside [`WIDTH`].
    pub(super) height: f64,
    /// What is drawn.
    pub(super) shapes: Markup,
}

impl Drawing {
    /// The drawing with a style sheet of its own, for a file.
    pub(super) fn standalone(&self, style: &Markup) -> Markup {
        html! {
            (PreEscaped("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"))
            (self.element(Some(style)))
        }
    }

    fn element(&self, style: Option<&Markup>) -> Markup {
        html! {
            svg xmlns=[style.map(|_| "http://www.w3.org/2000/svg")]
                viewBox={ "0 0 " (WIDTH) " " (self.height) }
                role="img"
                aria-labelledby={ (self.id) "-t " (self.id) "-d" } {
                title id={ (self.id) "-t" } { (self.title) }
                desc id={ (self.id) "-d" } { (self.description) }
                @if let Some(style) = style { style { (style) } }
                (self.shapes)
            }
        }
    }
}

impl Render for Drawing {
    /// The drawing as a part of a page, which has the style.
    fn render(&self) -> Markup {
        self.element(None)
    }
}

/// A coordinate, with as many digits as can be seen.
pub(super) fn px(value: f64) -> String {
    format!("{value:.1}")
}
