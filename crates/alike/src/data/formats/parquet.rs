//! Parquet: tables as text, cell by cell.

use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow_cast::cast;
use arrow_schema::{DataType, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::basic::LogicalType;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::schema::types::SchemaDescriptor;

use crate::data::formats::foreign::PARQUET;
use crate::data::formats::row::{Choose, Place, Visit};
use crate::data::formats::{id_text, parquet_depth};
use crate::disk::source::File;
use crate::{Error, Result};

const BATCH: usize = 8192;

/// Opens the file for the columns that `choose` picks from the schema.
pub(crate) fn reader<T>(
    path: &Path,
    mut file: File,
    choose: impl FnOnce(&Schema) -> Result<(T, Vec<usize>)>,
) -> Result<(T, RecordBatches)> {
    parquet_depth::check(path, &mut file)?;
    let builder = PARQUET.guarded(path, || ParquetRecordBatchReaderBuilder::try_new(file))?;
    let columns = builder.metadata().row_groups().iter().flat_map(|g| g.columns());
    let negative = |c: &ColumnChunkMetaData| {
        c.compressed_size() < 0
            || c.data_page_offset() < 0
            || c.dictionary_page_offset().is_some_and(|o| o < 0)
    };
    if columns.into_iter().any(negative) {
        return Err(PARQUET.bad(path, "a column has a negative place or size"));
    }
    let (chosen, roots) = choose(builder.schema())?;
    let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
    let uuids = uuids_of(builder.parquet_schema());
    let rows = PARQUET.guarded(path, || builder.with_projection(mask).with_batch_size(BATCH).build())?;
    Ok((chosen, RecordBatches { rows, uuids }))
}

/// The rows of a file, some at a time.
pub(crate) struct RecordBatches {
    rows: ParquetRecordBatchReader,
    /// Columns of UUIDs, which Arrow takes for any bytes.
    uuids: Vec<String>,
}

/// Names of the columns that the file says hold UUIDs.
fn uuids_of(schema: &SchemaDescriptor) -> Vec<String> {
    let columns = schema.columns().iter();
    let uuids = columns
        .filter(|c| matches!(c.logical_type_ref(), Some(LogicalType::Uuid)) && c.path().parts().len() == 1);
    uuids.map(|c| c.name().to_string()).collect()
}

/// The next batch of rows, UUIDs as text.
pub(crate) fn next(path: &Path, batches: &mut RecordBatches) -> Result<Option<RecordBatch>> {
    let batch = PARQUET.guarded(path, || batches.rows.next().transpose())?;
    let Some(batch) = batch else { return Ok(None) };
    if batches.uuids.is_empty() {
        return Ok(Some(batch));
    }
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns()).map(|(field, column)| {
        let bytes = column.as_fixed_size_binary_opt().filter(|_| batches.uuids.contains(field.name()));
        let text = bytes.map(|bytes| bytes.iter().map(|b| b.map(uuid_text)).collect::<StringArray>());
        (field.name(), text.map_or_else(|| Arc::clone(column), |text| Arc::new(text) as ArrayRef))
    });
    RecordBatch::try_from_iter(columns).map(Some).map_err(|e| PARQUET.bad(path, e))
}

/// A UUID as it is usually written.
fn uuid_text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len() + 4);
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text += &format!("{byte:02x}");
    }
    text
}

pub(crate) fn names_of(schema: &Schema) -> Vec<String> {
    schema.fields().iter().map(|f| f.name().clone()).collect()
}

pub(crate) fn column_of<'a>(path: &Path, batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    batch.column_by_name(name).ok_or_else(|| PARQUET.bad(path, format!("column `{name}` cannot be read")))
}

/// Reads the rows of a table, see [`crate::data::formats::table::read_rows`]. The first `scalars` columns
/// that are chosen hold one value per row: ids.
pub(crate) fn read(
    path: &Path,
    file: File,
    scalars: usize,
    choose: Choose<'_>,
    visit: Visit<'_>,
) -> Result<()> {
    let (names, mut batches) = reader(path, file, |schema| {
        let found = names_of(schema);
        let roots = choose(&found)?;
        let list = |at: &&usize| schema.field(**at).data_type().is_list();
        if let Some(&at) = roots.iter().take(scalars).find(list) {
            let name = &found[at];
            return Err(Error::format(
                path,
                format!("column `{name}` holds lists; write a row for each entry (SQL: `unnest({name})`)"),
            ));
        }
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

/// A column as text; null where there is nothing. Times become the numbers that are stored, whole numbers are
/// written without a fraction whatever type holds them, the entries of a list are joined.
pub(crate) fn cells(path: &Path, name: &str, column: &ArrayRef) -> Result<StringArray> {
    let text = |column: &ArrayRef| -> Result<StringArray> {
        let other = |_| {
            let kind: String = column.data_type().to_string().chars().take(80).collect();
            let message = format!(
                "column `{name}` holds {kind}; text or numbers are expected: take one field out of it, or write it as text (SQL: \
                 `cast(COLUMN as varchar)`)"
            );
            Error::format(path, message)
        };
        Ok(cast(column, &DataType::Utf8).map_err(other)?.as_string::<i32>().clone())
    };
    match column.data_type() {
        DataType::Dictionary(_, values) => {
            cells(path, name, &cast(column, values).map_err(|e| PARQUET.bad(path, e))?)
        }
        DataType::Timestamp(..) | DataType::Date64 => {
            text(&cast(column, &DataType::Int64).map_err(|e| PARQUET.bad(path, e))?)
        }
        DataType::Date32 => text(&cast(column, &DataType::Int32).map_err(|e| PARQUET.bad(path, e))?),
        DataType::Float16 | DataType::Float32 | DataType::Float64 => {
            let wide = cast(column, &DataType::Float64).map_err(|e| PARQUET.bad(path, e))?;
            let values = wide.as_primitive::<Float64Type>().iter();
            Ok(values.map(|v| v.filter(|v| !v.is_nan()).map(id_text::number)).collect())
        }
        kind if kind.is_decimal() => {
            let plain = |v: &str| match v.contains('.') {
                true => v.trim_end_matches('0').trim_end_matches('.').to_string(),
                false => v.to_string(),
            };
            Ok(text(column)?.iter().map(|v| v.map(plain)).collect())
        }
        DataType::FixedSizeBinary(_) => {
            cells(path, name, &cast(column, &DataType::Binary).map_err(|e| PARQUET.bad(path, e))?)
        }
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
            let read = text(column)?;
            match read.null_count() > column.null_count() {
                true => Err(Error::format(
                    path,
                    format!(
                        "column `{name}` holds bytes that are not UTF-8 text; write them as text (Spark, DuckDB: \
                         `hex(COLUMN)`; pandas: `.map(bytes.hex)`)"
                    ),
                )),
                false => Ok(read),
            }
        }
        DataType::List(of) | DataType::LargeList(of) | DataType::FixedSizeList(of, _) => {
            let list =
                cast(column, &DataType::LargeList(Arc::clone(of))).map_err(|e| PARQUET.bad(path, e))?;
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
