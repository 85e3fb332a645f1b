//! Whether bytes come or go fast enough to be waited for.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// Bytes a second that somebody who is waited for must send or take, once the first wait is over.
pub(crate) const RATE: u32 = 1024;

/// A deadline that bytes put off: nothing for a while, or too little for long, and it is over.
pub(crate) struct Pace {
    wait: Duration,
    due: Option<Pin<Box<Sleep>>>,
}

impl Pace {
    /// Waits for so long at most while nothing moves.
    pub(crate) fn new(wait: Duration) -> Self {
        Self { wait, due: None }
    }

    /// `bytes` have moved: a second more for every [`RATE`] of them, but never more than the whole wait.
    pub(crate) fn moved(&mut self, bytes: usize) {
        if let Some(due) = &mut self.due {
            let earned = Duration::from_secs_f64(bytes as f64 / f64::from(RATE));
            let next = (due.deadline() + earned).min(Instant::now() + self.wait);
            due.as_mut().reset(next);
        }
    }

    /// All has moved: nothing is waited for.
    pub(crate) fn done(&mut self) {
        self.due = None;
    }

    /// Nothing moves now; whether that has gone on for too long. Wakes the task when it has.
    pub(crate) fn is_over(&mut self, context: &mut Context<'_>) -> bool {
        let wait = self.wait;
        let due = self.due.get_or_insert_with(|| Box::pin(sleep(wait)));
        due.as_mut().poll(context) == Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    async fn is_over(pace: &mut Pace) -> bool {
        poll_fn(|context| Poll::Ready(pace.is_over(context))).await
    }

    #[tokio::test]
    async fn bytes_put_it_off_in_proportion() {
        let wait = Duration::from_millis(60);
        for (bytes, over) in [(0, true), (1, true), (RATE as usize, false)] {
            let mut pace = Pace::new(wait);
            assert!(!is_over(&mut pace).await);
            // A trickle, for longer than the wait.
            for _ in 0..8 {
                sleep(Duration::from_millis(10)).await;
                pace.moved(bytes);
            }
            assert_eq!(is_over(&mut pace).await, over, "{bytes} bytes at a time");
        }
        let mut pace = Pace::new(wait);
        assert!(!is_over(&mut pace).await);
        pace.done();
        sleep(wait * 2).await;
        assert!(!is_over(&mut pace).await, "a new wait begins");
    }
}
