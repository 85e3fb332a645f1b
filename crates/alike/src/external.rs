//! What other programs trained or ranked, read to be evaluated beside what was trained here; a run of such
//! vectors is made by [`keep_external`](crate::train::keep_external).

use std::cell::Cell;
use std::path::Path;

use crate::data::formats::columns::{ColumnNames, Columns, listed};
use crate::data::formats::feature_file::open_pair;
use crate::data::formats::id_text;
use crate::data::formats::matrix::MatrixFile;
use crate::data::formats::row::Place;
use crate::data::formats::table::read_rows;
use crate::data::{Dataset, TextOptions};
use crate::error::{Error, Result};
use crate::ids::Vocab;
use crate::scorer::Matrix;

/// Reads vectors of users, `[U, d]`, and of items, `[I, d]`: a `.npz` or `.safetensors` file with matrices
/// `users` and `items` (or `user_factors` and `item_factors`). Rows go by the ids in `user_ids` and
/// `item_ids` (arrays of the archive, or the file's metadata); without those they are in the order of the
/// data's numbers.
///
/// # Errors
/// The file is something else, a row is missing, or a value is not finite.
pub fn read_vectors(path: &Path, data: &Dataset) -> Result<(Matrix, Matrix)> {
    let names: [(&[&str], &str); 2] =
        [(&["users", "user_factors"], "user_ids"), (&["items", "item_factors"], "item_ids")];
    let [users, items] = open_pair(path, names)?;
    let (users, items) = (in_order(&users, "user", &data.users)?, in_order(&items, "item", &data.items)?);
    if users.cols != items.cols {
        let widths = format!("vectors of users have {} values, those of items {}", users.cols, items.cols);
        return Err(Error::format(path, format!("{widths}; both need the same width")));
    }
    Ok((users, items))
}

/// The rows of `file` in the order of `ids`.
fn in_order(file: &MatrixFile, what: &str, ids: &Vocab) -> Result<Matrix> {
    let mut place = vec![None; ids.len()];
    match &file.ids {
        Some(given) => {
            for (row, name) in given.names.iter().enumerate() {
                if let Some(at) = id_text::find(ids, name) {
                    place[at as usize] = Some(row);
                }
            }
        }
        None if file.rows == ids.len() => place.iter_mut().enumerate().for_each(|(at, p)| *p = Some(at)),
        None => {
            let (have, need) = (file.rows, ids.len());
            let message = format!(
                "has {have} {what} vectors without ids; the data have {need} {what}s: give as many, in their order, or \
                 `{what}_ids`"
            );
            return Err(Error::format(&file.path, message));
        }
    }
    let mut values = vec![0f32; ids.len() * file.dim];
    for (at, out) in values.chunks_exact_mut(file.dim).enumerate() {
        let name = ids.name(at as u32);
        let row = place[at]
            .ok_or_else(|| Error::format(&file.path, format!("has no vector of {what} `{name}`")))?;
        file.row(row, out);
        if out.iter().any(|v| !v.is_finite()) {
            return Err(Error::format(
                &file.path,
                format!("the vector of {what} `{name}` holds NaN or infinity"),
            ));
        }
    }
    Ok(Matrix::new(ids.len(), file.dim, values))
}

/// Lists that another program ranked.
#[derive(Debug, Default)]
pub struct Ranking {
    /// For each user of the data their items, best first.
    pub lists: Vec<Vec<u32>>,
    /// Rows whose user the data do not have.
    pub unknown_users: u64,
    /// Rows whose item the data do not have.
    pub unknown_items: u64,
}

/// Reads lists: a table (delimited text, JSON lines, Parquet) with columns of users and items, in the order
/// of a column `rank`, of falling scores in a column `score`, or of its rows.
///
/// # Errors
/// A column is missing, a rank or score is no number, or no row is of a user and an item of the data.
pub fn read_ranking(path: &Path, data: &Dataset) -> Result<Ranking> {
    let mut lists: Vec<Vec<(f64, u32)>> = vec![Vec::new(); data.users.len()];
    let mut found = Ranking::default();
    // 1 where ranks are given, which rise, -1 for scores, which fall.
    let sign = Cell::new(0.0);
    let mut choose = |names: &[String]| {
        let columns = Columns::find(path, names, &ColumnNames::default())?;
        let at = columns.positions;
        let rank =
            names.iter().position(|name| ["rank", "position"].iter().any(|r| name.eq_ignore_ascii_case(r)));
        sign.set(if rank.is_some() { 1.0 } else { -1.0 });
        Ok([Some(at.user), Some(at.item), rank.or(at.rating)].into_iter().flatten().collect())
    };
    let mut visit = |place: &Place<'_>, cells: &[&str]| {
        let user = id_text::find(&data.users, cells[0]);
        let item = id_text::find(&data.items, cells[1]);
        found.unknown_users += u64::from(user.is_none());
        found.unknown_items += u64::from(item.is_none());
        let key = match cells.get(2) {
            Some(text) => {
                let value = text.trim().parse::<f64>().ok().filter(|v| !v.is_nan());
                let no_number =
                    || place.error(format!("`{text}` is no rank and no score: a number is expected"));
                sign.get() * value.ok_or_else(no_number)?
            }
            // Lists are sorted without changing the order of equal keys.
            None => 0.0,
        };
        if let (Some(user), Some(item)) = (user, item) {
            lists[user as usize].push((key, item));
        }
        Ok(())
    };
    read_rows(path, &TextOptions::default(), false, &mut choose, &mut visit)?;
    if lists.iter().all(Vec::is_empty) {
        let some = |ids: &Vocab| listed(&ids.names().take(3).map(String::from).collect::<Vec<_>>());
        let (users, items) = (some(&data.users), some(&data.items));
        let message =
            format!("no row has a user and an item of the data, whose ids are like {users} and {items}");
        return Err(Error::format(path, message));
    }
    for list in &mut lists {
        // Equal ones stay as the file has them.
        list.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    found.lists = lists.into_iter().map(|list| list.into_iter().map(|(_, item)| item).collect()).collect();
    Ok(found)
}
