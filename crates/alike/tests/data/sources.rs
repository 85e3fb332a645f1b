//! Several files of interactions, events that a server keeps, kinds that take back, and weights that fade.

use std::collections::BTreeSet;

use alike::data::{ColumnNames, Dataset, PrepareOptions, SplitKind, prepare};

use crate::data_files::*;

fn options(files: &Files, log: &str) -> PrepareOptions {
    PrepareOptions {
        split: SplitKind::Random,
        columns: ColumnNames::default(),
        ..PrepareOptions::new(files.write("orders.csv", log), files.out())
    }
}

/// All pairs of the prepared data.
fn pairs(options: &PrepareOptions) -> BTreeSet<String> {
    prepare(options).unwrap();
    let data = Dataset::open(&options.out).unwrap();
    let mut found = BTreeSet::new();
    for split in [&data.train, &data.valid, &data.test] {
        for user in 0..split.rows() {
            let named = |item: &u32| format!("{} {}", data.users.name(user as u32), data.items.name(*item));
            found.extend(split.row(user).iter().map(named));
        }
    }
    found
}

fn rows(users: &[&str], items: &[&str]) -> String {
    users.iter().flat_map(|u| items.iter().map(move |i| format!("{u},{i},2024-05-01\n"))).collect()
}

#[test]
fn two_files_give_what_one_with_their_rows_gives() {
    let files = Files::new();
    let (head, first, second) =
        ("user,item,date\n", rows(&["a", "b"], &["x", "y", "z"]), rows(&["c", "a"], &["x", "y", "w"]));
    let whole = options(&files, &format!("{head}{first}{second}"));
    let content = |options: &PrepareOptions| {
        let data = Dataset::open(&options.out).unwrap();
        let names = [&data.users, &data.items].map(|ids| ids.names().map(String::from).collect::<Vec<_>>());
        let splits = [&data.train, &data.valid, &data.test];
        (names, splits.map(|split| (split.ptr().to_vec(), split.idx().to_vec())))
    };
    prepare(&whole).unwrap();
    let expected = content(&whole);
    // The second file has other names, another order and another format.
    let of = |row: &str| {
        let cells: Vec<&str> = row.split(',').collect();
        format!(
            "{}\n",
            serde_json::json!({"timestamp": 1_714_521_600_000_u64, "sku": cells[1], "customer": cells[0]})
        )
    };
    let more = files.write("more.jsonl", second.lines().map(of).collect::<String>());
    let both = PrepareOptions { more_interactions: vec![more], ..options(&files, &format!("{head}{first}")) };
    let report = prepare(&both).unwrap();
    assert_eq!(content(&both), expected);
    assert_eq!(report.rows, 12);
    assert!(
        report
            .notes
            .iter()
            .any(|n| n.contains("more.jsonl: 6 interactions, user `customer`, item `sku`, time `timestamp`")),
        "{:?}",
        report.notes
    );
}

#[test]
fn kinds_of_weight_0_take_back_what_was_before() {
    let files = Files::new();
    let mut log = "user,item,event,date\n".to_string();
    for user in ["a", "b", "c"] {
        for item in ["v", "w", "x", "y"] {
            log += &format!("{user},{item},buy,2024-05-01\n");
        }
    }
    // Returned; returned and bought again; a return of something else.
    log += "a,x,refund,2024-05-03\nb,x,refund,2024-05-03\nb,x,buy,2024-05-04\nc,z,refund,2024-05-04\n";
    let events = vec![("buy".to_string(), 1.0), ("refund".to_string(), 0.0)];
    let found = pairs(&PrepareOptions { events: events.clone(), ..options(&files, &log) });
    assert!(
        !found.contains("a x") && found.contains("b x") && found.contains("c x") && !found.contains("c z")
    );
    assert_eq!(found.len(), 11);
    let only = PrepareOptions { events: vec![events[1].clone()], ..options(&files, &log) };
    assert!(prepare(&only).unwrap_err().to_string().contains("takes back"));
}

#[test]
fn events_of_a_store_take_and_take_back_from_the_log() {
    let files = Files::new();
    let log = format!("user,item,date\n{}", rows(&["a", "b", "c"], &["w", "x", "y", "z"]));
    // In seconds since 1970, all after the orders.
    let store = files.write(
        "events.csv",
        "user,item,time,event\na,new,1714700000.25,take\na,x,1714700001,dislike\nb,y,1714700002,remove\n\
         b,y,1714700003,like\nc,z,1714700004,remove\n",
    );
    let given = |stores: Vec<_>| PrepareOptions {
        more_interactions: vec![store.clone()],
        stores,
        ..options(&files, &log)
    };
    let found = pairs(&given(vec![store.clone()]));
    assert!(
        found.contains("a new") && !found.contains("a x") && found.contains("b y") && !found.contains("c z")
    );
    assert_eq!(found.len(), 11);
    // A log of the same content is only a log.
    assert_eq!(pairs(&given(vec![])).len(), 13);
}

#[test]
fn weights_fade_by_half_lives() {
    let files = Files::new();
    let mut log = "user,item,time\n".to_string();
    for (user, days) in [("a", 0u64), ("b", 10), ("c", 20)] {
        for item in 0..8 {
            log += &format!("{user},{item},{}\n", 1_700_000_000 + (20 - days) * 86_400);
        }
    }
    let faded = PrepareOptions { half_life: Some(10.0), ..options(&files, &log) };
    prepare(&faded).unwrap();
    let data = Dataset::open(&faded.out).unwrap();
    let weights = data.train_weights.as_ref().unwrap();
    for (user, weight) in [("a", 1.0), ("b", 0.5), ("c", 0.25)] {
        let row = data.users.get(user).unwrap() as usize;
        let own = data.train.ptr()[row] as usize..data.train.ptr()[row + 1] as usize;
        assert!(!own.is_empty());
        assert!(weights[own].iter().all(|w| (w - weight).abs() < 1e-6), "{user}");
    }
    let milliseconds = log.replace("\n", "000\n").replacen("time000", "time", 1);
    let same = PrepareOptions { half_life: Some(10.0), ..options(&files, &milliseconds) };
    prepare(&same).unwrap();
    assert_eq!(Dataset::open(&same.out).unwrap().hash, data.hash);
    let timeless = PrepareOptions { half_life: Some(10.0), ..options(&files, "user,item\na,x\n") };
    assert!(prepare(&timeless).unwrap_err().to_string().contains("--half-life"));
    let none = PrepareOptions { half_life: Some(0.0), ..options(&files, &log) };
    assert!(prepare(&none).unwrap_err().to_string().contains("above 0"));
}
