//! Events of a store as a table, to train on them.

use std::sync::Arc;

use alike::data::TableFile;
use arrow_array::{ArrayRef, Float64Array, RecordBatch, RecordBatchIterator, StringArray};
use arrow_schema::{ArrowError, DataType, Field, Schema};

use super::pages::Row;
use super::{Result, StoreAddress, StoreError, postgres, sqlite};
use crate::failure::{Failure, Outcome};

/// All events that the store holds now, oldest first, as a table with the columns user, item, time (seconds
/// since 1970) and event. A server may write to the store meanwhile.
///
/// # Errors
/// There is no such store, or it cannot be read.
pub(crate) fn export(place: &StoreAddress) -> Outcome<TableFile> {
    let pages = match place {
        StoreAddress::File(path) => sqlite::pages(path),
        StoreAddress::Url(url) => postgres::pages(url),
    };
    let failed = |e: StoreError| Failure::Failed(format!("{place}: {e}"));
    let mut pages = pages.map_err(failed)?;
    let last = pages.newest().map_err(failed)?;
    let columns = [("user", DataType::Utf8), ("item", DataType::Utf8), ("time", DataType::Float64)];
    let columns = columns.into_iter().chain([("event", DataType::Utf8)]);
    let schema =
        Arc::new(Schema::new(columns.map(|(name, kind)| Field::new(name, kind, false)).collect::<Vec<_>>()));
    let mut after = i64::MIN;
    let of_rows = Arc::clone(&schema);
    let batches = std::iter::from_fn(|| {
        let page = match pages.page(after, last) {
            Ok(page) => page,
            Err(error) => return Some(Err(ArrowError::ExternalError(error.to_string().into()))),
        };
        after = page.last()?.seq;
        Some(batch(&of_rows, &page))
    });
    Ok(TableFile::write(RecordBatchIterator::new(batches, schema), "events")?)
}

fn batch(schema: &Arc<Schema>, page: &[Row]) -> Result<RecordBatch, ArrowError> {
    let text =
        |of: fn(&Row) -> &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(page.iter().map(of))) };
    let time = Float64Array::from_iter_values(page.iter().map(|row| row.time as f64 / 1000.0));
    let columns = vec![text(|r| &r.user), text(|r| &r.item), Arc::new(time) as ArrayRef, text(|r| &r.kind)];
    RecordBatch::try_new(Arc::clone(schema), columns)
}
