//! What is in a workbook, measured before anything of it is kept: a small file may unpack to any size, and
//! the reader keeps a copy of a style for every format that names it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Seek};
use std::path::Path;

use zip::ZipArchive;
use zip::result::ZipError;

use crate::data::formats::foreign::WORKBOOK;
use crate::data::formats::row::LINE_BYTES;
use crate::data::formats::workbook::tags::{Tags, attribute, is_element};
use crate::{Error, Result};

/// What a workbook may unpack to.
struct Limits {
    /// Maximum of bytes of all parts together.
    unpacked: u64,
    /// Maximum of bytes of a part that is held in memory: texts, styles, names.
    held: u64,
    /// Maximum of bytes of a cell, which is held too.
    cell: u64,
}
const LIMITS: Limits = Limits { unpacked: 4 << 30, held: 256 << 20, cell: LINE_BYTES };
/// Maximum of bytes of styles as the reader keeps them.
const STYLES: u64 = 64 << 20;
/// Maximum of rows of a sheet, as in Excel.
const ROWS: u32 = 1 << 20;
/// Bytes that are unpacked at once.
const BLOCK: usize = 1 << 16;

/// The rows that are hidden, sheet by sheet in the workbook's order; the first is 0.
pub(super) type Hidden = Vec<BTreeSet<u32>>;

/// What the parts of a workbook say of each other.
#[derive(Default)]
struct Outline {
    /// Where each sheet is, by the name of a relationship.
    sheets: Vec<String>,
    /// The part of a relationship.
    targets: BTreeMap<String, String>,
    /// Hidden rows by part.
    hidden: BTreeMap<String, BTreeSet<u32>>,
}

/// Unpacks every part of the workbook once, and keeps nothing but which rows are hidden.
pub(super) fn inspect(path: &Path, file: impl Read + Seek) -> Result<Hidden> {
    look_within(path, file, &LIMITS)
}

fn look_within(path: &Path, file: impl Read + Seek, limits: &Limits) -> Result<Hidden> {
    let failed = |e: ZipError| WORKBOOK.bad(path, e);
    let too_large = |what: &str, most: u64| {
        let message = format!("{what} more than {} MiB; save the sheet as CSV", most >> 20);
        Error::format(path, message)
    };
    let mut archive = ZipArchive::new(file).map_err(failed)?;
    let mut outline = Outline::default();
    let mut left = limits.unpacked;
    for at in 0..archive.len() {
        let mut entry = archive.by_index(at).map_err(failed)?;
        let name = entry.name().map_err(failed)?.to_lowercase();
        if !name.ends_with(".xml") && !name.ends_with(".rels") {
            continue;
        }
        let mut part = Part::new(&name);
        let mut block = [0; BLOCK];
        loop {
            let read = entry.read(&mut block).map_err(|e| WORKBOOK.bad(path, e))?;
            if read == 0 {
                break;
            }
            left = left.checked_sub(read as u64).ok_or_else(|| too_large("unpacks to", limits.unpacked))?;
            part.add(&block[..read], &mut outline);
            if part.bytes > limits.held && !part.is_sheet {
                return Err(too_large(&format!("has `{name}` with"), limits.held));
            }
            if part.since_cell > limits.cell && part.is_sheet {
                return Err(too_large("has a cell of", limits.cell));
            }
            if part.rows > ROWS {
                return Err(Error::format(path, format!("has a sheet of more than {ROWS} rows")));
            }
        }
        if part.styles * part.tags.longest() as u64 > STYLES {
            return Err(too_large("has styles of", STYLES));
        }
        if part.texts > part.bytes {
            let message =
                format!("announces {} texts in `{name}`, which has {} bytes", part.texts, part.bytes);
            return Err(WORKBOOK.bad(path, message));
        }
    }
    Ok(outline.hidden())
}

impl Outline {
    fn hidden(mut self) -> Hidden {
        let of_sheet = |id: &String| {
            // Targets start at the workbook's folder or, with a slash, at the archive's.
            let target = self.targets.get(id)?.trim_start_matches('/').to_lowercase();
            let part = self.hidden.keys().find(|part| part.ends_with(&target))?.clone();
            self.hidden.remove(&part)
        };
        self.sheets.iter().map(of_sheet).map(Option::unwrap_or_default).collect()
    }
}

/// A part while it is unpacked.
struct Part<'a> {
    name: &'a str,
    is_sheet: bool,
    bytes: u64,
    /// Bytes since the last cell began, to the block.
    since_cell: u64,
    tags: Tags,
    /// Number of the row, from 1, and the largest so far.
    row: u32,
    rows: u32,
    /// Formats of cells.
    styles: u64,
    /// Announced number of texts, for which memory is asked at once.
    texts: u64,
}

