//! Folders that earlier formats left are read: `compat/` has a prepared folder and a run of each, named by
//! their format versions, as the program of the time wrote them (but for the path of the
//! data in the first).
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use alike::checkpoint::FORMAT;
use alike::data::Dataset;
use alike::eval::{Protocol, Split};
use alike::run::Run;
use alike::train::Summary;

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        if entry.path().is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()));
        } else {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

#[test]
fn folders_of_every_format_give_what_they_gave() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compat");
    let mut versions = Vec::new();
    for fixture in fs::read_dir(fixtures).unwrap().map(|e| e.unwrap().path()) {
        let work = tempfile::tempdir().unwrap();
        copy(&fixture, work.path());
        let info = work.path().join("run/run.json");
        let mut value: serde_json::Value = serde_json::from_slice(&fs::read(&info).unwrap()).unwrap();
        versions.push(value["format"].as_u64().unwrap());
        if versions.last() == Some(&1) {
            // Those named their data by an absolute path alone, and may lack the hash.
            value["data"] = work.path().join("data").to_str().unwrap().into();
            value.as_object_mut().unwrap().remove("blake3");
            fs::write(&info, serde_json::to_vec(&value).unwrap()).unwrap();
        }

        let data = Dataset::open(&work.path().join("data")).unwrap();
        assert_eq!((data.users.len(), data.items.len(), data.features.len()), (30, 30, 1));
        assert_eq!(data.hash, value["data_hash"].as_str().unwrap());
        let run = Run::open(&work.path().join("run")).unwrap();
        let told: Summary = run.summary().unwrap().unwrap();
        let (found, _) = run.evaluate(Split::Test, Protocol::Public, &()).unwrap();
        for (name, value) in &told.test_public.0 {
            assert_eq!(found.get(name), *value, "{}: {name}", fixture.display());
        }
        assert_eq!(run.recommend("u3", 5).unwrap().len(), 5);
    }
    versions.sort_unstable();
    assert_eq!(versions, (1..=u64::from(FORMAT)).collect::<Vec<_>>(), "a folder of every format");
}
