//! Data: from files of interactions and features to a prepared folder, and from there into memory.
//!
//! [`prepare()`] reads, cleans, splits and writes; [`Dataset::open`] reads what it wrote. The folder and all
//! choices (which of repeated interactions stays, how ids are numbered, what happens to cold users and items)
//! are described in `docs/formats.md`.
//!
//! Three folders: `formats` reads files of others, `prepare` makes a folder of them, `folder` reads and writes
//! it. `tables` gives files of others whole.

#[cfg(feature = "parquet")]
mod batches;
pub(crate) mod folder;
pub(crate) mod formats;
pub(crate) mod prepare;
mod tables;

#[cfg(feature = "parquet")]
pub use batches::TableFile;
pub use folder::dataset::{Dataset, Features, GivenKnn};
pub use formats::columns::{Column, ColumnNames};
pub use formats::foreign::is_reading_foreign;
pub use formats::options::TextOptions;
pub use prepare::catalogue::{Catalogue, ItemColumns};
pub use prepare::report::{ColumnUse, Dropped, FeatureReport, KnnReport, PrepareReport, Quantiles};
pub use prepare::{PrepareOptions, SplitKind, prepare, prepare_with};
pub use tables::{Meaning, Times, WholeTable, is_nothing, plain_text};
