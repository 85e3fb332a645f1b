//! What can happen to the file of a store.

use std::path::{Path, PathBuf};

use super::super::{Event, Kind, Place, Store, StoreError};

struct Open {
    folder: tempfile::TempDir,
    store: Store,
}

impl Open {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&Place::File(folder.path().join("a.sqlite"))).await.unwrap();
        Self { folder, store }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Whether an event of `user` is acknowledged.
    async fn take(&self, user: &str) -> Result<(), StoreError> {
        let event = Event { user: user.into(), item: "1".into(), kind: Kind::Take, time: 1, key: None };
        self.store.append(vec![event]).await.map(drop)
    }

    /// Neither written nor read, and both say why.
    #[cfg(unix)]
    async fn refuses(&self, what: &str) {
        let (written, read) = (self.take("b").await, self.store.of_user("a").await.map(drop));
        for answer in [written, read, self.store.forget("a").await.map(drop)] {
            let Err(StoreError::Moved(text)) = answer else { panic!("{what}: {answer:?}") };
            assert!(text.contains("a.sqlite") && text.contains("moved, replaced or deleted"), "{what}: {text}");
        }
    }
}

fn rename(from: &Path, to: &Path) {
    std::fs::rename(from, to).unwrap();
}

/// Users with events in the file, as another process finds them.
async fn found(path: PathBuf) -> Vec<String> {
    Store::open(&Place::File(path)).await.unwrap().users("", 10).await.unwrap()
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
        assert!(!file.exists(), "{ending}: whoever reads or writes makes no new one");
        // Another file under its name is none of this store.
        std::fs::copy(open.path("aside"), &file).unwrap();
        open.refuses(ending).await;
        // The same one back in its place goes on, and everything acknowledged is there.
        rename(&open.path("aside"), &file);
        open.take("c").await.unwrap();
        drop(open.store);
        assert_eq!(found(open.folder.path().join("a.sqlite")).await, ["a", "c"], "{ending}");
    }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_moves_takes_its_store_out_of_use() {
    let outer = tempfile::tempdir().unwrap();
    let (inner, aside) = (outer.path().join("live"), outer.path().join("old"));
    let store = Store::open(&Place::File(inner.join("a.sqlite"))).await.unwrap();
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
    // The log first, as whoever moves a store must not do it: what came in between is refused.
    for name in ["a.sqlite-wal", "a.sqlite", "a.sqlite-shm"] {
        rename(&open.path(name), &open.path(&name.replace("a.", "b.")));
    }
    let mut acknowledged = Vec::new();
    for writer in writers {
        acknowledged.extend(writer.await.unwrap());
    }
    let moved = Store::open(&Place::File(open.path("b.sqlite"))).await.unwrap();
    for user in &acknowledged {
        assert_eq!(moved.of_user(user).await.unwrap().len(), 1, "{user} of {}", acknowledged.len());
    }
}
