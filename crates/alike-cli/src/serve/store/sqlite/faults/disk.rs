//! A disk that fails at a call of one's choice, and what of its files a loss of power would leave.

use std::collections::BTreeMap;
use std::ffi::c_int;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::ffi;

/// How a call goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It fails, those after it do not.
    Fails,
    /// From it on nothing can be written any more: the disk is full.
    Full,
    /// It and all after it are not made: the process is dead.
    Dies,
}

/// A call to the disk.
#[derive(Debug, Clone)]
pub(super) enum Call<'a> {
    Open { creates: bool },
    Read,
    Write(usize, &'a [u8]),
    Truncate(usize),
    Sync,
    Delete { synced: bool },
    Map,
}

/// What a loss of power leaves.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Left {
    /// All that was written: only the process died.
    All,
    /// What was synced, and nothing else.
    Synced,
    /// Of what was not synced every other change: a disk may bring them to its medium in any order.
    Some,
}

/// A change that is not synced.
enum Change {
    Create,
    Write(usize, Vec<u8>),
    Truncate(usize),
    Delete,
}

/// One file; no content, no file.
#[derive(Default)]
struct FileContent {
    synced: Option<Vec<u8>>,
    since: Vec<Change>,
}

/// The files of one folder, as SQLite changes them.
pub(crate) struct Disk {
    pub(super) folder: PathBuf,
    state: Mutex<State>,
}

struct State {
    calls: usize,
    goes_wrong: Option<(usize, Fault)>,
    files: BTreeMap<String, FileContent>,
}

impl Disk {
    /// `folder` with what is in it, safely on the disk.
    pub(super) fn new(folder: &Path) -> Self {
        let mut files = BTreeMap::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let synced = Some(std::fs::read(entry.path()).unwrap());
            files.insert(
                entry.file_name().to_string_lossy().into_owned(),
                FileContent { synced, since: Vec::new() },
            );
        }
        let state = State { calls: 0, goes_wrong: None, files };
        Self { folder: folder.to_path_buf(), state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on counts calls from 0, and has call `at` go wrong.
    pub(crate) fn goes_wrong(&self, at: usize, fault: Fault) {
        let mut state = self.state();
        (state.calls, state.goes_wrong) = (0, Some((at, fault)));
    }

    /// Calls since the counting began.
    pub(crate) fn calls(&self) -> usize {
        self.state().calls
    }

    /// Whether a call may be made; otherwise the code that SQLite is given in its place.
    pub(super) fn pass(&self, name: &str, call: &Call<'_>) -> Result<(), c_int> {
        let mut state = self.state();
        let at = state.calls;
        state.calls += 1;
        let wrong = state.goes_wrong.is_some_and(|(wrong, fault)| match fault {
            Fault::Fails => at == wrong,
            Fault::Full => at >= wrong && matches!(call, Call::Write(..) | Call::Map),
            Fault::Dies => at >= wrong,
        });
        if wrong {
            let full = matches!(state.goes_wrong, Some((_, Fault::Full)));
            return Err(match call {
                Call::Open { .. } => ffi::SQLITE_CANTOPEN,
                Call::Read => ffi::SQLITE_IOERR_READ,
                Call::Write(..) if full => ffi::SQLITE_FULL,
                Call::Write(..) => ffi::SQLITE_IOERR_WRITE,
                Call::Truncate(_) => ffi::SQLITE_IOERR_TRUNCATE,
                Call::Sync => ffi::SQLITE_IOERR_FSYNC,
                Call::Delete { .. } => ffi::SQLITE_IOERR_DELETE,
                Call::Map => ffi::SQLITE_IOERR_SHMSIZE,
            });
        }
        let kept = state.files.entry(name.to_string()).or_default();
        match call {
            Call::Open { creates: true } if kept.now(Left::All).is_none() => kept.since.push(Change::Create),
            Call::Open { .. } | Call::Read | Call::Map => {}
            Call::Write(from, bytes) => kept.since.push(Change::Write(*from, bytes.to_vec())),
            Call::Truncate(length) => kept.since.push(Change::Truncate(*length)),
            Call::Delete { synced } => {
                kept.since.push(Change::Delete);
                if *synced {
                    kept.sync();
                }
            }
            Call::Sync => {
                // SQLite brings the names of the folder to the disk with a journal or log that is new.
                let new = (name.ends_with("-wal") || name.ends_with("-journal"))
                    && kept.since.iter().any(|c| matches!(c, Change::Create));
                kept.sync();
                if new {
                    state.files.values_mut().for_each(FileContent::sync_removal);
                }
            }
        }
        Ok(())
    }

    /// Writes to `folder`, which is empty, what a loss of power now would leave.
    pub(crate) fn leave(&self, left: Left, folder: &Path) {
        for (name, kept) in &self.state().files {
            // Locks and the index of the log are made again by the first who opens the store first.
            if let Some(content) = kept.now(left).filter(|_| !name.ends_with("-shm")) {
                std::fs::write(folder.join(name), content).unwrap();
            }
        }
    }
}

impl FileContent {
    fn sync(&mut self) {
        self.synced = self.now(Left::All);
        self.since.clear();
    }

    /// The name is gone for good, if it went.
    fn sync_removal(&mut self) {
        if let Some(at) = self.since.iter().rposition(|c| matches!(c, Change::Delete)) {
            self.since.drain(..=at);
            self.synced = None;
        }
    }

    fn now(&self, left: Left) -> Option<Vec<u8>> {
        let mut content = self.synced.clone();
        let since = self.since.iter().enumerate().filter(|(n, _)| match left {
            Left::All => true,
            Left::Synced => false,
            Left::Some => n % 2 == 1,
        });
        for (_, change) in since {
            match change {
                Change::Create => content = Some(Vec::new()),
                Change::Delete => content = None,
                Change::Truncate(length) => {
                    if let Some(content) = &mut content {
                        content.resize(*length, 0);
                    }
                }
                Change::Write(from, bytes) => {
                    let content = content.get_or_insert_default();
                    content.resize(content.len().max(from + bytes.len()), 0);
                    content[*from..from + bytes.len()].copy_from_slice(bytes);
                }
            }
        }
        content
    }
}
