//! What is known of a database that others may have stopped, so that not everybody waits to find out.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{Result, StoreError};

/// How long a database that gave no answer is left alone.
const REST: Duration = Duration::from_secs(1);
/// How long the outcome of a commit counts for those that would follow.
const FRESH: Duration = Duration::from_secs(5);

/// The last outcome of one kind of work. Failures that took long are remembered: who comes next fails at
/// once, until one request at a time may try again.
pub(super) struct WriteHealth {
    /// How long work may take.
    timeout: Duration,
    state: Mutex<WriteState>,
}

#[derive(Default)]
struct WriteState {
    last: Option<(Instant, Result<()>)>,
    /// Why and until when nobody tries.
    closed: Option<(Instant, StoreError)>,
}

impl WriteHealth {
    pub(super) fn new(timeout: Duration) -> Self {
        Self { timeout, state: Mutex::default() }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, WriteState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether to try at `now`.
    ///
    /// # Errors
    /// What went wrong lately.
    pub(super) fn admit(&self, now: Instant) -> Result<()> {
        let mut state = self.state();
        let Some((until, why)) = &mut state.closed else { return Ok(()) };
        if now < *until {
            return Err(why.clone());
        }
        // This one tries; others wait for what it finds.
        *until = now + self.timeout;
        Ok(())
    }

    /// Notes what came of work that began at `began` and ended at `now`; whether it kept others waiting for
    /// nothing.
    pub(super) fn note<T>(&self, began: Instant, now: Instant, outcome: &Result<T>) -> bool {
        let mut state = self.state();
        state.last = Some((now, outcome.as_ref().map(drop).map_err(StoreError::clone)));
        let Err(error) = outcome else {
            state.closed = None;
            return false;
        };
        let slow = now.duration_since(began) >= self.timeout / 2;
        if slow || state.closed.is_some() {
            // Of what these others wanted nothing was begun.
            let why = StoreError::Failed(format!("not tried again yet after: {error}"));
            state.closed = Some((now + REST, why));
        }
        slow
    }

    /// What is known at `now` without a try; `None` where that is too long ago.
    pub(super) fn known(&self, now: Instant) -> Option<Result<()>> {
        let state = self.state();
        let (at, last) = state.last.as_ref()?;
        let fresh = if last.is_ok() { FRESH } else { REST };
        (now.duration_since(*at) < fresh).then(|| last.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_at_a_time_tries_what_did_not_answer() {
        let health = WriteHealth::new(Duration::from_secs(2));
        let start = Instant::now();
        let at = |milliseconds: u64| start + Duration::from_millis(milliseconds);
        let failed = Err::<(), _>(StoreError::Failed("frozen".into()));
        assert!(health.admit(at(0)).is_ok() && health.known(at(0)).is_none());
        // Quick failures are nobody's wait.
        assert!(!health.note(at(0), at(10), &failed));
        assert!(health.admit(at(10)).is_ok());
        assert!(health.known(at(500)).is_some_and(|r| r.is_err()) && health.known(at(1100)).is_none());
        // A slow one is.
        assert!(health.note(at(2000), at(4000), &failed));
        let why = health.admit(at(4001)).unwrap_err().to_string();
        assert!(why.contains("frozen"), "{why}");
        assert!(health.admit(at(4999)).is_err());
        assert!(health.admit(at(5000)).is_ok(), "one tries");
        assert!(health.admit(at(5001)).is_err(), "the others do not");
        assert!(health.admit(at(7001)).is_ok(), "the one that tried did not come back");
        health.note(at(7001), at(7002), &Ok(()));
        assert!(health.admit(at(7003)).is_ok());
        assert_eq!(health.known(at(8000)).map(|r| r.is_ok()), Some(true));
        assert!(health.known(at(12_100)).is_none());
    }
}
