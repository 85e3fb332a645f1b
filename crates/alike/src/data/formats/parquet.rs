//! Parquet: interactions, and features with an item id column.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float32Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float32Type, Float64Type, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::ColumnChunkMetaData;

use crate::data::folder::read;
use crate::data::formats::columns::{ColumnNames, Columns, ITEM_IDS, guess, listed};
use crate::data::formats::matrix::{Ids, Matrix, Source};
use crate::data::formats::table::{LABELS, Row, Wanted, parse_label, parse_time};
use crate::{Error, Result};

const BATCH: usize = 8192;

fn bad(path: &Path, error: impl std::fmt::Display) -> Error {
    // Some messages of the reader have several lines; the first says what is wrong.
    let text = error.to_string();
    Error::format(path, format!("bad Parquet: {}", text.lines().next().unwrap_or_default()))
}

/// Opens the file for the columns that `choose` picks from the schema.
fn reader<T>(
    path: &Path,
    choose: impl FnOnce(&Schema) -> Result<(T, Vec<usize>)>,
) -> Result<(T, ParquetRecordBatchReader)> {
    let file = read::open(path)?;
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
fn next(path: &Path, batches: &mut ParquetRecordBatchReader) -> Result<Option<RecordBatch>> {
    guarded(path, || batches.next().transpose())
}

fn names_of(schema: &Schema) -> Vec<String> {
    schema.fields().iter().map(|f| f.name().clone()).collect()
}

/// Ids as text: strings or integers.
fn as_ids(path: &Path, name: &str, column: &ArrayRef) -> Result<StringArray> {
    let kind = match column.data_type() {
        DataType::Dictionary(_, values) => values.as_ref(),
        other => other,
    };
    let text = matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    if !text && !kind.is_integer() {
        let message = format!("column `{name}` holds {kind}; ids are strings or integers");
        return Err(Error::format(path, message));
    }
    Ok(cast(column, &DataType::Utf8).map_err(|e| bad(path, e))?.as_string::<i32>().clone())
}

/// Times as numbers; text is parsed as in delimited files.
fn as_times(path: &Path, column: &ArrayRef) -> Result<ArrayRef> {
    let kind = match column.data_type() {
        DataType::Timestamp(..) | DataType::Date64 => Some(DataType::Int64),
        DataType::Date32 => Some(DataType::Int32),
        _ => None,
    };
    let plain = match kind {
        Some(kind) => cast(column, &kind).map_err(|e| bad(path, e))?,
        None => column.clone(),
    };
    let text = matches!(plain.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    cast(&plain, if text { &DataType::Utf8 } else { &DataType::Float64 }).map_err(|e| bad(path, e))
}

/// See [`crate::data::formats::table::read_rows`].
pub(crate) fn read_rows(
    path: &Path,
    names: &ColumnNames,
    wanted: Wanted,
    visit: &mut dyn FnMut(Row<'_>) -> Result<()>,
) -> Result<Columns> {
    let (columns, mut batches) = reader(path, |schema| {
        let columns = Columns::find(path, &names_of(schema), names)?;
        let at = columns.positions;
        let optional = [at.rating.filter(|_| wanted.rating), at.time, at.label.filter(|_| wanted.label)];
        let roots = [at.user, at.item].into_iter().chain(optional.into_iter().flatten()).collect();
        Ok((columns, roots))
    })?;
    let at = columns.positions;
    let mut line = 0;
    while let Some(batch) = next(path, &mut batches)? {
        let column = |i: usize| -> Result<&ArrayRef> {
            let name = &columns.found[i];
            batch.column_by_name(name).ok_or_else(|| bad(path, format!("column `{name}` cannot be read")))
        };
        let users = as_ids(path, &columns.found[at.user], column(at.user)?)?;
        let items = as_ids(path, &columns.found[at.item], column(at.item)?)?;
        let as_kind = |i: usize, kind: &DataType| cast(column(i)?, kind).map_err(|e| bad(path, e));
        let rating = at.rating.filter(|_| wanted.rating);
        let ratings = rating.map(|i| as_kind(i, &DataType::Float32)).transpose()?;
        let label = at.label.filter(|_| wanted.label);
        let labels = label.map(|i| as_kind(i, &DataType::Utf8)).transpose()?;
        let times = at.time.map(|i| as_times(path, column(i)?)).transpose()?;
        for r in 0..batch.num_rows() {
            line += 1;
            let wrong = |i: usize, what: &str| {
                let message = format!("row {line}, column `{}`: {what} is expected", columns.found[i]);
                Error::format(path, message)
            };
            let id = |ids: &'_ StringArray, i: usize| match ids.is_null(r) || ids.value(r).is_empty() {
                true => Err(wrong(i, "an id")),
                false => Ok(()),
            };
            id(&users, at.user)?;
            id(&items, at.item)?;
            let row = Row {
                user: users.value(r),
                item: items.value(r),
                rating: match (&ratings, rating) {
                    (Some(values), Some(i)) => {
                        let values = values.as_primitive::<Float32Type>();
                        let value = values.is_valid(r).then(|| values.value(r)).filter(|v| v.is_finite());
                        Some(value.ok_or_else(|| wrong(i, "a number"))?)
                    }
                    _ => None,
                },
                time: match (&times, at.time) {
                    (Some(values), Some(i)) => Some(time_at(values, r).ok_or_else(|| wrong(i, "a time"))?),
                    _ => None,
                },
                label: match (&labels, label) {
                    (Some(values), Some(i)) => {
                        let values = values.as_string::<i32>();
                        let value = values.is_valid(r).then(|| parse_label(values.value(r))).flatten();
                        Some(value.ok_or_else(|| wrong(i, LABELS))?)
                    }
                    _ => None,
                },
                line,
            };
            visit(row)?;
        }
    }
    Ok(columns)
}

/// Reads the columns that `choose` picks by position, the first of them ids, as text, and calls `visit` for every
/// row: its number from 1, the id, and the other columns; null is empty, the entries of a list are joined.
pub(crate) fn read_texts(
    path: &Path,
    choose: impl FnOnce(&[String]) -> Result<Vec<usize>>,
    mut visit: impl FnMut(u64, &str, &[&str]) -> Result<()>,
) -> Result<()> {
    let (names, mut batches) = reader(path, |schema| {
        let found = names_of(schema);
        let roots = choose(&found)?;
        Ok((roots.iter().map(|&at| found[at].clone()).collect::<Vec<_>>(), roots))
    })?;
    let mut line = 0;
    while let Some(batch) = next(path, &mut batches)? {
        let ids = as_ids(path, &names[0], column_of(path, &batch, &names[0])?)?;
        let texts = names[1..].iter().map(|n| as_texts(path, n, column_of(path, &batch, n)?));
        let texts = texts.collect::<Result<Vec<_>>>()?;
        for r in 0..batch.num_rows() {
            line += 1;
            let id = if ids.is_null(r) { "" } else { ids.value(r) };
            let row: Vec<&str> = texts.iter().map(|t| t[r].as_str()).collect();
            visit(line, id, &row)?;
        }
    }
    Ok(())
}

/// A column as text, row by row.
fn as_texts(path: &Path, name: &str, column: &ArrayRef) -> Result<Vec<String>> {
    let text = |column: &ArrayRef| {
        let other = || format!("column `{name}` holds {}; text is expected", column.data_type());
        cast(column, &DataType::Utf8).map_err(|_| Error::format(path, other()))
    };
    let joined = |column: &ArrayRef| -> Result<String> {
        let column = text(column)?;
        Ok(column.as_string::<i32>().iter().flatten().collect::<Vec<_>>().join(", "))
    };
    match column.data_type() {
        DataType::List(of) | DataType::LargeList(of) | DataType::FixedSizeList(of, _) => {
            let list = cast(column, &DataType::LargeList(Arc::clone(of))).map_err(|e| bad(path, e))?;
            list.as_list::<i64>().iter().map(|row| row.map_or(Ok(String::new()), |r| joined(&r))).collect()
        }
        _ => {
            let column = text(column)?;
            Ok(column.as_string::<i32>().iter().map(|t| t.unwrap_or_default().to_string()).collect())
        }
    }
}

fn time_at(values: &ArrayRef, r: usize) -> Option<f64> {
    if values.is_null(r) {
        return None;
    }
    match values.as_string_opt::<i32>() {
        Some(text) => parse_time(text.value(r).trim()),
        None => Some(values.as_primitive::<Float64Type>().value(r)).filter(|v| v.is_finite()),
    }
}

/// Features: an optional item id column, and either one list column or one number column a dimension.
pub(crate) fn read_features(path: &Path) -> Result<Matrix> {
    let ((id, values), mut batches) = reader(path, |schema| {
        let found = names_of(schema);
        let id = guess(&found, ITEM_IDS);
        let of = |wanted: fn(&DataType) -> bool| -> Vec<usize> {
            let fields = schema.fields().iter().enumerate();
            fields.filter(|(i, f)| Some(*i) != id && wanted(f.data_type())).map(|(i, _)| i).collect()
        };
        let lists =
            of(|t| matches!(t, DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..)));
        let values = match lists.len() {
            0 => of(DataType::is_floating),
            1 => lists,
            n => {
                let names: Vec<String> = lists.iter().map(|&i| found[i].clone()).collect();
                let message = format!("{n} list columns ({}); one is expected", listed(&names));
                return Err(Error::format(path, message));
            }
        };
        if values.is_empty() {
            let message = format!("no list column and no float columns; the columns are {}", listed(&found));
            return Err(Error::format(path, message));
        }
        let roots = id.into_iter().chain(values.iter().copied()).collect();
        let name = |i: usize| found[i].clone();
        Ok(((id.map(name), values.into_iter().map(name).collect::<Vec<_>>()), roots))
    })?;

    let mut ids = Vec::new();
    let mut data: Vec<f32> = Vec::new();
    let (mut rows, mut dim) = (0, None);
    while let Some(batch) = next(path, &mut batches)? {
        if let Some(name) = &id {
            let column = column_of(path, &batch, name)?;
            for (r, value) in as_ids(path, name, column)?.iter().enumerate() {
                let value = value.filter(|v| !v.is_empty());
                let empty = || Error::format(path, format!("row {}: the item id is empty", rows + r + 1));
                ids.push(value.ok_or_else(empty)?.to_string());
            }
        }
        let columns: Result<Vec<&ArrayRef>> = values.iter().map(|n| column_of(path, &batch, n)).collect();
        read_values(path, &columns?, rows, &mut dim, &mut data)?;
        rows += batch.num_rows();
    }
    let dim = dim.unwrap_or(0);
    let ids = id.map(|name| Ids { names: ids, origin: format!("column `{name}`") });
    Matrix::new(path, rows, dim, Source::Floats(data), ids)
}

fn column_of<'a>(path: &Path, batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    batch.column_by_name(name).ok_or_else(|| bad(path, format!("column `{name}` cannot be read")))
}

