//! The one thread that writes: commits what waits, and between commits clears up files.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime};

use rusqlite::{Connection, ErrorCode, OptionalExtension, Transaction, TransactionBehavior, params};

use super::files::Files;
use super::schema::MIGRATIONS;
use crate::serve::store::group_commit::{Change, Done, answer, gather, turn_away};
use crate::serve::store::health::WriteHealth;
use crate::serve::store::items::record;
use crate::serve::store::per_user;
use crate::serve::store::retention::Retention;
use crate::serve::store::{AHEAD, Event, ItemChange, Options, Result, StoreError};

/// How long emptying the log may hold up those who write: readers of this process are done sooner, others may
/// take hours.
const BRIEF: Duration = Duration::from_millis(20);
/// When an emptying that failed is tried again; twice as late each time, up to the second.
const AGAIN: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// How long the thread sleeps when nothing is to be done.
const IDLE: Duration = Duration::from_secs(60);
/// Free pages that are given back to the file system at a time.
const PAGES: u32 = 256;

pub(super) struct SqliteWriter {
    connection: Connection,
    files: Arc<Files>,
    health: Arc<WriteHealth>,
    timeout: Duration,
    keep_of_user: u32,
    /// The log is to be emptied.
    log_cleanup: Option<LogCleanup>,
    /// There may be free pages to give back.
    free: bool,
    retention: Option<Retention>,
}

struct LogCleanup {
    /// Whether what was deleted is still in the log; otherwise it is only long.
    deleted: bool,
    next: Instant,
    wait: Duration,
}

impl LogCleanup {
    fn new(deleted: bool) -> Self {
        Self { deleted, next: Instant::now(), wait: AGAIN.0 }
    }
}

impl SqliteWriter {
    pub(super) fn new(
        connection: Connection,
        files: Arc<Files>,
        options: Options,
        health: Arc<WriteHealth>,
    ) -> Self {
        let days = options.keep_days;
        let retention = days.map(|days| Retention::new(days, SystemTime::now(), Instant::now()));
        // An earlier process may have ended before its log was emptied.
        let log_cleanup = Some(LogCleanup::new(true));
        let Options { timeout, keep_of_user, .. } = options;
        Self { connection, files, health, timeout, keep_of_user, log_cleanup, free: true, retention }
    }

    /// Writes what comes until nobody can send any more.
    pub(super) fn run(mut self, changes: &Receiver<Change>) {
        loop {
            let more = self.clear_up();
            let wait = match (&self.log_cleanup, more) {
                (_, true) => Duration::ZERO,
                (Some(cleanup), _) => cleanup.next.saturating_duration_since(Instant::now()),
                (None, _) => IDLE,
            };
            let first = match changes.recv_timeout(wait) {
                Ok(first) => first,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let group = gather(first, || changes.try_recv().ok());
            let began = Instant::now();
            let outcome = self.commit(&group);
            let slow = self.health.note(began, Instant::now(), &outcome);
            let failed = outcome.as_ref().err().filter(|_| slow).cloned();
            answer(group, outcome, self.log_cleanup.as_ref().is_some_and(|cleanup| cleanup.deleted));
            if let Some(error) = failed {
                turn_away(&error, || changes.try_recv().ok());
            }
        }
    }

    /// Everything of the group, or nothing.
    fn commit(&mut self, group: &[Change]) -> Result<Vec<Done>> {
        self.files.check()?;
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut counted = BTreeSet::new();
        let mut one = |change| change_in(&transaction, change, self.keep_of_user, &mut counted);
        let done = group.iter().map(&mut one).collect::<Result<Vec<_>>>()?;
        let trim = |user: &&str| trim(&transaction, user, self.keep_of_user);
        let trimmed = counted.iter().map(trim).sum::<Result<usize>>()?;
        transaction.commit().map_err(|error| match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::DiskFull) => error.into(),
            // The disk may have taken it even so.
            _ => StoreError::Unsure(format!("SQLite: {error}")),
        })?;
        // If the file went while it was written, the commit went with it, or not.
        self.files.check().map_err(|error| StoreError::Unsure(error.to_string()))?;
        if trimmed > 0 {
            tracing::info!(removed = trimmed, "oldest events of users with very many were removed");
        }
        if trimmed > 0 || done.iter().any(|d| matches!(d, Done::Forgot(n) if *n > 0)) {
            self.deleted();
        }
        Ok(done)
    }

    /// Rows are gone: their pages were overwritten, and what the log has of them is to go.
    fn deleted(&mut self) {
        self.free = true;
        self.log_cleanup = Some(LogCleanup::new(true));
        self.empty_log();
    }

    /// Empties the log, if nobody reads an older state from it.
    fn empty_log(&mut self) {
        let now = Instant::now();
        let Some(cleanup) = self.log_cleanup.as_mut().filter(|o| o.next <= now) else { return };
        (cleanup.next, cleanup.wait) = (now + cleanup.wait, (2 * cleanup.wait).min(AGAIN.1));
        if self.files.check().is_err() {
            return;
        }
        let busy = || -> rusqlite::Result<bool> {
            self.connection.busy_timeout(BRIEF)?;
            let busy = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0));
            self.connection.busy_timeout(self.timeout)?;
            busy
        };
        match busy() {
            Ok(false) => self.log_cleanup = None,
            Ok(true) => {
                tracing::debug!("the store's log is emptied when nobody reads an older state from it")
            }
            Err(error) => tracing::warn!(%error, "the store's log could not be emptied"),
        }
    }

    /// Does a part of what is to be cleared up; whether there is more that can be done at once.
    fn clear_up(&mut self) -> bool {
        self.empty_log();
        match self.remove_old().and_then(|more| Ok(self.give_back()? || more)) {
            Ok(more) => more,
            Err(error) => {
                tracing::warn!(%error, "old events could not be removed");
                false
            }
        }
    }

    fn remove_old(&mut self) -> Result<bool> {
        let Some(retention) = &mut self.retention else { return Ok(false) };
        if retention.due(SystemTime::now(), Instant::now()) {
            let numbers = "SELECT min(seq), max(seq) FROM events";
            let found: (Option<i64>, Option<i64>) =
                self.connection.query_row(numbers, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
            if let (Some(first), Some(last)) = found {
                retention.begin(first, last);
            }
        }
        let Some(step) = retention.step() else { return Ok(false) };
        self.files.check()?;
        let old = "DELETE FROM events WHERE seq > ? AND seq <= ? AND time < ?";
        let removed = self.connection.execute(old, params![step.after, step.to, step.before])?;
        if removed > 0 {
            tracing::info!(removed, "old events were removed");
            self.deleted();
        }
        Ok(true)
    }

    /// Gives free pages back to the file system, where the file was made so that it can.
    fn give_back(&mut self) -> Result<bool> {
        if !self.free {
            return Ok(false);
        }
        let count = |pragma: &str| self.connection.query_row(pragma, [], |row| row.get::<_, u32>(0));
        let incremental = count("PRAGMA auto_vacuum")? == 2;
        self.free = incremental && count("PRAGMA freelist_count")? > 0;
        if self.free {
            self.files.check()?;
            let mut vacuum = self.connection.prepare(&format!("PRAGMA incremental_vacuum({PAGES})"))?;
            // A row a page.
            let mut pages = vacuum.query([])?;
            while pages.next()?.is_some() {}
            // The file gets shorter when the log is emptied.
            self.log_cleanup.get_or_insert_with(|| LogCleanup::new(false));
        }
        Ok(self.free)
    }
}

