//! Files of ours: the prepared folder, feature files and what is kept of them under way. [`read`] is the one module
//! that touches the disk.

pub(crate) mod dataset;
pub(crate) mod feature_file;
pub(crate) mod journal;
pub(crate) mod manifest;
pub(crate) mod read;
