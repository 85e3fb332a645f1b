//! Prepared data.

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use alike::data::{Column, Dataset, PrepareOptions, SplitKind};
use alike::ids::{Vocab, numbers};
use alike::layers::{Sampler, Sampling};
use alike::rules::{AttributeIndex, ItemFilter};
use alike::run::Run;
use alike_ops::Csr;
use numpy::ndarray::{ArrayView1, ArrayView2};
use numpy::{PyArray1, PyArray2};
use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::errors::to_python;
use crate::table::{self, Table};
use crate::threads::detached;

/// Prepared data, opened. Its arrays are views: nothing of them is copied.
#[pyclass(module = "alike._native", frozen)]
pub(crate) struct Data(Source);

/// Who has the data open.
#[derive(Clone)]
pub(crate) enum Source {
    Data(Arc<Dataset>),
    Run(Arc<Run>),
}

impl Deref for Source {
    type Target = Dataset;

    fn deref(&self) -> &Dataset {
        match self {
            Self::Data(data) => data,
            Self::Run(run) => &run.data,
        }
    }
}

/// A view of the values of `owner`, which outlives it.
pub(crate) fn view<'py, T: numpy::Element>(owner: &Bound<'py, PyAny>, values: &[T]) -> Bound<'py, PyAny> {
    // SAFETY: `values` belong to `owner`, whose class is frozen and never changes or frees them while it
    // lives; the array holds on to it.
    unsafe { PyArray1::borrow_from_array(&ArrayView1::from(values), owner.clone()) }.into_any()
}

/// The same for a matrix of `cols` columns.
pub(crate) fn view_matrix<'py>(owner: &Bound<'py, PyAny>, values: &[f32], cols: usize) -> Bound<'py, PyAny> {
    let shape = (values.len() / cols.max(1), cols);
    let array = ArrayView2::from_shape(shape, values).expect("matrices are whole");
    // SAFETY: as in `view`.
    unsafe { PyArray2::borrow_from_array(&array, owner.clone()) }.into_any()
}

impl Data {
    /// Those of a run.
    pub(crate) fn of_run(run: &Arc<Run>) -> Self {
        Self(Source::Run(Arc::clone(run)))
    }

    /// What is open, for work that outlasts a borrow.
    pub(crate) fn source(&self) -> Source {
        self.0.clone()
    }

    fn item(&self, id: &str) -> PyResult<u32> {
        number(&self.0.items, id, alike::Error::UnknownItem)
    }

    fn split(&self, split: &str) -> PyResult<&Csr> {
        match split {
            "train" => Ok(&self.0.train),
            "valid" => Ok(&self.0.valid),
            "test" => Ok(&self.0.test),
            _ => Err(PyValueError::new_err(format!("split is {split}; allowed: train, valid, test"))),
        }
    }
}

#[pymethods]
impl Data {
    #[staticmethod]
    fn open(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        let data = detached(py, |_| Dataset::open(&path))?;
        Ok(Self(Source::Data(Arc::new(data))))
    }

    #[getter]
    fn path(&self) -> PathBuf {
        self.0.dir.clone()
    }

    #[getter]
    fn name(&self) -> &str {
        &self.0.name
    }

    #[getter]
    fn hash(&self) -> &str {
        &self.0.hash
    }

    #[getter]
    fn split_kind(&self) -> &str {
        &self.0.split
    }

    #[getter]
    fn n_users(&self) -> usize {
        self.0.users.len()
    }

    #[getter]
    fn n_items(&self) -> usize {
        self.0.items.len()
    }

    /// Ids of all users, in the order of their numbers.
    fn users(&self) -> Vec<&str> {
        self.0.users.names().collect()
    }

    /// Ids of all items, in the order of their numbers.
    fn items(&self) -> Vec<&str> {
        self.0.items.names().collect()
    }

