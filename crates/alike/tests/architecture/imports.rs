//! Which file of a crate imports which: paths are followed through re-exports to the file that defines the
//! name. Neither `mod x;` nor a re-export that the file itself makes no use of is an import.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::sources::{code, sources};

/// A crate's imports: for each file, named by its path below `src`, the files that it imports.
pub(crate) type Imports = BTreeMap<String, BTreeSet<String>>;

/// The module of a file, `a/mod.rs` and `a.rs` both being `[a]`.
pub(crate) fn module(file: &str) -> Vec<&str> {
    let mut names: Vec<&str> = file.trim_end_matches(".rs").split('/').collect();
    if matches!(names.last(), Some(&("mod" | "lib" | "main"))) {
        names.pop();
    }
    names
}

/// A path that a `use` gives a name.
struct Use {
    path: Vec<String>,
    /// Whether the name is made public: a re-export.
    public: bool,
}

/// A file of the crate.
struct Source {
    uses: BTreeMap<String, Use>,
    /// The code without its `use` declarations.
    body: String,
}

/// All files of a crate.
struct Crate {
    sources: BTreeMap<String, Source>,
    /// The file of each module.
    modules: BTreeMap<Vec<String>, String>,
}

/// The imports of the crate whose sources are in `src`.
pub(crate) fn imports(src: &Path) -> Imports {
    let read = |path: &Path| {
        let name = path.strip_prefix(src).unwrap().to_string_lossy().replace('\\', "/");
        (name, Source::new(&code(path)))
    };
    Crate::new(sources(src).iter().map(|path| read(path)).collect()).imports()
}

impl Source {
    fn new(code: &str) -> Self {
        let (mut uses, mut body, mut rest) = (BTreeMap::new(), String::new(), code);
        while let Some(at) = next_use(rest) {
            let line = rest[..at].rfind(['\n', ';', '}', '{']).map_or(0, |at| at + 1);
            let public = rest[line..at].contains("pub");
            let end = at + rest[at..].find(';').unwrap_or(rest.len() - at);
            for (name, path) in tree(&rest[at + "use ".len()..end], &[]) {
                uses.insert(name, Use { path, public });
            }
            body.push_str(&rest[..line]);
            rest = &rest[end..];
        }
        body.push_str(rest);
        Self { uses, body }
    }

    /// Whether the file itself makes use of a name that it imports; `mod name;` is no use.
    fn mentions(&self, name: &str) -> bool {
        let mut before = "";
        words(&self.body).any(|word| std::mem::replace(&mut before, word) != "mod" && word == name)
    }
}

/// Where the next `use` declaration starts.
fn next_use(code: &str) -> Option<usize> {
    code.match_indices("use ").map(|(at, _)| at).find(|&at| {
        let before = code[..at].trim_end_matches(' ');
        before.is_empty() || before.ends_with(['\n', ';', '{', '}', ')']) || before.ends_with("pub")
    })
}

/// The names that a tree of `use` gives, each with its path.
fn tree(text: &str, prefix: &[String]) -> Vec<(String, Vec<String>)> {
    let text = text.trim();
    if let Some((head, group)) = text.split_once('{') {
        let mut path = prefix.to_vec();
        path.extend(head.split("::").map(str::trim).filter(|s| !s.is_empty()).map(String::from));
        let group = &group[..group.rfind('}').unwrap_or(group.len())];
        return parts(group).into_iter().flat_map(|part| tree(part, &path)).collect();
    }
    let (path, alias) = match text.split_once(" as ") {
        Some((path, alias)) => (path, Some(alias.trim().to_string())),
        None => (text, None),
    };
    let mut full = prefix.to_vec();
    full.extend(path.split("::").map(|s| s.trim().to_string()).filter(|s| !s.is_empty()));
    if full.last().is_some_and(|last| last == "self") {
        full.pop();
    }
    match full.last() {
        Some(last) => vec![(alias.unwrap_or_else(|| last.clone()), full)],
        None => Vec::new(),
    }
}

