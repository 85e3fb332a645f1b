//! Spreadsheets of OpenDocument: an archive of XML, of which one part holds all sheets. It is read twice, for
//! the names of the sheets and for the cells of one, and little of it is held in memory.

use std::io::{BufReader, Read, Seek};
use std::path::Path;

use zip::ZipArchive;

use crate::data::formats::foreign::OPEN_DOCUMENT;
use crate::data::formats::kinds::NO_SPREADSHEET;
use crate::data::formats::workbook::cell::SheetCell;
use crate::data::formats::workbook::content::SheetContent;
use crate::data::formats::workbook::tags::{KEPT, Piece, Tags, is_element};
use crate::disk::source::File;
use crate::{Error, Result};

/// Maximum of bytes that a part unpacks to.
const UNPACKED: u64 = 4 << 30;
/// Bytes that are unpacked at once.
const BLOCK: usize = 1 << 16;
/// The part that says what is in the archive, and what it says of a spreadsheet; more may follow.
const KIND: &str = "mimetype";
const SPREADSHEET: &[u8] = b"application/vnd.oasis.opendocument.spreadsheet";
/// The list of parts, and the part of the sheets.
const MANIFEST: &str = "META-INF/manifest.xml";
const CONTENT: &str = "content.xml";

/// Whether an archive is of OpenDocument by the names of its parts.
pub(super) fn is_open_document(has: impl Fn(&str) -> bool) -> bool {
    has(CONTENT) && (has(KIND) || has(MANIFEST))
}

/// A spreadsheet that is open.
pub(super) struct OpenDocument {
    archive: ZipArchive<BufReader<File>>,
    /// Name of each sheet, and whether it is shown.
    pub(super) sheets: Vec<(String, bool)>,
}

impl OpenDocument {
    pub(super) fn open(path: &Path, file: File) -> Result<Self> {
        let file = BufReader::with_capacity(BLOCK, file);
        let mut archive = ZipArchive::new(file).map_err(|e| OPEN_DOCUMENT.bad(path, e))?;
        // Programs that pack an archive again may leave these two out.
        if archive.index_for_name(KIND).is_some() {
            let mut kind = Vec::new();
            let part = archive.by_name(KIND).map_err(|e| OPEN_DOCUMENT.bad(path, e))?;
            let start = 2 * SPREADSHEET.len() as u64;
            part.take(start).read_to_end(&mut kind).map_err(|e| OPEN_DOCUMENT.bad(path, e))?;
            if !kind.trim_ascii_start().starts_with(SPREADSHEET) {
                return Err(Error::format(path, format!("is {NO_SPREADSHEET}")));
            }
        }
        if archive.index_for_name(MANIFEST).is_some() {
            let mut is_locked = false;
            let mut part = XmlPart::open(path, &mut archive, MANIFEST)?;
            while part.advance(&mut |piece| {
                is_locked |= piece.as_tag().is_some_and(|tag| is_element(tag, "encryption-data"));
                Ok(())
            })? {}
            if is_locked {
                let message = "is locked with a password; save it without one, or the sheet as CSV";
                return Err(Error::format(path, message));
            }
        }
        let sheets = sheets(path, &mut archive)?;
        Ok(Self { archive, sheets })
    }

    /// The cells of a sheet, by its number.
    pub(super) fn cells<'a>(&'a mut self, path: &'a Path, sheet: usize) -> Result<SheetCells<'a>> {
        let part = XmlPart::open(path, &mut self.archive, CONTENT)?;
        Ok(SheetCells { part, content: SheetContent::of_sheet(sheet) })
    }
}

/// Name of each sheet, and whether it is shown.
fn sheets<R: Read + Seek>(path: &Path, archive: &mut ZipArchive<R>) -> Result<Vec<(String, bool)>> {
    let mut content = SheetContent::default();
    let mut part = XmlPart::open(path, archive, CONTENT)?;
    while part.advance(&mut |piece| content.add(piece))? {}
    match content.is_complete {
        true => Ok(content.sheets),
        false => Err(OPEN_DOCUMENT.bad(path, "its content ends before its sheets do")),
    }
}

/// The cells of a sheet, row by row, without those that are empty.
pub(super) struct SheetCells<'a> {
    part: XmlPart<'a>,
    content: SheetContent,
}

impl SheetCells<'_> {
    /// The next cell; `text` becomes its text.
    pub(super) fn advance(&mut self, text: &mut String) -> Result<Option<SheetCell>> {
        let Self { part, content } = self;
        loop {
            if let Some(cell) = content.next_cell(text) {
                return Ok(Some(cell));
            }
            if content.is_past || !part.advance(&mut |piece| content.add(piece))? {
                return Ok(None);
            }
        }
    }
}

/// Whether XML starts so in UTF-16.
fn is_utf_16(head: &[u8]) -> bool {
    matches!(head, [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [b'<', 0, ..] | [0, b'<', ..])
}

/// A part of the archive while it is unpacked.
struct XmlPart<'a> {
    path: &'a Path,
    name: &'static str,
    input: Box<dyn Read + 'a>,
    unpacked: u64,
    block: Vec<u8>,
    /// What of the block was handed on.
    at: usize,
    tags: Tags,
}

impl<'a> XmlPart<'a> {
    fn open<R: Read + Seek + 'a>(
        path: &'a Path,
        archive: &'a mut ZipArchive<R>,
        name: &'static str,
    ) -> Result<Self> {
        let input = archive.by_name(name).map_err(|e| OPEN_DOCUMENT.bad(path, e))?;
        let (block, tags) = (Vec::new(), Tags::default());
        Ok(Self { path, name, input: Box::new(input), unpacked: 0, block, at: 0, tags })
    }

    /// Hands on what comes next, at most one tag and the text before it; false at the end. An error of `each`
    /// is one about the file.
    fn advance(&mut self, each: &mut dyn FnMut(Piece<'_>) -> Result<(), String>) -> Result<bool> {
        let (path, name) = (self.path, self.name);
        let Self { input, unpacked, block, at, tags, .. } = self;
        let refused = |message: String| Error::format(path, message + "; save the sheet as .xlsx or CSV");
        if *at == block.len() {
            block.resize(BLOCK, 0);
            let read = input.read(block).map_err(|e| OPEN_DOCUMENT.bad(path, e))?;
            block.truncate(read);
            *at = 0;
            *unpacked += read as u64;
            if *unpacked > UNPACKED {
                return Err(refused(format!("unpacks to more than {} MiB", UNPACKED >> 20)));
            }
            if read == 0 {
                return Ok(false);
            }
            if *unpacked == read as u64 && is_utf_16(block) {
                return Err(refused(format!("has its `{name}` in UTF-16, which is not read")));
            }
        }
        // A tag ends where a piece does.
        let rest = &block[*at..];
        let piece = rest.iter().position(|&c| c == b'>').map_or(rest, |end| &rest[..=end]);
        let mut outcome = Ok(());
        tags.feed(piece, &mut |piece| {
            if outcome.is_ok() {
                outcome = each(piece);
            }
        });
        *at += piece.len();
        // Of a longer one not all is seen.
        if tags.longest() > KEPT {
            return Err(refused(format!("has a tag of more than {KEPT} bytes in `{name}`")));
        }
        outcome.map_err(refused).map(|()| true)
    }
}
