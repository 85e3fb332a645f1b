//! What ARCHITECTURE.md says of the sources, checked on the sources.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

/// The library's modules: each may import only those before it.
const ORDER: [&str; 18] = [
    "error",
    "disk",
    "config",
    "device",
    "ids",
    "data",
    "embed",
    "graph",
    "scorer",
    "eval",
    "layers",
    "models",
    "checkpoint",
    "replicas",
    "train",
    "recommend",
    "serving",
    "experiment",
];

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// All Rust sources below `folder`, in a stable order.
fn sources(folder: &Path) -> Vec<PathBuf> {
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

/// The code of a source without comments and without what is compiled for tests only.
fn code(path: &Path) -> String {
    if path.file_stem().is_some_and(|s| s == "tests") {
        return String::new();
    }
    let text = fs::read_to_string(path).unwrap();
    let text = text.split("#[cfg(test)]").next().unwrap();
    text.lines().map(|l| if l.trim_start().starts_with("//") { "" } else { l }).collect::<Vec<_>>().join("\n")
}

/// The library's module that a file belongs to; `None` for `lib.rs`.
fn module(source: &Path) -> Option<String> {
    let inside = source.strip_prefix(crates().join("alike/src")).unwrap();
    let first = inside.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
    let name = first.trim_end_matches(".rs").to_string();
    (name != "lib").then_some(name)
}

/// Names that directly follow `crate::`, groups in braces included.
fn imports(code: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (at, found) in code.match_indices("crate::") {
        if code[..at].ends_with('$') {
            continue;
        }
        let rest = &code[at + found.len()..];
        let word =
            |t: &str| t.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
        match rest.strip_prefix('{') {
            None => names.push(word(rest)),
            Some(group) => {
                let (mut depth, mut start) = (0, 0);
                for (i, c) in group.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth > 0 => depth -= 1,
                        ',' | '}' if depth == 0 => {
                            names.push(word(&group[start..i]));
                            start = i + 1;
                            if c == '}' {
                                break;
                            }
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    names
}

fn place(module: &str) -> Option<usize> {
    ORDER.iter().position(|m| *m == module)
}

#[test]
fn groups_of_imports_are_understood() {
    let code =
        "use crate::{data::{Dataset, read}, error::Error, ids};\nuse crate::graph::x; $crate::config::y";
    assert_eq!(imports(code), ["data", "error", "ids", "graph"]);
}

#[test]
fn modules_import_only_earlier_ones() {
    let mut wrong = Vec::new();
    for source in sources(&crates().join("alike/src")) {
        let Some(own) = module(&source) else { continue };
        let Some(at) = place(&own) else {
            wrong.push(format!("{own} has no place in the order of ARCHITECTURE.md"));
            continue;
        };
        let later =
            imports(&code(&source)).into_iter().filter(|name| place(name).is_some_and(|other| other > at));
        wrong.extend(later.map(|name| format!("{}: {own} imports {name}", source.display())));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn one_module_touches_the_disk() {
    let mut wrong = Vec::new();
    for source in sources(&crates().join("alike/src")) {
        let own = module(&source).unwrap_or_default();
        let code = code(&source);
        let touches = ["std::fs", "Mmap::map", "tempfile"].iter().any(|word| code.contains(word));
        if touches && own != "disk" {
            wrong.push(source.display().to_string());
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn libraries_print_nothing_and_leave_nothing_unfinished() {
    let mut wrong = Vec::new();
    for library in ["alike/src", "alike-ops/src"] {
        for source in sources(&crates().join(library)) {
            let code = code(&source);
            for word in ["println!", "print!(", "dbg!(", "todo!(", "unimplemented!("] {
                if code.contains(word) {
                    wrong.push(format!("{}: {word}", source.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn files_are_short_and_modules_are_named_for_what_they_do() {
    let mut wrong = Vec::new();
    let all = sources(&crates());
    assert!(all.len() > 10, "the sources were not found");
    for source in all {
        let lines = fs::read_to_string(&source).unwrap().lines().count();
        if lines > 500 {
            wrong.push(format!("{}: {lines} lines", source.display()));
        }
        let name = source.file_stem().unwrap().to_string_lossy().into_owned();
        if ["utils", "util", "common", "helpers", "misc", "base", "types"].contains(&&*name) {
            wrong.push(format!("{}: what does it do?", source.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_test_is_ignored() {
    let marker = concat!("#[", "ignore");
    let ignored: Vec<_> =
        sources(&crates()).into_iter().filter(|s| fs::read_to_string(s).unwrap().contains(marker)).collect();
    assert!(ignored.is_empty(), "{ignored:?}");
}
