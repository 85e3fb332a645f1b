//! The tables of a store in a SQLite file, and how the file is written.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

use super::ours;
use crate::serve::store::{Result, StoreError};

/// Each entry brings the tables from its index to the next version; `user_version` says how many were done.
pub(super) const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE events (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        user TEXT NOT NULL,
        item TEXT NOT NULL,
        kind TEXT NOT NULL,
        time INTEGER NOT NULL,
        key TEXT UNIQUE
    ) STRICT;
    CREATE INDEX events_of_user ON events (user, time, seq);
",
    "
    CREATE TABLE items (
        item TEXT PRIMARY KEY,
        seq INTEGER NOT NULL UNIQUE,
        record TEXT
    ) STRICT;
    CREATE INDEX events_history ON events (user, time, seq) WHERE kind <> 'view';
",
];

/// Settings of the writing connection, and the newest tables.
pub(super) fn prepare(connection: &mut Connection, path: &Path, timeout: Duration) -> Result<()> {
    connection.busy_timeout(timeout)?;
    ours::check(connection, path)?;
    // Counts only for a file that is new: of others, free pages are used again but not given back.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        return Err(StoreError::Failed(format!(
            "its journal is `{mode}`; a file system that can do WAL is needed"
        )));
    }
    // FULL: a commit is on disk when it returns. Rows of forgotten users are overwritten, not only unlinked.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "secure_delete", true)?;
    // A log that grew beyond this while somebody read an older state gets shorter again.
    connection.query_row("PRAGMA journal_size_limit = 67108864", [], |_| Ok(()))?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: usize =
        transaction.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0))? as usize;
    let Some(missing) = MIGRATIONS.get(version..) else {
        return Err(StoreError::Failed(format!(
            "its tables have version {version}; this program knows {}",
            MIGRATIONS.len()
        )));
    };
    missing.iter().try_for_each(|script| transaction.execute_batch(script))?;
    transaction.pragma_update(None, "application_id", ours::APPLICATION)?;
    transaction.pragma_update(None, "user_version", MIGRATIONS.len() as i64)?;
    Ok(transaction.commit()?)
}
