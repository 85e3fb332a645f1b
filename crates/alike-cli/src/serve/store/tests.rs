//! What every store must do, on SQLite; `postgres/tests.rs` asks it of PostgreSQL.

use std::path::Path;

use super::*;

pub(super) fn event(user: &str, item: &str, kind: EventKind, time: i64, key: Option<&str>) -> Event {
    let key = key.map(String::from);
    Event { user: user.into(), item: item.into(), kind, arrived: 1_000_000, happened: Some(time), key }
}

fn items(stored: &[Stored]) -> Vec<&str> {
    stored.iter().map(|s| s.item.as_str()).collect()
}

/// What holds of any store that begins empty; `open` opens it once more.
pub(super) async fn contract(place: &StoreAddress) {
    let store = Store::open(place, Options::default()).await.unwrap();
    assert_eq!(store.of_user("a").await.unwrap(), []);
    // Newest by time, then by arrival, first.
    let events = vec![
        event("a", "late", EventKind::Take, 20, None),
        event("a", "early", EventKind::Like, 10, None),
        event("a", "last", EventKind::Dislike, 20, None),
        event("b", "other", EventKind::Remove, 15, None),
    ];
    assert_eq!(store.append(events).await.unwrap(), [true; 4]);
    let found = store.of_user("a").await.unwrap();
    assert_eq!(items(&found), ["last", "late", "early"]);
    assert_eq!(
        found.iter().map(|s| s.kind).collect::<Vec<_>>(),
        [EventKind::Dislike, EventKind::Take, EventKind::Like]
    );
    // A key counts once, within one request, too.
    let keyed = |item: &str, key: &str| event("c", item, EventKind::Take, 1, Some(key));
    let new = store.append(vec![
        keyed("1", "k"),
        keyed("2", "k"),
        keyed("3", "l"),
        event("c", "4", EventKind::Take, 2, None),
    ]);
    assert_eq!(new.await.unwrap(), [true, false, true, true]);
    assert_eq!(store.append(vec![keyed("5", "l")]).await.unwrap(), [false]);
    assert_eq!(items(&store.of_user("c").await.unwrap()), ["4", "3", "1"]);
    // Ids are compared by bytes, and texts that look like SQL are only texts.
    let odd = "'; DROP TABLE events; -- é %_";
    store.append(vec![event(odd, odd, EventKind::Take, 1, Some(odd))]).await.unwrap();
    assert_eq!(items(&store.of_user(odd).await.unwrap()), [odd]);
    assert_eq!(store.users("", 10).await.unwrap(), [odd, "a", "b", "c"]);
    assert_eq!(store.users("'", 10).await.unwrap(), [odd]);
    assert_eq!(store.users("", 2).await.unwrap().len(), 2);
    assert_eq!(store.users("%", 10).await.unwrap(), Vec::<String>::new());
    // A second server sees what the first wrote, and the other way round.
    let other = Store::open(place, Options::default()).await.unwrap();
    assert_eq!(items(&other.of_user("b").await.unwrap()), ["other"]);
    other.append(vec![event("b", "second", EventKind::Take, 30, None)]).await.unwrap();
    assert_eq!(items(&store.of_user("b").await.unwrap()), ["second", "other"]);
    assert_eq!(store.forget("a").await.unwrap().events, 3);
    assert_eq!((store.forget("a").await.unwrap().events, other.of_user("a").await.unwrap().len()), (0, 0));
    // Only the newest of very many are read.
    let many = |from: i64| {
        (from..from + 1000).map(|n| event("d", &n.to_string(), EventKind::Take, n, None)).collect()
    };
    for from in 0..6 {
        store.append(many(from * 1000)).await.unwrap();
    }
    let found = store.of_user("d").await.unwrap();
    assert_eq!((found.len(), found[0].item.as_str()), (EVENTS_OF_USER, "5999"));
    // What people were shown under a key, and what they did afterwards: of everything, or of one item.
    let shown =
        |user: &str, item: &str, time, key: &str| event(user, item, EventKind::Shown, time, Some(key));
    store.append(vec![event("e", "1", EventKind::Take, 90, None)]).await.unwrap();
    let first =
        vec![shown("e", "", 100, "\u{1f}t\u{1f}a\u{1f}e"), shown("f", "", 100, "\u{1f}t\u{1f}a\u{1f}f")];
    assert_eq!(store.append(first.clone()).await.unwrap(), [true, true]);
    assert_eq!(store.append(first).await.unwrap(), [false, false]);
    store.append(vec![shown("g", "5", 100, "\u{1f}t\u{1f}b\u{1f}g\u{1f}5")]).await.unwrap();
    let hits = async |arm: &str, horizon| {
        let prefix = format!("\u{1f}t\u{1f}{arm}\u{1f}");
        let found = store.outcomes(&prefix, &[EventKind::Take, EventKind::Like], horizon).await.unwrap();
        (found.shown, found.started, found.hits.into_keys().collect::<Vec<_>>())
    };
    // Nothing that came before.
    assert_eq!(hits("a", 50).await, (2, Some(100), vec![]));
    store
        .append(vec![
            event("e", "7", EventKind::Like, 150, None),
            event("f", "7", EventKind::View, 120, None),
        ])
        .await
        .unwrap();
    assert_eq!((hits("a", 50).await.2, hits("a", 51).await.2), (vec![], vec!["e".to_string()]));
    store.append(vec![event("g", "4", EventKind::Take, 110, None)]).await.unwrap();
    assert_eq!(hits("b", 50).await, (1, Some(100), vec![]));
    store.append(vec![event("g", "5", EventKind::Take, 110, None)]).await.unwrap();
    assert_eq!((hits("b", 50).await.2, hits("c", 50).await), (vec!["g".to_string()], (0, None, vec![])));
    // None of it is an event of theirs, nor of the table.
    assert_eq!(
        (items(&store.of_user("f").await.unwrap()).len(), store.views_of("f").await.unwrap().len()),
        (0, 1)
    );
    for user in ["e", "f", "g"] {
        store.append(vec![shown(user, "", 200, &format!("\u{1f}u\u{1f}a\u{1f}{user}"))]).await.unwrap();
    }
    assert_eq!(store.forget("e").await.unwrap().events, 4);
    assert_eq!((store.forget("f").await.unwrap().events, store.forget("g").await.unwrap().events), (3, 4));
    store.append(vec![shown("h", "", 200, "\u{1f}u\u{1f}a\u{1f}h")]).await.unwrap();
    // All of it is a table, also while it is open.
    let address = place.clone();
    let table = tokio::task::spawn_blocking(move || export(&address).unwrap()).await.unwrap();
    let file = std::fs::File::open(table.path()).unwrap();
    let rows = parquet::arrow::arrow_reader::ParquetRecordBatchReader::try_new(file, 100_000).unwrap();
    let rows = rows.map(|batch| batch.unwrap()).collect::<Vec<_>>();
    assert_eq!(rows.iter().map(|batch| batch.num_rows()).sum::<usize>(), 6006);
    assert_eq!(
        rows[0].schema().fields().iter().map(|f| f.name().as_str()).collect::<Vec<_>>(),
        ["user", "item", "time", "event"]
    );
}

