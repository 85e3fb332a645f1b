//! Where a run's events are kept unless the command says it: beside the run folder, whose name and not whose
//! content they belong to. A newer run can then be moved or linked into its place, and the events stay.

use std::path::{Path, PathBuf};

use alike::disk;
use rusqlite::{Connection, OpenFlags};

use crate::failure::{Failure, Outcome};

/// The file, in either place.
const FILE: &str = "events.sqlite";

/// The file with the events of `run`. Where earlier versions kept one inside the run folder, it moves out, if
/// nobody else has it open, and is used where it is otherwise.
pub(super) fn events(run: &Path) -> Outcome<PathBuf> {
    let (beside, inside) = (store_beside(run)?, run.join("serve").join(FILE));
    if !inside.exists() {
        return Ok(beside);
    }
    if beside.exists() {
        tracing::warn!(used = %beside.display(), unused = %inside.display(), "there are two stores of events");
        return Ok(beside);
    }
    match move_out(&inside, &beside) {
        Ok(()) => {
            tracing::info!(from = %inside.display(), to = %beside.display(), "the store of events was moved");
            Ok(beside)
        }
        Err(why) => {
            tracing::warn!(
                %why,
                store = %inside.display(),
                "the store of events stays in the run folder, and would go when that is replaced"
            );
            Ok(inside)
        }
    }
}

/// `RUN.serve/events.sqlite`, by the name that was given: links are not followed.
fn store_beside(run: &Path) -> Outcome<PathBuf> {
    let mut named = std::path::absolute(run).map_err(|e| Failure::io(run, &e))?;
    if named.file_name().is_none() {
        named = named.canonicalize().map_err(|e| Failure::io(run, &e))?;
    }
    let Some(name) = named.file_name() else {
        let text = format!("{}: has no name to keep events beside; give --store", run.display());
        return Err(Failure::Usage(text));
    };
    let mut name = name.to_os_string();
    name.push(".serve");
    Ok(named.with_file_name(name).join(FILE))
}

/// Moves a store that nobody else has open, whole.
fn move_out(from: &Path, to: &Path) -> Result<(), String> {
    let text = |e: rusqlite::Error| e.to_string();
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(from, flags).map_err(text)?;
    connection.busy_timeout(std::time::Duration::ZERO).map_err(text)?;
    // Everything goes from the log into the file, and the log away; anyone who else has them open prevents
    // it.
    let mode: String =
        connection.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get(0)).map_err(text)?;
    if mode != "delete" {
        return Err("another process has it open".into());
    }
    connection.close().map_err(|(_, e)| text(e))?;
    let (old, new) = (from.parent().unwrap_or(from), to.parent().unwrap_or(to));
    disk::create_folders(new).map_err(|e| e.to_string())?;
    std::fs::rename(from, to).map_err(|e| e.to_string())?;
    disk::sync_folder(new).and_then(|()| disk::sync_folder(old)).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::store::{Event, EventKind, Options, Store, StoreAddress};

    fn event(user: &str) -> Vec<Event> {
        let (user, item) = (user.into(), "1".into());
        vec![Event { user, item, kind: EventKind::Take, arrived: 1, happened: None, key: None }]
    }

    async fn open(path: &Path) -> Store {
        Store::open(&StoreAddress::File(path.into()), Options::default()).await.unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_store_inside_the_run_folder_moves_out_and_outlives_it() {
        let base = tempfile::tempdir().unwrap();
        let run = base.path().join("live");
        std::fs::create_dir(&run).unwrap();
        let beside = base.path().join("live.serve").join(FILE);
        assert_eq!(events(&run).unwrap(), beside);
        // As an earlier version left it.
        let inside = run.join("serve").join(FILE);
        let earlier = open(&inside).await;
        earlier.append(event("anna")).await.unwrap();
        assert_eq!(events(&run).unwrap(), inside, "another server has it open");
        earlier.append(event("ben")).await.unwrap();
        drop(earlier);
        assert_eq!(events(&run).unwrap(), beside);
        assert!(!inside.exists());
        let store = open(&beside).await;
        assert_eq!(store.users("", 9).await.unwrap(), ["anna", "ben"]);
        // A newer run takes the place of the one that is served.
        std::fs::rename(&run, base.path().join("old")).unwrap();
        std::fs::create_dir(&run).unwrap();
        store.append(event("cleo")).await.unwrap();
        drop(store);
        assert_eq!(events(&run).unwrap(), beside);
        assert_eq!(open(&beside).await.users("", 9).await.unwrap(), ["anna", "ben", "cleo"]);
        // Of two, the one beside counts, and the other is left alone.
        drop(open(&inside).await);
        assert_eq!(events(&run).unwrap(), beside);
        assert!(inside.exists());
    }

    #[test]
    fn the_name_is_that_of_the_folder() {
        let name = |run: &str| store_beside(Path::new(run)).unwrap();
        assert!(name("/a/b").ends_with("a/b.serve/events.sqlite"));
        assert!(name("/a/b/").ends_with("a/b.serve/events.sqlite"));
        assert!(name("/a/b/.").ends_with("a/b.serve/events.sqlite"));
        let here = std::env::current_dir().unwrap();
        assert!(name(".").to_str().unwrap().starts_with(here.to_str().unwrap()));
        assert!(store_beside(Path::new("/")).is_err());
    }
}
