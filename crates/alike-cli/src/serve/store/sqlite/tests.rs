//! What can happen to the file of a store.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::super::{Erased, Event, EventKind, Options, Store, StoreAddress, StoreError};

struct Open {
    folder: tempfile::TempDir,
    store: Store,
}

impl Open {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&StoreAddress::File(folder.path().join("a.sqlite")), Options::default())
            .await
            .unwrap();
        Self { folder, store }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Whether an event of `user` is acknowledged.
    async fn take(&self, user: &str) -> Result<(), StoreError> {
        let (user, item) = (user.into(), "1".into());
        let event = Event { user, item, kind: EventKind::Take, arrived: 1, happened: None, key: None };
        self.store.append(vec![event]).await.map(drop)
    }

    /// Neither written nor read, and both say why.
    #[cfg(unix)]
    async fn refuses(&self, what: &str) {
        let (written, read) = (self.take("b").await, self.store.of_user("a").await.map(drop));
        for answer in [written, read, self.store.forget("a").await.map(drop)] {
            let Err(StoreError::Moved(text)) = answer else { panic!("{what}: {answer:?}") };
            assert!(
                text.contains("a.sqlite") && text.contains("moved, replaced or deleted"),
                "{what}: {text}"
            );
        }
    }
}

fn rename(from: &Path, to: &Path) {
    std::fs::rename(from, to).unwrap();
}

