//! All events of a database, page by page.

use tokio::runtime::Runtime;

use super::OPENING;
use super::connection::{Connected, EVENTS_AFTER, ITEMS_AFTER, connect, stored_item, stored_row};
use crate::serve::store::items::PAGE as ITEMS;
use crate::serve::store::pages::{PAGE, Pages, Row};
use crate::serve::store::{Result, StoreError, StoredItem};

/// Connects, to read only.
pub(in crate::serve::store) fn pages(url: &str) -> Result<Box<dyn Pages>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(|e| StoreError::Failed(e.to_string()))?;
    let connected = runtime.block_on(async {
        let late = || StoreError::Failed(format!("gave no answer within {} s", OPENING.as_secs()));
        tokio::time::timeout(OPENING, connect(url, OPENING)).await.map_err(|_| late())?
    })?;
    Ok(Box::new(PostgresPages { connected, runtime }))
}

struct PostgresPages {
    connected: Connected,
    runtime: Runtime,
}

impl Pages for PostgresPages {
    fn newest(&mut self) -> Result<i64> {
        let query = "SELECT coalesce(max(seq), 0) FROM alike_events";
        Ok(self.runtime.block_on(self.connected.client.query_one(query, &[]))?.get(0))
    }

    fn page(&mut self, after: i64, last: i64) -> Result<Vec<Row>> {
        let most = PAGE as i64;
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 3] = [&after, &last, &most];
        let work = self.connected.client.query(EVENTS_AFTER, &values);
        Ok(self.runtime.block_on(work)?.iter().map(stored_row).collect())
    }

    fn items(&mut self, after: i64) -> Result<Vec<StoredItem>> {
        let there = "SELECT to_regclass('alike_items') IS NOT NULL";
        let there: bool = self.runtime.block_on(self.connected.client.query_one(there, &[]))?.get(0);
        if !there {
            return Ok(Vec::new());
        }
        let most = ITEMS as i64;
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 2] = [&after, &most];
        let work = self.connected.client.query(ITEMS_AFTER, &values);
        self.runtime.block_on(work)?.iter().map(stored_item).collect()
    }
}
