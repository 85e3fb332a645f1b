//! Which rows of a log count: ids that are missing, times of all kinds, ratings, kinds of events; and that
//! the report accounts for every row.

use crate::data_files::*;
use alike::data::{Column, PrepareOptions, SplitKind};
use proptest::prelude::*;

#[track_caller]
fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
}

/// Options for a log of its own.
fn options_of(files: &Files, log: &str) -> PrepareOptions {
    PrepareOptions { split: SplitKind::Auto, ..files.options(log) }
}

fn dropped(report: &alike::data::PrepareReport) -> Vec<(u64, &str)> {
    report.dropped.iter().filter(|d| d.what == "interactions").map(|d| (d.count, &*d.why)).collect()
}

#[test]
fn ids_are_cleaned_and_missing_ones_are_counted() {
    let files = Files::new();
    let log = "user,item,x_label\n a ,x,0\na,\ty ,1\na,z,2\n,x,0\nNULL,x,0\na,nan,0\na,NULL,0\n";
    let text = files.error(&options_of(&files, log));
    assert_says(&text, &["log.inter:5", "column `user` is empty in 1 row", "--drop-missing"]);
    let options = PrepareOptions { drop_missing: true, ..options_of(&files, log) };
    let (report, data) = files.open(&options);
    assert_eq!(
        dropped(&report),
        [(2, "column `user` is empty or `NULL`"), (2, "column `item` is `NULL` or `nan`")]
    );
    assert_eq!((report.rows, data.users.len(), items_of(&data, &data.valid, "a")), (7, 1, vec!["y".into()]));
    // Words may be names: kept unless asked for, and told.
    let (report, data) = files.open(&options_of(&files, &log.replace("\n,x,0", "")));
    assert_eq!((data.users.len(), report.dropped.len()), (2, 0));
    let notes = report.notes.join("\n");
    assert_says(&notes, &["1 row has `NULL` in column `user`", "1 row has `nan` in column `item`"]);
}

#[test]
fn ids_of_other_files_match_as_numbers_do() {
    let files = Files::new();
    let mut options = files.options(NUMBERED);
    options.feature_ids = vec![("m".into(), files.write("ids.txt", "0.0\n 1\n2.0\n"))];
    options.features = vec![("m".into(), files.write("m.npy", npy_f32(3, 1, &[1.0, 2.0, 3.0])))];
    options.items = Some(files.write("items.csv", "id,title\n1.0,One\n 2 ,Two\n"));
    let (report, data) = files.open(&options);
    assert_eq!(report.features[0].missing, 0);
    assert_eq!(data.features[0].values(), [1.0, 2.0, 3.0]);
    assert_eq!((data.title(0), data.title(1), data.title(2)), (None, Some("One"), Some("Two")));
    options.feature_ids = vec![("m".into(), files.write("ids.txt", "0\n1\n1.0\n"))];
    assert_says(&files.error(&options), &["ids.txt", "rows 2 and 3 are both of item `1`"]);
}

#[test]
fn files_that_match_nothing_are_errors_and_those_that_match_little_are_told() {
    let files = Files::new();
    let mut options = files.options(LOG);
    options.items = Some(files.write("items.csv", "id,title\n1,One\n2,Two\n"));
    assert_says(&files.error(&options), &["items.csv", "none of its 2 ids", "`x`"]);
    let many: String = (0..33).map(|i| format!("a,i{i},{}\n", i % 3)).collect();
    let mut options = options_of(&files, &format!("user,item,x_label\n{many}"));
    options.items = Some(files.write("items.jsonl", "{\"id\": \"i1\"}\n{\"id\": \"other\"}\n"));
    options.feature_ids = vec![("m".into(), files.write("ids.txt", "i1\n"))];
    options.features = vec![("m".into(), files.write("m.npy", npy_f32(1, 1, &[1.0])))];
    let notes = files.open(&options).0.notes.join("\n");
    assert_says(&notes, &["catalogue knows only 1 of 33 items", "features m: only 1 of 33 items have a row"]);
}

