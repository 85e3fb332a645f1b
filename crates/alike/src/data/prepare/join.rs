//! Features and given neighbours joined to the items by their ids.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::data::formats::columns::listed;
use crate::data::formats::feature_file::ID_ARRAYS;
use crate::data::formats::id_text::find;
use crate::data::formats::matrix::{Ids, MatrixFile};
use crate::data::formats::npy::{self, Npy};
use crate::data::prepare::missing::Without;
use crate::data::prepare::report::{FeatureReport, KnnReport};
use crate::ids::{Vocab, plain_integer};
use crate::{Error, Result};

/// The items that stay, and how the file of interactions knew them.
pub(crate) struct Items<'a> {
    /// All items of the file, before anything was dropped.
    pub(crate) all: &'a Vocab,
    /// For each of `all` its number in the prepared data, or `u32::MAX`.
    pub(crate) number: &'a [u32],
    /// For each item of the prepared data its place in `all`.
    pub(crate) origin: &'a [u32],
    /// True when the names of `all` are exactly the integers `0..all.len()`.
    pub(crate) integers: bool,
}

const NONE: u32 = u32::MAX;
/// Where less than one item in so many is known to a file, its ids are probably not those of the
/// interactions.
pub(crate) const FEW: usize = 10;

impl Items<'_> {
    fn len(&self) -> usize {
        self.origin.len()
    }

    fn name(&self, item: usize) -> &str {
        self.all.name(self.origin[item])
    }

    /// An error unless the item ids are exactly the integers below `rows`.
    fn check_row_is_id(&self, path: &Path, rows: usize) -> Result<()> {
        if self.integers && rows == self.all.len() {
            return Ok(());
        }
        let largest = self.all.largest_integer();
        let message = match (self.integers, largest) {
            (true, _) => {
                format!("has {rows} rows without ids, but the interactions name {} items", self.all.len())
            }
            (false, Some(largest)) => format!(
                "has {rows} rows without ids, but the item ids of the interactions go up to {largest}, so that \
                 row = id would take {} rows; give a file of ids, one per line (`--feature-ids NAME=FILE`)",
                largest + 1
            ),
            (false, None) => {
                let strange = self.all.names().find(|n| plain_integer(n.as_bytes()).is_none());
                format!(
                    "has no item ids, and those of the interactions are not all integers (one is `{}`): give a \
                     file of ids, one per line (`--feature-ids NAME=FILE`)",
                    strange.unwrap_or_default()
                )
            }
        };
        Err(Error::format(path, message))
    }

    /// For each row of a file the item it describes, or `NONE`; an error if it describes none at all.
    fn of_rows(&self, path: &Path, rows: usize, ids: Option<&Ids>) -> Result<RowItems> {
        let Some(ids) = ids else {
            self.check_row_is_id(path, rows)?;
            let mut items = vec![NONE; rows];
            for (all, &item) in self.number.iter().enumerate() {
                let row = plain_integer(self.all.name(all as u32).as_bytes());
                items[row.expect("all names are integers below the number of items")] = item;
            }
            return Ok(RowItems { items, without: Without::default() });
        };
        let mut without = Without::default();
        let mut seen = Vocab::default();
        let mut items = Vec::with_capacity(rows);
        let mut row_of = vec![NONE; self.len()];
        for (row, name) in ids.names.iter().enumerate() {
            if without.check(name) {
                items.push(NONE);
                continue;
            }
            if !seen.intern(name)?.1 {
                let first = seen.get(name).expect("the name is known") as usize + 1;
                let message =
                    format!("{}: item id `{name}` in row {first} and in row {}", ids.origin, row + 1);
                return Err(Error::format(path, message));
            }
            let item = find(self.all, name).map_or(NONE, |all| self.number[all as usize]);
            if let Some(before) = row_of.get_mut(item as usize) {
                // Not the same text, but the same item: `21` and `21.0`.
                if *before != NONE {
                    let message = format!(
                        "{}: rows {} and {} are both of item `{}`",
                        ids.origin,
                        *before + 1,
                        row + 1,
                        self.name(item as usize)
                    );
                    return Err(Error::format(path, message));
                }
                *before = row as u32;
            }
            items.push(item);
        }
        if items.iter().all(|&item| item == NONE) {
            return Err(Error::format(path, "none of its item ids is an item of the interactions"));
        }
        Ok(RowItems { items, without })
    }
}

