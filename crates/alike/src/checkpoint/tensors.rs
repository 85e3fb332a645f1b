//! Parameters, moments and scorers as safetensors files, each with a hash in `state.json`.

use std::collections::HashMap;
use std::sync::Arc;

use memmap2::Mmap;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::{FileRef, RunDir};
use crate::disk;
use crate::error::{Error, Result};
use crate::layers::Saved;
use crate::scorer::{Floats, Hybrid, ItemItem, Matrix, Scorer};

/// Arrays by name: shape and values.
type Arrays = HashMap<String, (Vec<usize>, Floats)>;

impl RunDir {
    /// Writes tensors under `name` and says what was written.
    fn write_tensors(&self, name: String, tensors: &[(String, Vec<usize>, &[f32])]) -> Result<FileRef> {
        let path = self.path().join(&name);
        let broken = |e: safetensors::SafeTensorError| Error::checkpoint(&path, e.to_string());
        let views = tensors
            .iter()
            .map(|(n, shape, v)| {
                TensorView::new(Dtype::F32, shape.clone(), bytemuck::cast_slice(v)).map(|t| (n, t))
            })
            .collect::<Result<Vec<_>, _>>()
            .map_err(broken)?;
        let bytes = safetensors::serialize(views, None).map_err(broken)?;
        disk::write_atomic(&path, &bytes)?;
        Ok(FileRef { name, hash: blake3::hash(&bytes).to_hex().to_string() })
    }

    /// Those whose names begin with `prefix`; they stay mapped where asked.
    fn read_tensors(&self, file: &FileRef, prefix: &str, mapped: bool) -> Result<Arrays> {
        let path = self.path().join(&file.name);
        let whole = match mapped {
            true => Whole::Mapped(Arc::new(disk::map(&path)?)),
            false => Whole::Read(disk::bytes(&path)?),
        };
        let bytes = whole.bytes();
        if blake3::Hasher::new().update_rayon(bytes).finalize().to_hex().as_str() != file.hash {
            return Err(Error::checkpoint(
                &path,
                "damaged: its content does not match the hash in state.json",
            ));
        }
        let tensors = SafeTensors::deserialize(bytes).map_err(|e| Error::checkpoint(&path, e.to_string()))?;
        let mut out = HashMap::new();
        for (name, view) in tensors.iter().filter(|(name, _)| name.starts_with(prefix)) {
            if view.dtype() != Dtype::F32 {
                return Err(Error::checkpoint(
                    &path,
                    format!("`{name}` is {:?}, expected F32", view.dtype()),
                ));
            }
            let values = match &whole {
                Whole::Mapped(file) => {
                    let from = view.data().as_ptr() as usize - bytes.as_ptr() as usize;
                    Floats::mapped(file, from..from + view.data().len())
                }
                Whole::Read(_) => Floats::read(view.data()),
            };
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
        let mut tensors = self.read_tensors(file, "", false)?;
        let names: Vec<String> =
            tensors.keys().filter_map(|k| k.strip_prefix("param:")).map(String::from).collect();
        let mut take = |kind: &str, name: &str| tensors.remove(&format!("{kind}:{name}")).unwrap_or_default();
        let saved = names.into_iter().map(|name| {
            let (shape, value) = take("param", &name);
            let [m, v] = ["m", "v"].map(|kind| take(kind, &name).1.into_vec());
            Saved { name, shape, value: value.into_vec(), m, v }
        });
        Ok(saved.collect())
    }

    /// Writes the best parameters and the scorer made from them.
    pub fn write_best(&self, epoch: usize, saved: &[Saved], scorer: &Scorer) -> Result<FileRef> {
        let mut tensors: Vec<Written<'_>> =
            saved.iter().map(|s| (format!("param:{}", s.name), s.shape.clone(), &s.value[..])).collect();
        let count;
        match scorer {
            Scorer::Dot { users, items } => {
                tensors.extend(of_matrices([("dot.users", users), ("dot.items", items)]));
            }
            Scorer::PairMlp { users, items, out, vectors } => {
                let rows = [("pair.users", users), ("pair.items", items), ("pair.vectors", vectors)];
                tensors.extend(of_matrices(rows));
                tensors.push(("scorer:pair.out".into(), vec![out.len()], out));
            }
            Scorer::ItemItem(w) => tensors.extend(of_item_item("", w)),
            Scorer::Hybrid(Hybrid { users, items, weights }) => {
                tensors.extend(of_matrices([("hybrid.users", users), ("hybrid.items", items)]));
                tensors.extend(of_item_item("hybrid.", weights));
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
    ///
    /// # Errors
    /// The file is missing, damaged, or holds no scorer that can answer.
    pub fn read_scorer(&self, file: &FileRef) -> Result<Scorer> {
        self.scorer(file, false)
    }

    /// The same with vectors that stay mapped, and so are shared by all processes that open the run. Who
    /// serves people reads: then nothing that happens to the file later changes an answer.
    ///
    /// # Errors
    /// As [`Self::read_scorer`].
    pub fn map_scorer(&self, file: &FileRef) -> Result<Scorer> {
        self.scorer(file, true)
    }

    fn scorer(&self, file: &FileRef, mapped: bool) -> Result<Scorer> {
        let mut tensors = self.read_tensors(file, "scorer:", mapped)?;
        let mut matrix = |name: &str| -> Option<Matrix> {
            let (shape, data) = tensors.remove(&format!("scorer:{name}"))?;
            let cols = *shape.last()?;
            Some(Matrix::over(data.len().checked_div(cols).unwrap_or(0), cols, data))
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
                    out: matrix("pair.out")?.data.into_vec(),
                });
            }
            if let (Some(users), Some(items)) = (matrix("hybrid.users"), matrix("hybrid.items")) {
                let weights = item_item("hybrid.", &mut matrix)?;
                return Some(Scorer::Hybrid(Hybrid { users, items, weights }));
            }
            if let Some(weights) = item_item("", &mut matrix) {
                return Some(Scorer::ItemItem(weights));
            }
            let scores = matrix("static")?.data.into_vec();
            Some(Scorer::Static { users: matrix("static.users")?.data.first()?.to_bits() as usize, scores })
        };
        let bad = |text: &str| Error::checkpoint(self.path().join(&file.name), text);
        let scorer = scorer().ok_or_else(|| bad("holds no scorer"))?;
        match scorer.flaw() {
            Some(flaw) => {
                Err(bad(&format!("holds a scorer that cannot answer: {flaw}; train the run again")))
            }
            None => Ok(scorer),
        }
    }
}

/// The content of a file.
enum Whole {
    Mapped(Arc<Mmap>),
    Read(Vec<u8>),
}

impl Whole {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Mapped(file) => file,
            Self::Read(bytes) => bytes,
        }
    }
}

