//! Items files as text: an id and the wanted columns of every item, from JSON lines, delimited text or Parquet.

use std::io::BufRead;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::data::formats::columns::{ITEM_IDS, guess, listed, named};
use crate::data::formats::id_text::clean;
use crate::data::formats::json::read_objects;
use crate::data::formats::markup;
use crate::data::formats::open::{Table, has_extension, open_table};
use crate::data::formats::options::TextOptions;
use crate::data::formats::table::{Place, read_texts};
use crate::data::prepare::catalogue::{CATEGORY, ID, IMAGE, TITLE, picture, plain};
use crate::disk;
use crate::ids::Vocab;
use crate::{Error, Result};

/// Usual names of a longer text about an item.
const DESCRIPTION: &[&str] = &["description", "overview", "abstract", "summary", "text"];

/// What is read besides the ids.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wanted<'a> {
    /// These columns joined by blanks; none given: title, category and description, those that are there.
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
    /// Rows about an item that stands before.
    pub(crate) repeated: usize,
}

/// Positions of the id and of the wanted columns, and the names of these.
struct Chosen {
    id: usize,
    texts: Vec<usize>,
    names: Vec<String>,
}

/// Collects rows. Of several about one item, as shops write them for sizes and further pictures, the first that has what is
/// wanted counts.
#[derive(Default)]
struct Rows {
    seen: Vocab,
    items: ItemTexts,
}

impl Rows {
    fn add(&mut self, place: &Place<'_>, id: &str, fields: &[&str]) -> Result<()> {
        let id = clean(id);
        if id.is_empty() {
            return Err(place.error("the item id is empty"));
        }
        let fields = fields.iter().map(|f| markup::plain(f.trim())).filter(|f| !f.is_empty());
        let text = fields.collect::<Vec<_>>().join(" ");
        let (at, new) = self.seen.intern(id)?;
        if new {
            self.items.ids.push(id.to_string());
            self.items.texts.push(text);
            return Ok(());
        }
        self.items.repeated += 1;
        let known = &mut self.items.texts[at as usize];
        if known.is_empty() {
            *known = text;
        }
        Ok(())
    }
}

/// Reads the items of `path`. The kind goes by the extension: `.jsonl`, `.parquet`, otherwise delimited text.
/// `id` names the column of ids; otherwise it is guessed.
pub(crate) fn read_item_texts(path: &Path, id: Option<&str>, wanted: Wanted<'_>) -> Result<ItemTexts> {
    let mut rows = Rows::default();
    let options = TextOptions::default();
    let table = open_table(path, &options)?;
    if let Table::Json(input) = table {
        read_json_lines(path, input, id, wanted, &mut rows)?;
    } else {
        let mut columns = Vec::new();
        read_texts(
            path,
            table,
            &options,
            |found| {
                let chosen = choose(path, found, id, wanted)?;
                columns = chosen.names;
                Ok([vec![chosen.id], chosen.texts].concat())
            },
            |line, id, fields| rows.add(&Place { path, line }, id, fields),
        )?;
        rows.items.columns = columns;
    }
    if rows.items.ids.is_empty() {
        return Err(Error::format(path, "holds no items"));
    }
    Ok(rows.items)
}

fn read_json_lines(
    path: &Path,
    input: Box<dyn BufRead>,
    id: Option<&str>,
    wanted: Wanted<'_>,
    rows: &mut Rows,
) -> Result<()> {
    let mut objects = Vec::new();
    let mut found = Vocab::default();
    read_objects(path, input, &mut |place, object| {
        for key in object.keys() {
            found.intern(key)?;
        }
        objects.push((place.line, object));
        Ok(())
    })?;
    let found: Vec<String> = found.names().map(str::to_string).collect();
    let chosen = choose(path, &found, id, wanted)?;
    rows.items.columns = chosen.names;
    for (line, object) in objects {
        let read = if matches!(wanted, Wanted::Image(_)) { picture } else { plain };
        let of = |at: usize, read: fn(&Value) -> String| object.get(&found[at]).map(read).unwrap_or_default();
        let fields: Vec<String> = chosen.texts.iter().map(|&at| of(at, read)).collect();
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        rows.add(&Place { path, line }, &of(chosen.id, plain), &fields)?;
    }
    Ok(())
}

