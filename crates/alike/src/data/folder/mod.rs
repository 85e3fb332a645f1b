//! Files of ours: the prepared folder, feature files and what is kept of them under way. All of them go
//! through [`crate::disk`].

pub(crate) mod dataset;
pub(crate) mod feature_file;
pub(crate) mod journal;
pub(crate) mod manifest;
mod values;
