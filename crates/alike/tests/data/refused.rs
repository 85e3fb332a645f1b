//! Bad input is refused with one line that says where and what is allowed, and leaves nothing behind.

use std::path::PathBuf;

use crate::data_files::*;
use alike::data::{PrepareOptions, SplitKind};

#[track_caller]
fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
}

#[test]
fn missing_files() {
    let files = Files::new();
    let none: PathBuf = files.base.path().join("none.npy");
    let good = files.options(LOG);
    let cases: [PrepareOptions; 4] = [
        PrepareOptions { interactions: none.clone(), ..good.clone() },
        PrepareOptions { features: vec![("m".into(), none.clone())], ..good.clone() },
        PrepareOptions { knn: vec![("m".into(), none.clone())], ..good.clone() },
        PrepareOptions { items: Some(none.clone()), ..good.clone() },
    ];
    for case in &cases {
        assert_says(&files.error(case), &["none.npy", "No such file"]);
    }
}

#[test]
fn columns_that_are_not_there() {
    let files = Files::new();
    assert_says(&files.error(&files.options("a\tb\n1\t2\n")), &["log.inter", "user ids", "`a`, `b`"]);
    let text = files.error(&files.options("userID\titemID\n1\t2\n"));
    assert_says(&text, &["split labels", "`label`", "`userID`, `itemID`"]);
    let mut options = files.options("userID\titemID\n1\t2\n");
    options.split = SplitKind::Temporal;
    assert_says(&files.error(&options), &["times", "`temporal`"]);
    options.split = SplitKind::Random;
    options.min_rating = Some(3.0);
    assert_says(&files.error(&options), &["ratings"]);
}

#[test]
fn rows_that_cannot_be_read() {
    let files = Files::new();
    let head = "userID\titemID\trating\ttimestamp\tx_label\n1\t2\t3\t4\t0\n";
    let with = |row: &[u8]| PrepareOptions {
        interactions: files.write("rows.inter", [head.as_bytes(), row].concat()),
        min_rating: Some(1.0),
        ..files.options(LOG)
    };
    let cases: [(&[u8], &str); 10] = [
        (
            b"1\t2\t3\tNULL\t0\n",
            "column `timestamp` is `NULL`; a time is expected, or leave the column out (`--column time=none`); `--drop-missing`",
        ),
        (b"1\t2\tNULL\t4\t0\n", "column `rating` is `NULL`; a number is expected; `--drop-missing`"),
        (b"1\t2\t3\n", "3 columns, the header has 5: is the file cut off here?"),
        (b"1\t2\tbad\t4\t0\n", "column `rating` is `bad`"),
        (b"1\t2\tinf\t4\t0\n", "column `rating` is `inf`; a number is expected"),
        (b"1\t2\t3\tsoon\t0\n", "column `timestamp` is `soon`"),
        (b"1\t2\t3\t4\t7\n", "column `x_label` is `7`"),
        (b"\t2\t3\t4\t0\n", "column `userID` is empty"),
        (b"1\t\t3\t4\t0\n", "column `itemID` is empty"),
        (b"1\t\xff\xfe\t3\t4\t0\n", "column `itemID` is not UTF-8"),
    ];
    for (row, message) in cases {
        assert_says(&files.error(&with(row)), &["rows.inter:3: ", message]);
    }
}

#[test]
fn numbers_that_lost_digits_are_no_ids() {
    let files = Files::new();
    let lost = "holds a whole number with more digits than are kept";
    let log = "{\"userID\": 1, \"itemID\": 2, \"x_label\": 0}\n\
               {\"userID\": 18446744073709551617, \"itemID\": 2, \"x_label\": 0}\n";
    let options = PrepareOptions { interactions: files.write("log.jsonl", log), ..files.options(LOG) };
    assert_says(&files.error(&options), &["log.jsonl:2: column `userID`", lost, "in quotes"]);
    let items = files.write("items.jsonl", "{\"item_id\": 100000000000000000000, \"title\": \"x\"}\n");
    let options = PrepareOptions { items: Some(items), ..files.options(LOG) };
    assert_says(&files.error(&options), &["items.jsonl:1: column `item_id`", lost]);
}