#[test]
fn neighbours_that_match_nothing_are_an_error_and_those_that_match_little_are_told() {
    let files = Files::new();
    let many: String = (0..33).map(|i| format!("a,i{i},{}\n", i % 3)).collect();
    let mut options = options_of(&files, &format!("user,item,x_label\n{many}"));
    let mut graph = |ids: &[u8; 4]| {
        let idx: Vec<u8> = [1i32, 0].iter().flat_map(|v| v.to_le_bytes()).collect();
        let arrays = [
            ("idx", npy("<i4", false, &[2, 1], &idx)),
            ("cos", npy_f32(2, 1, &[0.5; 2])),
            ("ids", npy("|S2", false, &[2], ids)),
        ];
        options.knn = vec![("g".into(), files.write("g.npz", npz(&arrays)))];
        options.clone()
    };
    assert_says(&files.error(&graph(b"x1x2")), &["g.npz", "none of its item ids is an item"]);
    let notes = files.open(&graph(b"i1x2")).0.notes.join("\n");
    assert_says(&notes, &["neighbours g: only 1 of 33 items have a row"]);
}

#[test]
fn what_belongs_to_the_items_has_no_row_for_words_that_mean_nothing() {
    let files = Files::new();
    let mut options = files.options(LOG);
    options.items = Some(files.write("items.csv", "id,title\nx,X\nnan,N\nNULL,U\n,E\n"));
    options.feature_ids = vec![("m".into(), files.write("ids.txt", "x\nnan\n\nNULL\nNULL\n"))];
    options.features = vec![("m".into(), files.write("m.npy", npy_f32(5, 1, &[1.0; 5])))];
    let (report, data) = files.open(&options);
    assert_eq!((data.items.len(), report.features[0].unused_rows, report.titles), (3, 0, Some(1)));
    let notes = report.notes.join("\n");
    assert_says(&notes, &["items.csv: 3 rows have no item id (1 empty, 1 `NULL`, 1 `nan`): left out"]);
    assert_says(&notes, &["features m: 4 rows have no item id (1 empty, 2 `NULL`, 1 `nan`): left out"]);
}

#[test]
fn times_are_read_as_they_are_written() {
    let log = |times: [&str; 3]| {
        let rows = [("x", 0), ("y", 1), ("z", 2)].iter().zip(times);
        let rows: String =
            rows.map(|((item, label), time)| format!("a\t{item}\t{time}\t{label}\n")).collect();
        format!("user\titem\tdate\tx_label\n{rows}")
    };
    let files = Files::new();
    let german = log(["29.06.2014 23:41", "02.07.2014 13:31", "05.07.2014 23:53"]);
    let text = files.error(&options_of(&files, &german));
    assert_says(&text, &["log.inter:2", "`29.06.2014 23:41`", "--time-format", "--column time=none"]);
    let format = |format: &str| Some(format.to_string());
    files.open(&PrepareOptions { time_format: format("%d.%m.%Y %H:%M"), ..options_of(&files, &german) });
    let american = log(["06/29/2014 11:41 PM", "07/02/2014 01:31 PM", "07/05/2014 11:53 PM"]);
    files.open(&PrepareOptions { time_format: format("%m/%d/%Y %I:%M %p"), ..options_of(&files, &american) });
    let wrong = PrepareOptions { time_format: format("dd.mm.yyyy"), ..options_of(&files, &german) };
    assert_says(&files.error(&wrong), &["`time-format`", "%d.%m.%Y"]);
    files.open(&options_of(&files, &log(["2014-06-29 23:41:14.000 UTC", "2014-07-02 13:31", "2014-07-05"])));

    let mut without = options_of(&files, &german);
    without.columns.time = Column::LeftOut;
    assert_eq!(files.open(&without).0.ignored, ["date"]);
    let mixed = log(["1404085274", "1404307904000", "1404604424"]);
    let text = files.error(&options_of(&files, &mixed));
    assert_says(&text, &["log.inter:3", "milliseconds", "line 2", "--column time=none"]);
    let mut left_out = options_of(&files, &mixed);
    left_out.columns.time = Column::LeftOut;
    files.open(&left_out);

    let gap = log(["1", "2", "3"]) + "a\tw\t\t0\n";
    assert_says(
        &files.error(&options_of(&files, &gap)),
        &["log.inter:5", "column `date` is empty", "--drop-missing"],
    );
    let (report, _) = files.open(&PrepareOptions { drop_missing: true, ..options_of(&files, &gap) });
    assert_eq!(dropped(&report), [(1, "no time")]);
}

