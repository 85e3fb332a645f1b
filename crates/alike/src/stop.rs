//! How work that takes long is stopped.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Result};

/// The flag that others set to stop.
#[derive(Debug, Clone, Copy)]
pub struct Stop<'a>(pub Option<&'a AtomicBool>);

impl Stop<'_> {
    /// # Errors
    /// [`Error::Interrupted`] when the flag is set.
    pub fn check(self) -> Result<()> {
        match self.0.is_some_and(|flag| flag.load(Ordering::Relaxed)) {
            true => Err(Error::Interrupted),
            false => Ok(()),
        }
    }
}
