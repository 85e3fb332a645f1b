//! Experiments: models × data sets × settings × seeds from one file, chosen on validation, scored once on
//! test.
//!
//! [`Scheduler`] says which runs are ready, from what lies on disk alone, so that an experiment goes on after
//! any interruption and never repeats a finished run. Who starts the runs, in this process or others, is up
//! to the caller.
//!
//! For each data set and each model of the file:
//!
//! 1. *Search*: one run a combination of settings with one seed; the best validation Recall@20 wins. Test is
//!    not scored.
//! 2. *Final runs*: the winner with every seed. Models that are solved at once have one.
//! 3. *Studies*: the winner with one setting varied, every seed.
//! 4. The test split is scored with the kept parameters of the runs of 2 and 3.

mod file;
mod outcome;
mod scheduler;
mod score;
mod search;
pub mod stats;

pub use file::{DataSource, Entry, Experiment, Study};
pub use outcome::{Comparison, DataOutcome, EntryOutcome, Outcome, RunOutcome, StudyOutcome, Trial};
pub use scheduler::{Job, Phase, RunCounts, Scheduler};
pub use score::{Scores, Usage};
pub use search::{Search, SearchKind};
