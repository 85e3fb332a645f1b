//! How deep a Parquet schema is nested, found before the reader builds it: that takes the program's stack a
//! call a level, so a file made for it would end the process.

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use crate::data::formats::foreign::PARQUET;
use crate::disk::source::File;
use crate::{Error, Result};

/// Deepest schema that is read; tables of interactions or features need two or three levels.
const DEPTH: usize = 64;
/// Deepest structure that the footer itself may have.
const NESTED: usize = 32;
/// Length of the footer and magic at the end of a file.
const TAIL: u64 = 8;

/// An error if the schema of `file` is nested too deep, or its footer cannot be walked.
pub(crate) fn check(path: &Path, file: &mut File) -> Result<()> {
    let failed = |e| Error::io(path, e);
    let len = file.seek(SeekFrom::End(0)).map_err(failed)?;
    let mut tail = [0u8; TAIL as usize];
    if len < TAIL {
        return Err(PARQUET.bad(path, "the file is too short"));
    }
    file.seek(SeekFrom::Start(len - TAIL)).map_err(failed)?;
    file.read_exact(&mut tail).map_err(failed)?;
    let size = u64::from(u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]));
    if &tail[4..] != b"PAR1" || size + TAIL > len {
        return Err(PARQUET.bad(path, "it has no footer (it is cut off, or encrypted)"));
    }
    let mut footer = vec![0; size as usize];
    file.seek(SeekFrom::Start(len - TAIL - size)).map_err(failed)?;
    file.read_exact(&mut footer).map_err(failed)?;
    file.rewind().map_err(failed)?;
    match schema_depth(&footer) {
        None => Err(PARQUET.bad(path, "its footer is damaged")),
        Some(depth) if depth > DEPTH => {
            Err(PARQUET.bad(path, format!("its schema is nested deeper than {DEPTH} levels")))
        }
        Some(_) => Ok(()),
    }
}

/// Types of Thrift's compact protocol.
mod wire {
    pub(super) const TRUE: u8 = 1;
    pub(super) const FALSE: u8 = 2;
    pub(super) const BYTE: u8 = 3;
    pub(super) const I16: u8 = 4;
    pub(super) const I32: u8 = 5;
    pub(super) const I64: u8 = 6;
    pub(super) const DOUBLE: u8 = 7;
    pub(super) const BINARY: u8 = 8;
    pub(super) const LIST: u8 = 9;
    pub(super) const SET: u8 = 10;
    pub(super) const MAP: u8 = 11;
    pub(super) const STRUCT: u8 = 12;
}

/// Field of the file's metadata that lists the schema's elements, parents before children.
const SCHEMA: i16 = 2;
/// Field of an element with the number of its children.
const CHILDREN: i16 = 5;

/// Levels of the schema in a footer; `None` if the footer is no such structure.
fn schema_depth(footer: &[u8]) -> Option<usize> {
    let mut walk = Walk { left: footer };
    let (mut field, mut depth) = (0, 0);
    while let Some(kind) = walk.field(&mut field)? {
        if field != SCHEMA || kind != wire::LIST {
            walk.skip(kind, NESTED)?;
            continue;
        }
        // Children that are still to come, level by level.
        let mut open: Vec<u64> = Vec::new();
        let (count, of) = walk.list()?;
        if of != wire::STRUCT {
            return None;
        }
        for _ in 0..count {
            let children = walk.children()?;
            while open.pop_if(|left| *left == 0).is_some() {}
            if let Some(left) = open.last_mut() {
                *left -= 1;
            }
            open.push(children);
            depth = depth.max(open.len());
            if depth > DEPTH {
                return Some(depth);
            }
        }
    }
    Some(depth)
}

/// What is left of a footer.
struct Walk<'a> {
    left: &'a [u8],
}

