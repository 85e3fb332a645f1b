//! Opens a feature file of any kind as a matrix.

use std::path::Path;

use memmap2::Mmap;
use safetensors::tensor::{Dtype, SafeTensors, TensorInfo, TensorView};

use crate::data::formats::columns::listed;
use crate::data::formats::kinds::FileKind;
use crate::data::formats::matrix::{Ids, MatrixData, MatrixFile};
use crate::data::formats::npy::{self, Bytes, Npy, Npz};
use crate::data::formats::open::{self, has_extension, is_parquet};
use crate::data::formats::parquet_features;
use crate::{Error, Result};

/// Names that feature arrays usually have, in order of preference.
const FEATURE_ARRAYS: &[&str] = &["features", "feat", "embeddings", "arr_0"];
/// Names that id arrays usually have.
pub(crate) const ID_ARRAYS: &[&str] = &["ids", "item_ids", "item_id", "itemID"];

/// Tensor of the files of `alike embed` with the hash of all others and of the ids. In the metadata there is
/// room for the ids only: the format keeps its entries in no order, and the same features shall give the same
/// bytes.
pub(crate) const HASH: &str = "alike_blake3";

/// The hash of a file of `alike embed`: the text of its ids, then each tensor but [`HASH`] with type and
/// shape, by name.
pub(crate) fn content_hash(ids: &str, tensors: &[(&str, TensorView<'_>)]) -> [u8; 32] {
    let mut sorted: Vec<&(&str, TensorView<'_>)> = tensors.iter().filter(|(name, _)| *name != HASH).collect();
    sorted.sort_unstable_by_key(|(name, _)| *name);
    let mut hasher = blake3::Hasher::new();
    let mut part = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes()).update_rayon(bytes);
    };
    part(ids.as_bytes());
    for (name, tensor) in sorted {
        part(format!("{name} {:?} {:?}", tensor.dtype(), tensor.shape()).as_bytes());
        part(tensor.data());
    }
    *hasher.finalize().as_bytes()
}

/// Whether a file of `alike embed` is as it was written. Of files without a hash, of others or of earlier
/// versions, nothing is known.
pub(crate) fn is_as_written(bytes: &[u8]) -> Option<bool> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).ok()?;
    let file = SafeTensors::deserialize(bytes).ok()?;
    let wanted = file.tensor(HASH).ok()?;
    let ids = metadata.metadata().as_ref().and_then(|m| m.get("ids")).map_or("", String::as_str);
    let names = metadata.offset_keys();
    let tensors: Option<Vec<(&str, TensorView<'_>)>> =
        names.iter().map(|name| Some((name.as_str(), file.tensor(name).ok()?))).collect();
    Some(wanted.data() == content_hash(ids, &tensors?))
}

/// Reads a feature file: its first bytes say what it is, or else its extension.
pub(crate) fn open_features(path: &Path) -> Result<MatrixFile> {
    let opened = open::open_whole(path)?;
    let kind = match opened.kind {
        kind @ (FileKind::Npy | FileKind::Zip | FileKind::Safetensors | FileKind::Parquet) => kind,
        FileKind::Other(what) => return Err(Error::format(path, format!("is {what}"))),
        _ if has_extension(path, &["npy"]) => FileKind::Npy,
        _ if has_extension(path, &["npz"]) => FileKind::Zip,
        _ if has_extension(path, &["safetensors"]) => FileKind::Safetensors,
        _ if is_parquet(path) => FileKind::Parquet,
        _ => {
            let message = "unknown kind of features; allowed: .npy, .npz, .safetensors, .parquet";
            return Err(Error::format(path, message));
        }
    };
    match kind {
        FileKind::Npy => from_npy(path, npy::map_npy(path, opened.map(path)?)?, None),
        FileKind::Zip => from_npz(path, npy::read_npz(path, &opened.map(path)?)?),
        FileKind::Safetensors => from_safetensors(path, opened.map(path)?),
        _ => parquet_features::read_features(path, opened.file),
    }
}