/// Users with events in the file, as another process finds them.
async fn users_of_store(path: PathBuf) -> Vec<String> {
    Store::open(&StoreAddress::File(path), Options::default()).await.unwrap().users("", 10).await.unwrap()
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_acknowledged_once_a_file_of_the_store_is_gone() {
    for ending in ["", "-wal", "-shm"] {
        let open = Open::new().await;
        open.take("a").await.unwrap();
        let file = open.path(&format!("a.sqlite{ending}"));
        rename(&file, &open.path("aside"));
        open.refuses(ending).await;
        assert!(!file.exists(), "{ending}: anyone who reads or writes makes no new one");
        // Another file under its name is none of this store.
        std::fs::copy(open.path("aside"), &file).unwrap();
        open.refuses(ending).await;
        // The same one back in its place goes on, and everything acknowledged is there.
        rename(&open.path("aside"), &file);
        open.take("c").await.unwrap();
        drop(open.store);
        assert_eq!(users_of_store(open.folder.path().join("a.sqlite")).await, ["a", "c"], "{ending}");
    }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_moves_takes_its_store_out_of_use() {
    let outer = tempfile::tempdir().unwrap();
    let (inner, aside) = (outer.path().join("live"), outer.path().join("old"));
    let store = Store::open(&StoreAddress::File(inner.join("a.sqlite")), Options::default()).await.unwrap();
    let open = Open { folder: outer, store };
    open.take("a").await.unwrap();
    rename(&inner, &aside);
    std::fs::create_dir(&inner).unwrap();
    open.refuses("folder").await;
    assert_eq!(std::fs::read_dir(&inner).unwrap().count(), 0);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_cut_in_its_place_is_noticed_before_the_answer() {
    let open = Open::new().await;
    open.take("a").await.unwrap();
    let log = std::fs::File::options().write(true).open(open.path("a.sqlite-wal")).unwrap();
    log.set_len(0).unwrap();
    // What is written now lies behind a hole, and would not be found again.
    assert!(matches!(open.take("b").await, Err(StoreError::Unsure(_))));
    open.refuses("cut").await;
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn every_event_acknowledged_while_the_file_moves_is_in_it() {
    let open = std::sync::Arc::new(Open::new().await);
    let writer = |w: usize| {
        let open = open.clone();
        tokio::spawn(async move {
            let mut acknowledged = Vec::new();
            for n in 0..200 {
                let user = format!("{w}-{n}");
                match open.take(&user).await {
                    Ok(()) => acknowledged.push(user),
                    Err(_) => break,
                }
            }
            acknowledged
        })
    };
    let writers: Vec<_> = (0..4).map(writer).collect();
    tokio::time::sleep(std::time::Duration::from_millis(30)).await;
    // The log first, as anyone who moves a store must not do it: what came in between is refused.
    for name in ["a.sqlite-wal", "a.sqlite", "a.sqlite-shm"] {
        rename(&open.path(name), &open.path(&name.replace("a.", "b.")));
    }
    let mut acknowledged = Vec::new();
    for writer in writers {
        acknowledged.extend(writer.await.unwrap());
    }
    let moved = Store::open(&StoreAddress::File(open.path("b.sqlite")), Options::default()).await.unwrap();
    for user in &acknowledged {
        assert_eq!(moved.of_user(user).await.unwrap().len(), 1, "{user} of {}", acknowledged.len());
    }
}

/// What another program keeps in SQLite is not ours to write to, whatever its tables are called.
#[tokio::test(flavor = "multi_thread")]
async fn files_of_other_programs_are_left_as_they_are() {
    let ours =
        "seq INTEGER PRIMARY KEY AUTOINCREMENT, user TEXT, item TEXT, kind TEXT, time INTEGER, key TEXT";
    for (n, script) in [
        "CREATE TABLE photos (id INTEGER); CREATE TABLE albums (id INTEGER); INSERT INTO photos VALUES (1)",
        "CREATE TABLE events (id INTEGER, what TEXT); PRAGMA user_version = 1; INSERT INTO events VALUES (1, 'x')",
        // With every column that ours has, and with the number of its version, but with more tables beside
        // it.
        &format!("CREATE TABLE events ({ours}); CREATE TABLE more (id INTEGER); PRAGMA user_version = 1"),
        &format!("CREATE TABLE events ({ours}); PRAGMA user_version = 1; PRAGMA application_id = 7"),
        // Empty, but somebody's.
        "PRAGMA application_id = 7",
        "PRAGMA user_version = 3",
        // With what its program has not brought from the log to the file yet.
        "PRAGMA journal_mode = WAL; CREATE TABLE notes (text TEXT); INSERT INTO notes VALUES ('mine')",
    ]
    .into_iter()
    .enumerate()
    {
        let (made, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let path = folder.path().join("a.sqlite");
        let other = Connection::open(made.path().join("a.sqlite")).unwrap();
        other.execute_batch(script).unwrap();
        // As its program leaves it that is killed.
        for name in ["a.sqlite", "a.sqlite-wal"].iter().filter(|name| made.path().join(name).exists()) {
            std::fs::copy(made.path().join(name), folder.path().join(name)).unwrap();
        }
        let content = || {
            let mut found: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().path()).collect();
            found.sort();
            // The index of a log is a thing of those who have it open.
            found.retain(|path| !path.to_string_lossy().ends_with("-shm"));
            found.into_iter().map(|path| (std::fs::read(&path).unwrap(), path)).collect::<Vec<_>>()
        };
        let before = content();
        let refused = Store::open(&StoreAddress::File(path.clone()), Options::default()).await.err();
        let text = refused.unwrap_or_else(|| panic!("{n} is taken for a store")).to_string();
        assert!(text.contains("a.sqlite: is a database of another program") && text.contains("--store"), "{text}");
        assert!(!text.contains('\n') && content() == before, "{n}: it was written to");
    }
}

/// A file as the first version made it, which does not say whose it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_the_first_version_is_taken_over() {
    let open = Open::new().await;
    open.take("a").await.unwrap();
    let path = open.path("a.sqlite");
    let Open { folder: _kept, store } = open;
    drop(store);
    let number = || -> i64 {
        let connection = Connection::open(&path).unwrap();
        connection.pragma_query_value(None, "application_id", |row| row.get(0)).unwrap()
    };
    assert_eq!(number(), super::ours::APPLICATION);
    let older =
        "DROP TABLE items; DROP INDEX events_history; PRAGMA application_id = 0; PRAGMA user_version = 1";
    Connection::open(&path).unwrap().execute_batch(older).unwrap();
    assert_eq!(users_of_store(path.clone()).await, ["a"]);
    assert_eq!(number(), super::ours::APPLICATION, "from now on it does");
}

/// Whether any file of the store holds `text`.
fn holds(open: &Open, text: &str) -> bool {
    let bytes = |ending: &str| std::fs::read(open.path(&format!("a.sqlite{ending}"))).unwrap_or_default();
    ["", "-wal"].iter().any(|e| bytes(e).windows(text.len()).any(|w| w == text.as_bytes()))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_forgotten_leaves_the_files_once_nobody_reads_an_older_state() {
    let open = Open::new().await;
    open.take("somebody-else").await.unwrap();
    open.take("unforgettable").await.unwrap();
    // As a backup does it.
    let other = Connection::open(open.path("a.sqlite")).unwrap();
    other.execute_batch("BEGIN; SELECT count(*) FROM events").unwrap();
    let begun = Instant::now();
    let forgotten = open.store.forget("unforgettable").await.unwrap();
    assert_eq!((forgotten.events, forgotten.pending), (1, true));
    assert!(holds(&open, "unforgettable"));
    // Neither this nor other writers wait for the backup.
    open.take("next").await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert!(open.store.forget("unforgettable").await.unwrap().pending, "it is still there");
    other.execute_batch("COMMIT").unwrap();
    let end = Instant::now() + Duration::from_secs(10);
    while holds(&open, "unforgettable") {
        assert!(Instant::now() < end, "nobody empties the log");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(!open.store.forget("unforgettable").await.unwrap().pending);
    assert!(!open.store.forget("next").await.unwrap().pending && !holds(&open, "next"));
    assert!(holds(&open, "somebody-else"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_lock_is_waited_for_once_and_not_by_everybody() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { timeout: Duration::from_millis(200), ..Options::default() };
    let place = StoreAddress::File(folder.path().join("a.sqlite"));
    let open = std::sync::Arc::new(Open { store: Store::open(&place, options).await.unwrap(), folder });
    assert!(open.store.ready().await.is_ok());
    let other = Connection::open(open.path("a.sqlite")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let begun = Instant::now();
    let one = |n: usize| {
        let open = open.clone();
        tokio::spawn(async move { open.take(&n.to_string()).await.is_err() })
    };
    for task in (0..50).map(one).collect::<Vec<_>>() {
        assert!(task.await.unwrap());
    }
    for n in 0..50 {
        assert!(open.take(&n.to_string()).await.is_err());
    }
    assert!(begun.elapsed() < Duration::from_millis(900), "{:?}", begun.elapsed());
    assert!(open.store.ready().await.is_err(), "anyone who cannot write is not ready");
    assert!(open.store.of_user("a").await.is_ok(), "reading goes on");
    other.execute_batch("COMMIT").unwrap();
    let end = Instant::now() + Duration::from_secs(10);
    while open.store.ready().await.is_err() {
        assert!(Instant::now() < end, "it does not try again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    open.take("a").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_could_not_write_is_not_ready() {
    let open = Open::new().await;
    let other = Connection::open(open.path("a.sqlite")).unwrap();
    other
        .execute_batch("CREATE TRIGGER full BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'full'); END")
        .unwrap();
    assert!(open.take("a").await.is_err());
    assert!(open.store.ready().await.is_err(), "the last write failed");
    other.execute_batch("DROP TRIGGER full").unwrap();
    open.take("a").await.unwrap();
    assert!(open.store.ready().await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn room_comes_back_after_somebody_with_many_events_is_forgotten() {
    let open = Open::new().await;
    for _ in 0..4 {
        let event = |n: i64| Event {
            user: "much".into(),
            item: "x".repeat(200),
            kind: EventKind::Take,
            arrived: n,
            happened: None,
            key: None,
        };
        open.store.append((0..1000).map(event).collect()).await.unwrap();
    }
    open.take("a").await.unwrap();
    let size = || ["", "-wal"].map(|e| std::fs::metadata(open.path(&format!("a.sqlite{e}"))).unwrap().len());
    assert_eq!(open.store.forget("much").await.unwrap(), Erased { events: 4000, pending: false });
    let end = Instant::now() + Duration::from_secs(10);
    while size()[0] > 100_000 || size()[1] > 0 {
        assert!(Instant::now() < end, "{:?}", size());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(open.store.users("", 9).await.unwrap(), ["a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn old_events_go_and_the_file_gets_shorter() {
    let folder = tempfile::tempdir().unwrap();
    let place = StoreAddress::File(folder.path().join("a.sqlite"));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
    let day = 24 * 3600 * 1000;
    let event = |n: i64, days: i64| Event {
        user: format!("{n}"),
        item: "x".repeat(200),
        kind: EventKind::Take,
        arrived: now,
        happened: Some(now - days * day),
        key: Some(format!("{n}")),
    };
    let store = Store::open(&place, Options::default()).await.unwrap();
    for from in 0..6 {
        let days = |n: i64| if n % 100 == 7 { 29 } else { 31 };
        store.append((from * 1000..from * 1000 + 1000).map(|n| event(n, days(n))).collect()).await.unwrap();
    }
    drop(store);
    let size = || std::fs::metadata(folder.path().join("a.sqlite")).unwrap().len();
    let before = size();
    let store = Store::open(&place, Options { keep_days: Some(30), ..Options::default() }).await.unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    while store.users("", 100).await.unwrap().len() != 60 || size() * 4 > before {
        assert!(
            Instant::now() < end,
            "{} users, {} of {before} bytes",
            store.users("", 100).await.unwrap().len(),
            size()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(store.users("", 100).await.unwrap().iter().all(|n| n.parse::<i64>().unwrap() % 100 == 7));
}
