//! Data: from files of interactions and features to a prepared folder, and from there into memory.
//!
//! [`prepare()`] reads, cleans, splits and writes; [`Dataset::open`] reads what it wrote. The folder and all
//! choices (which of repeated interactions stays, how ids are numbered, what happens to cold users and items)
//! are described in `docs/formats.md`.
//!
//! Three rooms: `formats` reads files of others, `prepare` makes a folder of them, `folder` reads and writes it.

pub(crate) mod folder;
pub(crate) mod formats;
pub(crate) mod prepare;

pub use folder::dataset::{Dataset, Features, GivenKnn};
pub use formats::columns::ColumnNames;
pub use prepare::catalogue::Catalogue;
pub use prepare::report::{Dropped, FeatureReport, KnnReport, Quantiles, Report};
pub use prepare::{PrepareOptions, SplitKind, prepare};
