//! NumPy arrays: the `.npy` format, and `.npz` archives of them.

use std::io::{Cursor, Read};
use std::ops::Deref;
use std::path::Path;

use half::f16;
use memmap2::Mmap;
use zip::ZipArchive;

use crate::data::formats::open::open_whole;
use crate::{Error, Result};

/// Bytes of a file: mapped or owned.
pub(crate) enum Bytes {
    /// Mapped from the disk.
    Mapped(Mmap),
    /// In memory.
    Owned(Vec<u8>),
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(m) => m,
            Self::Owned(v) => v,
        }
    }
}

/// An array with its header parsed and its length checked.
pub(crate) struct Npy {
    /// `f` float, `i` signed, `u` unsigned, `b` bool, `U` text of UCS-4, `S` bytes.
    pub(crate) kind: char,
    /// Bytes of one element.
    pub(crate) size: usize,
    pub(crate) big_endian: bool,
    pub(crate) fortran: bool,
    pub(crate) shape: Vec<usize>,
    /// Where the data start in `bytes`.
    pub(crate) start: usize,
    pub(crate) bytes: Bytes,
}

impl Npy {
    /// Parses an array; `what` names it in errors.
    pub(crate) fn parse(bytes: Bytes, what: &str) -> Result<Self, String> {
        let bad = |message: &str| format!("{what}: {message}");
        if bytes.get(..6) != Some(b"\x93NUMPY".as_slice()) {
            return Err(bad("is no NumPy array (bad magic)"));
        }
        let truncated = || bad("is truncated in its header");
        let wide = *bytes.get(6).ok_or_else(truncated)? >= 2;
        let from = if wide { 12 } else { 10 };
        let len = bytes.get(8..from).ok_or_else(truncated)?;
        let len = len.iter().rev().fold(0usize, |n, &b| n << 8 | b as usize);
        let start = from + len;
        let header = bytes.get(from..start).ok_or_else(truncated)?;
        let header = std::str::from_utf8(header).map_err(|_| bad("has a header that is not text"))?;
        let descr = value_of(header, "descr").and_then(quoted);
        let descr = descr.ok_or_else(|| bad("has no plain element type (structured arrays are not read)"))?;
        let fortran = value_of(header, "fortran_order").ok_or_else(|| bad("has no `fortran_order`"))?;
        let shape = value_of(header, "shape").and_then(tuple).ok_or_else(|| bad("has no shape"))?;
        let (order, rest) = match descr.split_at_checked(1) {
            Some((o @ ("<" | ">" | "|" | "="), rest)) => (o, rest),
            _ => ("<", descr),
        };
        if rest.starts_with('O') {
            return Err(bad(
                "holds Python objects, which are not read since they can run code; save text or numbers \
                            (`array.astype(str)`)",
            ));
        }
        let kind = rest.chars().next().filter(|k| "fiubUS".contains(*k));
        let size = rest.get(1..).and_then(|n| n.parse::<usize>().ok());
        let (Some(kind), Some(size)) = (kind, size) else {
            let message = format!("has elements of type `{descr}`; numbers or text are expected");
            return Err(bad(&message));
        };
        if size == 0 {
            // Any number of them would fit no bytes at all.
            return Err(bad(&format!("has elements of type `{descr}`, which hold nothing")));
        }
        let size = if kind == 'U' { size.saturating_mul(4) } else { size };
        let count = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        let expected =
            count.and_then(|n| n.checked_mul(size)).ok_or_else(|| bad("has an impossible shape"))?;
        let found = bytes.len() - start;
        if found < expected {
            return Err(bad(&format!(
                "is truncated: {expected} bytes of data are announced, {found} are there"
            )));
        }
        let fortran = fortran.trim_start().starts_with("True") && shape.len() > 1;
        Ok(Self { kind, size, big_endian: order == ">", fortran, shape, start, bytes })
    }

    /// Number of elements.
    pub(crate) fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Type for messages, as NumPy writes it.
    pub(crate) fn type_name(&self) -> String {
        format!("{}{}", self.kind, if self.kind == 'U' { self.size / 4 } else { self.size })
    }

