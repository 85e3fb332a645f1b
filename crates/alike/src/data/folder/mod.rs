//! Files of ours: the prepared folder, feature files and what is kept of them under way. [`read`] is the module that
//! touches the disk; [`source`] opens files of others for it.

pub(crate) mod dataset;
pub(crate) mod feature_file;
pub(crate) mod journal;
pub(crate) mod manifest;
pub(crate) mod read;
pub(crate) mod source;
