//! Readers on arbitrary and on damaged bytes return errors (or data), and never panic.
#![allow(clippy::unwrap_used)]

mod data_files;

use std::path::PathBuf;
use std::sync::OnceLock;

use alike::data::{Dataset, PrepareOptions, SplitKind, prepare};
use arrow::array::{Float32Array, Int64Array, StringArray};
use data_files::*;
use proptest::prelude::*;

/// Whole files of every kind: (file name, content, what it is given as).
fn whole() -> &'static [(&'static str, Vec<u8>, Kind)] {
    static WHOLE: OnceLock<Vec<(&'static str, Vec<u8>, Kind)>> = OnceLock::new();
    WHOLE.get_or_init(|| {
        let files = Files::new();
        let path = |name: &str| files.base.path().join(name);
        let ids = || column(StringArray::from(vec!["x", "y", "z"]));
        let values = column(Float32Array::from(vec![1.0, 2.0, 3.0]));
        let numbers = column(Int64Array::from(vec![0, 1, 2]));
        let users = column(StringArray::from(vec!["a", "a", "a"]));
        let features = parquet_file(&path("f.parquet"), vec![("item", ids()), ("v", values)]);
        let log =
            parquet_file(&path("l.parquet"), vec![("user", users), ("item", ids()), ("split", numbers)]);
        let read = |path: PathBuf| std::fs::read(path).unwrap();
        let array = || npy_f32(3, 1, &[1.0, 2.0, 3.0]);
        let idx = npy("<i4", false, &[3, 1], &[0; 12]);
        let names = || npy("|S1", false, &[3], b"xyz");
        let header =
            r#"{"__metadata__":{"ids":"x\ny\nz"},"v":{"dtype":"F32","shape":[3,1],"data_offsets":[0,12]}}"#;
        let tensors = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0; 12]].concat();
        vec![
            ("l.inter", LOG.into(), Kind::Log),
            ("l.csv", LOG.replace('\t', ",").into(), Kind::Log),
            ("l.parquet", read(log), Kind::Log),
            ("f.npy", array(), Kind::Features),
            ("f.npz", npz(&[("ids", names()), ("v", array())]), Kind::Features),
            ("f.safetensors", tensors, Kind::Features),
            ("f.parquet", read(features), Kind::Features),
            ("k.npz", npz(&[("ids", names()), ("idx", idx), ("cos", array())]), Kind::Knn),
            ("i.jsonl", b"{\"id\": \"x\", \"title\": \"X\"}\n{\"id\": \"y\"}".to_vec(), Kind::Items),
        ]
    })
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Log,
    Features,
    Knn,
    Items,
}

/// Prepares with `content` as a file of that kind; whatever comes back, it comes back.
fn try_prepare(name: &str, content: &[u8], kind: Kind) {
    let files = Files::new();
    let mut options = files.options(LOG);
    let path = files.write(name, content);
    match kind {
        Kind::Log => options.interactions = path,
        Kind::Features => {
            if name.ends_with(".npy") {
                options.feature_ids = vec![("m".into(), files.write("ids", "x\ny\nz"))];
            }
            options.features = vec![("m".into(), path)];
        }
        Kind::Knn => options.knn = vec![("m".into(), path)],
        Kind::Items => options.items = Some(path),
    }
    match prepare(&options) {
        Ok(_) => drop(Dataset::open(&options.out).unwrap()),
        Err(e) => assert_eq!(e.to_string().lines().count(), 1, "{e}"),
    }
}

#[test]
fn the_whole_files_are_good() {
    for (name, content, kind) in whole() {
        let files = Files::new();
        if *kind == Kind::Log {
            let path = files.write(name, content);
            let options =
                PrepareOptions { split: SplitKind::Label, ..PrepareOptions::new(path, files.out()) };
            prepare(&options).unwrap();
        }
        try_prepare(name, content, *kind);
    }
}

/// Text without line ends that a message must not carry over.
#[test]
fn ids_with_line_ends_do_not_break_messages() {
    let text = "user,item,split\n\"a\nb\",x,9\n";
    try_prepare("l.csv", text.as_bytes(), Kind::Log);
    try_prepare("l.csv", b"user,item,split\na,x,\"9\n8\"\n", Kind::Log);
    try_prepare("l.csv", b"\"us\ner\",it\nx,9\n", Kind::Log);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn arbitrary_bytes_never_panic(
        at in 0usize..9,
        content in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let (name, _, kind) = &whole()[at];
        try_prepare(name, &content, *kind);
    }

    #[test]
    fn damaged_files_never_panic(
        at in 0usize..9,
        cut in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        truncate in any::<bool>(),
    ) {
        let (name, content, kind) = &whole()[at];
        let mut content = content.clone();
        for (place, byte) in changes {
            let place = place.index(content.len());
            content[place] = byte;
        }
        if truncate {
            content.truncate(cut.index(content.len()));
        }
        try_prepare(name, &content, *kind);
    }
}
