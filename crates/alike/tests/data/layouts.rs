//! How delimited text may be laid out: delimiters, quotes, first rows, comments, what programs write around
//! rows.

use crate::data_files::kinds::*;
use crate::data_files::*;
use alike::data::{PrepareOptions, SplitKind, TextOptions};

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
    for (sign, between) in [
        (",", ", "),
        (";", ",,,,,, "),
        ("\t", "\t"),
        (",", "\n"),
        ("::", "::"),
        ("\t", "\n"),
        ("\t", "\t\n"),
        ("\t", "\t\t\nas many: "),
        ("\t", "\t\t\t\t\nmore: "),
        ("::", "\n\n"),
    ] {
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

/// Names of many columns may hold other signs than the one between them.
#[test]
fn the_delimiter_is_the_one_that_parts_the_rows() {
    let wide = |line: &str, more: &str| line.split(',').collect::<Vec<_>>().join(";") + more;
    let mut lines = TABLE.lines();
    let mut text = wide(lines.next().unwrap(), ";size, colour, cut, cloth, care, made in") + "\n";
    lines.for_each(|line| text += &wide(line, ";\"M, red\nor, as some say, pink\"\n"));
    assert_reads("wide.csv", text.as_bytes(), plain());
    // Bars are more frequent and part the rows alike, too, but not into columns with usual names.
    let barred = TABLE.replace('\n', ",1|2|3|4|5|6|7\n").replacen(",1|2|3|4|5|6|7", ",p|q|r|s|t|u|v", 1);
    assert_reads("barred.csv", barred.as_bytes(), plain());
    // Where no name tells, the report says what was taken.
    let files = Files::new();
    let log = "who,what,part,p|q\na,x,0,1|2\na,y,1,1|2\na,z,2,1|2\n";
    let mut near = options(&files, &files.write("near.csv", log));
    near.columns.user = "who".into();
    near.columns.item = "what".into();
    near.columns.label = "part".into();
    let notes = files.open(&near).0.notes;
    let said = "`,` is taken for the delimiter; `|` parts the rows alike, too (`--delimiter '|'` takes it)";
    assert!(notes.iter().any(|note| note == said), "{notes:?}");
}

/// Between tabs a quote is mostly text, such as a sign of inches.
#[test]
fn quotes_between_tabs_hold_lines_together_where_no_row_is_lost() {
    let log = |texts: [&str; 3]| {
        let rows = [("x", 0), ("y", 1), ("z", 2)].iter().zip(texts);
        let rows: String = rows.map(|((item, label), text)| format!("a\t{item}\t{label}{text}\n")).collect();
        format!("user\titem\tx_label\ttext\n{rows}")
    };
    let rows = |texts: [&str; 3]| {
        let files = Files::new();
        let path = files.write("log.tsv", log(texts));
        files.open(&options(&files, &path)).0.rows
    };
    // A text in the last column goes on over lines: empty ones, and ones with as many tabs as a row.
    for text in [
        "\t\"one\ntwo\"",
        "\t\"one\n\ntwo\"",
        "\t\"\n\n\n\"",
        "\t\"see\n1\t2\t3\t4\nend\"",
        "\t\"see\n\n1\t2\t3\t4\n\nend\"",
        "\t\"one\ntwo\tthree\"",
    ] {
        assert_eq!(rows([text, text, text]), 3, "{text}");
        assert_eq!(rows(["\tfine", text, "\t12\" disk"]), 3, "{text}");
    }
    // Quotes in rows of one line are text.
    let texts = ["\t12\" disk", "\t\"Best of\" x", "\t\"lone", "\t\"", "\tof 6\"", "\t\"whole\""];
    for first in texts {
        for second in texts {
            assert_eq!(rows([first, second, first]), 3, "{first} {second}");
        }
    }
    // A short row after a lone quote is refused, and not taken for a part of a text.
    let text = refused("log.tsv", log(["\t\"lone", "", "\tof 6\""]).as_bytes(), plain());
    assert_says(&text, &["log.tsv:3: 3 columns, the header has 4"]);
    let short = |row: &str| log(["\tfine"; 3]).replacen("a\ty\t1\tfine\n", row, 1);
    let text = refused("log.tsv", short("a\t\"y\n").as_bytes(), plain());
    assert_says(&text, &["log.tsv:3: column `item`", "a quote is not closed"]);
    // What closes the quote is in the middle of a field of another line.
    let text = refused("log.tsv", short("a\t\"y\t1\nb\" c\td\n").as_bytes(), plain());
    assert_says(&text, &["log.tsv:3: column `item`", "a quote is not closed"]);
    let text = refused("log.tsv", (log(["\tfine"; 3]) + "b\t\"x").as_bytes(), plain());
    assert_says(&text, &["log.tsv:5: 2 columns, the header has 4: is the file cut off here?"]);
}

/// As collections of networks and of sparse matrices write it.
#[test]
fn comments_above_the_rows_are_counted_and_no_row_is_taken_for_one() {
    let notes = |content: &str, text: &TextOptions| {
        let files = Files::new();
        let path = files.write("out.log", content);
        files.open(&PrepareOptions { text: text.clone(), ..options(&files, &path) }).0.notes
    };
    let said = |notes: &[String], text: &str| assert!(notes.iter().any(|n| n == text), "{notes:?}");
    let (header, rows) = TABLE.split_once('\n').unwrap();
    let (header, rows) = (header.replace(',', " "), rows.replace(',', " "));
    let bare = TextOptions {
        no_header: true,
        names: ["user", "item", "rating", "time", "x_label"].map(String::from).into(),
        ..plain()
    };
    let sizes = format!("% bip posweighted\n% 9 3 3 2 1\n{rows}");
    assert_reads("out.log", sizes.as_bytes(), bare.clone());
    said(&notes(&sizes, &bare), "2 comment lines above the table passed over");
    assert_says(&refused("out.log", sizes.as_bytes(), plain()), &["out.log:3", "looks like data"]);
    let matrix = format!("%%MatrixMarket matrix coordinate real general\n3 3 9\n{rows}");
    assert_reads("out.log", matrix.as_bytes(), bare.clone());
    said(&notes(&matrix, &bare), "1 comment line above the table passed over");
    said(&notes(&matrix, &bare), "the line with the sizes of the matrix passed over");
    // The last comment is the header where it names columns, and not counted then.
    let named = format!("# made today\n%{header}\n{rows}");
    assert_reads("out.log", named.as_bytes(), plain());
    said(&notes(&named, &plain()), "1 comment line above the table passed over");
    // Nothing above the rows, nothing to say; below the header a sign starts an id.
    let ids = format!("{header}\n{rows}").replace("\nc ", "\n#c ");
    assert!(notes(&ids, &plain()).iter().all(|note| !note.contains("comment")));
    let text = refused("out.log", format!("#{rows}").as_bytes(), bare.clone());
    assert_says(&text, &["out.log:1: starts with `#`", "as many columns", "--skip-lines 1", "a row"]);
    // One usual name may be a word of a row, and each of the comments may be one.
    for doubtful in ["#tea movie 1 2 0", "#c x 4 8 1\n# made today", "  #c x 4 8 1\n\n% made today"] {
        let text = refused("out.log", format!("{doubtful}\n{rows}").as_bytes(), bare.clone());
        assert_says(&text, &["out.log:1: starts with `#`", "--skip-lines 1"]);
    }
    let named = format!("#user movie stars when part\n# made today\n{rows}");
    assert_reads("out.log", named.as_bytes(), bare.clone());
    said(&notes(&named, &bare), "2 comment lines above the table passed over");
    let skipped = TextOptions { skip_lines: 1, ..bare };
    assert_reads("out.log", format!("#0 0 0 0 0\n{rows}").as_bytes(), skipped);
}

#[test]
fn what_programs_write_around_the_rows_is_none_of_them() {
    for first in ["\"sep=;\"", "SEP=;", "sep=;;;;;"] {
        assert_reads("log.csv", format!("{first}\n{}", TABLE.replace(',', ";")).as_bytes(), plain());
    }
    // Comments come before that line or after it, indented or with an empty line below them.
    let table = TABLE.replace(',', ";");
    for first in ["# made today\nsep=;", "sep=;\n# a, b, c, d, e", "  # made, by hand\n   % twice\n\nsep=;"] {
        assert_reads("log.csv", format!("{first}\n{table}").as_bytes(), plain());
    }
    assert_reads("log.csv", format!("  # made today\n\n{TABLE}").as_bytes(), plain());
    let text = refused("log.csv", b"# made today\n\n  % by hand\n", plain());
    assert_says(&text, &["log.csv: has only comments", "write a line with the names of the columns"]);
    assert_reads("log.csv", format!("{TABLE}   \n\n").as_bytes(), plain());
    assert_reads("log.tsv", format!("{}   \n", TABLE.replace(',', "::")).as_bytes(), plain());
}

/// [`TABLE`] with a column of texts behind the others, empty but for these.
fn with_texts(texts: &[(usize, &str)]) -> String {
    let line = |(at, line): (usize, &str)| match texts.iter().find(|(row, _)| *row == at) {
        _ if at == 0 => format!("{line},title\n"),
        Some((_, text)) => format!("{line},{text}\n"),
        None => format!("{line},\n"),
    };
    TABLE.lines().enumerate().map(line).collect()
}

#[test]
fn rows_with_a_lone_quote_do_not_become_one() {
    let says = |content: &str, parts: &[&str]| {
        for (sign, end) in [(",", "\n"), (";", "\n"), ("|", "\r\n")] {
            let content = content.replace(',', sign).replace('\n', end);
            assert_says(&refused("log.csv", content.as_bytes(), plain()), parts);
        }
    };
    let closed = "a quote is not closed";
    let inches = [(3, "\"7 inch"), (4, "\"12 inch")];
    says(&with_texts(&inches), &["log.csv:4: column `title` goes on over", closed]);
    let all: Vec<(usize, &str)> = (1..=8).map(|row| (row, "\"lone")).collect();
    says(&with_texts(&all), &["log.csv:2: column `title`", closed]);
    says(&with_texts(&[(3, "\""), (4, "\"")]), &["log.csv:4: column `title`", closed]);
    // In the middle and at the start of rows.
    says(
        &TABLE.replace("4,2,1", "\"4,2,1").replace("3,3,2", "\"3,3,2"),
        &["log.csv:3: column `rating`", closed],
    );
    says(&TABLE.replace("a,y", "\"a,y").replace("a,z", "\"a,z"), &["log.csv:3: column `user_id`", closed]);
    // The file ends within quotes.
    says(&with_texts(&[(8, "\"open")]), &["log.csv:9: column `title`", closed]);
    says(&with_texts(&[(9, "\"open")]), &["log.csv:10: column `title`", closed, "cut off here"]);
    says(with_texts(&[(9, "\"open")]).trim_end(), &["log.csv:10: column `title`", closed]);
    // Texts of two lines and more, with as many delimiters as rows have or without.
    let texts = [
        "\"one\ntwo\"",
        "\"one\na, b, c, d, e, f\"",
        "\"one\n\n\"",
        "\"one, two\n\"\"three\"\"\"",
        "\"7\" disk",
    ];
    for first in texts {
        for second in texts {
            let text = with_texts(&[(3, first), (4, second), (9, first)]);
            assert_reads("log.csv", text.as_bytes(), plain());
            assert_reads("log.csv", text.replace('\n', "\r\n").as_bytes(), plain());
        }
    }
    // What cannot be told is said.
    let notes = notes_of("log.csv", &with_texts(&[(3, "\"one\na,b,c,d,e,f\"")]), plain());
    assert!(notes.iter().any(|n| n.starts_with("1 quoted field") && n.ends_with("(line 4)")), "{notes:?}");
    // An error names the line, whatever ends lines and however many are empty.
    says(&TABLE.replace("a,z,3,3,2\n", "\n\na,z\n"), &["log.csv:6: 2 columns, the header has 5"]);
    // Of a catalogue, too.
    let files = Files::new();
    let items = files.write("items.csv", "id,title\nx,\"lone 0\ny,\"lone 1\nz,fine\n");
    let options = PrepareOptions { items: Some(items), ..files.options(LOG) };
    assert_says(&files.error(&options), &["items.csv:2: column `title`", closed]);
}

/// The notes of `content` as a file `name`.
fn notes_of(name: &str, content: &str, text: TextOptions) -> Vec<String> {
    let files = Files::new();
    let path = files.write(name, content);
    files.open(&PrepareOptions { text, ..options(&files, &path) }).0.notes
}

#[test]
fn lines_within_the_table_that_are_no_rows_are_counted() {
    let (header, rows) = TABLE.split_once('\n').unwrap();
    let noted = |content: &str, note: &str| {
        for sign in [",", "\t", "|", "::"] {
            let content = content.replace(',', sign);
            assert_reads("log.csv", content.as_bytes(), plain());
            let notes = notes_of("log.csv", &content, plain());
            assert!(notes.iter().any(|n| n == note), "{notes:?}");
        }
    };
    noted(&format!("{header}\n----,----,---,--,--\n{rows}"), "1 line of dashes passed over (line 2)");
    noted(&format!("{header}\n----+----+---+--+--\n{rows}"), "1 line of dashes passed over (line 2)");
    noted(
        &TABLE.replace("b,y", &format!("{header}\nb,y")),
        "1 more line with the names of the columns passed over (line 5)",
    );
    // Files put one behind the other may each start with a mark of their encoding.
    let marked = TABLE.replace("b,y", &format!("\u{feff}{header}\nb,y"));
    let twice = marked.replace("c,z", &format!("{header}\n-----,--,--,--,--\nc,z"));
    noted(&twice, "2 more lines with the names of the columns passed over (the first is line 5)");
    let other = TABLE.replace("b,y", "item_id,user_id,rating,timestamp,x_label\nb,y");
    let text = refused("log.csv", other.as_bytes(), plain());
    assert_says(&text, &["log.csv:5: has the names of the columns again, in another order", "folder"]);
    // A dash is written for what is missing.
    assert_reads("log.csv", TABLE.replace("a,x,5", "a,x,-").as_bytes(), plain());
    let notes = notes_of("log.csv", &TABLE.replace("c,", "# c,"), plain());
    assert!(notes.iter().any(|n| n.starts_with("3 rows start with `#`")), "{notes:?}");
    for footer in ["(9 rows affected)", "# end", "% 9 rows", "-- end, of, it"] {
        let text = refused("log.csv", format!("{TABLE}{footer}\n").as_bytes(), plain());
        assert_says(&text, &["log.csv:11: ", &format!("if `{footer}` is a comment or a footer, remove it")]);
    }
    let text = refused("log.csv", format!("{TABLE}\u{1a}").as_bytes(), plain());
    assert_says(&text, &["`\\u{1a}`", "remove it"]);
    let text = refused("log.csv", format!("{TABLE}9 rows selected.\n").as_bytes(), plain());
    assert_says(&text, &["1 column, the header has 5", "`9 rows selected.` is a footer"]);
}

#[test]
fn lines_above_the_names_of_the_columns_are_told() {
    for sign in [",", ";", "\t", "|"] {
        let table = TABLE.replace(',', sign);
        for title in
            ["Export from my shop", "Export", "// hi", "-- hi", "Export, 2024-01-31", "Export of item ids"]
        {
            let text = refused("log.csv", format!("{title}\n{table}").as_bytes(), plain());
            assert_says(&text, &["log.csv:1: ", "in line 2 (`user_id`, `item_id`", "`--skip-lines 1`"]);
            let text = TextOptions { skip_lines: 1, ..plain() };
            assert_reads("log.csv", format!("{title}\n{table}").as_bytes(), text);
        }
        let text = refused("log.csv", format!("# made\nShop\n\nExport\n{table}").as_bytes(), plain());
        assert_says(&text, &["log.csv:2: ", "in line 5", "`--skip-lines 4`"]);
        for empty in ["\n", "  \n\n", "# made\n\t\n", "\t\n"] {
            assert_reads("log.csv", format!("{empty}{table}").as_bytes(), plain());
        }
    }
    // A catalogue has no flags.
    let files = Files::new();
    let items = files.write("items.csv", "All our goods\nid,title\nx,X\ny,Y\nz,Z\n");
    let options = PrepareOptions { items: Some(items), ..files.options(LOG) };
    let text = files.error(&options);
    assert_says(&text, &["items.csv:1: ", "in line 2 (`id`, `title`): remove those above it"]);
}

/// As R writes tables by default.
#[test]
fn a_first_column_without_a_name_is_told() {
    let (header, rows) = TABLE.split_once('\n').unwrap();
    let names: Vec<String> = header.split(',').map(|name| format!("\"{name}\"")).collect();
    let rows: String = rows.lines().enumerate().map(|(n, row)| format!("\"{n}\",{row}\n")).collect();
    let table = format!("{}\n{rows}", names.join(","));
    for sign in [",", ";", "\t", " "] {
        let table = table.replace(',', sign);
        let text = refused("log.csv", table.as_bytes(), plain());
        assert_says(&text, &["log.csv:2: 6 columns, the header has 5", "first column has no name"]);
        let way = format!("`--skip-lines 1 --no-header --columns _,{header}`");
        assert_says(&text, &[&way]);
        let names: Vec<String> = format!("_,{header}").split(',').map(String::from).collect();
        let told = TextOptions { skip_lines: 1, no_header: true, names, ..plain() };
        assert_reads("log.csv", table.as_bytes(), told);
    }
    let ended = TABLE.replacen(header, "HEADER", 1).replace('\n', ",\n").replacen("HEADER,", header, 1);
    let text = refused("log.csv", ended.as_bytes(), plain());
    assert_says(&text, &["last column has no name", &format!("--columns {header},_`")]);
}

#[test]
fn a_quoted_field_between_tabs_that_is_too_long_is_named() {
    let long = "a line\n".repeat(1100);
    let log = format!("user\titem\tx_label\ttext\na\tx\t0\tfine\na\ty\t1\t\"{long}\"\na\tz\t2\tfine\n");
    let text = refused("log.tsv", log.as_bytes(), plain());
    assert_says(
        &text,
        &["log.tsv:4: 1 column", "column `text` goes on here", "quote in line 3 is not closed"],
    );
}

/// As some collections of networks are written.
#[test]
fn blanks_and_tabs_may_both_separate_numbers() {
    let (header, rows) = TABLE.split_once('\n').unwrap();
    let digits = [("a", "1"), ("b", "2"), ("c", "3"), ("x", "4"), ("y", "5"), ("z", "6")];
    let rows = digits.iter().fold(rows.to_string(), |rows, (letter, digit)| rows.replace(letter, digit));
    let in_each: String =
        rows.lines().map(|row| row.replacen(',', " ", 2).replace(',', "\t") + "\n").collect();
    let in_some: String = rows
        .lines()
        .zip(["\t", " "].iter().cycle())
        .map(|(row, sign)| row.replace(',', sign) + "\n")
        .collect();
    let bare = TextOptions {
        no_header: true,
        names: ["user", "item", "rating", "time", "x_label"].map(String::from).into(),
        ..plain()
    };
    for (content, text) in [
        (format!("% bip weighted\n{in_each}"), bare.clone()),
        (format!("% bip weighted\n{in_some}"), bare.clone()),
        (in_some.clone(), bare),
        (format!("{}\n{in_some}", header.replace(',', "\t")), plain()),
    ] {
        let files = Files::new();
        let path = files.write("out.log", &content);
        let (report, _) = files.open(&PrepareOptions { text, ..options(&files, &path) });
        assert_eq!((report.users, report.items, report.rows), (3, 3, 9), "{content}");
    }
}
