//! The one way to the disk: everything that the library reads, writes, renames or removes goes through here.
//!
//! What is written appears whole or not at all: [`write_atomic`] for a file, `Staged` for a folder. What a
//! process that was killed left half-written is removed by the next one that writes to the same place. Every
//! call that changes the disk can be watched, and made to fail, by [`watch`]: tests use it to try each of
//! them.

mod atomic;
mod file;
pub(crate) mod source;
mod staged;
mod temporary;
pub mod unfinished;
mod watched;

use std::fs;
pub(crate) use std::fs::TryLockError;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use bytemuck::Pod;
use memmap2::Mmap;

use crate::error::{Error, Result};

pub(crate) use atomic::{remove_leftovers, temporary_of};
pub use atomic::{write_atomic, write_atomic_with};
pub(crate) use file::{File, exists};
pub(crate) use staged::{FileEntry, Staged, check_replaceable};
pub(crate) use temporary::TemporaryFolder;
use watched::tell;
pub use watched::{Op, Watcher, watch};

#[cfg(target_endian = "big")]
compile_error!("prepared folders hold little-endian arrays that are mapped as they are");

/// A file opened to be read; a folder is an error.
pub(crate) fn open(path: &Path) -> Result<fs::File> {
    Ok(File::open(path)?.into_plain())
}

/// The whole content of a file.
pub(crate) fn bytes(path: &Path) -> Result<Vec<u8>> {
    File::open(path)?.content()
}

/// The whole content of a plain file of at most `most` bytes, or `None` where it has more. Pipes and devices,
/// which may never end, are errors, before they are opened.
pub(crate) fn bytes_within(path: &Path, most: u64) -> Result<Option<Vec<u8>>> {
    let kind = fs::metadata(path).map_err(|e| Error::io(path, e))?;
    if !kind.is_file() && !kind.is_dir() {
        return Err(Error::format(path, "is no plain file"));
    }
    let mut content = Vec::new();
    open(path)?.take(most.saturating_add(1)).read_to_end(&mut content).map_err(|e| Error::io(path, e))?;
    Ok((content.len() as u64 <= most).then_some(content))
}

/// The whole content of a file, or `None` where there is none.
pub(crate) fn bytes_if_there(path: &Path) -> Result<Option<Vec<u8>>> {
    if exists(path) { bytes(path).map(Some) } else { Ok(None) }
}

/// The whole content of a file that must be UTF-8; an error names the line.
pub(crate) fn text(path: &Path) -> Result<String> {
    String::from_utf8(bytes(path)?).map_err(|e| {
        let good = &e.as_bytes()[..e.utf8_error().valid_up_to()];
        let line = 1 + good.iter().filter(|&&c| c == b'\n').count() as u64;
        Error::format_at(path, line, "is not UTF-8 text")
    })
}

/// A file's bytes mapped into memory.
pub(crate) fn map(path: &Path) -> Result<Mmap> {
    map_file(path, &open(path)?)
}

/// The bytes of an opened file mapped into memory; `path` is for errors.
pub(crate) fn map_file(path: &Path, file: &fs::File) -> Result<Mmap> {
    // SAFETY: the mapping is read-only. Prepared folders are never changed in place (they are built elsewhere
    // and renamed), and an input file is only read during `prepare`; a file that another program truncates
    // meanwhile ends the process, it cannot hand out memory of others. Programs that run on map
    // copies without a name, which nobody else can open.
    #[allow(unsafe_code)]
    unsafe { Mmap::map(file) }.map_err(|e| Error::io(path, e))
}

/// The first `bytes` bytes of a file, copied to one without a name in the system's folder for temporary
/// files, and mapped there; each block is shown to `see` on its way.
pub(crate) fn map_copy(path: &Path, bytes: usize, mut see: impl FnMut(&[u8])) -> Result<Mmap> {
    let folder = std::env::temp_dir();
    let failed = |e| Error::io(&folder, e);
    let mut from = open(path)?;
    let mut to = tempfile::tempfile_in(&folder).map_err(failed)?;
    let mut block = vec![0; bytes.min(1 << 20)];
    let mut left = bytes;
    while left > 0 {
        let part = &mut block[..left.min(1 << 20)];
        from.read_exact(part).map_err(|e| Error::io(path, e))?;
        see(part);
        to.write_all(part).map_err(failed)?;
        left -= part.len();
    }
    map_file(&folder, &to)
}