/// The parts of a group, at its commas.
fn parts(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0usize, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&group[start..]);
    parts
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// The paths of at least two names in a body. `$crate` in a macro concerns those who call it; exported
/// macros, by `crate::m!`, belong to no module.
fn paths(body: &str) -> Vec<Vec<String>> {
    let joined =
        body.split_whitespace().collect::<Vec<_>>().join(" ").replace(" ::", "::").replace(":: ", "::");
    joined
        .split(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | ':' | '$' | '!'))
        .map(|path| path.trim_start_matches('!'))
        .filter(|path| !path.starts_with('$'))
        .filter(|path| !path.starts_with("crate") || !path.ends_with('!'))
        .map(|path| {
            path.split("::").map(String::from).take_while(|s| !s.is_empty() && !s.contains(':')).collect()
        })
        .filter(|path: &Vec<String>| path.len() > 1)
        .collect()
}

impl Crate {
    fn new(sources: BTreeMap<String, Source>) -> Self {
        let owned = |file: &str| module(file).into_iter().map(String::from).collect();
        let modules = sources.keys().map(|file| (owned(file), file.clone())).collect();
        Self { sources, modules }
    }

    fn imports(&self) -> Imports {
        let mut all = Imports::new();
        for (file, source) in &self.sources {
            let used = source.uses.iter().filter(|(name, u)| !u.public || source.mentions(name));
            let mut found: BTreeSet<String> =
                used.filter_map(|(_, u)| self.file_of(file, &u.path, 0)).collect();
            found.extend(paths(&source.body).iter().filter_map(|path| self.file_of(file, path, 0)));
            found.remove(file);
            all.insert(file.clone(), found);
        }
        for (file, usual) in self.sources.keys().filter_map(|file| Some((file, self.in_place_of(file)?))) {
            for (importing, found) in &mut all {
                let inside = module(importing).starts_with(&module(&usual));
                if !inside && importing != file && found.contains(&usual) {
                    found.insert(file.clone());
                }
            }
        }
        all
    }

    /// The file in whose place `no_x.rs` is compiled where a feature is off: that of the module `x`.
    fn in_place_of(&self, file: &str) -> Option<String> {
        let mut usual: Vec<String> = module(file).into_iter().map(String::from).collect();
        let name = usual.pop()?.strip_prefix("no_")?.to_string();
        usual.push(name);
        self.modules.get(&usual).cloned()
    }

    /// The file that defines what `path` names in `file`; `None` for other crates.
    fn file_of(&self, file: &str, path: &[String], depth: usize) -> Option<String> {
        let mut module: Vec<String> = module(file).into_iter().map(String::from).collect();
        let child = |module: &[String], name: &String| [module, std::slice::from_ref(name)].concat();
        let mut rest = path;
        match path.first()?.as_str() {
            "crate" => {
                module.clear();
                rest = &rest[1..];
            }
            "self" => rest = &rest[1..],
            "super" => {
                while rest.first().is_some_and(|name| name == "super") {
                    module.pop();
                    rest = &rest[1..];
                }
            }
            _ if self.modules.contains_key(&child(&module, &path[0])) => {}
            // A module that the file has by a `use`, or another crate.
            name => {
                let found = self.sources[file].uses.get(name).filter(|_| depth < 8)?;
                return self.file_of(file, &[found.path.as_slice(), &path[1..]].concat(), depth + 1);
            }
        }
        while let [name, tail @ ..] = rest {
            let inner = child(&module, name);
            if self.modules.contains_key(&inner) {
                (module, rest) = (inner, tail);
                continue;
            }
            let here = self.modules.get(&module)?;
            let through = self.sources[here].uses.get(name).filter(|_| depth < 8);
            return through
                .and_then(|u| self.file_of(here, &[&u.path, tail].concat(), depth + 1))
                .or_else(|| Some(here.clone()));
        }
        self.modules.get(&module).cloned()
    }
}

/// The circles of `imports`: lists of files each of which imports, by some steps, all others of its list.
pub(crate) fn circles(imports: &Imports) -> Vec<Vec<String>> {
    let reach: BTreeMap<&String, BTreeSet<&String>> =
        imports.keys().map(|file| (file, reachable(imports, file))).collect();
    let mut left: BTreeSet<&String> = imports.keys().collect();
    let mut found = Vec::new();
    while let Some(file) = left.pop_first() {
        let circle: Vec<&String> =
            left.iter().copied().filter(|o| reach[file].contains(o) && reach[o].contains(file)).collect();
        if !circle.is_empty() {
            left.retain(|other| !circle.contains(other));
            found.push([vec![file.clone()], circle.into_iter().cloned().collect()].concat());
        }
    }
    found
}

