//! What goes wrong in a store.

/// The store did not do what it was asked; the text is for the log.
#[derive(Debug, Clone)]
pub(crate) enum StoreError {
    /// More changes wait than the queue holds.
    Busy,
    /// The database refused or is gone; nothing was written.
    Failed(String),
    /// The database's files are not those that were opened; nothing was written.
    Moved(String),
    /// The database was lost while it committed: the changes were written, or not.
    Unsure(String),
}

impl std::fmt::Display for StoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Busy => f.write_str("too many changes wait to be written"),
            Self::Failed(text) | Self::Moved(text) | Self::Unsure(text) => f.write_str(text),
        }
    }
}

/// Result of the store.
pub(crate) type Result<T, E = StoreError> = std::result::Result<T, E>;
