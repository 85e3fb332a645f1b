//! Readers on arbitrary and on damaged bytes return errors (or data), and never panic.

use std::io::Write;
use std::path::PathBuf;
use std::sync::OnceLock;

use crate::data_files::*;
use alike::data::{Dataset, PrepareOptions, SplitKind, TextOptions, prepare};
use arrow_array::{Float32Array, Int64Array, StringArray};
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
        let mut all = vec![
            ("l.inter", LOG.into(), Kind::Log),
            ("l.csv", LOG.replace('\t', ",").into(), Kind::Log),
            ("l.parquet", read(log), Kind::Log),
            ("l.jsonl", b"{\"user\": \"a\", \"item\": \"x\", \"split\": 0}\n{\"user\": \"a\", \"item\": \"y\", \"split\": 1}\n{\"user\": \"a\", \"item\": \"z\", \"split\": 2}".to_vec(), Kind::Log),
            ("l.json", b"[{\"user\": 1, \"item\": \"x\", \"split\": 0}, {\"user\": 1, \"item\": \"y\", \"split\": 1}, {\"user\": 1, \"item\": \"z\", \"split\": 2}]".to_vec(), Kind::Log),
            ("l.csv.gz", gzip(LOG.as_bytes()), Kind::Log),
            ("l.zst", zstd::encode_all(LOG.as_bytes(), 1).unwrap(), Kind::Log),
            ("l.dat", LOG.replace('\t', "::").into(), Kind::Log),
            ("l.txt", format!("\u{feff}{LOG}").encode_utf16().flat_map(u16::to_le_bytes).collect(), Kind::Log),
            ("f.npy", array(), Kind::Features),
            ("f.npz", npz(&[("ids", names()), ("v", array())]), Kind::Features),
            ("f.safetensors", tensors, Kind::Features),
            ("f.parquet", read(features), Kind::Features),
            ("k.npz", npz(&[("ids", names()), ("idx", idx), ("cos", array())]), Kind::Knn),
            ("i.jsonl", b"{\"id\": \"x\", \"title\": \"X\"}\n{\"id\": \"y\"}".to_vec(), Kind::Items),
        ];
        if cfg!(feature = "excel") {
            all.push(("l.xlsx", xlsx::table(&LOG.replace('\t', ",")), Kind::Log));
            all.push(("l.ods", ods::table(&LOG.replace('\t', ",")), Kind::Log));
        }
        all
    })
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(content).unwrap();
    out.finish().unwrap()
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
        at in 0..whole().len(),
        content in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let (name, _, kind) = &whole()[at];
        try_prepare(name, &content, *kind);
    }

    /// However text is said to be written.
    #[test]
    fn text_never_panics(
        content in prop::collection::vec(
            prop::sample::select(&b"a1x,;\t|:: \"\\\n\r#=-.{}[]\xff\xfe\xc3\xbc\0"[..]), 0..120),
        head in prop::sample::select(&["", "user,item\n", "sep=;\n", "\u{feff}user;item\r\n", "# user::item\n"][..]),
        delimiter in prop::sample::select(&[None, Some(","), Some("::"), Some("blanks"), Some("tab"), Some("\\")][..]),
        encoding in prop::sample::select(&[None, Some("windows-1252"), Some("utf-16le"), Some("gbk"), Some("utf-16be")][..]),
        no_header in any::<bool>(),
        names in prop::sample::select(&["", "user,item", "user,item,time"][..]),
        skip_lines in 0usize..3,
    ) {
        let files = Files::new();
        let names = if no_header && !names.is_empty() { names.split(',').map(String::from).collect() } else { Vec::new() };
        let text = TextOptions {
            delimiter: delimiter.map(String::from),
            encoding: encoding.map(String::from),
            no_header,
            names,
            skip_lines,
            sheet: None,
        };
        let path = files.write("l.txt", [head.as_bytes(), &content].concat());
        let options = PrepareOptions { text, drop_missing: true, ..PrepareOptions::new(path, files.out()) };
        if let Err(error) = prepare(&options) {
            prop_assert_eq!(error.to_string().lines().count(), 1, "{}", error);
        }
    }

    #[test]
    fn damaged_files_never_panic(
        at in 0..whole().len(),
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
