//! Recommendations of all users as a file: CSV, JSON lines or Parquet, as its ending says.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::sync::Arc;

use alike::disk;
use alike::recommend::{Reason, Recommender};
use alike::rules::{catalogue_values, limited};
use alike::run::Run;
use arrow_array::builder::StringBuilder;
use arrow_array::{ArrayRef, Float32Array, RecordBatch, StringArray, UInt32Array};
use arrow_schema::{ArrowError, DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::destination::{OutputKind, ending};
use crate::failure::Outcome;

/// Users ranked and written at a time.
const BLOCK: u32 = 8192;
/// First line of a CSV file, but for columns that were asked for.
const HEAD: &str = "user,rank,item,score";
/// Columns that can be asked for, in their order.
const MORE: [&str; 3] = ["model", "time", "reasons"];
/// Reasons of an item.
const REASONS: usize = 3;
/// How many times longer a list is made from which limits choose.
const CHOICE: usize = 8;
/// Maximum of bytes of a line that is looked at to know a file of ours.
const LINE: u64 = 1 << 26;

/// The files that are written here, known by their head.
pub(crate) const FILE: OutputKind =
    OutputKind { endings: &["csv", "jsonl", "parquet"], name: "a file of recommendations", is_ours };

/// A line of a JSON lines file: a user, and the list, which is empty where nothing is left to recommend.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    user: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    items: Vec<ListedItem>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListedItem {
    rank: usize,
    item: String,
    score: f32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reasons: Option<Vec<String>>,
}

/// How lists are chosen, and what is said beside them.
#[derive(Debug, Default)]
pub(crate) struct ListFile {
    /// Items per user.
    pub(crate) top: usize,
    /// Attributes of which a list may hold so many items with the same value.
    pub(crate) limits: Vec<(String, usize)>,
    /// What made them, where that is to be said.
    pub(crate) model: Option<String>,
    /// When, where that is to be said.
    pub(crate) time: Option<String>,
    /// Whether each item has its reasons: the items of the history that carry it.
    pub(crate) reasons: bool,
}

impl ListFile {
    /// Columns beside the four that are always there.
    fn more(&self) -> impl Iterator<Item = &'static str> {
        let wanted = [self.model.is_some(), self.time.is_some(), self.reasons];
        MORE.into_iter().zip(wanted).filter(|(_, wanted)| *wanted).map(|(name, _)| name)
    }

    fn schema(&self) -> Arc<Schema> {
        let fixed = [("user", DataType::Utf8), ("rank", DataType::UInt32), ("item", DataType::Utf8)];
        let all = fixed.into_iter().chain([("score", DataType::Float32)]);
        let all = all.chain(self.more().map(|name| (name, DataType::Utf8)));
        Arc::new(Schema::new(all.map(|(name, kind)| Field::new(name, kind, false)).collect::<Vec<_>>()))
    }
}

/// What was written.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct ListsWritten {
    /// Recommended items, all users together.
    pub(crate) rows: usize,
    /// Users for whom nothing is left to recommend.
    pub(crate) without: usize,
}

/// Writes the items of every user to `place`, users in order, ranks from 1. The file appears when it is
/// complete; errors name it as `shown`.
pub(crate) fn write(
    place: &Path,
    shown: &Path,
    run: &Run,
    reasons: Option<&Recommender>,
    how: &ListFile,
) -> Outcome<ListsWritten> {
    let written = disk::write_atomic_with(place, |file| fill(place, file, (run, reasons), how));
    Ok(written.map_err(|e| e.at_path(shown))?)
}

