//! Standard output: text, tables and JSON.

use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

use crate::failure::{Failure, Outcome};
use crate::terminal::printable;

/// Writes `text` and a line end to standard output.
pub(crate) fn line(text: impl AsRef<str>) -> Outcome {
    write(&format!("{}\n", text.as_ref()))
}

/// Writes `value` as indented JSON and a line end to standard output.
pub(crate) fn json(value: &impl Serialize) -> Outcome {
    let text = serde_json::to_string_pretty(value).map_err(|e| Failure::Failed(format!("JSON: {e}")))?;
    line(text)
}

/// Writes `text` as it is to standard output.
pub(crate) fn write(text: &str) -> Outcome {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|e| match e.kind() {
        io::ErrorKind::BrokenPipe => Failure::ReaderGone,
        _ => Failure::Failed(format!("standard output: {e}")),
    })
}

/// Writes a file so that it is there whole or not at all.
pub(crate) fn whole_file(path: &Path, bytes: &[u8]) -> Outcome {
    Ok(alike::disk::write_atomic(path, bytes)?)
}

/// A table of text: the first row is the head; columns that hold only numbers are aligned to the right.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with this head.
    pub(crate) fn new(head: &[&str]) -> Self {
        Self { rows: vec![head.iter().map(|h| (*h).to_string()).collect()] }
    }

    /// Adds a row. Names and titles come from files of others: what would move the cursor or talk to the
    /// terminal is blank.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells.into_iter().map(|c| printable(&c)).collect());
    }

    /// The table as lines of text.
    pub(crate) fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let cell = |row: &Vec<String>, c: usize| row.get(c).cloned().unwrap_or_default();
        let width = |text: &str| text.chars().count();
        let widths: Vec<usize> =
            (0..columns).map(|c| self.rows.iter().map(|r| width(&cell(r, c))).max().unwrap_or(0)).collect();
        let numeric: Vec<bool> = (0..columns)
            .map(|c| self.rows.len() > 1 && self.rows[1..].iter().all(|r| is_number(&cell(r, c))))
            .collect();
        let mut text = String::new();
        for (r, row) in self.rows.iter().enumerate() {
            let mut out = String::new();
            for c in 0..columns {
                let value = cell(row, c);
                let pad = " ".repeat(widths[c] - width(&value));
                let gap = if c == 0 { "" } else { "  " };
                out += &if numeric[c] { format!("{gap}{pad}{value}") } else { format!("{gap}{value}{pad}") };
            }
            text += out.trim_end();
            text.push('\n');
            if r == 0 {
                let total = widths.iter().sum::<usize>() + 2 * columns.saturating_sub(1);
                text += &"─".repeat(total);
                text.push('\n');
            }
        }
        text
    }
}

fn is_number(text: &str) -> bool {
    let text = text.trim_end_matches(['*', '%', 's']).replace(',', "");
    text == "–" || text.trim().parse::<f64>().is_ok()
}

/// An integer with commas between groups of three digits.
pub(crate) fn grouped(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Seconds as people say them.
pub(crate) fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 10.0 => format!("{s:.1} s"),
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min {:02.0} s", (s / 60.0).floor(), (s % 60.0).floor()),
        s => format!("{:.0} h {:02.0} min", (s / 3600.0).floor(), (s % 3600.0 / 60.0).floor()),
    }
}

/// Bytes in binary units.
pub(crate) fn bytes(n: u64) -> String {
    let mut value = n as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return if unit == "B" { format!("{n} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_align_numbers_to_the_right() {
        let mut table = Table::new(&["model", "recall@20"]);
        table.row(vec!["nsmar+".into(), "0.1".into()]);
        table.row(vec!["bpr".into(), "10.25".into()]);
        assert_eq!(
            table.render(),
            "model   recall@20\n─────────────────\nnsmar+        0.1\nbpr         10.25\n"
        );
    }

    #[test]
    fn amounts_are_readable() {
        assert_eq!(
            (grouped(7), grouped(1234), grouped(1_234_567)),
            ("7".into(), "1,234".into(), "1,234,567".into())
        );
        assert_eq!((duration(3.21), duration(61.0)), ("3.2 s".into(), "61 s".into()));
        assert_eq!((duration(185.9), duration(7260.0)), ("3 min 05 s".into(), "2 h 01 min".into()));
        assert_eq!(
            (bytes(12), bytes(1536), bytes(3 << 30)),
            ("12 B".into(), "1.5 KiB".into(), "3.0 GiB".into())
        );
    }
}
