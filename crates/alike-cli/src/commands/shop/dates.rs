//! How the dates of a column are written, by all of its values.

use std::path::Path;

use alike::data::Times;

use crate::failure::{Failure, Outcome};

/// Ways of writing a day beside ISO's.
const DAYS: [&str; 9] = [
    "%d.%m.%Y",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%Y/%m/%d",
    "%d %b %Y",
    "%b %d, %Y",
    "%d.%m.%y",
];
/// Ways of writing the time behind it.
const CLOCKS: [&str; 8] =
    ["", " %H:%M:%S", " %H:%M", ", %H:%M", ", %H:%M:%S", " %I:%M %p", " %I:%M:%S %p", " %H:%M:%S %z"];

/// How times are written, and what makes seconds of them.
#[derive(Debug, Default)]
pub(super) struct DateReader {
    times: Times,
    /// By what a time is divided that is a number; 0 where the numbers are no times of the clock.
    unit: f64,
}

impl DateReader {
    /// Of a column with these values, each with its line; `format` says how they are written.
    ///
    /// # Errors
    /// One of them is no date, or all may be read in two ways.
    pub(super) fn of(path: &Path, values: &[(u64, &str)], format: Option<&str>) -> Outcome<Self> {
        if let Some(format) = format {
            let times = Times::of_format(format)?;
            return match values.iter().find(|(_, text)| times.read(text).is_none()) {
                Some((line, text)) => Err(Failure::Failed(format!(
                    "{}:{line}: the date `{text}` is not written as --time-format says (`{format}`)",
                    path.display()
                ))),
                None => Ok(Self { times, unit: 1.0 }),
            };
        }
        let times = Times::default();
        let Some((line, text)) = values.iter().find(|(_, text)| times.read(text).is_none()) else {
            let number = |text: &str| text.trim().parse::<f64>().ok();
            let largest = values.iter().filter_map(|(_, text)| number(text)).fold(0f64, f64::max);
            let unit = match largest {
                l if l >= 1e17 => 1e9,
                l if l >= 1e14 => 1e6,
                l if l >= 1e11 => 1e3,
                l if l > 0.0 && l < 1e8 => 0.0,
                _ => 1.0,
            };
            return Ok(Self { times, unit });
        };
        let ways = DAYS.iter().flat_map(|day| CLOCKS.iter().map(move |clock| format!("{day}{clock}")));
        let fits = |way: String| {
            let times = Times::of_format(&way).ok()?;
            values.iter().all(|(_, text)| times.read(text).is_some()).then_some((way, times))
        };
        let mut fitting = ways.filter_map(fits);
        let Some((first, times)) = fitting.next() else {
            return Err(Failure::Failed(format!(
                "{}:{line}: `{text}` is no date that is known here; say how dates are written (--time-format \
                 \"%d/%m/%Y %H:%M\"), or leave them out (--order-time none)",
                path.display()
            )));
        };
        let differs = |other: &Times| values.iter().find(|(_, text)| times.read(text) != other.read(text));
        match fitting.find_map(|(way, other)| differs(&other).map(|(line, text)| (way, *line, *text))) {
            Some((second, line, text)) => Err(Failure::Failed(format!(
                "{}:{line}: the date `{text}` may be read in two ways; say which with --time-format \"{first}\" or \
                 --time-format \"{second}\"",
                path.display()
            ))),
            None => Ok(Self { times, unit: 1.0 }),
        }
    }

    /// A time in seconds since 1970, or as the number that it is.
    pub(super) fn read(&self, text: &str) -> Option<f64> {
        let time = self.times.read(text)?;
        Some(if self.unit > 0.0 { time / self.unit } else { time })
    }

    /// Whether times are those of the clock.
    pub(super) fn is_clock(&self) -> bool {
        self.unit > 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&str]) -> Outcome<Vec<f64>> {
        let lines: Vec<(u64, &str)> =
            values.iter().enumerate().map(|(n, text)| (n as u64 + 2, *text)).collect();
        let reader = DateReader::of(Path::new("o.csv"), &lines, None)?;
        Ok(values.iter().map(|text| reader.read(text).unwrap()).collect())
    }

    #[test]
    fn dates_are_read_as_exports_write_them() {
        assert_eq!(of(&["2024-03-01 12:34:56 -0500"]).unwrap(), [1_709_314_496.0]);
        assert_eq!(
            of(&["29.02.2024 12:30", "01.03.2024 00:00"]).unwrap(),
            [1_709_209_800.0, 1_709_251_200.0]
        );
        // The second says that days come first.
        assert_eq!(of(&["02/03/2024", "29/02/2024"]).unwrap(), [1_709_337_600.0, 1_709_164_800.0]);
        assert_eq!(of(&["03/01/2024 1:30 PM", "02/29/2024 12:00 AM"]).unwrap()[1], 1_709_164_800.0);
        assert_eq!(of(&["1709209800000"]).unwrap(), [1_709_209_800.0]);
        assert_eq!(of(&["17", "18"]).unwrap(), [17.0, 18.0]);
    }

    #[test]
    fn what_may_be_two_dates_is_asked() {
        let said = of(&["02/03/2024", "04/05/2024"]).unwrap_err().line().unwrap();
        assert!(said.contains("o.csv:2") && said.contains("%d/%m/%Y") && said.contains("%m/%d/%Y"), "{said}");
        let said = of(&["2024-01-01", "yesterday"]).unwrap_err().line().unwrap();
        assert!(said.contains("o.csv:3: `yesterday`") && said.contains("--order-time none"), "{said}");
    }
}