#[test]
fn a_time_format_that_fits_nothing_is_named() {
    let files = Files::new();
    let with = |time: &str| PrepareOptions {
        time_format: Some("%d.%m.%Y".into()),
        ..files.options(&format!("userID\titemID\ttimestamp\tx_label\n1\t2\t{time}\t0\n"))
    };
    assert_says(
        &files.error(&with("2024-02-29")),
        &["`--time-format` says `%d.%m.%Y`; this one is read without it"],
    );
    let without_half =
        PrepareOptions { time_format: Some("%d/%m/%Y %I:%M".into()), ..with("29/02/2024 06:28") };
    assert_says(&files.error(&without_half), &["`time-format`", "`%p`"]);
    assert_says(
        &files.error(&with("29/02/2024")),
        &["says `%d.%m.%Y`; give the signs", "--column time=none"],
    );
}

#[test]
fn files_without_content() {
    let files = Files::new();
    assert_says(&files.error(&files.options("")), &["is empty"]);
    assert_says(&files.error(&files.options("userID\titemID\tx_label\n")), &["no interactions"]);
    assert_says(&files.error(&files.options("word\n")), &["log.inter:1", "tab, comma", "--delimiter"]);
    let options =
        PrepareOptions { interactions: files.write("strange.inter", b"user,\xfc\n"), ..files.options(LOG) };
    assert_says(&files.error(&options), &["strange.inter:1", "not UTF-8", "--encoding"]);
    let options = PrepareOptions { k_core: 10, ..files.options(LOG) };
    assert_says(
        &files.error(&options),
        &["none of its 9 interactions is left (10-core); `--k-core` leaves too few"],
    );
}

#[test]
fn splits_with_an_empty_part() {
    let files = Files::new();
    let without = |label: &str, other: &str| {
        let text = LOG.replace(&format!("\t{label}\n"), &format!("\t{other}\n"));
        files.error(&files.options(&text))
    };
    assert_says(&without("0", "1"), &["no train interactions", "`label`", "`--split random`"]);
    assert_says(&without("1", "0"), &["no valid interactions"]);
    assert_says(&without("2", "0"), &["no test interactions"]);
    let all_short = "userID\titemID\n1\t2\n3\t4\n";
    let options = PrepareOptions { split: SplitKind::Random, ..files.options(all_short) };
    assert_says(&files.error(&options), &["`random` leaves no valid interactions"]);
    let one_moment = "userID\titemID\ttimestamp\n1\t2\t5\n1\t3\t5\n1\t4\t5\n";
    let options = PrepareOptions { split: SplitKind::Temporal, ..files.options(one_moment) };
    assert_says(&files.error(&options), &["`temporal` leaves no train interactions"]);
}

/// The error of features `content` in a file called `file`, for interactions `log`, with ids if given.
fn refused(log: &str, file: &str, content: Vec<u8>, ids: Option<&str>) -> String {
    let files = Files::new();
    let mut options = files.options(log);
    options.features = vec![("m".into(), files.write(file, content))];
    options.feature_ids = ids.iter().map(|t| ("m".into(), files.write("ids.txt", t))).collect();
    files.error(&options)
}

#[test]
fn features_that_do_not_fit_the_items() {
    let two = || npy_f32(2, 1, &[1.0, 2.0]);
    let three = || npy_f32(3, 1, &[1.0, 2.0, 3.0]);
    assert_says(&refused(NUMBERED, "m.npy", two(), None), &["m.npy", "2 rows", "3 items"]);
    let gap = NUMBERED.replace("\t1\t", "\t7\t");
    assert_says(&refused(&gap, "m.npy", three(), None), &["3 rows", "go up to 7", "8 rows", "file of ids"]);
    assert_says(&refused(LOG, "m.npy", three(), None), &["no item ids", "`x`", "file of ids"]);
    assert_says(&refused(LOG, "m.npy", three(), Some("x\ny")), &["3 rows", "ids.txt has 2 ids"]);
    let text = refused(LOG, "m.npy", three(), Some("x\ny\nx"));
    assert_says(&text, &["ids.txt", "item id `x`", "row 1", "row 3"]);
    assert_says(&refused(LOG, "m.npy", three(), Some("p\nq\nr")), &["none of its item ids"]);
    let archive = npz(&[("ids", npy("<i8", false, &[1], &[0; 8])), ("v", three())]);
    assert_says(&refused(NUMBERED, "m.npz", archive, None), &["3 rows", "`ids` has 1 ids"]);
    let twice = npz(&[("ids", npy("|S1", false, &[3], b"xyx")), ("v", three())]);
    assert_says(&refused(LOG, "m.npz", twice, None), &["item id `x`"]);
}

