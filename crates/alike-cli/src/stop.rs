//! Ctrl-C: the first asks the loop at work to stop after the batch at hand, the second ends at once.

use std::io::{self, Read};
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

/// From now on the end of standard input sets the flag too: who started this program holds the other end, and it ends
/// with him, however he ends.
pub(crate) fn when_input_ends() {
    std::thread::spawn(|| {
        let mut bytes = [0; 64];
        // An error says as well that nobody is there.
        while matches!(io::stdin().read(&mut bytes), Ok(n) if n > 0) {}
        STOP.store(true, Ordering::SeqCst);
    });
}
