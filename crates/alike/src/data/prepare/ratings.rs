//! What ratings look like where nobody said which of them are too low to count.

use crate::data::prepare::report::counted;

/// Ratings that were seen.
#[derive(Debug, Default)]
pub(crate) struct Ratings {
    count: u64,
    negative: u64,
    /// Of those from 0 to 10, how many there are from `i` to below `i + 1`.
    from: [u64; 11],
    max: f32,
}

impl Ratings {
    /// Takes in a rating; what is no number is passed over, since nothing depends on it.
    pub(crate) fn add(&mut self, text: &str) {
        let Some(rating) = parse_rating(text) else { return };
        self.count += 1;
        self.max = self.max.max(rating);
        if rating < 0.0 {
            self.negative += 1;
        } else if rating <= 10.0 {
            self.from[rating as usize] += 1;
        }
    }

    /// What is to be said of low ones: they count like all others.
    pub(crate) fn note(&self, column: &str) -> Option<String> {
        let say = |low: u64, what: String, least: u32| {
            let percent = 100.0 * low as f64 / self.count as f64;
            let rows = counted(low, "interaction", "interactions");
            let (have, count) = if low == 1 { ("has", "counts") } else { ("have", "count") };
            format!(
                "{rows} ({percent:.1} %) {have} a {what} in column `{column}` and {count} like all others; \
                 `--min-rating {least}` drops such"
            )
        };
        if self.negative > 0 {
            return Some(say(self.negative, "negative rating".into(), 0));
        }
        // A scale of five or of ten stars; other numbers are counts, prices, flags.
        let (most, middle) = match self.max {
            max if max > 3.0 && max <= 5.0 => (5, 3),
            max if max > 5.0 && max <= 10.0 => (10, 6),
            _ => return None,
        };
        let low: u64 = self.from[..middle].iter().sum();
        (low > 0).then(|| say(low, format!("rating below {middle} of {most}"), middle as u32))
    }
}

/// A finite number; `4,5` is one where people write it so.
pub(crate) fn parse_rating(text: &str) -> Option<f32> {
    let finite = |text: &str| text.parse::<f32>().ok().filter(|r| r.is_finite());
    finite(text).or_else(|| {
        let (whole, part) = text.split_once(',')?;
        // Three digits would rather be thousands.
        let decimal = matches!(part.len(), 1 | 2) && part.bytes().all(|c| c.is_ascii_digit());
        decimal.then(|| finite(&format!("{whole}.{part}"))).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(ratings: &[&str]) -> Option<String> {
        let mut seen = Ratings::default();
        ratings.iter().for_each(|r| seen.add(r));
        seen.note("stars")
    }

    #[test]
    fn a_decimal_comma_is_understood() {
        assert_eq!(
            [parse_rating("4,5"), parse_rating("-1"), parse_rating("1e1")],
            [Some(4.5), Some(-1.0), Some(10.0)]
        );
        for bad in ["1,234", "4,", ",x", "nan", "", "4,5,6"] {
            assert_eq!(parse_rating(bad), None, "{bad}");
        }
    }

    #[test]
    fn low_stars_are_told() {
        let text = note(&["5", "4", "2", "1", "", "x"]).unwrap();
        assert!(text.starts_with("2 interactions (50.0 %) have a rating below 3 of 5"), "{text}");
        assert!(text.contains("`--min-rating 3`"), "{text}");
        assert!(note(&["5", "2.5", "3"]).unwrap().starts_with("1 interaction (33.3 %) has a"));
        assert!(
            note(&["9", "5", "6"]).unwrap().contains("1 interaction (33.3 %) has a rating below 6 of 10")
        );
        assert!(note(&["1", "-1"]).unwrap().contains("negative rating"));
        for fine in [&["5", "4", "3"][..], &["1", "0"], &["1", "250"], &[]] {
            assert_eq!(note(fine), None, "{fine:?}");
        }
    }
}
