//! What stays of the interactions and how they are split.

use std::collections::{BTreeMap, BTreeSet};

use crate::data_files::*;
use alike::data::{Dataset, PrepareOptions, SplitKind};
use proptest::prelude::*;

/// A log with the columns user, item, rating, time from rows in that order.
fn log(rows: &[(&str, &str, f32, i64)]) -> String {
    let line = |(u, i, r, t): &(&str, &str, f32, i64)| format!("{u}\t{i}\t{r}\t{t}\n");
    format!("user\titem\trating\ttime\n{}", rows.iter().map(line).collect::<String>())
}

fn all(data: &Dataset) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for csr in [&data.train, &data.valid, &data.test] {
        for u in 0..csr.rows() {
            for &i in csr.row(u) {
                let pair = (data.users.name(u as u32).to_string(), data.items.name(i).to_string());
                assert!(found.insert(pair), "an interaction is in two splits");
            }
        }
    }
    found
}

#[test]
fn the_earliest_of_repeats_stays() {
    let files = Files::new();
    // In time order: z, y, x. The late repeat of z comes first in the file.
    let text =
        log(&[("a", "z", 5., 9), ("a", "x", 5., 3), ("a", "y", 5., 2), ("a", "z", 5., 1), ("a", "x", 5., 8)]);
    let options = PrepareOptions { split: SplitKind::LeaveOneOut, ..files.options(&text) };
    let (report, data) = files.open(&options);
    assert_eq!(items_of(&data, &data.train, "a"), ["z"]);
    assert_eq!(items_of(&data, &data.valid, "a"), ["y"]);
    assert_eq!(items_of(&data, &data.test, "a"), ["x"]);
    assert_eq!((report.dropped.len(), report.dropped[0].count), (1, 2));
    assert!(report.to_string().contains("2 interactions: repeats"), "{report}");
}

#[test]
fn low_ratings_go_before_repeats_are_looked_for() {
    let files = Files::new();
    let text =
        log(&[("a", "x", 1., 1), ("a", "x", 4., 2), ("a", "y", 4., 3), ("a", "z", 4., 4), ("b", "w", 2., 5)]);
    let options =
        PrepareOptions { split: SplitKind::LeaveOneOut, min_rating: Some(3.0), ..files.options(&text) };
    let (report, data) = files.open(&options);
    assert_eq!(items_of(&data, &data.train, "a"), ["x"]);
    assert_eq!((report.users, report.items), (1, 3));
    assert_eq!((report.rows, report.dropped[0].count), (5, 2));
}

#[test]
fn a_core_is_taken_until_nothing_changes() {
    let files = Files::new();
    // a, b, c share x, y, z. d has only two; without d the item w falls, without w the user e.
    let mut rows = Vec::new();
    for user in ["a", "b", "c"] {
        rows.extend(["x", "y", "z"].map(|item| (user, item, 1., 1)));
    }
    rows.extend([("d", "w", 1., 1), ("d", "x", 1., 1)]);
    rows.extend([("e", "w", 1., 1), ("e", "x", 1., 1), ("e", "y", 1., 1), ("a", "w", 1., 1)]);
    let options = PrepareOptions { split: SplitKind::Random, k_core: 3, ..files.options(&log(&rows)) };
    let (report, data) = files.open(&options);
    assert_eq!((report.users, report.items, all(&data).len()), (3, 3, 9));
    let dropped: Vec<(u64, &str)> = report.dropped.iter().map(|d| (d.count, d.what.as_str())).collect();
    assert_eq!(dropped, [(6, "interactions"), (2, "users"), (1, "items")]);
}

#[test]
fn random_splits_hold_out_as_many_as_published_ones() {
    let files = Files::new();
    let sizes = [1, 2, 3, 9, 10, 14, 15, 24, 25, 100];
    let mut text = String::from("user\titem\n");
    for n in sizes {
        (0..n).for_each(|i| text += &format!("u{n}\ti{i}\n"));
    }
    let options = PrepareOptions { split: SplitKind::Random, seed: 3, ..files.options(&text) };
    let (report, data) = files.open(&options);
    let held = |n: usize| {
        let user = data.users.get(&format!("u{n}")).unwrap() as usize;
        assert_eq!(data.train.degree(user) + data.valid.degree(user) + data.test.degree(user), n);
        (data.valid.degree(user), data.test.degree(user))
    };
    let expected = [(0, 0), (0, 0), (1, 1), (1, 1), (1, 1), (1, 1), (1, 2), (2, 2), (2, 3), (10, 10)];
    assert_eq!(sizes.map(held), expected);
    assert!(report.notes.iter().any(|n| n.starts_with("2 users have fewer than 3")));
}

