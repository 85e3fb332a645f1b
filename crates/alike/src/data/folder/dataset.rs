//! A prepared folder, opened.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use alike_ops::Csr;

use crate::data::folder::manifest::{FeatureEntry, KnnEntry, Manifest, REPORT, TRAIN_WEIGHTS, check_hash};
use crate::data::folder::values::Values;
use crate::data::prepare::catalogue::{Catalogue, offsets_of};
use crate::disk;
use crate::ids::Vocab;
use crate::{Error, Result};

/// A prepared data set. Matrices of interactions are users × items, `[U, I]`.
#[derive(Debug)]
pub struct Dataset {
    /// The prepared folder.
    pub dir: PathBuf,
    /// Name of the data.
    pub name: String,
    /// Content hash, hex: equal hashes mean equal data.
    pub hash: String,
    /// How the data were split: `label`, `random`, `leave-one-out` or `temporal`.
    pub split: String,
    /// User ids.
    pub users: Vocab,
    /// Item ids.
    pub items: Vocab,
    /// Training interactions; rows ascend without repeats.
    pub train: Arc<Csr>,
    /// Weight of each of them, above 0 and at most 1, in the order of the matrix; `None` where all are 1.
    pub train_weights: Option<Vec<f32>>,
    /// Validation interactions.
    pub valid: Arc<Csr>,
    /// Test interactions.
    pub test: Arc<Csr>,
    /// Features, one entry per modality, in the order in which they were given.
    pub features: Vec<Features>,
    /// Given item neighbours.
    pub knn: Vec<GivenKnn>,
    /// Titles, images and categories.
    pub catalogue: Catalogue,
}

/// Features of one modality, mapped from the disk until they are [owned](Dataset::own_features).
#[derive(Debug)]
pub struct Features {
    /// Name of the modality.
    pub name: String,
    /// Values an item `f`.
    pub dim: usize,
    /// Whether item `i` has no features, `[I]`.
    pub missing: Vec<bool>,
    values: Values,
    hash: String,
}

/// Item neighbours that were given, not computed.
#[derive(Debug)]
pub struct GivenKnn {
    /// Name of the graph.
    pub name: String,
    /// Neighbours per item.
    pub k: usize,
    /// Neighbours, `[I, k]`, `u32::MAX` after the last; the item itself may be among them.
    pub idx: Vec<u32>,
    /// Their similarities, `[I, k]`.
    pub cos: Vec<f32>,
}

impl Features {
    /// Values, `[I, f]` row after row; zeros where the item has none.
    pub fn values(&self) -> &[f32] {
        self.values.get()
    }

    /// Content hash of the values, hex.
    pub fn hash(&self) -> &str {
        &self.hash
    }
}

impl Dataset {
    /// Opens a prepared folder. Sizes, version and the hash of every file are checked, the feature values'
    /// too, which are mapped: nothing is computed from damaged data, and no cache is built from them.
    ///
    /// # Errors
    /// A file is missing, damaged or of another version; the error names it.
    pub fn open(dir: &Path) -> Result<Self> {
        Self::read(dir, None)
    }

    /// The same with feature values that are [owned](Self::own_features) from the start: their files are read
    /// once.
    ///
    /// # Errors
    /// Those of [`Self::open`], or there is no room.
    pub fn open_owned(dir: &Path, in_memory: usize) -> Result<Self> {
        Self::read(dir, Some(in_memory))
    }

    /// Opens a folder; `in_memory`, where features are to be owned, says how many bytes of them fit into
    /// memory.
    fn read(dir: &Path, mut in_memory: Option<usize>) -> Result<Self> {
        let manifest = Manifest::read(dir)?;
        let stored = Stored { dir, manifest: &manifest };
        let users = stored.vocab("users", manifest.users)?;
        let items = stored.vocab("items", manifest.items)?;
        let [train, valid, test] = manifest.interactions;
        let train = stored.split("train", train)?;
        let (valid, test) = (stored.split("valid", valid)?, stored.split("test", test)?);
        let train_weights = stored.train_weights(train.nnz())?;
        let features = manifest.features.iter().map(|f| stored.features(f, &mut in_memory));
        let features = features.collect::<Result<_>>()?;
        let knn = manifest.knn.iter().map(|g| stored.neighbors(g)).collect::<Result<_>>()?;
        let catalogue = stored.catalogue()?;
        manifest.content(dir, REPORT)?;
        Ok(Self {
            dir: dir.to_path_buf(),
            name: manifest.name.clone(),
            hash: manifest.hash.clone(),
            split: manifest.split.clone(),
            users,
            items,
            train,
            train_weights,
            valid,
            test,
            features,
            knn,
            catalogue,
        })
    }