#[test]
fn the_last_rating_of_a_pair_decides() {
    let files = Files::new();
    let log = "user,item,rating,time,x_label\n\
        a,x,5,1,0\na,x,1,2,0\n\
        a,y,1,1,0\na,y,4,2,0\na,y,5,3,0\n\
        a,z,4,1,1\na,w,4,1,2\n";
    let (report, data) = files.open(&PrepareOptions { min_rating: Some(3.0), ..options_of(&files, log) });
    assert_eq!(items_of(&data, &data.train, "a"), ["y"]);
    let least = "rating below 3; of several of a pair the last decides";
    assert_eq!(dropped(&report), [(3, least), (1, "repeats of a user and an item; the earliest stays")]);
    assert_eq!(
        report.columns.iter().map(|c| &*c.role).collect::<Vec<_>>(),
        ["user", "item", "rating", "time", "label"]
    );
    let (report, _) = files.open(&options_of(&files, log));
    assert_eq!(report.ignored, ["rating"]);
    assert_says(
        &report.notes.join("\n"),
        &["2 interactions (28.6 %) have a rating below 3 of 5", "`--min-rating 3`"],
    );
}

#[test]
fn kinds_of_events_can_be_kept() {
    let files = Files::new();
    let log = "user,item,event,x_label\na,x,buy,0\na,y,view,0\na,z,buy,1\na,w,cart,2\na,v,view,0\n";
    let with = |events: &[&str]| PrepareOptions {
        events: events.iter().map(|e| (e.to_string(), 1.0)).collect(),
        ..options_of(&files, log)
    };
    let (report, data) = files.open(&with(&["buy", "cart"]));
    assert_eq!((dropped(&report), data.items.len()), (vec![(2, "kinds of events other than buy, cart")], 3));
    let (report, _) = files.open(&with(&[]));
    assert_says(&report.notes.join("\n"), &["count the same (buy 2, cart 1, view 2)", "`--event KIND`"]);
    assert_says(&files.error(&with(&["purchase"])), &["no event is `purchase`", "`buy`, `cart`, `view`"]);
    let none = PrepareOptions { events: vec![("buy".into(), 1.0)], ..files.options(LOG) };
    assert_says(&files.error(&none), &["no column of kinds of events", "--column event=NAME"]);
}

#[test]
fn events_have_weights() {
    let files = Files::new();
    let log = "user,item,event,x_label\n\
               a,x,view,0\na,y,view,0\na,z,buy,1\na,w,buy,2\na,x,buy,0\na,v,look,0\nb,y,buy,0\n";
    let with = |events: &[(&str, f32)]| PrepareOptions {
        events: events.iter().map(|(kind, weight)| (kind.to_string(), *weight)).collect(),
        ..options_of(&files, log)
    };
    let weighted = with(&[("view", 0.2), ("buy", 2.0)]);
    let (report, data) = files.open(&weighted);
    let kinds = (1, "kinds of events other than view, buy");
    let repeats = (1, "repeats of a user and an item; the earliest stays");
    assert_eq!(dropped(&report), [kinds, repeats]);
    assert_says(&report.notes.join("\n"), &["events are weighed (buy 1, view 0.1)", "as its heaviest event"]);
    // The pair (a, x) was viewed and bought.
    assert_eq!(items_of(&data, &data.train, "a"), ["x", "y"]);
    assert_eq!(data.train_weights.as_deref(), Some(&[1.0, 0.1, 1.0][..]));
    // Damage is noticed, and a weight beyond its range.
    let path = files.out().join("train.weights");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, [&bytes[..4], &[9; 8]].concat()).unwrap();
    let text = alike::data::Dataset::open(&files.out()).unwrap_err().to_string();
    assert_says(&text, &["train.weights", "is damaged"]);
    // Equal weights are none, and the same data as ever.
    let (plain, data) = files.open(&with(&[("view", 1.0), ("buy", 1.0)]));
    assert_eq!((data.train_weights.is_none(), files.out().join("train.weights").exists()), (true, false));
    assert_eq!(plain.hash, files.open(&with(&[("view", 3.0), ("buy", 3.0)])).0.hash);
    for wrong in [-1.0, f32::NAN, f32::INFINITY] {
        assert_says(&files.error(&with(&[("view", wrong)])), &["weight of event `view`", "0 takes back"]);
    }
    assert_says(&files.error(&with(&[("view", 1.0), ("view", 2.0)])), &["event `view` is given twice"]);
    // So far apart that the lighter one would count for nothing.
    for (view, buy) in [(1e-45, 1e30), (1.0, 1e7), (1.0, f32::MAX)] {
        let text = files.error(&with(&[("view", view), ("buy", buy)]));
        assert_says(&text, &["weight of event `view`", "a millionth of the heaviest"]);
    }
    files.open(&with(&[("view", 1e-5), ("buy", 1.0)]));
}