/// Of one user the newest events are kept; others lose none, and nothing is lost when somebody opens the
/// store again.
pub(super) async fn bounded_per_user(place: &StoreAddress) {
    let options = Options { keep_of_user: 10, ..Options::default() };
    let store = Store::open(place, options).await.unwrap();
    store.append(vec![event("quiet", "1", EventKind::Take, 1, None)]).await.unwrap();
    let keyed = |n: i64| event("busy", &n.to_string(), EventKind::Take, n, Some(&format!("busy-{n}")));
    store.append((0..8).map(keyed).collect()).await.unwrap();
    assert_eq!(store.of_user("busy").await.unwrap().len(), 8);
    // In one request, and one by one.
    assert_eq!(store.append((8..25).map(keyed).collect()).await.unwrap(), [true; 17]);
    for n in 25..30 {
        store.append(vec![keyed(n)]).await.unwrap();
    }
    let newest: Vec<String> = (20..30).rev().map(|n| n.to_string()).collect();
    assert_eq!(items(&store.of_user("busy").await.unwrap()), newest);
    // By the time at which they happened, not at which they came.
    store.append(vec![event("busy", "older", EventKind::Take, 3, None)]).await.unwrap();
    assert_eq!(items(&store.of_user("busy").await.unwrap()), newest);
    // The key of one that is kept still counts.
    assert_eq!(store.append(vec![keyed(29)]).await.unwrap(), [false]);
    assert_eq!(store.of_user("quiet").await.unwrap().len(), 1);
    // A lower bound takes hold with the user's next event.
    drop(store);
    let store = Store::open(place, Options { keep_of_user: 2, ..options }).await.unwrap();
    assert_eq!(store.of_user("busy").await.unwrap().len(), 10);
    store.append(vec![keyed(30)]).await.unwrap();
    assert_eq!(items(&store.of_user("busy").await.unwrap()), ["30", "29"]);
}

