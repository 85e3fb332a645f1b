//! What is being written, and must not stay when the program is told to end at once.
//!
//! Files and folders are written under a temporary name and renamed when they are complete. The writer holds
//! an [`Unfinished`] meanwhile; a program that ends at a signal calls [`remove_all`] first.

use std::fs;
use std::io;
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
    /// Has `make` make `path`, while which nothing is removed: a program that ends either sees it, or it is
    /// not made any more.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn create<T, E>(
        path: impl Into<PathBuf>,
        make: impl FnOnce(&Path) -> Result<T, E>,
    ) -> Result<(Self, T), E> {
        let path = path.into();
        let mut paths = paths();
        let made = make(&path)?;
        paths.push(path.clone());
        Ok((Self { path }, made))
    }

    /// The temporary name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts it in place with `put`, while which nothing is removed: what comes out is whole or not there. What
    /// has the temporary name afterwards is unfinished still.
    pub fn finish<T>(&self, put: impl FnOnce() -> T) -> T {
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
/// nothing more is begun or put in place.
pub fn remove_all() -> impl Sized {
    let paths = paths();
    for path in paths.iter() {
        // What cannot be removed stays under a temporary name, as after a kill.
        let _ = if path.is_dir() { remove_while_written(path) } else { fs::remove_file(path) };
    }
    paths
}

/// Removes a folder in which another thread may still make files: it finds none of this name any more.
fn remove_while_written(path: &Path) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    // Of a temporary name this makes another one.
    name.push("0");
    let renamed = path.with_file_name(name);
    match fs::rename(path, &renamed) {
        Ok(()) => fs::remove_dir_all(renamed),
        Err(_) => fs::remove_dir_all(path),
    }
}
