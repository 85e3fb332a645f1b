//! Which column is which: given by name, or guessed from the names that data sets use.

use std::path::Path;

use crate::{Error, Result};

/// Which column holds something.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Column {
    /// The first with a usual name, if there is one.
    #[default]
    Guessed,
    /// The one of this name.
    Named(String),
    /// None, whatever the columns are called.
    LeftOut,
}

impl From<&str> for Column {
    fn from(name: &str) -> Self {
        Self::Named(name.into())
    }
}

/// Columns of the interactions; what is not given is guessed from usual names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnNames {
    /// User ids.
    pub user: Column,
    /// Item ids.
    pub item: Column,
    /// Ratings.
    pub rating: Column,
    /// Times.
    pub time: Column,
    /// Split labels (0 train, 1 valid, 2 test).
    pub label: Column,
    /// Kinds of events, such as view and purchase.
    pub event: Column,
}

/// Usual names, in order of preference, written as [`simple`] leaves them.
pub(crate) const USER: &[&str] = &[
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
    "userpseudoid",
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
    "lineitemsku",
];
const RATING: &[&str] = &["rating", "stars", "score", "overall", "preference", "bookrating"];
/// Usual names of a time.
pub(crate) const TIME: &[&str] = &[
    "timestamp",
    "unixreviewtime",
    "time",
    "datetime",
    "date",
    "eventtime",
    "ts",
    "createdat",
    "eventtimestamp",
];
const LABEL: &[&str] = &["xlabel", "split", "splitlabel"];
const EVENT: &[&str] = &[
    "event",
    "eventtype",
    "eventname",
    "action",
    "actiontype",
    "behavior",
    "behaviortype",
    "interactiontype",
];
/// Usual names of an item id column in feature files.
pub(crate) const ITEM_IDS: &[&str] = ITEM;
/// Usual names of an item's id in a catalogue, where none of [`ITEM_IDS`] is there.
pub(crate) const CATALOGUE_ID: &[&str] = &["id", "handle"];
/// Usual names of an item's title.
pub(crate) const TITLE: &[&str] =
    &["title", "name", "booktitle", "movietitle", "producttitle", "productname", "itemname", "keywords"];
/// Usual names of its picture, large ones first.
pub(crate) const IMAGE: &[&str] = &[
    "image",
    "imageurl",
    "imurl",
    "img",
    "imagesrc",
    "imagelink",
    "images",
    "picture",
    "photo",
    "imageurll",
    "imageurlm",
    "imageurls",
];
/// Usual names of its category.
pub(crate) const CATEGORY: &[&str] = &[
    "genres",
    "genre",
    "categories",
    "category",
    "producttype",
    "productcategory",
    "googleproductcategory",
    "type",
];
/// Usual names of who made it.
pub(crate) const AUTHOR: &[&str] = &["author", "authors", "bookauthor"];
/// Usual names of a longer text about it.
pub(crate) const DESCRIPTION: &[&str] = &[
    "description",
    "bodyhtml",
    "overview",
    "abstract",
    "summary",
    "shortdescription",
    "productdescription",
    "text",
];

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
    pub(crate) event: Option<usize>,
}

/// A header name without RecBole's type suffix and without the namespace of Google's product feeds.
pub(crate) fn plain_name(name: &str) -> &str {
    let name = name.strip_prefix("g:").unwrap_or(name);
    match name.rsplit_once(':') {
        Some((plain, "token" | "float" | "token_seq" | "float_seq")) => plain,
        _ => name,
    }
}

