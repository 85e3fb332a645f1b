//! Rows in which an id is missing: counted, and named with their count. In the log they are an error, or
//! dropped where that is asked for; in what belongs to the items they are no items, and left out.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::Error;
use crate::data::formats::id_text::{clean, is_nothing, means_nothing};
use crate::data::formats::row::Place;
use crate::data::prepare::report::{Dropped, counted};

/// What was found of one column of ids.
#[derive(Debug, Default)]
pub(crate) struct Missing {
    empty: u64,
    first: Option<(PathBuf, u64)>,
    /// Rows by the word for nothing that they hold.
    words: BTreeMap<String, u64>,
}

impl Missing {
    /// Counts the clean `id` if it is empty or a word for nothing. True if the row is to be left out: it is
    /// empty, or `drop` is asked for.
    pub(crate) fn check(&mut self, id: &str, place: &Place<'_>, drop: bool) -> bool {
        if id.is_empty() {
            self.empty += 1;
            self.first.get_or_insert_with(|| (place.path.to_path_buf(), place.line));
            return true;
        }
        if !means_nothing(id) {
            return false;
        }
        *self.words.entry(id.to_string()).or_default() += 1;
        drop
    }

    /// The error that rows without an id are, unless they were to be dropped.
    pub(crate) fn error(&self, column: &str) -> Option<Error> {
        let (path, line) = self.first.as_ref()?;
        let rows = counted(self.empty, "row", "rows");
        let message = format!(
            "column `{column}` is empty in {rows}, here first; `--drop-missing` leaves rows without an id out"
        );
        Some(Error::format_at(path, *line, message))
    }

    /// What is to be said of words that were taken as ids.
    pub(crate) fn notes<'a>(&'a self, column: &'a str) -> impl Iterator<Item = String> + 'a {
        self.words.iter().map(move |(word, count)| {
            let rows = counted(*count, "row has", "rows have");
            format!(
                "{rows} `{word}` in column `{column}`, which is taken as an id; if it means that there is none, \
                 `--drop-missing` leaves such rows out"
            )
        })
    }

    /// What was dropped.
    pub(crate) fn dropped(&self, column: &str) -> Option<Dropped> {
        let count = self.empty + self.words.values().sum::<u64>();
        let mut found: Vec<String> = self.words.keys().map(|word| format!("`{word}`")).collect();
        if self.empty > 0 {
            found.insert(0, "empty".into());
        }
        let why = format!("column `{column}` is {}", found.join(" or "));
        (count > 0).then(|| Dropped { count, what: "interactions".into(), why })
    }
}

/// Rows of a catalogue or of features, or pictures, without an id.
#[derive(Debug, Default)]
pub(crate) struct Without(BTreeMap<String, u64>);

impl Without {
    /// Counts `id` if it is empty or a word for nothing. True if it is to be left out.
    pub(crate) fn check(&mut self, id: &str) -> bool {
        let id = clean(id);
        if !is_nothing(id) {
            return false;
        }
        *self.0.entry(id.to_string()).or_default() += 1;
        true
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u64 {
        self.0.values().sum()
    }

    /// What is to be said of them, where there are some.
    pub(crate) fn note(&self) -> Option<String> {
        let rows = counted(self.count(), "row has", "rows have");
        let found = self.0.iter().map(|(word, count)| match word.as_str() {
            "" => format!("{count} empty"),
            word => format!("{count} `{word}`"),
        });
        let found: Vec<String> = found.collect();
        (!found.is_empty()).then(|| format!("{rows} no item id ({}): left out", found.join(", ")))
    }
}

/// The error of a cell that is needed and empty or unreadable.
pub(crate) fn unreadable(place: &Place<'_>, column: &str, text: &str, expected: &str) -> Error {
    let found = if text.is_empty() { "empty".into() } else { format!("`{text}`") };
    let way = if is_nothing(text) { "; `--drop-missing` leaves such rows out" } else { "" };
    place.error(format!("column `{column}` is {found}; {expected}{way}"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn what_belongs_to_no_item_is_left_out() {
        let mut without = Without::default();
        assert_eq!(without.note(), None);
        let left_out = ["a", " ", "nan", "0", "nan ", "\\N", ""].map(|id| without.check(id));
        assert_eq!(left_out, [false, true, true, false, true, true, true]);
        assert_eq!(without.note().unwrap(), "5 rows have no item id (2 empty, 1 `\\N`, 2 `nan`): left out");
    }

    #[test]
    fn rows_without_an_id_are_counted_by_what_stands_there() {
        let place = |line| Place { path: Path::new("log.csv"), line };
        for drop in [false, true] {
            let mut missing = Missing::default();
            let left_out: Vec<bool> = ["a", "", "NULL", "", "nan", "NULL"]
                .iter()
                .zip(2..)
                .map(|(id, line)| missing.check(id, &place(line), drop))
                .collect();
            assert_eq!(left_out, [false, true, drop, true, drop, drop]);
            let text = missing.error("who").unwrap().to_string();
            assert!(text.starts_with("log.csv:3: column `who` is empty in 2 rows"), "{text}");
            let dropped = missing.dropped("who").unwrap();
            assert_eq!((dropped.count, &*dropped.why), (5, "column `who` is empty or `NULL` or `nan`"));
            assert!(missing.notes("who").next().unwrap().starts_with("2 rows have `NULL`"));
        }
    }
}
