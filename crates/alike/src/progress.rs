//! What work that takes long says of how far it is, and how it is stopped.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::error::{Error, Result};

/// Who waits for work that takes long. Any thread of the work may ask and tell, many times per second; so
/// answers are quick, and what is shown is not drawn each time.
///
/// `()` neither listens nor stops, a flag stops when it is set.
pub trait Progress: Sync {
    /// `done` of `total` parts of what `phase` names are done; `total` is 0 where nobody knows it. A phase
    /// begins with nothing done.
    fn at(&self, _phase: &'static str, _done: u64, _total: u64) {}

    /// Whether to stop.
    fn stopped(&self) -> bool {
        false
    }
}

impl Progress for () {}

impl Progress for AtomicBool {
    fn stopped(&self) -> bool {
        self.load(Ordering::Relaxed)
    }
}

impl dyn Progress + '_ {
    /// # Errors
    /// [`Error::Interrupted`] when the work is to stop.
    pub fn check(&self) -> Result<()> {
        if self.stopped() { Err(Error::Interrupted) } else { Ok(()) }
    }

    /// Begins a phase of `total` parts, 0 where nobody knows it.
    ///
    /// # Errors
    /// [`Error::Interrupted`] when the work is to stop.
    pub fn phase(&self, name: &'static str, total: usize) -> Result<Parts<'_>> {
        self.check()?;
        self.at(name, 0, total as u64);
        Ok(Parts { progress: self, name, total: total as u64, done: AtomicU64::new(0) })
    }
}

/// The parts of a phase, counted by all threads that do them.
pub struct Parts<'a> {
    progress: &'a dyn Progress,
    name: &'static str,
    total: u64,
    done: AtomicU64,
}

impl Parts<'_> {
    /// So many more are done.
    ///
    /// # Errors
    /// [`Error::Interrupted`] when the work is to stop.
    pub fn add(&self, parts: usize) -> Result<()> {
        let parts = parts as u64;
        let done = self.done.fetch_add(parts, Ordering::Relaxed) + parts;
        self.progress.at(self.name, done, self.total);
        self.progress.check()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use rayon::prelude::*;

    use super::*;

    struct Listener(Mutex<Vec<(&'static str, u64, u64)>>, AtomicBool);

    impl Progress for Listener {
        fn at(&self, phase: &'static str, done: u64, total: u64) {
            self.0.lock().unwrap().push((phase, done, total));
            // A third part is too much.
            self.1.store(done == 3, Ordering::Relaxed);
        }

        fn stopped(&self) -> bool {
            self.1.load(Ordering::Relaxed)
        }
    }

    #[test]
    fn parts_are_counted_and_stopped() {
        let listener = Listener(Mutex::default(), AtomicBool::new(false));
        let progress: &dyn Progress = &listener;
        let parts = progress.phase("work", 4).unwrap();
        assert!(parts.add(2).is_ok());
        assert!(matches!(parts.add(1), Err(Error::Interrupted)));
        assert!(matches!(progress.phase("more", 0), Err(Error::Interrupted)));
        assert_eq!(*listener.0.lock().unwrap(), [("work", 0, 4), ("work", 2, 4), ("work", 3, 4)]);
    }

    #[test]
    fn every_thread_counts() {
        let parts = (&() as &dyn Progress).phase("work", 1000).unwrap();
        (0..1000).into_par_iter().for_each(|_| parts.add(1).unwrap());
        assert_eq!(parts.done.into_inner(), 1000);
    }
}
