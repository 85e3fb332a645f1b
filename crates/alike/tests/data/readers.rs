//! Every kind of file gives the same data.

use crate::data_files::*;
use alike::data::{ColumnNames, PrepareOptions, SplitKind};
use arrow_array::types::Float32Type;
use arrow_array::{BinaryArray, Float32Array, Int64Array, ListArray, StringArray, TimestampSecondArray};

#[test]
fn text_of_all_delimiters_reads_alike() {
    let mut hashes = Vec::new();
    for (name, delimiter) in [("log.csv", ","), ("log.tsv", "\t"), ("log.txt", ";"), ("log.dat", "|")] {
        let files = Files::new();
        let path = files.write(name, LOG.replace('\t', delimiter).replace('\n', "\r\n"));
        let options = PrepareOptions { split: SplitKind::Label, ..PrepareOptions::new(path, files.out()) };
        let (report, data) = files.open(&options);
        assert_eq!((report.users, report.items, report.interactions), (3, 3, [3, 3, 3]));
        assert_eq!(items_of(&data, &data.train, "b"), ["y"]);
        assert_eq!(items_of(&data, &data.test, "c"), ["y"]);
        hashes.push(report.hash);
    }
    assert!(hashes.iter().all(|h| *h == hashes[0]));
}

#[test]
fn quotes_and_a_byte_order_mark_are_understood_in_csv() {
    let files = Files::new();
    let text = "\u{feff}\"user\",\"item\",split\n\"a, b\",\"say \"\"x\"\"\",train\n\"a, b\",y,valid\n\"a, b\",z,test\n";
    let path = files.write("log.csv", text);
    let options = PrepareOptions { split: SplitKind::Label, ..PrepareOptions::new(path, files.out()) };
    let (_, data) = files.open(&options);
    assert_eq!(items_of(&data, &data.train, "a, b"), ["say \"x\""]);
}

#[test]
fn columns_can_be_named() {
    let files = Files::new();
    let text = "who,what,when,part\na,x,2020-01-01,0\na,y,2020-01-02,1\na,z,2020-01-03T10:00:00Z,2\n";
    let path = files.write("log.csv", text);
    let names = |user: &str| ColumnNames {
        user: user.into(),
        item: "what".into(),
        time: "when".into(),
        label: "part".into(),
        ..Default::default()
    };
    let options = PrepareOptions {
        split: SplitKind::Label,
        columns: names("who"),
        ..PrepareOptions::new(path, files.out())
    };
    let (report, _) = files.open(&options);
    assert_eq!(report.interactions, [1, 1, 1]);
    let text = files.error(&PrepareOptions { columns: names("whom"), ..options });
    assert!(text.contains("`whom`") && text.contains("`who`, `what`, `when`, `part`"), "{text}");
}

#[test]
fn parquet_interactions_have_string_or_integer_ids() {
    let expected = {
        let files = Files::new();
        let (_, data) = files.open(&files.options(NUMBERED));
        (data.train.idx().to_vec(), data.test.idx().to_vec())
    };
    let rows: Vec<Vec<i64>> =
        NUMBERED.lines().skip(1).map(|l| l.split('\t').map(|v| v.parse().unwrap()).collect()).collect();
    let of = |c: usize| -> Vec<i64> { rows.iter().map(|r| r[c]).collect() };
    let text = |c: usize| StringArray::from(of(c).iter().map(i64::to_string).collect::<Vec<_>>());
    for strings in [false, true] {
        let files = Files::new();
        let (user, item) = match strings {
            true => (column(text(0)), column(text(1))),
            false => (column(Int64Array::from(of(0))), column(Int64Array::from(of(1)))),
        };
        let columns = vec![
            ("x_label", column(Int64Array::from(of(2)))),
            ("unused", column(TimestampSecondArray::from(of(2)))),
            ("user_id", user),
            ("item_id", item),
            ("timestamp", column(TimestampSecondArray::from(of(2)))),
        ];
        let path = parquet_file(&files.base.path().join("log.parquet"), columns);
        let options = PrepareOptions { split: SplitKind::Label, ..PrepareOptions::new(path, files.out()) };
        let (_, data) = files.open(&options);
        assert_eq!((data.train.idx().to_vec(), data.test.idx().to_vec()), expected);
    }
}

#[test]
fn parquet_without_an_id_or_with_strange_ids_is_refused() {
    let files = Files::new();
    let make = |name: &str, users: arrow_array::ArrayRef| {
        let items = column(StringArray::from(vec!["x", "y"]));
        let path = parquet_file(&files.base.path().join(name), vec![("user", users), ("item", items)]);
        PrepareOptions::new(path, files.out())
    };
    let text = files.error(&make("null.parquet", column(StringArray::from(vec![Some("a"), None]))));
    assert!(text.contains("null.parquet:2: column `user` is empty in 1 row"), "{text}");
    let bytes = BinaryArray::from_vec(vec![b"a", b"\xff"]);
    let text = files.error(&make("bytes.parquet", column(bytes)));
    assert!(text.contains("column `user` holds bytes that are not UTF-8"), "{text}");
}

