//! What every store must do, on PostgreSQL where it is installed, and what only a database on a network must.

use crate::serve::store::tests::{bounded_per_user, contract, event, many_writers, order_of_arrival};
use crate::serve::store::{Event, EventKind, Options, Store, StoreAddress, StoreError};
use crate::serve::tests::cluster::Cluster;
use crate::skipped::skipped;

async fn store_says_that_rows_stay_until_they_are_vacuumed(place: &StoreAddress) -> bool {
    let store = Store::open(place, Options::default()).await.unwrap();
    store.forget("nobody").await.unwrap().pending && store.waits_for().contains("VACUUM")
}

/// Two replicas write the same keys, each in another order: no event waits for itself in a ring.
async fn the_same_keys_in_opposite_order(place: &StoreAddress) {
    let replica = |reversed: bool| {
        let place = match place {
            StoreAddress::Url(url) => StoreAddress::Url(url.clone()),
            StoreAddress::File(path) => StoreAddress::File(path.clone()),
        };
        tokio::spawn(async move {
            let store = Store::open(&place, Options::default()).await.unwrap();
            let mut written = 0;
            for round in 0..25 {
                let one =
                    |n: i64| event(&n.to_string(), "1", EventKind::Take, n, Some(&format!("{round}-{n}")));
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

/// A commit that is on disk but not answered, here since a replica of the database is waited for: it is not
/// said that nothing was written, and the same key tells.
async fn a_commit_that_nobody_hears_of(cluster: &Cluster) {
    let options = Options { timeout: std::time::Duration::from_millis(300), ..Options::default() };
    let store = Store::open(&StoreAddress::Url(cluster.database("unheard")), options).await.unwrap();
    let take = |key: String| vec![event("a", "1", EventKind::Take, 1, Some(&key))];
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
    let options = Options { timeout: std::time::Duration::from_millis(300), ..Options::default() };
    let store = Store::open(&StoreAddress::Url(cluster.database("stops")), options).await.unwrap();
    let take = || vec![event("a", "1", EventKind::Take, 1, None)];
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
    let new = |name: &str| StoreAddress::Url(cluster.database(name));
    contract(&new("contract")).await;
    many_writers(&new("writers")).await;
    order_of_arrival(&new("order")).await;
    bounded_per_user(&new("bounded")).await;
    the_same_keys_in_opposite_order(&new("keys")).await;
    a_server_that_stops(&cluster).await;
    a_commit_that_nobody_hears_of(&cluster).await;
    // Servers that start together make the tables once.
    let url = cluster.database("together");
    let place = StoreAddress::Url(url.clone());
    let open = |_| {
        let place = StoreAddress::Url(url.clone());
        tokio::spawn(async move { Store::open(&place, Options::default()).await.map(drop) })
    };
    for task in (0..5).map(open).collect::<Vec<_>>() {
        task.await.unwrap().unwrap();
    }
    assert!(store_says_that_rows_stay_until_they_are_vacuumed(&place).await);
    // A database that goes away is an error, and is found again when it is back.
    let store = Store::open(&place, Options::default()).await.unwrap();
    let take = || vec![event("a", "1", EventKind::Take, 1, None)];
    store.append(take()).await.unwrap();
    assert_eq!(store.of_user("a").await.unwrap().len(), 1);
    cluster.control("stop");
    assert!(store.append(take()).await.is_err() && store.of_user("a").await.is_err());
    cluster.control("start");
    store.append(take()).await.unwrap();
    assert_eq!(store.of_user("a").await.unwrap().len(), 2);
}
