//! What every store must do, on SQLite and, where it is installed, on PostgreSQL.

use std::path::Path;

use super::*;
use crate::serve::tests::cluster::Cluster;

fn event(user: &str, item: &str, kind: Kind, time: i64, key: Option<&str>) -> Event {
    Event { user: user.into(), item: item.into(), kind, time, key: key.map(String::from) }
}

fn items(stored: &[Stored]) -> Vec<&str> {
    stored.iter().map(|s| s.item.as_str()).collect()
}

/// What holds of any store that begins empty; `open` opens it once more.
async fn contract(place: &Place) {
    let store = Store::open(place).await.unwrap();
    assert_eq!(store.of_user("a").await.unwrap(), []);
    // Newest by time, then by arrival, first.
    let events = vec![
        event("a", "late", Kind::Take, 20, None),
        event("a", "early", Kind::Like, 10, None),
        event("a", "last", Kind::Dislike, 20, None),
        event("b", "other", Kind::Remove, 15, None),
    ];
    assert_eq!(store.append(events).await.unwrap(), [true; 4]);
    let found = store.of_user("a").await.unwrap();
    assert_eq!(items(&found), ["last", "late", "early"]);
    assert_eq!(found.iter().map(|s| s.kind).collect::<Vec<_>>(), [Kind::Dislike, Kind::Take, Kind::Like]);
    // A key counts once, within one request, too.
    let keyed = |item: &str, key: &str| event("c", item, Kind::Take, 1, Some(key));
    let new = store.append(vec![
        keyed("1", "k"),
        keyed("2", "k"),
        keyed("3", "l"),
        event("c", "4", Kind::Take, 2, None),
    ]);
    assert_eq!(new.await.unwrap(), [true, false, true, true]);
    assert_eq!(store.append(vec![keyed("5", "l")]).await.unwrap(), [false]);
    assert_eq!(items(&store.of_user("c").await.unwrap()), ["4", "3", "1"]);
    // Ids are compared by bytes, and texts that look like SQL are only texts.
    let odd = "'; DROP TABLE events; -- é %_";
    store.append(vec![event(odd, odd, Kind::Take, 1, Some(odd))]).await.unwrap();
    assert_eq!(items(&store.of_user(odd).await.unwrap()), [odd]);
    assert_eq!(store.users("", 10).await.unwrap(), [odd, "a", "b", "c"]);
    assert_eq!(store.users("'", 10).await.unwrap(), [odd]);
    assert_eq!(store.users("", 2).await.unwrap().len(), 2);
    assert_eq!(store.users("%", 10).await.unwrap(), Vec::<String>::new());
    // A second server sees what the first wrote, and the other way round.
    let other = Store::open(place).await.unwrap();
    assert_eq!(items(&other.of_user("b").await.unwrap()), ["other"]);
    other.append(vec![event("b", "second", Kind::Take, 30, None)]).await.unwrap();
    assert_eq!(items(&store.of_user("b").await.unwrap()), ["second", "other"]);
    assert_eq!(store.forget("a").await.unwrap(), 3);
    assert_eq!((store.forget("a").await.unwrap(), other.of_user("a").await.unwrap().len()), (0, 0));
    // Only the newest of very many are read.
    let many =
        |from: i64| (from..from + 1000).map(|n| event("d", &n.to_string(), Kind::Take, n, None)).collect();
    for from in 0..6 {
        store.append(many(from * 1000)).await.unwrap();
    }
    let found = store.of_user("d").await.unwrap();
    assert_eq!((found.len(), found[0].item.as_str()), (EVENTS_OF_USER, "5999"));
}

/// Many writers at a time: everything acknowledged is there, with deletions in between.
async fn many_writers(place: &Place) {
    let store = std::sync::Arc::new(Store::open(place).await.unwrap());
    let writer = |w: usize| {
        let store = store.clone();
        tokio::spawn(async move {
            for n in 0..25 {
                let user = format!("w{w}");
                if n == 10 {
                    assert_eq!(store.forget(&user).await.unwrap(), 10);
                }
                let key = format!("{w}-{n}");
                let item = n.to_string();
                assert_eq!(
                    store.append(vec![event(&user, &item, Kind::Take, 1, Some(&key))]).await.unwrap(),
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
    assert!(matches!("sqlite:a/b".parse(), Ok(Place::File(p)) if p == Path::new("a/b")));
    assert!(matches!("postgres://host/db".parse(), Ok(Place::Url(_))));
    for wrong in ["", "sqlite:", "mysql://x", "events.sqlite"] {
        assert!(wrong.parse::<Place>().is_err(), "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    contract(&Place::File(dir.path().join("new/folder/a.sqlite"))).await;
    many_writers(&Place::File(dir.path().join("b.sqlite"))).await;
}

#[tokio::test]
async fn files_that_are_no_store_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x");
    std::fs::write(&file, "no database at all, but long enough to look at").unwrap();
    let error = Store::open(&Place::File(file.clone())).await.err().unwrap().to_string();
    assert!(error.contains("not a database"), "{error}");
    let newer = dir.path().join("newer.sqlite");
    let connection = rusqlite::Connection::open(&newer).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    let error = Store::open(&Place::File(newer)).await.err().unwrap().to_string();
    assert!(error.contains("version 99; this program knows 1"), "{error}");
    let folder = Store::open(&Place::File(dir.path().to_path_buf())).await.err().unwrap().to_string();
    assert!(folder.contains("unable to open"), "{folder}");
    assert!(Store::open(&Place::Url("postgres://localhost:1/none".into())).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_keeps_the_contract() {
    let Some(cluster) = Cluster::start() else {
        println!("skipped: PostgreSQL is not installed under /usr/lib/postgresql");
        return;
    };
    let new = |name: &str| Place::Url(cluster.database(name));
    contract(&new("contract")).await;
    many_writers(&new("writers")).await;
    // Servers that start together make the tables once.
    let url = cluster.database("together");
    let place = Place::Url(url.clone());
    let open = |_| {
        let place = Place::Url(url.clone());
        tokio::spawn(async move { Store::open(&place).await.map(drop) })
    };
    for task in (0..5).map(open).collect::<Vec<_>>() {
        task.await.unwrap().unwrap();
    }
    // A database that goes away is an error, and is found again when it is back.
    let store = Store::open(&place).await.unwrap();
    let take = || vec![event("a", "1", Kind::Take, 1, None)];
    store.append(take()).await.unwrap();
    assert_eq!(store.of_user("a").await.unwrap().len(), 1);
    cluster.control("stop");
    assert!(store.append(take()).await.is_err() && store.of_user("a").await.is_err());
    cluster.control("start");
    store.append(take()).await.unwrap();
    assert_eq!(store.of_user("a").await.unwrap().len(), 2);
}
