//! Work that outlives the process: vectors appended batch by batch, and read again after a stop or a kill.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::disk::{self, File, TryLockError};
use crate::{Error, Result};

/// What a vector is known by: the first half of the blake3 hash of the content it was made of.
pub(crate) type ContentKey = [u8; 16];

const MAGIC: &[u8; 8] = b"alikep01";
/// Magic, key of the encoder, width.
const HEADER: usize = 8 + 32 + 8;
const CHECK: usize = 8;

/// An open work file, locked. Little-endian: the header, then for each vector its content key, `dim` f32 and
/// the first eight bytes of the blake3 hash of both.
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
}

impl Journal {
    /// Opens or starts the work file of an encoder and hands every whole vector in it to `visit`; what
    /// follows the last whole one, left by a kill, is cut off. The work of another encoder is thrown away.
    pub(crate) fn open(
        path: &Path,
        encoder: &[u8; 32],
        dim: usize,
        visit: &mut dyn FnMut(ContentKey, &[f32]),
    ) -> Result<Self> {
        let failed = |e: std::io::Error| Error::io(path, e);
        disk::create_folders(disk::parent(path))?;
        let mut file = File::edit(path)?;
        // Some network file systems know no locks.
        if let Err(TryLockError::WouldBlock) = file.plain().try_lock() {
            return Err(Error::format(path, "another process is writing these features; wait for it"));
        }
        let content = file.content()?;
        let header = [&MAGIC[..], encoder, &(dim as u64).to_le_bytes()].concat();
        // A kill may have cut the first bytes short; what is otherwise is somebody else's, however short.
        if !content.starts_with(MAGIC) && !MAGIC.starts_with(&content) {
            return Err(Error::format(path, "is no work file of `alike embed`; move it away"));
        }
        let mut good = 0;
        if content.starts_with(&header) {
            good = HEADER;
            let mut values = vec![0f32; dim];
            for record in content[HEADER..].chunks_exact(record_len(dim)) {
                let (vector, check) = record.split_at(record.len() - CHECK);
                if blake3::hash(vector).as_bytes()[..CHECK] != *check {
                    break;
                }
                for (value, bytes) in values.iter_mut().zip(vector[16..].as_chunks::<4>().0) {
                    *value = f32::from_le_bytes(*bytes);
                }
                visit(vector[..16].try_into().expect("keys have 16 bytes"), &values);
                good += record.len();
            }
        }
        file.set_length(good as u64)?;
        if good == 0 {
            file.write_all(&header).map_err(failed)?;
            // Its name too: hours of work are reached by it.
            disk::sync_folder(disk::parent(path))?;
        }
        Ok(Self { path: path.to_path_buf(), file })
    }

    /// Adds vectors and brings them to the disk.
    pub(crate) fn append<'a>(
        &mut self,
        vectors: impl IntoIterator<Item = (&'a ContentKey, &'a [f32])>,
    ) -> Result<()> {
        let mut bytes = Vec::new();
        for (key, values) in vectors {
            let start = bytes.len();
            bytes.extend_from_slice(key);
            bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
            let check = blake3::hash(&bytes[start..]);
            bytes.extend_from_slice(&check.as_bytes()[..CHECK]);
        }
        self.file.write_all(&bytes).map_err(|e| Error::io(&self.path, e))?;
        self.file.sync()
    }

    /// Removes the file: all of it is elsewhere now.
    pub(crate) fn remove(self) -> Result<()> {
        disk::remove_file(&self.path)
    }
}

fn record_len(dim: usize) -> usize {
    16 + 4 * dim + CHECK
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    type Found = Vec<(u8, Vec<f32>)>;

    fn read(path: &Path, encoder: u8, dim: usize) -> Result<(Journal, Found)> {
        let mut all = Vec::new();
        let journal = Journal::open(path, &[encoder; 32], dim, &mut |key, v| all.push((key[0], v.to_vec())))?;
        Ok((journal, all))
    }

    #[test]
    fn what_a_kill_left_is_cut_at_the_last_whole_vector() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("out.part");
        let (mut journal, none) = read(&path, 1, 2).unwrap();
        assert!(none.is_empty());
        assert!(read(&path, 1, 2).is_err(), "the file is locked");
        journal.append([(&[5; 16], &[1.0, 2.0][..]), (&[6; 16], &[3.0, 4.0][..])]).unwrap();
        drop(journal);
        let whole = fs::read(&path).unwrap();
        for cut in [whole.len() - 1, HEADER + record_len(2), HEADER + 3, HEADER, 20, 3] {
            fs::write(&path, &whole[..cut]).unwrap();
            let (mut journal, found) = read(&path, 1, 2).unwrap();
            let expected = usize::from(cut >= HEADER + record_len(2));
            assert_eq!(found.len(), expected, "cut at {cut}");
            journal.append([(&[6; 16], &[3.0, 4.0][..])]).unwrap();
            drop(journal);
            let (_, found) = read(&path, 1, 2).unwrap();
            assert_eq!(found.last(), Some(&(6, vec![3.0, 4.0])));
            assert_eq!(found.len(), expected + 1);
        }
        let mut flipped = whole.clone();
        flipped[HEADER + 20] ^= 1;
        fs::write(&path, &flipped).unwrap();
        assert!(read(&path, 1, 2).unwrap().1.is_empty(), "a damaged vector is not used");
        fs::write(&path, &whole).unwrap();
        assert!(read(&path, 2, 2).unwrap().1.is_empty(), "work of another encoder");
        for foreign in ["my novel", "mine", "\n", "alike!", "a much longer text than any header of ours"] {
            fs::write(&path, foreign).unwrap();
            assert!(read(&path, 1, 2).is_err(), "{foreign}");
            assert_eq!(fs::read(&path).unwrap(), foreign.as_bytes());
        }
    }
}