/// The items of the rows of a file.
struct RowItems {
    /// For each row its item, or `NONE`.
    items: Vec<u32>,
    /// Rows without an id.
    without: Without,
}

impl RowItems {
    /// Number of rows that describe an item of the data.
    fn known(&self) -> usize {
        self.items.iter().filter(|&&item| item != NONE).count()
    }

    /// What is to be said of the rows of `what`, a file for `count` items.
    fn notes(&self, what: &str, count: usize) -> Vec<String> {
        let known = self.known();
        let few = (known * FEW < count).then(|| format!("{what}: only {known} of {count} items have a row"));
        few.into_iter().chain(self.without.note().map(|note| format!("{what}: {note}"))).collect()
    }
}

/// Features joined to the items, as far as they are not written yet.
pub(crate) struct JoinedFeatures {
    pub(crate) report: FeatureReport,
    /// Which items have none: no row, or only zeros.
    pub(crate) missing: Vec<bool>,
    pub(crate) notes: Vec<String>,
}

/// Writes the features of all items, row after row as little-endian f32, zeros where an item has none.
pub(crate) fn write_features(
    name: &str,
    matrix: &MatrixFile,
    items: &Items<'_>,
    out: &mut impl Write,
    failed: impl Fn(std::io::Error) -> Error,
) -> Result<JoinedFeatures> {
    let of_rows = items.of_rows(&matrix.path, matrix.rows, matrix.ids.as_ref())?;
    let mut row_of = vec![NONE; items.len()];
    for (row, &item) in of_rows.items.iter().enumerate() {
        if item != NONE {
            row_of[item as usize] = row as u32;
        }
    }
    let mut missing = vec![false; items.len()];
    let mut values = vec![0f32; matrix.dim];
    let (mut no_row, mut all_zero) = (0, 0);
    for item in 0..items.len() {
        match row_of[item] {
            NONE => {
                values.fill(0.0);
                missing[item] = true;
                no_row += 1;
            }
            row => {
                matrix.row(row as usize, &mut values);
                if let Some(bad) = values.iter().find(|v| !v.is_finite()) {
                    let id = items.name(item);
                    let message =
                        format!("row {} (item `{id}`) holds {bad}; finite values are expected", row + 1);
                    return Err(Error::format(&matrix.path, message));
                }
                missing[item] = values.iter().all(|&v| v == 0.0);
                all_zero += usize::from(missing[item]);
            }
        }
        out.write_all(bytemuck::cast_slice(&values)).map_err(&failed)?;
    }
    // Rows without an id are told apart.
    let unused_rows = of_rows.items.len() - of_rows.known() - of_rows.without.count() as usize;
    let report = FeatureReport {
        name: name.to_string(),
        dim: matrix.dim,
        missing: no_row + all_zero,
        no_row,
        all_zero,
        unused_rows,
    };
    let notes = of_rows.notes(&format!("features {name}"), items.len());
    Ok(JoinedFeatures { report, missing, notes })
}

/// Neighbours joined to the items.
#[derive(Debug)]
pub(crate) struct JoinedNeighbors {
    /// `[I, k]`, `u32::MAX` where there is none.
    pub(crate) idx: Vec<u32>,
    /// `[I, k]`, 0 where there is none.
    pub(crate) cos: Vec<f32>,
    pub(crate) report: KnnReport,
    pub(crate) notes: Vec<String>,
}

/// A given graph as it is in its file.
pub(crate) struct Graph {
    path: PathBuf,
    idx: Npy,
    cos: Npy,
    ids: Option<Ids>,
}

