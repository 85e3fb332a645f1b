//! Recommendations of all users as a file: CSV, JSON lines or Parquet, as its ending says.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::sync::Arc;

use alike::disk;
use alike::run::Run;
use alike_ops::TopK;
use arrow_array::builder::StringBuilder;
use arrow_array::{ArrayRef, Float32Array, RecordBatch, UInt32Array};
use arrow_schema::{ArrowError, DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use serde::{Deserialize, Serialize};

use crate::destination::{OutputKind, ending};
use crate::failure::Outcome;

/// Users ranked and written at a time.
const BLOCK: u32 = 8192;
/// First line of a CSV file.
const HEAD: &str = "user,rank,item,score";
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
    items: Vec<ListedItem>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListedItem {
    rank: usize,
    item: String,
    score: f32,
}

/// What was written.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct ListsWritten {
    /// Recommended items, all users together.
    pub(crate) rows: usize,
    /// Users for whom nothing is left to recommend.
    pub(crate) without: usize,
}

/// Writes the `top` items of every user to `place`, users in order, ranks from 1. The file appears when it is
/// complete; errors name it as `shown`.
pub(crate) fn write(place: &Path, shown: &Path, run: &Run, top: usize) -> Outcome<ListsWritten> {
    let written = disk::write_atomic_with(place, |file| fill(place, file, run, top));
    Ok(written.map_err(|e| e.at_path(shown))?)
}

fn fill(place: &Path, file: &mut (dyn Write + Send), run: &Run, top: usize) -> io::Result<ListsWritten> {
    let mut sink = Sink::new(place, BufWriter::new(file))?;
    let users = run.data.users.len() as u32;
    let mut written = ListsWritten::default();
    for first in (0..users).step_by(BLOCK as usize) {
        let lists = run.recommend_block(first..(first + BLOCK).min(users), top);
        let all = Lists { run, first, top: &lists };
        for list in all.iter() {
            written.rows += list.1.len();
            written.without += usize::from(list.1.is_empty());
        }
        sink.write(&all)?;
    }
    sink.finish()?;
    Ok(written)
}

/// Lists of consecutive users.
struct Lists<'a> {
    run: &'a Run,
    first: u32,
    top: &'a TopK,
}

impl Lists<'_> {
    /// Users and their lists.
    fn iter(&self) -> impl Iterator<Item = (&str, Vec<(&str, f32)>)> {
        (0..self.top.rows()).map(|row| {
            let named = self.top.pairs(row).map(|(i, score)| (self.run.data.items.name(i), score));
            (self.run.data.users.name(self.first + row as u32), named.collect())
        })
    }

    /// One row a recommended item.
    fn rows(&self) -> Result<RecordBatch, ArrowError> {
        let (mut users, mut names) = (StringBuilder::new(), StringBuilder::new());
        let (mut ranks, mut kept) = (Vec::new(), Vec::new());
        for (user, list) in self.iter() {
            for (rank, (item, score)) in (1..).zip(list) {
                users.append_value(user);
                ranks.push(rank);
                names.append_value(item);
                kept.push(score);
            }
        }
        let columns: Vec<ArrayRef> = vec![
            Arc::new(users.finish()),
            Arc::new(UInt32Array::from(ranks)),
            Arc::new(names.finish()),
            Arc::new(Float32Array::from(kept)),
        ];
        RecordBatch::try_new(schema(), columns)
    }
}

fn schema() -> Arc<Schema> {
    Arc::new(Schema::new(vec![
        Field::new("user", DataType::Utf8, false),
        Field::new("rank", DataType::UInt32, false),
        Field::new("item", DataType::Utf8, false),
        Field::new("score", DataType::Float32, false),
    ]))
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
    fn new(place: &Path, file: Out<'a>) -> io::Result<Self> {
        Ok(match &*ending(place) {
            "csv" => {
                let mut writer = arrow_csv::WriterBuilder::new().with_header(true).build(file);
                // The head is written also where nothing follows.
                writer.write(&RecordBatch::new_empty(schema())).map_err(of_arrow)?;
                Self::Csv(Box::new(writer))
            }
            "jsonl" => Self::JsonLines(file),
            _ => {
                let zstd = Compression::ZSTD(ZstdLevel::default());
                let properties = WriterProperties::builder().set_compression(zstd).build();
                let writer = ArrowWriter::try_new(file, schema(), Some(properties)).map_err(of_parquet)?;
                Self::Parquet(Box::new(writer))
            }
        })
    }

    fn write(&mut self, lists: &Lists<'_>) -> io::Result<()> {
        match self {
            Self::Csv(writer) => writer.write(&lists.rows().map_err(of_arrow)?).map_err(of_arrow),
            Self::Parquet(writer) => writer.write(&lists.rows().map_err(of_arrow)?).map_err(of_parquet),
            Self::JsonLines(file) => {
                for (user, list) in lists.iter() {
                    let place = |(rank, (item, score)): (usize, (&str, f32))| ListedItem {
                        rank,
                        item: item.to_string(),
                        score,
                    };
                    let items = (1..).zip(list).map(place).collect();
                    serde_json::to_writer(&mut *file, &Line { user: user.to_string(), items })?;
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
            columns(found.schema()) == columns(&schema())
        }),
        kind => {
            let mut lines = BufReader::new(file.take(LINE)).split(b'\n').map(|line| line.unwrap_or_default());
            let first = lines.next().unwrap_or_default();
            match kind {
                "csv" => {
                    first.trim_ascii_end() == HEAD.as_bytes() && lines.next().is_none_or(|l| is_best(&l))
                }
                _ => serde_json::from_slice::<Line>(first.trim_ascii_end()).is_ok(),
            }
        }
    }
}

/// Whether a line of CSV is the first place of a list: anything, rank 1, an item, a score.
fn is_best(line: &[u8]) -> bool {
    let line = String::from_utf8_lossy(line);
    let score = line.trim_end().rsplit(',').next().and_then(|score| score.parse::<f32>().ok());
    score.is_some() && line.contains(",1,")
}
