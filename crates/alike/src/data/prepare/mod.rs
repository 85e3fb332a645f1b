//! From files to a prepared folder: the log, what stays of it, the split, and all that is joined to its
//! items.

pub(crate) mod catalogue;
mod clean;
mod filter;
mod intake;
pub(crate) mod item_texts;
mod items_file;
mod join;
mod log;
mod missing;
mod options;
pub(crate) mod pictures;
mod ratings;
pub(crate) mod report;
mod sources;
mod split;
mod write;

use crate::Result;
use crate::data::folder::manifest::{MANIFEST, check_nothing_foreign};
pub use crate::data::prepare::options::{PrepareOptions, SplitKind};
use crate::data::prepare::report::PrepareReport;
use crate::data::prepare::sources::Sources;
use crate::disk;
use crate::progress::Progress;

/// Reads the interactions and all that belongs to the items, cleans, splits, and writes the prepared folder.
/// On an error nothing is left behind, and a folder that was there stays as it was.
pub fn prepare(options: &PrepareOptions) -> Result<PrepareReport> {
    prepare_with(options, &())
}

/// The same, which says how far it is and can be stopped.
///
/// # Errors
/// As [`prepare`]; [`Error::Interrupted`](crate::Error::Interrupted) when it was stopped.
pub fn prepare_with(options: &PrepareOptions, progress: &dyn Progress) -> Result<PrepareReport> {
    options.check()?;
    disk::check_replaceable(&options.out, MANIFEST)?;
    check_nothing_foreign(&options.out)?;
    progress.phase("opening files", 0)?;
    let sources = Sources::open(options)?;
    let mut log = intake::read(options, progress)?;
    progress.phase("joining the catalogue", 0)?;
    sources.check_header_of_items(options, &log)?;
    sources.add_items_of_rows(options, &mut log)?;
    sources.add_items_of_catalogue(options, &mut log)?;
    progress.phase("cleaning and splitting", 0)?;
    let cleaned = clean::clean(options, &mut log)?;
    write::write(options, &log, cleaned, &sources, progress)
}
