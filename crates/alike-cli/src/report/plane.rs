//! The vertical axis of a chart: round numbers, a line at each, and where a value is drawn.

use maud::{Markup, html};

use super::svg::{WIDTH, px};

/// What lies between the margins of a drawing.
pub(super) struct Plane {
    /// Height of the drawing.
    pub(super) height: f64,
    /// Margins: left, right, top and bottom.
    pub(super) margins: [f64; 4],
    /// Ticks of the vertical axis, from [`ticks`].
    pub(super) ticks: Vec<f64>,
}

impl Plane {
    /// The left end.
    pub(super) fn left(&self) -> f64 {
        self.margins[0]
    }

    /// The right end.
    pub(super) fn right(&self) -> f64 {
        WIDTH - self.margins[1]
    }

    /// The lower end.
    pub(super) fn floor(&self) -> f64 {
        self.height - self.margins[3]
    }

    /// Where a value is drawn that is `share` of the way from left to right.
    pub(super) fn x(&self, share: f64) -> f64 {
        self.left() + (self.right() - self.left()) * share
    }

    /// The height at which a value is drawn.
    pub(super) fn y(&self, value: f64) -> f64 {
        let (low, high) = (self.ticks[0], self.ticks[self.ticks.len() - 1]);
        self.floor() - (self.floor() - self.margins[2]) * (value - low) / (high - low)
    }

    /// A line and a number at each tick, and the names of both axes.
    pub(super) fn grid(&self, x: &str, y: &str) -> Markup {
        html! {
            @for &tick in &self.ticks {
                @let at = self.y(tick);
                line.grid x1=(self.left()) x2=(self.right()) y1=(px(at)) y2=(px(at)) {}
                text x=(px(self.left() - 8.0)) y=(px(at + 4.0)) text-anchor="end" { (number(tick, &self.ticks)) }
            }
            text x="0" y="12" { (axis(y, &self.ticks)) }
            text x=(self.right()) y=(self.height - 4.0) text-anchor="end" { (x) }
        }
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

/// The name of a vertical axis; one that does not start at 0 says so, since it makes differences look larger
/// than they are.
fn axis(name: &str, ticks: &[f64]) -> String {
    match ticks[0] {
        0.0 => name.to_string(),
        first => format!("{name}; this axis starts at {}, not at 0", number(first, ticks)),
    }
}

/// A tick's text, with as many digits as the distance of the ticks asks for.
fn number(value: f64, all: &[f64]) -> String {
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
}
