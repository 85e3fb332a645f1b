//! One file a command; each takes its arguments and returns what to tell the shell.

mod demo;
mod embed;
mod evaluate;
mod experiment;
pub(crate) mod logs;
mod models;
mod nightly;
mod prepare;
mod recommend;
mod shop;
mod similar;
mod train;
mod unseen;

pub(crate) use unseen::Unseen;

use std::io;

use clap::CommandFactory;

use crate::args::{Cli, Command, Page};
use crate::failure::Outcome;
use crate::{output, pages, serve, stop};

/// Runs the command.
pub(crate) fn run(cli: Cli) -> Outcome {
    let quiet = cli.global.quiet;
    stop::on_signal()?;
    match cli.command {
        Command::Demo(args) => demo::run(&args, quiet),
        Command::Shop(args) => shop::run(&args, quiet),
        Command::Prepare(args) => prepare::run(&args, quiet),
        Command::Embed(args) => embed::run(&args, quiet),
        Command::Train(args) => train::run(&args, quiet),
        Command::Evaluate(args) => evaluate::run(&args, quiet),
        Command::Experiment(args) => experiment::run(&args, cli.global.threads, quiet),
        Command::Recommend(args) => recommend::run(&args, quiet),
        Command::Similar(args) => similar::run(&args),
        Command::Nightly(args) => nightly::run(&args, quiet),
        Command::Serve(args) => serve::run(&args),
        Command::Models(args) => models::run(&args),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "alike", &mut io::Cursor::new(&mut script));
            output::write(&String::from_utf8_lossy(&script))
        }
        Command::Docs { page: Page::Cli } => output::write(&pages::cli()),
        Command::Docs { page: Page::Models } => output::write(&pages::models()),
        Command::Docs { page: Page::Api } => output::write(&serve::documentation()),
    }
}
