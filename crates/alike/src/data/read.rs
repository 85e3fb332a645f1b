//! All disk access of the data modules: files read whole or mapped, folders written atomically.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use bytemuck::Pod;
use memmap2::Mmap;

use crate::{Error, Result};

#[cfg(target_endian = "big")]
compile_error!("prepared folders hold little-endian arrays that are mapped as they are");

/// Opens a file for reading; a folder is an error at once, not at the first read.
pub(crate) fn open(path: &Path) -> Result<File> {
    let file = File::open(path).map_err(|e| Error::io(path, e))?;
    if file.metadata().map_err(|e| Error::io(path, e))?.is_dir() {
        return Err(Error::format(path, "is a folder; a file is expected"));
    }
    Ok(file)
}

/// The whole content of a file.
pub(crate) fn bytes(path: &Path) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    open(path)?.read_to_end(&mut content).map_err(|e| Error::io(path, e))?;
    Ok(content)
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
    map_file(&open(path)?).map_err(|e| Error::io(path, e))
}

/// An open file's bytes mapped into memory.
pub(crate) fn map_file(file: &File) -> io::Result<Mmap> {
    // SAFETY: the mapping is read-only. Prepared folders are never changed in place (they are built elsewhere
    // and renamed), and an input file is only read during `prepare`; a file that another program truncates
    // meanwhile ends the process, it cannot hand out memory of others. What lives longer than a command owns its
    // values (`data::values`).
    #[allow(unsafe_code)]
    unsafe {
        Mmap::map(file)
    }
}

/// An array of plain numbers from its little-endian bytes.
pub(crate) fn array<T: Pod>(path: &Path, content: &[u8]) -> Result<Vec<T>> {
    if !content.len().is_multiple_of(size_of::<T>()) {
        return Err(Error::format(path, format!("{} bytes are no whole number of values", content.len())));
    }
    Ok(bytemuck::pod_collect_to_vec(content))
}

/// True when `path` is there, whatever it is.
pub(crate) fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Size of a file in bytes.
pub(crate) fn size(path: &Path) -> Result<u64> {
    Ok(fs::metadata(path).map_err(|e| Error::io(path, e))?.len())
}

/// What stands in a folder, in no order.
pub(crate) fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(|e| Error::io(folder, e))?;
    entries.map(|e| Ok(e.map_err(|e| Error::io(folder, e))?.path())).collect()
}

/// Writes a small file so that it is there whole or not at all. Its folder is made if it is missing.
pub(crate) fn write_atomic(path: &Path, content: &[u8]) -> Result<()> {
    let folder = parent(path);
    let run = || -> io::Result<()> {
        fs::create_dir_all(folder)?;
        let mut builder = tempfile::Builder::new();
        // As any new file: others may read it if the process's mask allows.
        #[cfg(unix)]
        let builder = builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut file = builder.prefix(".writing-").tempfile_in(folder)?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|e| e.error)?;
        Ok(())
    };
    run().map_err(|e| Error::io(path, e))
}

/// The folder of a path.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        _ => Path::new("."),
    }
}

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
    temp: tempfile::TempDir,
    out: PathBuf,
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
    /// Starts a folder that will become `out`. What stands at `out` must be absent, an empty folder, or a
    /// folder that has the file `marker`.
    pub(crate) fn new(out: &Path, marker: &str) -> Result<Self> {
        check_replaceable(out, marker)?;
        let folder = parent(out);
        fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
        let name = out.file_name().and_then(|n| n.to_str()).unwrap_or("data");
        let temp = tempfile::Builder::new()
            .prefix(&format!(".{name}.writing-"))
            .tempdir_in(folder)
            .map_err(|e| Error::io(folder, e))?;
        Ok(Self { temp, out: out.to_path_buf() })
    }

    /// Writes file `name` with `fill`, flushed to the disk; returns its entry for the manifest. An error of
    /// the disk names the file's final place.
    pub(crate) fn write(
        &self,
        name: &str,
        fill: impl FnOnce(&mut HashingWriter) -> Result<()>,
    ) -> Result<FileEntry> {
        let failed = |e: io::Error| Error::io(self.out.join(name), e);
        let file = File::create_new(self.temp.path().join(name)).map_err(failed)?;
        let file = BufWriter::with_capacity(1 << 20, file);
        let mut writer = HashingWriter { file, hasher: blake3::Hasher::new(), bytes: 0 };
        fill(&mut writer)?;
        let file = writer.file.into_inner().map_err(|e| failed(e.into_error()))?;
        file.sync_all().map_err(failed)?;
        let blake3 = writer.hasher.finalize().to_hex().to_string();
        Ok(FileEntry { name: name.to_string(), bytes: writer.bytes, blake3 })
    }

    /// Writes file `name` from bytes.
    pub(crate) fn write_bytes(&self, name: &str, content: &[u8]) -> Result<FileEntry> {
        self.write(name, |w| w.write_all(content).map_err(|e| Error::io(self.out.join(name), e)))
    }

    /// Puts the finished folder in place. A folder that stood there is moved aside first and removed last, and
    /// put back if the new one cannot take its place.
    pub(crate) fn commit(self, marker: &str) -> Result<()> {
        let out = &self.out;
        let failed = |e: io::Error| Error::io(out, e);
        check_replaceable(out, marker)?;
        #[cfg(unix)]
        File::open(self.temp.path()).and_then(|d| d.sync_all()).map_err(failed)?;
        let aside = if exists(out) {
            let aside =
                tempfile::Builder::new().prefix(".replaced-").tempdir_in(parent(out)).map_err(failed)?;
            fs::rename(out, aside.path().join("old")).map_err(failed)?;
            Some(aside)
        } else {
            None
        };
        let temp = self.temp.keep();
        if let Err(e) = fs::rename(&temp, out) {
            if let Some(aside) = aside {
                let old = aside.path().join("old");
                if fs::rename(&old, out).is_err() {
                    // The old data stay where they are rather than go with the temporary folder.
                    let kept = aside.keep();
                    let note = format!("{e}; the former data are in {}", kept.display());
                    return Err(Error::format(out, note));
                }
            }
            // Nothing half-written stays; the first error is the one to tell.
            let _ = fs::remove_dir_all(&temp);
            return Err(failed(e));
        }
        #[cfg(unix)]
        File::open(parent(out)).and_then(|d| d.sync_all()).map_err(failed)?;
        Ok(())
    }
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
    fn folders_of_others_are_left_alone() {
        let base = tempfile::tempdir().unwrap();
        fs::write(base.path().join("thesis.tex"), "x").unwrap();
        assert!(Staged::new(base.path(), "mark").is_err());
        assert!(Staged::new(&base.path().join("thesis.tex"), "mark").is_err());
        assert!(Staged::new(&base.path().join("thesis.tex/under"), "mark").is_err());
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 1);
    }

    #[test]
    fn text_names_the_line_that_is_not_utf8() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("ids");
        fs::write(&path, b"a\nb\n\xff\n").unwrap();
        assert!(text(&path).unwrap_err().to_string().contains("ids:3: is not UTF-8"));
        assert!(bytes(base.path()).unwrap_err().to_string().contains("is a folder"));
    }
}
