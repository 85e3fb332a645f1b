//! Multimodal recommendation: from interactions and item features to trained models and recommendations.

pub mod error;

pub use error::{Error, Result};
