//! Times as people and programs write them, as numbers that grow.

use arrow_cast::parse::string_to_datetime;
use chrono::format::{Item, Parsed, StrftimeItems, parse};
use chrono::{NaiveDateTime, NaiveTime, Utc};

use crate::data::formats::id_text::is_nothing;
use crate::{Error, Result};

/// How times are written.
#[derive(Debug, Clone, Default)]
pub(crate) enum TimeFormat {
    /// Numbers, or ISO 8601 dates.
    #[default]
    Usual,
    /// As `strftime` writes them.
    Named {
        /// Its signs.
        signs: String,
        /// These, parsed.
        items: Vec<Item<'static>>,
    },
}

impl TimeFormat {
    /// From `strftime`'s signs, such as `%d.%m.%Y %H:%M`.
    pub(crate) fn parse(format: &str) -> Result<Self> {
        let bad = || Error::Setting {
            name: "time-format".into(),
            value: format!("`{format}`"),
            allowed: "signs as of strftime: %Y-%m-%d, %d.%m.%Y %H:%M, %m/%d/%Y %I:%M %p …".into(),
        };
        let items: Vec<Item> = StrftimeItems::new(format).collect();
        let dated = items.iter().any(|item| matches!(item, Item::Numeric(..) | Item::Fixed(_)));
        if !dated || items.contains(&Item::Error) {
            return Err(bad());
        }
        Ok(Self::Named { signs: format.into(), items: items.into_iter().map(Item::to_owned).collect() })
    }

    /// What is expected where `text` is no time, with the ways out.
    pub(crate) fn expected(&self, text: &str) -> String {
        let way = match self {
            _ if is_nothing(text) => "a time is expected".into(),
            Self::Usual => {
                "a number or an ISO 8601 date is expected; say how times are written (`--time-format \"%d.%m.%Y %H:%M\"`)"
                    .into()
            }
            Self::Named { signs, .. } if Self::Usual.read(text).is_some() => {
                format!("`--time-format` says `{signs}`; this one is read without it")
            }
            Self::Named { signs, .. } => {
                format!("`--time-format` says `{signs}`; give the signs for times as this one is written")
            }
        };
        format!("{way}, or leave the column out (`--column time=none`)")
    }

    /// A time as a number: one that is written as a number as it is, a date as seconds since 1970.
    pub(crate) fn read(&self, text: &str) -> Option<f64> {
        match self {
            Self::Usual => match text.parse::<f64>() {
                Ok(number) => number.is_finite().then_some(number),
                Err(_) => iso(text),
            },
            Self::Named { items, .. } => named(text, items),
        }
    }
}

/// `YYYY-MM-DD[(T| )hh:mm[:ss[.fff]][ ][Z|UTC|±hh[:]mm]]` as seconds since 1970; without a zone it is UTC.
fn iso(text: &str) -> Option<f64> {
    if !text.is_ascii() {
        return None;
    }
    let text = ["UTC", "GMT"].iter().find_map(|zone| text.strip_suffix(zone)).unwrap_or(text).trim_end();
    // The reader wants seconds; people leave them out.
    let with_seconds = match text.as_bytes() {
        [.., b':', _, _] if text.len() == 16 => Some(format!("{text}:00")),
        _ => None,
    };
    let time = string_to_datetime(&Utc, with_seconds.as_deref().unwrap_or(text)).ok()?;
    Some(seconds(time.naive_utc()))
}

