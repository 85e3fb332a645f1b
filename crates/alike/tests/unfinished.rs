//! What a program leaves behind that is told to end at once. In a process of its own, since it ends all that
//! is at work.
#![allow(clippy::unwrap_used)]

use std::fs;

use alike::disk::unfinished::{Unfinished, remove_all};

#[test]
fn what_is_unfinished_goes_and_what_is_finished_stays() {
    let base = tempfile::tempdir().unwrap();
    let at = |name: &str| base.path().join(name);
    for name in ["done.tmp", "dropped.tmp", "half.tmp"] {
        fs::write(at(name), name).unwrap();
    }
    fs::create_dir(at("folder.tmp")).unwrap();
    fs::write(at("folder.tmp/part"), "x").unwrap();
    Unfinished::new(at("done.tmp")).finish(|| fs::rename(at("done.tmp"), at("done"))).unwrap();
    drop(Unfinished::new(at("dropped.tmp")));
    let half = [Unfinished::new(at("half.tmp")), Unfinished::new(at("folder.tmp"))];
    drop(remove_all());
    drop(half);
    let mut left: Vec<String> =
        fs::read_dir(base.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    left.sort();
    assert_eq!(left, ["done", "dropped.tmp"]);
}
