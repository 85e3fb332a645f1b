//! The folder of nightly runs: `run-000001` and `data-000001` for each night, `live` a link to the run that
//! is served, `nightly.jsonl` a line a night.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use alike::disk;
use serde::Serialize;

use crate::failure::{Failure, Outcome};

/// The link to the live run.
const LIVE: &str = "live";
/// The lines of all nights.
const NOTES: &str = "nightly.jsonl";

/// The folder, which one command works in at a time.
pub(super) struct Nights {
    folder: PathBuf,
    _lock: File,
}

/// The name of a run's folder.
pub(super) fn name(run: &Path) -> String {
    run.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

impl Nights {
    /// Opens the folder, which is made where it is not there.
    ///
    /// # Errors
    /// Another command works in it.
    pub(super) fn open(folder: &Path) -> Outcome<Self> {
        disk::create_folders(folder)?;
        let path = folder.join("nightly.lock");
        let lock = OpenOptions::new().create(true).append(true).open(&path);
        let lock = lock.map_err(|e| Failure::io(&path, &e))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { folder: folder.to_path_buf(), _lock: lock }),
            Err(fs::TryLockError::WouldBlock) => {
                let text = format!("{}: another `alike nightly` works here", folder.display());
                Err(Failure::Failed(text))
            }
            Err(fs::TryLockError::Error(e)) => Err(Failure::io(&path, &e)),
        }
    }

    pub(super) fn run(&self, night: u64) -> PathBuf {
        self.folder.join(format!("run-{night:06}"))
    }

    pub(super) fn data(&self, night: u64) -> PathBuf {
        self.folder.join(format!("data-{night:06}"))
    }

    /// The number of the night that is to be done: one more than the last that was finished.
    pub(super) fn next(&self) -> Outcome<u64> {
        let path = self.folder.join(NOTES);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(1),
            Err(e) => return Err(Failure::io(&path, &e)),
        };
        // The last line may be half of one, of a machine that went down.
        let night = |line: &str| serde_json::from_str::<serde_json::Value>(line).ok()?["night"].as_u64();
        Ok(text.lines().filter_map(night).max().unwrap_or(0) + 1)
    }

    /// Removes the run of that night and its data.
    pub(super) fn remove(&self, night: u64) -> Outcome {
        [self.run(night), self.data(night)].iter().try_for_each(|folder| remove(folder))
    }

    /// The run that is served, if there is one.
    pub(super) fn live(&self) -> Outcome<Option<PathBuf>> {
        let link = self.folder.join(LIVE);
        match fs::read_link(&link) {
            Ok(to) => Ok(Some(self.folder.join(to))),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) if e.kind() == std::io::ErrorKind::InvalidInput => {
                let text = "is no link; move the run away, the next night makes the link";
                Err(Failure::Failed(format!("{}: {text}", link.display())))
            }
            Err(e) => Err(Failure::io(&link, &e)),
        }
    }

    /// Puts the run of that night in the live one's place, at once: a server sees the one or the other.
    pub(super) fn promote(&self, night: u64) -> Outcome {
        let (link, new) = (self.folder.join(LIVE), self.folder.join(".live-new"));
        let failed = |e: std::io::Error| Failure::io(&link, &e);
        match fs::remove_file(&new) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(failed(e)),
            _ => {}
        }
        link_to(Path::new(&name(&self.run(night))), &new).map_err(failed)?;
        fs::rename(&new, &link).map_err(failed)?;
        Ok(disk::sync_folder(&self.folder)?)
    }

    /// Removes all but the newest `keep` runs and the live one, with their data; which runs went.
    pub(super) fn clear(&self, keep: usize) -> Outcome<Vec<String>> {
        let live = self.live()?.map(|run| name(&run));
        let entries = fs::read_dir(&self.folder).map_err(|e| Failure::io(&self.folder, &e))?;
        let mut nights: Vec<u64> = entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.strip_prefix("run-")?.parse().ok())
            .collect();
        nights.sort_unstable_by(|a, b| b.cmp(a));
        // The live one has a place among those that stay.
        let mut others = keep - usize::from(live.is_some());
        let mut removed = Vec::new();
        for night in nights {
            let run = self.run(night);
            if live.as_deref() == Some(&*name(&run)) {
                continue;
            }
            if others > 0 {
                others -= 1;
                continue;
            }
            self.remove(night)?;
            removed.push(name(&run));
        }
        Ok(removed)
    }

    /// Adds the line of a night that is done.
    pub(super) fn note(&self, report: &impl Serialize) -> Outcome {
        let path = self.folder.join(NOTES);
        let failed = |e: std::io::Error| Failure::io(&path, &e);
        let mut line = serde_json::to_string(report).expect("a report is plain");
        line.push('\n');
        let mut file = OpenOptions::new().create(true).append(true).open(&path).map_err(failed)?;
        file.write_all(line.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)
    }
}

/// Removes a folder, if it is there.
fn remove(folder: &Path) -> Outcome {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Failure::io(folder, &e)),
        _ => Ok(()),
    }
}

#[cfg(unix)]
fn link_to(to: &Path, link: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(to, link)
}

#[cfg(windows)]
fn link_to(to: &Path, link: &Path) -> std::io::Result<()> {
    std::os::windows::fs::symlink_dir(to, link)
}
