//! What the library notes goes to Python's `logging`, to the logger `alike`.

use std::io::{self, Write};
use std::sync::Once;

use pyo3::prelude::*;
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

static ONCE: Once = Once::new();

/// Connects the two, once; the program `alike` in this process writes its notes itself.
pub(crate) fn connect(py: Python<'_>) {
    py.detach(|| {
        ONCE.call_once(|| {
            let notes = tracing_subscriber::fmt()
                .with_writer(Logger)
                .without_time()
                .with_level(false)
                .with_target(false)
                .with_ansi(false)
                .with_max_level(Level::DEBUG)
                .finish();
            // Another subscriber of this process keeps what it has.
            let _ = tracing::subscriber::set_global_default(notes);
        });
    });
}

struct Logger;

/// One note.
struct Note {
    level: u8,
    text: Vec<u8>,
}

impl<'a> MakeWriter<'a> for Logger {
    type Writer = Note;

    fn make_writer(&'a self) -> Note {
        Note { level: 20, text: Vec::new() }
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> Note {
        let level = match *meta.level() {
            Level::ERROR => 40,
            Level::WARN => 30,
            Level::INFO => 20,
            Level::DEBUG | Level::TRACE => 10,
        };
        Note { level, text: Vec::new() }
    }
}

impl Write for Note {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        let text = String::from_utf8_lossy(&self.text);
        let text = text.trim_end();
        if text.is_empty() {
            return;
        }
        // A process that ends takes no more notes.
        Python::try_attach(|py| {
            let say = || {
                let logger = py.import("logging")?.call_method1("getLogger", ("alike",))?;
                logger.call_method1("log", (self.level, "%s", text))
            };
            say().map(|_| ())
        });
    }
}
