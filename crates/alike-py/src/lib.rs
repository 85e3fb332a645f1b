//! What `import alike` stands on: the library with Python's types. `python/alike` is the face of it, and
//! `docs/python.md` says how the two go together.

mod data;
mod errors;
mod events;
mod log;
mod model;
mod table;
mod threads;
mod train;

use pyo3::prelude::*;

/// Every model: name, summary, source.
#[pyfunction]
fn models() -> Vec<(&'static str, &'static str, &'static str)> {
    alike::models::all().into_iter().map(|m| (m.name, m.summary, m.reference)).collect()
}

/// Settings of a model: name, type, default, what is allowed, what it does.
#[pyfunction]
fn settings(model: &str) -> PyResult<Vec<[String; 5]>> {
    let info = alike::models::find(model).map_err(errors::to_python)?;
    let one = |s: alike::config::SettingInfo| {
        [s.name.to_string(), s.kind.to_string(), s.default, s.allowed, s.doc.to_string()]
    };
    Ok(info.settings().into_iter().map(one).collect())
}

/// Runs the program `alike` on `arguments`; `again` starts it once more. Returns its exit code.
#[pyfunction]
fn program(py: Python<'_>, arguments: Vec<String>, again: Vec<String>) -> u8 {
    let arguments = std::iter::once("alike".to_string()).chain(arguments).map(Into::into);
    let arguments: Vec<std::ffi::OsString> = arguments.collect();
    py.detach(|| alike_cli::run(arguments, Some(again.into_iter().map(Into::into).collect())))
}

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    // What ALIKE_ISA says must be right before anything is computed.
    alike_ops::instruction_sets().map_err(|e| pyo3::exceptions::PyImportError::new_err(e.to_string()))?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<data::Data>()?;
    module.add_class::<data::Batches>()?;
    module.add_class::<model::Model>()?;
    module.add_class::<table::Table>()?;
    module.add_function(wrap_pyfunction!(models, module)?)?;
    module.add_function(wrap_pyfunction!(settings, module)?)?;
    module.add_function(wrap_pyfunction!(program, module)?)?;
    module.add_function(wrap_pyfunction!(threads::set_threads, module)?)?;
    module.add_function(wrap_pyfunction!(threads::threads, module)?)?;
    module.add_function(wrap_pyfunction!(data::prepare, module)?)?;
    module.add_function(wrap_pyfunction!(train::fit, module)?)?;
    module.add_function(wrap_pyfunction!(train::keep_external, module)?)?;
    Ok(())
}
