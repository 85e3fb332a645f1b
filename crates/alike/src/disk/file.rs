//! A file whose changes can be watched.

use std::fs;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::watched::{Op, tell, watched};
use crate::error::{Error, Result};

/// True when `path` is there, whatever it is.
pub(crate) fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// A file and where it is.
#[derive(Debug)]
pub(crate) struct File {
    path: PathBuf,
    file: fs::File,
}

impl File {
    /// Opens a file for reading; a folder is an error at once, not at the first read.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let file = fs::File::open(path).map_err(|e| Error::io(path, e))?;
        if file.metadata().map_err(|e| Error::io(path, e))?.is_dir() {
            return Err(Error::format(path, "is a folder; a file is expected"));
        }
        Ok(Self { path: path.to_path_buf(), file })
    }

    /// Makes a file, which must not be there.
    pub(crate) fn create_new(path: &Path) -> Result<Self> {
        let make = || tell(&Op::Create(path)).and_then(|()| fs::File::create_new(path));
        Ok(Self { path: path.to_path_buf(), file: make().map_err(|e| Error::io(path, e))? })
    }

    /// Opens a file for reading and writing from its start; makes it if it is not there.
    pub(crate) fn edit(path: &Path) -> Result<Self> {
        if !exists(path) {
            tell(&Op::Create(path)).map_err(|e| Error::io(path, e))?;
        }
        let options = fs::File::options().read(true).write(true).create(true).truncate(false).open(path);
        Ok(Self { path: path.to_path_buf(), file: options.map_err(|e| Error::io(path, e))? })
    }

    /// Opens a file for writing at its end; makes it if it is not there.
    pub(crate) fn append(path: &Path) -> Result<Self> {
        let mut file = Self::edit(path)?;
        file.file.seek(SeekFrom::End(0)).map_err(|e| Error::io(path, e))?;
        Ok(file)
    }

    /// What is left of it.
    pub(crate) fn content(&mut self) -> Result<Vec<u8>> {
        let mut content = Vec::new();
        self.file.read_to_end(&mut content).map_err(|e| Error::io(&self.path, e))?;
        Ok(content)
    }

    /// Cuts it, or fills it with zeros, and goes to its end.
    pub(crate) fn set_length(&mut self, length: u64) -> Result<()> {
        let set = tell(&Op::SetLength(&self.path, length)).and_then(|()| self.file.set_len(length));
        set.and_then(|()| self.file.seek(SeekFrom::End(0))).map_err(|e| Error::io(&self.path, e))?;
        Ok(())
    }

    /// Gives it the permissions of the file at `path`, if one is there. Where the file system keeps none,
    /// nothing happens.
    pub(super) fn take_permissions_of(&self, path: &Path) {
        if let Some(old) = fs::metadata(path).ok().filter(fs::Metadata::is_file).filter(|_| cfg!(unix)) {
            let _ = self.file.set_permissions(old.permissions());
        }
    }

    /// Brings its content to the disk.
    pub(crate) fn sync(&self) -> Result<()> {
        let sync = tell(&Op::Sync(&self.path)).and_then(|()| self.file.sync_all());
        sync.map_err(|e| Error::io(&self.path, e))
    }

    /// The system's own, to be read.
    pub(super) fn into_plain(self) -> fs::File {
        self.file
    }

    /// The system's own, for locks and maps.
    pub(crate) fn plain(&self) -> &fs::File {
        &self.file
    }
}

impl Read for File {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.file.read(into)
    }
}

impl Write for File {
    fn write(&mut self, content: &[u8]) -> io::Result<usize> {
        if watched() {
            let at = self.file.stream_position()?;
            tell(&Op::Write(&self.path, at, content))?;
            self.file.write_all(content)?;
            return Ok(content.len());
        }
        self.file.write(content)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
