//! Matrices of files, row by row, with the ids of the rows where there are any.

use std::path::{Path, PathBuf};

use half::{bf16, f16};
use safetensors::tensor::Dtype;

use crate::data::formats::id_text::clean;
use crate::data::formats::npy::{Bytes, Npy};
use crate::data::formats::open;
use crate::data::formats::options::TextOptions;
use crate::{Error, Result};

/// Item ids of the rows.
#[derive(Debug)]
pub(crate) struct Ids {
    pub(crate) names: Vec<String>,
    /// Where they were read, for messages.
    pub(crate) origin: String,
}

impl Ids {
    /// From an array beside `rows` rows, `name` in the archive. Counts are compared before anything is read:
    /// an array can announce more ids than memory holds.
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
pub(crate) enum MatrixData {
    /// Decoded, row after row.
    Floats(Vec<f32>),
    /// A NumPy array.
    Npy(Npy),
    /// A tensor from `at` on in the bytes, row after row, little-endian.
    Tensor { bytes: Bytes, at: usize, dtype: Dtype },
}

/// A matrix `rows × dim` of a file.
pub(crate) struct MatrixFile {
    pub(crate) path: PathBuf,
    pub(crate) rows: usize,
    pub(crate) dim: usize,
    pub(crate) ids: Option<Ids>,
    source: MatrixData,
}

impl MatrixFile {
    pub(crate) fn new(
        path: &Path,
        rows: usize,
        dim: usize,
        source: MatrixData,
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

    /// Attaches the ids of an ids file, one per line; an empty line is a row without an id.
    pub(crate) fn with_ids_file(mut self, ids: &Path) -> Result<Self> {
        let text = open::read_text(ids, &TextOptions::default())?;
        let names = text.lines().map(|line| clean(line).to_string()).collect();
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
            MatrixData::Floats(data) => out.copy_from_slice(&data[r * self.dim..(r + 1) * self.dim]),
            MatrixData::Npy(a) if a.fortran || a.big_endian => {
                for (c, out) in out.iter_mut().enumerate() {
                    *out = a.float_at(r, c).expect("the element type is checked when the file is opened");
                }
            }
            MatrixData::Npy(a) => {
                let dtype = match a.size {
                    2 => Dtype::F16,
                    4 => Dtype::F32,
                    _ => Dtype::F64,
                };
                decode(&a.bytes[a.start..], r, dtype, out);
            }
            MatrixData::Tensor { bytes, at, dtype } => decode(&bytes[*at..], r, *dtype, out),
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
