//! Whatever a log is written in, the same data come out; what is not read is called by its name.

use std::path::Path;

use crate::data_files::kinds::*;
use crate::data_files::*;
use alike::data::{PrepareOptions, TextOptions};

#[test]
fn packed_files_are_unpacked_whatever_they_are_called() {
    let zst = zstd::encode_all(TABLE.as_bytes(), 1).unwrap();
    let files = Files::new();
    let path = files.write("shop.csv.gz", gzip(TABLE.as_bytes()));
    assert_eq!(files.open(&options(&files, &path)).0.name, "shop");
    assert_reads("log.csv.gz", &gzip(TABLE.as_bytes()), plain());
    assert_reads("log", &gzip(TABLE.as_bytes()), plain());
    assert_reads("log.csv.zst", &zst, plain());
    let two = [gzip(&TABLE.as_bytes()[..60]), gzip(&TABLE.as_bytes()[60..])].concat();
    assert_reads("members.gz", &two, plain());
    assert_reads("json.gz", &gzip(objects().join("\n").as_bytes()), plain());
    let whole = gzip(TABLE.as_bytes());
    let cut = ["cut.gz", "so the file is cut", "download or copy it again"];
    assert_says(&refused("cut.gz", &whole[..whole.len() - 12], plain()), &cut);
    assert_says(&refused("cut.gz", &zst[..zst.len() - 12], plain()), &cut);
    assert_says(
        &refused("rest.gz", &[&whole[..], b"and what is no gzip"].concat(), plain()),
        &["rest.gz", "gzip data are damaged"],
    );
    assert_says(&refused("often.gz", &gzip(&gzip(&gzip(b"x"))), plain()), &["packed several times"]);
}

#[test]
fn text_of_other_systems_is_read() {
    let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    assert_reads("excel.txt", &wide(&format!("\u{feff}{}", TABLE.replace(',', "\t"))), plain());
    let encoding = |name: &str| TextOptions { encoding: Some(name.into()), ..plain() };
    assert_reads("no_mark.txt", &wide(TABLE), encoding("utf-16le"));
    assert_says(&refused("no_mark.txt", &wide(TABLE), plain()), &["zero bytes", "--encoding utf-16le"]);
    assert_reads("mac.csv", TABLE.replace('\n', "\r").as_bytes(), plain());
    assert_reads("sep.csv", format!("sep=;\r\n{}", TABLE.replace(',', ";")).as_bytes(), plain());
    assert_reads("comment.csv", format!("# made today, by hand\n# twice\n{TABLE}").as_bytes(), plain());
    let latin = TABLE.replace(",x,", ",\u{fc},").chars().map(|c| c as u8).collect::<Vec<u8>>();
    assert_says(
        &refused("latin.csv", &latin, plain()),
        &["latin.csv:2", "not UTF-8", "--encoding windows-1252"],
    );
    assert_reads("latin.csv", &latin, encoding("latin1"));
    assert_says(&refused("log.csv", TABLE.as_bytes(), encoding("klingon")), &["`encoding` is klingon"]);
}

#[test]
fn text_of_any_encoding_is_looked_at_once_it_is_decoded() {
    let wide =
        |text: &str| format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    assert_reads("log.jsonl", &wide(&objects().join("\n")), plain());
    assert_reads("log.json", &wide(&format!("[{}]", objects().join(","))), plain());
    assert_reads("log.txt", &wide(&TABLE.replace('\n', "\r")), plain());
    // UTF-8 that leaves ASCII late is no other encoding.
    let many: String = (0..9000).map(|n| format!("user{},item{n},{}\n", n / 3, n % 3)).collect();
    let text = TextOptions { encoding: Some("windows-1252".into()), ..plain() };
    let files = Files::new();
    let log = format!("user,item,x_label\n{many}Müller,x,0\nMüller,y,1\nMüller,z,2\n");
    let data = files.open(&PrepareOptions { text, ..options(&files, &files.write("log.csv", log)) }).1;
    assert!(data.users.get("Müller").is_some());
}

