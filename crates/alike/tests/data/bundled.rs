//! The data that the repository carries, prepared and opened.

use std::path::{Path, PathBuf};

use alike::data::{Dataset, PrepareOptions, SplitKind, prepare};

fn bundled(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../alike-cli/data/ml_small").join(name)
}

fn options(out: &Path) -> PrepareOptions {
    PrepareOptions {
        features: vec![
            ("image".into(), bundled("image_feat.npy")),
            ("text".into(), bundled("text_feat.npy")),
        ],
        items: Some(bundled("items.jsonl")),
        split: SplitKind::Label,
        ..PrepareOptions::new(bundled("ml_small.inter"), out)
    }
}

#[test]
fn counts_are_as_published_and_row_is_id() {
    let base = tempfile::tempdir().unwrap();
    let out = base.path().join("ml");
    let report = prepare(&options(&out)).unwrap();
    assert_eq!((report.users, report.items), (651, 1468));
    assert_eq!(report.interactions, [30_804, 3_868, 3_868]);
    assert_eq!((report.cold_users, report.cold_items), (0, 0));

    let data = Dataset::open(&out).unwrap();
    assert_eq!(data.hash, report.hash);
    assert_eq!((data.train.rows(), data.train.cols(), data.train.nnz()), (651, 1468, 30_804));
    assert!((0..1468).all(|i| data.items.name(i) == i.to_string()));
    assert_eq!(data.title(0), Some("Toy Story (1995)"));
    assert_eq!(data.catalogue.category(0), Some("Adventure, Animation, Children, Comedy, Fantasy"));
    assert_eq!(data.catalogue.image(0), None);

    // The mapped values are those of the file, in its row order.
    let raw = std::fs::read(bundled("text_feat.npy")).unwrap();
    let start = raw.len() - 1468 * 384 * 2;
    assert_eq!(data.features[1].name, "text");
    assert_eq!((data.features[1].dim, data.features[1].values().len()), (384, 1468 * 384));
    for at in [0, 384, 1467 * 384 + 383] {
        let bits = u16::from_le_bytes([raw[start + 2 * at], raw[start + 2 * at + 1]]);
        let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023));
        let size = match exponent {
            0 => fraction / 1024.0 * 2f64.powi(-14),
            e => (1.0 + fraction / 1024.0) * 2f64.powi(e - 15),
        };
        let expected = if bits >> 15 == 1 { -size } else { size };
        assert_eq!(f64::from(data.features[1].values()[at]), expected);
    }
}

#[test]
fn the_same_input_gives_the_same_hash_and_another_split_another() {
    let base = tempfile::tempdir().unwrap();
    let hash = |name: &str, split: SplitKind, seed: u64| {
        let options = PrepareOptions { split, seed, ..options(&base.path().join(name)) };
        prepare(&options).unwrap().hash
    };
    let first = hash("a", SplitKind::Random, 7);
    assert_eq!(first, hash("b", SplitKind::Random, 7));
    assert_ne!(first, hash("c", SplitKind::Random, 8));
    assert_eq!(hash("d", SplitKind::Label, 7), hash("d", SplitKind::Label, 8));
}

#[test]
fn the_report_says_what_people_need() {
    let base = tempfile::tempdir().unwrap();
    let report = prepare(&options(&base.path().join("ml"))).unwrap();
    let text = report.to_string();
    for part in [
        "ml_small: 651 users, 1468 items, 38540 interactions",
        "train 30804",
        "features image: 512 values",
        "features text: 384 values",
        "titles: 1468 of 1468",
        "dropped: nothing",
        &report.hash,
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    let stored = std::fs::read_to_string(base.path().join("ml/report.json")).unwrap();
    let without_hash = alike::data::PrepareReport { hash: String::new(), ..report };
    assert_eq!(stored, serde_json::to_string_pretty(&without_hash).unwrap());
}
