//! What a run leaves on disk. Every file is written beside its place, synced and renamed, so that whatever was
//! complete before a crash is complete after it.
//!
//! `run.json` says what the run is, `log.jsonl` has a line an epoch, `state.json` names the newest state and best
//! files with their hashes, `metrics.json` ends a finished run. See `docs/formats.md`.

use std::collections::HashMap;
use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::layers::Saved;
use crate::models::TrainConfig;
use crate::scorer::{ItemItem, Matrix, Scorer};

/// Version of the layout of run folders.
pub const FORMAT: u32 = 1;

/// What a run is; written once, before training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunInfo {
    /// Version of the layout.
    pub format: u32,
    /// Version of this library.
    pub version: String,
    /// Model name.
    pub model: String,
    /// Every setting.
    pub settings: toml::Table,
    /// Seed.
    pub seed: u64,
    /// The prepared data folder.
    pub data: PathBuf,
    /// Content hash of the data.
    pub data_hash: String,
    /// Hash of the parameters that training started from, where those of another run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm_start: Option<String>,
    /// Devices that trained it, where not the processor: these of the last time it went on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<String>,
}

/// Where training stands; written after each evaluation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Epochs done.
    pub epoch: usize,
    /// Optimiser steps done.
    pub steps: u64,
    /// Epoch of the best validation Recall@20, 0 before the first.
    pub best_epoch: usize,
    /// That Recall@20.
    pub best: f64,
    /// Evaluations since then.
    pub since_best: usize,
    /// Optimiser steps done at the best evaluation.
    #[serde(default)]
    pub best_steps: u64,
    /// Seconds spent training and evaluating.
    pub seconds: f64,
    /// Lines of `log.jsonl` that belong to this state.
    pub log_lines: usize,
    /// Parameters and moments.
    pub state_file: Option<FileRef>,
    /// Best parameters and what ranks with them.
    pub best_file: Option<FileRef>,
}

impl State {
    /// Whether training has epochs and patience left.
    pub fn goes_on(&self, config: &TrainConfig) -> bool {
        self.epoch < config.epochs && self.patient(config.patience, config.patience_steps)
    }

    /// Whether fewer than `evaluations` evaluations or fewer than `steps` steps passed since the best.
    pub fn patient(&self, evaluations: usize, steps: usize) -> bool {
        self.since_best < evaluations || self.steps.saturating_sub(self.best_steps) < steps as u64
    }

    /// The epoch after which training ends if no evaluation is better than the best so far; `batches` steps per epoch.
    pub fn expected_end(&self, config: &TrainConfig, batches: usize) -> usize {
        let evaluations = config.patience.saturating_mul(config.eval_every);
        let steps = config.patience_steps.div_ceil(batches.max(1)).next_multiple_of(config.eval_every);
        self.best_epoch.saturating_add(evaluations.max(steps)).min(config.epochs)
    }
}

/// A file of the run and the hash of its content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FileRef {
    /// Name in the run folder.
    pub name: String,
    /// BLAKE3 of the content, hexadecimal.
    pub hash: String,
}

/// Arrays by name: shape and values.
type Arrays = HashMap<String, (Vec<usize>, Vec<f32>)>;

/// Name of the file whose lock says that a process is writing to the run folder.
const LOCK: &str = "lock";

/// A run folder.
#[derive(Debug, Clone)]
pub struct RunDir {
    path: PathBuf,
    /// Held by the one process that may write.
    lock: Option<Arc<File>>,
}

impl RunDir {
    /// Starts a run in `dir`, which must not hold anything yet.
    pub fn create(dir: &Path, info: &RunInfo) -> Result<Self> {
        fs::create_dir_all(dir).map_err(|e| Error::io(dir, e))?;
        if dir.join("run.json").exists() {
            return Err(Error::checkpoint(dir, "holds a run already; resume it, or choose another folder"));
        }
        for entry in fs::read_dir(dir).map_err(|e| Error::io(dir, e))?.flatten() {
            let name = entry.file_name();
            // What a start that was killed may have left.
            if name != LOCK && name != "run.json.tmp" {
                return Err(Error::checkpoint(dir, "is not empty and is not a run; choose another folder"));
            }
        }
        let mut run = Self { path: dir.to_path_buf(), lock: None };
        run.lock()?;
        run.write_json("run.json", info)?;
        Ok(run)
    }