#[test]
fn a_row_without_an_end_is_refused() {
    let endless = "x".repeat(20 << 20);
    let longest = "is longer than 16 MiB";
    let said = refused("log.csv", format!("{TABLE}a,{endless}").as_bytes(), plain());
    assert_says(&said, &["log.csv:11", longest]);
    let tabs = TABLE.replace(',', "\t");
    assert_says(
        &refused("log.tsv", format!("{tabs}a\t{endless}").as_bytes(), plain()),
        &["log.tsv:11", longest],
    );
    let object = format!("{}\n{{\"user_id\": \"{endless}\"}}", objects()[0]);
    assert_says(&refused("log.jsonl", object.as_bytes(), plain()), &["log.jsonl:2", longest]);
    let array = format!("[{},{{\"user_id\": \"{endless}\"}}]", objects()[0]);
    assert_says(&refused("log.json", array.as_bytes(), plain()), &["log.json:2", longest]);
}

#[test]
fn endings_in_capitals_are_endings() {
    assert_reads("LOG.JSONL", objects().join("\n").as_bytes(), plain());
    let files = Files::new();
    let path = files.write("SHOP.CSV.GZ", gzip(TABLE.as_bytes()));
    assert_eq!(files.open(&options(&files, &path)).0.name, "SHOP");
}

/// Programs that keep numbers with gaps as floats write `7.0`.
#[test]
fn whole_floats_in_json_are_the_ids_that_they_stand_for() {
    let rows = "{\"user\": 7.0, \"item\": 1, \"split\": 0}\n{\"user\": 7, \"item\": 2.0, \"split\": 1}\n\
                {\"user\": 7, \"item\": 1.5, \"split\": 2.0}\n";
    let files = Files::new();
    let data = files.open(&options(&files, &files.write("log.jsonl", rows))).1;
    assert_eq!(data.users.names().collect::<Vec<_>>(), ["7"]);
    assert_eq!(data.items.names().collect::<Vec<_>>(), ["1", "2", "1.5"]);
}