impl Graph {
    /// Reads `idx` and `cos`, `[rows, k]` each, and optionally ids of the rows.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let bad = |message: String| Error::format(path, message);
        let mut archive = npy::open_npz(path)?;
        let found = listed(&archive.names());
        let mut matrix = |name: &str| match archive.take(name) {
            Some(array) => array.and_then(|a| match a.shape.len() {
                2 => Ok(a),
                _ => Err(bad(format!("array `{name}` has the shape {:?}; rows by k is expected", a.shape))),
            }),
            None => Err(bad(format!("no array `{name}`; the arrays are {found}"))),
        };
        let (idx, cos) = (matrix("idx")?, matrix("cos")?);
        if idx.shape != cos.shape {
            return Err(bad(format!("`idx` has the shape {:?}, `cos` {:?}", idx.shape, cos.shape)));
        }
        let integers = matches!(idx.kind, 'i' | 'u') && matches!(idx.size, 1 | 2 | 4 | 8);
        if !integers || cos.kind != 'f' || !matches!(cos.size, 2 | 4 | 8) {
            let (idx, cos) = (idx.type_name(), cos.type_name());
            return Err(bad(format!("`idx` holds {idx} and `cos` {cos}; integers and floats are expected")));
        }
        let rows = idx.shape[0];
        if idx.shape[1] == 0 {
            return Err(bad("`idx` has no column".into()));
        }
        let mut ids = None;
        for name in ID_ARRAYS {
            if let Some(array) = archive.take(name) {
                ids = Some(Ids::of_array(path, name, &array?, rows)?);
            }
        }
        Ok(Self { path: path.to_path_buf(), idx, cos, ids })
    }

    /// Number of rows when they have no ids.
    pub(crate) fn bare_rows(&self) -> Option<usize> {
        self.ids.is_none().then_some(self.idx.shape[0])
    }

    /// Joins the rows to the items.
    pub(crate) fn join(&self, name: &str, items: &Items<'_>) -> Result<JoinedNeighbors> {
        let bad = |message: String| Error::format(&self.path, message);
        let (rows, k) = (self.idx.shape[0], self.idx.shape[1]);
        let of_rows = items.of_rows(&self.path, rows, self.ids.as_ref())?;
        let mut idx = vec![NONE; items.len() * k];
        let mut cos = vec![0f32; items.len() * k];
        let mut dropped_neighbors = 0;
        let mut without = vec![true; items.len()];
        for (row, &item) in of_rows.items.iter().enumerate() {
            if item == NONE {
                continue;
            }
            // Neighbours that are left keep their order and move to the front.
            let mut to = item as usize * k;
            for c in 0..k {
                // Unsigned numbers beyond `i64` are out of range too.
                let neighbor = self.idx.integer_at(row, c).unwrap_or(i64::MAX);
                if neighbor < 0 {
                    continue;
                }
                let Some(&other) = of_rows.items.get(neighbor as usize) else {
                    let message = format!(
                        "row {} of `idx` holds {neighbor}; its {rows} rows are named 0 to {}",
                        row + 1,
                        rows - 1
                    );
                    return Err(bad(message));
                };
                let value = self.cos.float_at(row, c).filter(|v| v.is_finite());
                let value = value.ok_or_else(|| {
                    let id = items.name(item as usize);
                    bad(format!("row {} (item `{id}`) of `cos` is not finite", row + 1))
                })?;
                if other == NONE {
                    dropped_neighbors += 1;
                    continue;
                }
                (idx[to], cos[to]) = (other, value);
                to += 1;
                without[item as usize] = false;
            }
        }
        let missing = without.iter().filter(|w| **w).count();
        let report = KnnReport { name: name.to_string(), k, missing, dropped_neighbors };
        let notes = of_rows.notes(&format!("neighbours {name}"), items.len());
        Ok(JoinedNeighbors { idx, cos, report, notes })
    }
}
