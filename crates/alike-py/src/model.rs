//! Trained models.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use alike::data::Dataset;
use alike::eval::{Protocol, Split};
use alike::recommend::{PeopleRequest, Recommender};
use alike::run::{ListRequest, Run};
use alike::scorer::UserHistory;
use alike_ops::TopK;
use numpy::{PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use serde_json::json;

use crate::data::{Data, items, users, view_matrix};
use crate::errors::to_python;
use crate::table::{self, Table};
use crate::threads::detached;

/// A trained run.
#[pyclass(module = "alike._native", frozen)]
pub(crate) struct Model {
    run: Arc<Run>,
    /// What places people whom training did not know; made when it is first needed.
    recommender: OnceLock<Recommender>,
}

/// Items and scores, a row per user.
type Numbers<'py> = (Bound<'py, PyArray2<i64>>, Bound<'py, PyArray2<f32>>);

/// Metrics and groups as JSON, names of metrics, users, their values `[U, M]`, and their lists `[U, k]`.
type Evaluated<'py> =
    (String, String, Vec<String>, Vec<String>, Bound<'py, PyArray2<f64>>, Bound<'py, PyArray2<i64>>);

/// Lists of users as a table.
fn lists(data: &Dataset, users: &[&str], lists: &[Vec<(u32, f32)>]) -> Table {
    ranked(users, lists, ["user", "item"], |i| data.items.name(i))
}

/// Lists as a table: whose each is, places, what is in it by `name`, scores.
fn ranked<'a>(
    whose: &[&str],
    lists: &[Vec<(u32, f32)>],
    [of, to]: [&str; 2],
    name: impl Fn(u32) -> &'a str,
) -> Table {
    let flat = || whose.iter().zip(lists).flat_map(|(whose, list)| (1..).zip(list).map(move |l| (*whose, l)));
    let ranks: Vec<u32> = flat().map(|(_, (rank, _))| rank).collect();
    Table::new(vec![
        (of, table::texts(flat().map(|(whose, _)| whose))),
        ("rank", Arc::new(arrow_array::UInt32Array::from(ranks))),
        (to, table::texts(flat().map(|(_, (_, l))| name(l.0)))),
        ("score", table::floats(flat().map(|(_, (_, l))| l.1).collect())),
    ])
}

fn rows_of(top: &TopK) -> Vec<Vec<(u32, f32)>> {
    (0..top.rows()).map(|row| top.pairs(row).collect()).collect()
}

/// Numbers of items, a row per user; -1 after the last.
fn item_ids<'py>(py: Python<'py>, top: &TopK) -> PyResult<Bound<'py, PyArray2<i64>>> {
    let ids = top.items.iter().map(|&i| if i == u32::MAX { -1 } else { i64::from(i) });
    PyArray1::from_iter(py, ids).reshape([top.rows(), top.k])
}

fn check_share(name: &str, value: f32) -> PyResult<()> {
    match (0.0..=1.0).contains(&value) {
        true => Ok(()),
        false => Err(PyValueError::new_err(format!("{name} is {value}; allowed: 0 to 1"))),
    }
}

