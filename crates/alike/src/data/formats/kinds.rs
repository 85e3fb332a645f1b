//! What a file is by its first bytes.

/// Bytes that are looked at.
pub(crate) const HEAD: usize = 1 << 16;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    Gzip,
    Zstd,
    Parquet,
    /// A NumPy array.
    Npy,
    /// A zip archive that holds NumPy arrays or anything else.
    Zip,
    /// A workbook of Excel.
    Workbook,
    /// A spreadsheet of OpenDocument.
    OpenDocument,
    Safetensors,
    /// JSON objects one after another, or an array of them.
    Json,
    /// Something that is not read: what it is, and what to do.
    Other(&'static str),
    /// Text, as far as the first bytes tell.
    Text,
}

/// What is known by its first bytes and not read, with the way out.
const OTHERS: &[(&[u8], &str)] = &[
    (b"BZh", "bzip2; unpack it (`bunzip2 -k FILE`), or pack it with gzip or zstd"),
    (b"\xfd7zXZ\0", "xz; unpack it (`unxz -k FILE`), or pack it with gzip or zstd"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it"),
    (b"Rar!", "a rar archive; unpack it"),
    (
        b"SQLite format 3\0",
        "an SQLite database; write the table as CSV (`sqlite3 -header -csv FILE 'select …'`)",
    ),
    (b"\x89HDF", "HDF5; save the table as Parquet or the array as .npy"),
    (b"ARROW1", "an Arrow or Feather file; save it as Parquet"),
    (b"ORC", "an ORC file; save it as Parquet"),
    (b"Obj\x01", "an Avro file; save it as Parquet"),
    (b"\x80\x02", PICKLE),
    (b"\x80\x03", PICKLE),
    (b"\x80\x04", PICKLE),
    (b"\x80\x05", PICKLE),
    (b"%PDF", "a PDF"),
    (
        b"\xd0\xcf\x11\xe0",
        "an old Excel workbook (.xls), or one with a password; save it as .xlsx without a password, or the sheet as CSV",
    ),
    (b"version https://git-lfs.", "a Git LFS pointer, not the file itself; fetch that with `git lfs pull`"),
    (b"\xff\xfe\0\0", "text in UTF-32; write it as UTF-8 (`iconv -f UTF-32 -t UTF-8 FILE > NEW`)"),
    (b"\0\0\xfe\xff", "text in UTF-32; write it as UTF-8 (`iconv -f UTF-32 -t UTF-8 FILE > NEW`)"),
    (b"MATLAB 5.0", "a MATLAB file; save the array as .npy"),
    (b"RDX3", "an R data file; save the table as CSV or Parquet"),
];
const PICKLE: &str = "a Python pickle, which is not read since it can run code; save the table as Parquet or the array as .npy";

/// What another file of OpenDocument is.
pub(crate) const NO_SPREADSHEET: &str =
    "an OpenDocument file and no spreadsheet; save its table as .ods or CSV";

/// The first entry of a spreadsheet of OpenDocument: its name and all that it holds.
const SPREADSHEET: &[u8] = b"mimetypeapplication/vnd.oasis.opendocument.spreadsheet";

/// How a flat OpenDocument file starts, after what XML says of itself.
const FLAT: &[u8] = b"<office:document ";

/// Where a tar archive says that it is one.
const TAR_AT: usize = 257;

/// The kind of a file that starts with `head`.
pub(crate) fn kind_of(head: &[u8]) -> FileKind {
    if let Some((_, what)) = OTHERS.iter().find(|(magic, _)| head.starts_with(magic)) {
        return FileKind::Other(what);
    }
    if head.get(TAR_AT..).is_some_and(|rest| rest.starts_with(b"ustar")) {
        return FileKind::Other("a tar archive; unpack it (`tar -xf FILE`) and give the file inside");
    }
    match head {
        [0x1f, 0x8b, ..] => FileKind::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => FileKind::Zstd,
        [b'P', b'A', b'R', b'1' | b'E', ..] => FileKind::Parquet,
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => FileKind::Npy,
        [b'P', b'K', 3 | 5, 4 | 6, ..] => zip_of(head),
        [_, _, _, _, _, 0, 0, 0, b'{', ..] => FileKind::Safetensors,
        _ => text_of(head),
    }
}

/// What an archive holds, by the name of its first entry. Archives that were packed again may start with any.
fn zip_of(head: &[u8]) -> FileKind {
    let name = head.get(30..).unwrap_or_default();
    let starts = |with: &[&[u8]]| with.iter().any(|start| name.starts_with(start));
    // The name of a file that was cut may be cut, too.
    let is_cut = name.len() > b"mimetype".len() && SPREADSHEET.starts_with(name);
    if is_cut || starts(&[SPREADSHEET]) {
        return FileKind::OpenDocument;
    }
    if starts(&[b"mimetypeapplication/vnd.oasis.opendocument."]) {
        return FileKind::Other(NO_SPREADSHEET);
    }
    match starts(&[b"[Content_Types].xml", b"xl/", b"_rels/", b"docProps/"]) {
        true => FileKind::Workbook,
        false => FileKind::Zip,
    }
}

fn text_of(head: &[u8]) -> FileKind {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let after = |n: usize| head[n..].trim_ascii_start().first().copied();
    match head {
        [b'{', ..] if matches!(after(1), None | Some(b'"' | b'\'' | b'}')) => FileKind::Json,
        [b'{', b'u', b'\'', ..] => FileKind::Json,
        // Lists in lists, and one in each line, are told what they lack.
        [b'[', ..] if matches!(after(1), None | Some(b'{' | b']' | b'[' | b'"')) => FileKind::Json,
        [b'<', ..] if head.windows(FLAT.len()).any(|part| part == FLAT) => {
            FileKind::Other("a flat OpenDocument file (.fods); save it as .ods, or the sheet as CSV")
        }
        [b'<', ..] => FileKind::Other(
            "a web page or XML, not the data themselves (perhaps a download that asks to log in)",
        ),
        _ => FileKind::Text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_tell_what_a_file_is() {
        let cases: [(&[u8], FileKind); 18] = [
            (b"", FileKind::Text),
            (b"user,item\n", FileKind::Text),
            (b"{user},item\n", FileKind::Text),
            (b"[user],item\n", FileKind::Text),
            (b"\xef\xbb\xbf {\"user\": 1}", FileKind::Json),
            (b"{\n  \"user\": 1}", FileKind::Json),
            (b"[\n {}]", FileKind::Json),
            (b"[[\"user\", \"item\"], [1, 2]]", FileKind::Json),
            (b"[\"user\", \"item\"]\n[1, 2]\n", FileKind::Json),
            (b"{'user': 1}", FileKind::Json),
            (b"\x1f\x8b\x08", FileKind::Gzip),
            (b"PAR1", FileKind::Parquet),
            (b"PK\x03\x04--------------------------ids.npy xl/", FileKind::Zip),
            (b"PK\x03\x04--------------------------xl/workbook.xml", FileKind::Workbook),
            (
                b"PK\x03\x04--------------------------mimetypeapplication/vnd.oasis.opendocument.spreadsheet",
                FileKind::OpenDocument,
            ),
            (b"PK\x03\x04--------------------------mimetypeapplication/vnd.oasis", FileKind::OpenDocument),
            (b"\x40\0\0\0\0\0\0\0{\"a\"", FileKind::Safetensors),
            (b"(\xb5/\xfd", FileKind::Zstd),
        ];
        for (head, kind) in cases {
            assert_eq!(kind_of(head), kind, "{:?}", String::from_utf8_lossy(head));
        }
        assert!(matches!(kind_of(b"<!DOCTYPE html>"), FileKind::Other(what) if what.contains("web page")));
        let flat = b"<?xml version=\"1.0\"?>\n<office:document xmlns:x=\"y\" office:mimetype=\"application/vnd.oasis.opendocument.spreadsheet\">";
        assert!(matches!(kind_of(flat), FileKind::Other(what) if what.contains("save it as .ods")));
        assert!(matches!(kind_of(b"\x80\x04\x95"), FileKind::Other(what) if what.contains("pickle")));
    }
}
