//! Values and flags that several commands take.

use std::path::PathBuf;

use clap::Args;

/// How files of text are written, for every command that reads such.
#[derive(Debug, Args)]
pub(crate) struct Text {
    /// Encoding of files of text that are not UTF-8, such as windows-1252
    #[arg(long, value_name = "NAME")]
    pub(crate) encoding: Option<String>,
}

/// The two sides of `=`, both there; `form` says how the whole is written.
pub(super) fn split_pair<'a>(text: &'a str, form: &str) -> Result<(&'a str, &'a str), String> {
    let pair = text.split_once('=').map(|(name, value)| (name.trim(), value.trim()));
    pair.filter(|(name, value)| !name.is_empty() && !value.is_empty())
        .ok_or_else(|| format!("expected {form}"))
}

/// A file and the name that it is given.
pub(super) fn parse_named(text: &str) -> Result<(String, PathBuf), String> {
    split_pair(text, "NAME=FILE").map(|(name, file)| (name.to_string(), file.into()))
}

/// A number of bytes, in binary units.
pub(super) fn parse_size(text: &str) -> Result<usize, String> {
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let scale = match text[at..].trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        _ => 0,
    };
    let bytes = text[..at].parse::<usize>().ok().and_then(|n| n.checked_mul(scale)).unwrap_or(0);
    if (1 << 10..=1 << 28).contains(&bytes) { Ok(bytes) } else { Err("allowed: 1KiB to 256MiB".into()) }
}
