//! Files of others, opened once whatever they are: a file, a pipe, standard input, a folder of part files.

use std::fs::{self, Metadata};
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};

pub(crate) use std::fs::File;

use crate::{Error, Result};

/// The name of standard input.
pub(crate) const STDIN: &str = "-";

/// Folders in folders that are looked into: partitions like `day=2024-01-31`.
const DEPTH: usize = 8;

/// Something to read from.
pub(crate) enum Source {
    /// It can be read again and at any place.
    File(File),
    /// It can be read once, from its start.
    Pipe(Box<dyn Read>),
}

/// Opens `path`, or standard input for [`STDIN`]. A folder and a device (which may never end) are errors.
pub(crate) fn open(path: &Path) -> Result<Source> {
    let failed = |e: io::Error| Error::io(path, e);
    let file = match path == Path::new(STDIN) {
        #[cfg(unix)]
        true => {
            let input = std::os::fd::AsFd::as_fd(&io::stdin()).try_clone_to_owned();
            File::from(input.map_err(failed)?)
        }
        #[cfg(not(unix))]
        true => return Ok(Source::Pipe(Box::new(io::stdin()))),
        false => File::open(path).map_err(failed)?,
    };
    let kind = file.metadata().map_err(failed)?;
    if kind.is_dir() {
        return Err(Error::format(path, "is a folder; a file is expected"));
    }
    match kind.is_file() {
        true => Ok(Source::File(file)),
        false if is_pipe(&kind) => Ok(Source::Pipe(Box::new(file))),
        false => Err(Error::format(path, "is a device or a terminal; give a file or a pipe")),
    }
}

#[cfg(unix)]
fn is_pipe(kind: &Metadata) -> bool {
    use std::os::unix::fs::FileTypeExt;
    kind.file_type().is_fifo() || kind.file_type().is_socket()
}

#[cfg(not(unix))]
fn is_pipe(_: &Metadata) -> bool {
    false
}

/// All that `input` gives, as a file that goes when it is closed: for what must be read at any place.
pub(crate) fn spool(path: &Path, input: &mut dyn Read) -> Result<File> {
    let copied = tempfile::tempfile().and_then(|mut file| {
        io::copy(input, &mut file)?;
        file.rewind()?;
        Ok(file)
    });
    copied.map_err(|e| Error::io(path, e))
}

/// True when `path` is a folder.
pub(crate) fn is_folder(path: &Path) -> bool {
    path.is_dir()
}

/// The part files of a folder as Spark, Athena and others write them, by name: those called `part-…` where
/// there are such, otherwise all; names that start with `_` or `.` (`_SUCCESS`, checksums) are none. A folder
/// with the file `ours` is refused.
pub(crate) fn parts(folder: &Path, ours: &str) -> Result<Vec<PathBuf>> {
    if folder.join(ours).is_file() {
        return Err(Error::format(folder, "is a prepared folder already; give the files it was made of"));
    }
    let mut files = Vec::new();
    collect(folder, 0, &mut files)?;
    let is_part = |p: &PathBuf| name_of(p).starts_with("part-");
    if files.iter().any(is_part) {
        files.retain(is_part);
    }
    if files.is_empty() {
        return Err(Error::format(folder, "is a folder without files; a file or part files are expected"));
    }
    files.sort();
    Ok(files)
}

fn collect(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).map_err(|e| Error::io(folder, e))? {
        let path = entry.map_err(|e| Error::io(folder, e))?.path();
        let name = name_of(&path);
        if name.starts_with(['_', '.']) {
            continue;
        }
        if path.is_file() {
            // A task without rows may leave an empty file.
            if path.metadata().is_ok_and(|about| about.len() > 0) {
                files.push(path);
            }
        } else if path.is_dir() && name.contains('=') && depth < DEPTH {
            collect(&path, depth + 1, files)?;
        }
    }
    Ok(())
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