fn named(text: &str, items: &[Item<'static>]) -> Option<f64> {
    let mut parsed = Parsed::new();
    parse(&mut parsed, text, items.iter()).ok()?;
    if let Ok(time) = parsed.to_datetime() {
        return Some(seconds(time.naive_utc()));
    }
    if let Ok(time) = parsed.to_naive_datetime_with_offset(0) {
        return Some(seconds(time));
    }
    let date = parsed.to_naive_date().ok()?;
    Some(seconds(date.and_time(NaiveTime::MIN)))
}

fn seconds(time: NaiveDateTime) -> f64 {
    let time = time.and_utc();
    time.timestamp() as f64 + f64::from(time.timestamp_subsec_nanos()) * 1e-9
}

/// Tells seconds from milliseconds in one column, which would be split by size instead of by time.
#[derive(Debug, Default)]
pub(crate) struct Units {
    /// The first time that looks like each unit, and its line; after the units, dates that are written as one number.
    seen: [Option<(f64, u64)>; UNITS.len() + 1],
}

/// A unit by the size of its numbers for the years 1980 to 2100.
const UNITS: [(&str, f64); 4] =
    [("seconds", 1.0), ("milliseconds", 1e3), ("microseconds", 1e6), ("nanoseconds", 1e9)];
const YEARS: std::ops::Range<f64> = 315_532_800.0..4_102_444_800.0;
/// What a date that is written as one number is called.
const CALENDAR: &str = "a date written as one number (YYYYMMDD)";

/// True for `20240229`, `202402291230` and `20240229123015`.
fn is_calendar(time: f64) -> bool {
    if time.fract() != 0.0 || !(1e7..1e14).contains(&time) {
        return false;
    }
    let text = format!("{time}");
    let signs = match text.len() {
        8 => "%Y%m%d",
        12 => "%Y%m%d%H%M",
        14 => "%Y%m%d%H%M%S",
        _ => return false,
    };
    let read = TimeFormat::parse(signs).ok().and_then(|format| format.read(&text));
    read.is_some_and(|seconds| YEARS.contains(&seconds))
}

impl Units {
    /// Takes in the time of a row.
    pub(crate) fn add(&mut self, time: f64, line: u64) {
        for (place, (_, scale)) in self.seen.iter_mut().zip(UNITS) {
            if place.is_none() && YEARS.contains(&(time / scale)) {
                *place = Some((time, line));
            }
        }
        let calendar = &mut self.seen[UNITS.len()];
        if calendar.is_none() && is_calendar(time) {
            *calendar = Some((time, line));
        }
    }

    /// The line of a second unit and what to say of it.
    pub(crate) fn mixed(&self) -> Option<(u64, String)> {
        let names = UNITS.iter().map(|(unit, _)| *unit).chain([CALENDAR]);
        let mut seen: Vec<_> =
            self.seen.iter().zip(names).filter_map(|(s, unit)| s.map(|(t, l)| (l, t, unit))).collect();
        seen.sort_by_key(|s| s.0);
        let [first, second, ..] = seen.as_slice() else { return None };
        let message = format!(
            "the time {} looks like {}, that of line {} ({}) like {}: bring them to one unit, or leave the column \
             out (`--column time=none`)",
            second.1, second.2, first.0, first.1, first.2
        );
        Some((second.0, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_times_are_numbers_or_iso_dates() {
        let cases = [
            ("1970-01-01", 0.0),
            ("2000-03-01", 951_868_800.0),
            ("2024-02-29T12:30:15.5Z", 1_709_209_815.5),
            ("2024-02-29 14:30:15.5+02:00", 1_709_209_815.5),
            ("2024-02-29 14:30:15+0200", 1_709_209_815.0),
            ("2024-02-29 12:30", 1_709_209_800.0),
            ("2024-02-29 12:30 UTC", 1_709_209_800.0),
            ("2024-02-29 12:30:15.500 UTC", 1_709_209_815.5),
            ("835356044", 835_356_044.0),
        ];
        for (text, seconds) in cases {
            assert_eq!(TimeFormat::Usual.read(text), Some(seconds), "{text}");
        }
        let bad =
            ["", "nan", "inf", "2024-13-01", "2024-02-29X10:00", "yesterday", "2024-02-29 12:30+2é", "é"];
        for text in bad.into_iter().chain(["29.02.2024", "2024-02-29 25:00", "2024-02-30"]) {
            assert_eq!(TimeFormat::Usual.read(text), None, "{text}");
        }
    }

    #[test]
    fn a_format_reads_what_it_writes() {
        let cases = [
            ("%d.%m.%Y", "29.02.2024", 1_709_164_800.0),
            ("%d.%m.%Y %H:%M", "29.02.2024 12:30", 1_709_209_800.0),
            ("%m/%d/%Y %I:%M %p", "02/29/2024 12:30 PM", 1_709_209_800.0),
            ("%b %d, %Y", "Feb 29, 2024", 1_709_164_800.0),
            ("%Y%m%d", "20240229", 1_709_164_800.0),
            ("%d.%m.%Y %H:%M:%S %z", "29.02.2024 14:30:15 +0200", 1_709_209_815.0),
        ];
        for (format, text, seconds) in cases {
            let format = TimeFormat::parse(format).unwrap();
            assert_eq!(format.read(text), Some(seconds), "{text}");
            assert_eq!(format.read("31.02.2024"), None);
        }
        for bad in ["", "dd.mm.yyyy", "%Y-%Q"] {
            assert!(TimeFormat::parse(bad).unwrap_err().to_string().contains("%d.%m.%Y"), "{bad}");
        }
    }

    #[test]
    fn two_units_in_one_column_are_seen() {
        let mixed = |times: &[f64]| {
            let mut units = Units::default();
            times.iter().zip(2..).for_each(|(&time, line)| units.add(time, line));
            units.mixed()
        };
        let (line, message) = mixed(&[1_404_085_274.0, 5.0, 1_404_307_904_000.0]).unwrap();
        assert_eq!(line, 4);
        assert!(message.contains("milliseconds") && message.contains("line 2"), "{message}");
        assert_eq!(mixed(&[1.0, 2.0, 1e6, 1_404_085_274.0]), None);
        for date in [20_201_102.0, 202_011_021_530.0, 20_201_102_153_015.0] {
            let (line, message) = mixed(&[1_404_085_274.0, date]).unwrap();
            assert!(line == 3 && message.contains("YYYYMMDD") && message.contains("line 2"), "{message}");
            assert_eq!(mixed(&[date, date + 1.0]), None);
        }
        // No days of a calendar.
        assert_eq!(mixed(&[1_404_085_274.0, 20_201_302.0, 20_200_231.0, 10_101_010.0]), None);
        assert_eq!(mixed(&[1_404_085_274e3, 1_404_085_275e3]), None);
    }
}
