//! All events of a file, page by page.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, params};

use super::ours;
use crate::serve::store::items::{PAGE as ITEMS, record};
use crate::serve::store::pages::{PAGE, Pages, Row};
use crate::serve::store::{Result, StoreError, StoredItem};

/// How long a file that somebody locks is waited for.
const WAIT: Duration = Duration::from_secs(10);

/// Events with numbers above `after` and not above `last`, up to a page.
pub(super) fn events(connection: &Connection, after: i64, last: i64) -> Result<Vec<Row>> {
    let mut query = connection.prepare_cached(
        "SELECT seq, user, item, kind, time FROM events WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?",
    )?;
    let rows = query.query_map(params![after, last, PAGE as i64], |row| {
        let (seq, user, item) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(Row { seq, user, item, kind: row.get(3)?, time: row.get(4)? })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// What was said of items after the change `seq`, up to a page.
pub(super) fn items(connection: &Connection, seq: i64) -> Result<Vec<StoredItem>> {
    let mut query = connection
        .prepare_cached("SELECT seq, item, record FROM items WHERE seq > ? ORDER BY seq LIMIT ?")?;
    let rows = query.query_map(params![seq, ITEMS as i64], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get::<_, Option<String>>(2)?))
    })?;
    let one = |row: rusqlite::Result<(i64, String, Option<String>)>| {
        let (seq, item, text) = row?;
        Ok(StoredItem { seq, item, record: record(text.as_deref())? })
    };
    rows.map(one).collect()
}

/// Opens a store to read it, which must be there; nothing is written to it.
pub(super) fn open(path: &Path) -> Result<Box<dyn Pages>> {
    if !path.is_file() {
        return Err(StoreError::Failed("no such store; `alike serve --store sqlite:FILE` makes one".into()));
    }
    let connection = ours::reader(path, WAIT)?;
    ours::check(&connection, path)?;
    if !connection.table_exists(None, "events")? {
        return Err(StoreError::Failed("holds no events yet: no server has written to it".into()));
    }
    Ok(Box::new(SqlitePages(connection)))
}

struct SqlitePages(Connection);

impl Pages for SqlitePages {
    fn newest(&mut self) -> Result<i64> {
        Ok(self.0.query_row("SELECT coalesce(max(seq), 0) FROM events", [], |row| row.get(0))?)
    }

    fn page(&mut self, after: i64, last: i64) -> Result<Vec<Row>> {
        events(&self.0, after, last)
    }

    fn items(&mut self, after: i64) -> Result<Vec<StoredItem>> {
        // A store of an earlier version has no such table.
        if self.0.table_exists(None, "items")? { items(&self.0, after) } else { Ok(Vec::new()) }
    }
}