#[test]
fn json_logs_are_read() {
    let objects = objects();
    assert_reads("log.jsonl", objects.join("\n").as_bytes(), plain());
    assert_reads("log.txt", format!("\u{feff}\n{}\n\n", objects.join("\r\n\r\n")).as_bytes(), plain());
    assert_reads("log.json", format!("[\n{}]\n", objects.join(",\n")).as_bytes(), plain());
    let many: Vec<String> = (0..1500)
        .map(|i| format!("{{\"user\": \"u{}\", \"item\": {}, \"x_label\": {}}}", i / 3, i, i % 3))
        .collect();
    let files = Files::new();
    let (report, data) = files.open(&options(&files, &files.write("many.jsonl", many.join("\n"))));
    assert_eq!((report.rows, report.interactions), (1500, [500, 500, 500]));
    assert!(data.items.get("1499").is_some());

    let with = |line: &str| format!("{}\n{line}\n", objects[0]);
    let cases = [
        (with("{'user_id': 'a', 'item_id': 'x'}"), vec!["log.json:2", "Python dict", "ast.literal_eval"]),
        (with("{\"user_id\": NaN}"), vec!["log.json:2", "NaN", "write null"]),
        (with("7"), vec!["log.json:2", "is no JSON object but a number"]),
        (with("null"), vec!["log.json:2", "is null", "jq -c values FILE"]),
        (format!("[{}, null]", objects[0]), vec!["log.json:2", "is null", "jq -c '.[] | values' FILE"]),
        ("{\n  \"user_id\": 1\n}\n".into(), vec!["log.json:1", "one object a line", "jq -c"]),
        (format!("[{}, 5]", objects[0]), vec!["log.json:2", "is a number, no JSON object", "array of objects"]),
        (with("{\"item_id\": \"x\"}"), vec!["log.json:2", "column `user_id` is empty"]),
        ("{}\n".into(), vec!["no objects with keys"]),
        (with("{\"user_id\": \"a\""), vec!["log.json:2", "cut", "download or copy it again"]),
        (with("{\"user_id\": None}"), vec!["log.json:2", "Python's words", "write null"]),
        (format!("[{}", objects.join(",")), vec!["the array does not end", "cut"]),
        (
            "[{'user_id': 'a', 'item_id': 1}]".into(),
            vec!["log.json:1", "Python list of dicts", "ast.literal_eval"],
        ),
        (
            format!("{{\"data\": [{}]}}", objects.join(",")),
            vec!["`data` holds the rows", "jq -c '(.data | if type == \"array\" then .[] else . // empty end)' FILE"],
        ),
        (
            format!("{{\n  \"all\": 9,\n  \"my rows\": [\n{}]\n}}", objects.join(",\n")),
            vec!["jq -c '(.\"my rows\" | if type"],
        ),
        // A user beside their items is kept, and whatever differs between objects.
        (
            "{\"user\": \"a\", \"seen\": [{\"item\": 1}, {\"item\": 2}]}\n".into(),
            vec!["each with what is beside them (`user`)", "jq -c 'del(.seen) + (.seen | if type == \"array\" then .[] else . // empty end)' FILE"],
        ),
        (
            "{\n  \"user\": \"a\",\n  \"seen\": [\n    {\"item\": 1}\n  ]\n}\n".into(),
            vec!["log.json:1", "jq -c 'del(.seen) + (.seen | if type == \"array\" then .[] else . // empty end)' FILE"],
        ),
        (
            "[{\"user\": \"a\", \"seen\": [{\"item\": 1}]}]\n".into(),
            vec!["jq -c '.[] | del(.seen) + (.seen | if type == \"array\" then .[] else . // empty end)' FILE"],
        ),
        (
            "{\"who\": \"a\", \"id\": 1, \"seen\": [{\"id\": 7}]}\n{\"who\": \"b\", \"id\": 2, \"seen\": []}\n".into(),
            vec!["jq -c '{\"outer_id\": .id} + del(.seen, .id) + (.seen | if type == \"array\" then .[] else . // empty end)' FILE"],
        ),
        (
            "{\"event\": {\"user\": 1, \"item\": 2}}\n".into(),
            vec!["`event` holds objects", "jq -c 'del(.event) + (.event | objects // {})' FILE"],
        ),
        (
            "{\"user\": {\"$oid\": \"a\"}, \"item\": 2, \"x_label\": 0}\n".into(),
            vec![
                "log.json:1",
                "column `user` holds an object (of `$oid`)",
                "jq -c '.user = .user.\"$oid\"' FILE",
            ],
        ),
        (
            "[{\"user\": {\"id\": 7}, \"item\": 2, \"x_label\": 0}]\n".into(),
            vec!["jq -c '.[] | .user = .user.id' FILE"],
        ),
        (
            "{\"user\": 7, \"item\": [1, 2], \"x_label\": 0}\n".into(),
            vec![
                "column `item` holds a list",
                "jq -c '.item = (.item | if type == \"array\" then .[] else . end)' FILE",
            ],
        ),
        // Who took nothing yet comes first; the keys are users; a key that a shell would take apart.
        (
            "{\"user\": \"a\", \"seen\": null}\n{\"user\": \"b\", \"seen\": [{\"item\": 1}]}\n".into(),
            vec!["jq -c 'del(.seen) + (.seen | if type == \"array\" then .[] else . // empty end)' FILE"],
        ),
        (
            "{\"u1\": [{\"item\": 1}], \"u2\": [{\"item\": 2}]}\n".into(),
            vec!["listed by key (`u1`, `u2`, …)", "jq -c 'to_entries[] | {\"user\": .key} + (.value | if type == \"array\" then .[] else . // empty end)' FILE"],
        ),
        (
            "[{\"who's\": {\"user\": 1, \"item\": 2}}]\n".into(),
            vec!["jq -c '.[] | del(.\"who\\u0027s\") + (.\"who\\u0027s\" | objects // {})' FILE"],
        ),
        (objects.concat(), vec!["log.json:1", "several objects stand in one line", "jq -c . FILE"]),
        (objects.join(",\n"), vec!["log.json:1", "a comma stands between", "sed "]),
        ("user,item\n1,2\n".into(), vec!["log.json:1", "JSON object"]),
    ];
    for (content, says) in cases {
        assert_says(&refused("log.json", content.as_bytes(), plain()), &says);
    }
    assert_says(&refused("log.json", b"{'user': 1}\n", plain()), &["Python dict"]);
}