    fn user_numbers<'py>(&self, py: Python<'py>, ids: Vec<String>) -> PyResult<Bound<'py, PyArray1<u32>>> {
        Ok(PyArray1::from_vec(py, users(&self.0, &ids)?))
    }

    fn item_numbers<'py>(&self, py: Python<'py>, ids: Vec<String>) -> PyResult<Bound<'py, PyArray1<u32>>> {
        Ok(PyArray1::from_vec(py, items(&self.0, &ids)?))
    }

    fn title(&self, item: &str) -> PyResult<Option<&str>> {
        Ok(self.0.title(self.item(item)?))
    }

    /// Ids of the items that pass a filter, given as JSON.
    fn passing(&self, filter: &str) -> PyResult<Vec<String>> {
        let json = serde_json::from_str(filter).map_err(|e| PyValueError::new_err(e.to_string()))?;
        let filter = ItemFilter::from_json(&json).map_err(to_python)?;
        let set = AttributeIndex::default().set(&self.0, &filter);
        Ok(set.iter().map(|item| self.0.items.name(item).to_string()).collect())
    }

    fn category(&self, item: &str) -> PyResult<Option<&str>> {
        Ok(self.0.catalogue.category(self.item(item)?))
    }

    /// Path or address of the picture of an item.
    fn image(&self, item: &str) -> PyResult<Option<String>> {
        let catalogue = &self.0.catalogue;
        let image = catalogue.image(self.item(item)?);
        Ok(image.map(|image| match catalogue.image_root() {
            Some(root) if !image.contains("://") => root.join(image).display().to_string(),
            _ => image.to_string(),
        }))
    }

    /// Interactions of a split: where each user's items begin, and the items.
    fn csr<'py>(this: &Bound<'py, Self>, split: &str) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        let csr = this.get().split(split)?;
        Ok((view(this.as_any(), csr.ptr()), view(this.as_any(), csr.idx())))
    }

    /// Weights of the train interactions; `None` where all are 1.
    fn train_weights<'py>(this: &Bound<'py, Self>) -> Option<Bound<'py, PyAny>> {
        this.get().0.train_weights.as_ref().map(|weights| view(this.as_any(), weights))
    }

    /// Names and widths of the features.
    fn modalities(&self) -> Vec<(&str, usize)> {
        self.0.features.iter().map(|f| (&*f.name, f.dim)).collect()
    }

    /// Features of a modality, `[I, f]`.
    fn features<'py>(this: &Bound<'py, Self>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        let data = &this.get().0;
        let at = data.modality(name).map_err(|e| PyKeyError::new_err(e.to_string()))?;
        Ok(view_matrix(this.as_any(), data.features[at].values(), data.features[at].dim))
    }

    /// The batches of an epoch, as training by gradient steps draws them.
    fn batches(
        &self,
        py: Python<'_>,
        size: usize,
        epoch: u64,
        seed: u64,
        negatives: usize,
    ) -> PyResult<Batches> {
        if size == 0 || epoch == 0 {
            return Err(PyValueError::new_err("size and epoch are 0; allowed: 1 and more"));
        }
        let (train, weights) = (Arc::clone(&self.0.train), self.0.train_weights.as_deref());
        let sampler = detached(py, |_| Sampler::new(train, weights, seed, Sampling::per_pair(negatives)))?;
        Ok(Batches { drawn: Mutex::new(sampler.epoch(epoch, size)) })
    }

    /// Interactions of a split as ids.
    fn interactions(&self, split: &str) -> PyResult<Table> {
        let csr = self.split(split)?;
        let pairs = || (0..csr.rows()).flat_map(|u| csr.row(u).iter().map(move |&i| (u as u32, i)));
        Ok(Table::new(vec![
            ("user", table::texts(pairs().map(|(u, _)| self.0.users.name(u)))),
            ("item", table::texts(pairs().map(|(_, i)| self.0.items.name(i)))),
        ]))
    }
}

/// Users, items that they took, and items that they did not take, as numbers.
type BatchArrays<'py> = (Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<i64>>);

/// The batches of an epoch.
#[pyclass(module = "alike._native", frozen)]
pub(crate) struct Batches {
    drawn: Mutex<alike::layers::Batches>,
}

#[pymethods]
impl Batches {
    fn __iter__(this: Bound<'_, Self>) -> Bound<'_, Self> {
        this
    }

    fn __next__<'py>(&self, py: Python<'py>) -> Option<BatchArrays<'py>> {
        let batch = py.detach(|| self.drawn.lock().unwrap_or_else(PoisonError::into_inner).next())?;
        fn array<'py>(py: Python<'py>, numbers: &[u32]) -> Bound<'py, PyArray1<i64>> {
            PyArray1::from_iter(py, numbers.iter().map(|&n| i64::from(n)))
        }
        let (users, positives) = (numbers(&batch.users), numbers(&batch.positives));
        Some((array(py, users), array(py, positives), array(py, numbers(&batch.negatives))))
    }
}

