//! The one place where files of others are opened: packed ones are unpacked, and their first bytes say what
//! they are.

use std::io::{self, BufRead, BufReader, Cursor, Read, Seek};
use std::path::Path;

use encoding_rs::{Encoding, UTF_16BE, UTF_16LE};
use memmap2::Mmap;

use crate::data::formats::encoding::{
    CarriageReturns, decoded, encoding_advice, encoding_of, has_bare_carriage_returns,
};
use crate::data::formats::kinds::{FileKind, HEAD, kind_of};
use crate::data::formats::options::TextOptions;
#[cfg(feature = "excel")]
use crate::data::formats::workbook;
use crate::disk;
use crate::disk::source::{self, File, Source};
use crate::{Error, Result};

/// Times that a file is looked at: so many packings less one are undone. More is no accident.
const LAYERS: usize = 3;
const PACKED_OFTEN: &str = "is packed several times over; unpack it";
const ZIP: &str = "a zip archive; unpack it (`unzip FILE`) and give the file inside";
const UTF_32: &str =
    "is text in UTF-32; write it as UTF-8 (`iconv -f UTF-32LE -t UTF-8 FILE > NEW`, or UTF-32BE)";

/// A table, opened and not yet read.
pub(crate) enum OpenTable {
    /// Lines of UTF-8 text, without a byte order mark.
    Text(Box<dyn BufRead>),
    /// JSON objects, or an array of them.
    Json(Box<dyn BufRead>),
    Parquet(File),
    /// A workbook of Excel.
    #[cfg(feature = "excel")]
    Workbook(File),
    /// A spreadsheet of OpenDocument.
    #[cfg(feature = "excel")]
    OpenDocument(File),
}

/// What unpacks a file.
#[derive(Clone, Copy)]
enum Packing {
    Gzip,
    Zstd,
}

/// Unpacks, and says in words of its own what is wrong with what it unpacks.
struct Unpacking<R> {
    packing: Packing,
    input: R,
}

impl<R: Read> Read for Unpacking<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let (name, check) = match self.packing {
            Packing::Gzip => ("gzip", "gzip -t FILE"),
            Packing::Zstd => ("zstd", "zstd -t FILE"),
        };
        self.input.read(out).map_err(|e| match e.kind() {
            io::ErrorKind::Interrupted => e,
            // What the system says of the file itself.
            _ if e.raw_os_error().is_some() => e,
            kind => {
                let what = match kind {
                    io::ErrorKind::UnexpectedEof => "end too early, so the file is cut".to_string(),
                    _ => format!("are damaged ({e})"),
                };
                let message =
                    format!("its {name} data {what}; download or copy it again (`{check}` checks it)");
                io::Error::new(io::ErrorKind::InvalidData, message)
            }
        })
    }
}

/// A file after its packing is undone, at its start.
struct Unpacked {
    head: Vec<u8>,
    /// What comes after the head.
    rest: Box<dyn Read>,
    /// The file itself, where nothing had to be unpacked.
    file: Option<File>,
}

impl Unpacked {
    fn open(path: &Path) -> Result<Self> {
        let failed = |e| Error::io(path, e);
        let (mut file, mut input): (_, Box<dyn Read>) = match source::open(path)? {
            Source::File(file) => {
                let copy = file.try_clone().map_err(failed)?;
                (Some(file), Box::new(BufReader::with_capacity(1 << 20, copy)))
            }
            Source::Pipe(input) => (None, input),
        };
        for _ in 0..LAYERS {
            let mut head = Vec::new();
            input.by_ref().take(HEAD as u64).read_to_end(&mut head).map_err(failed)?;
            let kind = kind_of(&head);
            let whole = |head, rest| BufReader::with_capacity(1 << 17, Cursor::new(head).chain(rest));
            match kind {
                FileKind::Gzip => {
                    let unpacked = flate2::bufread::MultiGzDecoder::new(whole(head, input));
                    input = Box::new(Unpacking { packing: Packing::Gzip, input: unpacked });
                }
                FileKind::Zstd => {
                    let unpacked =
                        zstd::stream::read::Decoder::with_buffer(whole(head, input)).map_err(failed)?;
                    input = Box::new(Unpacking { packing: Packing::Zstd, input: unpacked });
                }
                _ => return Ok(Self { head, rest: input, file }),
            }
            file = None;
        }
        Err(Error::format(path, PACKED_OFTEN))
    }

    /// The file, for readers that go to and fro.
    fn into_file(self, path: &Path) -> Result<File> {
        match self.file {
            Some(mut file) => {
                file.rewind().map_err(|e| Error::io(path, e))?;
                Ok(file)
            }
            None => source::spool(path, &mut Cursor::new(self.head).chain(self.rest)),
        }
    }

    fn into_text(self, path: &Path, options: &TextOptions) -> Result<Text> {
        let encoding = encoding_of(&self.head, options.encoding()?);
        let wide = encoding == UTF_16LE || encoding == UTF_16BE;
        if !wide && self.head.contains(&0) {
            let message = match self.head.as_slice() {
                [a, 0, 0, 0, b, 0, 0, 0, ..] | [0, 0, 0, a, 0, 0, 0, b, ..]
                    if a.is_ascii_graphic() && b.is_ascii_graphic() =>
                {
                    UTF_32
                }
                _ => {
                    "is no text: it holds zero bytes (text in UTF-16 without a byte order mark is read with \
                     `--encoding utf-16le`)"
                }
            };
            return Err(Error::format(path, message));
        }
        let marked = Encoding::for_bom(&self.head).is_some();
        let start = if self.head.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        let mut head = Cursor::new(self.head);
        head.set_position(start);
        let mut rest = decoded(Box::new(head.chain(self.rest)), encoding, marked);
        // What it holds and how its lines end is seen once it is decoded.
        let mut head = Vec::new();
        rest.by_ref().take(HEAD as u64).read_to_end(&mut head).map_err(|e| Error::io(path, e))?;
        Ok(Text { head, rest })
    }
}

