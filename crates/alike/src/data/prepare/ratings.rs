//! What ratings look like where nobody said which of them are too low to count.

use std::collections::BTreeMap;

use crate::data::prepare::report::counted;

/// Different ratings that are counted one by one; a column of more is no scale that somebody chose.
const DIFFERENT: usize = 1000;
/// Lower ratings are worth a note from this share of all on, in percent.
const NOTEWORTHY: f64 = 1.0;

/// Ratings that were seen.
#[derive(Debug, Default)]
pub(crate) struct Ratings {
    count: u64,
    /// How often each was seen, by its [`place`]; of many different ones the first.
    seen: BTreeMap<i32, u64>,
    /// Smallest and largest.
    range: Option<(f32, f32)>,
}

/// A number that rises with the rating, as the bits of a float do above zero.
fn place(rating: f32) -> i32 {
    // Not -0.0, which is no other rating than 0.
    let bits = (rating + 0.0).to_bits() as i32;
    bits ^ (((bits >> 31) as u32) >> 1) as i32
}

/// The rating of a place.
fn rating_at(place: i32) -> f32 {
    f32::from_bits((place ^ (((place >> 31) as u32) >> 1) as i32) as u32)
}

impl Ratings {
    /// Takes in a rating; what is no number is passed over, since nothing depends on it.
    pub(crate) fn add(&mut self, text: &str) {
        let Some(rating) = parse_rating(text) else { return };
        self.count += 1;
        self.range = match self.range {
            Some((min, max)) => Some((min.min(rating), max.max(rating))),
            None => Some((rating, rating)),
        };
        if let Some(count) = self.seen.get_mut(&place(rating)) {
            *count += 1;
        } else if self.seen.len() < DIFFERENT {
            self.seen.insert(place(rating), 1);
        }
    }

    /// What is to be said of low ones: they count like all others.
    pub(crate) fn note(&self, column: &str) -> Option<String> {
        let (min, max) = self.range.filter(|(min, max)| min < max)?;
        let middle = min + (max - min) / 2.0;
        // From which rating on one is not low, and what low ones are called.
        let (least, what) = match max {
            // No, or not at all.
            _ if min <= 0.0 && self.first_from(f32::MIN_POSITIVE).is_some_and(|first| first == max) => {
                (max, "of 0 or less".to_string())
            }
            _ if min < 0.0 && max > 0.0 => {
                (self.first_from(f32::MIN_POSITIVE).unwrap_or(max), "of 0 or less".to_string())
            }
            max if min >= 0.0 && max > 3.0 && max <= 5.0 => (3.0, "below 3 of 5".to_string()),
            max if min >= 0.0 && max > 5.0 && max <= 10.0 => (6.0, "below 6 of 10".to_string()),
            _ => {
                let least = self.first_from(middle).unwrap_or(middle);
                (least, format!("below {least}"))
            }
        };
        let scale = format!("column `{column}` ({min} to {max})");
        if self.seen.len() == DIFFERENT {
            return Some(format!(
                "low ratings in {scale} count as taken, like all others; `--min-rating` drops them"
            ));
        }
        let low: u64 = self.seen.range(..place(least)).map(|(_, count)| count).sum();
        let percent = 100.0 * low as f64 / self.count as f64;
        // Few stars, zeros and less are a word, however rare.
        let is_word = min <= 0.0 || what.contains(" of ");
        if low == 0 || (percent < NOTEWORTHY && !is_word) {
            return None;
        }
        let rows = counted(low, "interaction", "interactions");
        let (have, count) = if low == 1 { ("has", "counts") } else { ("have", "count") };
        Some(format!(
            "{rows} ({percent:.1} %) {have} a rating {what} in {scale} and {count} as taken, like all others; \
             `--min-rating {least}` drops such"
        ))
    }

    /// The smallest rating from `least` on, of those that are counted.
    fn first_from(&self, least: f32) -> Option<f32> {
        self.seen.range(place(least)..).next().map(|(at, _)| rating_at(*at))
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
        for fine in [&["5", "4", "3"][..], &["1", "1"], &["0", "0"], &["8", "9", "6"], &[]] {
            assert_eq!(note(fine), None, "{fine:?}");
        }
    }

    #[test]
    fn low_ratings_of_every_scale_are_told() {
        let cases: [(&[&str], &str, &str, &str); 8] = [
            (&["0", "1", "0"], "2 interactions (66.7 %) have a rating of 0 or less", "(0 to 1)", "1"),
            (&["1", "-1", "0"], "2 interactions (66.7 %) have a rating of 0 or less", "(-1 to 1)", "1"),
            (&["-10", "0.5", "10"], "1 interaction (33.3 %) has a rating of 0 or less", "(-10 to 10)", "0.5"),
            (&["1", "2", "3"], "1 interaction (33.3 %) has a rating below 2", "(1 to 3)", "2"),
            (&["20", "80", "100"], "1 interaction (33.3 %) has a rating below 80", "(20 to 100)", "80"),
            (&["0", "40", "100", "50"], "2 interactions (50.0 %) have a rating below 50", "(0 to 100)", "50"),
            (&["-3", "-1"], "1 interaction (50.0 %) has a rating below -1", "(-3 to -1)", "-1"),
            (&["0", "7"], "1 interaction (50.0 %) has a rating of 0 or less", "(0 to 7)", "7"),
        ];
        for (ratings, rows, scale, least) in cases {
            let text = note(ratings).unwrap();
            let way = format!("`--min-rating {least}` drops such");
            assert!(text.starts_with(rows) && text.contains(scale) && text.ends_with(&way), "{text}");
        }
        // One low of many is an exception, unless it says no.
        let many = |low: &'static str| {
            let all: Vec<&str> = [low].into_iter().chain(["90"; 200]).chain(["100"; 200]).collect();
            note(&all)
        };
        assert!(many("10").is_none() && many("0").unwrap().contains("1 interaction (0.2 %)"));
        let all: Vec<String> = (0..3000).map(|r| format!("{}", f64::from(r) / 7.0)).collect();
        let text = note(&all.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
        assert!(text.starts_with("low ratings in column `stars` (0 to 428.42"), "{text}");
    }
}