/// An array of plain numbers from its little-endian bytes.
pub(crate) fn array<T: Pod>(path: &Path, content: &[u8]) -> Result<Vec<T>> {
    if !content.len().is_multiple_of(size_of::<T>()) {
        return Err(Error::format(path, format!("{} bytes are no whole number of values", content.len())));
    }
    Ok(bytemuck::pod_collect_to_vec(content))
}

/// Size of a file in bytes.
pub(crate) fn size(path: &Path) -> Result<u64> {
    Ok(fs::metadata(path).map_err(|e| Error::io(path, e))?.len())
}

/// The paths of the entries of a folder, in no order.
pub(crate) fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(|e| Error::io(folder, e))?;
    entries.map(|e| Ok(e.map_err(|e| Error::io(folder, e))?.path())).collect()
}

/// Where a path leads behind all links.
pub(crate) fn real_path(path: &Path) -> Result<PathBuf> {
    fs::canonicalize(path).map_err(|e| Error::io(path, e))
}

/// The folder of a path.
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        _ => Path::new("."),
    }
}

/// Makes a folder and those above it that are missing, so that they are there after a crash too.
pub fn create_folders(folder: &Path) -> Result<()> {
    let above = folder.ancestors().take_while(|a| !a.as_os_str().is_empty() && !a.is_dir());
    let missing: Vec<&Path> = above.collect();
    for made in missing.into_iter().rev() {
        let make = || {
            tell(&Op::MakeFolder(made))?;
            match fs::create_dir(made) {
                // Somebody else was quicker.
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists && made.is_dir() => Ok(()),
                other => other,
            }
        };
        make().map_err(|e| Error::io(made, e))?;
        sync_folder(parent(made))?;
    }
    Ok(())
}

/// Brings the names in a folder to the disk.
pub fn sync_folder(folder: &Path) -> Result<()> {
    let sync = || {
        tell(&Op::SyncFolder(folder))?;
        if cfg!(unix) { fs::File::open(folder)?.sync_all() } else { Ok(()) }
    };
    sync().map_err(|e| Error::io(folder, e))
}

/// Removes a file.
pub(crate) fn remove_file(path: &Path) -> Result<()> {
    tell(&Op::Remove(path)).and_then(|()| fs::remove_file(path)).map_err(|e| Error::io(path, e))
}

/// Removes a folder with all that is in it.
pub(crate) fn remove_folder(path: &Path) -> Result<()> {
    tell(&Op::Remove(path)).and_then(|()| fs::remove_dir_all(path)).map_err(|e| Error::io(path, e))
}

/// Gives a file or folder another name; a file of that name is replaced.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<()> {
    tell(&Op::Rename(from, to)).and_then(|()| fs::rename(from, to)).map_err(|e| Error::io(to, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_names_the_line_that_is_not_utf8() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("ids");
        fs::write(&path, b"a\nb\n\xff\n").unwrap();
        assert!(text(&path).unwrap_err().to_string().contains("ids:3: is not UTF-8"));
        assert!(bytes(base.path()).unwrap_err().to_string().contains("is a folder"));
        assert_eq!(bytes_if_there(&base.path().join("none")).unwrap(), None);
    }

    #[test]
    fn folders_are_made_with_those_above() {
        let base = tempfile::tempdir().unwrap();
        let deep = base.path().join("a/b/c");
        create_folders(&deep).unwrap();
        create_folders(&deep).unwrap();
        assert!(deep.is_dir());
        fs::write(base.path().join("file"), "x").unwrap();
        assert!(create_folders(&base.path().join("file/under")).is_err());
    }
}
