//! Lists by name: what a shop shows where.

mod config;
mod counts;

pub(crate) use config::{Kind, Scenario, Scenarios};
pub(crate) use counts::{Activity, EventCounts};