impl Walk<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, left) = self.left.split_first()?;
        self.left = left;
        Some(*first)
    }

    fn take(&mut self, n: u64) -> Option<()> {
        self.left = self.left.get(usize::try_from(n).ok()?..)?;
        Some(())
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn zigzag(&mut self) -> Option<i64> {
        let raw = self.varint()?;
        Some((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    /// The type of a structure's next field, whose number goes to `field`; `Some(None)` at its end.
    fn field(&mut self, field: &mut i16) -> Option<Option<u8>> {
        let byte = self.byte()?;
        if byte & 0x0f == 0 {
            return Some(None);
        }
        *field = match byte >> 4 {
            0 => i16::try_from(self.zigzag()?).ok()?,
            step => field.checked_add(i16::from(step))?,
        };
        Some(Some(byte & 0x0f))
    }

    /// Length and type of a list.
    fn list(&mut self) -> Option<(u64, u8)> {
        let byte = self.byte()?;
        let count = match byte >> 4 {
            15 => self.varint()?,
            n => u64::from(n),
        };
        Some((count, byte & 0x0f))
    }

    /// Passes over one element of the schema; returns the number of its children.
    fn children(&mut self) -> Option<u64> {
        let (mut field, mut children) = (0, 0);
        while let Some(kind) = self.field(&mut field)? {
            match (field, kind) {
                (CHILDREN, wire::I32) => children = u64::try_from(self.zigzag()?).unwrap_or(0),
                _ => self.skip(kind, NESTED)?,
            }
        }
        Some(children)
    }

    /// Passes over a value.
    fn skip(&mut self, kind: u8, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match kind {
            wire::TRUE | wire::FALSE => Some(()),
            wire::BYTE => self.take(1),
            wire::I16 | wire::I32 | wire::I64 => self.varint().map(|_| ()),
            wire::DOUBLE => self.take(8),
            wire::BINARY => {
                let len = self.varint()?;
                self.take(len)
            }
            wire::LIST | wire::SET => {
                let (count, of) = self.list()?;
                (0..count).try_for_each(|_| self.skip_entry(of, depth))
            }
            wire::MAP => {
                let count = self.varint()?;
                let kinds = if count == 0 { 0 } else { self.byte()? };
                (0..count).try_for_each(|_| {
                    self.skip_entry(kinds >> 4, depth)?;
                    self.skip_entry(kinds & 0x0f, depth)
                })
            }
            wire::STRUCT => {
                let mut field = 0;
                while let Some(kind) = self.field(&mut field)? {
                    self.skip(kind, depth)?;
                }
                Some(())
            }
            _ => None,
        }
    }

    /// Passes over an entry of a collection, where truth values take a byte.
    fn skip_entry(&mut self, kind: u8, depth: usize) -> Option<()> {
        match kind {
            wire::TRUE | wire::FALSE => self.take(1),
            other => self.skip(other, depth),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A footer with a schema in which every element has one child.
    fn chain(levels: usize) -> Vec<u8> {
        let mut footer = vec![0x15, 2, 0x19, 0xfc];
        let mut count = levels;
        while count > 0x7f {
            footer.push(count as u8 | 0x80);
            count >>= 7;
        }
        footer.push(count as u8);
        for level in 0..levels {
            // Field 4, the name; field 5, the number of children.
            footer.extend([0x48, 1, b'x', 0x15, if level + 1 < levels { 2 } else { 0 }, 0]);
        }
        footer.push(0);
        footer
    }

    #[test]
    fn depth_is_found_before_anything_is_built() {
        assert_eq!(schema_depth(&chain(3)), Some(3));
        assert_eq!(schema_depth(&chain(DEPTH)), Some(DEPTH));
        assert!(schema_depth(&chain(20_000)).unwrap() > DEPTH);
        assert_eq!(schema_depth(&chain(200)[..50]), None);
        // Two children beside each other are one level.
        let flat = [&[0x19, 0x3c][..], &[0x55, 4, 0], &[0x55, 0, 0], &[0x55, 0, 0], &[0]].concat();
        assert_eq!(schema_depth(&[&[0x15, 2][..], &flat].concat()), Some(2));
    }
}
