//! What is given as a run, as prepared data or as a model, and is something else: the error says what is
//! wanted, and the commands that make it. What is not there is for the command to say.

use std::path::{Path, PathBuf, is_separator};

use alike::rules::ItemFilter;
use clap::builder::{PathBufValueParser, TypedValueParser};

use crate::made::Made;
use crate::terminal::printable;

/// Takes a run folder.
pub(crate) fn run() -> impl TypedValueParser<Value = PathBuf> {
    path_unless(not_a_run)
}

/// Takes a prepared folder.
pub(crate) fn prepared() -> impl TypedValueParser<Value = PathBuf> {
    path_unless(not_prepared)
}

/// Takes a path of which `refuse` says nothing.
fn path_unless(refuse: fn(&Path) -> Option<String>) -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(move |path: PathBuf| match refuse(&path) {
        Some(text) => Err(text),
        None => Ok(path),
    })
}

/// Takes a number from 0 to 1.
pub(crate) fn share(text: &str) -> Result<f32, String> {
    let number = text.parse().ok().filter(|n| (0.0..=1.0).contains(n));
    number.ok_or_else(|| "allowed: 0 to 1".to_string())
}

/// Takes a model's name.
pub(crate) fn model(text: &str) -> Result<String, String> {
    let known = alike::models::find(text).is_ok();
    match not_a_model(Path::new(text)) {
        Some(text) if !known => Err(text),
        _ => Ok(text.to_string()),
    }
}

fn not_a_run(path: &Path) -> Option<String> {
    let shown = shown(path);
    match Made::at(path) {
        Some(Made::Run) if path.is_file() => {
            Some("it is a file of a run; give the run folder that it is in".into())
        }
        Some(Made::Prepared) => Some(format!(
            "it is prepared data; a run folder is wanted: `alike train --data {shown} --out RUN` makes one"
        )),
        None if path.is_file() => {
            Some(format!("it is a file; a run folder is wanted: {}", from_a_log(&shown)))
        }
        Some(Made::Run) | None => None,
    }
}

fn not_prepared(path: &Path) -> Option<String> {
    match Made::at(path) {
        Some(Made::Prepared) if path.is_file() => {
            Some("it is a file of prepared data; give the folder that it is in".into())
        }
        Some(Made::Run) => {
            Some("it is a run; the folder of prepared data is wanted that it was trained on".into())
        }
        None if path.is_file() => Some(format!(
            "it is a file; a folder of prepared data is wanted: `alike prepare --interactions {} --out DIR` makes one",
            shown(path)
        )),
        Some(Made::Prepared) | None => None,
    }
}

fn not_a_model(path: &Path) -> Option<String> {
    let shown = shown(path);
    match Made::at(path) {
        Some(Made::Run) => Some(
            "it is a run; a model's name is wanted (`alike models` lists them), and `--out RUN --resume` continues a run"
                .into(),
        ),
        Some(Made::Prepared) => Some(format!(
            "it is prepared data, which comes after --data: `alike train --data {shown} --out RUN`"
        )),
        None if path.is_file() => {
            Some(format!("it is a file; a model's name is wanted: {}", from_a_log(&shown)))
        }
        None => None,
    }
}

/// How a log becomes a run.
fn from_a_log(shown: &str) -> String {
    format!("`alike prepare --interactions {shown} --out DIR`, then `alike train --data DIR --out RUN`")
}

/// A path as it can be typed; `PATH` where a shell would want it in quotes.
fn shown(path: &Path) -> String {
    let text = printable(&path.display().to_string());
    let plain = |c: char| c.is_alphanumeric() || is_separator(c) || "._-+:@%,=~".contains(c);
    if text.chars().all(plain) { text } else { "PATH".into() }
}

/// A filter over attributes.
pub(super) fn filter(text: &str) -> Result<ItemFilter, String> {
    let json = serde_json::from_str(text).map_err(|e| format!("is no JSON: {e}"))?;
    ItemFilter::from_json(&json).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_is_given_is_told_from_what_is_wanted() {
        let base = tempfile::tempdir().unwrap();
        let at = |name: &str| base.path().join(name);
        for name in ["run/run.json", "data/manifest.json", "log.csv", "my log.csv", "logs/a.csv"] {
            fs::create_dir_all(at(name).parent().unwrap()).unwrap();
            fs::write(at(name), r#"{"data_hash": "", "interactions": 0}"#).unwrap();
        }
        let says = |said: Option<String>, text: &str| {
            let said = said.unwrap();
            assert!(said.contains(text), "{said}");
        };
        says(not_a_run(&at("log.csv")), "log.csv --out DIR`, then `alike train --data DIR --out RUN`");
        says(not_a_run(&at("my log.csv")), "`alike prepare --interactions PATH --out DIR`");
        says(not_a_run(&at("data")), "data --out RUN` makes one");
        says(not_a_run(&at("run/run.json")), "give the run folder");
        says(not_prepared(&at("log.csv")), "log.csv --out DIR` makes one");
        says(not_prepared(&at("run")), "it is a run");
        says(not_prepared(&at("data/manifest.json")), "give the folder");
        says(not_a_model(&at("log.csv")), "a model's name is wanted: `alike prepare --interactions ");
        says(not_a_model(&at("data")), "data --out RUN`");
        says(not_a_model(&at("run")), "--resume");
        for name in ["nothing", "logs"] {
            assert_eq!(
                (not_a_run(&at(name)), not_prepared(&at(name)), not_a_model(&at(name))),
                (None, None, None)
            );
        }
        assert_eq!((not_a_run(&at("run")), not_prepared(&at("data"))), (None, None));
        assert!(model("bpr").is_ok() && model("no such model").is_ok());
    }
}
