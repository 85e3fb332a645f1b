//! Folders that are there whole or not at all.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::atomic::{begin, remove_leftovers};
use super::unfinished::Unfinished;
use super::watched::{Op, tell};
use super::{File, create_folders, exists, parent, remove_folder, rename, sync_folder};
use crate::error::{Error, Result};

/// Size and content hash of a written file.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct FileEntry {
    /// File name inside the folder.
    pub(crate) name: String,
    /// Length.
    pub(crate) bytes: u64,
    /// blake3 of the content, hex.
    pub(crate) blake3: String,
}

/// A folder under construction beside its final place. Dropped without [`Staged::commit`], it leaves nothing.
pub(crate) struct Staged {
    unfinished: Unfinished,
    out: PathBuf,
    /// Whether it is in place; the temporary name is then that of the folder that it replaced, if any.
    placed: bool,
    /// Locked, so that others do not take the folder for a leftover; where the system has no such locks,
    /// nothing.
    _lock: Option<fs::File>,
}

/// Writes one file of a [`Staged`] folder and hashes what goes through.
pub(crate) struct HashingWriter {
    file: BufWriter<File>,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl Write for HashingWriter {
    fn write(&mut self, content: &[u8]) -> io::Result<usize> {
        let n = self.file.write(content)?;
        self.hasher.update(&content[..n]);
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Staged {
    /// Starts a folder that will become `out`. What is at `out` must be absent, an empty folder, or a
    /// folder that has the file `marker`. What killed processes left of the same folder is removed.
    pub(crate) fn new(out: &Path, marker: &str) -> Result<Self> {
        check_replaceable(out, marker)?;
        create_folders(parent(out))?;
        remove_leftovers(out);
        let (unfinished, lock) = begin(out, |name| {
            let made = tell(&Op::MakeFolder(name)).and_then(|()| fs::create_dir(name));
            made.map_err(|e| Error::io(out, e))?;
            Ok(fs::File::open(name).ok().filter(|folder| folder.lock().is_ok()))
        })?;
        take_permissions(unfinished.path(), out);
        Ok(Self { unfinished, out: out.to_path_buf(), placed: false, _lock: lock })
    }

    /// Writes file `name` with `fill`, flushed to the disk; returns its entry for the manifest. An error of
    /// the disk names the file's final place.
    pub(crate) fn write(
        &self,
        name: &str,
        fill: impl FnOnce(&mut HashingWriter) -> Result<()>,
    ) -> Result<FileEntry> {
        let place = self.out.join(name);
        let named = |e: Error| e.at_path(&place);
        let file = File::create_new(&self.unfinished.path().join(name)).map_err(named)?;
        let file = BufWriter::with_capacity(1 << 20, file);
        let mut writer = HashingWriter { file, hasher: blake3::Hasher::new(), bytes: 0 };
        fill(&mut writer)?;
        let file = writer.file.into_inner().map_err(|e| Error::io(&place, e.into_error()))?;
        file.sync().map_err(named)?;
        let blake3 = writer.hasher.finalize().to_hex().to_string();
        Ok(FileEntry { name: name.to_string(), bytes: writer.bytes, blake3 })
    }

    /// Writes file `name` from bytes.
    pub(crate) fn write_bytes(&self, name: &str, content: &[u8]) -> Result<FileEntry> {
        self.write(name, |w| w.write_all(content).map_err(|e| Error::io(self.out.join(name), e)))
    }

    /// Puts the finished folder in place. An older one changes places with it at once and is removed
    /// last; where the file system cannot do that, it is moved aside first, and back if the new one cannot
    /// take its place.
    pub(crate) fn commit(mut self, marker: &str) -> Result<()> {
        check_replaceable(&self.out, marker)?;
        let (out, temporary) = (&self.out, self.unfinished.path());
        sync_folder(temporary).map_err(|e| e.at_path(out))?;
        let mut placed = false;
        // The old folder goes when the disk has the new one.
        let done = self.unfinished.finish(|| {
            put(temporary, out)?;
            placed = true;
            sync_folder(parent(out))
        });
        self.placed = placed;
        done?;
        if exists(self.unfinished.path()) {
            // What cannot be removed now goes with the next.
            let _ = remove_folder(self.unfinished.path());
        }
        Ok(())
    }
}

/// Gives the folder `to` the permissions of the one that it will replace, if there is one.
#[cfg(unix)]
fn take_permissions(to: &Path, replaced: &Path) {
    use std::os::unix::fs::PermissionsExt;
    if let Some(old) = fs::metadata(replaced).ok().filter(fs::Metadata::is_dir) {
        // It must be written to, whatever the old one was. Some file systems keep no permissions.
        let mode = old.permissions().mode() | 0o700;
        let _ = fs::set_permissions(to, fs::Permissions::from_mode(mode));
    }
}

#[cfg(not(unix))]
fn take_permissions(_: &Path, _: &Path) {}

/// Moves the finished folder from `from` to `out`.
fn put(from: &Path, out: &Path) -> Result<()> {
    if !exists(out) {
        return rename(from, out);
    }
    if exchange(from, out).is_ok() {
        return Ok(());
    }
    let name = from.file_name().unwrap_or_default().to_string_lossy();
    let aside = parent(out).join(format!(".replaced{name}"));
    rename(out, &aside).map_err(|e| e.at_path(out))?;
    if let Err(e) = rename(from, out) {
        if rename(&aside, out).is_err() {
            let note = format!("{e}; the former data are in {}", aside.display());
            return Err(Error::format(out, note));
        }
        return Err(e);
    }
    let _ = remove_folder(&aside);
    Ok(())
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.placed {
            // Nothing half-written stays; an error before this one is the one to tell.
            let _ = remove_folder(self.unfinished.path());
        }
    }
}

/// Has two folders change names, in one step.
#[cfg(any(target_os = "linux", target_os = "macos"))]
fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    tell(&Op::Exchange(one, other))?;
    Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?)
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
fn exchange(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// An error unless `out` is absent, an empty folder, or a folder with the file `marker`.
pub(crate) fn check_replaceable(out: &Path, marker: &str) -> Result<()> {
    if !exists(out) || out.join(marker).is_file() {
        return Ok(());
    }
    if !out.is_dir() {
        return Err(Error::format(out, "is a file; the output must be a folder"));
    }
    let mut entries = fs::read_dir(out).map_err(|e| Error::io(out, e))?;
    match entries.next() {
        None => Ok(()),
        Some(_) => {
            let message = "is a folder with other content; give a new or empty folder, or a prepared one";
            Err(Error::format(out, message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_staged_folder_is_there_whole_or_not_at_all() {
        let base = tempfile::tempdir().unwrap();
        let out = base.path().join("made/out");
        let staged = Staged::new(&out, "mark").unwrap();
        staged.write_bytes("mark", b"1").unwrap();
        drop(staged);
        assert_eq!(fs::read_dir(out.parent().unwrap()).unwrap().count(), 0);

        for content in [b"1", b"2"] {
            let staged = Staged::new(&out, "mark").unwrap();
            let entry = staged.write_bytes("mark", content).unwrap();
            assert_eq!((entry.bytes, entry.blake3), (1, blake3::hash(content).to_hex().to_string()));
            staged.commit("mark").unwrap();
            assert_eq!(fs::read(out.join("mark")).unwrap(), content);
            assert_eq!(fs::read_dir(out.parent().unwrap()).unwrap().count(), 1);
        }
    }

    #[test]
    #[cfg(unix)]
    fn a_folder_that_is_replaced_keeps_its_permissions() {
        use std::os::unix::fs::PermissionsExt;
        let base = tempfile::tempdir().unwrap();
        let out = base.path().join("out");
        fs::create_dir(&out).unwrap();
        fs::set_permissions(&out, fs::Permissions::from_mode(0o750)).unwrap();
        let staged = Staged::new(&out, "mark").unwrap();
        staged.write_bytes("mark", b"1").unwrap();
        staged.commit("mark").unwrap();
        assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o750);
    }

    #[test]
    fn what_a_kill_left_is_removed_by_the_next() {
        let base = tempfile::tempdir().unwrap();
        let out = base.path().join("out");
        let left = base.path().join(".out.writing-1-7");
        fs::create_dir(&left).unwrap();
        fs::write(left.join("half"), "x").unwrap();
        let alive = Staged::new(&out, "mark").unwrap();
        assert!(!left.exists());
        let other = Staged::new(&out, "mark").unwrap();
        assert!(alive.unfinished.path().exists(), "its process lives");
        drop(other);
        alive.write_bytes("mark", b"1").unwrap();
        alive.commit("mark").unwrap();
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 1);
    }

    #[test]
    fn folders_of_others_are_left_alone() {
        let base = tempfile::tempdir().unwrap();
        fs::write(base.path().join("thesis.tex"), "x").unwrap();
        assert!(Staged::new(base.path(), "mark").is_err());
        assert!(Staged::new(&base.path().join("thesis.tex"), "mark").is_err());
        assert!(Staged::new(&base.path().join("thesis.tex/under"), "mark").is_err());
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 1);
    }
}
