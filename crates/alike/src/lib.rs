//! Multimodal recommendation: from interactions and item features to trained models and recommendations.

pub mod data;
pub mod error;
pub mod ids;

pub use error::{Error, Result};