impl<'a> Part<'a> {
    fn new(name: &'a str) -> Self {
        // Wherever a workbook keeps them, these are held.
        let is_held =
            ["workbook.xml", "sharedstrings.xml", "styles.xml"].iter().any(|end| name.ends_with(end));
        let is_sheet = name.contains("worksheets/") && name.ends_with(".xml") && !is_held;
        Self {
            name,
            is_sheet,
            bytes: 0,
            since_cell: 0,
            tags: Tags::default(),
            row: 0,
            rows: 0,
            styles: 0,
            texts: 0,
        }
    }

    fn add(&mut self, block: &[u8], outline: &mut Outline) {
        self.bytes += block.len() as u64;
        self.since_cell += block.len() as u64;
        let Self { name, since_cell, tags, row, rows, styles, texts, .. } = self;
        tags.feed(block, &mut |piece| {
            let Some(tag) = piece.as_tag() else { return };
            if is_element(tag, "c") {
                *since_cell = 0;
            } else if is_element(tag, "row") {
                let number = attribute(tag, "r").and_then(|r| r.parse::<u32>().ok());
                *row = number.unwrap_or(row.saturating_add(1));
                *rows = (*rows).max(*row);
                if matches!(attribute(tag, "hidden"), Some("1" | "true")) {
                    outline.hidden.entry(name.to_string()).or_default().insert(row.saturating_sub(1));
                }
            } else if is_element(tag, "xf") {
                *styles += 1;
            } else if is_element(tag, "sst") {
                *texts = attribute(tag, "uniqueCount").and_then(|n| n.parse().ok()).unwrap_or(0);
            } else if is_element(tag, "sheet") && name.ends_with("workbook.xml") {
                outline.sheets.push(attribute(tag, "id").unwrap_or_default().into());
            } else if is_element(tag, "Relationship")
                && name.ends_with("workbook.xml.rels")
                && let (Some(id), Some(target)) = (attribute(tag, "Id"), attribute(tag, "Target"))
            {
                outline.targets.insert(id.into(), target.into());
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    fn archive(parts: &[(&str, &str)]) -> Cursor<Vec<u8>> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in parts {
            zip.start_file(*name, SimpleFileOptions::default()).unwrap();
            zip.write_all(content.as_bytes()).unwrap();
        }
        zip.finish().unwrap()
    }

    #[test]
    fn hidden_rows_belong_to_their_sheet() {
        let rows = |hidden: &str| format!("<row r=\"1\"/><row/><row r=\"7\" {hidden}/><row {hidden}/>");
        let parts = [
            ("xl/workbook.xml", "<x:sheets><x:sheet r:id=\"b\"/><x:sheet r:id='a'/></x:sheets>"),
            (
                "xl/_rels/workbook.xml.rels",
                "<Relationship Id=\"a\" Target=\"/xl/worksheets/one.xml\"/><Relationship Target='worksheets/Two.xml' Id='b'/>",
            ),
            ("xl/worksheets/one.xml", &rows("hidden=\"0\"")),
            ("xl/worksheets/two.xml", &rows("hidden = 'true'")),
        ];
        let hidden = inspect(Path::new("x"), archive(&parts)).unwrap();
        assert_eq!(hidden, [BTreeSet::from([6, 7]), BTreeSet::new()]);
    }

    #[test]
    fn what_unpacks_to_too_much_is_refused() {
        let long = "x".repeat(3 << 20);
        let says = |name: &str| {
            let limits = Limits { unpacked: 2 << 20, held: 1 << 20, cell: 2 << 20 };
            look_within(Path::new("x"), archive(&[(name, &long)]), &limits)
                .map(drop)
                .map_err(|e| e.to_string())
        };
        assert!(
            says("xl/worksheets/a.xml")
                .unwrap_err()
                .contains("unpacks to more than 2 MiB; save the sheet as CSV")
        );
        assert!(
            says("xl/sharedStrings.xml").unwrap_err().contains("`xl/sharedstrings.xml` with more than 1 MiB")
        );
        let limits = Limits { cell: 1 << 20, ..LIMITS };
        let cell = |text: &str| {
            let sheet = format!("<row r=\"1\"><c r=\"A1\"/><c r=\"B1\">{text}</c></row>");
            look_within(Path::new("x"), archive(&[("xl/worksheets/a.xml", &sheet)]), &limits)
                .map(drop)
                .map_err(|e| e.to_string())
        };
        assert!(cell(&long).unwrap_err().contains("has a cell of more than 1 MiB"));
        assert_eq!(cell(&"<c/>".repeat(1 << 19)), Ok(()));
        assert_eq!(says("xl/media/picture.png"), Ok(()), "what is not read may be large");
    }
}
