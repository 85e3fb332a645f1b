//! Features from Parquet.

use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Float32Type;
use arrow_array::{Array, ArrayRef, Float32Array};
use arrow_cast::cast;
use arrow_schema::DataType;

use crate::data::formats::columns::{ITEM_IDS, guess, listed};
use crate::data::formats::foreign::PARQUET;
use crate::data::formats::id_text::clean;
use crate::data::formats::matrix::{Ids, MatrixData, MatrixFile};
use crate::data::formats::parquet::{cells, column_of, names_of, next, reader};
use crate::disk::source::File;
use crate::{Error, Result};

/// Features: an optional item id column, and either one list column or one number column per value. A row
/// whose list, or whose every value, is null has no features.
pub(crate) fn read_features(path: &Path, file: File) -> Result<MatrixFile> {
    let ((id, values), mut batches) = reader(path, file, |schema| {
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
    let mut values_of = ListedValues::default();
    while let Some(batch) = next(path, &mut batches)? {
        let columns: Result<Vec<&ArrayRef>> = values.iter().map(|n| column_of(path, &batch, n)).collect();
        let before = values_of.present.len();
        values_of.add(path, &columns?)?;
        if let Some(name) = &id {
            let read = cells(path, name, column_of(path, &batch, name)?)?;
            for (_, value) in read.iter().enumerate().filter(|(at, _)| values_of.present[before + at]) {
                // A row without an id belongs to no item.
                ids.push(value.map(clean).unwrap_or_default().to_string());
            }
        }
    }
    let dim = values_of.dim.unwrap_or(0);
    let (rows, data) = match id {
        Some(_) => (ids.len(), values_of.data),
        None => (values_of.present.len(), values_of.with_zeros()),
    };
    let ids = id.map(|name| Ids { names: ids, origin: format!("column `{name}`") });
    MatrixFile::new(path, rows, dim, MatrixData::Floats(data), ids)
}

/// The values of the rows that have some.
#[derive(Default)]
struct ListedValues {
    /// Which rows have values.
    present: Vec<bool>,
    /// Set by the first row with values and kept.
    dim: Option<usize>,
    data: Vec<f32>,
}

impl ListedValues {
    /// Adds the rows of one batch.
    fn add(&mut self, path: &Path, columns: &[&ArrayRef]) -> Result<()> {
        let before = self.present.len();
        let floats = |array: &dyn Array| -> Result<Float32Array> {
            let array = cast(array, &DataType::Float32).map_err(|e| PARQUET.bad(path, e))?;
            Ok(array.as_primitive::<Float32Type>().clone())
        };
        let null = |row: usize| {
            let message = format!("row {}: a value is null, but not all of them", before + row + 1);
            Error::format(path, message)
        };
        if !columns[0].data_type().is_nested() {
            self.dim = Some(columns.len());
            let columns = columns.iter().map(|c| floats(c)).collect::<Result<Vec<Float32Array>>>()?;
            for r in 0..columns[0].len() {
                let nulls = columns.iter().filter(|c| c.is_null(r)).count();
                self.present.push(nulls == 0);
                match nulls {
                    0 => self.data.extend(columns.iter().map(|c| c.value(r))),
                    n if n < columns.len() => return Err(null(r)),
                    _ => {}
                }
            }
            return Ok(());
        }
        let list_of = match columns[0].data_type() {
            DataType::List(f) | DataType::LargeList(f) | DataType::FixedSizeList(f, _) => f.clone(),
            other => return Err(PARQUET.bad(path, format!("{other} is no list"))),
        };
        let list =
            cast(columns[0], &DataType::LargeList(Arc::clone(&list_of))).map_err(|e| PARQUET.bad(path, e))?;
        for (r, row) in list.as_list::<i64>().iter().enumerate() {
            let row = row.map(|row| floats(&row)).transpose()?;
            let row = row.filter(|row| row.is_empty() || row.null_count() < row.len());
            self.present.push(row.is_some());
            let Some(row) = row else { continue };
            if row.null_count() > 0 {
                return Err(null(r));
            }
            if row.is_empty() {
                let message = "an empty list; values are expected, or null where there are none";
                return Err(Error::format(path, format!("row {}: {message}", before + r + 1)));
            }
            let width = *self.dim.get_or_insert(row.len());
            if row.len() != width {
                let message =
                    format!("row {}: {} values, the rows before have {width}", before + r + 1, row.len());
                return Err(Error::format(path, message));
            }
            self.data.extend_from_slice(row.values());
        }
        Ok(())
    }

    /// All rows, zeros where there is nothing: that is what missing features are where rows are numbered.
    fn with_zeros(self) -> Vec<f32> {
        let dim = self.dim.unwrap_or(0);
        if dim == 0 || self.present.iter().all(|present| *present) {
            return self.data;
        }
        let mut rows = self.data.chunks_exact(dim);
        let mut all = Vec::with_capacity(self.present.len() * dim);
        for present in self.present {
            match present.then(|| rows.next()).flatten() {
                Some(row) => all.extend_from_slice(row),
                None => all.resize(all.len() + dim, 0.0),
            }
        }
        all
    }
}
