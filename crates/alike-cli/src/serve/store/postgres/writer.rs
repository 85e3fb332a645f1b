//! The one task that writes to PostgreSQL.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::mpsc;
use tokio_postgres::Transaction;
use tokio_postgres::error::SqlState;

use super::connection::{Connected, connect};
use crate::serve::store::group_commit::{Change, Done, answer, gather, turn_away};
use crate::serve::store::health::WriteHealth;
use crate::serve::store::items::record;
use crate::serve::store::per_user;
use crate::serve::store::retention::Retention;
use crate::serve::store::{AHEAD, Event, ItemChange, ItemRecord, Options, Result, StoreError};

/// How often a group is tried that met another of the same keys, or rows that another replica was deleting.
const TRIES: usize = 3;
/// How long the task sleeps when nothing is to be done.
const LOOK: Duration = Duration::from_secs(60);

pub(super) struct PostgresWriter {
    url: String,
    timeout: Duration,
    keep_of_user: u32,
    connected: Option<Connected>,
    health: Arc<WriteHealth>,
    retention: Option<Retention>,
}

impl PostgresWriter {
    pub(super) fn new(url: String, connected: Connected, options: Options, health: Arc<WriteHealth>) -> Self {
        let days = options.keep_days;
        let retention = days.map(|days| Retention::new(days, SystemTime::now(), Instant::now()));
        let Options { timeout, keep_of_user, .. } = options;
        Self { url, timeout, keep_of_user, connected: Some(connected), health, retention }
    }

    /// Writes what comes until nobody can send any more.
    pub(super) async fn run(mut self, mut changes: mpsc::Receiver<Change>) {
        loop {
            let wait = if self.remove_old().await { Duration::ZERO } else { LOOK };
            let first = match tokio::time::timeout(wait, changes.recv()).await {
                Ok(Some(first)) => first,
                Ok(None) => break,
                Err(_) => continue,
            };
            let group = gather(first, || changes.try_recv().ok());
            let began = Instant::now();
            let outcome = self.write(&group).await;
            let slow = self.health.note(began, Instant::now(), &outcome);
            let failed = outcome.as_ref().err().filter(|_| slow).cloned();
            // Deleted rows lie in the tables until they are vacuumed.
            answer(group, outcome, true);
            if let Some(error) = failed {
                turn_away(&error, || changes.try_recv().ok());
            }
        }
    }

    /// Everything of the group, or nothing, in the time that there is.
    async fn write(&mut self, group: &[Change]) -> Result<Vec<Done>> {
        let committing = AtomicBool::new(false);
        let work = async {
            let mut connected = match self.connected.take().filter(|c| !c.client.is_closed()) {
                Some(open) => open,
                None => connect(&self.url, self.timeout).await?,
            };
            let mut tries = 0;
            loop {
                tries += 1;
                match commit(&mut connected, group, self.keep_of_user, &committing).await {
                    Err(Failed::Again(error)) if tries < TRIES => {
                        tracing::debug!(%error, "tried again");
                    }
                    outcome => {
                        let outcome = outcome.map_err(StoreError::from);
                        // A connection that did not do its part is made again the next time.
                        if outcome.is_ok() || !connected.client.is_closed() {
                            self.connected = Some(connected);
                        }
                        return outcome;
                    }
                }
            }
        };
        tokio::time::timeout(self.timeout, work).await.unwrap_or_else(|_| {
            let text = format!("PostgreSQL gave no answer within {} ms", self.timeout.as_millis());
            let sent = committing.load(Ordering::Relaxed);
            Err(if sent { StoreError::Unsure(text) } else { StoreError::Failed(text) })
        })
    }

    /// Removes some of the old events; whether there are more to look at.
    async fn remove_old(&mut self) -> bool {
        let Some(retention) = &mut self.retention else { return false };
        let due = retention.due(SystemTime::now(), Instant::now());
        let connected = &mut self.connected;
        let work = async {
            // A connection that is lost comes back with the next event.
            let Some(Connected { client, .. }) = connected else { return Ok(false) };
            if due {
                let row = client.query_one("SELECT min(seq), max(seq) FROM alike_events", &[]).await?;
                if let (Some(first), Some(last)) = (row.get(0), row.get(1)) {
                    retention.begin(first, last);
                }
            }
            let Some(step) = retention.step() else { return Ok(false) };
            let old = "DELETE FROM alike_events WHERE seq > $1 AND seq <= $2 AND time < $3";
            let removed = client.execute(old, &[&step.after, &step.to, &step.before]).await?;
            if removed > 0 {
                tracing::info!(removed, "old events were removed");
            }
            Ok::<_, StoreError>(true)
        };
        match tokio::time::timeout(self.timeout, work).await {
            Ok(Ok(more)) => return more,
            Ok(Err(error)) => tracing::warn!(%error, "old events could not be removed"),
            Err(_) => {
                tracing::warn!("old events could not be removed: PostgreSQL gave no answer");
                self.connected = None;
            }
        }
        false
    }
}

