//! All events of a file, page by page.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, params};

use super::ours;
use crate::serve::store::items::{PAGE as ITEMS, record};
use crate::serve::store::pages::{PAGE, Pages, Row};
use crate::serve::store::{Outcomes, Result, StoreError, StoredItem};

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

/// What came of what was shown under the keys between two.
pub(super) fn outcomes(
    connection: &Connection,
    keys: [&str; 2],
    kinds: &[&'static str],
    horizon: i64,
) -> Result<Outcomes> {
    let shown = "SELECT count(DISTINCT user), min(time) FROM events WHERE key >= ? AND key <= ?";
    let (shown, started): (i64, Option<i64>) =
        connection.prepare_cached(shown)?.query_row(keys, |row| Ok((row.get(0)?, row.get(1)?)))?;
    // Words of the program, not of anybody who asks.
    let kinds = kinds.iter().map(|kind| format!("'{kind}'")).collect::<Vec<_>>().join(", ");
    let mut query = connection.prepare_cached(&format!(
        "SELECT x.user, count(*) FROM events x WHERE x.key >= ?1 AND x.key <= ?2 AND EXISTS (
            SELECT 1 FROM events e WHERE e.user = x.user AND e.kind IN ({kinds}) AND e.seq > x.seq
            AND e.time >= x.time AND e.time - x.time < ?3 AND (x.item = '' OR e.item = x.item))
         GROUP BY x.user"
    ))?;
    let hits = query.query_map(params![keys[0], keys[1], horizon], |row| {
        Ok((row.get(0)?, row.get::<_, i64>(1)? as u64))
    })?;
    Ok(Outcomes { shown: shown as u64, started, hits: hits.collect::<rusqlite::Result<_>>()? })
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
