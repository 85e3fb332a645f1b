//! Feature values: mapped from the prepared folder, or owned, so that nobody can change them any more.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use memmap2::Mmap;

use crate::data::manifest::check_digest;
use crate::data::read::{self, FileEntry};
use crate::{Error, Result};

/// Bytes that are read at a time.
const BLOCK: usize = 1 << 20;

/// The values of one feature file.
#[derive(Debug)]
pub(crate) enum Values {
    /// As the file has them now.
    Mapped(Mmap),
    /// As it had them when it was read.
    Own(Vec<f32>),
    /// The same in a file of ours that has no name.
    Aside(Mmap),
}

impl Values {
    /// Row after row.
    pub(crate) fn get(&self) -> &[f32] {
        match self {
            Self::Mapped(map) | Self::Aside(map) => bytemuck::cast_slice(map),
            Self::Own(values) => values,
        }
    }

    /// Reads the whole file, its hash checked; into memory, or to a file without a name.
    pub(crate) fn own(path: &Path, entry: &FileEntry, in_memory: bool) -> Result<Self> {
        let mut file = read::open(path)?;
        let damaged = |e| Error::io(path, e);
        let mut hasher = blake3::Hasher::new();
        let values = if in_memory {
            let mut values = vec![0f32; entry.bytes as usize / size_of::<f32>()];
            for block in bytemuck::cast_slice_mut::<f32, u8>(&mut values).chunks_mut(BLOCK) {
                file.read_exact(block).map_err(damaged)?;
                hasher.update(block);
            }
            Self::Own(values)
        } else {
            Self::Aside(copy(path, &mut file, entry, &mut hasher)?)
        };
        check_digest(path, &hasher.finalize(), entry)?;
        Ok(values)
    }
}

/// Copies a file to one without a name in the system's folder for temporary files, mapped.
fn copy(path: &Path, from: &mut File, entry: &FileEntry, hasher: &mut blake3::Hasher) -> Result<Mmap> {
    let folder = std::env::temp_dir();
    let failed = |e| Error::io(&folder, e);
    let mut to = tempfile::tempfile_in(&folder).map_err(failed)?;
    let mut block = vec![0; BLOCK];
    let mut left = entry.bytes as usize;
    while left > 0 {
        let part = left.min(BLOCK);
        from.read_exact(&mut block[..part]).map_err(|e| Error::io(path, e))?;
        hasher.update(&block[..part]);
        to.write_all(&block[..part]).map_err(failed)?;
        left -= part;
    }
    read::map_file(&to).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owned_values_outlive_their_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let values: Vec<f32> = (0..300_001).map(|n| n as f32).collect();
        let bytes: &[u8] = bytemuck::cast_slice(&values);
        let blake3 = blake3::hash(bytes).to_hex().to_string();
        let entry = FileEntry { name: "f".into(), bytes: bytes.len() as u64, blake3 };
        for in_memory in [true, false] {
            std::fs::write(&path, bytes).unwrap();
            let own = Values::own(&path, &entry, in_memory).unwrap();
            // In place, as `cp` and a restore do it: whoever mapped the file would see it, or be ended by a signal.
            std::fs::write(&path, b"cut").unwrap();
            assert!(own.get() == values, "in memory: {in_memory}");
            assert!(Values::own(&path, &entry, in_memory).is_err());
            let mut other = bytes.to_vec();
            other[1234] ^= 0x20;
            std::fs::write(&path, other).unwrap();
            let error = Values::own(&path, &entry, in_memory).unwrap_err().to_string();
            assert!(error.contains("is damaged (its hash differs"), "{error}");
        }
    }
}