fn reachable<'a>(imports: &'a Imports, file: &str) -> BTreeSet<&'a String> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&String> = imports[file].iter().collect();
    while let Some(next) = open.pop() {
        if found.insert(next) {
            open.extend(&imports[next]);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn imports_of_files(files: &[(&str, &str)]) -> Imports {
        Crate::new(files.iter().map(|(name, code)| (name.to_string(), Source::new(code))).collect()).imports()
    }

    fn edges(imports: &Imports) -> Vec<String> {
        imports.iter().flat_map(|(a, all)| all.iter().map(move |b| format!("{a} -> {b}"))).collect()
    }

    #[test]
    fn paths_lead_to_the_file_that_defines_the_name() {
        let found = imports_of_files(&[
            ("lib.rs", "mod a; mod b;\npub use a::Thing;"),
            ("a/mod.rs", "mod deep;\npub(crate) mod other;\npub use deep::{Thing, more as most};"),
            ("a/deep.rs", "use super::other::{self, X as Y};\npub struct Thing;\nfn f() { other::g() }"),
            ("a/other.rs", "use std::fmt;\nmacro_rules! m { () => { $crate::b::f() } }"),
            ("b.rs", "use crate::{Thing,\n    a::most};\nfn f() { super::a::other::g(); crate::a::h() }"),
        ]);
        let expected =
            ["a/deep.rs -> a/other.rs", "b.rs -> a/deep.rs", "b.rs -> a/mod.rs", "b.rs -> a/other.rs"];
        assert_eq!(edges(&found), expected);
        assert!(circles(&found).is_empty());
    }

    #[test]
    fn a_circle_is_found_over_three_files_and_a_re_export() {
        let found = imports_of_files(&[
            ("lib.rs", "mod a; mod b; mod c; mod d;\npub use c::C;"),
            ("a.rs", "use crate::b::B;"),
            ("b.rs", "use crate::C;"),
            ("c.rs", "fn f() -> crate::a::A { todo() }"),
            ("d.rs", "use crate::a::A;"),
        ]);
        assert_eq!(circles(&found), [["a.rs", "b.rs", "c.rs"]]);
    }

    #[test]
    fn a_re_export_counts_where_the_file_uses_it_itself() {
        let unused =
            imports_of_files(&[("lib.rs", ""), ("a/mod.rs", "pub use b::B;"), ("a/b.rs", "use super::f;")]);
        assert_eq!(edges(&unused), ["a/b.rs -> a/mod.rs"]);
        let used = imports_of_files(&[
            ("lib.rs", ""),
            ("a/mod.rs", "pub use b::B;\nfn g(b: B) {}"),
            ("a/b.rs", "use super::f;"),
        ]);
        assert_eq!(circles(&used), [["a/b.rs", "a/mod.rs"]]);
        let declared = imports_of_files(&[
            ("lib.rs", ""),
            ("a/mod.rs", "mod b;\npub use b::b;"),
            ("a/b.rs", "use super::f;\npub fn b() {}"),
        ]);
        assert_eq!(edges(&declared), ["a/b.rs -> a/mod.rs"]);
    }

    #[test]
    fn paths_through_an_imported_module_lead_to_the_file_that_defines_the_name() {
        let found = imports_of_files(&[
            ("lib.rs", "mod a; mod b;"),
            ("a/mod.rs", "mod deep;\npub use deep::Thing;"),
            ("a/deep.rs", "pub struct Thing;"),
            ("b.rs", "use std::io;\nuse image;\nuse crate::a;\nfn f(t: a::Thing) { io::g(); image::h() }"),
        ]);
        assert_eq!(edges(&found), ["b.rs -> a/deep.rs", "b.rs -> a/mod.rs"]);
    }

    #[test]
    fn the_file_of_a_feature_that_is_off_is_imported_like_the_usual_one() {
        let found = imports_of_files(&[
            ("lib.rs", "mod a;"),
            ("a/mod.rs", "mod b;\nuse b::B;"),
            ("a/b/mod.rs", "mod c;\npub struct B;"),
            ("a/b/c.rs", "use super::B;"),
            ("a/no_b.rs", "use super::f;\npub struct B;"),
        ]);
        let expected = [
            "a/b/c.rs -> a/b/mod.rs",
            "a/mod.rs -> a/b/mod.rs",
            "a/mod.rs -> a/no_b.rs",
            "a/no_b.rs -> a/mod.rs",
        ];
        assert_eq!(edges(&found), expected);
        assert_eq!(circles(&found), [["a/mod.rs", "a/no_b.rs"]]);
    }
}