fn choose(path: &Path, found: &[String], id: Option<&str>, wanted: Wanted<'_>) -> Result<Chosen> {
    let missing = |what: &str, flag: &str| {
        let message =
            format!("no column looks like {what}; name one (`{flag}`); the columns are {}", listed(found));
        Error::format(path, message)
    };
    let id = match id {
        Some(name) => named(path, found, name)?,
        None => guess(found, ITEM_IDS)
            .or_else(|| guess(found, ID))
            .ok_or_else(|| missing("item ids", "--id COLUMN"))?,
    };
    let texts = match wanted {
        Wanted::Ids => Vec::new(),
        Wanted::Image(Some(name)) => vec![named(path, found, name)?],
        Wanted::Image(None) => {
            vec![guess(found, IMAGE).ok_or_else(|| missing("pictures", "--images COLUMN"))?]
        }
        Wanted::Texts([]) => {
            let texts = [TITLE, CATEGORY, DESCRIPTION].iter().filter_map(|usual| guess(found, usual));
            let texts: Vec<usize> = texts.filter(|&at| at != id).collect();
            if texts.is_empty() {
                return Err(missing("titles or descriptions", "--text COLUMN"));
            }
            texts
        }
        Wanted::Texts(names) => {
            names.iter().map(|name| named(path, found, name)).collect::<Result<Vec<_>>>()?
        }
    };
    let names = texts.iter().map(|&at| found[at].clone()).collect();
    Ok(Chosen { id, texts, names })
}

/// Kinds of pictures that are read, by the ends of their files' names.
const PICTURES: &[&str] = &["jpg", "jpeg", "png", "webp"];
/// Kinds that are not.
const UNREAD_PICTURES: &[&str] =
    &["gif", "bmp", "tif", "tiff", "avif", "heic", "heif", "svg", "jxl", "ico", "psd"];
/// Ids and paths, by id.
type Pictures = Vec<(String, PathBuf)>;

/// Folders in folders that are looked into.
const DEPTH: usize = 8;

/// The pictures of a folder and its subfolders, by id: what stands before the end of a file's name. Names that start with
/// `.` are passed over, as are links to folders; of pictures of kinds that are not read the second list has ids and paths.
pub(crate) fn pictures_in(folder: &Path) -> Result<(Pictures, Pictures)> {
    let (mut pictures, mut unread) = (Vec::new(), Vec::new());
    collect(folder, 0, &mut |path| {
        let stem = path.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
        let id = clean(stem).to_string();
        if id.is_empty() {
        } else if has_extension(&path, PICTURES) {
            pictures.push((id, path));
        } else if has_extension(&path, UNREAD_PICTURES) {
            unread.push((id, path));
        }
    })?;
    pictures.sort();
    unread.sort();
    if let Some(two) = pictures.windows(2).find(|two| two[0].0 == two[1].0) {
        let name = |at: usize| two[at].1.strip_prefix(folder).unwrap_or(&two[at].1).display();
        let message = format!("item `{}` has two pictures: {} and {}", two[0].0, name(0), name(1));
        return Err(Error::format(folder, message));
    }
    Ok((pictures, unread))
}

