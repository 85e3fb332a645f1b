//! Work that takes a processor for long, on threads of its own: so many at a time, and so many that wait for
//! it.

use std::sync::Arc;

use prometheus_client::metrics::counter::Counter;
use tokio::sync::Semaphore;

use super::error::{ApiError, ApiResult};

/// Places for one kind of work. Kinds that differ in how long they take have pools of their own, so that the
/// long ones do not hold up the short ones.
pub(crate) struct Pool {
    places: Arc<Semaphore>,
    /// Places and those who wait for one.
    line: Arc<Semaphore>,
    panics: Counter,
}

impl Pool {
    /// So many at a time, while so many more wait. Panics are counted.
    pub(crate) fn new(places: usize, waiting: usize, panics: Counter) -> Self {
        Self {
            places: Arc::new(Semaphore::new(places)),
            line: Arc::new(Semaphore::new(places + waiting)),
            panics,
        }
    }

    /// Whether one more would be turned away now.
    pub(crate) fn is_full(&self) -> bool {
        self.line.available_permits() == 0
    }

    /// Does `work`. Anyone who gives up while they wait (the future is dropped) leaves the line, and the work
    /// is never begun. Work that has begun goes on when nobody waits for it any more, and keeps its place
    /// until it ends.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> ApiResult<T> {
        let in_line = self.line.clone().try_acquire_owned().map_err(|_| ApiError::busy())?;
        let place = self.places.clone().acquire_owned().await.map_err(ApiError::internal)?;
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            // Here and not with the future, which may be gone long before.
            drop((place, in_line));
            done
        });
        done.await.map_err(|e| {
            if e.is_panic() {
                self.panics.inc();
            }
            ApiError::internal(e)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn the_line_is_bounded_and_work_for_nobody_is_not_begun() {
        let pool = Arc::new(Pool::new(1, 1, Counter::default()));
        let begun = Arc::new(AtomicUsize::new(0));
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let first = {
            let (pool, begun) = (pool.clone(), begun.clone());
            tokio::spawn(async move {
                let work = move || {
                    begun.fetch_add(1, Ordering::SeqCst);
                    wait.recv().is_ok()
                };
                pool.run(work).await.unwrap()
            })
        };
        while begun.load(Ordering::SeqCst) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let second = begun.clone();
        let waits = pool.run(move || second.fetch_add(1, Ordering::SeqCst));
        assert!(!pool.is_full());
        let given_up = tokio::time::timeout(Duration::from_millis(20), async {
            tokio::join!(waits, async {
                assert!(pool.is_full());
                assert!(pool.run(|| ()).await.is_err(), "one works and one waits");
            })
        });
        assert!(given_up.await.is_err() && !pool.is_full());
        go.send(()).unwrap();
        assert!(first.await.unwrap());
        assert_eq!(pool.run(|| 7).await.unwrap(), 7);
        assert_eq!(begun.load(Ordering::SeqCst), 1, "what was given up was never begun");
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_any_more_keeps_its_place() {
        let pool = Arc::new(Pool::new(1, 1, Counter::default()));
        let (go, wait) = std::sync::mpsc::channel::<()>();
        async fn brief<T>(
            work: impl Future<Output = ApiResult<T>>,
        ) -> Result<ApiResult<T>, tokio::time::error::Elapsed> {
            tokio::time::timeout(Duration::from_millis(20), work).await
        }
        assert!(
            brief(pool.run(move || wait.recv().is_ok())).await.is_err(),
            "it takes longer than anybody waits"
        );
        // One works, though for nobody, and one more may wait; that one is not begun beside it.
        let begun = Arc::new(AtomicUsize::new(0));
        for _ in 0..3 {
            let begun = begun.clone();
            let next = pool.run(move || begun.fetch_add(1, Ordering::SeqCst));
            assert!(brief(next).await.is_err());
        }
        assert_eq!(begun.load(Ordering::SeqCst), 0);
        let waits = pool.run(|| ());
        assert!(!pool.is_full());
        let full = async {
            assert!(pool.is_full(), "who works for nobody counts");
            go.send(()).unwrap();
        };
        assert!(tokio::join!(waits, full).0.is_ok());
        assert!(!pool.is_full());
    }
}
