//! How things are said to the owner of a shop.

use std::fmt::Display;
use std::path::Path;

use arrow_array::temporal_conversions::timestamp_s_to_datetime;

use crate::failure::Outcome;
use crate::output::{self, grouped};
use crate::terminal::printable;

/// Names of columns that a message lists.
const LISTED: usize = 20;

/// Who is told what goes on, or nobody.
#[derive(Debug, Clone, Copy)]
pub(super) struct Teller {
    pub(super) silent: bool,
}

impl Teller {
    /// Says a line.
    pub(super) fn line(self, text: impl AsRef<str>) -> Outcome {
        if self.silent { Ok(()) } else { output::line(printable(text.as_ref())) }
    }

    /// Says several.
    pub(super) fn lines(self, lines: &[String]) -> Outcome {
        lines.iter().try_for_each(|text| self.line(text))
    }
}

/// A number and what there is of it.
pub(super) fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
}

/// Names for a message.
pub(super) fn listed(names: &[String]) -> String {
    let mut text: Vec<String> = names.iter().take(LISTED).map(|n| format!("`{n}`")).collect();
    if names.len() > LISTED {
        text.push(format!("and {} more", names.len() - LISTED));
    }
    text.join(", ")
}

/// Parts of a sentence: `a, b and c`.
pub(super) fn joined<T: Display>(parts: &[T]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.to_string(),
        [first @ .., last] => {
            let first: Vec<String> = first.iter().map(ToString::to_string).collect();
            format!("{} and {last}", first.join(", "))
        }
    }
}

/// A file by its name.
pub(super) fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// The day of a time in seconds since 1970: `1 Mar 2019`.
pub(super) fn day(seconds: f64) -> String {
    timestamp_s_to_datetime(seconds as i64).unwrap_or_default().format("%-d %b %Y").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0.0, "1 Jan 1970"),
            (951_782_400.0, "29 Feb 2000"),
            (951_868_800.0, "1 Mar 2000"),
            (1_709_209_815.0, "29 Feb 2024"),
            (1_735_689_599.0, "31 Dec 2024"),
        ] {
            assert_eq!(day(seconds), text);
        }
        assert_eq!((joined(&["a"]), joined(&["a", "b", "c"])), ("a".into(), "a, b and c".into()));
    }
}
