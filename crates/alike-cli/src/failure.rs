//! What ends the program early, and with which exit code.

use std::fmt;
use std::io;

use alike::Error;

use crate::terminal::printable;

/// Why a command did not finish.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line or a setting is wrong: exit code 2.
    Usage(String),
    /// The work failed: exit code 1.
    Failed(String),
    /// The work is done, and what was there stays: exit code 3.
    Kept(String),
    /// Ctrl-C; what was finished is saved: exit code 130.
    Interrupted(String),
    /// Anyone who read our output has gone; there is nobody to tell: exit code 0.
    ReaderGone,
}

/// Result of a command.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    /// The program's exit code.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::ReaderGone => 0,
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            Self::Kept(_) => 3,
            Self::Interrupted(_) => 130,
        }
    }

    /// The one line for people; `None` when nothing is to be said.
    pub(crate) fn line(&self) -> Option<String> {
        let text = match self {
            Self::ReaderGone => return None,
            Self::Kept(text) => return Some(printable(text)),
            Self::Failed(text) | Self::Usage(text) | Self::Interrupted(text) => text,
        };
        let one_line =
            text.split('\n').map(str::trim).filter(|l| !l.is_empty()).collect::<Vec<_>>().join("; ");
        Some(format!("error: {}", printable(&one_line)))
    }

    /// A file or folder that could not be written or read.
    pub(crate) fn io(path: &std::path::Path, source: &io::Error) -> Self {
        Self::Failed(format!("{}: {source}", path.display()))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.line().as_deref().unwrap_or_default())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        match error {
            Error::UnknownModel { .. }
            | Error::UnknownSetting { .. }
            | Error::Setting { .. }
            | Error::Flag { .. } => Self::Usage(text),
            Error::Interrupted => Self::Interrupted(text),
            _ => Self::Failed(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_lines() {
        let unknown = Error::UnknownModel { name: "x".into(), allowed: "a, b".into() };
        let failure = Failure::from(unknown);
        assert_eq!(failure.code(), 2);
        assert_eq!(failure.line().unwrap(), "error: unknown model `x`; allowed: a, b");
        assert_eq!(Failure::from(Error::UnknownUser("7".into())).code(), 1);
        assert_eq!(Failure::from(Error::Interrupted).code(), 130);
        assert_eq!(Failure::Failed("two\n  lines\n".into()).to_string(), "error: two; lines");
    }
}