/// Files of JSON in which the rows are something else than objects, one after another.
#[test]
fn json_of_columns_and_lists_names_the_command_that_makes_rows_of_it() {
    let cases = [
        (
            "{\"user\": [\"a\", \"a\", \"b\"], \"item\": [1, 2, 3], \"x_label\": 0}",
            vec!["`item`, `user` are lists of one length", "jq -c 'range([.item, .user | "],
        ),
        (
            "[{\"user\": \"a\", \"item\": [1, 2], \"rating\": [5, 4], \"x_label\": 0}]",
            vec!["`item`, `rating` are lists of one length", "jq -c '.[] | range([.item, .rating | "],
        ),
        (
            "{\"user\": [\"a\", \"b\"], \"item\": [1, 2, 3], \"x_label\": 0}",
            vec!["`user` holds a list of 2 and `item` one of 3", "an object for each row"],
        ),
        (
            "{\"user\": {\"0\": \"a\", \"1\": \"b\"}, \"item\": {\"0\": 1, \"1\": 2}, \"x_label\": 0}",
            vec!["to_json(…, orient=\"records\", lines=True)", "jq -c '(.item | keys_unsorted[]) as $n | "],
        ),
        ("[[\"user\", \"item\"], [\"a\", 1]]", vec!["log.json:1", "jq -c '.[0] as $names | .[1:][] | "]),
        ("[[\"a\", 1], [\"b\", 2]]", vec!["rows are lists without names", "jq -c '.[] | {\"user\": .[0], "]),
        ("[\"user\", \"item\"]\n[\"a\", 1]\n", vec!["jq -c '. as $names | inputs | [$names, .]"]),
        (
            "{\"columns\": [\"user\", \"item\"], \"data\": [[\"a\", 1]], \"index\": [0]}",
            vec!["`data` holds the rows as lists", "jq -c '.columns as $names | .data[] | "],
        ),
        (
            "{\"u0\": [[\"i1\", 5]]}",
            vec!["{\"user\": .key} + (.value[]? | {\"item\": .[0], \"rating\": .[1]})"],
        ),
        ("{\"u0\": [\"a\", null], \"u1\": [\"b\"]}", vec!["{\"user\": .key, \"item\": (.value | "]),
        (
            "{\"likes\": {\"u0\": [\"a\"], \"u1\": [\"b\"]}}",
            vec!["in `likes` the rows are listed by key", "jq -c '.likes // {} | to_entries[] | "],
        ),
    ];
    for (content, says) in cases {
        assert_says(&refused("log.json", content.as_bytes(), plain()), &says);
    }
}

#[test]
fn what_is_not_read_is_called_by_its_name() {
    let tar = [&[b'n'; 257][..], b"ustar\0", &[0; 300]].concat();
    let wide = |text: &str| text.chars().flat_map(|c| (c as u32).to_le_bytes()).collect::<Vec<u8>>();
    let (marked, bare) = (wide("\u{feff}user"), wide("user,item\n"));
    let cases: [(&[u8], &str); 13] = [
        (b"<!DOCTYPE html><html>", "a web page"),
        (&tar, "a tar archive; unpack it (`tar -xf FILE`)"),
        (&gzip(&tar), "a tar archive"),
        (&marked, "UTF-32; write it as UTF-8 (`iconv"),
        (&bare, "UTF-32; write it as UTF-8 (`iconv"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
            "a Git LFS pointer, not the file itself",
        ),
        (b"PK\x03\x04\x14\0log.csv", "zip archive"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "Excel"),
        (b"SQLite format 3\0", "SQLite"),
        (b"BZh91AY", "bunzip2"),
        (b"\x80\x04\x95", "pickle"),
        (b"\x93NUMPY\x01\0", "NumPy"),
        (b"a\0b\0", "zero bytes"),
    ];
    for (content, says) in cases {
        assert_says(&refused("log.csv", content, plain()), &["log.csv", says]);
    }
    let files = Files::new();
    let features = vec![("m".into(), files.write("m.pt", b"\x80\x02}q"))];
    assert_says(
        &files.error(&PrepareOptions { features, ..files.options(LOG) }),
        &["m.pt", "pickle", ".npy"],
    );
}