#[test]
fn features_that_are_not_finite_name_row_and_item() {
    for bad in [f32::NAN, f32::INFINITY] {
        let text = refused(LOG, "m.npy", npy_f32(3, 2, &[1.0, 2.0, 3.0, bad, 5.0, 6.0]), Some("z\ny\nx"));
        assert_says(&text, &["m.npy", "row 2", "item `y`", &bad.to_string()]);
    }
    // Too large for f32.
    let data: Vec<u8> = [1.0, 1e300, 1.0f64].iter().flat_map(|v| v.to_le_bytes()).collect();
    let text = refused(NUMBERED, "m.npy", npy("<f8", false, &[3, 1], &data), None);
    assert_says(&text, &["row 2", "item `1`", "inf"]);
}

#[test]
fn feature_files_that_are_broken() {
    let whole = npy_f32(3, 2, &[1.0; 6]);
    let text = refused(NUMBERED, "m.npy", whole[..whole.len() - 1].to_vec(), None);
    assert_says(&text, &["m.npy", "truncated", "24 bytes", "23"]);
    assert_says(&refused(NUMBERED, "m.npy", whole[..20].to_vec(), None), &["truncated in its header"]);
    assert_says(&refused(NUMBERED, "m.npy", b"what".to_vec(), None), &["bad magic"]);
    assert_says(&refused(NUMBERED, "m.npy", Vec::new(), None), &["m.npy", "bad magic"]);
    let vector = npy("<f4", false, &[3], &[0; 12]);
    assert_says(&refused(NUMBERED, "m.npy", vector, None), &["[3]", "matrix"]);
    let integers = npy("<i4", false, &[3, 1], &[0; 12]);
    assert_says(&refused(NUMBERED, "m.npy", integers, None), &["holds i4"]);
    assert_says(&refused(NUMBERED, "m.npy", npy_f32(0, 4, &[]), None), &["no features"]);
    assert_says(&refused(NUMBERED, "m.npz", b"PK\x03\x04 no".to_vec(), None), &["bad .npz"]);
    assert_says(&refused(NUMBERED, "m.npz", npz(&[("a", whole.clone()), ("b", whole)]), None), &["`a`, `b`"]);
    assert_says(&refused(NUMBERED, "m.parquet", b"PAR1 no PAR1".to_vec(), None), &["bad Parquet"]);
    assert_says(&refused(NUMBERED, "m.safetensors", vec![255; 40], None), &["bad safetensors"]);
    assert_says(&refused(NUMBERED, "m.pt", vec![1], None), &[".npy, .npz, .safetensors, .parquet"]);
}

#[test]
fn neighbours_that_are_broken() {
    let refused = |arrays: &[(&str, Vec<u8>)]| {
        let files = Files::new();
        let mut options = files.options(NUMBERED);
        options.knn = vec![("m".into(), files.write("m.npz", npz(arrays)))];
        files.error(&options)
    };
    let idx = |values: [i32; 3]| npy("<i4", false, &[3, 1], &values.map(i32::to_le_bytes).concat());
    let cos = |values: [f32; 3]| npy("<f4", false, &[3, 1], &f32_bytes(&values));
    let good = [0.5; 3];
    assert_says(&refused(&[("idx", idx([0, 1, 2]))]), &["no array `cos`", "`idx`"]);
    assert_says(&refused(&[("idx", idx([0, 1, 3])), ("cos", cos(good))]), &["row 3", "holds 3", "0 to 2"]);
    let nan = cos([0.5, f32::NAN, 0.5]);
    assert_says(&refused(&[("idx", idx([0, 1, 2])), ("cos", nan)]), &["row 2", "item `1`", "not finite"]);
    let short = npy("<f4", false, &[2, 1], &[0; 8]);
    assert_says(&refused(&[("idx", idx([0, 1, 2])), ("cos", short)]), &["[3, 1]", "[2, 1]"]);
    assert_says(&refused(&[("idx", cos(good)), ("cos", cos(good))]), &["integers and floats"]);
    let two = npy("<i4", false, &[2, 1], &[0; 8]);
    let both = [("idx", two), ("cos", npy("<f4", false, &[2, 1], &[0; 8]))];
    assert_says(&refused(&both), &["2 rows", "3 items"]);
}

