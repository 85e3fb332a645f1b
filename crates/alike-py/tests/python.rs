//! The tests of the Python package, `tests/*.py`, with the library as it is built here.

#[path = "../../skipped.rs"]
mod skipped;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where cargo has put the library: beside the folder of the test programs, or among them.
fn library() -> PathBuf {
    let own = env::current_exe().expect("a test program has a path");
    let deps = own.parent().expect("it is in a folder");
    let name = format!("{}_native{}", env::consts::DLL_PREFIX, env::consts::DLL_SUFFIX);
    let newest = |path: &PathBuf| fs::metadata(path).and_then(|m| m.modified()).ok();
    let places = [deps.join(&name), deps.parent().expect("deps is in the profile's folder").join(&name)];
    let found = places.into_iter().filter(|p| p.exists()).max_by_key(newest);
    found.unwrap_or_else(|| panic!("no {name} beside {}", own.display()))
}

#[test]
fn the_python_package_passes_its_tests() {
    let python = env::var_os("ALIKE_TEST_PYTHON").unwrap_or_else(|| "python3".into());
    let more = env::var_os("ALIKE_TEST_PYTHONPATH").unwrap_or_default();
    let has = "import sys, numpy, pytest; sys.exit(sys.version_info < (3, 10))";
    if !Command::new(&python)
        .args(["-c", has])
        .env("PYTHONPATH", &more)
        .output()
        .is_ok_and(|o| o.status.success())
    {
        return skipped::skipped("python", "Python 3.10 with numpy and pytest is not here");
    }
    let package = tempfile::tempdir().expect("a folder");
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let module = package.path().join("alike");
    fs::create_dir(&module).expect("a folder can be made");
    let mut folders = vec![(own.join("python/alike"), module.clone())];
    while let Some((from, to)) = folders.pop() {
        for entry in fs::read_dir(&from).expect("the package is there") {
            let entry = entry.expect("an entry");
            let target = to.join(entry.file_name());
            if entry.path().is_dir() {
                fs::create_dir(&target).expect("a folder can be made");
                folders.push((entry.path(), target));
            } else {
                fs::copy(entry.path(), target).expect("a file can be copied");
            }
        }
    }
    fs::copy(library(), module.join("_native.abi3.so")).expect("the library can be copied");
    let path = [package.path().to_path_buf()].into_iter().chain(env::split_paths(&more));
    let path = env::join_paths(path).expect("paths without separators");
    let status = Command::new(&python)
        .args(["-m", "pytest", "-q", "-p", "no:cacheprovider"])
        .arg(own.join("tests"))
        .env("PYTHONPATH", path)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .status()
        .expect("Python starts");
    assert!(status.success(), "pytest: {status}");
}
