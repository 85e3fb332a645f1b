//! The demo's data, carried by the program: MovieLens latest-small with picture and text vectors.

use std::fs;
use std::path::Path;

use crate::failure::{Failure, Outcome};

/// The files by name.
const FILES: [(&str, &[u8]); 5] = [
    ("ml_small.inter", include_bytes!("../data/ml_small/ml_small.inter")),
    ("items.jsonl", include_bytes!("../data/ml_small/items.jsonl")),
    ("image_feat.npy", include_bytes!("../data/ml_small/image_feat.npy")),
    ("text_feat.npy", include_bytes!("../data/ml_small/text_feat.npy")),
    ("README.md", include_bytes!("../data/ml_small/README.md")),
];

/// What the data's licence asks to be said.
pub(crate) const NOTICE: &str = "Data: MovieLens latest-small by GroupLens Research, University of Minnesota; for \
    non-commercial use under its own terms. F. Maxwell Harper and Joseph A. Konstan. 2015. The MovieLens Datasets: \
    History and Context. ACM Transactions on Interactive Intelligent Systems 5, 4: 19:1–19:19.";

/// Writes the files into `folder`, which is made where it does not exist.
pub(crate) fn unpack(folder: &Path) -> Outcome {
    fs::create_dir_all(folder).map_err(|e| Failure::io(folder, &e))?;
    for (name, bytes) in FILES {
        let path = folder.join(name);
        fs::write(&path, bytes).map_err(|e| Failure::io(&path, &e))?;
    }
    Ok(())
}
