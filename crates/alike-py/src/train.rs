//! Training, and runs of what was trained elsewhere.

use std::path::PathBuf;

use alike::device::DeviceName;
use alike::scorer::Matrix;
use alike::train::{TrainEvent, TrainRequest};
use numpy::PyReadonlyArray2;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::data::Data;
use crate::errors::to_python;
use crate::events::Narrator;
use crate::threads::{detached, heard};

/// Trains; `settings` is TOML.
#[pyfunction]
#[pyo3(signature = (model, data, run, *, settings, seed, devices, resume, warm_start, test, on_event))]
#[expect(clippy::too_many_arguments, reason = "one a keyword of Python's `fit`")]
pub(crate) fn fit(
    py: Python<'_>,
    model: &str,
    data: &Bound<'_, Data>,
    run: PathBuf,
    settings: &str,
    seed: u64,
    devices: Vec<String>,
    resume: bool,
    warm_start: Option<PathBuf>,
    test: bool,
    on_event: Option<Py<PyAny>>,
) -> PyResult<()> {
    let devices: alike::Result<Vec<DeviceName>> = devices.iter().map(|d| d.parse()).collect();
    let request = TrainRequest {
        settings: settings.parse().map_err(|e: toml::de::Error| PyValueError::new_err(e.to_string()))?,
        seed,
        run: Some(&run),
        resume,
        warm_start: warm_start.as_deref(),
        test,
        devices: devices.map_err(to_python)?,
        ..TrainRequest::new(model)
    };
    let data = data.get().source();
    heard(py, on_event.as_ref(), |speaker, progress| {
        let mut narrator = on_event.as_ref().map(|_| Narrator::new(speaker));
        let mut tell = |event: TrainEvent<'_>| {
            if let Some(narrator) = &mut narrator {
                narrator.tell(&event);
            }
        };
        let request = TrainRequest { progress, ..request };
        alike::train::fit(&data, &request, &mut tell).map(|_| ())
    })
}

/// Makes a run of vectors that were trained elsewhere, rows in the order of the data's numbers.
#[pyfunction]
pub(crate) fn keep_external(
    py: Python<'_>,
    data: &Bound<'_, Data>,
    of_users: PyReadonlyArray2<'_, f32>,
    of_items: PyReadonlyArray2<'_, f32>,
    source: &str,
    run: PathBuf,
    test: bool,
) -> PyResult<()> {
    let matrix = |array: &PyReadonlyArray2<'_, f32>| {
        let array = array.as_array();
        Matrix::new(array.nrows(), array.ncols(), array.iter().copied().collect())
    };
    let vectors = (matrix(&of_users), matrix(&of_items));
    let data = data.get().source();
    detached(py, |progress| {
        alike::train::keep_external(&data, vectors, source, &run, test, progress).map(|_| ())
    })
}
