//! Items files as text: an id and the wanted columns of every item.

use std::path::Path;

use crate::data::formats::columns::{AUTHOR, CATEGORY, DESCRIPTION, IMAGE, TITLE, listed};
use crate::data::formats::options::TextOptions;
use crate::data::prepare::items_file::{Field, Holds, read_items};
use crate::ids::Vocab;
use crate::{Error, Result};

/// What is read beside the ids.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ItemContent<'a> {
    /// These columns joined by blanks; none given: title, category, author and description, those that are
    /// there.
    Texts(&'a [String]),
    /// The column of pictures' paths, guessed if not given.
    Image(Option<&'a str>),
    /// Nothing.
    Ids,
}

/// Items in file order.
#[derive(Debug, Default)]
pub(crate) struct ItemTexts {
    /// Ids, none twice.
    pub(crate) ids: Vec<String>,
    /// What was wanted of each item; empty where the file has nothing.
    pub(crate) texts: Vec<String>,
    /// The columns that `texts` come from.
    pub(crate) columns: Vec<String>,
    /// Rows about an item of an earlier row.
    pub(crate) repeated: usize,
    /// What is good to know of the file.
    pub(crate) notes: Vec<String>,
}

impl<'a> ItemContent<'a> {
    fn fields(self) -> Vec<Field<'a>> {
        let text = |name, usual| Field { holds: Holds::Text, name, usual, optional: false };
        match self {
            Self::Ids => Vec::new(),
            Self::Image(name) => vec![Field { holds: Holds::Picture, name, usual: IMAGE, optional: false }],
            Self::Texts([]) => [TITLE, CATEGORY, AUTHOR, DESCRIPTION].map(|usual| text(None, usual)).into(),
            Self::Texts(names) => names.iter().map(|name| text(Some(name), &[])).collect(),
        }
    }

    /// What its columns look like, and the flag that names one.
    fn names_in_errors(self) -> (&'static str, &'static str) {
        match self {
            Self::Image(_) => ("pictures", "--images COLUMN"),
            _ => ("titles or descriptions", "--text COLUMN"),
        }
    }
}

/// Reads the items of `path`; `id` names the column of ids, otherwise it is guessed. Of several rows about
/// one item, as shops write them for sizes and further pictures, the first that has what is wanted counts.
pub(crate) fn read_item_texts(
    path: &Path,
    options: &TextOptions,
    id: Option<&str>,
    wanted: ItemContent<'_>,
) -> Result<ItemTexts> {
    let mut items = ItemTexts::default();
    let mut seen = Vocab::default();
    let fields = wanted.fields();
    let found = read_items(path, options, id, &fields, &mut |_, id, texts| {
        let texts: Vec<String> = texts.into_iter().filter(|text| !text.is_empty()).collect();
        let text = texts.join(" ");
        let (at, new) = seen.intern(id)?;
        if new {
            items.ids.push(id.to_string());
            items.texts.push(text);
            return Ok(());
        }
        items.repeated += 1;
        let known = &mut items.texts[at as usize];
        if known.is_empty() {
            *known = text;
        }
        Ok(())
    })?;
    if !fields.is_empty() && !found.has_column.contains(&true) && !found.names.is_empty() {
        let ((what, flag), found) = (wanted.names_in_errors(), listed(&found.names));
        let message = format!("no column looks like {what}; name one (`{flag}`); the columns are {found}");
        return Err(Error::format(path, message));
    }
    items.notes = found.notes();
    if items.ids.is_empty() {
        let notes: String = items.notes.iter().map(|note| format!("; {note}")).collect();
        return Err(Error::format(path, format!("holds no items{notes}")));
    }
    items.columns = found.used.concat();
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_content(name: &str, content: &str, wanted: ItemContent<'_>) -> Result<ItemTexts> {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join(name);
        std::fs::write(&path, content).unwrap();
        read_item_texts(&path, &TextOptions::default(), None, wanted)
    }

    #[test]
    fn the_three_kinds_are_read_alike() {
        let json =
            "{\"item_id\": 7, \"Title\": \" Up \", \"genres\": [\"a\", \"b\"]}\n\n{\"item_id\": \"x\"}\n";
        let items = read_content("i.jsonl", json, ItemContent::Texts(&[])).unwrap();
        assert_eq!(
            (items.ids, items.texts),
            (vec!["7".into(), "x".into()], vec!["Up a, b".into(), String::new()])
        );
        assert_eq!(items.columns, ["Title", "genres"]);
        let csv = "genres,item_id:token,title\n\"a, b\",7,Up\n,x,\n";
        let items = read_content("i.csv", csv, ItemContent::Texts(&[])).unwrap();
        assert_eq!(
            (items.ids, items.texts),
            (vec!["7".into(), "x".into()], vec!["Up a, b".into(), String::new()])
        );
        let named = ["genres".to_string()];
        assert_eq!(read_content("i.csv", csv, ItemContent::Texts(&named)).unwrap().texts, ["a, b", ""]);
        let image = "itemID\timage_url\n1\ta.jpg\n";
        assert_eq!(read_content("i.tsv", image, ItemContent::Image(None)).unwrap().texts, ["a.jpg"]);
        assert_eq!(read_content("i.tsv", image, ItemContent::Ids).unwrap().texts, [""]);
    }

    #[test]
    fn of_several_rows_about_an_item_the_first_with_a_text_counts() {
        let named = ["body".to_string()];
        let csv = "id,body\n1,\n2,<p>oak</p>\n1,red<br>shirt\n2,elm\n";
        let items = read_content("i.csv", csv, ItemContent::Texts(&named)).unwrap();
        assert_eq!((items.texts, items.repeated), (vec!["red shirt".into(), "oak".into()], 2));
    }

    #[test]
    fn rows_without_an_id_are_left_out_and_counted() {
        let json = "{\"id\": null, \"title\": \"a\"}\n{\"id\": \"NaN\", \"title\": \"b\"}\n{\"id\": 0, \"title\": \"c\"}\n";
        for (name, content) in [("i.csv", "id,title\n,a\nNaN,b\n0,c\n"), ("i.jsonl", json)] {
            let items = read_content(name, content, ItemContent::Texts(&[])).unwrap();
            assert_eq!((items.ids, items.texts), (vec!["0".to_string()], vec!["c".to_string()]));
            assert_eq!(items.notes, ["2 rows have no item id (1 empty, 1 `NaN`): left out"]);
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let says =
            |name: &str, content: &str, wanted| read_content(name, content, wanted).unwrap_err().to_string();
        let none = ["plot".to_string()];
        let text = says("i.csv", "id,title\n1,a\n", ItemContent::Texts(&none));
        assert!(text.contains("no column `plot`; the columns are `id`, `title`"), "{text}");
        let text = says("i.csv", "a,b\n1,a\n", ItemContent::Ids);
        assert!(text.contains("--id COLUMN"), "{text}");
        let text = says("i.jsonl", "{\"id\": 1}\n", ItemContent::Texts(&[]));
        assert!(text.contains("--text COLUMN"), "{text}");
        let text = says("i.jsonl", "{\"id\": 1, \"title\": 2}\n[1]\n", ItemContent::Ids);
        assert!(text.contains("i.jsonl:2: is no JSON object"), "{text}");
        let text = says("i.csv", "id,title\n,a\nnan,b\n", ItemContent::Ids);
        assert!(
            text.contains("holds no items; 2 rows have no item id (1 empty, 1 `nan`): left out"),
            "{text}"
        );
        assert!(says("i.csv", "id,title\n", ItemContent::Ids).contains("holds no items"));
    }
}
