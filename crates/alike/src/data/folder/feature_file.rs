//! The feature files that this library writes: `.safetensors` with the item ids, and what each row was made
//! of.

use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::data::folder::journal::ContentKey;
use crate::data::formats::feature_file::{HASH, content_hash, is_as_written};
use crate::disk;
use crate::{Error, Result};

/// Name of the tensor that tells which encoder made the file.
const ENCODER: &str = "encoder";
/// Name of the tensor with the content key of every row.
const CONTENTS: &str = "contents";

/// Writes rows in the order of `ids`, whole or not at all: tensor `features [n, dim]` f32, metadata `ids`,
/// for a later run `contents [n, 16]` u8 and `encoder [32]` u8, and the hash of all of it.
pub(crate) fn write(
    path: &Path,
    ids: &[&str],
    contents: &[ContentKey],
    encoder: &[u8; 32],
    features: &[f32],
) -> Result<()> {
    let bad = |e: safetensors::SafeTensorError| Error::format(path, e.to_string());
    let (rows, dim) = (ids.len(), features.len() / ids.len().max(1));
    let views = [
        ("features", TensorView::new(Dtype::F32, vec![rows, dim], bytemuck::cast_slice(features))),
        (CONTENTS, TensorView::new(Dtype::U8, vec![rows, 16], contents.as_flattened())),
        (ENCODER, TensorView::new(Dtype::U8, vec![32], encoder)),
    ];
    let mut views = views.into_iter().map(|(n, v)| Ok((n, v.map_err(bad)?))).collect::<Result<Vec<_>>>()?;
    let ids = serde_json::to_string(ids).map_err(|e| Error::format(path, e.to_string()))?;
    let hash = content_hash(&ids, &views);
    views.push((HASH, TensorView::new(Dtype::U8, vec![32], &hash).map_err(bad)?));
    // One entry only: the format keeps them in no order, and the same features shall give the same bytes.
    let metadata = HashMap::from([("ids".to_string(), ids)]);
    disk::write_atomic(path, &safetensors::serialize(views, Some(metadata)).map_err(bad)?)
}

/// What an earlier file is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Earlier {
    /// There is none, it is of another encoder, or its rows were handed out.
    Fine,
    /// It is not as it was written: nothing of it was handed out.
    Damaged,
}

/// Hands the rows of an earlier file of the same encoder and width to `visit`, unless it is damaged. Any
/// other file is passed over: it will be replaced.
pub(crate) fn visit_rows(
    path: &Path,
    encoder: &[u8; 32],
    dim: usize,
    visit: &mut dyn FnMut(ContentKey, &[f32]),
) -> Result<Earlier> {
    if !disk::exists(path) {
        return Ok(Earlier::Fine);
    }
    let bytes = disk::map(path)?;
    if is_as_written(&bytes) == Some(false) {
        return Ok(Earlier::Damaged);
    }
    let Ok(tensors) = SafeTensors::deserialize(&bytes) else { return Ok(Earlier::Fine) };
    let (Ok(made_by), Ok(contents), Ok(features)) =
        (tensors.tensor(ENCODER), tensors.tensor(CONTENTS), tensors.tensor("features"))
    else {
        return Ok(Earlier::Fine);
    };
    let rows = contents.shape().first().copied().unwrap_or(0);
    let ours = made_by.data() == encoder
        && contents.dtype() == Dtype::U8
        && contents.shape() == [rows, 16]
        && features.dtype() == Dtype::F32
        && features.shape() == [rows, dim];
    if !ours {
        return Ok(Earlier::Fine);
    }
    let values: Vec<f32> = bytemuck::pod_collect_to_vec(features.data());
    for (key, row) in contents.data().as_chunks::<16>().0.iter().zip(values.chunks_exact(dim)) {
        visit(*key, row);
    }
    Ok(Earlier::Fine)
}