    /// Reads every feature file whole, its hash checked, and keeps the values: whatever happens to the files
    /// from then on changes nothing and does no harm. The first `in_memory` bytes are kept in memory, the
    /// files beyond them as copies without a name in the system's folder for temporary files.
    ///
    /// # Errors
    /// A file is damaged, or there is no room.
    pub fn own_features(&mut self, in_memory: usize) -> Result<()> {
        let mut left = in_memory;
        for features in self.features.iter_mut().filter(|f| matches!(f.values, Values::Mapped(_))) {
            let path = self.dir.join(format!("feature.{}.f32", features.name));
            let bytes = size_of_val(features.values.get());
            features.values = Values::read_owned(&path, bytes, &features.hash, &mut left)?;
        }
        Ok(())
    }

    /// Place of a modality among [`Dataset::features`].
    ///
    /// # Errors
    /// There is none of that name; the error says which there are.
    pub fn modality(&self, name: &str) -> Result<usize> {
        self.features.iter().position(|f| f.name == name).ok_or_else(|| {
            let have: Vec<&str> = self.features.iter().map(|f| &*f.name).collect();
            let have = if have.is_empty() { "none".into() } else { have.join(", ") };
            Error::Data(format!("unknown modality `{name}`; the data have: {have}"))
        })
    }

    /// Title of `item`, if the items file had one.
    pub fn title(&self, item: u32) -> Option<&str> {
        self.catalogue.title(item)
    }

    /// Bytes that `build` makes, kept in `<dir>/cache/<key>.bin`. An entry that is damaged or belongs to
    /// another key is built again; one that cannot be written (a full disk, a read-only folder) is only not
    /// kept.
    pub fn cached(&self, key: &str, build: &mut dyn FnMut() -> Result<Vec<u8>>) -> Result<Vec<u8>> {
        let plain = !key.is_empty()
            && key.len() <= 100
            && !key.starts_with('.')
            && key.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_.+".contains(&c));
        let file = if plain { key.to_string() } else { blake3::hash(key.as_bytes()).to_hex().to_string() };
        let path = self.dir.join("cache").join(format!("{file}.bin"));
        if disk::exists(&path) {
            match disk::bytes(&path).map(|content| cache_payload(key, content)) {
                Ok(Some(payload)) => return Ok(payload),
                Ok(None) => tracing::warn!(path = %path.display(), "damaged cache entry, built again"),
                Err(error) => tracing::warn!(%error, "cache entry cannot be read, built again"),
            }
        }
        let payload = build()?;
        let mut content = Vec::with_capacity(CACHE_HEADER + payload.len());
        content.extend_from_slice(CACHE_MAGIC);
        content.extend_from_slice(cache_hash(key, &payload).as_bytes());
        content.extend_from_slice(&payload);
        if let Err(error) = disk::write_atomic(&path, &content) {
            tracing::warn!(%error, "cache entry cannot be written");
        }
        Ok(payload)
    }
}

/// Entries of the first version may have been built from damaged features.
const CACHE_MAGIC: &[u8; 8] = b"alikec02";
const CACHE_HEADER: usize = 40;

fn cache_hash(key: &str, payload: &[u8]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(key.len() as u64).to_le_bytes()).update(key.as_bytes()).update(payload);
    hasher.finalize()
}

/// What follows the header, if the header fits it.
fn cache_payload(key: &str, mut content: Vec<u8>) -> Option<Vec<u8>> {
    let header = content.get(..CACHE_HEADER)?;
    if &header[..8] != CACHE_MAGIC || &header[8..] != cache_hash(key, &content[CACHE_HEADER..]).as_bytes() {
        return None;
    }
    content.drain(..CACHE_HEADER);
    Some(content)
}

/// The files of a folder, as its manifest tells them.
struct Stored<'a> {
    dir: &'a Path,
    manifest: &'a Manifest,
}

