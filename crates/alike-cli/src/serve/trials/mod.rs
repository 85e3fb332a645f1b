//! Tests of two or more ways to recommend on the people who come.

mod config;
mod interleaved;
mod report;
mod shown;

pub(crate) use config::{Arm, Trial, TrialKind, Trials};
pub(crate) use interleaved::{Drafted, drafted};
pub(crate) use report::TrialReports;
pub(crate) use shown::ShownTo;
