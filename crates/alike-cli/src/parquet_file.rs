//! Recommendations of all users as a Parquet file: user, rank, item, score.

use std::io;
use std::path::Path;
use std::sync::Arc;

use alike_ops::TopK;
use arrow::array::{ArrayRef, Float32Array, RecordBatch, StringBuilder, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use crate::failure::{Failure, Outcome};

/// Users written at a time.
const BLOCK: usize = 8192;

/// Writes one row for each recommended item, users in order, ranks from 1. The file appears only when it is
/// complete. Returns the number of rows.
pub(crate) fn write<'a>(
    path: &Path,
    top: &TopK,
    user: impl Fn(u32) -> &'a str,
    item: impl Fn(u32) -> &'a str,
) -> Outcome<usize> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let at_path = |e: io::Error| Failure::io(path, &e);
    let mut file = tempfile::Builder::new()
        .prefix(".recommendations-")
        .suffix(".tmp")
        .tempfile_in(folder)
        .map_err(at_path)?;
    let rows = rows(file.as_file_mut(), top, user, item)
        .map_err(|e| Failure::Failed(format!("{}: {e}", path.display())))?;
    file.as_file().sync_all().map_err(at_path)?;
    let file = file.persist(path).map_err(|e| at_path(e.error))?;
    readable(&file).map_err(at_path)?;
    Ok(rows)
}

/// Temporary files are for their owner only; a result is for whoever may read the folder.
#[cfg(unix)]
fn readable(file: &std::fs::File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn readable(_: &std::fs::File) -> io::Result<()> {
    Ok(())
}

fn rows<'a>(
    sink: impl io::Write + Send,
    top: &TopK,
    user: impl Fn(u32) -> &'a str,
    item: impl Fn(u32) -> &'a str,
) -> Result<usize, ParquetError> {
    let schema = Arc::new(Schema::new(vec![
        Field::new("user", DataType::Utf8, false),
        Field::new("rank", DataType::UInt32, false),
        Field::new("item", DataType::Utf8, false),
        Field::new("score", DataType::Float32, false),
    ]));
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default()));
    let mut writer = ArrowWriter::try_new(sink, schema.clone(), Some(properties.build()))?;
    let k = top.k.max(1);
    let mut total = 0;
    for (block, (items, scores)) in top.items.chunks(BLOCK * k).zip(top.scores.chunks(BLOCK * k)).enumerate()
    {
        let (mut users, mut names) = (StringBuilder::new(), StringBuilder::new());
        let (mut ranks, mut kept) = (Vec::new(), Vec::new());
        for (at, (&i, &score)) in items.iter().zip(scores).enumerate().filter(|(_, (i, _))| **i != u32::MAX) {
            users.append_value(user((block * BLOCK + at / k) as u32));
            ranks.push((at % k) as u32 + 1);
            names.append_value(item(i));
            kept.push(score);
        }
        total += ranks.len();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(users.finish()),
            Arc::new(UInt32Array::from(ranks)),
            Arc::new(names.finish()),
            Arc::new(Float32Array::from(kept)),
        ];
        writer.write(&RecordBatch::try_new(schema.clone(), columns)?)?;
    }
    writer.close()?;
    Ok(total)
}
