//! Folders that are gone with what they were for.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::File;
use crate::error::{Error, Result};

/// A folder below the system's temporary one that nobody else may read, removed with this.
#[derive(Debug)]
pub(crate) struct TemporaryFolder(TempDir);

impl TemporaryFolder {
    pub(crate) fn new() -> Result<Self> {
        let made = tempfile::Builder::new().prefix("alike-").tempdir();
        Ok(Self(made.map_err(|e| Error::io(std::env::temp_dir(), e))?))
    }

    /// Makes a file in it.
    pub(crate) fn create(&self, name: &str) -> Result<(PathBuf, File)> {
        let path = self.0.path().join(Path::new(name).file_name().unwrap_or("table".as_ref()));
        let file = File::create_new(&path)?;
        Ok((path, file))
    }
}
