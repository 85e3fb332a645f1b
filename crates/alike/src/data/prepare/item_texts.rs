//! Items files as text: an id and the wanted columns of every item, from JSON lines, delimited text or Parquet.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::data::folder::read;
use crate::data::formats::columns::{ITEM_IDS, guess, listed, named};
use crate::data::formats::table::{has_extension, is_json_lines, read_texts};
use crate::data::prepare::catalogue::{CATEGORY, ID, IMAGE, TITLE, plain};
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
}

/// Positions of the id and of the wanted columns, and the names of these.
struct Chosen {
    id: usize,
    texts: Vec<usize>,
    names: Vec<String>,
}

/// Collects rows and refuses repeated ids.
struct Rows<'a> {
    path: &'a Path,
    seen: Vocab,
    lines: Vec<u64>,
    items: ItemTexts,
}

impl Rows<'_> {
    fn add(&mut self, line: u64, id: &str, fields: &[&str]) -> Result<()> {
        if id.is_empty() {
            return Err(Error::format_at(self.path, line, "the item id is empty"));
        }
        let (at, new) = self.seen.intern(id)?;
        if !new {
            let message =
                format!("item id `{id}` is in line {} too; each item once", self.lines[at as usize]);
            return Err(Error::format_at(self.path, line, message));
        }
        self.lines.push(line);
        self.items.ids.push(id.to_string());
        let fields = fields.iter().map(|f| f.trim()).filter(|f| !f.is_empty());
        self.items.texts.push(fields.collect::<Vec<_>>().join(" "));
        Ok(())
    }
}

/// Reads the items of `path`. The kind goes by the extension: `.jsonl`, `.parquet`, otherwise delimited text.
/// `id` names the column of ids; otherwise it is guessed.
pub(crate) fn read_item_texts(path: &Path, id: Option<&str>, wanted: Wanted<'_>) -> Result<ItemTexts> {
    let mut rows = Rows { path, seen: Vocab::default(), lines: Vec::new(), items: ItemTexts::default() };
    if is_json_lines(path) {
        read_json_lines(path, id, wanted, &mut rows)?;
    } else {
        let mut columns = Vec::new();
        read_texts(
            path,
            |found| {
                let chosen = choose(path, found, id, wanted)?;
                columns = chosen.names;
                Ok([vec![chosen.id], chosen.texts].concat())
            },
            |line, id, fields| rows.add(line, id, fields),
        )?;
        rows.items.columns = columns;
    }
    if rows.items.ids.is_empty() {
        return Err(Error::format(path, "holds no items"));
    }
    Ok(rows.items)
}

fn read_json_lines(path: &Path, id: Option<&str>, wanted: Wanted<'_>, rows: &mut Rows<'_>) -> Result<()> {
    let content = read::text(path)?;
    let mut objects = Vec::new();
    let mut found = Vocab::default();
    for (at, line) in content.lines().enumerate() {
        let number = at as u64 + 1;
        if line.trim().is_empty() {
            continue;
        }
        let object: serde_json::Map<String, Value> = serde_json::from_str(line)
            .map_err(|e| Error::format_at(path, number, format!("is no JSON object: {e}")))?;
        for key in object.keys() {
            found.intern(key)?;
        }
        objects.push((number, object));
    }
    let found: Vec<String> = found.names().map(str::to_string).collect();
    let chosen = choose(rows.path, &found, id, wanted)?;
    rows.items.columns = chosen.names;
    for (line, object) in objects {
        let text = |at: usize| object.get(&found[at]).map(plain).unwrap_or_default();
        let fields: Vec<String> = chosen.texts.iter().map(|&at| text(at)).collect();
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        rows.add(line, &text(chosen.id), &fields)?;
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

/// The pictures of a folder by name: what stands before the extension is the item's id.
pub(crate) fn pictures_in(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let mut pictures: Vec<(String, PathBuf)> = Vec::new();
    for path in read::files_in(folder)? {
        let id = path.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
        if has_extension(&path, &["jpg", "jpeg", "png", "webp"]) && !id.is_empty() {
            pictures.push((id.to_string(), path.clone()));
        }
    }
    pictures.sort();
    if let Some(two) = pictures.windows(2).find(|two| two[0].0 == two[1].0) {
        let name = |at: usize| two[at].1.file_name().unwrap_or_default().to_string_lossy();
        let message = format!("item `{}` has two pictures: {} and {}", two[0].0, name(0), name(1));
        return Err(Error::format(folder, message));
    }
    Ok(pictures)
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
        let text = says("i.csv", "id,title\n1,a\n2,b\n1,c\n", Wanted::Ids);
        assert!(text.contains("i.csv:4: item id `1` is in line 2 too"), "{text}");
        let text = says("i.csv", "id,title\n,a\n", Wanted::Ids);
        assert!(text.contains("i.csv:2: the item id is empty"), "{text}");
        assert!(says("i.csv", "id,title\n", Wanted::Ids).contains("holds no items"));
    }
}