/// Appends the rows of one batch; `dim` is set by the first row and kept.
fn read_values(
    path: &Path,
    columns: &[&ArrayRef],
    before: usize,
    dim: &mut Option<usize>,
    data: &mut Vec<f32>,
) -> Result<()> {
    let floats = |array: &dyn Array| -> Result<Float32Array> {
        let array = cast(array, &DataType::Float32).map_err(|e| bad(path, e))?;
        Ok(array.as_primitive::<Float32Type>().clone())
    };
    let null = |row: usize| Error::format(path, format!("row {}: a value is null", before + row + 1));
    if !columns[0].data_type().is_nested() {
        *dim = Some(columns.len());
        let columns: Result<Vec<Float32Array>> = columns.iter().map(|c| floats(c)).collect();
        let columns = columns?;
        for r in 0..columns[0].len() {
            if columns.iter().any(|c| c.is_null(r)) {
                return Err(null(r));
            }
            data.extend(columns.iter().map(|c| c.value(r)));
        }
        return Ok(());
    }
    let list_of = match columns[0].data_type() {
        DataType::List(f) | DataType::LargeList(f) | DataType::FixedSizeList(f, _) => f.clone(),
        other => return Err(bad(path, format!("{other} is no list"))),
    };
    let list = cast(columns[0], &DataType::LargeList(Arc::clone(&list_of))).map_err(|e| bad(path, e))?;
    for (r, row) in list.as_list::<i64>().iter().enumerate() {
        let row = floats(&row.ok_or_else(|| null(r))?)?;
        if row.null_count() > 0 {
            return Err(null(r));
        }
        let width = *dim.get_or_insert(row.len());
        if row.len() != width {
            let message =
                format!("row {}: {} values, the rows before have {width}", before + r + 1, row.len());
            return Err(Error::format(path, message));
        }
        data.extend_from_slice(row.values());
    }
    Ok(())
}
