//! Line charts: axes with round numbers, a label at the end of each line, a title for screen readers.

use maud::{Markup, html};

use super::palette::Style;
use super::plane::{Plane, ticks};
use super::svg::{Drawing, px};

/// One line of a chart.
pub(super) struct Series<'a> {
    /// Name, written at the line's end.
    pub(super) name: &'a str,
    /// Colour and dash.
    pub(super) style: Style,
    /// Points with growing x; a single value for all x is a [`level`](Self::level).
    pub(super) points: Vec<(f64, f64)>,
    /// The point to be marked.
    pub(super) marked: Option<usize>,
    /// A line at this height instead of points.
    pub(super) level: Option<f64>,
}

/// A chart's texts.
pub(super) struct Labels<'a> {
    /// Unique id within the page.
    pub(super) id: &'a str,
    /// Title for screen readers.
    pub(super) title: &'a str,
    /// What the lines show, in words.
    pub(super) description: &'a str,
    /// Name of the vertical axis.
    pub(super) y: &'a str,
    /// Name of the horizontal axis.
    pub(super) x: &'a str,
}

const HEIGHT: f64 = 300.0;
const MARGINS: [f64; 4] = [46.0, 78.0, 30.0, 40.0];
/// Smallest distance between the baselines of two labels.
const LABEL: f64 = 15.0;
/// Points of a longer line are not drawn one by one.
const DOTS: usize = 40;

/// Draws the lines.
pub(super) fn draw(labels: &Labels, series: &[Series]) -> Drawing {
    let points = || series.iter().flat_map(|s| s.points.iter().copied());
    let heights =
        points().map(|p| p.1).chain(series.iter().filter_map(|s| s.level)).filter(|y| y.is_finite());
    let (low, high) = heights.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), y| (l.min(y), h.max(y)));
    let (low, high) = if low <= high { (low, high) } else { (0.0, 1.0) };
    let last = points().map(|p| p.0).fold(1.0, f64::max);
    let plane = Plane { height: HEIGHT, margins: MARGINS, ticks: ticks(low, high, 5) };
    let whole = ticks(0.0, last, 6).into_iter().filter(|t| t.fract() == 0.0 && *t <= last);
    let shapes = html! {
        (plane.grid(labels.x, labels.y))
        line.axis x1=(plane.left()) x2=(plane.right()) y1=(plane.floor()) y2=(plane.floor()) {}
        @for tick in whole {
            text x=(px(plane.x(tick / last))) y=(px(plane.floor() + 17.0)) text-anchor="middle" { (tick) }
        }
        @for one in series { (line(one, &plane, last)) }
        (names(series, &plane))
    };
    Drawing {
        id: labels.id.into(),
        title: labels.title.into(),
        description: labels.description.into(),
        height: HEIGHT,
        shapes,
    }
}

fn line(series: &Series, plane: &Plane, last: f64) -> Markup {
    let Style { colour, dash } = series.style;
    let at = |p: &(f64, f64)| (px(plane.x(p.0 / last)), px(plane.y(p.1)));
    if let Some(level) = series.level {
        let (left, y) = at(&(0.0, level));
        let (right, _) = at(&(last, level));
        return html! { line.curve.{ "s" (colour) }.{ "d" (dash) } x1=(left) x2=(right) y1=(y) y2=(y) {} };
    }
    let finite: Vec<(String, String)> = series.points.iter().filter(|p| p.1.is_finite()).map(at).collect();
    let path: Vec<String> = finite.iter().map(|(x, y)| format!("{x},{y}")).collect();
    let marked = series.marked.and_then(|m| series.points.get(m));
    html! {
        polyline.curve.{ "s" (colour) }.{ "d" (dash) } points=(path.join(" ")) {}
        @if series.points.len() <= DOTS {
            @for (x, y) in &finite { circle.dot.{ "s" (colour) } cx=(x) cy=(y) r="2.4" {} }
        }
        @if let Some(point) = marked {
            @let (x, y) = at(point);
            circle.best.{ "s" (colour) } cx=(x) cy=(y) r="5" {
                title { (series.name) ": best epoch " (point.0) }
            }
        }
    }
}

/// Names at the right end of the lines, pushed apart where they would overlap.
fn names(series: &[Series], plane: &Plane) -> Markup {
    let end = |s: &Series| s.level.or_else(|| s.points.iter().rev().map(|p| p.1).find(|v| v.is_finite()));
    let mut ends: Vec<(f64, &Series)> =
        series.iter().filter_map(|s| end(s).map(|v| (plane.y(v) + 4.0, s))).collect();
    ends.sort_by(|a, b| a.0.total_cmp(&b.0));
    for i in 1..ends.len() {
        ends[i].0 = ends[i].0.max(ends[i - 1].0 + LABEL);
    }
    let floor = plane.floor() + 4.0;
    for i in (0..ends.len()).rev() {
        let limit = if i + 1 < ends.len() { ends[i + 1].0 - LABEL } else { floor };
        ends[i].0 = ends[i].0.min(limit);
    }
    html! {
        @for (y, s) in ends {
            text.name.{ "s" (s.style.colour) } x=(px(plane.right() + 8.0)) y=(px(y)) { (s.name) }
        }
    }
}

#[cfg(test)]
mod tests {
    use maud::Render;

    use super::*;

    #[test]
    fn labels_do_not_overlap() {
        let s = |name, level| Series {
            name,
            style: Style { colour: 0, dash: 0 },
            points: vec![],
            marked: None,
            level: Some(level),
        };
        let series = [s("a", 0.500), s("b", 0.501), s("c", 0.0)];
        let labels = Labels { id: "x", title: "t", description: "d", y: "y", x: "x" };
        let svg = draw(&labels, &series).render().into_string();
        let mut at: Vec<f64> = svg
            .split('<')
            .filter(|l| l.contains("class=\"name"))
            .filter_map(|l| l.split(" y=\"").nth(1)?.split('"').next()?.parse().ok())
            .collect();
        at.sort_by(f64::total_cmp);
        assert_eq!(at.len(), 3);
        assert!(svg.contains("<text x=\"0\" y=\"12\">y</text>"), "{svg}");
        assert!(at.windows(2).all(|w| w[1] - w[0] >= LABEL - 0.11), "{at:?}");
    }
}