#[test]
fn a_random_split_depends_on_the_seed_and_the_user_only() {
    let files = Files::new();
    let rows: Vec<String> = (0..40).map(|i| format!("a\ti{i}\n")).collect();
    let of_a = |rows: &[String], seed: u64| {
        let text = format!("user\titem\n{}", rows.concat());
        let options = PrepareOptions { split: SplitKind::Random, seed, ..files.options(&text) };
        let (_, data) = files.open(&options);
        let set = |csr| items_of(&data, csr, "a").into_iter().collect::<BTreeSet<_>>();
        (set(&data.valid), set(&data.test))
    };
    let mut other: Vec<String> = (0..30).map(|i| format!("b\ti{}\n", i * 2)).collect();
    other.extend(rows.iter().rev().cloned());
    assert_eq!(of_a(&rows, 1), of_a(&other, 1));
    assert_ne!(of_a(&rows, 1), of_a(&rows, 2));
}

#[test]
fn leave_one_out_goes_by_file_when_there_is_no_time() {
    let files = Files::new();
    let options = PrepareOptions {
        split: SplitKind::LeaveOneOut,
        ..files.options("user\titem\na\tz\na\ty\na\tx\nb\tx\nb\ty\n")
    };
    let (report, data) = files.open(&options);
    assert_eq!(items_of(&data, &data.valid, "a"), ["y"]);
    assert_eq!(items_of(&data, &data.test, "a"), ["x"]);
    assert_eq!(items_of(&data, &data.train, "b"), ["y", "x"]);
    assert_eq!(report.notes.len(), 2, "{report}");
}

#[test]
fn a_temporal_split_is_one_cut_and_drops_users_that_come_after_it() {
    let files = Files::new();
    let mut rows: Vec<(&str, String, i64)> = (0..16).map(|t| ("a", format!("i{t}"), t)).collect();
    // The cuts are at the times of the 17th and the 19th of 20; two at the time 16 stay together.
    rows.extend([
        ("a", "i16".into(), 16),
        ("new", "i1".into(), 16),
        ("a", "i18".into(), 18),
        ("a", "i19".into(), 19),
    ]);
    rows.reverse();
    let text: String = rows.iter().map(|(u, i, t)| format!("{u}\t{i}\t{t}\n")).collect();
    let options = PrepareOptions {
        split: SplitKind::Temporal,
        ..files.options(&format!("user\titem\ttimestamp\n{text}"))
    };
    let (report, data) = files.open(&options);
    assert_eq!(report.interactions, [16, 1, 2]);
    assert_eq!(items_of(&data, &data.valid, "a"), ["i16"]);
    assert_eq!((report.users, report.cold_users, data.users.get("new")), (1, 1, None));
    // Items that nobody took in training stay candidates.
    assert_eq!((report.items, report.cold_items), (19, 3));
    assert!(report.to_string().contains("1 user: cold"), "{report}");
}

#[test]
fn items_of_dropped_users_stay_candidates() {
    let files = Files::new();
    let (report, data) = files.open(&files.options(&(LOG.to_string() + "d\tq\t1\t1\t2\n")));
    assert_eq!((report.cold_users, report.cold_items, report.interactions), (1, 1, [3, 3, 3]));
    assert!(data.items.get("q").is_some() && data.users.get("d").is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Against sets: what is left is the k-core of the distinct pairs, in no two splits, with the held-out
    /// counts of the split.
    #[test]
    fn what_is_left_is_the_core_of_the_pairs(
        pairs in prop::collection::vec((0u8..12, 0u8..12, 0i64..5), 30..160),
        k in 0usize..4,
        kind in prop::sample::select(vec![SplitKind::Random, SplitKind::LeaveOneOut]),
    ) {
        let mut naive: BTreeSet<(u8, u8)> = pairs.iter().map(|(u, i, _)| (*u, *i)).collect();
        loop {
            let count = |of: &dyn Fn(&(u8, u8)) -> u8| {
                let mut counts = BTreeMap::<u8, usize>::new();
                naive.iter().for_each(|p| *counts.entry(of(p)).or_default() += 1);
                counts
            };
            let (users, items) = (count(&|p| p.0), count(&|p| p.1));
            let before = naive.len();
            naive.retain(|(u, i)| users[u] >= k && items[i] >= k);
            if naive.len() == before {
                break;
            }
        }
        let text: String = pairs.iter().map(|(u, i, t)| format!("u{u},i{i},{t}\n")).collect();
        let files = Files::new();
        let path = files.write("log.csv", format!("user,item,time\n{text}"));
        let options = PrepareOptions { split: kind, k_core: k, ..PrepareOptions::new(path, files.out()) };
        let mut of_user = BTreeMap::<u8, usize>::new();
        naive.iter().for_each(|(u, _)| *of_user.entry(*u).or_default() += 1);
        let held = |n: usize| match (kind, n) {
            (_, 0..=2) => (0, 0),
            (SplitKind::Random, 10..) => (n / 5 / 2, n / 5 - n / 5 / 2),
            _ => (1, 1),
        };
        if of_user.values().all(|&n| n < 3) {
            files.error(&options);
            return Ok(());
        }
        let (_, data) = files.open(&options);
        let expected: BTreeSet<_> = naive.iter().map(|(u, i)| (format!("u{u}"), format!("i{i}"))).collect();
        prop_assert_eq!(all(&data), expected);
        for (u, n) in of_user {
            let user = data.users.get(&format!("u{u}")).unwrap() as usize;
            prop_assert_eq!((data.valid.degree(user), data.test.degree(user)), held(n));
        }
    }
}
