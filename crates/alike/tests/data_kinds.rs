//! Whatever a log is written in, the same data come out; what is not read is called by its name.
#![allow(clippy::unwrap_used)]

mod data_files;

use std::io::Write;
use std::path::Path;

use alike::data::{PrepareOptions, SplitKind, TextOptions};
use data_files::*;

/// As [`LOG`], with commas and integer times.
const TABLE: &str = "user_id,item_id,rating,timestamp,x_label\n\
    a,x,5,1,0\na,y,4,2,1\na,z,3,3,2\nb,y,5,4,0\nb,z,4,5,1\nb,x,3,6,2\nc,z,5,7,0\nc,x,4,8,1\nc,y,3,9,2\n";

/// [`TABLE`] with an object for each row.
fn objects() -> Vec<String> {
    let header: Vec<&str> = TABLE.lines().next().unwrap().split(',').collect();
    let object = |line: &str| {
        let cells = header.iter().zip(line.split(','));
        let pair = |(key, value): (&&str, &str)| match value.parse::<u32>() {
            Ok(number) => format!("\"{key}\": {number}"),
            Err(_) => format!("\"{key}\": \"{value}\""),
        };
        format!("{{{}, \"review\": {{\"text\": \"a, b\"}}}}", cells.map(pair).collect::<Vec<_>>().join(", "))
    };
    TABLE.lines().skip(1).map(object).collect()
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(content).unwrap();
    out.finish().unwrap()
}

fn options(files: &Files, path: &Path) -> PrepareOptions {
    PrepareOptions { split: SplitKind::Label, ..PrepareOptions::new(path, files.out()) }
}

/// Prepares `content` as a file `name` and checks that it is [`TABLE`].
#[track_caller]
fn assert_reads(name: &str, content: &[u8], text: TextOptions) {
    let files = Files::new();
    let path = files.write(name, content);
    let (report, data) = files.open(&PrepareOptions { text, ..options(&files, &path) });
    assert_eq!(
        (report.users, report.items, report.interactions, report.rows),
        (3, 3, [3, 3, 3], 9),
        "{name}"
    );
    assert_eq!(
        (items_of(&data, &data.train, "b"), items_of(&data, &data.test, "c")),
        (vec!["y".into()], vec!["y".into()])
    );
}

/// The error of `content` as a file `name`.
#[track_caller]
fn refused(name: &str, content: &[u8], text: TextOptions) -> String {
    let files = Files::new();
    let path = files.write(name, content);
    files.error(&PrepareOptions { text, ..options(&files, &path) })
}

#[track_caller]
fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
}

fn plain() -> TextOptions {
    TextOptions::default()
}

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
fn any_sign_may_separate_columns() {
    for sign in ["::", "   ", " "] {
        assert_reads("log.dat", TABLE.replace(',', sign).as_bytes(), plain());
    }
    for (name, sign) in [("^", "^"), ("||", "||"), ("tab", "\t"), ("blanks", " \t ")] {
        let text = TextOptions { delimiter: Some(name.into()), ..plain() };
        assert_reads("log.dat", TABLE.replace(',', sign).as_bytes(), text);
    }
    assert_says(
        &refused("log.dat", TABLE.replace(',', "^").as_bytes(), plain()),
        &["log.dat:1", "--delimiter"],
    );
    let none = TextOptions { delimiter: Some(String::new()), ..plain() };
    assert_says(&refused("log.dat", b"", none), &["`delimiter`", "`tab`, `blanks`"]);
    let short = TABLE.replace(',', "::").replace("b::z::4::5::1", "b::z::4");
    assert_says(
        &refused("log.dat", short.as_bytes(), plain()),
        &["log.dat:6", "3 columns, the header has 5"],
    );
    let escaped =
        TABLE.replace(',', ";").replace("x_label", "x_label;title").replace("\n", ";\"a \\\"b\\\"; c\"\n");
    assert_reads("escaped.csv", escaped.replacen(";\"a \\\"b\\\"; c\"", "", 1).as_bytes(), plain());
}

