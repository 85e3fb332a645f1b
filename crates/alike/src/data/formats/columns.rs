//! Which column is which: given by name, or guessed from the names that data sets use.

use std::path::Path;

use crate::{Error, Result};

/// Names of the columns of the interactions; what is not given is guessed from usual names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnNames {
    /// Column of user ids.
    pub user: Option<String>,
    /// Column of item ids.
    pub item: Option<String>,
    /// Column of ratings.
    pub rating: Option<String>,
    /// Column of times.
    pub time: Option<String>,
    /// Column of split labels (0 train, 1 valid, 2 test).
    pub label: Option<String>,
}

/// Usual names, in order of preference, written without case, `_`, `-` and blanks.
const USER: &[&str] = &[
    "userid",
    "user",
    "uid",
    "reviewerid",
    "customerid",
    "visitorid",
    "memberid",
    "accountid",
    "customer",
    "visitor",
    "member",
];
const ITEM: &[&str] = &[
    "itemid",
    "item",
    "iid",
    "parentasin",
    "asin",
    "movieid",
    "productid",
    "articleid",
    "videoid",
    "trackid",
    "songid",
    "artistid",
    "bookid",
    "isbn",
    "newsid",
    "businessid",
    "gameid",
    "sku",
    "product",
    "article",
    "movie",
];
const RATING: &[&str] = &["rating", "stars", "score", "overall", "preference"];
const TIME: &[&str] =
    &["timestamp", "unixreviewtime", "time", "datetime", "date", "eventtime", "ts", "createdat"];
const LABEL: &[&str] = &["xlabel", "split", "splitlabel"];
/// Usual names of an item id column in feature files.
pub(crate) const ITEM_IDS: &[&str] = ITEM;

/// Where the columns are, and what they are called.
#[derive(Debug, Clone)]
pub(crate) struct Columns {
    pub(crate) positions: Positions,
    pub(crate) found: Vec<String>,
}

/// Positions in a row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Positions {
    pub(crate) user: usize,
    pub(crate) item: usize,
    pub(crate) rating: Option<usize>,
    pub(crate) time: Option<usize>,
    pub(crate) label: Option<usize>,
}

/// A header name without RecBole's type suffix.
pub(crate) fn plain_name(name: &str) -> &str {
    match name.rsplit_once(':') {
        Some((plain, "token" | "float" | "token_seq" | "float_seq")) => plain,
        _ => name,
    }
}

/// Position of the first of `usual` among `found`, without regard to case, `_`, `-` and blanks.
pub(crate) fn guess(found: &[String], usual: &[&str]) -> Option<usize> {
    let simple = |name: &str| -> String {
        name.chars().filter(|c| !"_- ".contains(*c)).flat_map(char::to_lowercase).collect()
    };
    let found: Vec<String> = found.iter().map(|f| simple(f)).collect();
    usual.iter().map(|u| simple(u)).find_map(|u| found.iter().position(|f| *f == u))
}

/// Position of the column `name`; an error lists the columns.
pub(crate) fn named(path: &Path, found: &[String], name: &str) -> Result<usize> {
    found
        .iter()
        .position(|f| f == plain_name(name))
        .ok_or_else(|| Error::format(path, format!("no column `{name}`; the columns are {}", listed(found))))
}

impl Columns {
    /// Finds the columns among the header names `found`; an error lists them.
    pub(crate) fn find(path: &Path, found: &[String], names: &ColumnNames) -> Result<Self> {
        let one = |what: &str, given: &Option<String>, usual: &[&str]| match given {
            Some(name) => named(path, found, name).map(Some),
            None => Ok(guess(found, usual)).inspect(|at: &Option<usize>| {
                tracing::debug!(column = what, found = ?at.map(|i| &found[i]), "guessed");
            }),
        };
        let needed = |what: &str, at: Option<usize>| {
            at.ok_or_else(|| {
                let message = format!(
                    "no column looks like {what} ids; name one (`--column {what}=NAME`); the columns are {}",
                    listed(found)
                );
                Error::format(path, message)
            })
        };
        let user = needed("user", one("user", &names.user, USER)?)?;
        let item = needed("item", one("item", &names.item, ITEM)?)?;
        if user == item {
            let message = format!("column `{}` cannot hold both users and items", found[user]);
            return Err(Error::format(path, message));
        }
        let positions = Positions {
            user,
            item,
            rating: one("rating", &names.rating, RATING)?,
            time: one("time", &names.time, TIME)?,
            label: one("label", &names.label, LABEL)?,
        };
        Ok(Self { positions, found: found.to_vec() })
    }
}

/// Names for a message: quoted, at most 20.
pub(crate) fn listed(names: &[String]) -> String {
    let mut text: Vec<String> = names.iter().take(20).map(|n| format!("`{n}`")).collect();
    if names.len() > 20 {
        text.push(format!("and {} more", names.len() - 20));
    }
    text.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_names_are_recognised() {
        let found = ["rating", "parent_asin", "user_id", "Timestamp"].map(String::from);
        let columns = Columns::find(Path::new("x"), &found, &ColumnNames::default()).unwrap();
        let at = columns.positions;
        assert_eq!((at.user, at.item, at.rating, at.time, at.label), (2, 1, Some(0), Some(3), None));
    }

    #[test]
    fn a_missing_column_names_the_others() {
        let found = ["a", "b"].map(String::from);
        let names = ColumnNames { user: Some("who".into()), ..Default::default() };
        let text = Columns::find(Path::new("x"), &found, &names).unwrap_err().to_string();
        assert!(text.contains("`who`") && text.contains("`a`, `b`"), "{text}");
        let text = Columns::find(Path::new("x"), &found, &ColumnNames::default()).unwrap_err().to_string();
        assert!(text.contains("`--column user=NAME`") && text.contains("`a`, `b`"), "{text}");
    }
}
