//! Tables that are in memory, as files.

use std::path::{Path, PathBuf};

use arrow_array::RecordBatchReader;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use crate::disk::TemporaryFolder;
use crate::{Error, Result};

/// A table that somebody holds in memory or makes as it is asked for, written as Parquet to a place of its
/// own in the system's folder for temporary files, so that [`prepare`](super::prepare) takes it like any file:
/// interactions, a catalogue. It is removed when this is dropped.
#[derive(Debug)]
pub struct TableFile {
    path: PathBuf,
    _folder: TemporaryFolder,
}

impl TableFile {
    /// Writes all batches of `table`, one at a time; `name` becomes the name of the data.
    ///
    /// # Errors
    /// A batch cannot be had, a column is of a type that Parquet has not, or there is no room.
    pub fn write(table: impl RecordBatchReader, name: &str) -> Result<Self> {
        let folder = TemporaryFolder::new()?;
        let (path, file) = folder.create(&format!("{name}.parquet"))?;
        let refused = |e: &dyn std::fmt::Display| Error::Data(format!("the table `{name}`: {e}"));
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let schema = table.schema();
        let mut writer = ArrowWriter::try_new(file, schema, Some(properties)).map_err(|e| refused(&e))?;
        for batch in table {
            writer.write(&batch.map_err(|e| refused(&e))?).map_err(|e| refused(&e))?;
        }
        writer.close().map_err(|e| refused(&e))?;
        Ok(Self { path, _folder: folder })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}