fn number(ids: &Vocab, id: &str, unknown: fn(String) -> alike::Error) -> PyResult<u32> {
    ids.get(id).ok_or_else(|| to_python(unknown(id.into())))
}

/// Numbers of users.
pub(crate) fn users(data: &Dataset, ids: &[String]) -> PyResult<Vec<u32>> {
    ids.iter().map(|id| number(&data.users, id, alike::Error::UnknownUser)).collect()
}

/// Numbers of items.
pub(crate) fn items(data: &Dataset, ids: &[String]) -> PyResult<Vec<u32>> {
    ids.iter().map(|id| number(&data.items, id, alike::Error::UnknownItem)).collect()
}

/// Prepares data: `interactions` and `items` are paths or have Arrow's stream. Returns the report as JSON and
/// as text.
#[pyfunction]
#[pyo3(signature = (interactions, out, *, more, half_life, name, items, features, columns, item_columns, events, split, k_core, min_rating,
    time_format, drop_missing, cold_items, seed))]
#[expect(clippy::too_many_arguments, reason = "one a keyword of Python's `prepare`")]
pub(crate) fn prepare(
    py: Python<'_>,
    interactions: &Bound<'_, PyAny>,
    out: PathBuf,
    more: Vec<Bound<'_, PyAny>>,
    half_life: Option<f64>,
    name: &str,
    items: Option<&Bound<'_, PyAny>>,
    features: Vec<(String, PathBuf, Option<PathBuf>)>,
    columns: &Bound<'_, PyDict>,
    item_columns: &Bound<'_, PyDict>,
    events: Vec<(String, f32)>,
    split: &str,
    k_core: usize,
    min_rating: Option<f32>,
    time_format: Option<String>,
    drop_missing: bool,
    cold_items: bool,
    seed: u64,
) -> PyResult<(String, String)> {
    let mut held = Vec::new();
    let mut path = |object: &Bound<'_, PyAny>, name: &str| -> PyResult<PathBuf> {
        if let Ok(path) = object.extract::<PathBuf>() {
            return Ok(path);
        }
        let file = table::to_file(object, name)?;
        let path = file.path().to_path_buf();
        held.push(file);
        Ok(path)
    };
    let mut options = PrepareOptions::new(path(interactions, name)?, out);
    let more = more.iter().map(|object| path(object, "more"));
    options.more_interactions = more.collect::<PyResult<_>>()?;
    options.items = items.map(|items| path(items, "items")).transpose()?;
    for (name, file, ids) in features {
        options.feature_ids.extend(ids.map(|ids| (name.clone(), ids)));
        options.features.push((name, file));
    }
    let named = |what: &str, name: Option<String>| {
        name.ok_or_else(|| PyValueError::new_err(format!("column `{what}` is None")))
    };
    for (what, column) in columns {
        let (what, column): (String, Option<String>) = (what.extract()?, column.extract()?);
        let place = match &*what {
            "user" => &mut options.columns.user,
            "item" => &mut options.columns.item,
            "rating" => &mut options.columns.rating,
            "time" => &mut options.columns.time,
            "label" => &mut options.columns.label,
            "event" => &mut options.columns.event,
            _ => {
                let text = format!("columns has `{what}`; allowed: user, item, rating, time, label, event");
                return Err(PyValueError::new_err(text));
            }
        };
        *place = column.map_or(Column::LeftOut, Column::Named);
    }
    for (what, column) in item_columns {
        let (what, column): (String, Option<String>) = (what.extract()?, column.extract()?);
        let column = named(&what, column)?;
        let place = match &*what {
            "id" => &mut options.item_columns.id,
            "title" => &mut options.item_columns.title,
            "image" => &mut options.item_columns.image,
            "category" => &mut options.item_columns.category,
            _ => {
                options.item_columns.attributes.push((what, column));
                continue;
            }
        };
        *place = Some(column);
    }
    options.split = match split {
        "auto" => SplitKind::Auto,
        split => split.parse().map_err(to_python)?,
    };
    options.events = events;
    options.half_life = half_life;
    options.k_core = k_core;
    options.min_rating = min_rating;
    options.time_format = time_format;
    options.drop_missing = drop_missing;
    options.cold_items = cold_items;
    options.seed = seed;
    let report = detached(py, |progress| alike::data::prepare_with(&options, progress))?;
    drop(held);
    let json = serde_json::to_string(&report).map_err(|e| PyValueError::new_err(e.to_string()))?;
    Ok((json, report.to_string()))
}
