//! What a program leaves behind that is told to end at once. In a process of its own, since it ends all that
//! is at work.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::thread;
use std::time::Duration;

use alike::disk::unfinished::{Unfinished, remove_all};

#[test]
fn what_is_unfinished_goes_and_what_is_finished_stays() {
    let base = tempfile::tempdir().unwrap();
    let at = |name: &str| base.path().join(name);
    let file = |name: &str| Unfinished::create(at(name), |path| fs::write(path, name)).unwrap().0;
    file("done.tmp").finish(|| fs::rename(at("done.tmp"), at("done"))).unwrap();
    drop(file("dropped.tmp"));
    let (folder, ()) = Unfinished::create(at("folder.tmp"), |path| fs::create_dir(path)).unwrap();
    let half = [file("half.tmp"), folder];
    // A thread that goes on making files while the program ends.
    let maker = {
        let folder = at("folder.tmp");
        thread::spawn(move || {
            for n in 0.. {
                if fs::write(folder.join(n.to_string()), "x").is_err() {
                    return n;
                }
            }
            unreachable!("numbers do not end")
        })
    };
    while !at("folder.tmp/9").exists() {
        thread::yield_now();
    }
    let guard = remove_all();
    assert!(maker.join().unwrap() > 9);
    let late = {
        let path = at("late.tmp");
        thread::spawn(move || Unfinished::create(path, |path| fs::write(path, "x")).map(drop))
    };
    thread::sleep(Duration::from_millis(50));
    assert!(!at("late.tmp").exists(), "nothing is begun while the program ends");
    drop(guard);
    late.join().unwrap().unwrap();
    fs::remove_file(at("late.tmp")).unwrap();
    drop(half);
    let mut left: Vec<String> =
        fs::read_dir(base.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    left.sort();
    assert_eq!(left, ["done", "dropped.tmp"]);
}
