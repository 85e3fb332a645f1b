//! One error type for the library: variants carry data, texts say what is allowed.

use std::path::{Path, PathBuf};

/// What can go wrong in this library.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is there but its content is not what it should be.
    #[error("{}{}: {message}", path.display(), line.map(|l| format!(":{l}")).unwrap_or_default())]
    Format {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1, where known.
        line: Option<u64>,
        /// What is wrong, and what is allowed.
        message: String,
    },
    /// An option that means nothing for the file that it is given for.
    #[error("--{flag}: {} {message}", path.display())]
    Flag {
        /// The option, by its name on the command line.
        flag: &'static str,
        /// The file.
        path: PathBuf,
        /// What the file is, and the way out.
        message: String,
    },
    /// A setting's name is not known.
    #[error("unknown setting `{name}`; allowed: {allowed}")]
    UnknownSetting {
        /// The name as given.
        name: String,
        /// All names, joined.
        allowed: String,
    },
    /// A setting's value is out of range or of the wrong type.
    #[error("setting `{name}` is {value}; allowed: {allowed}")]
    Setting {
        /// The setting.
        name: String,
        /// The value as given.
        value: String,
        /// What is allowed.
        allowed: String,
    },
    /// The data lack something that the model or the command needs.
    #[error("{0}")]
    Data(String),
    /// A model name that is not in the registry.
    #[error("unknown model `{name}`; allowed: {allowed}")]
    UnknownModel {
        /// The name as given.
        name: String,
        /// All names, joined.
        allowed: String,
    },
    /// A user id that is not in the data.
    #[error("unknown user `{0}`: not in the prepared data of this run")]
    UnknownUser(String),
    /// An item id that is not in the data.
    #[error("unknown item `{0}`: not in the prepared data of this run")]
    UnknownItem(String),
    /// The loss is NaN or infinite.
    #[error("loss is {loss} in epoch {epoch}, batch {batch}, with lr {lr}; a smaller lr may help")]
    LossNotFinite {
        /// The loss.
        loss: f32,
        /// Epoch, from 1.
        epoch: usize,
        /// Batch of the epoch, from 1.
        batch: usize,
        /// Learning rate.
        lr: f64,
    },
    /// A checkpoint or run folder is damaged, or belongs to something else.
    #[error("{}: {message}", path.display())]
    Checkpoint {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// A device is not there, or too small.
    #[error("{0}")]
    Device(String),
    /// The user asked to stop; what was finished is saved.
    #[error("interrupted")]
    Interrupted,
    /// An operator refused its input.
    #[error(transparent)]
    Ops(#[from] alike_ops::OpsError),
}

/// Result of this library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An I/O error of `path`, which is where something was to be in the end, not a temporary name.
    pub fn io(path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Self::Io { path: path.as_ref().to_path_buf(), source: without_path(source) }
    }

    /// An error of the disk, said of `path`: the name of a temporary file, or of what a link leads to, tells
    /// nobody anything.
    pub fn at_path(self, path: &Path) -> Self {
        match self {
            Self::Io { source, .. } => Self::io(path, source),
            other => other,
        }
    }

    /// A format error of `path`, without a line.
    pub fn format(path: impl AsRef<Path>, message: impl Into<String>) -> Self {
        Self::Format { path: path.as_ref().to_path_buf(), line: None, message: one_line(message.into()) }
    }

    /// A format error of `path` at `line` (from 1).
    pub fn format_at(path: impl AsRef<Path>, line: u64, message: impl Into<String>) -> Self {
        Self::Format {
            path: path.as_ref().to_path_buf(),
            line: Some(line),
            message: one_line(message.into()),
        }
    }

    /// A damaged or foreign checkpoint at `path`.
    pub fn checkpoint(path: impl AsRef<Path>, message: impl Into<String>) -> Self {
        Self::Checkpoint { path: path.as_ref().to_path_buf(), message: message.into() }
    }
}

/// `tempfile` adds the temporary name to what the system said, which tells nothing to anyone who asked for
/// another file.
fn without_path(error: std::io::Error) -> std::io::Error {
    let ours = error.raw_os_error().is_some();
    match error.to_string().rsplit_once(" at path \"") {
        Some((said, _)) if !ours => std::io::Error::new(error.kind(), said),
        _ => error,
    }
}

/// Ids and texts from files may hold line ends; a message never does.
fn one_line(message: String) -> String {
    match message.contains(char::is_control) {
        true => message.replace(char::is_control, " "),
        false => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_do_not_name_temporary_files() {
        let error = tempfile::NamedTempFile::new_in("/no/such/folder").unwrap_err();
        let said = Error::io("out.parquet", error).to_string();
        assert!(said.starts_with("out.parquet: ") && !said.contains("/no/such/folder"), "{said}");
    }
}
