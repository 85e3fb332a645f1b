//! Ctrl-C and the termination signal: every command ends within two seconds, with exit code 130 and nothing
//! half-written.
//!
//! Work that keeps what it has done looks at a [`flag`], saves and returns. Everything else is ended at
//! once: outputs are written under temporary names, which are removed first.

use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::failure::{Failure, Outcome};

static STOP: AtomicBool = AtomicBool::new(false);

/// Whether signals are somebody else's now.
static HANDED_OVER: AtomicBool = AtomicBool::new(false);

/// What a command says when it was stopped, and how long it may take to stop by itself.
static GRACEFUL: Mutex<Option<(String, Duration)>> = Mutex::new(None);

fn graceful() -> MutexGuard<'static, Option<(String, Duration)>> {
    GRACEFUL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Time for work that looks at the flag.
pub(crate) const SHORT: Duration = Duration::from_millis(1000);
/// Time for a command that waits for others, which have [`SHORT`].
pub(crate) const LONG: Duration = Duration::from_millis(1700);

/// From now on Ctrl-C (and a termination signal) stops the command; a second one ends it at once.
pub(crate) fn on_signal() -> Outcome {
    let on = || match HANDED_OVER.load(Ordering::SeqCst) || STOP.swap(true, Ordering::SeqCst) {
        true if HANDED_OVER.load(Ordering::SeqCst) => {}
        true => end(),
        false => {
            if graceful().is_some() {
                eprintln!("\nstopping; Ctrl-C again ends at once");
            }
            end_in_time();
        }
    };
    ctrlc::set_handler(on).map_err(|e| Failure::Failed(format!("cannot listen to Ctrl-C: {e}")))
}

/// From now on signals are for the server, which ends in its own way.
pub(crate) fn hand_over() {
    HANDED_OVER.store(true, Ordering::SeqCst);
}

/// The flag that a stop sets, for a command that looks at it and ends by itself within `grace`, then with the
/// words `note`. A command that does not ask for it is ended at once.
pub(crate) fn flag(note: impl Into<String>, grace: Duration) -> &'static AtomicBool {
    *graceful() = Some((note.into(), grace));
    &STOP
}

/// From now on another note than that of [`flag`] is true.
pub(crate) fn continue_note(note: &str) {
    if let Some(end) = graceful().as_mut() {
        end.0 = note.into();
    }
}

/// Why a command that was stopped did not finish.
pub(crate) fn interrupted() -> Failure {
    Failure::Interrupted(match &*graceful() {
        Some((note, _)) => format!("interrupted; {note}"),
        None => "interrupted".into(),
    })
}

/// Why a command that works until it is stopped did not finish.
pub(crate) fn explain(error: alike::Error) -> Failure {
    match error {
        alike::Error::Interrupted => interrupted(),
        other => other.into(),
    }
}

/// From now on the end of standard input stops the command too: who started this program holds the other end,
/// and it ends with them, however they end. On Linux the system says so as well.
pub(crate) fn when_parent_ends() {
    // The signal comes when the thread ends that started this program, which is the other's main thread.
    #[cfg(target_os = "linux")]
    if let Err(error) = nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGTERM) {
        tracing::debug!(%error, "the end of standard input alone will tell");
    }
    std::thread::spawn(|| {
        let mut bytes = [0; 64];
        // An error says as well that nobody is there.
        while matches!(io::stdin().read(&mut bytes), Ok(n) if n > 0) {}
        if !STOP.swap(true, Ordering::SeqCst) {
            end_in_time();
        }
    });
}

/// Ends the program unless it ends by itself before.
fn end_in_time() {
    let grace = graceful().as_ref().map_or(Duration::ZERO, |(_, grace)| *grace);
    // Not in the thread of signals, which waits for a second one.
    std::thread::spawn(move || {
        std::thread::sleep(grace);
        end();
    });
}

/// Ends the program at once.
fn end() -> ! {
    let _nothing_more_is_written = alike::disk::unfinished::remove_all();
    let failure = interrupted();
    if let Some(line) = failure.line() {
        eprintln!("{line}");
    }
    std::process::exit(failure.code().into())
}
