//! Feature files as matrices: rows in file order, with item ids where the file has them.

use std::path::{Path, PathBuf};

use half::{bf16, f16};
use memmap2::Mmap;
use safetensors::tensor::{Dtype, SafeTensors};

use crate::data::formats::columns::listed;
use crate::data::formats::id_text::clean;
use crate::data::formats::kinds::Kind;
use crate::data::formats::npy::{self, Bytes, Npy, Npz};
use crate::data::formats::open::{self, has_extension, is_parquet};
use crate::data::formats::options::TextOptions;
use crate::data::formats::parquet_features;
use crate::{Error, Result};

/// Item ids of the rows.
#[derive(Debug)]
pub(crate) struct Ids {
    pub(crate) names: Vec<String>,
    /// Where they stand, for messages.
    pub(crate) origin: String,
}

impl Ids {
    /// From an array beside `rows` rows, `name` in the archive. Counts are compared before anything is read: an array can
    /// announce more ids than memory holds.
    pub(crate) fn of_array(path: &Path, name: &str, array: &Npy, rows: usize) -> Result<Self> {
        let bad = |message: String| Error::format(path, message);
        let &[count] = array.shape.as_slice() else {
            return Err(bad(format!("array `{name}` is no vector of ids")));
        };
        if count != rows {
            return Err(bad(format!("has {rows} rows, but array `{name}` has {count} ids")));
        }
        let names = array.ids().ok_or_else(|| bad(format!("array `{name}` is no vector of ids")))?;
        Ok(Self { names, origin: format!("array `{name}`") })
    }
}

/// Where the numbers are.
pub(crate) enum Source {
    /// Decoded, row after row.
    Floats(Vec<f32>),
    /// A NumPy array.
    Npy(Npy),
    /// A tensor from `at` on in the bytes, row after row, little-endian.
    Tensor { bytes: Bytes, at: usize, dtype: Dtype },
}

/// A matrix `rows × dim` of a file.
pub(crate) struct Matrix {
    pub(crate) path: PathBuf,
    pub(crate) rows: usize,
    pub(crate) dim: usize,
    pub(crate) ids: Option<Ids>,
    source: Source,
}

/// Names that feature arrays usually have, in order of preference.
const FEATURE_ARRAYS: &[&str] = &["features", "feat", "embeddings", "arr_0"];
/// Names that id arrays usually have.
pub(crate) const ID_ARRAYS: &[&str] = &["ids", "item_ids", "item_id", "itemID"];

impl Matrix {
    pub(crate) fn new(
        path: &Path,
        rows: usize,
        dim: usize,
        source: Source,
        ids: Option<Ids>,
    ) -> Result<Self> {
        if rows == 0 || dim == 0 {
            return Err(Error::format(path, format!("holds no features ({rows} rows of {dim} values)")));
        }
        let matrix = Self { path: path.to_path_buf(), rows, dim, ids, source };
        if let Some(ids) = &matrix.ids {
            matrix.check_count(ids)?;
        }
        Ok(matrix)
    }