impl Stored<'_> {
    /// An array of `len` numbers, its hash checked.
    fn numbers<T: bytemuck::Pod>(&self, name: &str, len: usize) -> Result<Vec<T>> {
        let path = self.dir.join(name);
        let values = disk::array::<T>(&path, &self.manifest.content(self.dir, name)?)?;
        if values.len() != len {
            let message = format!("has {} values, {len} are expected", values.len());
            return Err(Error::format(path, message));
        }
        Ok(values)
    }

    /// What is wrong with the content of file `name`.
    fn bad(&self, name: &str, what: impl ToString) -> Error {
        Error::format(self.dir.join(name), what.to_string())
    }

    fn vocab(&self, what: &str, count: usize) -> Result<Vocab> {
        let name = format!("{what}.offsets");
        let offsets = self.numbers::<u64>(&name, count + 1)?;
        let names = self.manifest.content(self.dir, &format!("{what}.names"))?;
        Vocab::from_parts(names, offsets).map_err(|e| self.bad(&name, e))
    }

    fn split(&self, what: &str, nnz: usize) -> Result<Arc<Csr>> {
        let (u, i) = (self.manifest.users, self.manifest.items);
        let name = format!("{what}.idx");
        let ptr = self.numbers::<u32>(&format!("{what}.ptr"), u + 1)?;
        let idx = self.numbers::<u32>(&name, nnz)?;
        let csr = Csr::new(u, i, ptr, idx).map_err(|e| self.bad(&name, Error::from(e)))?;
        if (0..u).any(|r| csr.row(r).windows(2).any(|w| w[0] >= w[1])) {
            return Err(self.bad(&name, "has a row that does not ascend"));
        }
        Ok(Arc::new(csr))
    }

    fn train_weights(&self, nnz: usize) -> Result<Option<Vec<f32>>> {
        if !self.manifest.weighted {
            return Ok(None);
        }
        let weights = self.numbers::<f32>(TRAIN_WEIGHTS, nnz)?;
        if !weights.iter().all(|weight| *weight > 0.0 && *weight <= 1.0) {
            return Err(self.bad(TRAIN_WEIGHTS, "has a weight beyond 0 to 1"));
        }
        Ok(Some(weights))
    }

    /// Features, mapped, or owned where `in_memory` says how many bytes fit into memory.
    fn features(&self, f: &FeatureEntry, in_memory: &mut Option<usize>) -> Result<Features> {
        let i = self.manifest.items;
        let flags = self.numbers::<u8>(&format!("feature.{}.missing", f.name), i)?;
        let name = format!("feature.{}.f32", f.name);
        let entry = self.manifest.entry(self.dir, &name)?;
        if Some(entry.bytes as usize) != i.checked_mul(f.dim).and_then(|n| n.checked_mul(4)) {
            return Err(self.bad(&name, format!("has not {i} · {} values", f.dim)));
        }
        let path = self.dir.join(&name);
        let values = match in_memory {
            Some(left) => Values::read_owned(&path, entry.bytes as usize, &entry.blake3, left)?,
            None => {
                let values = disk::map(&path)?;
                check_hash(&path, &values, entry)?;
                Values::Mapped(values)
            }
        };
        Ok(Features {
            name: f.name.clone(),
            dim: f.dim,
            missing: flags.into_iter().map(|b| b != 0).collect(),
            values,
            hash: entry.blake3.clone(),
        })
    }

    fn neighbors(&self, g: &KnnEntry) -> Result<GivenKnn> {
        let i = self.manifest.items;
        let len = i.saturating_mul(g.k);
        let name = format!("knn.{}.idx", g.name);
        let idx = self.numbers::<u32>(&name, len)?;
        if idx.iter().any(|&n| n != u32::MAX && n as usize >= i) {
            return Err(self.bad(&name, "names an item that does not exist"));
        }
        let cos = self.numbers::<f32>(&format!("knn.{}.cos", g.name), len)?;
        Ok(GivenKnn { name: g.name.clone(), k: g.k, idx, cos })
    }

    fn catalogue(&self) -> Result<Catalogue> {
        if !self.manifest.catalogue {
            return Ok(Catalogue::default());
        }
        let i = self.manifest.items;
        let attributes = self.manifest.attributes.clone();
        let offsets = self.numbers::<u64>("catalogue.offsets", offsets_of(i, attributes.len()))?;
        let text = self.manifest.content(self.dir, "catalogue.text")?;
        let root = self.manifest.image_root.as_ref().map(PathBuf::from);
        Catalogue::from_parts(text, offsets, i, attributes, root).map_err(|e| self.bad("catalogue.text", e))
    }
}