/// A tensor to be written: name, shape and values.
type Written<'a> = (String, Vec<usize>, &'a [f32]);

/// Matrices of a scorer as tensors.
fn of_matrices<'a, const N: usize>(all: [(&str, &'a Matrix); N]) -> [Written<'a>; N] {
    all.map(|(name, m)| (format!("scorer:{name}"), vec![m.rows, m.cols], &m.data[..]))
}

/// Weights between items as tensors whose names begin with `prefix`.
fn of_item_item<'a>(prefix: &str, w: &'a ItemItem) -> Vec<Written<'a>> {
    let lists = [
        ("history.ptr", w.history.ptr()),
        ("history.idx", w.history.idx()),
        ("weights.ptr", w.pattern.ptr()),
        ("weights.idx", w.pattern.idx()),
    ];
    // Whole numbers as the bits of singles, like the number of users of a static scorer.
    let bits = lists.map(|(name, list)| (name, bytemuck::cast_slice(list)));
    let all = bits.into_iter().chain([("weights.values", &w.values[..])]);
    all.map(|(name, values)| (format!("scorer:{prefix}{name}"), vec![values.len()], values)).collect()
}

/// What [`of_item_item`] wrote; `matrix` takes a tensor by name.
fn item_item(prefix: &str, matrix: &mut dyn FnMut(&str) -> Option<Matrix>) -> Option<ItemItem> {
    let values = matrix(&format!("{prefix}weights.values"))?.data.into_vec();
    let mut bits = |name: &str| -> Option<Vec<u32>> {
        Some(matrix(&format!("{prefix}{name}"))?.data.iter().map(|v| v.to_bits()).collect())
    };
    let history = (bits("history.ptr")?, bits("history.idx")?);
    let pattern = (bits("weights.ptr")?, bits("weights.idx")?);
    ItemItem::from_parts(history, pattern, values)
}