/// What became of a try.
enum Failed {
    /// Another transaction was in the way; nothing was written.
    Again(StoreError),
    /// It is of no use to try again.
    For(StoreError),
}

impl From<Failed> for StoreError {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Again(error) | Failed::For(error) => error,
        }
    }
}

impl From<tokio_postgres::Error> for Failed {
    fn from(error: tokio_postgres::Error) -> Self {
        let again = [SqlState::T_R_DEADLOCK_DETECTED, SqlState::T_R_SERIALIZATION_FAILURE];
        match error.code().is_some_and(|code| again.contains(code)) {
            true => Self::Again(error.into()),
            false => Self::For(error.into()),
        }
    }
}

async fn commit(
    connected: &mut Connected,
    group: &[Change],
    most: u32,
    committing: &AtomicBool,
) -> Result<Vec<Done>, Failed> {
    let transaction = connected.client.transaction().await?;
    let mut done = Vec::with_capacity(group.len());
    let mut counted = BTreeSet::new();
    // Appends that follow one another take one statement.
    let mut rest = group;
    while let Some(first) = rest.first() {
        match first {
            Change::Forget { user, .. } => {
                let delete = "DELETE FROM alike_events WHERE user_id = $1";
                done.push(Done::Forgot(transaction.execute(delete, &[user]).await?));
                rest = &rest[1..];
            }
            Change::Probe { .. } => {
                // What an insert needs, and a line in the log that has to reach the disk.
                let probe = "LOCK TABLE alike_events IN ROW EXCLUSIVE MODE; \
                             SELECT pg_logical_emit_message(true, 'alike', 'ready')";
                transaction.batch_execute(probe).await?;
                done.push(Done::Probed);
                rest = &rest[1..];
            }
            Change::Items { items, .. } => {
                done.push(Done::Changed(change_items(&transaction, items).await?));
                rest = &rest[1..];
            }
            Change::Append { .. } => {
                let appends: Vec<&Vec<Event>> = rest.iter().map_while(appended).collect();
                let all: Vec<&Event> = appends.iter().flat_map(|events| events.iter()).collect();
                let mut new = insert(&transaction, &all, most, &mut counted).await?.into_iter();
                let counts = appends.iter().map(|events| events.len());
                done.extend(counts.map(|n| Done::Appended(new.by_ref().take(n).collect())));
                rest = &rest[appends.len()..];
            }
        }
    }
    for user in &counted {
        trim(&transaction, user, most).await?;
    }
    committing.store(true, Ordering::Relaxed);
    let committed = transaction.commit().await;
    committing.store(false, Ordering::Relaxed);
    committed.map_err(|error| {
        // The server said no, or it went: then it may have done it.
        let refused = error.code().is_some_and(|code| !["08", "57"].contains(&&code.code()[..2]));
        match Failed::from(error) {
            Failed::For(StoreError::Failed(text)) if !refused => Failed::For(StoreError::Unsure(text)),
            other => other,
        }
    })?;
    Ok(done)
}

fn appended(change: &Change) -> Option<&Vec<Event>> {
    match change {
        Change::Append { events, .. } => Some(events),
        Change::Forget { .. } | Change::Items { .. } | Change::Probe { .. } => None,
    }
}