/// Six values: x → 1, 2; y → 3, 4; z → 5, 6.
const VALUES: [f32; 6] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];

#[test]
fn features_of_every_kind_are_joined_by_id() {
    // Rows in another order than the items, and one row of an item that nobody took.
    let ids = ["z", "unknown", "x", "y"];
    let rows = [5.0, 6.0, 9.0, 9.0, 1.0, 2.0, 3.0, 4.0f32];
    let f16: Vec<u8> = [0x4500u16, 0x4600, 0x4880, 0x4880, 0x3c00, 0x4000, 0x4200, 0x4400]
        .iter()
        .flat_map(|v| v.to_le_bytes())
        .collect();
    let bf16: Vec<u8> = rows.iter().flat_map(|v| ((v.to_bits() >> 16) as u16).to_le_bytes()).collect();
    let f64s: Vec<u8> = rows.iter().flat_map(|v| f64::from(*v).to_le_bytes()).collect();
    let big: Vec<u8> = rows.iter().flat_map(|v| v.to_be_bytes()).collect();
    let columns: Vec<u8> =
        [0, 2, 4, 6, 1, 3, 5, 7].iter().flat_map(|&i: &usize| rows[i].to_le_bytes()).collect();
    let text: Vec<u8> = ids
        .iter()
        .flat_map(|i| format!("{i:\0<7}").chars().flat_map(|c| (c as u32).to_le_bytes()).collect::<Vec<_>>())
        .collect();
    let safetensors = |dtype: &str, data: &[u8]| {
        let header = format!(
            r#"{{"__metadata__":{{"ids":"[\"z\",\"unknown\",\"x\",\"y\"]"}},"emb":{{"dtype":"{dtype}","shape":[4,2],"data_offsets":[0,{}]}}}}"#,
            data.len()
        );
        [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat()
    };

    let files = Files::new();
    let mut options = files.options(LOG);
    let mut add = |name: &str, file: &str, content: Vec<u8>, with_ids: bool| {
        options.features.push((name.into(), files.write(file, content)));
        if with_ids {
            options.feature_ids.push((name.into(), files.write("ids.txt", ids.join("\n") + "\n")));
        }
    };
    add("npy32", "a.npy", npy_f32(4, 2, &rows), true);
    add("npy16", "b.npy", npy("<f2", false, &[4, 2], &f16), true);
    add("npy64", "c.npy", npy("<f8", false, &[4, 2], &f64s), true);
    add("big", "d.npy", npy(">f4", false, &[4, 2], &big), true);
    add("fortran", "e.npy", npy("<f4", true, &[4, 2], &columns), true);
    add("npz", "f.npz", npz(&[("ids", npy("<U7", false, &[4], &text)), ("v", npy_f32(4, 2, &rows))]), false);
    add("st32", "g.safetensors", safetensors("F32", &f32_bytes(&rows)), false);
    add("st16", "h.safetensors", safetensors("F16", &f16), false);
    add("stb16", "i.safetensors", safetensors("BF16", &bf16), false);
    let pairs = rows.chunks(2).map(|r| Some(r.iter().map(|v| Some(*v)).collect::<Vec<_>>()));
    let list = ListArray::from_iter_primitive::<Float32Type, _, _>(pairs);
    let id_column = || column(StringArray::from(ids.to_vec()));
    let path = files.base.path().join("j.parquet");
    options
        .features
        .push(("list".into(), parquet_file(&path, vec![("item_id", id_column()), ("e", column(list))])));
    let part = |c: usize| column(Float32Array::from_iter_values(rows.iter().skip(c).step_by(2).copied()));
    let path = files.base.path().join("k.parquet");
    let columns = vec![("f0", part(0)), ("item_id", id_column()), ("f1", part(1))];
    options.features.push(("wide".into(), parquet_file(&path, columns)));

    let (report, data) = files.open(&options);
    assert_eq!(data.features.len(), 11);
    for (features, entry) in data.features.iter().zip(&report.features) {
        assert_eq!(features.values(), VALUES, "{}", features.name);
        assert_eq!(features.missing, [false; 3]);
        assert_eq!((entry.unused_rows, entry.missing, entry.dim), (1, 0, 2), "{}", features.name);
    }
    assert_eq!(data.features[0].hash(), data.features[1].hash());
}

#[test]
fn items_without_a_row_or_with_zeros_are_missing() {
    let files = Files::new();
    let mut options = files.options(LOG);
    options.features = vec![("m".into(), files.write("m.npy", npy_f32(2, 2, &[0.0, 0.0, 3.0, 4.0])))];
    options.feature_ids = vec![("m".into(), files.write("ids", "x\nz"))];
    let (report, data) = files.open(&options);
    assert_eq!(data.features[0].missing, [true, true, false]);
    assert_eq!(data.features[0].values(), [0.0, 0.0, 0.0, 0.0, 3.0, 4.0]);
    assert_eq!((report.features[0].no_row, report.features[0].all_zero), (1, 1));
}

#[test]
fn a_bare_array_means_row_is_id() {
    let files = Files::new();
    let mut options = files.options(NUMBERED);
    options.features = vec![("m".into(), files.write("m.npy", npy_f32(3, 2, &VALUES)))];
    let (_, data) = files.open(&options);
    // The file names item 2 first; its row is the third all the same.
    assert!(data.items.names().eq(["0", "1", "2"]));
    assert_eq!(data.features[0].values(), VALUES);
    assert_eq!(items_of(&data, &data.train, "0"), ["2"]);
}

#[test]
fn rows_of_a_bare_array_beyond_the_interactions_are_cold_items() {
    let files = Files::new();
    let log = NUMBERED.replace("\t1\t", "\t3\t");
    let mut options = files.options(&log);
    let values = [VALUES.as_slice(), &[7.0, 8.0]].concat();
    options.features = vec![("m".into(), files.write("m.npy", npy_f32(4, 2, &values)))];
    let (report, data) = files.open(&options);
    assert_eq!((report.items, report.cold_items), (4, 1));
    assert_eq!(data.features[0].values(), values);
    assert!(report.notes.iter().any(|n| n.starts_with("1 item has features and no interaction")), "{report}");
    // With a core they have too few interactions to stay.
    options.k_core = 2;
    let (report, data) = files.open(&options);
    assert_eq!(report.items, 3);
    assert_eq!(data.features[0].values(), [1.0, 2.0, 5.0, 6.0, 7.0, 8.0]);
}

#[test]
fn given_neighbours_are_renumbered() {
    let ids: Vec<u8> = b"zxyw".to_vec();
    let idx: Vec<u8> =
        [0i32, 3, 1, 2, 1, 0, 2, -1, 2, 0, 1, 3].iter().flat_map(|v| v.to_le_bytes()).collect();
    let cos: Vec<f32> = (0..12).map(|v| 1.0 - v as f32 / 16.0).collect();
    let files = Files::new();
    let archive = npz(&[
        ("idx", npy("<i4", false, &[4, 3], &idx)),
        ("cos", npy("<f4", false, &[4, 3], &f32_bytes(&cos))),
        ("ids", npy("|S1", false, &[4], &ids)),
    ]);
    let mut options = files.options(LOG);
    options.knn = vec![("m".into(), files.write("m.npz", archive))];
    let (report, data) = files.open(&options);
    let graph = &data.knn[0];
    // Rows: z → z, w, x; x → y, x, z; y → y, -, y. Numbers: x 0, y 1, z 2; w is not in the data.
    assert_eq!(graph.k, 3);
    assert_eq!(graph.idx, [1, 0, 2, 1, 1, u32::MAX, 2, 0, u32::MAX]);
    assert_eq!(graph.cos, [cos[3], cos[4], cos[5], cos[6], cos[8], 0.0, cos[0], cos[2], 0.0]);
    assert_eq!((report.knn[0].dropped_neighbors, report.knn[0].missing), (1, 0));
}

#[test]
fn titles_images_and_categories_are_joined_by_id() {
    let files = Files::new();
    let mut options = files.options(LOG);
    let lines = "{\"itemID\": \"y\", \"title\": \"Ypsilon\", \"image\": \"y.jpg\", \"genres\": [\"a\", \"b\"]}\n\n\
        {\"id\": \"x\", \"title\": null, \"category\": \"c\"}\n{\"item_id\": \"q\", \"title\": \"none\"}\n";
    options.items = Some(files.write("items.jsonl", lines));
    let (report, data) = files.open(&options);
    let (x, y) = (data.items.get("x").unwrap(), data.items.get("y").unwrap());
    assert_eq!((data.title(x), data.title(y)), (None, Some("Ypsilon")));
    assert_eq!((data.catalogue.image(y), data.catalogue.category(y)), (Some("y.jpg"), Some("a, b")));
    assert_eq!(data.catalogue.category(x), Some("c"));
    assert_eq!(data.catalogue.image_root(), Some(files.base.path()));
    assert_eq!(report.titles, Some(1));
    assert!(report.notes.iter().any(|n| n == "1 line of items.jsonl describes another item"));
}

#[test]
fn a_catalogue_may_be_a_table() {
    let files = Files::new();
    let mut options = files.options(LOG);
    let table = "title,Item ID,price,image\n\"Ypsilon, or Y\",y,3,y.jpg\n,x,4,\nnone,q,5,\nagain,y,6,\n";
    options.items = Some(files.write("items.csv", table));
    let (report, data) = files.open(&options);
    let (x, y) = (data.items.get("x").unwrap(), data.items.get("y").unwrap());
    assert_eq!((data.title(x), data.title(y)), (None, Some("Ypsilon, or Y")));
    assert_eq!((data.catalogue.image(y), data.catalogue.category(y)), (Some("y.jpg"), None));
    assert_eq!(report.titles, Some(1));
    assert!(
        report.notes.iter().any(|n| n == "1 line of items.csv describes another item"),
        "{:?}",
        report.notes
    );
    options.items = Some(files.write("items.tsv", "title\tprice\nYpsilon\t3\n"));
    let error = files.error(&options);
    assert!(error.contains("items.tsv: no column looks like item ids") && error.contains("price"), "{error}");
}
