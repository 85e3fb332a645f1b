//! Events of a store as a table, to train on them, and items as a catalogue.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use alike::data::TableFile;
use arrow_array::{ArrayRef, Float64Array, RecordBatch, RecordBatchIterator, StringArray};
use arrow_schema::{ArrowError, DataType, Field, Schema};
use serde_json::Value;

use super::pages::{Pages, Row};
use super::{EventKind, ItemRecord, Result, StoreAddress, StoreError, postgres, sqlite};
use crate::failure::{Failure, Outcome};

/// All events that the store holds now, oldest first, as a table with the columns user, item, time (seconds
/// since 1970) and event. A server may write to the store meanwhile.
///
/// # Errors
/// There is no such store, or it cannot be read.
pub(crate) fn export(place: &StoreAddress) -> Outcome<TableFile> {
    let failed = |e: StoreError| Failure::Failed(format!("{place}: {e}"));
    let mut pages = open(place)?;
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
        // What people were shown is not what they did.
        let did: Vec<Row> = page.into_iter().filter(|row| row.kind != EventKind::Shown.word()).collect();
        Some(batch(&of_rows, &did))
    });
    Ok(TableFile::write(RecordBatchIterator::new(batches, schema), "events")?)
}

/// What the store says of items now, as a catalogue: a row for each that is not gone, with the columns
/// item_id, title, category, image, description, price, stock, hidden, from, until and those of the
/// attributes; none where it says nothing of any item. Lists are JSON, categories joined.
///
/// # Errors
/// There is no such store, or it cannot be read.
pub(crate) fn export_items(place: &StoreAddress) -> Outcome<Option<TableFile>> {
    let mut pages = open(place)?;
    let failed = |e: StoreError| Failure::Failed(format!("{place}: {e}"));
    // One that changes while this reads comes again, with what is newer.
    let mut newest: BTreeMap<String, Option<ItemRecord>> = BTreeMap::new();
    let mut last = 0;
    loop {
        let page = pages.items(last).map_err(failed)?;
        let Some(end) = page.last() else { break };
        last = end.seq;
        newest.extend(page.into_iter().map(|row| (row.item, row.record)));
    }
    let rows: Vec<(String, ItemRecord)> =
        newest.into_iter().filter_map(|(item, record)| Some((item, record?))).collect();
    if rows.is_empty() {
        return Ok(None);
    }
    let attributes = rows.iter().filter_map(|(_, record)| record.attributes());
    let names: BTreeSet<&String> = attributes.flat_map(|attributes| attributes.keys()).collect();
    let mut columns: Vec<(&str, Vec<Option<String>>)> = Vec::new();
    columns.push(("item_id", rows.iter().map(|(id, _)| Some(id.clone())).collect()));
    for name in OF_ITEMS {
        columns.push((name, rows.iter().map(|(_, record)| words(record.fields.get(name))).collect()));
    }
    for name in names {
        let value = |(_, record): &(String, ItemRecord)| cell(record.attributes()?.get(name));
        columns.push((name, rows.iter().map(value).collect()));
    }
    let field = |name: &str| Field::new(name, DataType::Utf8, true);
    let schema = Arc::new(Schema::new(columns.iter().map(|c| field(c.0)).collect::<Vec<_>>()));
    let arrays = columns.into_iter().map(|c| Arc::new(StringArray::from(c.1)) as ArrayRef);
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays.collect());
    Ok(Some(TableFile::write(RecordBatchIterator::new([batch], schema), "items")?))
}

/// Columns that every catalogue of a store has, beside the ids.
const OF_ITEMS: [&str; 9] =
    ["title", "category", "image", "description", "price", "stock", "hidden", "from", "until"];

/// A value as a cell; none for null.
fn cell(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// The same for people: lists joined, as catalogues write categories.
fn words(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::Array(list) => Some(list.iter().filter_map(|v| cell(Some(v))).collect::<Vec<_>>().join(", ")),
        other => cell(Some(other)),
    }
}

fn open(place: &StoreAddress) -> Outcome<Box<dyn Pages>> {
    let pages = match place {
        StoreAddress::File(path) => sqlite::pages(path),
        StoreAddress::Url(url) => postgres::pages(url),
    };
    pages.map_err(|e| Failure::Failed(format!("{place}: {e}")))
}

fn batch(schema: &Arc<Schema>, page: &[Row]) -> Result<RecordBatch, ArrowError> {
    let text =
        |of: fn(&Row) -> &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(page.iter().map(of))) };
    let time = Float64Array::from_iter_values(page.iter().map(|row| row.time as f64 / 1000.0));
    let columns = vec![text(|r| &r.user), text(|r| &r.item), Arc::new(time) as ArrayRef, text(|r| &r.kind)];
    RecordBatch::try_new(Arc::clone(schema), columns)
}
