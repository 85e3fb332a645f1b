//! The store in a PostgreSQL server, which several replicas share.

mod connection;
mod pages;
mod writer;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, mpsc};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row, Statement};

use self::connection::{
    Connected, EVENTS_AFTER, HITS, ITEMS_AFTER, SHOWN, connect, limit, stored_item, stored_row,
};
pub(super) use self::pages::pages;
use self::writer::PostgresWriter;
use super::events::{end_of_prefix, stored};
use super::group_commit::{Change, WAITING};
use super::health::WriteHealth;
use super::items::PAGE as ITEMS;
use super::pages::{PAGE, Row as StoredRow};
use super::{EVENTS_OF_USER, Options, Outcomes, Result, StoreError, Stored, StoredItem, VIEWS_OF_USER};

/// How long the server may take when a store is opened.
const OPENING: Duration = Duration::from_secs(10);
/// Each entry brings the tables from its index to the next version; `alike_schema` says how many were done.
/// Ids are compared by bytes, as SQLite does.
const MIGRATIONS: &[&str] = &[
    r#"
    CREATE TABLE alike_events (
        seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        user_id TEXT COLLATE "C" NOT NULL,
        item TEXT COLLATE "C" NOT NULL,
        kind TEXT NOT NULL,
        time BIGINT NOT NULL,
        key TEXT COLLATE "C" UNIQUE
    );
    CREATE INDEX alike_events_of_user ON alike_events (user_id, time, seq);
"#,
    r#"
    CREATE TABLE alike_items (
        item TEXT COLLATE "C" PRIMARY KEY,
        seq BIGINT NOT NULL UNIQUE,
        record TEXT
    );
    CREATE INDEX alike_events_history ON alike_events (user_id, time, seq) WHERE kind <> 'view';
"#,
];
/// Replicas that start together bring the tables up to date one after another: the number of the lock.
const LOCK: i64 = 0x616c_696b_6501;

/// A database, with one connection that reads and one that writes. Each is made again when it is lost.
pub(crate) struct Postgres {
    queue: mpsc::Sender<Change>,
    url: String,
    timeout: Duration,
    reader: Mutex<Option<Arc<Link>>>,
    reads: WriteHealth,
}

/// A connection with its prepared statements.
struct Link {
    connected: Connected,
    of_user: Statement,
    views: Statement,
    users: Statement,
    items: Statement,
    events: Statement,
    shown: Statement,
    hits: Statement,
}

impl Postgres {
    /// Connects and brings the tables up to date.
    pub(super) async fn open(url: &str, options: Options, health: Arc<WriteHealth>) -> Result<Self> {
        let timeout = options.timeout;
        let prepare = async {
            let mut connected = connect(url, OPENING).await?;
            migrate(&mut connected.client).await?;
            limit(&connected.client, timeout).await?;
            Ok::<_, StoreError>(connected)
        };
        let connected = tokio::time::timeout(OPENING, prepare).await.unwrap_or_else(|_| {
            let text = format!("PostgreSQL gave no answer within {} s", OPENING.as_secs());
            Err(StoreError::Failed(text))
        })?;
        let (queue, changes) = mpsc::channel(WAITING);
        tokio::spawn(PostgresWriter::new(url.to_string(), connected, options, health).run(changes));
        let reads = WriteHealth::new(timeout);
        Ok(Self { queue, url: url.to_string(), timeout, reader: Mutex::new(None), reads })
    }

    pub(super) fn send(&self, change: Change) -> Result<()> {
        self.queue.try_send(change).map_err(|_| StoreError::Busy)
    }

    /// The reading connection; requests share it, and the server answers them in turn.
    async fn reader(&self) -> Result<Arc<Link>> {
        let mut reader = self.reader.lock().await;
        if let Some(link) = reader.as_ref().filter(|l| !l.connected.client.is_closed()) {
            return Ok(link.clone());
        }
        let connected = connect(&self.url, self.timeout).await?;
        let client = &connected.client;
        let of_user = |which: &str| {
            format!(
                "SELECT item, kind FROM alike_events WHERE user_id = $1 AND kind {which} \
                 ORDER BY time DESC, seq DESC LIMIT $2"
            )
        };
        let views = client.prepare(&of_user("= 'view'")).await?;
        let of_user = client.prepare(&of_user("<> 'view' AND kind <> 'shown'")).await?;
        let users = client
            .prepare(
                "SELECT DISTINCT user_id FROM alike_events WHERE user_id >= $1 AND user_id <= $2 ORDER BY user_id \
                 LIMIT $3",
            )
            .await?;
        let items = client.prepare(ITEMS_AFTER).await?;
        let events = client.prepare(EVENTS_AFTER).await?;
        let shown = client.prepare(SHOWN).await?;
        let hits = client.prepare(HITS).await?;
        let link = Arc::new(Link { connected, of_user, views, users, items, events, shown, hits });
        *reader = Some(link.clone());
        Ok(link)
    }

