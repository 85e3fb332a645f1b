//! One log in every kind of file.

use std::io::Write;
use std::path::Path;

use alike::data::{PrepareOptions, SplitKind, TextOptions};

use super::{Files, items_of};

/// As [`LOG`], with commas and integer times.
pub(crate) const TABLE: &str = "user_id,item_id,rating,timestamp,x_label\n\
    a,x,5,1,0\na,y,4,2,1\na,z,3,3,2\nb,y,5,4,0\nb,z,4,5,1\nb,x,3,6,2\nc,z,5,7,0\nc,x,4,8,1\nc,y,3,9,2\n";

/// [`TABLE`] with an object for each row.
pub(crate) fn objects() -> Vec<String> {
    let header: Vec<&str> = TABLE.lines().next().unwrap().split(',').collect();
    let object = |line: &str| {
        let cells = header.iter().zip(line.split(','));
        let pair = |(key, value): (&&str, &str)| match value.parse::<u32>() {
            Ok(number) => format!("\"{key}\": {number}"),
            Err(_) => format!("\"{key}\": \"{value}\""),
        };
        format!("{{{}, \"review\": {{\"text\": \"a, b\"}}}}", cells.map(pair).collect::<Vec<_>>().join(", "))
    };
    TABLE.lines().skip(1).map(object).collect()
}

pub(crate) fn gzip(content: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(content).unwrap();
    out.finish().unwrap()
}

pub(crate) fn options(files: &Files, path: &Path) -> PrepareOptions {
    PrepareOptions { split: SplitKind::Label, ..PrepareOptions::new(path, files.out()) }
}

/// Prepares `content` as a file `name` and checks that it is [`TABLE`].
#[track_caller]
pub(crate) fn assert_reads(name: &str, content: &[u8], text: TextOptions) {
    let files = Files::new();
    let path = files.write(name, content);
    let (report, data) = files.open(&PrepareOptions { text, ..options(&files, &path) });
    assert_eq!(
        (report.users, report.items, report.interactions, report.rows),
        (3, 3, [3, 3, 3], 9),
        "{name}"
    );
    assert_eq!(
        (items_of(&data, &data.train, "b"), items_of(&data, &data.test, "c")),
        (vec!["y".into()], vec!["y".into()])
    );
}

/// The error of `content` as a file `name`.
#[track_caller]
pub(crate) fn refused(name: &str, content: &[u8], text: TextOptions) -> String {
    let files = Files::new();
    let path = files.write(name, content);
    files.error(&PrepareOptions { text, ..options(&files, &path) })
}

#[track_caller]
pub(crate) fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
}

pub(crate) fn plain() -> TextOptions {
    TextOptions::default()
}