    /// Bytes of element `i` in storage order, least significant first for numbers.
    fn element(&self, i: usize) -> [u8; 8] {
        let mut out = [0u8; 8];
        let at = self.start + i * self.size;
        let raw = &self.bytes[at..at + self.size];
        for (k, byte) in raw.iter().enumerate() {
            out[if self.big_endian { self.size - 1 - k } else { k }] = *byte;
        }
        out
    }

    /// Position in storage of element (`row`, `column`) of a matrix.
    fn storage_index(&self, row: usize, column: usize) -> usize {
        if self.fortran { column * self.shape[0] + row } else { row * self.shape[1] + column }
    }

    /// Integer at a storage position; `None` for arrays that hold no integers.
    fn integer(&self, i: usize) -> Option<i64> {
        let raw = u64::from_le_bytes(self.element_checked(i, &[1, 2, 4, 8])?);
        match self.kind {
            'u' => i64::try_from(raw).ok(),
            'i' => {
                let unused = 64 - 8 * self.size as u32;
                Some((raw << unused) as i64 >> unused)
            }
            _ => None,
        }
    }

    fn element_checked(&self, i: usize, sizes: &[usize]) -> Option<[u8; 8]> {
        sizes.contains(&self.size).then(|| self.element(i))
    }

    /// Integer at (`row`, `column`) of a matrix.
    pub(crate) fn integer_at(&self, row: usize, column: usize) -> Option<i64> {
        self.integer(self.storage_index(row, column))
    }

    /// Float at (`row`, `column`) of a matrix of f16, f32 or f64.
    pub(crate) fn float_at(&self, row: usize, column: usize) -> Option<f32> {
        let raw = self.element_checked(self.storage_index(row, column), &[2, 4, 8])?;
        match (self.kind, self.size) {
            ('f', 2) => Some(f16::from_le_bytes([raw[0], raw[1]]).to_f32()),
            ('f', 4) => Some(f32::from_le_bytes([raw[0], raw[1], raw[2], raw[3]])),
            ('f', 8) => Some(f64::from_le_bytes(raw) as f32),
            _ => None,
        }
    }

    /// A vector of ids as text: text, bytes or integers.
    pub(crate) fn ids(&self) -> Option<Vec<String>> {
        if self.shape.len() != 1 {
            return None;
        }
        (0..self.len()).map(|i| self.id(i)).collect()
    }

    fn id(&self, i: usize) -> Option<String> {
        let at = self.start + i * self.size;
        let raw = &self.bytes[at..at + self.size];
        match self.kind {
            'U' => {
                let code = |c: &[u8]| {
                    let c: [u8; 4] = c.try_into().ok()?;
                    let code = if self.big_endian { u32::from_be_bytes(c) } else { u32::from_le_bytes(c) };
                    char::from_u32(code)
                };
                let text: Option<String> = raw.chunks_exact(4).map(code).collect();
                Some(text?.trim_end_matches('\0').to_string())
            }
            'S' => Some(std::str::from_utf8(raw).ok()?.trim_end_matches('\0').to_string()),
            _ => self.integer(i).map(|n| n.to_string()),
        }
    }
}

/// What follows `'key':` in a header.
fn value_of<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let at = ["'", "\""].iter().find_map(|q| {
        let quoted = format!("{q}{key}{q}");
        header.find(&quoted).map(|at| at + quoted.len())
    })?;
    header[at..].trim_start().strip_prefix(':').map(str::trim_start)
}

fn quoted(text: &str) -> Option<&str> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    text[1..].split_once(quote).map(|(inside, _)| inside)
}

fn tuple(text: &str) -> Option<Vec<usize>> {
    let (inside, _) = text.strip_prefix('(')?.split_once(')')?;
    let parts = inside.split(',').map(str::trim).filter(|p| !p.is_empty());
    parts.map(|p| p.trim_end_matches('L').parse().ok()).collect()
}

/// The array of an `.npy` file that is mapped.
pub(crate) fn map_npy(path: &Path, bytes: Mmap) -> Result<Npy> {
    Npy::parse(Bytes::Mapped(bytes), "the file").map_err(|message| Error::format(path, message))
}