fn collect(folder: &Path, depth: usize, found: &mut dyn FnMut(PathBuf)) -> Result<()> {
    for path in disk::files_in(folder)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            if depth < DEPTH && !path.is_symlink() {
                collect(&path, depth + 1, found)?;
            }
        } else {
            found(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, content: &str, wanted: Wanted<'_>) -> Result<ItemTexts> {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join(name);
        std::fs::write(&path, content).unwrap();
        read_item_texts(&path, None, wanted)
    }

    #[test]
    fn the_three_kinds_are_read_alike() {
        let json =
            "{\"item_id\": 7, \"Title\": \" Up \", \"genres\": [\"a\", \"b\"]}\n\n{\"item_id\": \"x\"}\n";
        let items = of("i.jsonl", json, Wanted::Texts(&[])).unwrap();
        assert_eq!(
            (items.ids, items.texts),
            (vec!["7".into(), "x".into()], vec!["Up a, b".into(), String::new()])
        );
        assert_eq!(items.columns, ["Title", "genres"]);
        let csv = "genres,item_id:token,title\n\"a, b\",7,Up\n,x,\n";
        let items = of("i.csv", csv, Wanted::Texts(&[])).unwrap();
        assert_eq!(
            (items.ids, items.texts),
            (vec!["7".into(), "x".into()], vec!["Up a, b".into(), String::new()])
        );
        let named = ["genres".to_string()];
        assert_eq!(of("i.csv", csv, Wanted::Texts(&named)).unwrap().texts, ["a, b", ""]);
        let image = "itemID\timage_url\n1\ta.jpg\n";
        assert_eq!(of("i.tsv", image, Wanted::Image(None)).unwrap().texts, ["a.jpg"]);
        assert_eq!(of("i.tsv", image, Wanted::Ids).unwrap().texts, [""]);
    }

    #[test]
    fn of_several_rows_about_an_item_the_first_with_a_text_counts() {
        let named = ["body".to_string()];
        let csv = "id,body\n1,\n2,<p>oak</p>\n1,red<br>shirt\n2,elm\n";
        let items = of("i.csv", csv, Wanted::Texts(&named)).unwrap();
        assert_eq!((items.texts, items.repeated), (vec!["red shirt".into(), "oak".into()], 2));
    }

    #[test]
    fn pictures_are_found_in_subfolders_and_by_kind() {
        let base = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(base.path().join("red/small")).unwrap();
        for name in ["a.jpg", ".hidden.png", "red/b.PNG", "red/small/c.webp", "d.gif", "notes.txt"] {
            std::fs::write(base.path().join(name), "x").unwrap();
        }
        let ids = |list: Vec<(String, PathBuf)>| list.into_iter().map(|(id, _)| id).collect::<Vec<_>>();
        let (read, unread) = pictures_in(base.path()).unwrap();
        assert_eq!(
            (ids(read), ids(unread)),
            (vec!["a".into(), "b".into(), "c".into()], vec!["d".to_string()])
        );
        std::fs::write(base.path().join("red/a.png"), "x").unwrap();
        let text = pictures_in(base.path()).unwrap_err().to_string();
        assert!(text.contains("item `a` has two pictures: a.jpg and red/a.png"), "{text}");
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let says = |name: &str, content: &str, wanted| of(name, content, wanted).unwrap_err().to_string();
        let none = ["plot".to_string()];
        let text = says("i.csv", "id,title\n1,a\n", Wanted::Texts(&none));
        assert!(text.contains("no column `plot`; the columns are `id`, `title`"), "{text}");
        let text = says("i.csv", "a,b\n1,a\n", Wanted::Ids);
        assert!(text.contains("--id COLUMN"), "{text}");
        let text = says("i.jsonl", "{\"id\": 1}\n", Wanted::Texts(&[]));
        assert!(text.contains("--text COLUMN"), "{text}");
        let text = says("i.jsonl", "{\"id\": 1, \"title\": 2}\n[1]\n", Wanted::Ids);
        assert!(text.contains("i.jsonl:2: is no JSON object"), "{text}");
        let text = says("i.csv", "id,title\n,a\n", Wanted::Ids);
        assert!(text.contains("i.csv:2: the item id is empty"), "{text}");
        assert!(says("i.csv", "id,title\n", Wanted::Ids).contains("holds no items"));
    }
}
