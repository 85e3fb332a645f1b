//! The threads that work, and how a signal reaches them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use alike::progress::Progress;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

/// How often Python is asked whether somebody pressed Ctrl-C.
const ASK: Duration = Duration::from_millis(50);

struct Pool {
    /// The process whose threads these are: a forked child has none of them.
    process: u32,
    threads: usize,
    pool: Arc<ThreadPool>,
}

static POOL: Mutex<Option<Pool>> = Mutex::new(None);

/// The number that was asked for, before a pool is made; 0: what the system has.
static WANTED: Mutex<usize> = Mutex::new(0);

fn pool() -> PyResult<Arc<ThreadPool>> {
    let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
    let (process, wanted) = (std::process::id(), *WANTED.lock().unwrap_or_else(PoisonError::into_inner));
    if let Some(old) = pool.take() {
        match old.process == process && old.threads == wanted {
            true => {
                let threads = Arc::clone(&old.pool);
                *pool = Some(old);
                return Ok(threads);
            }
            // Its threads are another process's, which cannot be waited for.
            false if old.process != process => std::mem::forget(old),
            false => drop(old),
        }
    }
    let made = ThreadPoolBuilder::new().num_threads(wanted).build();
    let made = Arc::new(made.map_err(|e| PyRuntimeError::new_err(format!("cannot start threads: {e}")))?);
    *pool = Some(Pool { process, threads: wanted, pool: Arc::clone(&made) });
    Ok(made)
}

/// Sets how many threads work; 0: one per core, or what `RAYON_NUM_THREADS` says.
#[pyfunction]
pub(crate) fn set_threads(count: usize) -> PyResult<()> {
    if count > 1 << 16 {
        return Err(PyValueError::new_err(format!("{count} threads; allowed: 0 to 65536")));
    }
    *WANTED.lock().unwrap_or_else(PoisonError::into_inner) = count;
    Ok(())
}

/// How many threads work.
#[pyfunction]
pub(crate) fn threads() -> PyResult<usize> {
    Ok(pool()?.current_num_threads())
}

/// What the threads say to Python's.
enum Word {
    /// Something that a function of Python is called with; the work waits until that has returned.
    Event(&'static str, String),
    Done,
}

/// Where work says what happens.
pub(crate) struct Speaker {
    words: Sender<Word>,
    heard: Receiver<()>,
}

impl Speaker {
    /// Calls the function that listens with `name` and `what`, and waits for it.
    pub(crate) fn say(&self, name: &'static str, what: String) {
        // Nobody listens any more only when a panic is on its way.
        if self.words.send(Word::Event(name, what)).is_ok() {
            let _ = self.heard.recv();
        }
    }
}

/// Runs `work` on the threads without holding Python, and waits for it; Ctrl-C stops it. The exception of a
/// signal comes before an error of the work.
pub(crate) fn detached<T: Send>(
    py: Python<'_>,
    work: impl FnOnce(&dyn Progress) -> alike::Result<T> + Send,
) -> PyResult<T> {
    heard(py, None, |_, progress| work(progress))
}

/// The same; what `work` says is what `listener` is called with, by the thread that waits. An exception of
/// the listener stops it too, and is what this ends with.
pub(crate) fn heard<T: Send>(
    py: Python<'_>,
    listener: Option<&Py<PyAny>>,
    work: impl FnOnce(&Speaker, &dyn Progress) -> alike::Result<T> + Send,
) -> PyResult<T> {
    let stop = &AtomicBool::new(false);
    crate::log::connect(py);
    let pool = pool()?;
    let (words, said) = mpsc::channel();
    let (answer, answers) = mpsc::channel();
    let mut raised: Option<PyErr> = None;
    let result = std::thread::scope(|scope| {
        let speaker = Speaker { words: words.clone(), heard: answers };
        let worker = scope.spawn(move || {
            let result = pool.install(move || work(&speaker, stop));
            let _ = words.send(Word::Done);
            result
        });
        let raised = &mut raised;
        py.detach(move || {
            let mut hear = |found: PyResult<()>| {
                if let Err(error) = found {
                    raised.get_or_insert(error);
                    stop.store(true, Ordering::Relaxed);
                }
            };
            loop {
                match said.recv_timeout(ASK) {
                    Ok(Word::Event(name, what)) => {
                        if let Some(function) = listener {
                            hear(Python::attach(|py| {
                                py.check_signals()?;
                                function.call1(py, (name, what)).map(|_| ())
                            }));
                        }
                        // The work waits for it.
                        let _ = answer.send(());
                    }
                    Err(RecvTimeoutError::Timeout) => hear(Python::attach(|py| py.check_signals())),
                    // An end without a word is a panic, which `join` passes on.
                    Ok(Word::Done) | Err(RecvTimeoutError::Disconnected) => break,
                }
            }
            worker.join()
        })
    });
    match (raised, result) {
        (Some(raised), _) => Err(raised),
        (None, Ok(result)) => result.map_err(crate::errors::to_python),
        (None, Err(panic)) => std::panic::resume_unwind(panic),
    }
}
