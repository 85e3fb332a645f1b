//! The `alike` command line: parses arguments, shows progress, writes tables, JSON and reports. All work is
//! done by the library.
//!
//! A program with models of its own is this one with a few lines before it:
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! /// What `main` calls with its model.
//! fn with(mine: alike::models::ModelInfo) -> ExitCode {
//!     alike::models::register(mine).expect("a name that is free");
//!     alike_cli::main()
//! }
//! ```

#![deny(unsafe_code)]

mod args;
mod bundled;
mod commands;
mod destination;
mod failure;
mod made;
mod output;
mod pages;
mod progress;
mod recommendations;
mod report;
mod results_file;
mod serve;
#[cfg(all(test, feature = "postgres"))]
#[path = "../../skipped.rs"]
mod skipped;
mod stop;
mod terminal;

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::Path;
use std::process::{self, ExitCode};
use std::sync::OnceLock;

use clap::Parser;
use clap::error::ErrorKind;
use tracing_subscriber::filter::LevelFilter;

use args::{Cli, Command, Global, LogForm};
use failure::{Failure, Outcome};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs the program on the arguments of this process; the exit code says how it ended (0 done, 1 failed, 2
/// wrong usage, 130 stopped).
pub fn main() -> ExitCode {
    ExitCode::from(run(std::env::args_os(), None))
}

/// The same on other arguments, the first of which is the program's name. `again` is the command, with its
/// first arguments, that starts this program once more, where the file of the process does not: an
/// experiment's runs are processes of their own.
pub fn run(arguments: impl IntoIterator<Item = OsString>, again: Option<Vec<OsString>>) -> u8 {
    if let Some(again) = again {
        // Set by the first call of a process; a process runs the program once.
        let _ = AGAIN.set(again);
    }
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    keep_quiet_about_files();
    let form = if std::io::stderr().is_terminal() { LogForm::Text } else { LogForm::Json };
    let log = if let Command::Serve(serve) = &cli.command { Some(serve.log.unwrap_or(form)) } else { None };
    match prepare(&cli.global, log).and_then(|()| commands::run(cli)) {
        Ok(()) => 0,
        Err(failure) => {
            if let Some(line) = failure.line() {
                eprintln!("{line}");
            }
            failure.code()
        }
    }
}

/// What starts this program once more, where the file of the process does not.
static AGAIN: OnceLock<Vec<OsString>> = OnceLock::new();

/// A command that starts this program once more: where the system lets a process name it, also when its file
/// has been replaced meanwhile.
fn this_program() -> std::io::Result<process::Command> {
    if let Some([program, arguments @ ..]) = AGAIN.get().map(Vec::as_slice) {
        let mut command = process::Command::new(program);
        command.args(arguments);
        return Ok(command);
    }
    let running = Path::new("/proc/self/exe");
    let program = if running.exists() { running.to_path_buf() } else { std::env::current_exe()? };
    Ok(process::Command::new(program))
}

/// A panic of a reader over a damaged file becomes an error with one line; nothing else is to be said about
/// it.
fn keep_quiet_about_files() {
    let say = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !alike::data::is_reading_foreign() {
            say(panic);
        }
    }));
}

/// Threads and notes, before any work. A server's log says more than the notes of other commands.
fn prepare(global: &Global, server: Option<LogForm>) -> Outcome {
    let level = match (global.quiet, global.verbose) {
        (true, _) => LevelFilter::ERROR,
        (_, 0) if server.is_none() => LevelFilter::WARN,
        (_, 0 | 1) => LevelFilter::INFO,
        _ => LevelFilter::DEBUG,
    };
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(level).with_target(false);
    match server {
        Some(LogForm::Json) => log.json().flatten_event(true).init(),
        _ => log.init(),
    }
    // What ALIKE_ISA says must be right before anything is computed.
    alike_ops::instruction_sets().map_err(|e| Failure::Usage(e.to_string()))?;
    if let Some(threads) = global.threads {
        rayon::ThreadPoolBuilder::new()
            .num_threads(usize::from(threads))
            .build_global()
            .map_err(|e| Failure::Failed(format!("cannot start {threads} threads: {e}")))?;
    }
    Ok(())
}

/// Help and version go to standard output; a wrong command line is one line on standard error.
fn usage(error: &clap::Error) -> u8 {
    if error.use_stderr() {
        if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
            eprint!("{error}");
            return 2;
        }
        eprintln!("error: {} (see `alike --help`)", one_line(&error.to_string()));
        return 2;
    }
    match output::write(&error.to_string()) {
        Ok(()) | Err(Failure::ReaderGone) => 0,
        Err(_) => 1,
    }
}

/// The parser's message without its usage and its hints, on one line.
fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).take_while(|l| !l.starts_with("Usage:"));
    let mut all = String::new();
    for line in lines.filter(|l| !l.is_empty() && !l.starts_with("For more information")) {
        let line = line.strip_prefix("error: ").unwrap_or(line);
        let line = match line.strip_prefix("[possible values: ") {
            Some(values) => format!("allowed: {}", values.trim_end_matches(']')),
            None => line.to_string(),
        };
        all += match all.chars().last() {
            None => "",
            Some(':') => " ",
            Some(_) => "; ",
        };
        all += &line;
    }
    all
}
