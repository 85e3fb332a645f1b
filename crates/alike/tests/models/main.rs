//! Every model of the registry: what each must do, and what an independent implementation says it should
//! give.
#![allow(clippy::unwrap_used)]

mod alloy;
mod conformance;
#[cfg(feature = "gpu")]
mod device;
mod given_graphs;
mod golden;
mod metrics;
mod npy;
mod objective;
mod recommender;
mod replicas;
#[cfg(feature = "gpu")]
#[path = "../../../skipped.rs"]
mod skipped;
mod support;
mod variants;
