//! Index lists on a device, and copies cached per device.

use std::fmt;
use std::sync::{Arc, Mutex};

use burn_cubecl::CubeDevice;
use cubecl::client::Client;
use cubecl::prelude::*;
use cubecl::server::Handle;

/// A list of `u32` on a device. Never empty: an empty one holds a 0 that nobody reads.
#[derive(Debug, Clone)]
pub(crate) struct IndexBuffer {
    handle: Handle,
    len: usize,
}

impl IndexBuffer {
    /// Copies `values` to the device of `client`.
    pub(crate) fn new(client: &Client, values: &[u32]) -> Self {
        // A buffer of no bytes cannot be bound.
        let filled = if values.is_empty() { &[0][..] } else { values };
        Self { handle: client.create_from_slice(u32::as_bytes(filled)), len: filled.len() }
    }

    /// The list as an argument of a kernel.
    pub(crate) fn arg(&self) -> BufferArg {
        // SAFETY: the storage was made of as many values.
        unsafe { BufferArg::from_raw_parts(self.handle.clone(), self.len) }
    }
}

/// One copy of a structure per device that has used it.
pub(crate) struct Cached<T>(Mutex<Vec<(CubeDevice, Arc<T>)>>);

impl<T> Default for Cached<T> {
    fn default() -> Self {
        Self(Mutex::new(Vec::new()))
    }
}

impl<T> fmt::Debug for Cached<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.lock().map_or(0, |list| list.len());
        write!(f, "Cached({count})")
    }
}

impl<T> Cached<T> {
    /// The copy for the device `key`; `make` makes it at the first call.
    pub(crate) fn get(&self, key: &CubeDevice, make: impl FnOnce() -> T) -> Arc<T> {
        let mut list = self.0.lock().unwrap_or_else(|e| e.into_inner());
        if let Some((_, found)) = list.iter().find(|(of, _)| of == key) {
            return found.clone();
        }
        let made = Arc::new(make());
        list.push((key.clone(), made.clone()));
        made
    }
}
