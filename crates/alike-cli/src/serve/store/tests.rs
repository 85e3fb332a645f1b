//! What every store must do, on SQLite and, where it is installed, on PostgreSQL.

use std::path::Path;

use super::*;
use crate::serve::tests::cluster::Cluster;
use crate::skipped::skipped;

fn event(user: &str, item: &str, kind: Kind, time: i64, key: Option<&str>) -> Event {
    let key = key.map(String::from);
    Event { user: user.into(), item: item.into(), kind, arrived: 1_000_000, said: Some(time), key }
}

fn items(stored: &[Stored]) -> Vec<&str> {
    stored.iter().map(|s| s.item.as_str()).collect()
}

/// What holds of any store that begins empty; `open` opens it once more.
async fn contract(place: &Place) {
    let store = Store::open(place, Options::default()).await.unwrap();
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
    let other = Store::open(place, Options::default()).await.unwrap();
    assert_eq!(items(&other.of_user("b").await.unwrap()), ["other"]);
    other.append(vec![event("b", "second", Kind::Take, 30, None)]).await.unwrap();
    assert_eq!(items(&store.of_user("b").await.unwrap()), ["second", "other"]);
    assert_eq!(store.forget("a").await.unwrap().events, 3);
    assert_eq!((store.forget("a").await.unwrap().events, other.of_user("a").await.unwrap().len()), (0, 0));
    // Only the newest of very many are read.
    let many =
        |from: i64| (from..from + 1000).map(|n| event("d", &n.to_string(), Kind::Take, n, None)).collect();
    for from in 0..6 {
        store.append(many(from * 1000)).await.unwrap();
    }
    let found = store.of_user("d").await.unwrap();
    assert_eq!((found.len(), found[0].item.as_str()), (EVENTS_OF_USER, "5999"));
}