#[test]
fn the_report_says_which_columns_count_and_what_the_split_means() {
    let files = Files::new();
    let rows: String = (0..60).map(|i| format!("u{},i{},{i},x\n", i / 6, i % 7)).collect();
    let log = format!("user,item,time,colour\n{rows}");
    let (report, _) = files.open(&options_of(&files, &log));
    assert_eq!((&*report.split, report.ignored.as_slice()), ("random", &["colour".to_string()][..]));
    assert_says(&report.to_string(), &["columns: user `user`, item `item`, time `time`; not used: `colour`"]);
    assert_says(&report.notes.join("\n"), &["there are times, but the split is random", "--split temporal"]);
    // Users come one after another, so the late ones were never seen before the cut.
    let rows: String =
        (0..60).map(|i| format!("u{},i{},{}\n", i / 6, i % 7, if i / 6 < 4 { i } else { i * 9 })).collect();
    let late: String = ["u0,i9,900\n", "u1,i9,901\n"].concat();
    let log = format!("user,item,time\n{rows}{late}");
    let (report, _) = files.open(&PrepareOptions { split: SplitKind::Temporal, ..options_of(&files, &log) });
    assert_says(&report.notes.join("\n"), &["are for test", "; figures from so few are mostly chance"]);
}

/// A cell of a row: one of `words`.
fn one_of(words: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop::sample::select(words)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Every row of the file is in a split or was dropped for one reason.
    #[test]
    fn counts_add_up(
        rows in prop::collection::vec(
            (
                one_of(&["a", " a", "b", "c", "d", "", "NULL"]),
                one_of(&["x", "y", "z", "w", "x ", "nan"]),
                one_of(&["1", "2", "3", "4", "5", ""]),
                one_of(&["1", "2", "3", "1404085274", ""]),
                one_of(&["buy", "view"]),
            ),
            1..60,
        ),
        rated in any::<bool>(),
        bought in any::<bool>(),
        k_core in 0usize..3,
        split in prop::sample::select(&[SplitKind::Random, SplitKind::LeaveOneOut, SplitKind::Temporal][..]),
    ) {
        let files = Files::new();
        let rows: String = rows.iter().map(|(u, i, r, t, e)| format!("{u},{i},{r},{t},{e}\n")).collect();
        let path = files.write("log.csv", format!("user,item,rating,time,event\n{rows}"));
        let options = PrepareOptions {
            drop_missing: true,
            min_rating: rated.then_some(3.0),
            events: if bought { vec![("buy".into(), 1.0)] } else { Vec::new() },
            k_core,
            split,
            ..PrepareOptions::new(path, files.out())
        };
        if let Ok(report) = alike::data::prepare(&options) {
            let lost: u64 = dropped(&report).iter().map(|d| d.0).sum();
            let kept: usize = report.interactions.iter().sum();
            prop_assert_eq!(report.rows, rows.lines().count() as u64);
            prop_assert_eq!(report.rows, kept as u64 + lost, "{}", report);
        }
    }
}
