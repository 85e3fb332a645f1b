//! The feature files that this library writes: `.safetensors` with the item ids, and what each row was made of.

use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::data::folder::journal::ContentKey;
use crate::disk;
use crate::{Error, Result};

/// Name of the tensor that tells which encoder made the file.
const ENCODER: &str = "encoder";
/// Name of the tensor with the content key of every row.
const CONTENTS: &str = "contents";

/// Writes rows in the order of `ids`, whole or not at all: tensor `features [n, dim]` f32, metadata `ids`, and for a
/// later run `contents [n, 16]` u8 and `encoder [32]` u8.
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
    let views = views.into_iter().map(|(n, v)| Ok((n, v.map_err(bad)?))).collect::<Result<Vec<_>>>()?;
    let ids = serde_json::to_string(ids).map_err(|e| Error::format(path, e.to_string()))?;
    // One entry only: the format keeps them in no order, and the same features shall give the same bytes.
    let metadata = HashMap::from([("ids".to_string(), ids)]);
    disk::write_atomic(path, &safetensors::serialize(views, Some(metadata)).map_err(bad)?)
}

/// Hands the rows of an earlier file of the same encoder and width to `visit`. Any other file is passed over: it
/// will be replaced.
pub(crate) fn visit_rows(
    path: &Path,
    encoder: &[u8; 32],
    dim: usize,
    visit: &mut dyn FnMut(ContentKey, &[f32]),
) -> Result<()> {
    if !disk::exists(path) {
        return Ok(());
    }
    let bytes = disk::map(path)?;
    let Ok(tensors) = SafeTensors::deserialize(&bytes) else { return Ok(()) };
    let (Ok(made_by), Ok(contents), Ok(features)) =
        (tensors.tensor(ENCODER), tensors.tensor(CONTENTS), tensors.tensor("features"))
    else {
        return Ok(());
    };
    let rows = contents.shape().first().copied().unwrap_or(0);
    let ours = made_by.data() == encoder
        && contents.dtype() == Dtype::U8
        && contents.shape() == [rows, 16]
        && features.dtype() == Dtype::F32
        && features.shape() == [rows, dim];
    if !ours {
        return Ok(());
    }
    let values: Vec<f32> = bytemuck::pod_collect_to_vec(features.data());
    for (key, row) in contents.data().as_chunks::<16>().0.iter().zip(values.chunks_exact(dim)) {
        visit(*key, row);
    }
    Ok(())
}
