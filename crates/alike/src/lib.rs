//! Multimodal recommendation: from interactions and item features to trained models and recommendations.
//!
//! Modules stand in import order: each may use only those before it.

#![deny(unsafe_code)]

pub mod error;

pub mod disk;

pub mod config;

pub mod linalg;

pub mod device;

pub mod ids;

pub mod data;

pub mod embed;

pub mod graph;

pub mod scorer;

pub mod eval;

pub mod layers;

pub mod models;

pub mod checkpoint;

pub mod replicas;

pub mod train;

pub mod recommend;

pub mod serving;

pub mod experiment;

pub use error::{Error, Result};
// What `settings!` and `choice!` expand to.
#[doc(hidden)]
pub use toml;
