//! What ARCHITECTURE.md says of the sources, checked on the sources.
#![allow(clippy::unwrap_used)]

mod imports;
mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use imports::{Imports, circles, module};
use sources::{code, sources};

/// The library's modules: each may import only those before it.
const LIBRARY: [&str; 22] = [
    "error",
    "progress",
    "disk",
    "config",
    "linalg",
    "device",
    "ids",
    "data",
    "embed",
    "rules",
    "graph",
    "scorer",
    "eval",
    "layers",
    "models",
    "checkpoint",
    "replicas",
    "train",
    "external",
    "run",
    "recommend",
    "experiment",
];

/// The folders of the operators: each may import only those before it.
const OPERATORS: [&str; 12] = [
    "error",
    "simd",
    "tensor",
    "gpu",
    "autodiff",
    "sparse",
    "dense",
    "loss",
    "similarity",
    "ranking",
    "devices",
    "testing",
];

/// Types of which one of two is compiled: with a feature, or without.
const EITHER_OR: [&str; 6] = ["Index", "OnnxImage", "OnnxText", "Portable", "Postgres", "VectorTable"];

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

fn imports_of(name: &str) -> Imports {
    let found = imports::imports(&crates().join(name).join("src"));
    assert!(found.values().map(|all| all.len()).sum::<usize>() > found.len(), "the imports were not found");
    found
}

/// Imports of the crate `name` that lead to a module not before the importing one in `order`.
fn against(order: &[&str], name: &str) -> Vec<String> {
    let place = |file: &str| {
        let first = module(file).first().copied()?;
        Some(
            order
                .iter()
                .position(|m| *m == first)
                .unwrap_or_else(|| panic!("{first} has no place in the order")),
        )
    };
    let mut wrong = Vec::new();
    for (file, others) in imports_of(name) {
        let Some(at) = place(&file) else { continue };
        let later = others.iter().filter(|other| place(other).is_none_or(|other| other > at));
        wrong.extend(later.map(|other| format!("{name}: {file} imports {other}")));
    }
    wrong
}

#[test]
fn modules_import_only_earlier_ones() {
    let wrong = [against(&LIBRARY, "alike"), against(&OPERATORS, "alike-ops")].concat();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_folder_of_the_operators_says_what_it_imports() {
    let all = imports_of("alike-ops");
    let folder_of =
        |file: &str| module(file).first().map(|name| (*name).to_string()).filter(|n| n != "testing");
    for name in OPERATORS {
        let Ok(head) = fs::read_to_string(crates().join(format!("alike-ops/src/{name}/mod.rs"))) else {
            continue;
        };
        let said = head.lines().find_map(|line| line.strip_prefix("//! Imports: ")).unwrap_or_default();
        let said: BTreeSet<String> = said.split('`').skip(1).step_by(2).map(String::from).collect();
        let own = all.iter().filter(|(file, _)| folder_of(file).is_some_and(|r| r == name));
        let found: BTreeSet<String> = own
            .flat_map(|(_, others)| others.iter().filter_map(|o| folder_of(o)))
            .filter(|r| r != name)
            .collect();
        assert_eq!(said, found, "{name}/mod.rs, `Imports:`");
    }
}

/// By however many steps; a module's own file and those within it count like any others.
#[test]
fn no_file_imports_one_that_imports_it() {
    let mut wrong = Vec::new();
    for name in ["alike-ops", "alike", "alike-cli", "alike-py"] {
        let found = circles(&imports_of(name));
        wrong.extend(found.iter().map(|circle| format!("{name}: {}", circle.join(", "))));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Types are known beyond their file by one name each.
#[test]
fn a_type_name_means_one_thing() {
    let mut wrong = Vec::new();
    for name in ["alike", "alike-ops", "alike-cli"] {
        let mut seen = BTreeMap::<String, PathBuf>::new();
        for source in sources(&crates().join(name).join("src")) {
            for (visible, found) in types(&code(&source)) {
                if !visible || EITHER_OR.contains(&&*found) {
                    continue;
                }
                if let Some(other) = seen.insert(found.clone(), source.clone()) {
                    wrong.push(format!("{found}: {} and {}", other.display(), source.display()));
                }
            }
        }
        assert!(seen.len() > 50, "the types of {name} were not found");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Types that `code` defines at the left margin, and whether other files see them.
fn types(code: &str) -> Vec<(bool, String)> {
    let one = |line: &str| {
        let visible = line.starts_with("pub");
        let rest = line.trim_start_matches("pub").trim_start();
        let rest =
            rest.strip_prefix('(').map_or(rest, |r| r.split_once(')').map_or("", |(_, r)| r)).trim_start();
        let rest = ["struct ", "enum ", "trait ", "type "].iter().find_map(|kind| rest.strip_prefix(kind))?;
        Some((visible, rest.chars().take_while(|c| c.is_alphanumeric()).collect()))
    };
    code.lines().filter_map(one).collect()
}

#[test]
fn one_module_touches_the_disk() {
    let mut wrong = Vec::new();
    for source in sources(&crates().join("alike/src")) {
        let code = code(&source);
        let touches = ["std::fs", "Mmap::map", "tempfile"].iter().any(|word| code.contains(word));
        if touches && !source.starts_with(crates().join("alike/src/disk")) {
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

/// Comments are as wide as code, but for formulas, settings (one line each) and the heads of models.
#[test]
fn comments_are_as_wide_as_code() {
    let mut wrong = Vec::new();
    for source in sources(&crates()).iter().filter(|s| !s.starts_with(crates().join("alike/src/models"))) {
        for (n, line) in fs::read_to_string(source).unwrap().lines().enumerate() {
            let comment = line.trim_start();
            let is_comment = comment.starts_with("//") && line.chars().count() > 110;
            if is_comment && !comment.contains('`') && !line.starts_with("        /// ") {
                wrong.push(format!("{}:{}", source.display(), n + 1));
            }
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

#[test]
fn the_page_of_operators_links_every_function_to_its_source() {
    let page = fs::read_to_string(crates().join("../docs/operators.md")).unwrap();
    let face = code(&crates().join("alike-ops/src/lib.rs"));
    let exports = face.split(';').filter(|s| s.trim_start().starts_with("pub use") && !s.contains(" as "));
    let mut names = 0;
    for export in exports {
        let (path, list) = export.trim().trim_start_matches("pub use ").rsplit_once("::").unwrap();
        let file = format!("crates/alike-ops/src/{}.rs", path.replace("::", "/"));
        let functions = list.trim_matches(['{', '}']).split(',').map(str::trim);
        for name in functions.filter(|n| n.starts_with(char::is_lowercase)) {
            names += 1;
            assert!(
                page.contains(&format!("[`{name}`](../{file})")),
                "docs/operators.md: `{name}` is in {file}"
            );
        }
    }
    assert!(names > 30, "the functions were not found");
}