fn ascending(mut numbers: Vec<u32>) -> Vec<u32> {
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

impl Model {
    fn recommender(&self, py: Python<'_>) -> PyResult<&Recommender> {
        if let Some(recommender) = self.recommender.get() {
            return Ok(recommender);
        }
        // The run is opened again, since what serves has its features for itself.
        let recommender = detached(py, |_| Recommender::open_with(&self.run.dir, Some(&self.run.data.dir)))?;
        Ok(self.recommender.get_or_init(|| recommender))
    }
}

/// Which items the lists may hold, by number.
#[derive(Clone, Default)]
struct Choice {
    candidates: Option<Vec<u32>>,
    exclude: Vec<u32>,
}

impl Choice {
    fn new(data: &Dataset, candidates: Option<Vec<String>>, exclude: &[String]) -> PyResult<Self> {
        let candidates = candidates.map(|ids| items(data, &ids).map(ascending)).transpose()?;
        Ok(Self { candidates, exclude: ascending(items(data, exclude)?) })
    }

    fn ask<'a>(&'a self, users: &'a [u32], k: usize, filter_seen: bool) -> ListRequest<'a> {
        let request = ListRequest::new(users, k).seen(!filter_seen).without(&self.exclude);
        match &self.candidates {
            Some(items) => request.among(items),
            None => request,
        }
    }
}

#[pymethods]
impl Model {
    /// Opens a run folder, with the prepared data at `data` where those are elsewhere.
    #[staticmethod]
    #[pyo3(signature = (path, data=None))]
    fn open(py: Python<'_>, path: PathBuf, data: Option<PathBuf>) -> PyResult<Self> {
        let run = detached(py, |_| Run::open_with(&path, data.as_deref()))?;
        Ok(Self { run: Arc::new(run), recommender: OnceLock::new() })
    }

    #[getter]
    fn path(&self) -> PathBuf {
        self.run.dir.clone()
    }

    #[getter]
    fn name(&self) -> &str {
        &self.run.model
    }

    #[getter]
    fn seed(&self) -> u64 {
        self.run.seed
    }

    /// Hash of the file that ranks.
    #[getter]
    fn hash(&self) -> &str {
        &self.run.best_file().hash
    }

    #[getter]
    fn data(&self) -> Data {
        Data::of_run(&self.run)
    }

    /// Settings as JSON.
    #[getter]
    fn settings(&self) -> String {
        json!(self.run.settings).to_string()
    }

    /// How it ended, as JSON; `null` while it has not.
    fn summary(&self) -> PyResult<String> {
        Ok(json!(self.run.summary().map_err(to_python)?).to_string())
    }

    /// What should be said of it beside its numbers.
    fn remarks(&self) -> PyResult<Vec<String>> {
        let summary = self.run.summary().map_err(to_python)?;
        Ok(summary.iter().flat_map(|s| s.remarks()).map(|r| r.to_string()).collect())
    }

    /// The learning curve as JSON.
    fn history(&self) -> PyResult<String> {
        Ok(json!(self.run.log().map_err(to_python)?).to_string())
    }

    /// The best items of people whom training knew.
    #[pyo3(signature = (ids, k, filter_seen, candidates, exclude, cold_items))]
    #[expect(clippy::too_many_arguments, reason = "one a keyword of Python's `recommend`")]
    fn recommend(
        &self,
        py: Python<'_>,
        ids: Option<Vec<String>>,
        k: usize,
        filter_seen: bool,
        candidates: Option<Vec<String>>,
        exclude: Vec<String>,
        cold_items: f32,
    ) -> PyResult<Table> {
        check_share("cold_items", cold_items)?;
        let data = &self.run.data;
        let rows = match &ids {
            Some(ids) => users(data, ids)?,
            None => (0..data.users.len() as u32).collect(),
        };
        let choice = Choice::new(data, candidates, &exclude)?;
        let request = choice.ask(&rows, k, filter_seen).cold_items(cold_items);
        let top = detached(py, |progress| self.run.recommend_lists(&request, progress))?;
        let names: Vec<&str> = rows.iter().map(|&u| data.users.name(u)).collect();
        Ok(lists(data, &names, &rows_of(&top)))
    }

    /// The same by numbers: items and scores, `[users, k]`, -1 and -∞ where a list is shorter.
    #[pyo3(signature = (rows, k, filter_seen, candidates, exclude, cold_items))]
    #[expect(clippy::too_many_arguments, reason = "one a keyword of Python's `recommend_ids`")]
    fn recommend_ids<'py>(
        &self,
        py: Python<'py>,
        rows: PyReadonlyArray1<'py, i64>,
        k: usize,
        filter_seen: bool,
        candidates: Option<PyReadonlyArray1<'py, i64>>,
        exclude: PyReadonlyArray1<'py, i64>,
        cold_items: f32,
    ) -> PyResult<Numbers<'py>> {
        check_share("cold_items", cold_items)?;
        let numbers = |values: &PyReadonlyArray1<'py, i64>| -> PyResult<Vec<u32>> {
            let number = |&v: &i64| {
                u32::try_from(v)
                    .map_err(|_| PyValueError::new_err(format!("number {v}; allowed: 0 and more")))
            };
            values.as_array().iter().map(number).collect()
        };
        let rows = numbers(&rows)?;
        let choice = Choice {
            candidates: candidates.map(|c| numbers(&c).map(ascending)).transpose()?,
            exclude: ascending(numbers(&exclude)?),
        };
        let request = choice.ask(&rows, k, filter_seen).cold_items(cold_items);
        let top = detached(py, |progress| self.run.recommend_lists(&request, progress))?;
        let shape = [top.rows(), top.k];
        Ok((item_ids(py, &top)?, PyArray1::from_vec(py, top.scores).reshape(shape)?))
    }

    /// The best items of people by what they took, whether or not training knew them.
    #[pyo3(signature = (history, k, filter_seen, candidates, exclude, diversity, cold_items))]
    #[expect(clippy::too_many_arguments, reason = "one a keyword of Python's `recommend`")]
    fn recommend_for(
        &self,
        py: Python<'_>,
        history: Vec<(String, Option<Vec<String>>)>,
        k: usize,
        filter_seen: bool,
        candidates: Option<Vec<String>>,
        exclude: Vec<String>,
        diversity: f32,
        cold_items: f32,
    ) -> PyResult<Table> {
        check_share("diversity", diversity)?;
        check_share("cold_items", cold_items)?;
        let recommender = self.recommender(py)?;
        let choice = Choice::new(&self.run.data, candidates, &exclude)?;
        let people = self.people(recommender, &history)?;
        let found = detached(py, |_| {
            let vectors = recommender.vectors(&people)?;
            // More than are asked for, so that there is something to choose from.
            let length = if diversity > 0.0 { (k * 4).clamp(100, k + 1000) } else { k };
            let hidden: Vec<Vec<u32>> = people
                .iter()
                .map(|p| {
                    ascending([if filter_seen { &p.history[..] } else { &[] }, &choice.exclude].concat())
                })
                .collect();
            let hidden: Vec<&[u32]> = hidden.iter().map(Vec::as_slice).collect();
            let request = PeopleRequest::new(&vectors, length).hiding(&hidden).cold_items(cold_items);
            let lists = recommender.rank(&match &choice.candidates {
                Some(items) => request.among(items),
                None => request,
            });
            Ok(match diversity > 0.0 {
                true => lists.iter().map(|list| recommender.diversified(list, diversity, k)).collect(),
                false => lists,
            })
        })?;
        let names: Vec<&str> = history.iter().map(|(name, _)| &**name).collect();
        Ok(lists(&self.run.data, &names, &found))
    }

    /// The items most like each of `ids`.
    fn similar_items(&self, py: Python<'_>, ids: Vec<String>, k: usize) -> PyResult<Table> {
        let rows = items(&self.run.data, &ids)?;
        let found = detached(py, |_| self.run.scorer.similar_each(&rows, k))?;
        let names: Vec<&str> = ids.iter().map(|id| &**id).collect();
        Ok(ranked(&names, &found, ["item", "similar"], |i| self.run.data.items.name(i)))
    }

    /// The users most like each of `ids`.
    fn similar_users(&self, py: Python<'_>, ids: Vec<String>, k: usize) -> PyResult<Table> {
        let rows = users(&self.run.data, &ids)?;
        let recommender = self.recommender(py)?;
        let people: Vec<UserHistory> = rows.iter().map(|&u| recommender.history_of(u)).collect();
        let found = detached(py, |_| {
            let vectors = recommender.vectors(&people)?;
            let one = |(vector, &u)| recommender.similar_users(vector, Some(u), k);
            vectors.iter().zip(&rows).map(one).collect::<alike::Result<Vec<_>>>()
        })?;
        let names: Vec<&str> = ids.iter().map(|id| &**id).collect();
        Ok(ranked(&names, &found, ["user", "similar"], |u| self.run.data.users.name(u)))
    }

    /// For each of `ids`, the items of the person's history that carry it.
    fn explain(
        &self,
        py: Python<'_>,
        person: (String, Option<Vec<String>>),
        ids: Vec<String>,
        most: usize,
    ) -> PyResult<Table> {
        let recommender = self.recommender(py)?;
        let rows = items(&self.run.data, &ids)?;
        let people = self.people(recommender, &[person])?;
        let reasons = detached(py, |_| recommender.reasons(&people[0], &rows, most))?;
        let flat = || ids.iter().zip(&reasons).flat_map(|(id, why)| why.iter().map(move |r| (&**id, r)));
        Ok(Table::new(vec![
            ("item", table::texts(flat().map(|(id, _)| id))),
            ("because", table::texts(flat().map(|(_, r)| self.run.data.items.name(r.item)))),
            ("loss", table::floats(flat().map(|(_, r)| r.loss).collect())),
            ("modality", table::texts_or_none(flat().map(|(_, r)| r.modality.as_deref()))),
        ]))
    }

    /// Scores of pairs.
    fn score<'py>(
        &self,
        py: Python<'py>,
        of: Vec<String>,
        for_items: Vec<String>,
    ) -> PyResult<Bound<'py, PyArray1<f32>>> {
        let (rows, columns) = (users(&self.run.data, &of)?, items(&self.run.data, &for_items)?);
        let scores = rows.iter().zip(columns).map(|(&u, i)| self.run.scorer.score(u, i)).collect();
        Ok(PyArray1::from_vec(py, scores))
    }

    /// Metrics, those of groups, and each user's: names of metrics, users, values, and the lists by number.
    fn evaluate<'py>(&self, py: Python<'py>, split: &str, protocol: &str) -> PyResult<Evaluated<'py>> {
        let split: Split = split.parse().map_err(to_python)?;
        let protocol: Protocol = protocol.parse().map_err(to_python)?;
        let (metrics, groups, each, top) = detached(py, |progress| {
            let ranked = self.run.rank(split, protocol, progress)?;
            let (metrics, groups, each) = ranked.evaluated();
            Ok((metrics, groups, each, ranked.top))
        })?;
        let values = PyArray1::from_vec(py, each.values).reshape([each.users.len(), each.names.len()])?;
        let users = each.users.iter().map(|&u| self.run.data.users.name(u).to_string()).collect();
        let [metrics, groups] = [json!(metrics), json!(groups)].map(|value| value.to_string());
        Ok((metrics, groups, each.names, users, values, item_ids(py, &top)?))
    }

    /// Vectors of users, `[U, d]`; `None` for models without.
    fn user_factors<'py>(this: &Bound<'py, Self>) -> Option<Bound<'py, PyAny>> {
        this.get().run.scorer.user_rows().map(|m| view_matrix(this.as_any(), &m.data, m.cols))
    }

    /// Vectors of items, `[I, d]`; `None` for models without.
    fn item_factors<'py>(this: &Bound<'py, Self>) -> Option<Bound<'py, PyAny>> {
        this.get().run.scorer.item_vectors().map(|m| view_matrix(this.as_any(), &m.data, m.cols))
    }
}

impl Model {
    /// People: those with a history are new ones, the others were known to training.
    fn people(
        &self,
        recommender: &Recommender,
        of: &[(String, Option<Vec<String>>)],
    ) -> PyResult<Vec<UserHistory>> {
        let one = |(name, history): &(String, Option<Vec<String>>)| match history {
            Some(taken) => Ok(UserHistory { user: None, history: ascending(items(&self.run.data, taken)?) }),
            None => Ok(recommender.history_of(users(&self.run.data, std::slice::from_ref(name))?[0])),
        };
        of.iter().map(one).collect()
    }
}
