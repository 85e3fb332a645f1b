//! What stands for Parquet in a build without the feature `parquet`: reading one says so.

use std::path::Path;

use crate::data::formats::matrix::MatrixFile;
use crate::data::formats::row::{Choose, Visit};
use crate::disk::source::File;
use crate::{Error, Result};

fn absent<T>(path: &Path) -> Result<T> {
    Err(Error::format(
        path,
        "is Parquet, which this build does not read; build it with the feature `parquet`",
    ))
}

pub(crate) fn read(path: &Path, _: File, _: usize, _: Choose<'_>, _: Visit<'_>) -> Result<()> {
    absent(path)
}

pub(crate) fn read_features(path: &Path, _: File) -> Result<MatrixFile> {
    absent(path)
}