fn fill(
    place: &Path,
    file: &mut (dyn Write + Send),
    (run, reasons): (&Run, Option<&Recommender>),
    how: &ListFile,
) -> io::Result<ListsWritten> {
    let mut sink = Sink::new(place, BufWriter::new(file), how)?;
    let users = run.data.users.len() as u32;
    let length = if how.limits.is_empty() { how.top } else { how.top.saturating_mul(CHOICE).max(200) };
    let mut written = ListsWritten::default();
    for first in (0..users).step_by(BLOCK as usize) {
        let block = run.recommend_block(first..(first + BLOCK).min(users), length);
        let one = |row: usize| OneList::new(run, how, first + row as u32, block.pairs(row).collect());
        let lists = (0..block.rows()).into_par_iter().map(one);
        let lists: alike::Result<Vec<OneList>> = match reasons {
            Some(recommender) => lists.map(|list| list.with_reasons(recommender)).collect(),
            None => lists.map(Ok).collect(),
        };
        let lists = lists.map_err(io::Error::other)?;
        for list in &lists {
            written.rows += list.items.len();
            written.without += usize::from(list.items.is_empty());
        }
        sink.write(&lists, how)?;
    }
    sink.finish()?;
    Ok(written)
}

/// The list of a user.
struct OneList<'a> {
    run: &'a Run,
    user: u32,
    items: Vec<(u32, f32)>,
    /// Ids of the items that carry each, where they are wanted.
    reasons: Vec<Vec<String>>,
}

impl<'a> OneList<'a> {
    fn new(run: &'a Run, how: &ListFile, user: u32, list: Vec<(u32, f32)>) -> Self {
        let limits: Vec<(&str, usize)> = how.limits.iter().map(|(key, most)| (key.as_str(), *most)).collect();
        let values = |item: u32, key: &str| catalogue_values(&run.data.catalogue, item, key);
        let items = limited(&list, &limits, how.top, &values);
        Self { run, user, items, reasons: Vec::new() }
    }

    fn with_reasons(mut self, recommender: &Recommender) -> alike::Result<Self> {
        let items: Vec<u32> = self.items.iter().map(|l| l.0).collect();
        if !items.is_empty() {
            let why = recommender.reasons(&recommender.history_of(self.user), &items, REASONS)?;
            let named = |r: &Reason| self.run.data.items.name(r.item).to_string();
            self.reasons = why.iter().map(|why| why.iter().map(named).collect()).collect();
        }
        Ok(self)
    }

    fn user(&self) -> &'a str {
        self.run.data.users.name(self.user)
    }

    /// The items by their ids.
    fn named(&self) -> impl Iterator<Item = (&'a str, f32)> {
        self.items.iter().map(|&(item, score)| (self.run.data.items.name(item), score))
    }
}

/// One row per recommended item.
fn rows(lists: &[OneList<'_>], how: &ListFile) -> Result<RecordBatch, ArrowError> {
    let (mut users, mut names) = (StringBuilder::new(), StringBuilder::new());
    let (mut ranks, mut kept, mut why) = (Vec::new(), Vec::new(), StringBuilder::new());
    for list in lists {
        for (rank, (item, score)) in (1..).zip(list.named()) {
            users.append_value(list.user());
            ranks.push(rank);
            names.append_value(item);
            kept.push(score);
            if let Some(reasons) = list.reasons.get(rank as usize - 1) {
                why.append_value(serde_json::to_string(reasons).expect("texts are JSON"));
            }
        }
    }
    let same = |text: &String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(ranks.iter().map(|_: &u32| text)))
    };
    let more = [how.model.as_ref().map(same), how.time.as_ref().map(same)];
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(users.finish()),
        Arc::new(UInt32Array::from(ranks.clone())),
        Arc::new(names.finish()),
        Arc::new(Float32Array::from(kept)),
    ];
    columns.extend(more.into_iter().flatten());
    if how.reasons {
        columns.push(Arc::new(why.finish()));
    }
    RecordBatch::try_new(how.schema(), columns)
}

/// Where to write.
type Out<'a> = BufWriter<&'a mut (dyn Write + Send)>;

