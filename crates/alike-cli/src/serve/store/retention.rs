//! Which events are old enough to go, in steps that hold nobody up.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How often the whole store is looked through.
const EVERY: Duration = Duration::from_secs(3600);
/// Events that are looked at in one step.
const STEP: i64 = 5000;
/// How much more than the time that passed the clock may go on between two rounds.
const JUMP: Duration = Duration::from_secs(600);

/// How far the present round is.
pub(super) struct Retention {
    keep: Duration,
    /// The clocks at the last round: the one that people set, and the one that only goes on.
    clocks: (SystemTime, Instant),
    next: Instant,
    round: Option<Round>,
}

struct Round {
    looked_at: i64,
    last: i64,
    before: i64,
}

/// Events to remove: those of these numbers that are older.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RemovalStep {
    /// Numbers after this one,
    pub(super) after: i64,
    /// up to this one,
    pub(super) to: i64,
    /// that happened before, in milliseconds since 1970.
    pub(super) before: i64,
}

impl Retention {
    pub(super) fn new(days: u32, clock: SystemTime, now: Instant) -> Self {
        let keep = Duration::from_secs(u64::from(days) * 24 * 3600);
        Self { keep, clocks: (clock, now), next: now, round: None }
    }

    /// Whether a round is due and the numbers of the first and last event are to be given to [`Self::begin`].
    /// A clock that jumped ahead since the last round makes everything look old: that round is left out.
    pub(super) fn due(&mut self, clock: SystemTime, now: Instant) -> bool {
        if self.round.is_some() || now < self.next {
            return false;
        }
        let passed = now.duration_since(self.clocks.1);
        let shown = clock.duration_since(self.clocks.0).unwrap_or_default();
        (self.clocks, self.next) = ((clock, now), now + EVERY);
        if shown > passed + JUMP {
            let seconds = (shown - passed).as_secs();
            tracing::warn!(seconds, "the clock jumped ahead; old events are looked for an hour later");
            return false;
        }
        true
    }

    /// Begins a round over the events numbered `first..=last`.
    pub(super) fn begin(&mut self, first: i64, last: i64) {
        let before = self.clocks.0.checked_sub(self.keep).and_then(|t| t.duration_since(UNIX_EPOCH).ok());
        let before = before.map_or(0, |t| t.as_millis() as i64);
        self.round = Some(Round { looked_at: first - 1, last, before });
    }

    /// The next step of the round, if one is under way.
    pub(super) fn step(&mut self) -> Option<RemovalStep> {
        let round = self.round.as_mut()?;
        if round.looked_at >= round.last {
            self.round = None;
            return None;
        }
        let after = round.looked_at;
        round.looked_at = after.saturating_add(STEP).min(round.last);
        Some(RemovalStep { after, to: round.looked_at, before: round.before })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_cover_all_numbers_and_leave_out_clocks_that_jump() {
        let (clock, start) = (UNIX_EPOCH + Duration::from_secs(100 * 24 * 3600), Instant::now());
        let later = |hours: u64| Duration::from_secs(hours * 3600);
        let mut kept = Retention::new(30, clock, start);
        assert!(kept.due(clock, start) && !kept.due(clock, start));
        kept.begin(3, 10_002);
        let before = 70 * 24 * 3600 * 1000;
        let steps: Vec<RemovalStep> = std::iter::from_fn(|| kept.step()).collect();
        let step = |after, to| RemovalStep { after, to, before };
        assert_eq!(steps, [step(2, 5002), step(5002, 10_002)]);
        assert!(!kept.due(clock + later(0), start + Duration::from_secs(60)));
        // A year ahead for some minutes: not even then is a round made, nor when it is back.
        assert!(!kept.due(clock + later(365 * 24), start + later(1)));
        assert!(kept.due(clock + later(2), start + later(2)));
    }
}
