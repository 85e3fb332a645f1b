//! Rust sources as text, without what only people and tests read.

use std::fs;
use std::path::{Path, PathBuf};

/// All Rust sources below `folder`, in a stable order.
pub(crate) fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().map(|e| e.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found
}

/// The code of a source without comments, without the contents of literals and without what is compiled for
/// tests only.
pub(crate) fn code(path: &Path) -> String {
    if path.file_stem().is_some_and(|s| s == "tests") {
        return String::new();
    }
    without_tests(&without_text(&fs::read_to_string(path).unwrap()))
}

/// `text` without comments; string and character literals are empty.
pub(crate) fn without_text(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let hashes = rest.strip_prefix('r').map(|r| r.len() - r.trim_start_matches('#').len());
        let raw = hashes.filter(|&n| {
            rest[1 + n..].starts_with('"') && !out.ends_with(|c: char| c.is_alphanumeric() || c == '_')
        });
        if rest.starts_with("//") {
            rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
        } else if let Some(n) = raw {
            let end = format!("\"{}", "#".repeat(n));
            let body = &rest[n + 2..];
            rest = &body[body.find(&end).unwrap() + end.len()..];
            out.push_str("\"\"");
        } else if c == '"' {
            rest = &rest[1 + closing(&rest[1..], '"')..];
            out.push_str("\"\"");
        } else if c == '\'' && is_char(rest) {
            rest = &rest[1 + closing(&rest[1..], '\'')..];
            out.push_str("''");
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    out
}

/// Whether a quote opens a character literal, not a lifetime.
fn is_char(text: &str) -> bool {
    let mut chars = text.chars().skip(1);
    matches!((chars.next(), chars.next()), (Some('\\'), _) | (Some(_), Some('\'')))
}

/// Where the literal ends whose content `text` starts with, its quote included.
fn closing(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

/// `code` without the items marked `#[cfg(test)]`.
pub(crate) fn without_tests(code: &str) -> String {
    const MARKER: &str = "#[cfg(test)]";
    let mut parts = code.split(MARKER);
    let mut out = parts.next().unwrap_or_default().to_string();
    for part in parts {
        let mut depth = 0usize;
        let end = part.char_indices().find_map(|(at, c)| {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            (depth == 0 && (c == ';' || c == '}')).then_some(at + 1)
        });
        out.push_str(&part[end.unwrap_or(part.len())..]);
    }
    out
}

#[test]
fn only_code_of_the_program_is_left() {
    let text = r##"
        use a::b; // crate::x
        const QUOTE: char = '"'; fn f<'a>(x: &'a str) -> String { format!("crate::{x} \"") }
        const RAW: &str = r#"crate::y " { "#;
        #[cfg(test)]
        mod tests { fn g() { crate::z() } }
        #[cfg(test)]
        use crate::w;
        fn last() {}
    "##;
    let code = without_tests(&without_text(text));
    assert!(!code.contains("crate"), "{code}");
    assert!(
        code.contains("use a::b;") && code.contains("fn f<'a>") && code.contains("fn last() {}"),
        "{code}"
    );
}
