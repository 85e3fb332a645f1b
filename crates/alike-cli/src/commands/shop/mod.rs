//! `alike shop`: from the two files of a shop to the page of recommendations, by one command that goes on where
//! it was stopped. `docs/shop.md` is its walk-through.
//!
//! `reading` brings any kind of files into two tables, with `header`, `input`, `feed`, `catalogue`, `orders` and
//! what these need; `learning` makes of them what `embed`, `prepare` and `train` make; `state` is the work
//! folder.

mod catalogue;
mod customers;
mod dates;
mod enough;
mod feed;
mod filters;
mod header;
mod input;
mod learning;
mod money;
mod orders;
mod pictures;
mod reading;
mod state;
mod words;

use std::ffi::OsString;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::Instant;

use clap::Parser;
use serde::Serialize;

use crate::args::{Cli, Command, Shop};
use crate::destination;
use crate::failure::{Failure, Outcome};
use crate::output::{self, duration};
use crate::{serve, stop};
use learning::ShopWork;
use state::{LiveRun, ReadFiles, ShopFolder, vectors};
use words::Teller;

/// Where what customers do on the page is kept.
const EVENTS: &str = "events.sqlite";
/// How far products that nobody bought yet are raised in lists.
const NEW_PRODUCTS: &str = "0.75";

/// What came out, for programs.
#[derive(Serialize)]
struct ShopReport<'a> {
    products: usize,
    with_text: usize,
    with_picture: usize,
    customers: usize,
    purchases: usize,
    /// How often customers and products come at least in what was learned from.
    least: usize,
    filters: &'a [String],
    model: &'a str,
    found: f64,
    bestsellers: Option<f64>,
    /// All that was said.
    said: Vec<&'a String>,
    run: String,
    data: String,
    events: String,
}

/// Reads, learns, says what came of it, and serves.
pub(crate) fn run(args: &Shop, quiet: bool) -> Outcome {
    let since = Instant::now();
    if !args.no_serve {
        check_address(args.address)?;
    }
    let out = destination::folder(&args.out)?;
    let stop = stop::flag("the same command goes on from there", stop::SHORT);
    let teller = Teller { silent: quiet || args.json };
    let (read, live) = {
        let folder = ShopFolder::open(&args.out, out.clone())?;
        let mut state = folder.state();
        let (read, known) = reading::files(args, &folder, state.read.as_ref())?;
        if known {
            teller.line(format!("The files are as before: {}", read.summary))?;
        } else {
            teller.lines(&read.said)?;
            state.read = Some(read.clone());
            folder.write(&state)?;
        }
        let work = ShopWork { folder: &folder, read: &read, rounds: args.rounds, stop, teller, quiet };
        let live = live_run(&work, &mut state)?;
        (read, live)
    };
    teller.lines(&live.said)?;
    teller.line(format!("Ready in {}", duration(since.elapsed().as_secs_f64())))?;
    if args.json {
        output::json(&report(&read, &live, &args.out))?;
    }
    if args.no_serve {
        let shown = args.out.join(&live.run);
        return teller.line(format!(
            "All is in {}; the same command without --no-serve opens the page",
            shown.display()
        ));
    }
    teller.line(
        "\nOpen this address in a browser. Ctrl-C ends the page, and the same command starts it again.",
    )?;
    serve::run(&serving(args, &out, &live, read.modalities())?).map_err(|failure| match failure {
        Failure::Interrupted(_) => {
            Failure::Interrupted("interrupted; the same command starts the page again".into())
        }
        other => other,
    })
}

/// The run of the files as they are: finished before, or made now.
fn live_run(work: &ShopWork<'_>, state: &mut state::ShopState) -> Outcome<LiveRun> {
    let names = work.names();
    for modality in work.read.modalities() {
        let wanted = work.read.made_of(modality);
        if state.made_of(modality) == wanted && work.folder.at(&vectors(modality)).is_file() {
            continue;
        }
        // What is half done is not what it was.
        state.made_of(modality).clear();
        work.folder.write(state)?;
        work.encode(modality)?;
        state.made_of(modality).clone_from(wanted);
        work.folder.write(state)?;
    }
    if let Some(live) = state.live.as_ref().filter(|live| live.run == names.run && work.folder.has(live)) {
        return Ok(live.clone());
    }
    let data = work.data(&names)?;
    let live = work.learn(&data, names)?;
    let before = state.live.replace(live.clone());
    work.folder.write(state)?;
    work.folder.clear(
        &[Some(&live), before.as_ref()].into_iter().flatten().collect::<Vec<_>>(),
        &data_pictures(&data),
    );
    Ok(live)
}

/// The files of pictures that the data name.
fn data_pictures(data: &alike::data::Dataset) -> Vec<String> {
    (0..data.items.len() as u32).filter_map(|item| data.catalogue.image(item).map(String::from)).collect()
}

fn report<'a>(read: &'a ReadFiles, live: &'a LiveRun, out: &Path) -> ShopReport<'a> {
    let at = |name: &str| out.join(name).display().to_string();
    ShopReport {
        products: read.products,
        with_text: read.with_text,
        with_picture: read.with_picture,
        customers: read.customers,
        purchases: read.purchases,
        least: read.least,
        filters: &read.filters,
        model: &live.model,
        found: live.found,
        bestsellers: live.bestsellers,
        said: read.said.iter().chain(&live.said).collect(),
        run: at(&live.run),
        data: at(&live.data),
        events: at(EVENTS),
    }
}

/// An error before any work where the page could not be opened after it.
fn check_address(address: SocketAddr) -> Outcome {
    if !address.ip().is_loopback() && std::env::var_os(serve::KEY).is_none() {
        return Err(Failure::Usage(format!(
            "--address: {address} is open to others; leave it out, or take --no-serve and serve the run with a key: \
             alike serve RUN --address {address} --api-key-file FILE"
        )));
    }
    match TcpListener::bind(address) {
        Ok(_) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::AddrInUse => Err(Failure::Failed(format!(
            "{address} is taken by another program, perhaps the page of an earlier command; end that, or give another with \
             --address {}:{}",
            address.ip(),
            address.port().checked_add(1).unwrap_or(8081)
        ))),
        Err(e) => {
            Err(Failure::Failed(format!("--address {address}: {e}; give another, such as 127.0.0.1:8080")))
        }
    }
}

/// The arguments of `alike serve`, by its own defaults but for what a shop needs.
fn serving<'a>(
    args: &Shop,
    out: &Path,
    live: &LiveRun,
    modalities: impl Iterator<Item = &'a str>,
) -> Outcome<crate::args::Serve> {
    let with = |start: &str, path: &Path| {
        let mut text = OsString::from(start);
        text.push(path);
        text
    };
    let mut arguments: Vec<OsString> = ["alike", "serve"].map(OsString::from).to_vec();
    arguments.push(out.join(&live.run).into());
    arguments.extend(["--address".into(), args.address.to_string().into()]);
    arguments.extend(["--store".into(), with("sqlite:", &out.join(EVENTS))]);
    arguments.extend(["--held-out-is-history", "--cold-items", NEW_PRODUCTS].map(OsString::from));
    for name in modalities {
        let file = out.join(vectors(name));
        arguments.extend(["--encoder".into(), with(&format!("{name}="), &file)]);
    }
    match Cli::try_parse_from(arguments).map(|cli| cli.command) {
        Ok(Command::Serve(serve)) => Ok(serve),
        Ok(_) => Err(Failure::Failed("the page: other arguments than those of a server".into())),
        Err(e) => Err(Failure::Failed(format!("the page: {e}"))),
    }
}