/// Opens two matrices of one `.npz` or `.safetensors` file: for each its usual names, and those of its ids.
pub(crate) fn open_pair(path: &Path, names: [(&[&str], &str); 2]) -> Result<[MatrixFile; 2]> {
    let opened = open::open_whole(path)?;
    let lacks = |usual: &[&str], found: &[String]| {
        let message = format!("has no matrix `{}`; it has {}", usual.join("` or `"), listed(found));
        Error::format(path, message)
    };
    match opened.kind {
        FileKind::Zip => {
            let bytes = opened.map(path)?;
            let mut archive = npy::read_npz(path, &bytes)?;
            let mut one = |(usual, ids): (&[&str], &str)| {
                let found = usual.iter().find_map(|name| archive.take(name));
                let array = found.ok_or_else(|| lacks(usual, &archive.names()))??;
                let rows = array.shape.first().copied().unwrap_or(0);
                let of_rows = archive.take(ids).transpose()?;
                let of_rows = of_rows.map(|array| Ids::of_array(path, ids, &array, rows)).transpose()?;
                from_npy(path, array, of_rows)
            };
            Ok([one(names[0])?, one(names[1])?])
        }
        FileKind::Safetensors => {
            let bytes = opened.map(path)?;
            let bad = |e: safetensors::SafeTensorError| Error::format(path, format!("bad safetensors: {e}"));
            let (header, metadata) = SafeTensors::read_metadata(&bytes).map_err(bad)?;
            let one = |(usual, ids): (&[&str], &str)| {
                let found = usual.iter().find_map(|name| metadata.info(name));
                let info = found.ok_or_else(|| lacks(usual, &metadata.offset_keys()))?;
                if info.shape.len() != 2 {
                    return Err(Error::format(path, format!("`{}` is no matrix", usual[0])));
                }
                if !is_float(info.dtype) {
                    return Err(Error::format(path, format!("`{}` does not hold floats", usual[0])));
                }
                let text = metadata.metadata().as_ref().and_then(|m| m.get(ids));
                let of_rows = text.map(|text| listed_ids(path, text)).transpose()?;
                let of_rows = of_rows.map(|names| Ids { names, origin: format!("the metadata `{ids}`") });
                from_tensor(path, opened.map(path)?, header, info, of_rows)
            };
            Ok([one(names[0])?, one(names[1])?])
        }
        _ => Err(Error::format(path, "is neither .npz nor .safetensors, which can hold two matrices")),
    }
}

fn from_npy(path: &Path, array: Npy, ids: Option<Ids>) -> Result<MatrixFile> {
    let &[rows, dim] = array.shape.as_slice() else {
        let message = format!("has the shape {:?}; a matrix of items by values is expected", array.shape);
        return Err(Error::format(path, message));
    };
    if array.kind != 'f' || !matches!(array.size, 2 | 4 | 8) {
        let message = format!("holds {}; features are f2, f4 or f8", array.type_name());
        return Err(Error::format(path, message));
    }
    MatrixFile::new(path, rows, dim, MatrixData::Npy(array), ids)
}

fn from_npz(path: &Path, mut archive: Npz<'_>) -> Result<MatrixFile> {
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
    from_npy(path, array, ids)
}

fn from_safetensors(path: &Path, bytes: Mmap) -> Result<MatrixFile> {
    let bad = |e: safetensors::SafeTensorError| Error::format(path, format!("bad safetensors: {e}"));
    let (header, metadata) = SafeTensors::read_metadata(&bytes).map_err(bad)?;
    if is_as_written(&bytes) == Some(false) {
        return Err(Error::format(path, "is damaged (its hash differs); make it again with `alike embed`"));
    }
    let mut matrices: Vec<String> = Vec::new();
    let mut ids = None;
    for name in metadata.offset_keys() {
        let info = metadata.info(&name).expect("the key comes from the metadata");
        if is_float(info.dtype) && info.shape.len() == 2 {
            matrices.push(name);
        } else if ID_ARRAYS.contains(&name.as_str()) && info.dtype == Dtype::I64 && info.shape.len() == 1 {
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
    from_tensor(path, bytes, header, info, ids)
}

fn is_float(dtype: Dtype) -> bool {
    matches!(dtype, Dtype::F16 | Dtype::BF16 | Dtype::F32 | Dtype::F64)
}

/// A tensor of two sizes in `bytes`, whose header takes `header` of them.
fn from_tensor(
    path: &Path,
    bytes: Mmap,
    header: usize,
    info: &TensorInfo,
    ids: Option<Ids>,
) -> Result<MatrixFile> {
    let (rows, dim, dtype) = (info.shape[0], info.shape[1], info.dtype);
    let at = 8 + header + info.data_offsets.0;
    MatrixFile::new(path, rows, dim, MatrixData::Tensor { bytes: Bytes::Mapped(bytes), at, dtype }, ids)
}

/// The name of the only matrix, or of the one with a usual name. `all` are the names of what the file has,
/// `kind` what it is.
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

/// Ids in a metadata text: a JSON list of strings or integers, or one per line.
fn listed_ids(path: &Path, text: &str) -> Result<Vec<String>> {
    if !text.trim_start().starts_with('[') {
        return Ok(text.lines().map(str::to_string).collect());
    }
    let bad = || Error::format(path, "the metadata `ids` is no JSON list of strings or integers");
    let values: Vec<serde_json::Value> = serde_json::from_str(text).map_err(|_| bad())?;
    let id = |v: serde_json::Value| match v {
        serde_json::Value::String(s) => Ok(s),
        // A row without an id, as in other files.
        serde_json::Value::Null => Ok(String::new()),
        serde_json::Value::Number(n) if n.is_i64() || n.is_u64() => Ok(n.to_string()),
        _ => Err(bad()),
    };
    values.into_iter().map(id).collect()
}
