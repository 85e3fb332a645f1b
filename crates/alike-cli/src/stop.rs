//! Ctrl-C: the first asks the training loop to stop after the batch at hand, the second ends at once.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::failure::{Failure, Outcome};

static STOP: AtomicBool = AtomicBool::new(false);

/// Exit code of a program that a signal stopped.
const INTERRUPTED: i32 = 130;

/// From now on Ctrl-C (and a termination signal) sets the returned flag; a second one exits at once.
pub(crate) fn on_signal() -> Outcome<&'static AtomicBool> {
    ctrlc::set_handler(|| {
        if STOP.swap(true, Ordering::SeqCst) {
            std::process::exit(INTERRUPTED);
        }
        eprintln!("\nstopping after this batch and saving; Ctrl-C again exits at once");
    })
    .map_err(|e| Failure::Failed(format!("cannot listen to Ctrl-C: {e}")))?;
    Ok(&STOP)
}