/// Text in UTF-8, without a byte order mark.
struct Text {
    head: Vec<u8>,
    /// What comes after the head.
    rest: Box<dyn Read>,
}

impl Text {
    /// To read it line by line.
    fn lines(self) -> Box<dyn BufRead> {
        let bare = has_bare_carriage_returns(&self.head);
        let mut input: Box<dyn Read> = Box::new(Cursor::new(self.head).chain(self.rest));
        if bare {
            input = Box::new(CarriageReturns(input));
        }
        Box::new(BufReader::with_capacity(1 << 20, input))
    }
}

/// Opens a table. `path` may be `-` for standard input; it is opened once, so that it may be a pipe.
pub(crate) fn open_table(path: &Path, options: &TextOptions) -> Result<OpenTable> {
    let unpacked = Unpacked::open(path)?;
    let is_not = |what: &str| Err(Error::format(path, format!("is {what}")));
    match kind_of(&unpacked.head) {
        FileKind::Parquet => unpacked.into_file(path).map(OpenTable::Parquet),
        FileKind::Json => Ok(OpenTable::Json(unpacked.into_text(path, options)?.lines())),
        #[cfg(feature = "excel")]
        FileKind::Workbook => unpacked.into_file(path).map(OpenTable::Workbook),
        #[cfg(feature = "excel")]
        FileKind::OpenDocument => unpacked.into_file(path).map(OpenTable::OpenDocument),
        #[cfg(not(feature = "excel"))]
        FileKind::Workbook | FileKind::OpenDocument => {
            is_not("a workbook, which this build does not read; save the sheet as CSV")
        }
        #[cfg(feature = "excel")]
        FileKind::Zip => {
            let file = unpacked.into_file(path)?;
            match workbook::kind_within(&file) {
                FileKind::Workbook => Ok(OpenTable::Workbook(file)),
                FileKind::OpenDocument => Ok(OpenTable::OpenDocument(file)),
                _ => is_not(ZIP),
            }
        }
        #[cfg(not(feature = "excel"))]
        FileKind::Zip => is_not(ZIP),
        FileKind::Npy => is_not("a NumPy array; a table is expected (CSV, JSON lines or Parquet)"),
        FileKind::Safetensors => {
            is_not("a safetensors file; a table is expected (CSV, JSON lines or Parquet)")
        }
        FileKind::Other(what) => is_not(what),
        FileKind::Gzip | FileKind::Zstd => Err(Error::format(path, PACKED_OFTEN)),
        FileKind::Text if is_parquet(path) => {
            Err(Error::format(path, "bad Parquet: it does not start with `PAR1`"))
        }
        FileKind::Text => {
            let text = unpacked.into_text(path, options)?;
            match kind_of(&text.head) {
                FileKind::Json => Ok(OpenTable::Json(text.lines())),
                FileKind::Other(what) => is_not(what),
                _ if is_json_lines(path) && !text.head.trim_ascii().is_empty() => {
                    Err(Error::format_at(path, 1, "is no JSON object; an object a line is expected"))
                }
                _ => Ok(OpenTable::Text(text.lines())),
            }
        }
    }
}

/// A file that is read at any place.
pub(crate) struct OpenFile {
    pub(crate) kind: FileKind,
    pub(crate) file: File,
}

impl OpenFile {
    /// Its bytes.
    pub(crate) fn map(&self, path: &Path) -> Result<Mmap> {
        disk::map_file(path, &self.file)
    }
}

/// Opens a feature file; its first bytes say what it is.
pub(crate) fn open_whole(path: &Path) -> Result<OpenFile> {
    let unpacked = Unpacked::open(path)?;
    Ok(OpenFile { kind: kind_of(&unpacked.head), file: unpacked.into_file(path)? })
}

/// The whole text of a file.
pub(crate) fn read_text(path: &Path, options: &TextOptions) -> Result<String> {
    let mut bytes = Vec::new();
    let mut input = Unpacked::open(path)?.into_text(path, options)?.lines();
    input.read_to_end(&mut bytes).map_err(|e| Error::io(path, e))?;
    String::from_utf8(bytes).map_err(|e| {
        let good = &e.as_bytes()[..e.utf8_error().valid_up_to()];
        let line = 1 + good.iter().filter(|&&c| c == b'\n').count() as u64;
        Error::format_at(path, line, format!("is not UTF-8 text; {}", encoding_advice()))
    })
}

/// True when `path` is a Parquet file by its extension.
pub(crate) fn is_parquet(path: &Path) -> bool {
    has_extension(path, &["parquet", "pq"])
}

/// True when `path` holds JSON by its extension.
pub(crate) fn is_json_lines(path: &Path) -> bool {
    has_extension(path, &["jsonl", "ndjson", "json"])
}

/// True when the extension of `path` is one of `any`, in upper or lower case.
pub(crate) fn has_extension(path: &Path, any: &[&str]) -> bool {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
    any.iter().any(|a| extension.eq_ignore_ascii_case(a))
}
