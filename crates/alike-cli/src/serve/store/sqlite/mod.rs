//! The store in one SQLite file: a thread that writes, a few connections that read beside it.

mod files;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Transaction, params};
use tokio::sync::mpsc;

use self::files::Files;
use super::group::{Change, Done, WAITING, answer, gather};
use super::{EVENTS_OF_USER, Event, Result, StoreError, Stored, after, stored};

/// Each entry brings the tables from its index to the next version; `user_version` says how many were done.
const MIGRATIONS: &[&str] = &["
    CREATE TABLE events (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        user TEXT NOT NULL,
        item TEXT NOT NULL,
        kind TEXT NOT NULL,
        time INTEGER NOT NULL,
        key TEXT UNIQUE
    ) STRICT;
    CREATE INDEX events_of_user ON events (user, time, seq);
"];
/// Reading connections that are kept open.
const READERS: usize = 8;
/// How long a connection waits for another process that writes.
const PATIENCE: Duration = Duration::from_secs(5);

/// An open file.
pub(crate) struct Sqlite {
    queue: Option<mpsc::Sender<Change>>,
    writer: Option<JoinHandle<()>>,
    readers: Arc<Readers>,
}

struct Readers {
    files: Arc<Files>,
    idle: Mutex<Vec<Connection>>,
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Failed(format!("SQLite: {error}"))
    }
}

impl Sqlite {
    /// Opens or makes the file.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let failed = |e: &dyn std::fmt::Display| StoreError::Failed(format!("{}: {e}", path.display()));
        if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(|e| failed(&e))?;
        }
        let mut connection = Connection::open(path).map_err(|e| failed(&e))?;
        prepare(&mut connection).map_err(|e| failed(&e))?;
        let files = Arc::new(Files::of(&connection)?);
        let readers = Arc::new(Readers { files: files.clone(), idle: Mutex::default() });
        let (queue, mut changes) = mpsc::channel::<Change>(WAITING);
        let writer = std::thread::Builder::new().name("store".into()).spawn(move || {
            while let Some(first) = changes.blocking_recv() {
                let group = gather(first, &mut changes);
                let outcome = commit(&mut connection, &files, &group);
                answer(group, outcome);
            }
        });
        let writer = writer.map_err(|e| failed(&e))?;
        Ok(Self { queue: Some(queue), writer: Some(writer), readers })
    }

    pub(super) fn queue(&self) -> &mpsc::Sender<Change> {
        self.queue.as_ref().expect("the queue is there until the store is dropped")
    }

    pub(super) async fn of_user(&self, user: &str) -> Result<Vec<Stored>> {
        let user = user.to_string();
        self.read(move |connection| {
            let mut query = connection.prepare_cached(
                "SELECT item, kind FROM events WHERE user = ? ORDER BY time DESC, seq DESC LIMIT ?",
            )?;
            let rows = query.query_map(params![user, EVENTS_OF_USER as i64], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
            })?;
            rows.map(|row| row.map_err(StoreError::from).and_then(|(item, kind)| stored(item, &kind)))
                .collect()
        })
        .await
    }

    pub(super) async fn users(&self, prefix: &str, most: usize) -> Result<Vec<String>> {
        let (from, to) = (prefix.to_string(), after(prefix));
        self.read(move |connection| {
            let mut query = connection.prepare_cached(
                "SELECT DISTINCT user FROM events WHERE user >= ? AND user <= ? ORDER BY user LIMIT ?",
            )?;
            let rows = query.query_map(params![from, to, most as i64], |row| row.get(0))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// Reads on a thread that may wait.
    async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let readers = self.readers.clone();
        let work = move || {
            let connection = readers.take()?;
            let found = query(&connection);
            let mut idle = readers.idle.lock().unwrap_or_else(PoisonError::into_inner);
            if idle.len() < READERS {
                idle.push(connection);
            }
            found
        };
        tokio::task::spawn_blocking(work).await.map_err(|e| StoreError::Failed(e.to_string()))?
    }
}

impl Drop for Sqlite {
    /// Waits until everything that was accepted is written.
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

impl Readers {
    /// A connection. It never makes a file: an empty one in the place of a lost one would look like a store.
    fn take(&self) -> Result<Connection> {
        self.files.check()?;
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle {
            Some(connection) => Ok(connection),
            None => {
                let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
                let connection = Connection::open_with_flags(self.files.path(), flags)?;
                connection.busy_timeout(PATIENCE)?;
                connection.pragma_update(None, "query_only", true)?;
                Ok(connection)
            }
        }
    }
}

/// Settings of the writing connection, and the newest tables.
fn prepare(connection: &mut Connection) -> Result<()> {
    connection.busy_timeout(PATIENCE)?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        return Err(StoreError::Failed(format!(
            "its journal is `{mode}`; a file system that can do WAL is needed"
        )));
    }
    // FULL: a commit is on disk when it returns. Rows of forgotten users are overwritten, not only unlinked.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "secure_delete", true)?;
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let version: usize =
        transaction.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0))? as usize;
    let Some(missing) = MIGRATIONS.get(version..) else {
        return Err(StoreError::Failed(format!(
            "its tables have version {version}; this program knows {}",
            MIGRATIONS.len()
        )));
    };
    missing.iter().try_for_each(|script| transaction.execute_batch(script))?;
    transaction.pragma_update(None, "user_version", MIGRATIONS.len() as i64)?;
    Ok(transaction.commit()?)
}

/// Everything of the group, or nothing.
fn commit(connection: &mut Connection, files: &Files, group: &[Change]) -> Result<Vec<Done>> {
    files.check()?;
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let done = group.iter().map(|change| match change {
        Change::Append { events, .. } => {
            let new = events.iter().map(|event| insert(&transaction, event));
            Ok(Done::Appended(new.collect::<Result<_>>()?))
        }
        Change::Forget { user, .. } => {
            let mut delete = transaction.prepare_cached("DELETE FROM events WHERE user = ?")?;
            Ok(Done::Forgot(delete.execute([user])? as u64))
        }
    });
    let done = done.collect::<Result<Vec<_>>>()?;
    transaction.commit().map_err(|error| match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::DiskFull) => error.into(),
        // The disk may have taken it even so.
        _ => StoreError::Unsure(format!("SQLite: {error}")),
    })?;
    // If the file went while it was written, the commit went with it, or not.
    files.check().map_err(|error| StoreError::Unsure(error.to_string()))?;
    if done.iter().any(|d| matches!(d, Done::Forgot(n) if *n > 0)) {
        // What was deleted leaves the log too; readers at work may put that off until the next time.
        let _ = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).optional();
    }
    Ok(done)
}

fn insert(transaction: &Transaction<'_>, event: &Event) -> Result<bool> {
    let mut insert = transaction.prepare_cached(
        "INSERT INTO events (user, item, kind, time, key) VALUES (?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING",
    )?;
    let Event { user, item, kind, time, key } = event;
    Ok(insert.execute(params![user, item, kind.word(), time, key])? == 1)
}

#[cfg(test)]
mod tests;