/// Does a change, and notes the users whose events are to be counted.
fn change_in<'a>(
    transaction: &Transaction<'_>,
    change: &'a Change,
    most: u32,
    counted: &mut BTreeSet<&'a str>,
) -> Result<Done> {
    Ok(match change {
        Change::Append { events, .. } => {
            let one = |event: &'a Event| {
                let new = insert(transaction, event)?;
                if new && per_user::counted(transaction.last_insert_rowid(), most) {
                    counted.insert(&event.user);
                }
                Ok(new)
            };
            Done::Appended(events.iter().map(one).collect::<Result<_>>()?)
        }
        Change::Items { items, .. } => {
            let one = |(item, change): &(String, ItemChange)| change_item(transaction, item, change);
            Done::Changed(items.iter().map(one).collect::<Result<_>>()?)
        }
        Change::Forget { user, .. } => {
            let mut delete = transaction.prepare_cached("DELETE FROM events WHERE user = ?")?;
            Done::Forgot(delete.execute([user])? as u64)
        }
        Change::Probe { .. } => {
            // Writes a page, though with the number that it has.
            transaction.pragma_update(None, "user_version", MIGRATIONS.len() as i64)?;
            Done::Probed
        }
    })
}

/// Whether `event` is new. Its time is what the client says, otherwise that of its arrival, but not before
/// the user's newest event; where that one lies in the future, a clock was wrong, and the order of arrival is
/// all there is.
fn insert(transaction: &Transaction<'_>, event: &Event) -> Result<bool> {
    let mut insert = transaction.prepare_cached(
        "INSERT INTO events (user, item, kind, time, key)
         SELECT ?1, ?2, ?3,
                CASE WHEN ?5 IS NOT NULL AND newest <= ?4 + ?7 THEN ?5 ELSE max(coalesce(?5, ?4), newest) END, ?6
         FROM (SELECT coalesce(max(time), 0) AS newest FROM events WHERE user = ?1)
         WHERE true
         ON CONFLICT (key) DO NOTHING",
    )?;
    let Event { user, item, kind, arrived, happened, key } = event;
    Ok(insert.execute(params![user, item, kind.word(), arrived, happened, key, AHEAD])? == 1)
}

/// Changes what is said of an item; whether something was.
fn change_item(transaction: &Transaction<'_>, item: &str, change: &ItemChange) -> Result<bool> {
    let mut find = transaction.prepare_cached("SELECT record FROM items WHERE item = ?")?;
    let before: Option<Option<String>> = find.query_row([item], |row| row.get(0)).optional()?;
    let known = before.as_ref().is_some_and(Option::is_some);
    let before = before.map(|text| record(text.as_deref())).transpose()?;
    let after = change.after(before).map(|record| record.text());
    let mut write = transaction.prepare_cached(
        "INSERT INTO items (item, seq, record) SELECT ?1, coalesce(max(seq), 0) + 1, ?2 FROM items WHERE true
         ON CONFLICT (item) DO UPDATE SET seq = excluded.seq, record = excluded.record",
    )?;
    write.execute(params![item, after])?;
    Ok(known)
}

/// Removes the oldest events of `user` beyond so many; how many.
fn trim(transaction: &Transaction<'_>, user: &str, most: u32) -> Result<usize> {
    let mut count = transaction.prepare_cached("SELECT count(*) FROM events WHERE user = ?")?;
    let beyond = count.query_row([user], |row| row.get::<_, i64>(0))? - i64::from(most);
    if beyond <= 0 {
        return Ok(0);
    }
    let oldest =
        "DELETE FROM events WHERE seq IN (SELECT seq FROM events WHERE user = ? ORDER BY time, seq LIMIT ?)";
    Ok(transaction.prepare_cached(oldest)?.execute(params![user, beyond.min(per_user::STEP)])?)
}
