//! Small files of every kind that the readers know, made for tests.
#![allow(dead_code, clippy::unwrap_used)]

pub(crate) mod kinds;
pub(crate) mod ods;
pub(crate) mod xlsx;

use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
#[cfg(feature = "parquet")]
use std::sync::Arc;

use alike::data::{Dataset, PrepareOptions, PrepareReport, SplitKind, prepare};
use alike::train::{TrainRequest, fit};
#[cfg(feature = "parquet")]
use arrow_array::{ArrayRef, RecordBatch};
#[cfg(feature = "parquet")]
use parquet::arrow::ArrowWriter;

/// A temporary folder with files in it and the output at `out`.
pub(crate) struct Files {
    pub(crate) base: tempfile::TempDir,
}

impl Files {
    pub(crate) fn new() -> Self {
        Self { base: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.base.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn out(&self) -> PathBuf {
        self.base.path().join("out")
    }

    /// Options with the split `label` and the interactions written to `log.inter`.
    pub(crate) fn options(&self, interactions: &str) -> PrepareOptions {
        let path = self.write("log.inter", interactions);
        PrepareOptions { split: SplitKind::Label, ..PrepareOptions::new(path, self.out()) }
    }

    /// Prepares and opens.
    pub(crate) fn open(&self, options: &PrepareOptions) -> (PrepareReport, Dataset) {
        let report = prepare(options).unwrap();
        let data = Dataset::open(&options.out).unwrap();
        (report, data)
    }

    /// The error of `prepare`, which must be one line and leave nothing behind.
    pub(crate) fn error(&self, options: &PrepareOptions) -> String {
        let names = || -> Vec<_> {
            let mut names: Vec<_> =
                fs::read_dir(self.base.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
            names.sort();
            names
        };
        let before = names();
        let text = prepare(options).expect_err("this input must be refused").to_string();
        assert_eq!(text.lines().count(), 1, "{text}");
        assert_eq!(names(), before, "after {text}");
        text
    }
}

/// Users and items of the same parity: user `u` has `each` items, of every five in a row one for validation
/// and one for the test.
pub(crate) fn parities(users: usize, each: usize) -> String {
    let mut log = String::from("userID\titemID\trating\ttimestamp\tx_label\n");
    for u in 0..users {
        for n in 0..each {
            let label = [1, 2, 0, 0, 0][(n + u / 2) % 5];
            log += &format!("{u}\t{}\t5\t{n}\t{label}\n", 2 * n + u % 2);
        }
    }
    log
}

/// Trains in the folder `run` on prepared data, or goes on where it stopped there. `settings` as in a TOML
/// file.
pub(crate) fn train(model: &str, settings: &str, data: &Path, run: &Path) -> alike::Result<()> {
    let request = TrainRequest {
        settings: settings.parse().unwrap(),
        seed: 1,
        run: Some(run),
        resume: run.join("run.json").exists(),
        ..TrainRequest::new(model)
    };
    fit(&Dataset::open(data)?, &request, &mut |_| {}).map(drop)
}

/// Nine interactions of users a, b, c with items x, y, z: each user has one of each split.
pub(crate) const LOG: &str = "user_id:token\titem_id:token\trating:float\ttimestamp:float\tx_label\n\
    a\tx\t5\t1\t0\na\ty\t4\t2\t1\na\tz\t3\t3\t2\n\
    b\ty\t5\t4\t0\nb\tz\t4\t5\t1\nb\tx\t3\t6\t2\n\
    c\tz\t5\t7\t0\nc\tx\t4\t8\t1\nc\ty\t3\t9\t2\n";

/// As [`LOG`] with the items 2, 1, 0, so that row = id.
pub(crate) const NUMBERED: &str = "userID\titemID\tx_label\n\
    0\t2\t0\n0\t1\t1\n0\t0\t2\n1\t1\t0\n1\t0\t1\n1\t2\t2\n2\t0\t0\n2\t2\t1\n2\t1\t2\n";

/// An `.npy` of raw little-endian data.
pub(crate) fn npy(descr: &str, fortran: bool, shape: &[usize], data: &[u8]) -> Vec<u8> {
    let shape: String = shape.iter().map(|d| format!("{d},")).collect();
    let fortran = if fortran { "True" } else { "False" };
    let header = format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': ({shape}), }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

/// A matrix of f32 as `.npy`.
pub(crate) fn npy_f32(rows: usize, dim: usize, values: &[f32]) -> Vec<u8> {
    assert_eq!(values.len(), rows * dim);
    npy("<f4", false, &[rows, dim], &f32_bytes(values))
}

pub(crate) fn f32_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// A compressed `.npz`.
pub(crate) fn npz(arrays: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in arrays {
        zip.start_file(format!("{name}.npy"), zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[cfg(feature = "parquet")]
pub(crate) fn parquet_file(path: &Path, columns: Vec<(&str, ArrayRef)>) -> PathBuf {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = ArrowWriter::try_new(fs::File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    path.to_path_buf()
}

#[cfg(feature = "parquet")]
pub(crate) fn column<A: arrow_array::Array + 'static>(array: A) -> ArrayRef {
    Arc::new(array)
}

/// Items of user `name` in one split, by name.
pub(crate) fn items_of(data: &Dataset, csr: &alike_ops::Csr, name: &str) -> Vec<String> {
    let user = data.users.get(name).unwrap();
    csr.row(user as usize).iter().map(|&i| data.items.name(i).to_string()).collect()
}