    /// Makes this process the one that may write to the folder; the system takes the lock back when the process
    /// ends, however it ends.
    ///
    /// # Errors
    /// Another process has it.
    pub fn lock(&mut self) -> Result<()> {
        if self.lock.is_some() {
            return Ok(());
        }
        let path = self.path.join(LOCK);
        let options = File::options().create(true).truncate(false).write(true).open(&path);
        let file = options.map_err(|e| Error::io(&path, e))?;
        match file.try_lock() {
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
        let run = Self { path: dir.to_path_buf(), lock: None };
        if !dir.is_dir() {
            return Err(Error::checkpoint(dir, "no such run folder"));
        }
        let info: RunInfo = run
            .read_json("run.json")?
            .ok_or_else(|| Error::checkpoint(dir, "is not a run folder: it has no run.json"))?;
        if info.format != FORMAT {
            let text = format!("run format {}; this version reads {FORMAT}", info.format);
            return Err(Error::checkpoint(dir, text));
        }
        Ok((run, info))
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes `value` as JSON under `name`.
    pub fn write_json<T: Serialize>(&self, name: &str, value: &T) -> Result<()> {
        let path = self.path.join(name);
        let mut text =
            serde_json::to_vec_pretty(value).map_err(|e| Error::checkpoint(&path, e.to_string()))?;
        text.push(b'\n');
        write_atomic(&path, &text)
    }

    /// Reads `name`; `None` when it is not there.
    pub fn read_json<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let path = self.path.join(name);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io(path, e)),
        };
        serde_json::from_slice(&text).map(Some).map_err(|e| Error::checkpoint(&path, format!("damaged: {e}")))
    }

    /// Appends one line to the log.
    pub fn append_log<T: Serialize>(&self, record: &T) -> Result<()> {
        let path = self.path.join("log.jsonl");
        let mut line = serde_json::to_vec(record).map_err(|e| Error::checkpoint(&path, e.to_string()))?;
        line.push(b'\n');
        let mut file =
            File::options().create(true).append(true).open(&path).map_err(|e| Error::io(&path, e))?;
        file.write_all(&line).and_then(|()| file.sync_data()).map_err(|e| Error::io(&path, e))
    }

    /// The first `lines` lines of the log; the file is cut to them.
    pub fn cut_log(&self, lines: usize) -> Result<()> {
        let path = self.path.join("log.jsonl");
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(Error::io(&path, e)),
        };
        let kept: Vec<u8> = text.split_inclusive(|&b| b == b'\n').take(lines).flatten().copied().collect();
        write_atomic(&path, &kept)
    }

    /// All records of the log.
    pub fn read_log<T: DeserializeOwned>(&self) -> Result<Vec<T>> {
        let path = self.path.join("log.jsonl");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(Error::io(&path, e)),
        };
        let line = |(n, l)| {
            serde_json::from_str(l)
                .map_err(|e| Error::format_at(&path, n as u64 + 1, format!("damaged: {e}")))
        };
        text.lines().enumerate().map(line).collect()
    }

    /// Writes tensors under `name` and says what was written.
    fn write_tensors(&self, name: String, tensors: &[(String, Vec<usize>, &[f32])]) -> Result<FileRef> {
        let path = self.path.join(&name);
        let broken = |e: safetensors::SafeTensorError| Error::checkpoint(&path, e.to_string());
        let views = tensors
            .iter()
            .map(|(n, shape, v)| {
                TensorView::new(Dtype::F32, shape.clone(), bytemuck::cast_slice(v)).map(|t| (n, t))
            })
            .collect::<Result<Vec<_>, _>>()
            .map_err(broken)?;
        let bytes = safetensors::serialize(views, None).map_err(broken)?;
        write_atomic(&path, &bytes)?;
        Ok(FileRef { name, hash: blake3::hash(&bytes).to_hex().to_string() })
    }

    fn read_tensors(&self, file: &FileRef) -> Result<Arrays> {
        let path = self.path.join(&file.name);
        let bytes = fs::read(&path).map_err(|e| Error::io(&path, e))?;
        if blake3::hash(&bytes).to_hex().as_str() != file.hash {
            return Err(Error::checkpoint(
                &path,
                "damaged: its content does not match the hash in state.json",
            ));
        }
        let tensors =
            SafeTensors::deserialize(&bytes).map_err(|e| Error::checkpoint(&path, e.to_string()))?;
        let mut out = HashMap::new();
        for (name, view) in tensors.iter() {
            if view.dtype() != Dtype::F32 {
                return Err(Error::checkpoint(
                    &path,
                    format!("`{name}` is {:?}, expected F32", view.dtype()),
                ));
            }
            let (words, _) = view.data().as_chunks::<4>();
            let values = words.iter().map(|w| f32::from_le_bytes(*w)).collect();
            out.insert(name.to_string(), (view.shape().to_vec(), values));
        }
        Ok(out)
    }

    /// Writes parameters and moments of `epoch`.
    pub fn write_state(&self, epoch: usize, saved: &[Saved]) -> Result<FileRef> {
        let mut tensors = Vec::new();
        for s in saved {
            tensors.push((format!("param:{}", s.name), s.shape.clone(), &s.value[..]));
            tensors.push((format!("m:{}", s.name), vec![s.m.len()], &s.m[..]));
            tensors.push((format!("v:{}", s.name), vec![s.v.len()], &s.v[..]));
        }
        self.write_tensors(format!("state-{epoch:06}.safetensors"), &tensors)
    }

    /// Reads what [`Self::write_state`] wrote.
    pub fn read_state(&self, file: &FileRef) -> Result<Vec<Saved>> {
        let mut tensors = self.read_tensors(file)?;
        let names: Vec<String> =
            tensors.keys().filter_map(|k| k.strip_prefix("param:")).map(String::from).collect();
        let mut take = |kind: &str, name: &str| tensors.remove(&format!("{kind}:{name}")).unwrap_or_default();
        let saved = names.into_iter().map(|name| {
            let (shape, value) = take("param", &name);
            let ((_, m), (_, v)) = (take("m", &name), take("v", &name));
            Saved { name, shape, value, m, v }
        });
        Ok(saved.collect())
    }

    /// Writes the best parameters and the scorer made from them.
    pub fn write_best(&self, epoch: usize, saved: &[Saved], scorer: &Scorer) -> Result<FileRef> {
        let mut tensors: Vec<(String, Vec<usize>, &[f32])> =
            saved.iter().map(|s| (format!("param:{}", s.name), s.shape.clone(), &s.value[..])).collect();
        let add = |name: &str, m: &Matrix| (format!("scorer:{name}"), vec![m.rows, m.cols]);
        let count;
        match scorer {
            Scorer::Dot { users, items } => {
                for (name, m) in [("dot.users", users), ("dot.items", items)] {
                    let (name, shape) = add(name, m);
                    tensors.push((name, shape, &m.data));
                }
            }
            Scorer::PairMlp { users, items, out, vectors } => {
                for (name, m) in [("pair.users", users), ("pair.items", items), ("pair.vectors", vectors)] {
                    let (name, shape) = add(name, m);
                    tensors.push((name, shape, &m.data));
                }
                tensors.push(("scorer:pair.out".into(), vec![out.len()], out));
            }
            Scorer::ItemItem(w) => {
                for (name, pattern) in [("history", &w.history), ("weights", &w.pattern)] {
                    for (part, list) in [("ptr", pattern.ptr()), ("idx", pattern.idx())] {
                        // Whole numbers as the bits of singles, like the number of users below.
                        let bits = bytemuck::cast_slice(list);
                        tensors.push((format!("scorer:{name}.{part}"), vec![list.len()], bits));
                    }
                }
                tensors.push(("scorer:weights.values".into(), vec![w.values.len()], &w.values));
            }
            Scorer::Static { users, scores } => {
                tensors.push(("scorer:static".into(), vec![scores.len()], scores));
                count = [f32::from_bits(*users as u32)];
                tensors.push(("scorer:static.users".into(), vec![1], &count));
            }
        }
        self.write_tensors(format!("best-{epoch:06}.safetensors"), &tensors)
    }

    /// Reads the scorer of [`Self::write_best`].
    pub fn read_scorer(&self, file: &FileRef) -> Result<Scorer> {
        let mut tensors = self.read_tensors(file)?;
        let mut matrix = |name: &str| -> Option<Matrix> {
            let (shape, data) = tensors.remove(&format!("scorer:{name}"))?;
            let cols = *shape.last()?;
            Some(Matrix::new(data.len().checked_div(cols).unwrap_or(0), cols, data))
        };
        let mut scorer = || -> Option<Scorer> {
            if let (Some(users), Some(items)) = (matrix("dot.users"), matrix("dot.items")) {
                return Some(Scorer::Dot { users, items });
            }
            if let (Some(users), Some(items)) = (matrix("pair.users"), matrix("pair.items")) {
                return Some(Scorer::PairMlp {
                    users,
                    items,
                    vectors: matrix("pair.vectors")?,
                    out: matrix("pair.out")?.data,
                });
            }
            if let Some(values) = matrix("weights.values") {
                let mut bits = |name: &str| Some(matrix(name)?.data.iter().map(|v| v.to_bits()).collect());
                let (history, pattern) = (
                    (bits("history.ptr")?, bits("history.idx")?),
                    (bits("weights.ptr")?, bits("weights.idx")?),
                );
                return ItemItem::from_parts(history, pattern, values.data).map(Scorer::ItemItem);
            }
            let scores = matrix("static")?.data;
            Some(Scorer::Static { users: matrix("static.users")?.data.first()?.to_bits() as usize, scores })
        };
        let bad = |text: &str| Error::checkpoint(self.path.join(&file.name), text);
        let scorer = scorer().ok_or_else(|| bad("holds no scorer"))?;
        match scorer.flaw() {
            Some(flaw) => {
                Err(bad(&format!("holds a scorer that cannot answer: {flaw}; train the run again")))
            }
            None => Ok(scorer),
        }
    }

    /// The file of the best epoch.
    ///
    /// # Errors
    /// There is none yet.
    pub fn best(&self) -> Result<FileRef> {
        let best = self.read_json::<State>("state.json")?.and_then(|s| s.best_file);
        best.ok_or_else(|| Error::checkpoint(&self.path, "nothing evaluated yet: train it first"))
    }

    /// The data that the run was trained on.
    ///
    /// # Errors
    /// They are gone or have changed.
    pub fn data(&self, info: &RunInfo) -> Result<Dataset> {
        let data = Dataset::open(&info.data)?;
        if data.hash != info.data_hash {
            let text = format!("was trained on other data than {} holds now", info.data.display());
            return Err(Error::checkpoint(&self.path, text));
        }
        Ok(data)
    }

    /// Makes `state` the newest one and removes tensor files that it does not name.
    pub fn commit(&self, state: &State) -> Result<()> {
        self.write_json("state.json", state)?;
        let kept: Vec<&str> =
            [&state.state_file, &state.best_file].into_iter().flatten().map(|f| &*f.name).collect();
        for entry in fs::read_dir(&self.path).map_err(|e| Error::io(&self.path, e))?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let ours = name.ends_with(".tmp") || name.ends_with(".safetensors");
            if ours && !kept.contains(&name.as_str()) {
                // What cannot be removed now is removed after the next evaluation.
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(())
    }
}

/// Writes `bytes` to `path` so that it is there wholly or not at all.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".tmp");
    let temporary = path.with_file_name(name);
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        match path.parent().filter(|p| !p.as_os_str().is_empty()) {
            Some(parent) => File::open(parent)?.sync_all(),
            None => Ok(()),
        }
    };
    write().map_err(|e| {
        let _ = fs::remove_file(&temporary);
        Error::io(path, e)
    })
}

#[cfg(test)]
mod tests;
