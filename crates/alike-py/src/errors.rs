//! Errors as Python people expect them.

use alike::Error;
use pyo3::exceptions::{
    PyFloatingPointError, PyKeyError, PyKeyboardInterrupt, PyOSError, PyRuntimeError, PyValueError,
};
use pyo3::prelude::*;

/// The exception for an error of the library.
pub(crate) fn to_python(error: Error) -> PyErr {
    let text = error.to_string();
    match error {
        Error::Io { path, source } => match source.raw_os_error() {
            // Python picks the class by the number: `FileNotFoundError`, `PermissionError`, …
            Some(number) => {
                let what = source.to_string();
                let what = what.split(" (os error").next().unwrap_or_default().to_string();
                PyOSError::new_err((number, what, path.display().to_string()))
            }
            None => PyOSError::new_err(text),
        },
        Error::UnknownUser(_) | Error::UnknownItem(_) => PyKeyError::new_err(text),
        Error::Interrupted => PyKeyboardInterrupt::new_err(()),
        Error::LossNotFinite { .. } => PyFloatingPointError::new_err(text),
        Error::Device(_) => PyRuntimeError::new_err(text),
        _ => PyValueError::new_err(text),
    }
}