/// Whether each of `events` is new; notes the users whose events are to be counted.
///
/// Rows go in in the order of their keys, so that replicas with the same keys wait for one another instead of
/// in a ring; their numbers are those of their arrival. For the time of an event see
/// `sqlite::writer::insert`.
async fn insert(
    transaction: &Transaction<'_>,
    events: &[&Event],
    most: u32,
    counted: &mut BTreeSet<String>,
) -> Result<Vec<bool>, Failed> {
    let text = |of: fn(&Event) -> &str| events.iter().map(|e| of(e)).collect::<Vec<&str>>();
    let keys: Vec<Option<&str>> = events.iter().map(|e| e.key.as_deref()).collect();
    let arrived: Vec<i64> = events.iter().map(|e| e.arrived).collect();
    let happened: Vec<Option<i64>> = events.iter().map(|e| e.happened).collect();
    let rows = transaction
        .query(
            r#"INSERT INTO alike_events (seq, user_id, item, kind, time, key) OVERRIDING SYSTEM VALUE
               SELECT seq, user_id, item, kind,
                      CASE WHEN happened IS NOT NULL AND newest <= arrived + $7 THEN happened
                           ELSE greatest(coalesce(happened, arrived), newest) END,
                      key
               FROM (SELECT nextval(pg_get_serial_sequence('alike_events', 'seq')) AS seq, n.*,
                            (SELECT coalesce(max(e.time), 0) FROM alike_events e WHERE e.user_id = n.user_id) AS newest
                     FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::text[])
                          WITH ORDINALITY AS n (user_id, item, kind, arrived, happened, key, place)) AS n
               ORDER BY key COLLATE "C" NULLS FIRST, place
               ON CONFLICT (key) DO NOTHING RETURNING key, seq, user_id"#,
            &[
                &text(|e| &e.user),
                &text(|e| &e.item),
                &text(|e| e.kind.word()),
                &arrived,
                &happened,
                &keys,
                &AHEAD,
            ],
        )
        .await?;
    let looks = rows.iter().filter(|row| per_user::counted(row.get(1), most));
    counted.extend(looks.map(|row| row.get::<_, String>(2)));
    // Of events of this statement with one key the first was written.
    let mut written: HashSet<String> = rows.iter().filter_map(|row| row.get(0)).collect();
    Ok(keys.iter().map(|key| key.is_none_or(|k| written.remove(k))).collect())
}

/// Changes what is said of items; for each whether something was. One transaction at a time does, so that
/// numbers become visible in their order: anybody who reads on from a number misses none below it.
async fn change_items(
    transaction: &Transaction<'_>,
    items: &[(String, ItemChange)],
) -> Result<Vec<bool>, Failed> {
    transaction.batch_execute("LOCK TABLE alike_items IN EXCLUSIVE MODE").await?;
    let last: i64 = transaction.query_one("SELECT coalesce(max(seq), 0) FROM alike_items", &[]).await?.get(0);
    let ids: Vec<&str> = items.iter().map(|(item, _)| item.as_str()).collect();
    let rows =
        transaction.query("SELECT item, record FROM alike_items WHERE item = ANY($1)", &[&ids]).await?;
    let mut now: HashMap<String, Option<ItemRecord>> = HashMap::new();
    for row in rows {
        now.insert(row.get(0), record(row.get(1)).map_err(Failed::For)?);
    }
    let (mut known, mut changed) = (Vec::with_capacity(items.len()), BTreeMap::new());
    for (number, (item, change)) in (last + 1..).zip(items) {
        let before = now.get(item).cloned();
        known.push(before.as_ref().is_some_and(Option::is_some));
        now.insert(item.clone(), change.after(before));
        changed.insert(item.as_str(), number);
    }
    let (ids, numbers): (Vec<&str>, Vec<i64>) = changed.into_iter().unzip();
    let text = |id: &&str| now.get(*id).and_then(Option::as_ref).map(ItemRecord::text);
    let texts: Vec<Option<String>> = ids.iter().map(text).collect();
    let write = "INSERT INTO alike_items (item, seq, record) SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[]) \
                 ON CONFLICT (item) DO UPDATE SET seq = excluded.seq, record = excluded.record";
    transaction.execute(write, &[&ids, &numbers, &texts]).await?;
    Ok(known)
}

/// Removes the oldest events of `user` beyond so many. Replicas that count at the same time name the same
/// rows, so that no more go than one of them would remove.
async fn trim(transaction: &Transaction<'_>, user: &str, most: u32) -> Result<(), Failed> {
    let oldest = "DELETE FROM alike_events WHERE seq IN (SELECT seq FROM alike_events WHERE user_id = $1 ORDER BY time, seq \
                  LIMIT (SELECT least(greatest(count(*) - $2, 0), $3) FROM alike_events WHERE user_id = $1))";
    let removed = transaction.execute(oldest, &[&user, &i64::from(most), &per_user::STEP]).await?;
    if removed > 0 {
        tracing::info!(removed, "oldest events of users with very many were removed");
    }
    Ok(())
}
