//! The description of a prepared folder, see `docs/formats.md`.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::disk::{self, FileEntry};
use crate::{Error, Result};

/// File that makes a folder a prepared one.
pub(crate) const MANIFEST: &str = "manifest.json";
/// What `alike prepare` said.
pub(crate) const REPORT: &str = "report.json";
/// Weights of the train interactions.
pub(crate) const TRAIN_WEIGHTS: &str = "train.weights";
/// Value of `format`.
pub(crate) const FORMAT: &str = "alike-data";
/// Version that is written and read.
pub(crate) const VERSION: u32 = 1;

/// Content of `manifest.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) format: String,
    pub(crate) version: u32,
    /// See [`Manifest::content_hash`].
    pub(crate) hash: String,
    pub(crate) name: String,
    pub(crate) split: String,
    pub(crate) seed: Option<u64>,
    pub(crate) users: usize,
    pub(crate) items: usize,
    /// Interactions of train, valid, test.
    pub(crate) interactions: [usize; 3],
    /// Whether train interactions have weights. Absent where they have none: a program that knows of no
    /// weights refuses the folder where they have.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) weighted: bool,
    pub(crate) features: Vec<FeatureEntry>,
    pub(crate) knn: Vec<KnnEntry>,
    pub(crate) catalogue: bool,
    /// Names of its attributes. Absent where it has none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) attributes: Vec<String>,
    /// Folder of the items file; no part of the content.
    #[serde(default)]
    pub(crate) image_root: Option<String>,
    /// All files but the manifest.
    pub(crate) files: Vec<FileEntry>,
}

/// A modality.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct FeatureEntry {
    pub(crate) name: String,
    pub(crate) dim: usize,
}

/// A given graph.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct KnnEntry {
    pub(crate) name: String,
    pub(crate) k: usize,
}

impl Manifest {
    /// blake3 over the manifest as compact JSON with an empty `hash` and no `image_root`: it holds the hash
    /// of every file, so it covers all content, but not where the sources were.
    pub(crate) fn content_hash(&self) -> String {
        let plain = Self { hash: String::new(), image_root: None, ..self.clone() };
        let text = serde_json::to_vec(&plain).expect("a manifest has only text and numbers");
        blake3::hash(&text).to_hex().to_string()
    }

    /// Reads and checks the manifest of `dir`.
    pub(crate) fn read(dir: &Path) -> Result<Self> {
        let path = dir.join(MANIFEST);
        if !disk::exists(&path) {
            let message = if dir.is_dir() {
                "is no prepared folder (it has no manifest.json); `alike prepare` makes one"
            } else {
                "no such folder; `alike prepare` makes one"
            };
            return Err(Error::format(dir, message));
        }
        #[derive(Deserialize)]
        struct Kind {
            format: String,
            version: u32,
        }
        let content = disk::bytes(&path)?;
        let foreign = |e: serde_json::Error| Error::format(&path, format!("is no manifest of ours: {e}"));
        let kind: Kind = serde_json::from_slice(&content).map_err(foreign)?;
        if kind.format != FORMAT {
            let message = format!("has the format `{}`; `{FORMAT}` is expected", kind.format);
            return Err(Error::format(&path, message));
        }
        if kind.version != VERSION {
            let message = format!(
                "has version {}, this program reads version {VERSION}; prepare the data again",
                kind.version
            );
            return Err(Error::format(&path, message));
        }
        let manifest: Self = serde_json::from_slice(&content).map_err(foreign)?;
        if manifest.content_hash() != manifest.hash {
            return Err(Error::format(&path, "was changed (its hash differs); prepare the data again"));
        }
        Ok(manifest)
    }

    /// Entry of a file, which must be there with its size.
    pub(crate) fn entry(&self, dir: &Path, name: &str) -> Result<&FileEntry> {
        let path = dir.join(name);
        let entry = self.files.iter().find(|f| f.name == name);
        let entry = entry.ok_or_else(|| Error::format(&path, "is not in the manifest"))?;
        let found = disk::size(&path)?;
        if found != entry.bytes {
            let message =
                format!("has {found} bytes, the manifest says {}; prepare the data again", entry.bytes);
            return Err(Error::format(&path, message));
        }
        Ok(entry)
    }

    /// Content of a file, its hash checked.
    pub(crate) fn content(&self, dir: &Path, name: &str) -> Result<Vec<u8>> {
        let entry = self.entry(dir, name)?;
        let path = dir.join(name);
        let content = disk::bytes(&path)?;
        check_hash(&path, &content, entry)?;
        Ok(content)
    }
}

/// An error unless the manifest of the folder `out`, where it has one, is of some version of `alike prepare`:
/// other programs call files `manifest.json` too.
fn check_manifest_is_ours(out: &Path) -> Result<()> {
    #[derive(Deserialize)]
    #[allow(dead_code)]
    struct Ours {
        format: String,
        version: u64,
        hash: String,
    }
    let Some(content) = disk::bytes_if_there(&out.join(MANIFEST))? else { return Ok(()) };
    if serde_json::from_slice::<Ours>(&content).is_ok_and(|found| found.format == FORMAT) {
        return Ok(());
    }
    let message = "has a manifest.json that `alike prepare` did not write, and is left alone; choose another --out, or remove \
                   the folder if it is not needed";
    Err(Error::format(out, message))
}

/// An error if the prepared folder `out` holds something that `alike prepare` did not write: it would go with
/// the folder.
pub(crate) fn check_nothing_foreign(out: &Path) -> Result<()> {
    if !out.is_dir() {
        return Ok(());
    }
    check_manifest_is_ours(out)?;
    for path in disk::files_in(out)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let foreign = match &*name {
            "cache" => disk::files_in(&path)?.into_iter().find(|entry| {
                let name = entry.file_name().unwrap_or_default().to_string_lossy();
                !name.ends_with(".bin") && disk::temporary_of(&name).is_none()
            }),
            name => (!is_ours(name)).then_some(path),
        };
        if let Some(foreign) = foreign {
            let message = "was not written by `alike prepare` and would be lost with the folder that it replaces; \
                           move it, or choose another --out";
            return Err(Error::format(&foreign, message));
        }
    }
    Ok(())
}

/// Whether a prepared folder may have a file of this name.
fn is_ours(name: &str) -> bool {
    let parts: Vec<&str> = name.split('.').collect();
    matches!(
        parts.as_slice(),
        ["manifest" | "report", "json"]
            | ["users" | "items", "names" | "offsets"]
            | ["train" | "valid" | "test", "ptr" | "idx"]
            | ["train", "weights"]
            | ["feature", _, "f32" | "missing"]
            | ["knn", _, "idx" | "cos"]
            | ["catalogue", "text" | "offsets"]
    )
}

/// An error unless `content` has the hash of `entry`.
pub(crate) fn check_hash(path: &Path, content: &[u8], entry: &FileEntry) -> Result<()> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_rayon(content);
    check_digest(path, &hasher.finalize(), &entry.blake3)
}

/// The same of a hash that was taken while the content passed.
pub(crate) fn check_digest(path: &Path, found: &blake3::Hash, wanted: &str) -> Result<()> {
    if found.to_hex().as_str() == wanted {
        return Ok(());
    }
    Err(Error::format(path, "is damaged (its hash differs from the manifest); prepare the data again"))
}