#[test]
fn folders_of_part_files_are_one_table() {
    let files = Files::new();
    let folder = files.base.path().join("log");
    let write = |name: &str, content: &[u8]| {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    };
    let lines: Vec<&str> = TABLE.split_inclusive('\n').collect();
    let part = |range: std::ops::Range<usize>| [lines[0], &lines[range].concat()].concat();
    write("part-00000.csv", part(1..4).as_bytes());
    write("part-00001.csv.gz", &gzip(part(4..7).as_bytes()));
    write("day=2/part-00002.csv", part(7..10).as_bytes());
    write("part-00003.csv", b"");
    write("_SUCCESS", b"");
    write(".part-00000.csv.crc", b"crc");
    write("notes.txt", b"no table");
    let (report, data) = files.open(&options(&files, &folder));
    assert_eq!((report.rows, report.interactions), (9, [3, 3, 3]));
    assert_eq!(items_of(&data, &data.test, "c"), ["y"]);

    // Columns in another order are the same columns.
    let turned = |line: &str| line.trim_end().split(',').rev().collect::<Vec<_>>().join(",") + "\n";
    write(
        "part-00001.csv.gz",
        &gzip(part(4..7).split_inclusive('\n').map(turned).collect::<String>().as_bytes()),
    );
    assert_eq!(files.open(&options(&files, &folder)).0.hash, report.hash);

    write("part-00001.csv", part(4..7).replace("item_id", "product").as_bytes());
    assert_says(&files.error(&options(&files, &folder)), &["part-00001.csv", "other columns", "`item_id`"]);
    write("part-00001.csv", part(4..7).replace("b,z,4", "b,z").as_bytes());
    assert_says(&files.error(&options(&files, &folder)), &["part-00001.csv:3", "4 columns"]);
    // Programs leave out keys that are null, in a whole part, too.
    let objects_in = files.base.path().join("objects");
    std::fs::create_dir(&objects_in).unwrap();
    let lines = objects();
    let without = |line: &String| line.replace("\"rating\": 5, ", "").replace("\"rating\": 4, ", "");
    let first = lines[..2].iter().map(without).collect::<Vec<_>>().join("\n");
    std::fs::write(objects_in.join("part-0.json"), first).unwrap();
    std::fs::write(objects_in.join("part-1.json"), lines[2..].join("\n")).unwrap();
    let (left_out, _) = files.open(&options(&files, &objects_in));
    assert_eq!((left_out.rows, left_out.interactions), (9, [3, 3, 3]));
    let rated = PrepareOptions { min_rating: Some(1.0), ..options(&files, &objects_in) };
    assert_says(&files.error(&rated), &["part-0.json:1", "column `rating`"]);
    let empty = files.base.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    assert_says(&files.error(&options(&files, &empty)), &["a folder without files"]);
    assert_says(&files.error(&options(&files, &files.out())), &["a prepared folder already"]);
}

#[cfg(unix)]
#[test]
fn pipes_are_read_from_their_start_and_devices_are_refused() {
    let files = Files::new();
    let numbered = gzip(TABLE.as_bytes());
    for (name, content) in [("text", TABLE.as_bytes()), ("packed", &numbered)] {
        let path = files.base.path().join(name);
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let (to, content) = (path.clone(), content.to_vec());
        let writer = std::thread::spawn(move || std::fs::write(to, content).unwrap());
        assert_eq!(files.open(&options(&files, &path)).0.rows, 9);
        writer.join().unwrap();
    }
    for device in ["/dev/zero", "/dev/null"] {
        assert_says(&files.error(&options(&files, Path::new(device))), &[device, "is a device"]);
        let items = Some(device.into());
        assert_says(&files.error(&PrepareOptions { items, ..files.options(LOG) }), &[device, "is a device"]);
    }
}
