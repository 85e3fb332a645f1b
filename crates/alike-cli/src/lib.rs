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

use std::process::ExitCode;

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
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    keep_quiet_about_files();
    let log = if let Command::Serve(serve) = &cli.command { Some(serve.log) } else { None };
    match prepare(&cli.global, log).and_then(|()| commands::run(cli)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Some(line) = failure.line() {
                eprintln!("{line}");
            }
            ExitCode::from(failure.code())
        }
    }
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
    if let Some(threads) = global.threads {
        rayon::ThreadPoolBuilder::new()
            .num_threads(usize::from(threads))
            .build_global()
            .map_err(|e| Failure::Failed(format!("cannot start {threads} threads: {e}")))?;
    }
    Ok(())
}

/// Help and version go to standard output; a wrong command line is one line on standard error.
fn usage(error: &clap::Error) -> ExitCode {
    if error.use_stderr() {
        if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
            eprint!("{error}");
            return ExitCode::from(2);
        }
        eprintln!("error: {} (see `alike --help`)", one_line(&error.to_string()));
        return ExitCode::from(2);
    }
    match output::write(&error.to_string()) {
        Ok(()) | Err(Failure::ReaderGone) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
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
