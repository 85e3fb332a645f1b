//! Every run of an experiment as one row, for pandas, Polars, R or a spreadsheet: CSV and Parquet with the
//! same columns.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use alike::experiment::{EntryOutcome, Outcome as Results, RunOutcome};
use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray, UInt64Array};
use arrow_schema::ArrowError;
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;

use crate::failure::{Failure, Outcome};
use crate::output;

/// One row: where a run belongs, and the run; a search's trial has no test scores.
struct Row<'a> {
    data: &'a str,
    entry: &'a EntryOutcome,
    phase: &'static str,
    study: String,
    settings: &'a toml::Table,
    seed: Option<u64>,
    epochs: u64,
    valid: Option<f64>,
    run: Option<&'a RunOutcome>,
}

/// Writes both files.
pub(crate) fn write(results: &Results, csv: &Path, parquet: &Path) -> Outcome {
    let batch = batch(results).map_err(|e| failed(csv, &e))?;
    let mut text = Vec::new();
    arrow_csv::WriterBuilder::new()
        .with_header(true)
        .build(&mut text)
        .write(&batch)
        .map_err(|e| failed(csv, &e))?;
    output::whole_file(csv, &text)?;
    let mut bytes = Vec::new();
    let write = |sink: &mut Vec<u8>| -> Result<(), ParquetError> {
        let mut writer = ArrowWriter::try_new(sink, batch.schema(), None)?;
        writer.write(&batch)?;
        writer.close().map(|_| ())
    };
    write(&mut bytes).map_err(|e| failed(parquet, &e))?;
    output::whole_file(parquet, &bytes)
}

fn failed(path: &Path, error: &dyn std::error::Error) -> Failure {
    Failure::Failed(format!("{}: {error}", path.display()))
}

fn rows(results: &Results) -> Vec<Row<'_>> {
    let mut rows = Vec::new();
    for set in &results.data {
        for entry in &set.entries {
            for trial in &entry.trials {
                rows.push(Row {
                    data: &set.name,
                    entry,
                    phase: "search",
                    study: String::new(),
                    settings: &trial.settings,
                    seed: None,
                    epochs: trial.epochs as u64,
                    valid: trial.valid,
                    run: None,
                });
            }
            rows.extend(entry.runs.iter().map(|run| of_run(&set.name, entry, "final", String::new(), run)));
        }
        for study in &set.studies {
            let Some(entry) = set.entries.iter().find(|e| e.name == study.base) else { continue };
            for run in study.points.iter().flat_map(|(_, runs)| runs) {
                rows.push(of_run(&set.name, entry, "study", study.title.clone(), run));
            }
        }
    }
    rows
}

fn of_run<'a>(
    data: &'a str,
    entry: &'a EntryOutcome,
    phase: &'static str,
    study: String,
    run: &'a RunOutcome,
) -> Row<'a> {
    Row {
        data,
        entry,
        phase,
        study,
        settings: &run.settings,
        seed: Some(run.seed),
        epochs: run.summary.epochs as u64,
        valid: Some(run.summary.valid.get("recall@20")),
        run: Some(run),
    }
}

fn batch(results: &Results) -> Result<RecordBatch, ArrowError> {
    let rows = rows(results);
    let text = |of: &dyn Fn(&Row<'_>) -> String| -> ArrayRef {
        Arc::new(rows.iter().map(|r| Some(of(r))).collect::<StringArray>())
    };
    let whole = |of: &dyn Fn(&Row<'_>) -> Option<u64>| -> ArrayRef {
        Arc::new(rows.iter().map(of).collect::<UInt64Array>())
    };
    let number = |of: &dyn Fn(&Row<'_>) -> Option<f64>| -> ArrayRef {
        Arc::new(rows.iter().map(of).collect::<Float64Array>())
    };
    let seconds = |r: &Row<'_>| r.run.and_then(|run| run.seconds);
    let mut columns: Vec<(String, ArrayRef)> = vec![
        ("data".into(), text(&|r| r.data.into())),
        ("name".into(), text(&|r| r.entry.name.clone())),
        ("model".into(), text(&|r| r.entry.model.clone())),
        ("phase".into(), text(&|r| r.phase.into())),
        ("study".into(), text(&|r| r.study.clone())),
        ("settings".into(), text(&|r| serde_json::to_string(r.settings).unwrap_or_default())),
        ("seed".into(), whole(&|r| r.seed)),
        ("epochs".into(), whole(&|r| Some(r.epochs))),
        ("best_epoch".into(), whole(&|r| Some(r.run?.summary.best_epoch as u64))),
        ("parameters".into(), whole(&|r| Some(r.run?.summary.parameters as u64))),
        ("seconds".into(), number(&|r| Some(r.run?.summary.seconds))),
        ("epoch_seconds".into(), number(&|r| seconds(r).map(|s| s.0))),
        ("evaluation_seconds".into(), number(&|r| seconds(r).map(|s| s.1))),
        ("peak_memory_bytes".into(), whole(&|r| Some(r.run?.usage?.peak_memory_bytes))),
        ("valid:recall@20".into(), number(&|r| r.valid)),
    ];
    let runs = || rows.iter().filter_map(|r| r.run);
    let names: BTreeSet<&String> = runs().flat_map(|r| r.scores.public.0.keys()).collect();
    for name in names {
        let value = |r: &Row<'_>| r.run.and_then(|run| run.scores.public.0.get(name).copied());
        columns.push((format!("test:{name}"), number(&value)));
    }
    let names: BTreeSet<&String> = runs().flat_map(|r| r.scores.clean.0.keys()).collect();
    for name in names {
        let value = |r: &Row<'_>| r.run.and_then(|run| run.scores.clean.0.get(name).copied());
        columns.push((format!("clean:{name}"), number(&value)));
    }
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)))
}