/// A file under construction.
enum Sink<'a> {
    Csv(Box<arrow_csv::Writer<Out<'a>>>),
    JsonLines(Out<'a>),
    Parquet(Box<ArrowWriter<Out<'a>>>),
}

impl<'a> Sink<'a> {
    fn new(place: &Path, file: Out<'a>, how: &ListFile) -> io::Result<Self> {
        Ok(match &*ending(place) {
            "csv" => {
                let mut writer = arrow_csv::WriterBuilder::new().with_header(true).build(file);
                // The head is written also where nothing follows.
                writer.write(&RecordBatch::new_empty(how.schema())).map_err(of_arrow)?;
                Self::Csv(Box::new(writer))
            }
            "jsonl" => Self::JsonLines(file),
            _ => {
                let zstd = Compression::ZSTD(ZstdLevel::default());
                let properties = WriterProperties::builder().set_compression(zstd).build();
                let writer =
                    ArrowWriter::try_new(file, how.schema(), Some(properties)).map_err(of_parquet)?;
                Self::Parquet(Box::new(writer))
            }
        })
    }

    fn write(&mut self, lists: &[OneList<'_>], how: &ListFile) -> io::Result<()> {
        match self {
            Self::Csv(writer) => writer.write(&rows(lists, how).map_err(of_arrow)?).map_err(of_arrow),
            Self::Parquet(writer) => writer.write(&rows(lists, how).map_err(of_arrow)?).map_err(of_parquet),
            Self::JsonLines(file) => {
                for list in lists {
                    let place = |(at, (item, score)): (usize, (&str, f32))| ListedItem {
                        rank: at + 1,
                        item: item.to_string(),
                        score,
                        reasons: list.reasons.get(at).cloned(),
                    };
                    let items = list.named().enumerate().map(place).collect();
                    let (user, model, time) = (list.user().to_string(), how.model.clone(), how.time.clone());
                    serde_json::to_writer(&mut *file, &Line { user, model, time, items })?;
                    file.write_all(b"\n")?;
                }
                Ok(())
            }
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Self::Csv(writer) => writer.into_inner().flush(),
            Self::JsonLines(mut file) => file.flush(),
            Self::Parquet(writer) => writer.into_inner().map_err(of_parquet)?.flush(),
        }
    }
}

/// What the system said, where it was the system.
fn of_arrow(error: ArrowError) -> io::Error {
    match error {
        ArrowError::IoError(_, error) => error,
        ArrowError::CsvError(said) => io::Error::other(said),
        other => io::Error::other(other),
    }
}

fn of_parquet(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(other) => io::Error::other(other),
        },
        other => io::Error::other(other),
    }
}

/// Whether the file at `path` is one that was written here.
fn is_ours(path: &Path) -> bool {
    let Ok(file) = File::open(path) else { return false };
    match &*ending(path) {
        "parquet" => ArrowReaderMetadata::load(&file, Default::default()).is_ok_and(|found| {
            let columns = |s: &Schema| -> Vec<(String, DataType)> {
                s.fields().iter().map(|f| (f.name().clone(), f.data_type().clone())).collect()
            };
            let (found, fixed) = (columns(found.schema()), columns(&ListFile::default().schema()));
            let more = |(name, kind): &(String, DataType)| MORE.contains(&&**name) && *kind == DataType::Utf8;
            found.starts_with(&fixed) && found[fixed.len()..].iter().all(more)
        }),
        kind => {
            let mut lines = BufReader::new(file.take(LINE)).split(b'\n').map(|line| line.unwrap_or_default());
            let first = lines.next().unwrap_or_default();
            match kind {
                "csv" => is_head(first.trim_ascii_end()) && lines.next().is_none_or(|l| is_best(&l)),
                _ => serde_json::from_slice::<Line>(first.trim_ascii_end()).is_ok(),
            }
        }
    }
}

/// Whether a line of CSV names the columns.
fn is_head(line: &[u8]) -> bool {
    let more = std::str::from_utf8(line).ok().and_then(|line| line.strip_prefix(HEAD));
    more.is_some_and(|more| {
        more.is_empty() || more.starts_with(',') && more[1..].split(',').all(|c| MORE.contains(&c))
    })
}

/// Whether a line of CSV can be the first place of a list: it has rank 1 and a number.
fn is_best(line: &[u8]) -> bool {
    let line = String::from_utf8_lossy(line);
    line.contains(",1,") && line.trim_end().split(',').any(|part| part.parse::<f32>().is_ok())
}
