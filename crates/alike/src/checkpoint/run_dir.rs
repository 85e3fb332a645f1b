//! The folder of a run: what may be written to it, by whom, and what is read back.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{FORMAT, FileRef, RunInfo, State, sealed};
use crate::data::Dataset;
use crate::disk::{self, File, TryLockError};
use crate::error::{Error, Result};

/// Name of the file whose lock says that a process is writing to the run folder.
const LOCK: &str = "lock";
/// Name of the file with a line per epoch.
const LOG: &str = "log.jsonl";
/// The first format in which every JSON object has its hash.
const SEALED: u32 = 2;
/// What is wrong with a file of such a run that has none.
const NO_HASH: &str = "the hash of its content is not in it";

/// A run folder.
#[derive(Debug, Clone)]
pub struct RunDir {
    path: PathBuf,
    /// Whether every JSON object has its hash.
    sealed: bool,
    /// Held by the one process that may write.
    lock: Option<Arc<File>>,
}

impl RunDir {
    /// Starts a run in `dir`, which must not hold anything yet.
    pub fn create(dir: &Path, info: &RunInfo) -> Result<Self> {
        disk::create_folders(dir)?;
        if disk::exists(&dir.join("run.json")) {
            return Err(Error::checkpoint(dir, "holds a run already; resume it, or choose another folder"));
        }
        for path in disk::files_in(dir)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            // What a start that was killed may have left.
            if name != LOCK && disk::temporary_of(&name) != Some("run.json") {
                return Err(Error::checkpoint(dir, "is not empty and is not a run; choose another folder"));
            }
        }
        let mut run = Self { path: dir.to_path_buf(), sealed: info.format >= SEALED, lock: None };
        run.lock()?;
        run.write_json("run.json", info)?;
        Ok(run)
    }

    /// Makes this process the one that may write to the folder; the system takes the lock back when the
    /// process ends, however it ends.
    ///
    /// # Errors
    /// Another process has it.
    pub fn lock(&mut self) -> Result<()> {
        if self.lock.is_some() {
            return Ok(());
        }
        let path = self.path.join(LOCK);
        let file = File::edit(&path)?;
        match file.plain().try_lock() {
            Ok(()) => self.lock = Some(Arc::new(file)),
            Err(TryLockError::WouldBlock) => {
                let text =
                    "another process is training in this folder; wait for it, or choose another folder";
                return Err(Error::checkpoint(&self.path, text));
            }
            // Some network file systems know no locks.
            Err(TryLockError::Error(e)) if e.kind() == std::io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(e)) => return Err(Error::io(&path, e)),
        }
        Ok(())
    }

    /// Opens an existing run, to read it.
    pub fn open(dir: &Path) -> Result<(Self, RunInfo)> {
        if !dir.is_dir() {
            let text = if dir.exists() { "it is a file, not a run folder" } else { "no such run folder" };
            return Err(Error::checkpoint(dir, text));
        }
        let path = dir.join("run.json");
        let content = disk::bytes_if_there(&path)?
            .ok_or_else(|| Error::checkpoint(dir, "is not a run folder: it has no run.json"))?;
        let damaged = |e: String| Error::checkpoint(&path, format!("damaged: {e}"));
        let (info, has_hash): (RunInfo, bool) = parse(&content).map_err(damaged)?;
        if !(1..=FORMAT).contains(&info.format) {
            let text = format!("run format {}; this version reads 1..={FORMAT}", info.format);
            return Err(Error::checkpoint(dir, text));
        }
        let sealed = info.format >= SEALED;
        if sealed && !has_hash {
            return Err(damaged(NO_HASH.into()));
        }
        Ok((Self { path: dir.to_path_buf(), sealed, lock: None }, info))
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes `value`, an object, as JSON under `name`, with a hash of it as its last member.
    pub fn write_json<T: Serialize>(&self, name: &str, value: &T) -> Result<()> {
        let path = self.path.join(name);
        let text =
            serde_json::to_string_pretty(value).map_err(|e| Error::checkpoint(&path, e.to_string()))?;
        disk::write_atomic(&path, (sealed::seal(&text) + "\n").as_bytes())
    }

    /// Reads `name`; `None` when it is not there.
    ///
    /// # Errors
    /// It is damaged: it does not match the hash in it, has none where the run's format has it, or is not
    /// such an object.
    pub fn read_json<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let path = self.path.join(name);
        let Some(content) = disk::bytes_if_there(&path)? else { return Ok(None) };
        self.parse(&content).map(Some).map_err(|e| Error::checkpoint(&path, format!("damaged: {e}")))
    }

    /// Appends one line to the log: `record`, an object, with a hash of it as its last member.
    pub fn append_log<T: Serialize>(&self, record: &T) -> Result<()> {
        let path = self.path.join(LOG);
        let line = serde_json::to_string(record).map_err(|e| Error::checkpoint(&path, e.to_string()))?;
        let mut file = File::append(&path)?;
        file.write_all((sealed::seal(&line) + "\n").as_bytes()).map_err(|e| Error::io(&path, e))?;
        file.sync()
    }

    /// The first `lines` lines of the log; the file is cut to them.
    ///
    /// # Errors
    /// It has fewer, or one of them is damaged.
    pub fn cut_log(&self, lines: usize) -> Result<()> {
        let path = self.path.join(LOG);
        let text = disk::bytes_if_there(&path)?.unwrap_or_default();
        let kept: Vec<&[u8]> = text.split_inclusive(|&b| b == b'\n').take(lines).collect();
        if kept.len() < lines || kept.last().is_some_and(|l| !l.ends_with(b"\n")) {
            let message = format!("damaged: {} lines, state.json knows of {lines}", kept.len());
            return Err(Error::checkpoint(&path, message));
        }
        for (n, line) in kept.iter().enumerate() {
            self.parse_line::<serde::de::IgnoredAny>(&path, n, line)?;
        }
        disk::write_atomic(&path, &kept.concat())
    }

    /// All records of the log.
    ///
    /// # Errors
    /// A line is damaged; the error names it.
    pub fn read_log<T: DeserializeOwned>(&self) -> Result<Vec<T>> {
        let path = self.path.join(LOG);
        let text = disk::bytes_if_there(&path)?.unwrap_or_default();
        let lines = text.split_inclusive(|&b| b == b'\n').enumerate();
        lines.map(|(n, line)| self.parse_line(&path, n, line)).collect()
    }

    /// The file of the best epoch.
    ///
    /// # Errors
    /// There is none yet.
    pub fn best(&self) -> Result<FileRef> {
        let best = self.read_json::<State>("state.json")?.and_then(|s| s.best_file);
        best.ok_or_else(|| Error::checkpoint(&self.path, "nothing evaluated yet: train it first"))
    }

    /// The data that the run was trained on, opened by `open`: from `elsewhere` where that is given, from
    /// where they were at the time, or else from where they lie as seen from the run's folder, which may have
    /// been moved together with them.
    ///
    /// # Errors
    /// They are gone or have changed.
    pub(crate) fn data(
        &self,
        info: &RunInfo,
        elsewhere: Option<&Path>,
        open: impl FnOnce(&Path) -> Result<Dataset>,
    ) -> Result<Dataset> {
        let beside = info.data_from_run.as_ref().map(|path| self.path.join(path));
        let named = elsewhere.unwrap_or(&info.data);
        let places = [Some(named.to_path_buf()), beside.filter(|_| elsewhere.is_none())];
        let place = places.into_iter().flatten().find(|place| place.is_dir()).ok_or_else(|| {
            let named = named.display();
            let text =
                format!("the data it was trained on are not at {named}; say where they are with --data");
            Error::checkpoint(&self.path, text)
        })?;
        let data = open(&place)?;
        if data.hash != info.data_hash {
            let text = format!(
                "was trained on other data than {} holds now; say with --data where those are",
                place.display()
            );
            return Err(Error::checkpoint(&self.path, text));
        }
        Ok(data)
    }

    /// The value of a sealed JSON object, or what is wrong.
    fn parse<T: DeserializeOwned>(&self, content: &[u8]) -> Result<T, String> {
        match parse(content)? {
            (_, false) if self.sealed => Err(NO_HASH.into()),
            (value, _) => Ok(value),
        }
    }

    /// The record of a line of the log, counted from 0.
    fn parse_line<T: DeserializeOwned>(&self, log: &Path, n: usize, line: &[u8]) -> Result<T> {
        self.parse(line).map_err(|e| Error::format_at(log, n as u64 + 1, format!("damaged: {e}")))
    }

    /// Makes `state` the newest one and removes the tensor files of older ones, and what a kill left of any
    /// file of a run. Files that a run does not write stay.
    pub fn commit(&self, state: &State) -> Result<()> {
        self.write_json("state.json", state)?;
        let kept: Vec<&str> =
            [&state.state_file, &state.best_file].into_iter().flatten().map(|f| &*f.name).collect();
        for path in disk::files_in(&self.path)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            // What cannot be removed now is removed after the next evaluation.
            if is_tensors(&name) && !kept.contains(&&*name) {
                let _ = disk::remove_file(&path);
            } else if let Some(of) = disk::temporary_of(&name).filter(|of| is_tensors(of)) {
                disk::remove_leftovers(&self.path.join(of));
            }
        }
        Ok(())
    }
}

