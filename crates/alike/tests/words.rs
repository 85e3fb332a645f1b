//! Plain words: what is refused in code, messages and documentation, see `docs/glossary.md`.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

/// A refused word, and what to write.
const REFUSED: [(&str, &str); 14] = [
    ("he", "they"),
    ("his", "their"),
    ("him", "them"),
    ("himself", "themselves, or leave it out"),
    ("anew", "again"),
    ("crowd", "a block of users"),
    ("most epochs", "maximum of epochs"),
    ("speaks for", "adds to the score of"),
    ("a modality each", "per modality"),
    ("a unit a", "one per"),
    ("whoever", "anybody who, or say who"),
    ("besides", "also, beside, or leave it out"),
    ("most bytes of", "maximum of bytes of"),
    ("most events", "maximum of events"),
];

/// Authors whose name is such a word.
const NAMES: [&str; 2] = ["He et al.", "He and McAuley"];

fn texts(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            let left_out = ["target", "notes", "golden", "node_modules", "data"].contains(&name.as_str());
            if path.ends_with("src/data") || !(left_out || name.starts_with('.')) {
                texts(&path, found);
            }
        } else if ["rs", "md", "js", "css", "toml"].iter().any(|e| name.ends_with(&format!(".{e}"))) {
            found.push(path);
        }
    }
}

/// Whether `word` is in `line`, with no letter beside it.
fn holds(line: &str, word: &str) -> bool {
    let letter = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(word).any(|(at, _)| {
        !letter(line[..at].chars().next_back()) && !letter(line[at + word.len()..].chars().next())
    })
}

#[test]
fn nobody_is_he_and_words_are_the_fields() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut files = Vec::new();
    texts(&root, &mut files);
    assert!(files.len() > 200, "{} files", files.len());
    let mut wrong = Vec::new();
    for file in files.iter().filter(|f| !f.ends_with("tests/words.rs") && !f.ends_with("glossary.md")) {
        for (n, line) in fs::read_to_string(file).unwrap().lines().enumerate() {
            let line =
                NAMES.iter().fold(line.to_string(), |line, name| line.replace(name, "")).to_lowercase();
            for (word, better) in REFUSED.iter().filter(|(word, _)| holds(&line, word)) {
                wrong.push(format!("{}:{}: `{word}`; write: {better}", file.display(), n + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(holds("what he took", "he") && !holds("the other", "he"));
}
