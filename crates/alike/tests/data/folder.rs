//! The prepared folder: damage is found, caches heal, writing is atomic.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::data_files::*;
use alike::data::{Dataset, PrepareOptions, prepare};

fn prepared(files: &Files) -> PrepareOptions {
    let mut options = files.options(LOG);
    options.features = vec![("m".into(), files.write("m.npy", npy_f32(3, 1, &[1.0, 2.0, 3.0])))];
    options.feature_ids = vec![("m".into(), files.write("ids", "x\ny\nz"))];
    options.items = Some(files.write("items.jsonl", "{\"id\": \"x\", \"title\": \"X\"}"));
    let idx: Vec<u8> = [1i32, 2, 0].iter().flat_map(|v| v.to_le_bytes()).collect();
    let archive = npz(&[
        ("idx", npy("<i4", false, &[3, 1], &idx)),
        ("cos", npy_f32(3, 1, &[0.5; 3])),
        ("ids", npy("|S1", false, &[3], b"xyz")),
    ]);
    options.knn = vec![("m".into(), files.write("m.npz", archive))];
    prepare(&options).unwrap();
    options
}

#[test]
fn every_changed_byte_is_found() {
    let files = Files::new();
    let out = prepared(&files).out;
    let names: Vec<String> =
        fs::read_dir(&out).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(names.len(), 18);
    for name in names {
        let path = out.join(&name);
        let good = fs::read(&path).unwrap();
        let mut bad = good.clone();
        bad[good.len() / 2] ^= 1;
        fs::write(&path, &bad).unwrap();
        let result = Dataset::open(&out);
        let text = result.expect_err(&name).to_string();
        assert!(text.contains(&name), "{text}");

        fs::write(&path, &good[..good.len() - 1]).unwrap();
        assert!(Dataset::open(&out).is_err(), "{name}");
        fs::remove_file(&path).unwrap();
        assert!(Dataset::open(&out).is_err(), "{name}");
        fs::write(&path, good).unwrap();
        Dataset::open(&out).unwrap();
    }
}

#[test]
fn nothing_foreign_goes_with_the_folder_that_is_replaced() {
    let files = Files::new();
    let options = prepared(&files);
    fs::create_dir_all(options.out.join("cache")).unwrap();
    fs::write(options.out.join("cache/items-1.bin"), "x").unwrap();
    prepare(&options).unwrap();
    for name in ["notes.txt", "text.safetensors", "cache/mine", "cache/my.writing-notes", "run"] {
        let path = options.out.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "mine").unwrap();
        let text = prepare(&options).unwrap_err().to_string();
        assert!(text.contains(name) && text.contains("choose another --out"), "{text}");
        assert_eq!(fs::read(&path).unwrap(), b"mine");
        fs::remove_file(&path).unwrap();
    }
    prepare(&options).unwrap();
}

#[test]
fn folders_that_are_not_prepared_say_so() {
    let files = Files::new();
    let text = |path: &Path| Dataset::open(path).unwrap_err().to_string();
    assert!(text(files.base.path()).contains("no prepared folder"));
    assert!(text(&files.base.path().join("none")).contains("no such folder"));
    let manifest = files.write("manifest.json", "{\"format\": \"other\", \"version\": 1}");
    assert!(text(files.base.path()).contains("format `other`"));
    fs::write(&manifest, "{\"format\": \"alike-data\", \"version\": 99}").unwrap();
    assert!(text(files.base.path()).contains("version 99"));
    fs::write(&manifest, "{}").unwrap();
    assert!(text(files.base.path()).contains("no manifest of ours"));
}

#[test]
fn a_failed_preparation_leaves_the_old_folder_as_it_was() {
    let files = Files::new();
    let mut options = prepared(&files);
    let hash = Dataset::open(&options.out).unwrap().hash;
    // Fails late, when most files are written.
    options.items = Some(files.write("items.jsonl", "no json"));
    files.error(&options);
    assert_eq!(Dataset::open(&options.out).unwrap().hash, hash);

    options.items = None;
    let report = prepare(&options).unwrap();
    assert_ne!(report.hash, hash);
    let data = Dataset::open(&options.out).unwrap();
    assert_eq!((data.hash, data.catalogue.is_empty()), (report.hash, true));
}

