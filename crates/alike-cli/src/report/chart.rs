//! Line charts as inline SVG: axes with round numbers, a label at the end of each line, a title for readers.

use std::fmt::Write;

use super::Text;
use super::palette::Style;

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

/// Width of every chart.
pub(super) const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 46.0;
const RIGHT: f64 = 78.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = 40.0;
/// Smallest distance between the baselines of two labels.
const LABEL: f64 = 15.0;

/// Opens an SVG with a title and a description for readers.
pub(super) fn open(page: &mut String, height: f64, id: &str, title: &str, description: &str) {
    let _ = writeln!(
        page,
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\">\
         <title id=\"{id}-t\">{}</title><desc id=\"{id}-d\">{}</desc>",
        Text(title),
        Text(description)
    );
}

/// Appends the chart to `page`.
pub(super) fn draw(page: &mut String, labels: &Labels, series: &[Series]) {
    let points = || series.iter().flat_map(|s| s.points.iter().copied());
    let heights =
        points().map(|p| p.1).chain(series.iter().filter_map(|s| s.level)).filter(|y| y.is_finite());
    let (low, high) = heights.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), y| (l.min(y), h.max(y)));
    let last = points().map(|p| p.0).fold(1.0, f64::max);
    let (low, high) = if low <= high { (low, high) } else { (0.0, 1.0) };
    let y_ticks = ticks(low, high, 5);
    let x_ticks: Vec<f64> =
        ticks(0.0, last, 6).into_iter().filter(|t| t.fract() == 0.0 && *t <= last).collect();
    let (bottom, top) = (y_ticks[0], y_ticks[y_ticks.len() - 1]);
    let x = |v: f64| LEFT + (WIDTH - LEFT - RIGHT) * v / last;
    let y = |v: f64| HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (v - bottom) / (top - bottom);

    open(page, HEIGHT, labels.id, labels.title, labels.description);
    let (right, floor) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    for &t in &y_ticks {
        let at = y(t);
        let _ = writeln!(
            page,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>"
        );
        let _ = writeln!(
            page,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 8.0,
            at + 4.0,
            number(t, &y_ticks)
        );
    }
    let _ =
        writeln!(page, "<line class=\"axis\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{floor}\" y2=\"{floor}\"/>");
    for &t in &x_ticks {
        let _ = writeln!(
            page,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{t}</text>",
            x(t),
            floor + 17.0
        );
    }
    let _ = writeln!(page, "<text x=\"0\" y=\"12\">{}</text>", Text(&axis(labels.y, &y_ticks)));
    let _ = writeln!(
        page,
        "<text x=\"{right}\" y=\"{}\" text-anchor=\"end\">{}</text>",
        HEIGHT - 4.0,
        Text(labels.x)
    );
    for s in series {
        line(page, s, &x, &y, last);
    }
    names(page, series, &y);
    page.push_str("</svg>\n");
}

fn line(page: &mut String, s: &Series, x: &dyn Fn(f64) -> f64, y: &dyn Fn(f64) -> f64, last: f64) {
    let Style { colour, dash } = s.style;
    let class = format!("s{colour} d{dash}");
    if let Some(level) = s.level {
        let at = y(level);
        let _ = writeln!(
            page,
            "<line class=\"curve {class}\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>",
            x(0.0),
            x(last)
        );
        return;
    }
    let finite = || s.points.iter().filter(|p| p.1.is_finite());
    let path: Vec<String> = finite().map(|p| format!("{:.1},{:.1}", x(p.0), y(p.1))).collect();
    let _ = writeln!(page, "<polyline class=\"curve {class}\" points=\"{}\"/>", path.join(" "));
    if s.points.len() <= 40 {
        for p in finite() {
            let _ = writeln!(
                page,
                "<circle class=\"dot s{colour}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"2.4\"/>",
                x(p.0),
                y(p.1)
            );
        }
    }
    if let Some(p) = s.marked.and_then(|m| s.points.get(m)) {
        let (px, py) = (x(p.0), y(p.1));
        let _ = writeln!(
            page,
            "<circle class=\"best s{colour}\" cx=\"{px:.1}\" cy=\"{py:.1}\" r=\"5\"><title>{}: best epoch {}</title></circle>",
            Text(s.name),
            p.0
        );
    }
}