/// A name as it is compared: its letters and digits, in lower case.
fn simple(name: &str) -> String {
    plain_name(name).chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Position of the first of `usual` among `found`, by letters and digits alone.
pub(crate) fn guess(found: &[String], usual: &[&str]) -> Option<usize> {
    guesses(found, usual).next()
}

/// Positions of all of `usual` among `found`, in the order of `usual`.
pub(crate) fn guesses(found: &[String], usual: &[&str]) -> impl Iterator<Item = usize> {
    let found: Vec<String> = found.iter().map(|f| simple(f)).collect();
    usual.iter().filter_map(move |u| found.iter().position(|f| f == u))
}

/// True for a name that columns usually have.
pub(crate) fn is_usual_name(name: &str) -> bool {
    let name = simple(name);
    let interactions = [USER, ITEM, RATING, TIME, LABEL, EVENT];
    let catalogue = [CATALOGUE_ID, TITLE, IMAGE, CATEGORY, AUTHOR, DESCRIPTION];
    interactions.iter().chain(&catalogue).any(|usual| usual.contains(&name.as_str()))
}

/// Position of the column `name`; an error lists the columns.
pub(crate) fn named(path: &Path, found: &[String], name: &str) -> Result<usize> {
    position(found, name).ok_or_else(|| no_column(path, found, name))
}

/// The error of a file without the column `name`.
pub(crate) fn no_column(path: &Path, found: &[String], name: &str) -> Error {
    Error::format(path, format!("no column `{name}`; the columns are {}", listed(found)))
}

/// Position of the column `name`, which headers of text have lost a suffix of.
pub(crate) fn position(found: &[String], name: &str) -> Option<usize> {
    found.iter().position(|f| f == name).or_else(|| found.iter().position(|f| f == plain_name(name)))
}

impl Columns {
    /// Finds the columns among the header names `found`; an error lists them.
    pub(crate) fn find(path: &Path, found: &[String], names: &ColumnNames) -> Result<Self> {
        let one = |what: &str, given: &Column, usual: &[&str]| {
            let at = match given {
                Column::LeftOut => None,
                Column::Named(name) => Some(named(path, found, name)?),
                Column::Guessed => guess(found, usual),
            };
            // Two columns of one name, or of names that differ in case only: which is meant is not ours to
            // say.
            let same = |at: usize, i: usize| match given {
                Column::Guessed => simple(&found[i]) == simple(&found[at]),
                _ => found[i] == found[at],
            };
            let other = at.and_then(|at| (0..found.len()).find(|&i| i != at && same(at, i)));
            if let (Some(at), Some(other)) = (at, other) {
                let message = match found[at] == found[other] {
                    true => format!(
                        "two columns are called `{}` ({} and {}); rename one",
                        found[at],
                        at + 1,
                        other + 1
                    ),
                    false => format!(
                        "the columns `{}` and `{}` both look like {what}; name one (`--column {what}=NAME`)",
                        found[at], found[other]
                    ),
                };
                return Err(Error::format(path, message));
            }
            Ok(at)
        };
        let needed = |what: &str, given: &Column, usual: &[&str]| -> Result<usize> {
            one(what, given, usual)?.ok_or_else(|| {
                let message = format!(
                    "no column looks like {what} ids; name one (`--column {what}=NAME`); the columns are {}",
                    listed(found)
                );
                Error::format(path, message)
            })
        };
        let user = needed("user", &names.user, USER)?;
        let item = needed("item", &names.item, ITEM)?;
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
            event: one("event", &names.event, EVENT)?,
        };
        Ok(Self { positions, found: found.to_vec() })
    }

    /// What each column is taken for, in the order of the roles.
    pub(crate) fn roles(&self) -> [(&'static str, Option<usize>); 6] {
        let at = self.positions;
        [
            ("user", Some(at.user)),
            ("item", Some(at.item)),
            ("rating", at.rating),
            ("time", at.time),
            ("label", at.label),
            ("event", at.event),
        ]
    }

    /// Name of a column.
    pub(crate) fn name(&self, at: usize) -> &str {
        &self.found[at]
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
    fn names_are_known_however_they_are_spelt() {
        let cases = [
            (TITLE, "Book-Title"),
            (IMAGE, "Image-URL-L"),
            (DESCRIPTION, "Body (HTML)"),
            (DESCRIPTION, "Short description"),
            (IMAGE, "g:image_link"),
            (CATEGORY, "google_product_category"),
            (CATALOGUE_ID, "g:id"),
            (AUTHOR, "Book Author"),
            (ITEM, "Product-ID"),
        ];
        for (usual, name) in cases {
            assert_eq!(guess(&["x".into(), name.into()], usual), Some(1), "{name}");
        }
        let sizes = ["Image-URL-S", "Image-URL-M", "Image-URL-L"].map(String::from);
        assert_eq!(guesses(&sizes, IMAGE).collect::<Vec<_>>(), [2, 1, 0]);
        for usual in [
            USER,
            ITEM,
            RATING,
            TIME,
            LABEL,
            EVENT,
            CATALOGUE_ID,
            TITLE,
            IMAGE,
            CATEGORY,
            AUTHOR,
            DESCRIPTION,
        ] {
            assert!(usual.iter().all(|name| simple(name) == *name), "{usual:?}");
        }
    }

    #[test]
    fn of_two_columns_of_one_name_none_is_taken() {
        let find = |found: &[&str]| {
            let found: Vec<String> = found.iter().map(|f| f.to_string()).collect();
            Columns::find(Path::new("x"), &found, &ColumnNames::default()).map(|c| c.positions)
        };
        let text = find(&["user", "item_id", "item_id"]).unwrap_err().to_string();
        assert!(text.contains("two columns are called `item_id` (2 and 3)"), "{text}");
        let text = find(&["user", "itemID", "item_id"]).unwrap_err().to_string();
        assert!(
            text.contains("`itemID` and `item_id` both") && text.contains("--column item=NAME"),
            "{text}"
        );
        assert_eq!(find(&["user", "item_id", "price", "price"]).unwrap().item, 1);
    }

    #[test]
    fn a_column_may_be_left_out() {
        let found = ["user", "item", "time"].map(String::from);
        let names = ColumnNames { time: Column::LeftOut, ..Default::default() };
        assert_eq!(Columns::find(Path::new("x"), &found, &names).unwrap().positions.time, None);
    }

    #[test]
    fn a_missing_column_names_the_others() {
        let found = ["a", "b"].map(String::from);
        let names = ColumnNames { user: "who".into(), ..Default::default() };
        let text = Columns::find(Path::new("x"), &found, &names).unwrap_err().to_string();
        assert!(text.contains("`who`") && text.contains("`a`, `b`"), "{text}");
        let text = Columns::find(Path::new("x"), &found, &ColumnNames::default()).unwrap_err().to_string();
        assert!(text.contains("`--column user=NAME`") && text.contains("`a`, `b`"), "{text}");
    }
}
