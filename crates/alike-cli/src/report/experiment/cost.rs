//! The table of what the final runs took.

use alike::experiment::{DataOutcome, EntryOutcome, RunOutcome, Usage};
use maud::{Markup, html};

use super::tables::{self, NONE, mean_over_runs};
use crate::output::{bytes, duration, grouped};

const HEAD: [&str; 8] =
    ["Model", "Parameters", "Epochs", "An epoch", "An evaluation", "In all", "Peak memory", "Threads"];

/// Time, memory and size of the models of a data set.
pub(super) fn table(set: &DataOutcome) -> Markup {
    let with: Vec<(&EntryOutcome, &RunOutcome)> =
        set.entries.iter().filter_map(|e| Some((e, e.runs.first()?))).collect();
    if with.is_empty() {
        return Markup::default();
    }
    let rows = html! {
        @for (entry, first) in with {
            tr {
                th scope="row" { (entry.name) }
                td { (grouped(first.summary.parameters)) }
                @for cell in means(entry) { td { (cell.as_deref().unwrap_or(NONE)) } }
                td { (first.usage.map(threads).as_deref().unwrap_or(NONE)) }
            }
        }
    };
    tables::table(&set.name, HEAD, &rows)
}

/// Epochs, seconds of an epoch, of an evaluation and in all, and memory.
fn means(entry: &EntryOutcome) -> [Option<String>; 5] {
    let epochs = |r: &RunOutcome| (r.summary.epochs > 0).then_some(r.summary.epochs as f64);
    let memory = |r: &RunOutcome| r.usage.map(|u| u.peak_memory_bytes as f64);
    [
        mean_over_runs(entry, epochs).map(|v| format!("{v:.0}")),
        mean_over_runs(entry, |r| r.seconds.map(|s| s.0)).map(seconds),
        mean_over_runs(entry, |r| r.seconds.map(|s| s.1)).map(seconds),
        mean_over_runs(entry, |r| Some(r.summary.seconds)).map(duration),
        mean_over_runs(entry, memory).map(|v| bytes(v as u64)),
    ]
}

fn threads(usage: Usage) -> String {
    match usage.jobs {
        0 | 1 => usage.threads.to_string(),
        jobs => format!("{}, {jobs} runs at a time", usage.threads),
    }
}

fn seconds(value: f64) -> String {
    if value < 1.0 { format!("{value:.3} s") } else { duration(value) }
}