/// All arrays of an `.npz` archive by name, in the order of the archive; elements that are Python objects are
/// left out and reported by [`Npz::get`].
pub(crate) struct Npz<'a> {
    path: &'a Path,
    arrays: Vec<(String, Result<Npy, String>)>,
}

/// Opens and reads an archive.
pub(crate) fn open_npz(path: &Path) -> Result<Npz<'_>> {
    read_npz(path, &open_whole(path)?.map(path)?)
}

/// Reads an archive, stored or compressed.
pub(crate) fn read_npz<'a>(path: &'a Path, bytes: &[u8]) -> Result<Npz<'a>> {
    let bad = |e: String| Error::format(path, format!("bad .npz archive: {e}"));
    let mut zip = ZipArchive::new(Cursor::new(bytes)).map_err(|e| bad(e.to_string()))?;
    let mut arrays = Vec::new();
    for i in 0..zip.len() {
        let mut entry = zip.by_index(i).map_err(|e| bad(e.to_string()))?;
        let name = entry.name().map_err(|e| bad(e.to_string()))?;
        let Some(name) = name.strip_suffix(".npy").map(str::to_string) else { continue };
        let announced = entry.size();
        let mut content = Vec::new();
        // The announced size may lie, so it bounds the reading and does not reserve memory.
        entry
            .by_ref()
            .take(announced)
            .read_to_end(&mut content)
            .map_err(|e| bad(format!("`{name}`: {e}")))?;
        arrays.push((name.clone(), Npy::parse(Bytes::Owned(content), &format!("array `{name}`"))));
    }
    Ok(Npz { path, arrays })
}

impl Npz<'_> {
    /// Takes the array `name` out; an error if it cannot be read.
    pub(crate) fn take(&mut self, name: &str) -> Option<Result<Npy>> {
        let at = self.arrays.iter().position(|(n, _)| n == name)?;
        let (_, array) = self.arrays.remove(at);
        Some(array.map_err(|m| Error::format(self.path, m)))
    }

    /// Names of the arrays that are left.
    pub(crate) fn names(&self) -> Vec<String> {
        self.arrays.iter().map(|(n, _)| n.clone()).collect()
    }

    /// Names of the arrays left that are matrices of floats.
    pub(crate) fn float_matrices(&self) -> Vec<String> {
        let is = |a: &Result<Npy, String>| a.as_ref().is_ok_and(|a| a.kind == 'f' && a.shape.len() == 2);
        self.arrays.iter().filter(|(_, a)| is(a)).map(|(n, _)| n.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(descr: &str, shape: &str, data: &[u8]) -> Result<Npy, String> {
        let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        Npy::parse(Bytes::Owned(bytes), "x")
    }

    #[test]
    fn element_types_are_understood() {
        let text: Vec<u8> = "ab\0é\0\0".chars().flat_map(|c| (c as u32).to_le_bytes()).collect();
        assert_eq!(array("<U3", "(2,)", &text).unwrap().ids().unwrap(), ["ab", "é"]);
        assert_eq!(array("|S2", "(2,)", b"a\0bc").unwrap().ids().unwrap(), ["a", "bc"]);
        assert_eq!(array(">i2", "(2,)", &[0xff, 0xfe, 0, 5]).unwrap().ids().unwrap(), ["-2", "5"]);
        assert_eq!(array(">f8", "(1, 1)", &1.5f64.to_be_bytes()).unwrap().float_at(0, 0), Some(1.5));
        let halves = array("<f2", "(1, 2)", &[0x00, 0x3e, 0x01, 0x00]).unwrap();
        assert_eq!((halves.float_at(0, 0), halves.float_at(0, 1)), (Some(1.5), Some(2f32.powi(-24))));
        assert_eq!(array("|u1", "(1, 2)", &[1, 200]).unwrap().integer_at(0, 1), Some(200));
        assert!(array("|O", "(1,)", &[0; 8]).err().unwrap().contains("astype(str)"));
        for empty in ["<U0", "|S0", "<i0"] {
            assert!(array(empty, "(9223372036854775807,)", &[]).err().unwrap().contains("hold nothing"));
        }
        assert!(array("<f4", "(2, 3)", &[0; 23]).err().unwrap().contains("24 bytes"));
        assert!(array("<f4", "(99999999999, 99999999999)", &[]).is_err());
    }
}