#[test]
fn what_is_not_ours_is_not_replaced() {
    let files = Files::new();
    let mut options = files.options(LOG);
    options.out = files.base.path().to_path_buf();
    assert!(files.error(&options).contains("other content"));
    options.out = options.interactions.clone();
    assert!(files.error(&options).contains("is a file"));
    options.out = options.interactions.join("below");
    files.error(&options);
    // Extensions of browsers and builds of web pages have a manifest, too.
    options.out = files.base.path().join("extension");
    fs::create_dir(&options.out).unwrap();
    for content in ["{\"manifest_version\":3}", "{\"format\":\"alike-data\"}", "[]", "not JSON", ""] {
        fs::write(options.out.join("manifest.json"), content).unwrap();
        assert!(files.error(&options).contains("`alike prepare` did not write"), "{content}");
        assert_eq!(fs::read(options.out.join("manifest.json")).unwrap(), content.as_bytes());
    }
    options.out = files.out();
    fs::create_dir(&options.out).unwrap();
    prepare(&options).unwrap();
}

/// With a limit on the size of files, as on a full disk: one line of error, nothing half-written.
#[cfg(unix)]
#[test]
fn a_full_disk_is_one_error_and_leaves_nothing() {
    const FOLDER: &str = "ALIKE_TEST_FULL_DISK";
    if let Some(folder) = std::env::var_os(FOLDER) {
        let folder = Path::new(&folder);
        let options = PrepareOptions {
            features: vec![("m".into(), folder.join("m.npy"))],
            split: alike::data::SplitKind::Label,
            ..PrepareOptions::new(folder.join("log.inter"), folder.join("out"))
        };
        let text = prepare(&options).expect_err("the file is larger than allowed").to_string();
        assert_eq!(text.lines().count(), 1);
        assert!(text.contains("feature.m.f32"), "{text}");
        return;
    }
    let files = Files::new();
    files.write("log.inter", NUMBERED);
    files.write("m.npy", npy_f32(3, 100_000, &vec![1.0; 300_000]));
    // The limit is in blocks of 512 or 1024 bytes; without the signal, writing fails as on a full disk.
    let name = "folder::a_full_disk_is_one_error_and_leaves_nothing";
    let child = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 64; exec \"$0\" --exact \"$1\""])
        .arg(std::env::current_exe().unwrap())
        .arg(name)
        .env(FOLDER, files.base.path())
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && output.contains("1 passed"), "{output}");
    let mut left: Vec<_> = fs::read_dir(files.base.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["log.inter", "m.npy"]);
}

#[test]
fn caches_are_kept_and_rebuilt_when_damaged() {
    let files = Files::new();
    let out = prepared(&files).out;
    let data = Dataset::open(&out).unwrap();
    let entry = |key: &str, value: &[u8]| {
        let mut built = false;
        let found = data.cached(key, &mut || {
            built = true;
            Ok(value.to_vec())
        });
        (found.unwrap(), built)
    };
    assert_eq!(entry("graph-1", b"one"), (b"one".to_vec(), true));
    assert_eq!(entry("graph-1", b"two"), (b"one".to_vec(), false));
    assert_eq!(entry("graph-2", b""), (Vec::new(), true));
    assert_eq!(entry("graph-2", b"x"), (Vec::new(), false));
    let path = out.join("cache/graph-1.bin");
    let good = fs::read(&path).unwrap();
    for bad in [good[..good.len() - 1].to_vec(), [&good[..], b"x"].concat(), Vec::new(), b"foreign".to_vec()]
    {
        fs::write(&path, bad).unwrap();
        assert_eq!(entry("graph-1", b"new"), (b"new".to_vec(), true));
        assert_eq!(entry("graph-1", b"other"), (b"new".to_vec(), false));
    }
    // An entry under another's name is not taken for it.
    fs::copy(&path, out.join("cache/graph-2.bin")).unwrap();
    assert_eq!(entry("graph-2", b"own"), (b"own".to_vec(), true));
    // Keys that are no file names stay inside the cache.
    assert_eq!(entry("../../evil", b"e"), (b"e".to_vec(), true));
    assert_eq!(entry("../../evil", b"f"), (b"e".to_vec(), false));
    assert_eq!(fs::read_dir(out.join("cache")).unwrap().count(), 3);
    // A failed build is the caller's error and keeps nothing.
    assert!(data.cached("failing", &mut || Err(alike::Error::Data("no".into()))).is_err());
    assert!(!out.join("cache/failing.bin").exists());
    // The cache is no part of the content.
    Dataset::open(&out).unwrap();
}