/// Names at the right end of the lines, pushed apart where they would overlap.
fn names(page: &mut String, series: &[Series], y: &dyn Fn(f64) -> f64) {
    let end = |s: &Series| s.level.or_else(|| s.points.iter().rev().map(|p| p.1).find(|v| v.is_finite()));
    let mut ends: Vec<(f64, &Series)> =
        series.iter().filter_map(|s| end(s).map(|v| (y(v) + 4.0, s))).collect();
    ends.sort_by(|a, b| a.0.total_cmp(&b.0));
    for i in 1..ends.len() {
        ends[i].0 = ends[i].0.max(ends[i - 1].0 + LABEL);
    }
    let floor = HEIGHT - BOTTOM + 4.0;
    for i in (0..ends.len()).rev() {
        let limit = if i + 1 < ends.len() { ends[i + 1].0 - LABEL } else { floor };
        ends[i].0 = ends[i].0.min(limit);
    }
    for (at, s) in ends {
        let name = Text(s.name);
        let _ = writeln!(
            page,
            "<text class=\"name s{}\" x=\"{:.1}\" y=\"{at:.1}\">{name}</text>",
            s.style.colour,
            WIDTH - RIGHT + 8.0
        );
    }
}

/// Round numbers that cover `low..=high`, about `count` of them.
pub(super) fn ticks(low: f64, high: f64, count: usize) -> Vec<f64> {
    let span = if high > low { high - low } else { high.abs().max(1e-3) };
    let raw = span / count.max(1) as f64;
    let power = 10f64.powf(raw.log10().floor());
    let step =
        [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|m| m * power).find(|s| *s >= raw * 0.999).unwrap_or(raw);
    let (first, last) = ((low / step + 1e-9).floor() as i64, (high / step - 1e-9).ceil() as i64);
    (first..=last.max(first + 1)).map(|n| n as f64 * step).collect()
}

/// The name of a vertical axis; one that does not start at 0 says so, since it makes differences look larger than they are.
pub(super) fn axis(name: &str, ticks: &[f64]) -> String {
    match ticks[0] {
        0.0 => name.to_string(),
        first => format!("{name}; this axis starts at {}, not at 0", number(first, ticks)),
    }
}

/// A tick's text, with as many digits as the distance of the ticks asks for.
pub(super) fn number(value: f64, all: &[f64]) -> String {
    let step = (all[1] - all[0]).abs();
    let digits = (0..6).find(|d| ((step * 10f64.powi(*d)).fract() - 0.5).abs() > 0.499).unwrap_or(6);
    format!("{value:.*}", digits as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_cover_the_range() {
        assert_eq!(ticks(0.0, 40.0, 6), [0.0, 10.0, 20.0, 30.0, 40.0]);
        let t = ticks(0.031, 0.094, 5);
        assert!(t[0] <= 0.031 && t[t.len() - 1] >= 0.094 && t.len() <= 7, "{t:?}");
        assert_eq!(
            t.iter().map(|v| number(*v, &t)).collect::<Vec<_>>(),
            ["0.02", "0.04", "0.06", "0.08", "0.10"]
        );
        assert!(ticks(0.5, 0.5, 5).len() >= 2);
        assert!(ticks(0.0, 0.0, 5).len() >= 2);
    }

    #[test]
    fn an_axis_that_is_cut_says_so() {
        assert_eq!(axis("Recall@20", &[0.0, 0.1, 0.2]), "Recall@20");
        assert_eq!(
            axis("Recall@20", &[0.28, 0.282, 0.284]),
            "Recall@20; this axis starts at 0.280, not at 0"
        );
        assert_eq!(axis("loss", &[-0.5, 0.0, 0.5]), "loss; this axis starts at -0.5, not at 0");
    }

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
        let mut page = String::new();
        let labels = Labels { id: "x", title: "t", description: "d", y: "y", x: "x" };
        draw(&mut page, &labels, &series);
        let mut at: Vec<f64> = page
            .lines()
            .filter(|l| l.contains("class=\"name"))
            .filter_map(|l| l.split(" y=\"").nth(1)?.split('"').next()?.parse().ok())
            .collect();
        at.sort_by(f64::total_cmp);
        assert_eq!(at.len(), 3);
        assert!(page.contains("<text x=\"0\" y=\"12\">y</text>"), "{page}");
        assert!(at.windows(2).all(|w| w[1] - w[0] >= LABEL - 0.11), "{at:?}");
    }
}
