//! The disk under the store goes wrong at each call that SQLite makes: it fails once, is full from then on,
//! or the process dies there, with the power or without. What was acknowledged is there when the store is
//! opened again, what was refused is not, and the file is sound.

mod disk;
#[allow(unsafe_code)]
mod vfs;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;

pub(crate) use disk::Fault;
use disk::Left;
pub(crate) use vfs::watch;

use crate::serve::store::{Event, EventKind, Options, Store, StoreAddress, StoreError};

const NOW: i64 = 1_700_000_000_000;
const FILE: &str = "a.sqlite";

/// Numbers of events that users may have.
type Expected = BTreeMap<&'static str, BTreeSet<usize>>;

fn events(user: &str, count: usize, happened: i64) -> Vec<Event> {
    let one = |n: usize| Event {
        user: user.into(),
        item: format!("{n}{}", "x".repeat(200)),
        kind: EventKind::Take,
        arrived: NOW,
        happened: Some(happened),
        key: Some(format!("{user}-{n}")),
    };
    (0..count).map(one).collect()
}

fn options() -> Options {
    Options { keep_days: Some(30), timeout: Duration::from_millis(200), ..Options::default() }
}

/// Notes what became of a change that was to turn the number of events of `user` into `to(number)`.
fn note<T>(
    expected: &mut Expected,
    user: &'static str,
    outcome: Result<T, StoreError>,
    to: impl Fn(usize) -> usize,
) {
    let before = expected.entry(user).or_insert_with(|| BTreeSet::from([0]));
    let after: BTreeSet<usize> = before.iter().map(|&n| to(n)).collect();
    match outcome {
        Ok(_) => *before = after,
        Err(StoreError::Unsure(_)) => before.extend(after),
        Err(StoreError::Failed(text)) => assert!(!text.contains('\n'), "{text}"),
        Err(other) => panic!("{user}: {other:?}"),
    }
}

/// What a server does in its life. Old events are removed before the first change is written.
async fn work(folder: &Path, expected: &mut Expected) -> Option<Store> {
    let store = match Store::open(&StoreAddress::File(folder.join(FILE)), options()).await {
        Ok(store) => store,
        Err(error) => {
            assert!(!error.to_string().contains('\n'), "{error}");
            return None;
        }
    };
    note(expected, "a", store.append(events("a", 3, NOW)).await, |n| n + 3);
    note(expected, "b", store.append(events("b", 60, NOW)).await, |n| n + 60);
    note(expected, "a", store.forget("a").await, |_| 0);
    note(expected, "c", store.append(events("c", 1, NOW)).await, |n| n + 1);
    if let Ok(found) = store.of_user("b").await {
        assert!(expected["b"].contains(&found.len()), "{} are read of {:?}", found.len(), expected["b"]);
    }
    Some(store)
}

/// Opens the store in `folder` as the next server does, and looks for what is expected.
async fn check(folder: &Path, expected: &Expected, when: &str) {
    let path = folder.join(FILE);
    let place = StoreAddress::File(path.clone());
    let store = Store::open(&place, Options::default()).await.unwrap_or_else(|e| panic!("{when}: {e}"));
    for (user, allowed) in expected {
        let found = store.of_user(user).await.unwrap().len();
        assert!(allowed.contains(&found), "{when}: {user} has {found} events, not one of {allowed:?}");
    }
    store.append(events("next", 1, NOW)).await.unwrap();
    // Nothing of those who are forgotten is left in the files once the log was emptied.
    if expected.get("a").is_some_and(|a| a.len() == 1 && a.contains(&0)) {
        assert!(!store.forget("a").await.unwrap().pending, "{when}: a reader holds the log");
        for ending in ["", "-wal"] {
            let bytes = std::fs::read(folder.join(format!("{FILE}{ending}"))).unwrap();
            assert!(
                !bytes.windows(3).any(|w| w == b"a-0"),
                "{when}: {ending} still has the key of a forgotten event"
            );
        }
    }
    drop(store);
    let connection = Connection::open(&path).unwrap();
    let sound: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(sound, "ok", "{when}");
}

/// A folder in memory where that can be had: a real disk takes its time to sync.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// Tries every call of [`work`] on what `set_up` makes.
async fn every_call(name: &str, set_up: impl AsyncFn(&Path) -> Expected) {
    let calls = {
        let live = folder();
        let path = live.path().canonicalize().unwrap();
        let mut expected = set_up(&path).await;
        let disk = watch(&path);
        let store = work(&path, &mut expected).await;
        assert!(
            store.is_some() && expected.values().all(|allowed| allowed.len() == 1 || allowed.contains(&40))
        );
        drop(store);
        disk.calls()
    };
    let (mut states, mut unsure) = (0, 0);
    for at in 0..calls {
        for fault in [Fault::Fails, Fault::Full, Fault::Dies] {
            let (live, lost) = (folder(), folder());
            let path = live.path().canonicalize().unwrap();
            let mut expected = set_up(&path).await;
            let disk = watch(&path);
            disk.goes_wrong(at, fault);
            let store = work(&path, &mut expected).await;
            unsure +=
                ["a", "b", "c"].iter().filter(|u| expected.get(*u).is_some_and(|a| a.len() > 1)).count();
            for left in [Left::All, Left::Synced, Left::Some] {
                let when = format!("{name}, call {at} of {calls}, {fault:?}, then power lost, {left:?}");
                let lost = lost.path().join(format!("{left:?}"));
                std::fs::create_dir(&lost).unwrap();
                disk.leave(left, &lost);
                check(&lost, &expected, &when).await;
                states += 1;
            }
            drop(store);
            if fault != Fault::Dies {
                drop(disk);
                check(
                    &path,
                    &expected,
                    &format!("{name}, call {at} of {calls}, {fault:?}, then opened again"),
                )
                .await;
                states += 1;
            }
        }
    }
    println!(
        "{name}: {calls} calls, {} faults, {states} states of the disk, {unsure} users unsure",
        3 * calls
    );
    assert!(calls > 30, "{name}: {calls} calls: the disk is not watched");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_file() {
    every_call("a new file", async |_| Expected::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_with_old_events_whose_server_was_killed() {
    let day = 24 * 3600 * 1000;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
    every_call("a file with old events", async |path: &Path| {
        let before = folder();
        let inside = before.path().canonicalize().unwrap();
        let disk = watch(&inside);
        let store = Store::open(&StoreAddress::File(inside.join(FILE)), Options::default()).await.unwrap();
        store.append(events("old", 40, now - 31 * day)).await.unwrap();
        store.append(events("kept", 2, now - 29 * day)).await.unwrap();
        disk.leave(Left::All, path);
        drop(store);
        Expected::from([("old", BTreeSet::from([0, 40])), ("kept", BTreeSet::from([2]))])
    })
    .await;
}