#[test]
fn a_first_row_of_data_is_not_lost() {
    let rows = TABLE.split_once('\n').unwrap().1;
    for sign in [",", "\t", "::"] {
        let rows = rows.replace(',', sign);
        let text = refused("log.dat", rows.as_bytes(), plain());
        assert_says(
            &text,
            &["log.dat:1", "looks like data", "`5`", "--no-header --columns user,item,rating,time"],
        );
        let names = |names: &str| TextOptions {
            no_header: true,
            names: names.split(',').map(String::from).collect(),
            ..plain()
        };
        assert_reads("log.dat", rows.as_bytes(), names("user,item,rating,time,x_label"));
        assert_reads("log.dat", rows.as_bytes(), names("user,item,_,_,x_label"));
        let text = refused("log.dat", rows.as_bytes(), names("user,item"));
        assert_says(&text, &["has 5 columns, `--columns` names 2", "`_`"]);
        let lines = TextOptions { skip_lines: 1, ..names("user,item,rating,time,x_label") };
        assert_reads("log.dat", format!("0 1 2 3 4\n{rows}").as_bytes(), lines);
        // A comment above the rows that names as many columns is their header.
        let comment = TABLE.lines().next().unwrap().replace(',', sign);
        assert_reads("log.dat", format!("# {comment}\n{rows}").as_bytes(), plain());
    }
    // Without names the columns are numbers.
    let files = Files::new();
    let path = files.write("log.csv", rows);
    let mut numbered = options(&files, &path);
    numbered.text.no_header = true;
    assert_says(&files.error(&numbered), &["no column looks like user ids", "`1`, `2`, `3`, `4`, `5`"]);
    numbered.columns.user = "1".into();
    numbered.columns.item = "2".into();
    numbered.columns.label = "5".into();
    assert_eq!(files.open(&numbered).0.rows, 9);
    // Words only: one of them comes again right below, or later.
    let mut words =
        PrepareOptions::new(files.write("words.csv", "ann,tea\nann,milk\nbob,tea\n"), files.out());
    words.columns.user = "ann".into();
    words.columns.item = "tea".into();
    assert_says(&files.error(&words), &["words.csv:1", "`ann` comes again below it", "--no-header"]);
    let late: String = (0..200).map(|n| format!("u{n},i{n}\n")).collect();
    words.interactions = files.write("words.csv", format!("ann,tea\n{late}ann,milk\n"));
    assert_says(&files.error(&words), &["column `ann` holds `ann` too", "--no-header"]);
    for row in
        ["zoe,harp,06.05.2014", "zoe,harp,5/6/14 6:28 PM", "zoe,harp,\"4,5\"", "zoe,harp,Movie,2014-01-01"]
    {
        words.interactions = files.write("dated.csv", format!("{row}\n{}\n", row.replace("zoe,harp", "u,i")));
        assert_says(&files.error(&words), &["dated.csv:1", "looks like data"]);
    }
    // A catalogue, too, has a first row.
    let items = files.write("movies.dat", "x::Red::Drama\ny::Blue::Drama\nz::White::Drama\n");
    let catalogue = PrepareOptions { items: Some(items), ..files.options(LOG) };
    assert_says(
        &files.error(&catalogue),
        &["movies.dat:1", "`Drama` comes again", "first line with the names"],
    );
    // A comment above rows of words that names users or items is their header.
    let words = "#user_id,item_id,split\na,x,train\na,y,valid\na,z,test\n";
    let path = files.write("named.csv", words);
    assert_eq!(files.open(&options(&files, &path)).0.rows, 3);
    let json = objects().join("\n");
    let text = TextOptions { no_header: true, ..plain() };
    assert_says(&refused("log.jsonl", json.as_bytes(), text), &["has names for its columns", "--no-header"]);
    let contradiction = TextOptions { names: vec!["user".into()], ..plain() };
    assert_says(
        &refused("log.csv", rows.as_bytes(), contradiction),
        &["`--columns` is for one without (`--no-header`)", "`--column ROLE=NAME`"],
    );
}

