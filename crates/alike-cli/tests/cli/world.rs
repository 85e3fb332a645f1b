//! A small data set with a known pattern, and ways to run the program on it.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use tempfile::TempDir;

/// Users of the data set.
pub(crate) const USERS: usize = 40;
/// Items of the data set; item `i` belongs to group `i % 2`, and user `u` takes items of group `u % 2`.
pub(crate) const ITEMS: usize = 30;

/// The program.
pub(crate) fn alike() -> Command {
    let mut command = Command::cargo_bin("alike").unwrap();
    command.env_remove("RUST_LOG");
    command
}

/// A temporary folder with the data set's files.
pub(crate) struct World {
    folder: TempDir,
}

impl World {
    /// Writes the files.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let world = Self { folder };
        let mut inter = String::from("userID\titemID\trating\ttimestamp\tx_label\n");
        for u in 0..USERS {
            for n in 0..ITEMS / 2 {
                // Each user leaves out some items, a different third for everyone.
                if (u * 7 + n * 5) % 3 == 0 {
                    continue;
                }
                let label = match (u + n * 3) % 10 {
                    0 => 1,
                    1 => 2,
                    _ => 0,
                };
                inter += &format!("{u}\t{}\t5.0\t{}\t{label}\n", n * 2 + u % 2, 1000 + n);
            }
        }
        fs::write(world.path("log.inter"), inter).unwrap();
        let items: Vec<String> = (0..ITEMS).map(item).collect();
        fs::write(world.path("items.jsonl"), items.concat()).unwrap();
        let vectors: Vec<f32> = (0..ITEMS)
            .flat_map(|i| (0..6).map(move |d| ((i % 2 * 3 + d) as f32 + 0.1 * i as f32).sin()))
            .collect();
        fs::write(world.path("text.npy"), npy(ITEMS, 6, &vectors)).unwrap();
        world
    }

    /// A path in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The same as text.
    pub(crate) fn at(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Prepares into `data`.
    pub(crate) fn prepared(self) -> Self {
        alike()
            .args(["prepare", "--interactions", &self.at("log.inter"), "--out", &self.at("data")])
            .args(["--feature", &format!("text={}", self.at("text.npy")), "--items", &self.at("items.jsonl")])
            .assert()
            .success();
        self
    }

    /// `alike train` with a small model.
    pub(crate) fn train(&self, model: &str, run: &str, more: &[&str]) -> Command {
        let mut command = alike();
        command.args(self.train_args(model, run, more));
        command
    }

    /// The arguments of [`Self::train`].
    pub(crate) fn train_args(&self, model: &str, run: &str, more: &[&str]) -> Vec<String> {
        let mut args: Vec<String> =
            ["train", model, "--data", &self.at("data"), "--out", &self.at(run)].map(String::from).to_vec();
        args.extend(more.iter().map(|a| (*a).to_string()));
        args
    }
}

/// A line of the catalogue.
fn item(i: usize) -> String {
    let kind = if i.is_multiple_of(2) { "Even" } else { "Odd" };
    let item = serde_json::json!({
        "itemID": i, "title": format!("Thing {i}"), "genres": ["All", kind], "image": format!("pictures/{i}.png"),
    });
    format!("{item}\n")
}

/// A matrix as a `.npy` file, version 1.
pub(crate) fn npy(rows: usize, cols: usize, values: &[f32]) -> Vec<u8> {
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {cols}), }}");
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    bytes
}

/// Files of a run folder by name, without what clocks write into them.
pub(crate) fn run_files(run: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(String, Vec<u8>)> = fs::read_dir(run)
        .unwrap()
        .map(|e| e.unwrap().path())
        .map(|p| (p.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&p).unwrap()))
        .collect();
    files.sort();
    for (name, bytes) in &mut files {
        if name.ends_with(".json") || name.ends_with(".jsonl") {
            let lines = String::from_utf8(bytes.clone()).unwrap();
            *bytes = without_seconds(&lines).into_bytes();
        }
    }
    files
}

/// JSON text with every member whose name ends in `seconds` removed, and the hash of the line, which covers
/// those.
fn without_seconds(text: &str) -> String {
    let strip = |value: &mut serde_json::Value| {
        if let Some(members) = value.as_object_mut() {
            members.retain(|name, _| !name.ends_with("seconds") && name != "blake3");
        }
    };
    if let Ok(mut whole) = serde_json::from_str::<serde_json::Value>(text) {
        strip(&mut whole);
        return whole.to_string();
    }
    let line = |l: &str| {
        let mut value: serde_json::Value = serde_json::from_str(l).unwrap();
        strip(&mut value);
        value.to_string()
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}
