//! Parquet: tables as text, cell by cell.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::ColumnChunkMetaData;

use crate::data::formats::parquet_depth;
use crate::data::formats::table::{Choose, Place, Visit};
use crate::disk::source::File;
use crate::{Error, Result};

const BATCH: usize = 8192;

pub(crate) fn bad(path: &Path, error: impl std::fmt::Display) -> Error {
    // Some messages of the reader have several lines; the first says what is wrong.
    let text = error.to_string();
    Error::format(path, format!("bad Parquet: {}", text.lines().next().unwrap_or_default()))
}

/// Opens the file for the columns that `choose` picks from the schema.
pub(crate) fn reader<T>(
    path: &Path,
    mut file: File,
    choose: impl FnOnce(&Schema) -> Result<(T, Vec<usize>)>,
) -> Result<(T, ParquetRecordBatchReader)> {
    parquet_depth::check(path, &mut file)?;
    let builder = guarded(path, || ParquetRecordBatchReaderBuilder::try_new(file))?;
    let columns = builder.metadata().row_groups().iter().flat_map(|g| g.columns());
    let negative = |c: &ColumnChunkMetaData| {
        c.compressed_size() < 0
            || c.data_page_offset() < 0
            || c.dictionary_page_offset().is_some_and(|o| o < 0)
    };
    if columns.into_iter().any(negative) {
        return Err(bad(path, "a column has a negative place or size"));
    }
    let (chosen, roots) = choose(builder.schema())?;
    let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
    let reader = guarded(path, || builder.with_projection(mask).with_batch_size(BATCH).build())?;
    Ok((chosen, reader))
}

/// Runs a step of the Parquet reader, which panics on some damaged files, and makes that an error too.
fn guarded<T, E: std::fmt::Display>(path: &Path, step: impl FnOnce() -> Result<T, E>) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(step)) {
        Ok(result) => result.map_err(|e| bad(path, e)),
        Err(_) => Err(bad(path, "the file is damaged")),
    }
}

/// The next batch of rows.
pub(crate) fn next(path: &Path, batches: &mut ParquetRecordBatchReader) -> Result<Option<RecordBatch>> {
    guarded(path, || batches.next().transpose())
}

pub(crate) fn names_of(schema: &Schema) -> Vec<String> {
    schema.fields().iter().map(|f| f.name().clone()).collect()
}

pub(crate) fn column_of<'a>(path: &Path, batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    batch.column_by_name(name).ok_or_else(|| bad(path, format!("column `{name}` cannot be read")))
}

/// Reads the rows of a table, see [`crate::data::formats::table::read_rows`].
pub(crate) fn read(path: &Path, file: File, choose: Choose<'_>, visit: Visit<'_>) -> Result<()> {
    let (names, mut batches) = reader(path, file, |schema| {
        let found = names_of(schema);
        let roots = choose(&found)?;
        Ok((roots.iter().map(|&at| found[at].clone()).collect::<Vec<_>>(), roots))
    })?;
    let mut line = 0;
    while let Some(batch) = next(path, &mut batches)? {
        let columns = names.iter().map(|name| cells(path, name, column_of(path, &batch, name)?));
        let columns = columns.collect::<Result<Vec<StringArray>>>()?;
        for r in 0..batch.num_rows() {
            line += 1;
            let cell = |c: &'_ StringArray| if c.is_null(r) { None } else { Some(r) };
            let row: Vec<&str> = columns.iter().map(|c| cell(c).map_or("", |r| c.value(r))).collect();
            visit(&Place { path, line }, &row)?;
        }
    }
    Ok(())
}

/// A column as text; null where there is nothing. Times become the numbers that are stored, whole numbers are written
/// without a fraction whatever type holds them, the entries of a list are joined.
pub(crate) fn cells(path: &Path, name: &str, column: &ArrayRef) -> Result<StringArray> {
    let text = |column: &ArrayRef| -> Result<StringArray> {
        let other = |_| {
            let message =
                format!("column `{name}` holds {}; text or numbers are expected", column.data_type());
            Error::format(path, message)
        };
        Ok(cast(column, &DataType::Utf8).map_err(other)?.as_string::<i32>().clone())
    };
    match column.data_type() {
        DataType::Dictionary(_, values) => {
            cells(path, name, &cast(column, values).map_err(|e| bad(path, e))?)
        }
        DataType::Timestamp(..) | DataType::Date64 => {
            text(&cast(column, &DataType::Int64).map_err(|e| bad(path, e))?)
        }
        DataType::Date32 => text(&cast(column, &DataType::Int32).map_err(|e| bad(path, e))?),
        DataType::Float16 | DataType::Float32 | DataType::Float64 => {
            let wide = cast(column, &DataType::Float64).map_err(|e| bad(path, e))?;
            // A float that is a whole number in this range is written exactly.
            let plain = |v: f64| match v.fract() == 0.0 && v.abs() < 9e15 {
                true => (v as i64).to_string(),
                false => v.to_string(),
            };
            let values = wide.as_primitive::<Float64Type>().iter();
            Ok(values.map(|v| v.filter(|v| !v.is_nan()).map(plain)).collect())
        }
        kind if kind.is_decimal() => {
            let plain = |v: &str| match v.contains('.') {
                true => v.trim_end_matches('0').trim_end_matches('.').to_string(),
                false => v.to_string(),
            };
            Ok(text(column)?.iter().map(|v| v.map(plain)).collect())
        }
        DataType::FixedSizeBinary(_) => {
            cells(path, name, &cast(column, &DataType::Binary).map_err(|e| bad(path, e))?)
        }
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
            let read = text(column)?;
            match read.null_count() > column.null_count() {
                true => {
                    Err(Error::format(path, format!("column `{name}` holds bytes that are not UTF-8 text")))
                }
                false => Ok(read),
            }
        }
        DataType::List(of) | DataType::LargeList(of) | DataType::FixedSizeList(of, _) => {
            let list = cast(column, &DataType::LargeList(Arc::clone(of))).map_err(|e| bad(path, e))?;
            let joined = |row: Option<ArrayRef>| -> Result<Option<String>> {
                let Some(row) = row else { return Ok(None) };
                let entries = cells(path, name, &row)?;
                Ok(Some(entries.iter().flatten().collect::<Vec<_>>().join(", ")))
            };
            let rows: Result<Vec<Option<String>>> = list.as_list::<i64>().iter().map(joined).collect();
            Ok(StringArray::from(rows?))
        }
        _ => text(column),
    }
}
