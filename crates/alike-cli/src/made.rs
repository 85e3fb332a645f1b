//! What of this program's is at a path.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Longest file that is looked at.
const BYTES: u64 = 16 << 20;

/// A folder that this program made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Made {
    Run,
    Prepared,
}

/// The files that say so, and a key of each: others have files of these names, too.
const MARKS: [(Made, &str, &str); 2] =
    [(Made::Run, "run.json", "data_hash"), (Made::Prepared, "manifest.json", "interactions")];

impl Made {
    /// What a folder is, or the folder of which a file says it.
    pub(crate) fn at(path: &Path) -> Option<Self> {
        let (folder, is_file) = if path.is_file() { (path.parent()?, true) } else { (path, false) };
        let found = MARKS
            .iter()
            .find(|(_, name, key)| (!is_file || path.ends_with(name)) && holds(&folder.join(name), key));
        found.map(|(made, _, _)| *made)
    }

    /// What it is called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Run => "a run",
            Self::Prepared => "a prepared folder",
        }
    }
}

/// Whether a file is an object with this key.
fn holds(path: &Path, key: &str) -> bool {
    let content = || {
        let mut text = String::new();
        File::open(path).ok()?.take(BYTES).read_to_string(&mut text).ok()?;
        serde_json::from_str::<serde_json::Value>(&text).ok()
    };
    content().is_some_and(|content| content.get(key).is_some())
}
