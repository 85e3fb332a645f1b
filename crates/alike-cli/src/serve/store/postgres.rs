//! The store in a PostgreSQL server, which several replicas share.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::sync::{Mutex, mpsc};
use tokio_postgres::{Client, NoTls, Statement, Transaction};

use super::group::{Change, Done, WAITING, answer, gather};
use super::{EVENTS_OF_USER, Event, Result, StoreError, Stored, after, stored};

/// Each entry brings the tables from its index to the next version; `alike_schema` says how many were done. Ids are
/// compared by bytes, as SQLite does.
const MIGRATIONS: &[&str] = &[r#"
    CREATE TABLE alike_events (
        seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        user_id TEXT COLLATE "C" NOT NULL,
        item TEXT COLLATE "C" NOT NULL,
        kind TEXT NOT NULL,
        time BIGINT NOT NULL,
        key TEXT COLLATE "C" UNIQUE
    );
    CREATE INDEX alike_events_of_user ON alike_events (user_id, time, seq);
"#];
/// Replicas that start together bring the tables up to date one after another: the number of the lock.
const LOCK: i64 = 0x616c_696b_6501;

/// A database, with one connection that reads and one that writes. Each is made anew when it is lost.
pub(crate) struct Postgres {
    queue: mpsc::Sender<Change>,
    url: String,
    reader: Mutex<Option<Arc<Link>>>,
}

/// A connection with its prepared statements.
struct Link {
    client: Client,
    of_user: Statement,
    users: Statement,
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        // The outer text alone says little more than `db error`.
        let cause = std::error::Error::source(&error).map(|e| format!(": {e}")).unwrap_or_default();
        Self::Failed(format!("PostgreSQL: {error}{cause}"))
    }
}

impl Postgres {
    /// Connects and brings the tables up to date.
    pub(super) async fn open(url: &str) -> Result<Self> {
        let mut client = connect(url).await?;
        migrate(&mut client).await?;
        let (queue, changes) = mpsc::channel(WAITING);
        tokio::spawn(write(url.to_string(), client, changes));
        Ok(Self { queue, url: url.to_string(), reader: Mutex::new(None) })
    }

    pub(super) fn queue(&self) -> &mpsc::Sender<Change> {
        &self.queue
    }

    /// The reading connection; requests share it, and the server answers them in turn.
    async fn reader(&self) -> Result<Arc<Link>> {
        let mut reader = self.reader.lock().await;
        if let Some(link) = reader.as_ref().filter(|l| !l.client.is_closed()) {
            return Ok(link.clone());
        }
        let client = connect(&self.url).await?;
        let of_user = client
            .prepare("SELECT item, kind FROM alike_events WHERE user_id = $1 ORDER BY time DESC, seq DESC LIMIT $2")
            .await?;
        let users = client
            .prepare(
                "SELECT DISTINCT user_id FROM alike_events WHERE user_id >= $1 AND user_id <= $2 ORDER BY user_id \
                 LIMIT $3",
            )
            .await?;
        let link = Arc::new(Link { client, of_user, users });
        *reader = Some(link.clone());
        Ok(link)
    }

    pub(super) async fn of_user(&self, user: &str) -> Result<Vec<Stored>> {
        let link = self.reader().await?;
        let rows = link.client.query(&link.of_user, &[&user, &(EVENTS_OF_USER as i64)]).await?;
        rows.iter().map(|row| stored(row.get(0), row.get(1))).collect()
    }

    pub(super) async fn users(&self, prefix: &str, most: usize) -> Result<Vec<String>> {
        let link = self.reader().await?;
        let rows = link.client.query(&link.users, &[&prefix, &after(prefix), &(most as i64)]).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }
}

async fn connect(url: &str) -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::warn!(%error, "the connection to PostgreSQL is lost");
        }
    });
    // Whatever the server's default is: an answer means that the events are on its disk.
    client.batch_execute("SET synchronous_commit = on").await?;
    Ok(client)
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

/// Writes what comes until nobody can send any more.
async fn write(url: String, client: Client, mut changes: mpsc::Receiver<Change>) {
    let mut client = Some(client);
    while let Some(first) = changes.recv().await {
        let group = gather(first, &mut changes);
        let outcome = match client.take().filter(|c| !c.is_closed()) {
            Some(open) => Ok(open),
            None => connect(&url).await,
        };
        let outcome = match outcome {
            Ok(mut open) => {
                let outcome = commit(&mut open, &group).await;
                client = Some(open);
                outcome
            }
            Err(error) => Err(error),
        };
        answer(group, outcome);
    }
}

/// Everything of the group, or nothing.
async fn commit(client: &mut Client, group: &[Change]) -> Result<Vec<Done>> {
    let transaction = client.transaction().await?;
    let mut done = Vec::with_capacity(group.len());
    // Appends that follow one another take one statement.
    let mut rest = group;
    while let Some(first) = rest.first() {
        if let Change::Forget { user, .. } = first {
            done.push(Done::Forgot(
                transaction.execute("DELETE FROM alike_events WHERE user_id = $1", &[user]).await?,
            ));
            rest = &rest[1..];
            continue;
        }
        let appends: Vec<&Vec<Event>> = rest
            .iter()
            .map_while(|change| match change {
                Change::Append { events, .. } => Some(events),
                Change::Forget { .. } => None,
            })
            .collect();
        let all: Vec<&Event> = appends.iter().flat_map(|events| events.iter()).collect();
        let mut new = insert(&transaction, &all).await?.into_iter();
        done.extend(appends.iter().map(|events| Done::Appended(new.by_ref().take(events.len()).collect())));
        rest = &rest[appends.len()..];
    }
    transaction.commit().await?;
    Ok(done)
}

/// Whether each of `events` is new.
async fn insert(transaction: &Transaction<'_>, events: &[&Event]) -> Result<Vec<bool>> {
    let text = |of: fn(&Event) -> &str| events.iter().map(|e| of(e)).collect::<Vec<&str>>();
    let keys: Vec<Option<&str>> = events.iter().map(|e| e.key.as_deref()).collect();
    let times: Vec<i64> = events.iter().map(|e| e.time).collect();
    let rows = transaction
        .query(
            "INSERT INTO alike_events (user_id, item, kind, time, key) SELECT * FROM unnest($1::text[], $2::text[], \
             $3::text[], $4::bigint[], $5::text[]) ON CONFLICT (key) DO NOTHING RETURNING key",
            &[&text(|e| &e.user), &text(|e| &e.item), &text(|e| e.kind.word()), &times, &keys],
        )
        .await?;
    // Of events of this statement with one key the first was written.
    let mut written: HashSet<String> = rows.iter().filter_map(|row| row.get(0)).collect();
    Ok(keys.iter().map(|key| key.is_none_or(|k| written.remove(k))).collect())
}
