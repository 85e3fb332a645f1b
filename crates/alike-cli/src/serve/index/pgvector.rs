//! Item vectors in PostgreSQL with pgvector: one table a checkpoint, which all replicas share.
//!
//! The name of the table holds the checkpoint's hash, so that servers of an older and of a newer checkpoint
//! do not meet. It is filled and indexed in one transaction: others see all of it or nothing. Anyone who uses
//! it holds a shared lock on its number; tables that nobody holds are removed when a new one is written.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use alike::scorer::Matrix;
use tokio::sync::Mutex;
use tokio_postgres::{Client, NoTls, Statement, Transaction};

/// What names of tables begin with.
const PREFIX: &str = "alike_vectors_";
/// Digits of the checkpoint's hash in the name.
const DIGITS: usize = 32;
/// Replicas that start together write one after another: the number of the lock.
const LOCK: i64 = 0x616c_696b_6502;
/// Rows that one statement writes.
const ROWS: usize = 2000;
/// Connections that search.
const LINKS: usize = 4;
/// Candidates that the index keeps in a search at least.
const WIDTH: usize = 400;
/// How long a search may take before every item is scored instead.
const PATIENCE: Duration = Duration::from_secs(2);

/// An error of the database, in one line.
type Result<T> = std::result::Result<T, String>;

/// The table of one checkpoint.
pub(crate) struct VectorTable {
    url: String,
    name: String,
    links: [Mutex<Option<Arc<IndexLink>>>; LINKS],
    next: AtomicUsize,
    /// Whether the last search failed: only changes are logged.
    failing: AtomicBool,
}

/// A connection with its prepared statement.
struct IndexLink {
    client: Client,
    nearest: Statement,
}

impl VectorTable {
    /// Finds the table of the checkpoint `hash`, or writes it.
    pub(super) async fn open(url: &str, hash: &str, items: &Matrix) -> Result<Self> {
        let name = name_of(hash)?;
        let mut client = connect(url).await?;
        extension(&client).await?;
        // From here on nobody removes the table.
        hold(&client, &name).await?;
        write(&mut client, &name, items).await?;
        let link = IndexLink { nearest: prepare(&client, &name).await?, client };
        let links = std::array::from_fn(|_| Mutex::new(None));
        *links[0].lock().await = Some(Arc::new(link));
        let (next, failing) = (AtomicUsize::new(0), AtomicBool::new(false));
        Ok(Self { url: url.to_string(), name, links, next, failing })
    }

    /// About the `count` items with the largest inner products with `row`; `None` where the database gives no
    /// answer.
    pub(super) async fn nearest(&self, row: &[f32], count: usize) -> Option<Vec<u32>> {
        let found = match tokio::time::timeout(PATIENCE, self.search(row, count)).await {
            Ok(found) => found,
            Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
        };
        match &found {
            Ok(_) if self.failing.swap(false, Ordering::Relaxed) => {
                tracing::info!("the index in PostgreSQL answers again");
            }
            Err(error) if !self.failing.swap(true, Ordering::Relaxed) => {
                tracing::warn!(%error, "the index in PostgreSQL does not answer; every item is scored");
            }
            _ => {}
        }
        found.ok()
    }

    async fn search(&self, row: &[f32], count: usize) -> Result<Vec<u32>> {
        let link = self.link().await?;
        let rows =
            link.client.query(&link.nearest, &[&text_of(row), &(count as i64)]).await.map_err(error_text)?;
        rows.iter().map(|row| row.try_get::<_, i32>(0).map(|item| item as u32).map_err(error_text)).collect()
    }

    /// One of the connections, in turn; made again when it is lost.
    async fn link(&self) -> Result<Arc<IndexLink>> {
        let at = self.next.fetch_add(1, Ordering::Relaxed) % LINKS;
        let mut place = self.links[at].lock().await;
        if let Some(link) = place.as_ref().filter(|l| !l.client.is_closed()) {
            return Ok(link.clone());
        }
        let client = connect(&self.url).await?;
        hold(&client, &self.name).await?;
        let link = Arc::new(IndexLink { nearest: prepare(&client, &self.name).await?, client });
        *place = Some(link.clone());
        Ok(link)
    }
}

/// What the database says, with the cause, on one line.
fn error_text(error: tokio_postgres::Error) -> String {
    let cause = std::error::Error::source(&error).map(|e| format!(": {e}")).unwrap_or_default();
    format!("PostgreSQL: {error}{cause}").replace('\n', " ")
}

async fn connect(url: &str) -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.map_err(error_text)?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::warn!(%error, "a connection to the index in PostgreSQL is lost");
        }
    });
    client.batch_execute("SET client_min_messages = warning").await.map_err(error_text)?;
    Ok(client)
}