    /// The rows of a query, in the time that there is. Anyone who comes while the server is known to give no
    /// answer is told at once.
    async fn rows(&self, query: fn(&Link) -> &Statement, values: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>> {
        let began = Instant::now();
        self.reads.admit(began)?;
        let work = async {
            let link = self.reader().await?;
            Ok(link.connected.client.query(query(&link), values).await?)
        };
        let outcome = match tokio::time::timeout(self.timeout, work).await {
            Ok(outcome) => outcome,
            Err(_) => {
                // Whatever is under way on that connection, nobody waits for it any more.
                if let Ok(mut reader) = self.reader.try_lock() {
                    *reader = None;
                }
                let text = format!("PostgreSQL gave no answer within {} ms", self.timeout.as_millis());
                Err(StoreError::Failed(text))
            }
        };
        self.reads.note(began, Instant::now(), &outcome);
        outcome
    }

    pub(super) async fn of_user(&self, user: &str, views: bool) -> Result<Vec<Stored>> {
        let most = if views { VIEWS_OF_USER } else { EVENTS_OF_USER } as i64;
        let query: fn(&Link) -> &Statement = if views { |link| &link.views } else { |link| &link.of_user };
        let rows = self.rows(query, &[&user, &most]).await?;
        rows.iter().map(|row| stored(row.get(0), row.get(1))).collect()
    }

    pub(super) async fn users(&self, prefix: &str, most: usize) -> Result<Vec<String>> {
        let rows = self.rows(|link| &link.users, &[&prefix, &end_of_prefix(prefix), &(most as i64)]).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }
}

impl Postgres {
    pub(super) async fn events_after(&self, seq: i64) -> Result<Vec<StoredRow>> {
        let rows = self.rows(|link| &link.events, &[&seq, &i64::MAX, &(PAGE as i64)]).await?;
        Ok(rows.iter().map(stored_row).collect())
    }

    pub(super) async fn outcomes(
        &self,
        prefix: &str,
        kinds: Vec<&'static str>,
        horizon: i64,
    ) -> Result<Outcomes> {
        let end = end_of_prefix(prefix);
        let shown = self.rows(|link| &link.shown, &[&prefix, &end]).await?;
        let hits = self.rows(|link| &link.hits, &[&prefix, &end, &kinds, &horizon]).await?;
        let hit = |row: &Row| (row.get::<_, String>(0), row.get::<_, i64>(1) as u64);
        let of_all = shown.first().map(|row| (row.get::<_, i64>(0) as u64, row.get(1)));
        let (shown, started) = of_all.unwrap_or_default();
        Ok(Outcomes { shown, started, hits: hits.iter().map(hit).collect() })
    }

    pub(super) async fn items_after(&self, seq: i64) -> Result<Vec<StoredItem>> {
        let rows = self.rows(|link| &link.items, &[&seq, &(ITEMS as i64)]).await?;
        rows.iter().map(stored_item).collect()
    }
}

async fn migrate(client: &mut Client) -> Result<()> {
    let transaction = client.transaction().await?;
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await?;
    transaction
        .batch_execute("SET LOCAL client_min_messages = warning; CREATE TABLE IF NOT EXISTS alike_schema (version BIGINT NOT NULL)")
        .await?;
    let row = transaction.query_one("SELECT coalesce(max(version), 0) FROM alike_schema", &[]).await?;
    let version = row.get::<_, i64>(0);
    let Some(missing) = MIGRATIONS.get(version as usize..) else {
        let text =
            format!("the store's tables have version {version}; this program knows {}", MIGRATIONS.len());
        return Err(StoreError::Failed(text));
    };
    for (script, done) in missing.iter().zip(version + 1..) {
        transaction.batch_execute(script).await?;
        transaction.execute("INSERT INTO alike_schema VALUES ($1)", &[&done]).await?;
    }
    Ok(transaction.commit().await?)
}

#[cfg(test)]
mod tests;