/// Waits until no process writes to the run folder `dir`, for at most `patience`: one that was told to end,
/// or whose parent was killed, needs a moment.
///
/// # Errors
/// A process still writes to it, or the folder cannot be locked.
pub fn wait_until_free(dir: &Path, patience: Duration) -> Result<()> {
    let since = Instant::now();
    loop {
        let mut run = RunDir { path: dir.to_path_buf(), sealed: false, lock: None };
        match run.lock() {
            Err(Error::Checkpoint { .. }) if since.elapsed() < patience => {
                std::thread::sleep(Duration::from_millis(50));
            }
            other => return other,
        }
    }
}

/// The value of a JSON object and whether it has a hash, or what is wrong.
fn parse<T: DeserializeOwned>(content: &[u8]) -> Result<(T, bool), String> {
    let text = std::str::from_utf8(content).map_err(|e| e.to_string())?;
    let (object, sealed) = sealed::unseal(text)?;
    Ok((serde_json::from_str(&object).map_err(|e| e.to_string())?, sealed))
}

/// Whether a run names its tensor files so: `state-NNNNNN.safetensors` or `best-NNNNNN.safetensors`.
fn is_tensors(name: &str) -> bool {
    let number =
        name.strip_suffix(".safetensors").and_then(|n| n.strip_prefix("state-").or(n.strip_prefix("best-")));
    number.is_some_and(|n| n.len() >= 6 && n.bytes().all(|c| c.is_ascii_digit()))
}