/// Of one user the newest events are kept; others lose none, and nothing is lost when somebody opens the store again.
async fn bounded_per_user(place: &Place) {
    let options = Options { keep_of_user: 10, ..Options::default() };
    let store = Store::open(place, options).await.unwrap();
    store.append(vec![event("quiet", "1", Kind::Take, 1, None)]).await.unwrap();
    let keyed = |n: i64| event("busy", &n.to_string(), Kind::Take, n, Some(&format!("busy-{n}")));
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
    store.append(vec![event("busy", "older", Kind::Take, 3, None)]).await.unwrap();
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
async fn order_of_arrival(place: &Place) {
    let store = Store::open(place, Options::default()).await.unwrap();
    let now = 1_700_000_000_000_i64;
    let hour = 3_600_000;
    let at = |user: &str, item: &str, arrived: i64, said: Option<i64>| {
        let (user, item) = (user.into(), item.into());
        vec![Event { user, item, kind: Kind::Take, arrived, said, key: None }]
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
async fn many_writers(place: &Place) {
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
    order_of_arrival(&Place::File(dir.path().join("c.sqlite"))).await;
    many_writers(&Place::File(dir.path().join("b.sqlite"))).await;
    bounded_per_user(&Place::File(dir.path().join("d.sqlite"))).await;
}

#[tokio::test]
async fn files_that_are_no_store_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x");
    std::fs::write(&file, "no database at all, but long enough to look at").unwrap();
    let error = Store::open(&Place::File(file.clone()), Options::default()).await.err().unwrap().to_string();
    assert!(error.contains("not a database"), "{error}");
    let newer = dir.path().join("newer.sqlite");
    let connection = rusqlite::Connection::open(&newer).unwrap();
    connection.execute_batch("PRAGMA application_id = 1634494827; PRAGMA user_version = 99").unwrap();
    let error = Store::open(&Place::File(newer), Options::default()).await.err().unwrap().to_string();
    assert!(error.contains("version 99; this program knows 1"), "{error}");
    let folder = Store::open(&Place::File(dir.path().to_path_buf()), Options::default())
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(folder.contains("unable to open"), "{folder}");
    assert!(
        Store::open(&Place::Url("postgres://localhost:1/none".into()), Options::default()).await.is_err()
    );
}

async fn store_says_that_rows_stay_until_they_are_vacuumed(place: &Place) -> bool {
    let store = Store::open(place, Options::default()).await.unwrap();
    store.forget("nobody").await.unwrap().pending && store.waits_for().contains("VACUUM")
}

/// Two replicas write the same keys, each in another order: no event waits for itself in a ring.
async fn the_same_keys_in_opposite_order(place: &Place) {
    let replica = |reversed: bool| {
        let place = match place {
            Place::Url(url) => Place::Url(url.clone()),
            Place::File(path) => Place::File(path.clone()),
        };
        tokio::spawn(async move {
            let store = Store::open(&place, Options::default()).await.unwrap();
            let mut written = 0;
            for round in 0..25 {
                let one = |n: i64| event(&n.to_string(), "1", Kind::Take, n, Some(&format!("{round}-{n}")));
                let mut events: Vec<Event> = (0..200).map(one).collect();
                if reversed {
                    events.reverse();
                }
                written += store.append(events).await.unwrap().into_iter().filter(|&new| new).count();
            }
            written
        })
    };
    let (one, other) = (replica(false), replica(true));
    assert_eq!(one.await.unwrap() + other.await.unwrap(), 25 * 200);
}

/// A commit that is on disk but not answered, here since a replica of the database is waited for: it is not said that
/// nothing was written, and the same key tells.
async fn a_commit_that_nobody_hears_of(cluster: &Cluster) {
    let options = Options { patience: std::time::Duration::from_millis(300), ..Options::default() };
    let store = Store::open(&Place::Url(cluster.database("unheard")), options).await.unwrap();
    let take = |key: String| vec![event("a", "1", Kind::Take, 1, Some(&key))];
    let wait_for = |whom: &str| {
        cluster.sql(&format!("ALTER SYSTEM SET synchronous_standby_names = '{whom}'"));
        cluster.sql("SELECT pg_reload_conf()");
    };
    wait_for("nobody");
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    // The server takes a moment to hear of the setting.
    let mut tries = (0..).map(|n| n.to_string());
    let unheard = loop {
        assert!(std::time::Instant::now() < end, "every commit is answered");
        let key = tries.next().unwrap();
        match store.append(take(key.clone())).await {
            Err(StoreError::Unsure(_)) => break key,
            outcome => outcome.unwrap(),
        };
    };
    wait_for("");
    let again = loop {
        assert!(std::time::Instant::now() < end, "it does not come back");
        match store.append(take(unheard.clone())).await {
            Ok(new) => break new,
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
        }
    };
    assert_eq!(again, [false], "it had been written");
}

/// A server that answers nothing, without being gone, holds nobody up for long.
async fn a_server_that_stops(cluster: &Cluster) {
    let options = Options { patience: std::time::Duration::from_millis(300), ..Options::default() };
    let store = Store::open(&Place::Url(cluster.database("stops")), options).await.unwrap();
    let take = || vec![event("a", "1", Kind::Take, 1, None)];
    store.append(take()).await.unwrap();
    assert!(store.ready().await.is_ok() && store.of_user("a").await.is_ok());
    cluster.signal("STOP");
    let begun = std::time::Instant::now();
    for _ in 0..20 {
        assert!(store.append(take()).await.is_err() && store.of_user("a").await.is_err());
    }
    assert!(store.ready().await.is_err());
    let took = begun.elapsed();
    cluster.signal("CONT");
    assert!(took < std::time::Duration::from_millis(1500), "{took:?}");
    let end = begun + std::time::Duration::from_secs(20);
    while store.append(take()).await.is_err() || store.of_user("a").await.is_err() {
        assert!(std::time::Instant::now() < end, "it does not come back");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_keeps_the_contract() {
    let Some(cluster) = Cluster::start() else {
        skipped("postgresql", "PostgreSQL is not installed under /usr/lib/postgresql");
        return;
    };
    let new = |name: &str| Place::Url(cluster.database(name));
    contract(&new("contract")).await;
    many_writers(&new("writers")).await;
    order_of_arrival(&new("order")).await;
    bounded_per_user(&new("bounded")).await;
    the_same_keys_in_opposite_order(&new("keys")).await;
    a_server_that_stops(&cluster).await;
    a_commit_that_nobody_hears_of(&cluster).await;
    // Servers that start together make the tables once.
    let url = cluster.database("together");
    let place = Place::Url(url.clone());
    let open = |_| {
        let place = Place::Url(url.clone());
        tokio::spawn(async move { Store::open(&place, Options::default()).await.map(drop) })
    };
    for task in (0..5).map(open).collect::<Vec<_>>() {
        task.await.unwrap().unwrap();
    }
    assert!(store_says_that_rows_stay_until_they_are_vacuumed(&place).await);
    // A database that goes away is an error, and is found again when it is back.
    let store = Store::open(&place, Options::default()).await.unwrap();
    let take = || vec![event("a", "1", Kind::Take, 1, None)];
    store.append(take()).await.unwrap();
    assert_eq!(store.of_user("a").await.unwrap().len(), 1);
    cluster.control("stop");
    assert!(store.append(take()).await.is_err() && store.of_user("a").await.is_err());
    cluster.control("start");
    store.append(take()).await.unwrap();
    assert_eq!(store.of_user("a").await.unwrap().len(), 2);
}