/// Lines of a user and all their items, as LightGCN and its kin have them.
#[test]
fn lines_of_lists_are_told_from_tables() {
    let says = ["a user and their items", "awk", "--no-header --columns user,item"];
    assert_says(&refused("train.txt", b"0 11 12 13\n1 14\n2 11 12\n", plain()), &says);
    assert_says(&refused("train.txt", b"0\t11\t12\n1\t14\n2\t11\n", plain()), &says);
    let bare = TextOptions { no_header: true, ..plain() };
    let numbered = |text: TextOptions| {
        let files = Files::new();
        let mut options = options(&files, &files.write("train.txt", "0 11 12\n1 14\n"));
        (options.columns.user, options.columns.item, options.text) = ("1".into(), "2".into(), text);
        options.split = SplitKind::Random;
        files.error(&options)
    };
    assert_says(&numbered(bare), &["train.txt:2: 2 columns, the first row has 3", says[0], says[1]]);
    // Three columns everywhere are a table.
    assert_says(&refused("log.txt", b"0 11 12\n1 14 15\n", plain()), &["--columns user,item,rating,time"]);
}

#[test]
fn quotes_around_a_field_go_whatever_the_delimiter() {
    let quoted = |sign: &str| {
        let row =
            |line: &str| line.split(',').map(|f| format!("\"{f}\"")).collect::<Vec<_>>().join(sign) + "\n";
        TABLE.lines().map(row).collect::<String>()
    };
    for sign in [",", ";", "\t", "::", " ", ", "] {
        assert_reads("log.txt", quoted(sign).as_bytes(), plain());
    }
    // The delimiter, and an end of line, in a name and in a text.
    for (sign, between) in [(",", ", "), (";", ",,,,,, "), ("\t", "\t"), (",", "\n"), ("::", "::")] {
        let text = TABLE.replace(',', sign).replace("rating", &format!("\"rating{between}1 to 5\""));
        let text =
            text.replace(&format!("a{sign}x{sign}5"), &format!("a{sign}x{sign}\"5{between}\"\"good\"\"\""));
        assert_reads("log.txt", text.as_bytes(), plain());
    }
    // The text at the end of a row goes on over lines, and a lone quote does not.
    let long =
        TABLE.replace(',', "\t").replace("label\n", "label\ttext\n").replace("\t0\n", "\t0\t5\" long\n");
    let long = long.replace("\t1\n", "\t1\t\"a\n b\n\"\n").replace("\t2\n", "\t2\t\"x\n");
    assert_reads("log.tsv", long.as_bytes(), plain());
    let bare = TextOptions {
        no_header: true,
        names: ["user", "item", "x_label", "_"].map(String::from).into(),
        ..plain()
    };
    let files = Files::new();
    let path = files.write("log.csv", "\"Doe, a\",x,0,n\n\"Doe, a\",y,1,n\n\"Doe, a\",z,2,n\n");
    let (_, data) = files.open(&PrepareOptions { text: bare, ..options(&files, &path) });
    assert_eq!(data.users.names().collect::<Vec<_>>(), ["Doe, a"]);
}

#[test]
fn what_programs_write_around_the_rows_is_none_of_them() {
    for first in ["\"sep=;\"", "SEP=;", "sep=;;;;;"] {
        assert_reads("log.csv", format!("{first}\n{}", TABLE.replace(',', ";")).as_bytes(), plain());
    }
    assert_reads("log.csv", format!("{TABLE}   \n\n").as_bytes(), plain());
    assert_reads("log.tsv", format!("{}   \n", TABLE.replace(',', "::")).as_bytes(), plain());
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
        (with("7"), vec!["log.json:2", "is no JSON object"]),
        ("{\n  \"user_id\": 1\n}\n".into(), vec!["log.json:1", "one object a line", "jq -c"]),
        (format!("[{}, 5]", objects[0]), vec!["log.json:1", "array of objects"]),
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
            vec!["`data` holds the rows", "jq -c '.data[]' FILE"],
        ),
        (
            format!("{{\n  \"all\": 9,\n  \"my rows\": [\n{}]\n}}", objects.join(",\n")),
            vec!["jq -c '.\"my rows\"[]'"],
        ),
        (
            "{\"event\": {\"user\": 1, \"item\": 2}}\n".into(),
            vec!["`event` holds objects", "jq -c '. + .event' FILE"],
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
            vec!["column `item` holds a list", "jq -c '.item = .item[]' FILE"],
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
