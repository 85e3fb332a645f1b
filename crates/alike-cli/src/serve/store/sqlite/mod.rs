//! The store in one SQLite file: a thread that writes, a few connections that read beside it.

#[cfg(test)]
pub(crate) mod faults;
mod files;
mod ours;
mod pages;
mod schema;
mod writer;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use alike::disk;
use rusqlite::{Connection, params};

use self::files::Files;
use self::schema::prepare;
use self::writer::SqliteWriter;
use super::events::{end_of_prefix, stored};
use super::group_commit::{Change, WAITING};
use super::health::WriteHealth;
use super::pages::{Pages, Row};
use super::{EVENTS_OF_USER, Options, Outcomes, Result, StoreError, Stored, StoredItem, VIEWS_OF_USER};

/// Reading connections that are kept open.
const READERS: usize = 8;

/// An open file.
pub(crate) struct Sqlite {
    queue: Option<mpsc::SyncSender<Change>>,
    writer: Option<JoinHandle<()>>,
    readers: Arc<Readers>,
}

struct Readers {
    files: Arc<Files>,
    /// How long a connection waits for another process.
    timeout: Duration,
    idle: Mutex<Vec<Connection>>,
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Failed(format!("SQLite: {error}"))
    }
}

/// Opens a store to read it, which must be there; nothing is written to it.
pub(super) fn pages(path: &Path) -> Result<Box<dyn Pages>> {
    pages::open(path)
}

impl Sqlite {
    /// Opens or makes the file.
    pub(super) fn open(path: &Path, options: Options, health: Arc<WriteHealth>) -> Result<Self> {
        let failed = |e: &dyn std::fmt::Display| StoreError::Failed(format!("{}: {e}", path.display()));
        let inside = path.parent().unwrap_or(Path::new(""));
        let inside = if inside.as_os_str().is_empty() { Path::new(".") } else { inside };
        disk::create_folders(inside).map_err(|e| failed(&e))?;
        let mut connection = Connection::open(path).map_err(|e| failed(&e))?;
        prepare(&mut connection, path, options.timeout).map_err(|e| failed(&e))?;
        disk::sync_folder(inside).map_err(|e| failed(&e))?;
        let files = Arc::new(Files::new(&connection)?);
        let readers = Readers { files: files.clone(), timeout: options.timeout, idle: Mutex::default() };
        let (queue, changes) = mpsc::sync_channel::<Change>(WAITING);
        let writer = SqliteWriter::new(connection, files, options, health);
        let thread = std::thread::Builder::new().name("store".into());
        let writer = thread.spawn(move || writer.run(&changes)).map_err(|e| failed(&e))?;
        Ok(Self { queue: Some(queue), writer: Some(writer), readers: Arc::new(readers) })
    }

    pub(super) fn send(&self, change: Change) -> Result<()> {
        let queue = self.queue.as_ref().expect("the queue is there until the store is dropped");
        queue.try_send(change).map_err(|_| StoreError::Busy)
    }

    /// Whether there is room for more; see [`Files::check_room`].
    pub(super) fn check_room(&self) -> Result<()> {
        self.readers.files.check_room()
    }

    pub(super) async fn of_user(&self, user: &str, views: bool) -> Result<Vec<Stored>> {
        let (user, most) = (user.to_string(), if views { VIEWS_OF_USER } else { EVENTS_OF_USER });
        self.read(move |connection| {
            let which = if views { "= 'view'" } else { "<> 'view' AND kind <> 'shown'" };
            let mut query = connection.prepare_cached(&format!(
                "SELECT item, kind FROM events WHERE user = ? AND kind {which} ORDER BY time DESC, seq DESC LIMIT ?",
            ))?;
            let rows = query.query_map(params![user, most as i64], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
            })?;
            rows.map(|row| row.map_err(StoreError::from).and_then(|(item, kind)| stored(item, &kind)))
                .collect()
        })
        .await
    }

    pub(super) async fn users(&self, prefix: &str, most: usize) -> Result<Vec<String>> {
        let (from, to) = (prefix.to_string(), end_of_prefix(prefix));
        self.read(move |connection| {
            let mut query = connection.prepare_cached(
                "SELECT DISTINCT user FROM events WHERE user >= ? AND user <= ? ORDER BY user LIMIT ?",
            )?;
            let rows = query.query_map(params![from, to, most as i64], |row| row.get(0))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    pub(super) async fn outcomes(
        &self,
        prefix: &str,
        kinds: Vec<&'static str>,
        horizon: i64,
    ) -> Result<Outcomes> {
        let (from, to) = (prefix.to_string(), end_of_prefix(prefix));
        self.read(move |connection| pages::outcomes(connection, [&from, &to], &kinds, horizon)).await
    }

    pub(super) async fn events_after(&self, seq: i64) -> Result<Vec<Row>> {
        self.read(move |connection| pages::events(connection, seq, i64::MAX)).await
    }

    pub(super) async fn items_after(&self, seq: i64) -> Result<Vec<StoredItem>> {
        self.read(move |connection| pages::items(connection, seq)).await
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
            None => ours::reader(self.files.path(), self.timeout),
        }
    }
}

#[cfg(test)]
mod tests;
