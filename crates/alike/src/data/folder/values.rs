//! Feature values: mapped from the prepared folder, or owned, so that nobody can change them any more.

use std::io::Read;
use std::path::Path;

use memmap2::Mmap;

use crate::data::folder::manifest::check_digest;
use crate::disk;
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

    /// Reads a whole file of so many bytes, its hash checked; into memory while there are so many bytes
    /// `left`, or to a file without a name.
    pub(crate) fn read_owned(path: &Path, bytes: usize, hash: &str, left: &mut usize) -> Result<Self> {
        let mut hasher = blake3::Hasher::new();
        let values = if bytes <= *left {
            *left -= bytes;
            let mut file = disk::open(path)?;
            let mut values = vec![0f32; bytes / size_of::<f32>()];
            for block in bytemuck::cast_slice_mut::<f32, u8>(&mut values).chunks_mut(BLOCK) {
                file.read_exact(block).map_err(|e| Error::io(path, e))?;
                hasher.update(block);
            }
            Self::Own(values)
        } else {
            Self::Aside(disk::map_copy(path, bytes, |block| {
                hasher.update(block);
            })?)
        };
        check_digest(path, &hasher.finalize(), hash)?;
        Ok(values)
    }
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
        let hash = blake3::hash(bytes).to_hex().to_string();
        for in_memory in [true, false] {
            let room = || if in_memory { bytes.len() } else { 0 };
            std::fs::write(&path, bytes).unwrap();
            let own = Values::read_owned(&path, bytes.len(), &hash, &mut room()).unwrap();
            // In place, as `cp` and a restore do it: a process that mapped the file would see it, or be ended
            // by a signal.
            std::fs::write(&path, b"cut").unwrap();
            assert!(own.get() == values, "in memory: {in_memory}");
            assert!(Values::read_owned(&path, bytes.len(), &hash, &mut room()).is_err());
            let mut other = bytes.to_vec();
            other[1234] ^= 0x20;
            std::fs::write(&path, other).unwrap();
            let error = Values::read_owned(&path, bytes.len(), &hash, &mut room()).unwrap_err().to_string();
            assert!(error.contains("is damaged (its hash differs"), "{error}");
        }
    }
}
