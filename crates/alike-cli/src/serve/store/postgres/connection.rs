//! Connections to the server.

use std::time::Duration;

use tokio_postgres::{Client, NoTls, Row};

use crate::serve::store::items::record;
use crate::serve::store::pages::Row as StoredRow;
use crate::serve::store::{Result, StoreError, StoredItem};

/// A connection and the task that carries its messages. That ends with it: a server that has stopped would
/// keep it.
pub(super) struct Connected {
    pub(super) client: Client,
    carrier: tokio::task::JoinHandle<()>,
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.carrier.abort();
    }
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        // The outer text alone says little more than `db error`.
        let cause = std::error::Error::source(&error).map(|e| format!(": {e}")).unwrap_or_default();
        Self::Failed(format!("PostgreSQL: {error}{cause}"))
    }
}

/// A connection whose statements may take `timeout`.
pub(super) async fn connect(url: &str, timeout: Duration) -> Result<Connected> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    let carrier = tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::warn!(%error, "the connection to PostgreSQL is lost");
        }
    });
    let connected = Connected { client, carrier };
    // Whatever the server's default is: an answer means that the events are on its disk.
    connected.client.batch_execute("SET synchronous_commit = on").await?;
    limit(&connected.client, timeout).await?;
    Ok(connected)
}

/// Lets the server itself end what nobody waits for any more; later than we give up, so that a commit which
/// it breaks off half-way is not taken for one that came through.
pub(super) async fn limit(client: &Client, timeout: Duration) -> Result<()> {
    Ok(client.batch_execute(&format!("SET statement_timeout = {}", 2 * timeout.as_millis())).await?)
}

/// Events with numbers above the first value and not above the second, up to the third many.
pub(super) const EVENTS_AFTER: &str = "SELECT seq, user_id, item, kind, time FROM alike_events \
                                       WHERE seq > $1 AND seq <= $2 ORDER BY seq LIMIT $3";
/// What was said of items after the change of the first value, up to the second many.
pub(super) const ITEMS_AFTER: &str =
    "SELECT seq, item, record FROM alike_items WHERE seq > $1 ORDER BY seq LIMIT $2";

/// How many people were shown something under keys between two, and when the first of them was.
pub(super) const SHOWN: &str =
    "SELECT count(DISTINCT user_id), min(time) FROM alike_events WHERE key >= $1 AND key <= $2";
/// Who of them did something of the kinds of the third value afterwards, at most so many milliseconds later,
/// and with how many items of those that were shown.
pub(super) const HITS: &str = "SELECT x.user_id, count(*) FROM alike_events x \
                               WHERE x.key >= $1 AND x.key <= $2 AND EXISTS ( \
                                   SELECT 1 FROM alike_events e \
                                   WHERE e.user_id = x.user_id AND e.kind = ANY($3::text[]) AND e.seq > x.seq \
                                   AND e.time >= x.time AND e.time - x.time < $4 \
                                   AND (x.item = '' OR e.item = x.item)) \
                               GROUP BY x.user_id";

/// What was said of an item, from its row.
pub(super) fn stored_item(row: &Row) -> Result<StoredItem> {
    let record = record(row.get(2))?;
    Ok(StoredItem { seq: row.get(0), item: row.get(1), record })
}

/// An event from its row.
pub(super) fn stored_row(row: &Row) -> StoredRow {
    StoredRow { seq: row.get(0), user: row.get(1), item: row.get(2), kind: row.get(3), time: row.get(4) }
}
