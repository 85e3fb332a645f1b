//! Data: from files of interactions and features to a prepared folder, and from there into memory.
//!
//! [`prepare()`] reads, cleans, splits and writes; [`Dataset::open`] reads what it wrote. The folder and all
//! choices (which of repeated interactions stays, how ids are numbered, what happens to cold users and items)
//! are described in `docs/formats.md`.

mod catalogue;
mod columns;
mod dataset;
pub(crate) mod feature_file;
mod features;
mod filter;
mod interactions;
pub(crate) mod item_texts;
pub(crate) mod journal;
mod manifest;
mod matrix;
mod npy;
mod parquet;
mod prepare;
pub(crate) mod read;
mod report;
mod split;
mod table;
mod values;

pub use catalogue::Catalogue;
pub use columns::ColumnNames;
pub use dataset::{Dataset, Features, GivenKnn};
pub use prepare::{PrepareOptions, SplitKind, prepare};
pub use report::{Dropped, FeatureReport, KnnReport, Quantiles, Report};
