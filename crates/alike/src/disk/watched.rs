//! Calls that change the disk, told before they are made.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// A call that changes the disk.
#[derive(Debug, Clone, Copy)]
pub enum Op<'a> {
    /// A file is made, or emptied if it is there.
    Create(&'a Path),
    /// Bytes are written from a place on.
    Write(&'a Path, u64, &'a [u8]),
    /// A file's length is set.
    SetLength(&'a Path, u64),
    /// A file's content is brought to the disk.
    Sync(&'a Path),
    /// The names in a folder are brought to the disk.
    SyncFolder(&'a Path),
    /// A folder is made.
    MakeFolder(&'a Path),
    /// The first takes the name of the second, which goes if it was there.
    Rename(&'a Path, &'a Path),
    /// The two change names.
    Exchange(&'a Path, &'a Path),
    /// A file, or a folder with all that is in it, is removed.
    Remove(&'a Path),
}

/// Sees each call before it is made; an error is returned in place of the call, which is not made then.
pub type Watcher = Arc<dyn Fn(&Op<'_>) -> io::Result<()> + Send + Sync>;

static WATCHED: AtomicBool = AtomicBool::new(false);
static WATCHER: RwLock<Option<Watcher>> = RwLock::new(None);

/// Has `watcher` see every call of this process that changes the disk, until another is given or none. For
/// tests.
pub fn watch(watcher: Option<Watcher>) {
    let mut place = WATCHER.write().unwrap_or_else(PoisonError::into_inner);
    WATCHED.store(watcher.is_some(), Ordering::Release);
    *place = watcher;
}

/// True when somebody watches.
pub(super) fn watched() -> bool {
    WATCHED.load(Ordering::Acquire)
}

/// Tells the watcher, if there is one, what comes next.
pub(super) fn tell(op: &Op<'_>) -> io::Result<()> {
    if !watched() {
        return Ok(());
    }
    let watcher = WATCHER.read().unwrap_or_else(PoisonError::into_inner).clone();
    watcher.map_or(Ok(()), |w| w(op))
}