    /// Reads a feature file: its first bytes say what it is, or else its extension.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let opened = open::open_whole(path)?;
        let kind = match opened.kind {
            kind @ (Kind::Npy | Kind::Zip | Kind::Safetensors | Kind::Parquet) => kind,
            Kind::Other(what) => return Err(Error::format(path, format!("is {what}"))),
            _ if has_extension(path, &["npy"]) => Kind::Npy,
            _ if has_extension(path, &["npz"]) => Kind::Zip,
            _ if has_extension(path, &["safetensors"]) => Kind::Safetensors,
            _ if is_parquet(path) => Kind::Parquet,
            _ => {
                let message = "unknown kind of features; allowed: .npy, .npz, .safetensors, .parquet";
                return Err(Error::format(path, message));
            }
        };
        match kind {
            Kind::Npy => Self::from_npy(path, npy::map_npy(path, opened.map(path)?)?, None),
            Kind::Zip => Self::from_npz(path, npy::read_npz(path, &opened.map(path)?)?),
            Kind::Safetensors => Self::from_safetensors(path, opened.map(path)?),
            _ => parquet_features::read_features(path, opened.file),
        }
    }

    fn from_npy(path: &Path, array: Npy, ids: Option<Ids>) -> Result<Self> {
        let &[rows, dim] = array.shape.as_slice() else {
            let message = format!("has the shape {:?}; a matrix of items by values is expected", array.shape);
            return Err(Error::format(path, message));
        };
        if array.kind != 'f' || !matches!(array.size, 2 | 4 | 8) {
            let message = format!("holds {}; features are f2, f4 or f8", array.type_name());
            return Err(Error::format(path, message));
        }
        Self::new(path, rows, dim, Source::Npy(array), ids)
    }

    fn from_npz(path: &Path, mut archive: Npz<'_>) -> Result<Self> {
        let mut ids = None;
        for name in ID_ARRAYS {
            if let Some(array) = archive.take(name) {
                ids = Some((name, array?));
                break;
            }
        }
        let matrices = archive.float_matrices();
        let name = the_matrix(path, &matrices, &archive.names(), "arrays")?;
        let array = archive.take(&name).expect("the name comes from the archive")?;
        let ids = ids.map(|(name, ids)| Ids::of_array(path, name, &ids, array.shape[0])).transpose()?;
        Self::from_npy(path, array, ids)
    }

    fn from_safetensors(path: &Path, bytes: Mmap) -> Result<Self> {
        let bad = |e: safetensors::SafeTensorError| Error::format(path, format!("bad safetensors: {e}"));
        let (header, metadata) = SafeTensors::read_metadata(&bytes).map_err(bad)?;
        let mut matrices: Vec<String> = Vec::new();
        let mut ids = None;
        for name in metadata.offset_keys() {
            let info = metadata.info(&name).expect("the key comes from the metadata");
            let float = matches!(info.dtype, Dtype::F16 | Dtype::BF16 | Dtype::F32 | Dtype::F64);
            if float && info.shape.len() == 2 {
                matrices.push(name);
            } else if ID_ARRAYS.contains(&name.as_str()) && info.dtype == Dtype::I64 && info.shape.len() == 1
            {
                let (from, to) = info.data_offsets;
                let data = &bytes[8 + header + from..8 + header + to];
                let number = |b: &[u8]| i64::from_le_bytes(b.try_into().expect("chunks have 8 bytes"));
                let names = data.chunks_exact(8).map(|b| number(b).to_string()).collect();
                ids = Some(Ids { names, origin: format!("tensor `{name}`") });
            }
        }
        let text = metadata.metadata().as_ref().and_then(|m| ID_ARRAYS.iter().find_map(|n| m.get(*n)));
        if let Some(text) = text {
            ids = Some(Ids { names: listed_ids(path, text)?, origin: "the metadata `ids`".into() });
        }
        let name = the_matrix(path, &matrices, &metadata.offset_keys(), "tensors")?;
        let info = metadata.info(&name).expect("the name comes from the metadata");
        let (rows, dim, dtype) = (info.shape[0], info.shape[1], info.dtype);
        let at = 8 + header + info.data_offsets.0;
        Self::new(path, rows, dim, Source::Tensor { bytes: Bytes::Mapped(bytes), at, dtype }, ids)
    }

    /// Attaches the ids of an ids file, one per line.
    pub(crate) fn with_ids_file(mut self, ids: &Path) -> Result<Self> {
        let text = open::read_text(ids, &TextOptions::default())?;
        let names: Vec<String> = text.lines().map(|line| clean(line).to_string()).collect();
        if let Some(at) = names.iter().position(String::is_empty) {
            return Err(Error::format_at(ids, at as u64 + 1, "is empty; an item id is expected"));
        }
        let ids = Ids { names, origin: format!("{}", ids.display()) };
        self.check_count(&ids)?;
        self.ids = Some(ids);
        Ok(self)
    }

    fn check_count(&self, ids: &Ids) -> Result<()> {
        if ids.names.len() == self.rows {
            return Ok(());
        }
        let message = format!("has {} rows, but {} has {} ids", self.rows, ids.origin, ids.names.len());
        Err(Error::format(&self.path, message))
    }

    /// Decodes row `r` into `out` (`dim` values).
    pub(crate) fn row(&self, r: usize, out: &mut [f32]) {
        match &self.source {
            Source::Floats(data) => out.copy_from_slice(&data[r * self.dim..(r + 1) * self.dim]),
            Source::Npy(a) if a.fortran || a.big_endian => {
                for (c, out) in out.iter_mut().enumerate() {
                    *out = a.float_at(r, c).expect("the element type is checked when the file is opened");
                }
            }
            Source::Npy(a) => {
                let dtype = match a.size {
                    2 => Dtype::F16,
                    4 => Dtype::F32,
                    _ => Dtype::F64,
                };
                decode(&a.bytes[a.start..], r, dtype, out);
            }
            Source::Tensor { bytes, at, dtype } => decode(&bytes[*at..], r, *dtype, out),
        }
    }
}

/// The name of the only matrix, or of the one with a usual name. `all` are the names of what the file has, `kind` what it is.
fn the_matrix(path: &Path, matrices: &[String], all: &[String], kind: &str) -> Result<String> {
    let usual = FEATURE_ARRAYS.iter().find(|n| matrices.iter().any(|m| m == *n));
    match (matrices, usual) {
        ([only], _) => Ok(only.clone()),
        (_, Some(usual)) => Ok(usual.to_string()),
        _ => {
            let found = listed(all);
            let message =
                format!("one matrix of floats is expected, or one named `features`; {kind}: {found}");
            Err(Error::format(path, message))
        }
    }
}

/// Decodes row `r` of little-endian rows as long as `out`.
fn decode(data: &[u8], r: usize, dtype: Dtype, out: &mut [f32]) {
    let size = match dtype {
        Dtype::F64 => 8,
        Dtype::F32 => 4,
        _ => 2,
    };
    let len = out.len() * size;
    let row = &data[r * len..(r + 1) * len];
    for (out, b) in out.iter_mut().zip(row.chunks_exact(size)) {
        *out = match *b {
            [a, b] if dtype == Dtype::BF16 => bf16::from_le_bytes([a, b]).to_f32(),
            [a, b] => f16::from_le_bytes([a, b]).to_f32(),
            [a, b, c, d] => f32::from_le_bytes([a, b, c, d]),
            _ => f64::from_le_bytes(b.try_into().expect("the size is 8")) as f32,
        };
    }
}

/// Ids in a metadata text: a JSON list of strings or integers, or one per line.
fn listed_ids(path: &Path, text: &str) -> Result<Vec<String>> {
    if !text.trim_start().starts_with('[') {
        return Ok(text.lines().map(str::to_string).collect());
    }
    let bad = || Error::format(path, "the metadata `ids` is no JSON list of strings or integers");
    let values: Vec<serde_json::Value> = serde_json::from_str(text).map_err(|_| bad())?;
    let id = |v: serde_json::Value| match v {
        serde_json::Value::String(s) => Ok(s),
        serde_json::Value::Number(n) if n.is_i64() || n.is_u64() => Ok(n.to_string()),
        _ => Err(bad()),
    };
    values.into_iter().map(id).collect()
}
