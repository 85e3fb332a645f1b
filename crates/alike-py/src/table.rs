//! Tables that come back: Arrow batches, given on without a copy.

use std::ffi::CStr;
use std::sync::Arc;

use alike::data::TableFile;
use arrow_array::cast::AsArray;
use arrow_array::ffi_stream::{FFI_ArrowArrayStream, RecordBatchStreamReader};
use arrow_array::types::{Float32Type, Float64Type, Int64Type, UInt32Type};
use arrow_array::{
    Array, ArrayRef, Float32Array, Float64Array, Int64Array, RecordBatch, RecordBatchIterator, StringArray,
};
use arrow_schema::{DataType, Field, Schema};
use numpy::{PyArray1, PyReadonlyArray1};
use pyo3::exceptions::{PyKeyError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict, PyList};

/// Name of the capsule, as Arrow's interface for Python says.
const STREAM: &CStr = c"arrow_array_stream";

/// A table, one batch.
#[pyclass(module = "alike._native", frozen)]
pub(crate) struct Table {
    batch: RecordBatch,
}

impl Table {
    /// From named columns of equal length.
    pub(crate) fn new(columns: Vec<(&str, ArrayRef)>) -> Self {
        let field = |(name, values): &(&str, ArrayRef)| {
            Field::new(*name, values.data_type().clone(), values.null_count() > 0)
        };
        let schema = Schema::new(columns.iter().map(field).collect::<Vec<_>>());
        let values = columns.into_iter().map(|(_, values)| values).collect();
        let batch = RecordBatch::try_new(Arc::new(schema), values).expect("columns are equally long");
        Self { batch }
    }
}

fn bad(error: impl ToString) -> PyErr {
    PyValueError::new_err(error.to_string())
}

#[pymethods]
impl Table {
    /// From a dictionary of lists of text and of NumPy arrays of 64-bit numbers.
    #[staticmethod]
    fn from_columns(columns: &Bound<'_, PyDict>) -> PyResult<Self> {
        let mut found: Vec<(String, ArrayRef)> = Vec::with_capacity(columns.len());
        for (name, values) in columns {
            let name: String = name.extract()?;
            let array: ArrayRef = if let Ok(numbers) = values.extract::<PyReadonlyArray1<'_, i64>>() {
                Arc::new(Int64Array::from_iter_values(numbers.as_array().iter().copied()))
            } else if let Ok(numbers) = values.extract::<PyReadonlyArray1<'_, f64>>() {
                Arc::new(Float64Array::from_iter_values(numbers.as_array().iter().copied()))
            } else if let Ok(texts) = values.extract::<Vec<Option<String>>>() {
                Arc::new(StringArray::from(texts))
            } else {
                return Err(PyTypeError::new_err(format!("column `{name}` is neither text nor numbers")));
            };
            found.push((name, array));
        }
        if found.windows(2).any(|pair| pair[0].1.len() != pair[1].1.len()) {
            return Err(bad("columns are not equally long"));
        }
        Ok(Self::new(found.iter().map(|(name, values)| (&**name, Arc::clone(values))).collect()))
    }

    fn __len__(&self) -> usize {
        self.batch.num_rows()
    }

    /// Names of the columns.
    #[getter]
    fn columns(&self) -> Vec<String> {
        self.batch.schema().fields().iter().map(|f| f.name().clone()).collect()
    }

    /// One column: a list of text, or an array of numbers.
    fn column<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        let unknown = || {
            let text = format!("no column `{name}`; there are {}", self.columns().join(", "));
            PyKeyError::new_err(text)
        };
        let values = self.batch.column_by_name(name).ok_or_else(unknown)?;
        Ok(match values.data_type() {
            DataType::UInt32 => {
                PyArray1::from_slice(py, values.as_primitive::<UInt32Type>().values()).into_any()
            }
            DataType::Int64 => {
                PyArray1::from_slice(py, values.as_primitive::<Int64Type>().values()).into_any()
            }
            DataType::Float32 => {
                PyArray1::from_slice(py, values.as_primitive::<Float32Type>().values()).into_any()
            }
            DataType::Float64 => {
                PyArray1::from_slice(py, values.as_primitive::<Float64Type>().values()).into_any()
            }
            _ => PyList::new(py, values.as_string::<i32>().iter())?.into_any(),
        })
    }

    /// The table as Arrow's C stream.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        // Its types are what they are; a consumer that wants others casts them.
        drop(requested_schema);
        let schema = self.batch.schema();
        let batches = RecordBatchIterator::new([Ok(self.batch.clone())], schema);
        PyCapsule::new_with_value(py, FFI_ArrowArrayStream::new(Box::new(batches)), STREAM)
    }
}

/// The batches of anything with Arrow's stream.
fn stream(object: &Bound<'_, PyAny>) -> PyResult<RecordBatchStreamReader> {
    let capsule = object.call_method0("__arrow_c_stream__")?;
    let capsule = capsule.cast::<PyCapsule>().map_err(PyErr::from)?;
    let at = capsule.pointer_checked(Some(STREAM))?;
    // SAFETY: a capsule of this name holds a stream, by Arrow's interface for Python; `from_raw` moves it out
    // and leaves one that is released in its place.
    unsafe { RecordBatchStreamReader::from_raw(at.as_ptr().cast()) }.map_err(bad)
}

/// A table of another library as a file.
pub(crate) fn to_file(object: &Bound<'_, PyAny>, name: &str) -> PyResult<TableFile> {
    let reader = stream(object)?;
    // Batches that Python makes as they are asked for take hold of it themselves.
    object.py().detach(|| TableFile::write(reader, name)).map_err(crate::errors::to_python)
}

/// A column of text.
pub(crate) fn texts<'a>(values: impl IntoIterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

/// A column of text, with gaps.
pub(crate) fn texts_or_none<'a>(values: impl IntoIterator<Item = Option<&'a str>>) -> ArrayRef {
    Arc::new(values.into_iter().collect::<StringArray>())
}

/// A column of numbers.
pub(crate) fn floats(values: Vec<f32>) -> ArrayRef {
    Arc::new(Float32Array::from(values))
}
