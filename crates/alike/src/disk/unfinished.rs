//! What is being written, and must not stay when the program is told to end at once.
//!
//! Files and folders are written under a temporary name and renamed when they are complete. The writer holds
//! an [`Unfinished`] meanwhile; a program that ends at a signal calls [`remove_all`] first.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

static PATHS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn paths() -> MutexGuard<'static, Vec<PathBuf>> {
    // The list is whole after every change, even of a thread that panicked.
    PATHS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file or folder that is being written. Dropped, it is nobody's business any more: remove it first, or put
/// it in place.
#[derive(Debug)]
pub struct Unfinished {
    path: PathBuf,
}

impl Unfinished {
    /// Says that `path` is being written.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        paths().push(path.clone());
        Self { path }
    }

    /// The temporary name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts it in place with `put`, while which nothing is removed: what comes out is whole or not there.
    pub fn finish<T>(self, put: impl FnOnce() -> T) -> T {
        let _nothing_is_removed = paths();
        put()
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let mut paths = paths();
        if let Some(at) = paths.iter().position(|p| *p == self.path) {
            paths.swap_remove(at);
        }
    }
}

/// Removes everything that is unfinished, for a program that ends now. As long as the returned guard lives
/// nothing more is put in place.
pub fn remove_all() -> impl Sized {
    let paths = paths();
    for path in paths.iter() {
        // What cannot be removed stays under its temporary name, as after a kill.
        let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    }
    paths
}
