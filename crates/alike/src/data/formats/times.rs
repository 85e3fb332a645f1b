//! Times as people and programs write them, as numbers that grow.

use arrow_cast::parse::string_to_datetime;
use chrono::format::{Fixed, Item, Numeric, Parsed, StrftimeItems, parse};
use chrono::{NaiveDateTime, Utc};

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
        if let Some(allowed) = lost(&items) {
            return Err(Error::Setting {
                name: "time-format".into(),
                value: format!("`{format}`"),
                allowed: allowed.into(),
            });
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

/// What is allowed instead of signs that would lose a part of the time.
fn lost(items: &[Item<'_>]) -> Option<&'static str> {
    let number = |sign: Numeric| items.iter().any(|i| matches!(i, Item::Numeric(n, _) if *n == sign));
    let fixed = |signs: &[Fixed]| items.iter().any(|i| matches!(i, Item::Fixed(f) if signs.contains(f)));
    let half = fixed(&[Fixed::LowerAmPm, Fixed::UpperAmPm]);
    let (hour, hour12) = (number(Numeric::Hour), number(Numeric::Hour12));
    let (minute, second) = (number(Numeric::Minute), number(Numeric::Second));
    let fraction = number(Numeric::Nanosecond)
        || fixed(&[Fixed::Nanosecond, Fixed::Nanosecond3, Fixed::Nanosecond6, Fixed::Nanosecond9]);
    if fixed(&[Fixed::TimezoneName]) {
        return Some(
            "a zone as a number (`%z`: +0200), or its name as it stands in all rows, which then counts as UTC",
        );
    }
    if hour12 && !half && !hour {
        return Some("hours up to 12 (`%I`) with `%p` for AM and PM, or hours up to 24 (`%H`)");
    }
    if half && !hour12 && !hour {
        return Some("`%p` for AM and PM with the hour (`%I`)");
    }
    let gap = (minute && !hour && !hour12) || (second && !minute) || (fraction && !second);
    gap.then_some("smaller parts of a time with the larger ones (`%H:%M:%S`)")
}

/// `YYYY-MM-DD[(T| )hh[:mm[:ss[.fff]]][ ][Z|UTC|±hh[[:]mm]]]`, also without the signs between, as seconds
/// since 1970; without a zone it is UTC.
fn iso(text: &str) -> Option<f64> {
    if !text.is_ascii() {
        return None;
    }
    let text = ["UTC", "GMT"].iter().find_map(|zone| text.strip_suffix(zone)).unwrap_or(text).trim_end();
    let read = |text: &str| string_to_datetime(&Utc, text).ok().map(|time| seconds(time.naive_utc()));
    read(text).or_else(|| read(&in_full(text)?))
}

/// A date and time of ISO 8601 in its longest form, which the reader wants: people leave out seconds and
/// signs.
fn in_full(text: &str) -> Option<String> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let pair = |text: &str| text.len() == 2 && digits(text) == 2;
    let (date, rest) = match digits(text) {
        8 => (format!("{}-{}-{}", &text[..4], &text[4..6], &text[6..8]), &text[8..]),
        _ => (text.get(..10)?.to_string(), &text[10..]),
    };
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let clock = rest.find(|c: char| !c.is_ascii_digit() && !":.,".contains(c)).unwrap_or(rest.len());
    let (clock, zone) = (&rest[..clock], rest[clock..].trim());
    let (clock, fraction) = clock.split_once(['.', ',']).unwrap_or((clock, "0"));
    let parts: Vec<&str> = match clock.contains(':') {
        true => clock.split(':').collect(),
        false => (0..clock.len()).step_by(2).map(|at| clock.get(at..at + 2)).collect::<Option<_>>()?,
    };
    if parts.is_empty() || parts.len() > 3 || !parts.iter().all(|p| pair(p)) {
        return None;
    }
    // A fraction is one of seconds.
    if fraction.is_empty() || digits(fraction) != fraction.len() || (fraction != "0" && parts.len() < 3) {
        return None;
    }
    let part = |at: usize| parts.get(at).copied().unwrap_or("00");
    let zone = match zone.strip_prefix(['+', '-']) {
        None if zone.is_empty() || zone.eq_ignore_ascii_case("z") => "+00:00".to_string(),
        None => return None,
        Some(offset) => {
            let bare = offset.replace(':', "");
            let minutes = bare.get(2..).filter(|m| !m.is_empty()).unwrap_or("00");
            if !pair(bare.get(..2)?) || !pair(minutes) {
                return None;
            }
            format!("{}{}:{minutes}", &zone[..1], &bare[..2])
        }
    };
    Some(format!("{date}T{}:{}:{}.{fraction}{zone}", part(0), part(1), part(2)))
}

/// A time in the signs `items`. What is left out counts from its start: minutes, the hour, the day of a
/// month.
fn named(text: &str, items: &[Item<'static>]) -> Option<f64> {
    let mut parsed = Parsed::new();
    parse(&mut parsed, text, items.iter()).ok()?;
    if parsed.timestamp().is_none() {
        if parsed.hour_mod_12().is_none() {
            parsed.set_hour(0).ok()?;
        }
        if parsed.minute().is_none() {
            parsed.set_minute(0).ok()?;
        }
        if parsed.month().is_some() && parsed.day().is_none() && parsed.ordinal().is_none() {
            parsed.set_day(1).ok()?;
        }
    }
    let time = match parsed.to_datetime() {
        Ok(time) => time.naive_utc(),
        Err(_) if parsed.offset().is_some() => return None,
        Err(_) => parsed.to_naive_datetime_with_offset(0).ok()?,
    };
    Some(seconds(time))
}

fn seconds(time: NaiveDateTime) -> f64 {
    let time = time.and_utc();
    time.timestamp() as f64 + f64::from(time.timestamp_subsec_nanos()) * 1e-9
}

/// Tells seconds from milliseconds in one column, which would be split by size instead of by time.
#[derive(Debug, Default)]
pub(crate) struct Units {
    /// The first time that looks like each unit, and its line; after the units, dates that are written as one
    /// number.
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

    /// How many of the unit that the times look like make a second; 1 where they look like none.
    pub(crate) fn of_a_second(&self) -> f64 {
        self.seen.iter().zip(UNITS).find_map(|(seen, (_, scale))| seen.map(|_| scale)).unwrap_or(1.0)
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
            ("2024-02-29T12:30Z", 1_709_209_800.0),
            ("2024-02-29T14:30+02:00", 1_709_209_800.0),
            ("2024-02-29 14:30+02", 1_709_209_800.0),
            ("2024-02-29T12:30:15,500Z", 1_709_209_815.5),
            ("20240229T123015Z", 1_709_209_815.0),
            ("20240229T1430+0200", 1_709_209_800.0),
            ("835356044", 835_356_044.0),
        ];
        for (text, seconds) in cases {
            assert_eq!(TimeFormat::Usual.read(text), Some(seconds), "{text}");
        }
        let bad =
            ["", "nan", "inf", "2024-13-01", "2024-02-29X10:00", "yesterday", "2024-02-29 12:30+2é", "é"];
        let wrong =
            ["29.02.2024", "2024-02-29 25:00", "2024-02-30", "2024-02-29 12:30 PST", "20240229T12301"];
        for text in bad.into_iter().chain(wrong) {
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
            ("%Y-%m-%d %H", "2024-02-29 12", 1_709_208_000.0),
            ("%Y-%m-%d %I %p", "2024-02-29 12 PM", 1_709_208_000.0),
            ("%m/%Y", "02/2024", 1_706_745_600.0),
            ("%d.%m.%Y %z", "29.02.2024 +0200", 1_709_157_600.0),
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
    fn a_format_that_would_lose_a_part_of_the_time_is_refused() {
        for (format, says) in [
            ("%m/%d/%Y %I:%M", "`%p`"),
            ("%Y-%m-%d %H:%M %Z", "`%z`"),
            ("%Y-%m-%d %M", "`%H:%M:%S`"),
            ("%Y-%m-%d %p", "`%I`"),
            ("%Y-%m-%d %H:%S", "`%H:%M:%S`"),
        ] {
            let text = TimeFormat::parse(format).unwrap_err().to_string();
            assert!(text.contains(says) && text.contains(format), "{text}");
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
