//! A file that somebody gave: read whole, whatever it is, or an error that says in plain words what is wrong.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use alike::data::{TextOptions, WholeTable};

use crate::commands::shop::feed;
use crate::failure::{Failure, Outcome};

/// Bytes by which XML is known.
const HEAD: usize = 512;

/// Reads the file that `flag` names, which holds `what`.
///
/// # Errors
/// It is not there, a folder, empty, without rows, or cannot be read.
pub(super) fn read(path: &Path, flag: &str, what: &str, encoding: Option<&str>) -> Outcome<WholeTable> {
    let shown = path.display();
    let usage = |text: String| Err(Failure::Usage(format!("{flag}: {text}")));
    match std::fs::metadata(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return usage(format!("there is no file {shown}; give the file of your {what}"));
        }
        Err(e) => return Err(Failure::io(path, &e)),
        Ok(meta) if meta.is_dir() => {
            return usage(format!("{shown} is a folder; give the file of your {what} that is in it"));
        }
        Ok(meta) if meta.is_file() && meta.len() == 0 => {
            return usage(format!("{shown} is empty; export your {what} again"));
        }
        Ok(_) => {}
    }
    let table = if is_xml(path)? {
        feed::read(path)?
    } else {
        let options = TextOptions { encoding: encoding.map(String::from), ..TextOptions::default() };
        WholeTable::read(path, &options)?
    };
    if table.rows.is_empty() {
        return usage(format!("{shown} has a header and no rows; export your {what} again"));
    }
    Ok(table)
}

/// Whether a file starts as XML does.
fn is_xml(path: &Path) -> Outcome<bool> {
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(HEAD as u64).read_to_end(&mut head));
    read.map_err(|e| Failure::io(path, &e))?;
    let text = String::from_utf8_lossy(&head);
    let text = text.trim_start_matches('\u{feff}').trim_start();
    Ok(["<?xml", "<rss", "<feed"].iter().any(|start| text.starts_with(start)))
}
