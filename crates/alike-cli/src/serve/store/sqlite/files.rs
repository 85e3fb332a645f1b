//! Whether the files of a store are still those that were opened.
//!
//! SQLite keeps writing to a file that has lost its name, or has another one, without an error: what
//! it then commits is gone when the process ends. So the names are compared with what was opened before each
//! commit, and again before it is acknowledged.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::serve::store::{Result, StoreError};

/// What the names of the files that belong to one store end with: the database, its log, and its locks.
const ENDINGS: [&str; 3] = ["", "-wal", "-shm"];
/// What a log begins with, whatever the order of its bytes.
const LOG: [u8; 3] = [0x37, 0x7f, 0x06];

/// Bytes that the disk must have left for a store to be called ready.
const ROOM: u64 = 512 << 10;

/// The files of a store with what tells them from others of the same names.
pub(super) struct Files(Vec<(PathBuf, Id)>);

impl Files {
    /// The files of an open connection, which has read or written before: its log is there.
    pub(super) fn new(connection: &Connection) -> Result<Self> {
        // Links are followed, as SQLite does for the names of the other files.
        let path = connection.path().unwrap_or_default().to_string();
        let one = |ending: &&str| {
            let path = PathBuf::from(format!("{path}{ending}"));
            let id = id(&path).map_err(|e| moved(&path, &e.to_string()))?;
            Ok((path, id))
        };
        let files = Self(ENDINGS.iter().map(one).collect::<Result<_>>()?);
        if has_moved(connection) {
            return Err(moved(files.path(), "is another file now"));
        }
        Ok(files)
    }

    /// The database.
    pub(super) fn path(&self) -> &Path {
        &self.0[0].0
    }

    /// An error where the disk is about to be full. A commit of a page may come through when one of many
    /// events does not.
    pub(super) fn check_room(&self) -> Result<()> {
        match room(self.path()) {
            Some(bytes) if bytes < ROOM => {
                let path = self.path().display();
                Err(StoreError::Failed(format!("{path}: its disk has {bytes} bytes left; {ROOM} are wanted")))
            }
            _ => Ok(()),
        }
    }

    /// An error unless all of them are where they were.
    pub(super) fn check(&self) -> Result<()> {
        for (path, opened) in &self.0 {
            match id(path) {
                Ok(found) if found == *opened => {}
                Ok(_) => return Err(moved(path, "is another file now")),
                Err(error) => return Err(moved(path, &error.to_string())),
            }
        }
        self.check_log()
    }

    /// A log that was cut under the server has a hole where it should begin: nothing of it would be read
    /// again.
    fn check_log(&self) -> Result<()> {
        let path = &self.0[1].0;
        let mut head = [0; 3];
        // Only the database and its locks must not be opened a second time: closing them would give up
        // SQLite's locks.
        let mut file = File::open(path).map_err(|e| moved(path, &e.to_string()))?;
        match file.read_exact(&mut head) {
            Ok(()) if head != LOG => Err(moved(path, "was cut or overwritten")),
            Ok(()) => Ok(()),
            // Emptied, as is done when everything in it is in the database.
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(()),
            Err(error) => Err(moved(path, &error.to_string())),
        }
    }
}

fn moved(path: &Path, what: &str) -> StoreError {
    StoreError::Moved(format!(
        "{}: {what}; the store's file was moved, replaced or deleted while the server ran: put it back, or start the \
         server again",
        path.display()
    ))
}

/// Whether the file that `connection` has open is no longer the one of its name.
#[cfg(unix)]
fn has_moved(connection: &Connection) -> bool {
    let mut moved = 0;
    let asked = connection.file_control(Some(rusqlite::MAIN_DB), rusqlite::FileControl::HasMoved(&mut moved));
    asked.is_ok() && moved != 0
}

#[cfg(not(unix))]
fn has_moved(_: &Connection) -> bool {
    false
}

/// Bytes that are left on the disk of `path`, where the system tells.
#[cfg(unix)]
fn room(path: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(path).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(not(unix))]
fn room(_: &Path) -> Option<u64> {
    None
}

/// What tells a file from others.
#[cfg(unix)]
type Id = (u64, u64);

#[cfg(unix)]
fn id(path: &Path) -> std::io::Result<Id> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).map(|m| (m.dev(), m.ino()))
}

/// Elsewhere open files cannot be moved or deleted.
#[cfg(not(unix))]
type Id = ();

#[cfg(not(unix))]
fn id(path: &Path) -> std::io::Result<Id> {
    std::fs::metadata(path).map(drop)
}