/// Sees to it that pgvector is there, and new enough.
async fn extension(client: &Client) -> Result<()> {
    const MISSING: &str = "needs the extension pgvector 0.5 or newer: install it on the server of the database, and let \
        its administrator run `CREATE EXTENSION vector`";
    let version = "SELECT extversion FROM pg_extension WHERE extname = 'vector'";
    let mut found = client.query_opt(version, &[]).await.map_err(error_text)?;
    if found.is_none() {
        let made = client.batch_execute("CREATE EXTENSION IF NOT EXISTS vector").await;
        made.map_err(|e| format!("{MISSING} ({})", error_text(e)))?;
        found = client.query_opt(version, &[]).await.map_err(error_text)?;
    }
    let version: String = found.map_or_else(String::new, |row| row.get(0));
    let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    if (parts.next(), parts.next()) < (Some(0), Some(5)) {
        return Err(format!("{MISSING} (found {version})"));
    }
    Ok(())
}

fn name_of(hash: &str) -> Result<String> {
    let digits = hash.get(..DIGITS).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
    digits.map(|d| format!("{PREFIX}{d}")).ok_or_else(|| format!("`{hash}` is no hash of a checkpoint"))
}

/// The number of the lock of a table; `None` for a table that is not ours.
fn lock_of(name: &str) -> Option<i64> {
    let digits = name.strip_prefix(PREFIX).filter(|d| d.len() == DIGITS)?;
    u64::from_str_radix(&digits[..16], 16).ok().map(u64::cast_signed)
}

/// Holds the table for as long as the connection lasts.
async fn hold(client: &Client, name: &str) -> Result<()> {
    let lock = lock_of(name).expect("it is a name of ours");
    client.execute("SELECT pg_advisory_lock_shared($1)", &[&lock]).await.map(drop).map_err(error_text)
}

/// Searches keep [`WIDTH`] candidates; newer versions go on where more are asked for, older ones give no
/// more.
async fn prepare(client: &Client, name: &str) -> Result<Statement> {
    client.batch_execute(&format!("SET hnsw.ef_search = {WIDTH}")).await.map_err(error_text)?;
    // Unknown before pgvector 0.8.
    let _ = client.batch_execute("SET hnsw.iterative_scan = relaxed_order").await;
    let near = format!("SELECT item FROM {name} ORDER BY vector <#> $1::text::vector LIMIT $2");
    client.prepare(&near).await.map_err(error_text)
}

/// Writes the table with its index, unless it is there; then removes those that nobody holds.
async fn write(client: &mut Client, name: &str, items: &Matrix) -> Result<()> {
    let since = std::time::Instant::now();
    let transaction = client.transaction().await.map_err(error_text)?;
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await.map_err(error_text)?;
    let there =
        transaction.query_one("SELECT to_regclass($1) IS NOT NULL", &[&name]).await.map_err(error_text)?;
    if there.get(0) {
        tracing::info!(table = name, "the index is there already");
        return Ok(());
    }
    let make = format!("CREATE TABLE {name} (item integer NOT NULL, vector vector({}) NOT NULL)", items.cols);
    transaction.batch_execute(&make).await.map_err(error_text)?;
    let insert = format!(
        "INSERT INTO {name} SELECT item, row::vector FROM unnest($1::int[], $2::text[]) AS r (item, row)"
    );
    let insert = transaction.prepare(&insert).await.map_err(error_text)?;
    for from in (0..items.rows).step_by(ROWS) {
        let numbers: Vec<i32> = (from..items.rows.min(from + ROWS)).map(|i| i as i32).collect();
        let rows: Vec<String> = numbers.iter().map(|&i| text_of(items.row(i as usize))).collect();
        transaction.execute(&insert, &[&numbers, &rows]).await.map_err(error_text)?;
    }
    let index = format!(
        "CREATE INDEX ON {name} USING hnsw (vector vector_ip_ops) WITH (ef_construction = 128); ANALYZE {name}"
    );
    transaction.batch_execute(&index).await.map_err(error_text)?;
    remove_unused(&transaction, name).await?;
    transaction.commit().await.map_err(error_text)?;
    tracing::info!(table = name, seconds = since.elapsed().as_secs_f64(), "the index is written");
    Ok(())
}

async fn remove_unused(transaction: &Transaction<'_>, own: &str) -> Result<()> {
    let names =
        "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema() AND tablename <> $1";
    for row in transaction.query(names, &[&own]).await.map_err(error_text)? {
        let name: &str = row.get(0);
        let Some(lock) = lock_of(name) else { continue };
        let free = transaction
            .query_one("SELECT pg_try_advisory_xact_lock($1)", &[&lock])
            .await
            .map_err(error_text)?;
        if free.get(0) {
            transaction.batch_execute(&format!("DROP TABLE {name}")).await.map_err(error_text)?;
            tracing::info!(table = name, "an index that nobody uses is removed");
        }
    }
    Ok(())
}

/// A vector as pgvector reads it.
fn text_of(row: &[f32]) -> String {
    let values: Vec<String> = row.iter().map(f32::to_string).collect();
    format!("[{}]", values.join(","))
}