#[test]
fn items_files_that_are_broken() {
    let refused = |content: &[u8]| {
        let files = Files::new();
        let options =
            PrepareOptions { items: Some(files.write("items.jsonl", content)), ..files.options(LOG) };
        files.error(&options)
    };
    assert_says(&refused(b"{\"id\": \"x\"}\nnot json\n"), &["items.jsonl:2", "JSON"]);
    assert_says(&refused(b"{\"title\": \"x\"}\n"), &["items.jsonl:1", "no item id", "itemID"]);
    assert_says(&refused(b"[1]\n"), &["items.jsonl:1", "JSON object"]);
    let wrapped = refused(b"{\"products\": [{\"id\": \"x\", \"title\": \"X\"}]}");
    assert_says(&wrapped, &["no item id", "`products` holds the rows", "jq -c '(.products | if type"]);
    let groups = refused(b"{\"group\": \"a\", \"of\": [{\"id\": \"x\"}]}\n{\"group\": \"b\", \"of\": []}\n");
    assert_says(&groups, &["(`group`)", "jq -c 'del(.of) + (.of | if type"]);
    let groups = refused(b"{\"group\": \"a\", \"of\": []}\n{\"group\": \"b\", \"of\": [{\"id\": \"x\"}]}\n");
    assert_says(&groups, &["(`group`)", "jq -c 'del(.of) + (.of | if type"]);
    let columns = refused(b"{\"id\": [\"x\", \"y\"], \"title\": [\"X\", \"Y\"]}\n");
    assert_says(
        &columns,
        &["items.jsonl:1: the columns `id`, `title` are lists of one length", "range([.id, "],
    );
    assert_says(&refused(b"{\"id\": \"\xff\"}\n"), &["items.jsonl:1", "UTF-8"]);
}

#[test]
fn options_that_make_no_sense() {
    let files = Files::new();
    let good = files.options(LOG);
    let path = files.write("m.npy", npy_f32(3, 1, &[1.0; 3]));
    let with = |names: &[&str]| PrepareOptions {
        features: names.iter().map(|n| (n.to_string(), path.clone())).collect(),
        ..good.clone()
    };
    assert_says(&files.error(&with(&["m", "m"])), &["`m` is given twice"]);
    assert_says(&files.error(&with(&["../m"])), &["`feature name`", "../m", "letters"]);
    let ids = vec![("other".to_string(), path.clone())];
    assert_says(&files.error(&PrepareOptions { feature_ids: ids, ..with(&["m"]) }), &["`other`"]);
    let text = "by-hand".parse::<SplitKind>().unwrap_err().to_string();
    assert_says(&text, &["`split` is by-hand", "label, random, leave-one-out, temporal"]);
}

#[test]
fn a_quote_that_is_not_closed_swallows_no_rows() {
    let files = Files::new();
    let rows: String = (0..40).map(|n| format!("{},i{},fine\n", n % 5, n / 5)).collect();
    for (row, broken) in
        [("2,i3,fine", "2,\"i3,fine"), ("2,i3,fine", "2,i3,\"fine"), ("\n4,i7,fine", "\n4,\"i7,fine")]
    {
        assert!(rows.contains(row));
        let log = format!("user,item,comment\n{}", rows.replacen(row, broken, 1));
        let options = PrepareOptions::new(files.write("log.csv", log), files.out());
        let text = files.error(&options);
        assert!(text.contains("a quote is not closed") || text.contains("columns, the header has"), "{text}");
    }
    // Texts of several lines are texts.
    let log = format!(
        "user,item,comment\n{}",
        rows.replacen("2,i3,fine", "2,i3,\"fine\nand, well, red\n\nindeed\"", 1)
    );
    let options = PrepareOptions::new(files.write("log.csv", log), files.out());
    assert_eq!(files.open(&options).0.rows, 40);
}

#[test]
fn a_smallest_rating_is_a_number() {
    let files = Files::new();
    let mut options = files.options(LOG);
    options.min_rating = Some(f32::NAN);
    assert!(files.error(&options).contains("min-rating"));
}