/// What holds when clocks are wrong.
pub(super) async fn order_of_arrival(place: &StoreAddress) {
    let store = Store::open(place, Options::default()).await.unwrap();
    let now = 1_700_000_000_000_i64;
    let hour = 3_600_000;
    let at = |user: &str, item: &str, arrived: i64, happened: Option<i64>| {
        let (user, item) = (user.into(), item.into());
        vec![Event { user, item, kind: EventKind::Take, arrived, happened, key: None }]
    };
    let append = async |events| assert_eq!(store.append(events).await.unwrap(), [true]);
    // The clock goes a year ahead, and back.
    append(at("a", "before", now, None)).await;
    append(at("a", "ahead", now + 9000 * hour, None)).await;
    append(at("a", "back", now + 1, None)).await;
    append(at("a", "said", now + 3, Some(now + 2))).await;
    append(at("a", "late", now + 4, Some(now - 50 * hour))).await;
    let order = ["late", "said", "back", "ahead", "before"];
    assert_eq!(items(&store.of_user("a").await.unwrap()), order, "the order of arrival is all there is");
    // It goes back a little: what came before stays before.
    append(at("b", "first", now, None)).await;
    append(at("b", "second", now - 60_000, None)).await;
    // While clocks are right, what clients say counts.
    append(at("b", "earlier", now + 1, Some(now - hour))).await;
    append(at("b", "third", now + 2, Some(now + 1))).await;
    assert_eq!(items(&store.of_user("b").await.unwrap()), ["third", "second", "first", "earlier"]);
}

/// Many writers at a time: everything acknowledged is there, with deletions in between.
pub(super) async fn many_writers(place: &StoreAddress) {
    let store = std::sync::Arc::new(Store::open(place, Options::default()).await.unwrap());
    let writer = |w: usize| {
        let store = store.clone();
        tokio::spawn(async move {
            for n in 0..25 {
                let user = format!("w{w}");
                if n == 10 {
                    assert_eq!(store.forget(&user).await.unwrap().events, 10);
                }
                let key = format!("{w}-{n}");
                let item = n.to_string();
                assert_eq!(
                    store.append(vec![event(&user, &item, EventKind::Take, 1, Some(&key))]).await.unwrap(),
                    [true]
                );
            }
        })
    };
    for task in (0..20).map(writer).collect::<Vec<_>>() {
        task.await.unwrap();
    }
    for w in 0..20 {
        assert_eq!(store.of_user(&format!("w{w}")).await.unwrap().len(), 15);
    }
}

#[test]
fn places_are_parsed() {
    assert!(matches!("sqlite:a/b".parse(), Ok(StoreAddress::File(p)) if p == Path::new("a/b")));
    assert!(matches!("postgres://host/db".parse(), Ok(StoreAddress::Url(_))));
    for wrong in ["", "sqlite:", "mysql://x", "events.sqlite"] {
        assert!(wrong.parse::<StoreAddress>().is_err(), "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    contract(&StoreAddress::File(dir.path().join("new/folder/a.sqlite"))).await;
    order_of_arrival(&StoreAddress::File(dir.path().join("c.sqlite"))).await;
    many_writers(&StoreAddress::File(dir.path().join("b.sqlite"))).await;
    bounded_per_user(&StoreAddress::File(dir.path().join("d.sqlite"))).await;
}

#[tokio::test]
async fn files_that_are_no_store_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x");
    std::fs::write(&file, "no database at all, but long enough to look at").unwrap();
    let error =
        Store::open(&StoreAddress::File(file.clone()), Options::default()).await.err().unwrap().to_string();
    assert!(error.contains("not a database"), "{error}");
    let newer = dir.path().join("newer.sqlite");
    let connection = rusqlite::Connection::open(&newer).unwrap();
    connection.execute_batch("PRAGMA application_id = 1634494827; PRAGMA user_version = 99").unwrap();
    let error = Store::open(&StoreAddress::File(newer), Options::default()).await.err().unwrap().to_string();
    assert!(error.contains("version 99; this program knows 2"), "{error}");
    let folder = Store::open(&StoreAddress::File(dir.path().to_path_buf()), Options::default())
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(folder.contains("unable to open"), "{folder}");
    assert!(
        Store::open(&StoreAddress::Url("postgres://localhost:1/none".into()), Options::default())
            .await
            .is_err()
    );
}
