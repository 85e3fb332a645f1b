//! Arrays for tests and benches.

use std::path::Path;

use npyz::WriterBuilder;

/// Writes an array of two sizes in NumPy's format.
pub(crate) fn write_npy(path: &Path, rows: usize, cols: usize, values: &[f32]) {
    let file = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    let shape = [rows as u64, cols as u64];
    let options = npyz::WriteOptions::new().default_dtype().shape(&shape);
    let mut array = options.writer(file).begin_nd().unwrap();
    array.extend(values.iter().copied()).unwrap();
    array.finish().unwrap();
}
