//! `alike serve`: a trained run that answers over HTTP.
//!
//! A request passes `guard`, is read by `answer`, looks up its user in `store`, is ranked with others by `ranking`, and is
//! shown by one of `routes`. [`app::app`] puts them together and needs no socket.

mod answer;
mod app;
mod encoder;
mod guard;
mod home;
mod index;
mod listen;
mod metrics;
mod model;
mod page_of_api;
mod people;
mod ranking;
mod routes;
mod store;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use crate::args::Serve;
use crate::failure::{Failure, Outcome};
use crate::output;
use app::App;
use index::Choice;
use model::Slot;
use store::{Options, Place, Store};

pub(crate) use page_of_api::page as documentation;

/// Variable of the environment with the API key.
const KEY: &str = "ALIKE_API_KEY";
/// Variable of the environment with the address of the store, which may hold a password.
const STORE: &str = "ALIKE_STORE";
/// The same with which index is used.
const INDEX: &str = "ALIKE_INDEX";

/// Serves until it is told to stop.
pub(crate) fn run(args: &Serve) -> Outcome {
    let key = api_key(args.api_key_file.as_deref())?;
    if !args.address.ip().is_loopback() && key.is_none() && !args.insecure {
        return Err(Failure::Usage(format!(
            "{} is open to others: give an API key (--api-key-file FILE or {KEY}), or say --insecure",
            args.address
        )));
    }
    let place = place(args)?;
    let index = index(args)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::Failed(format!("cannot start the server: {e}")))?;
    let inside = runtime.enter();
    let main = Slot::open(&args.run, index)?;
    let compare = args.compare.as_deref().map(|run| Slot::open(run, Choice::Exact)).transpose()?;
    drop(inside);
    let encoders = encoder::Saved::open(&args.encoders, &main.current().serving.run().data)?;
    let served = runtime.block_on(async {
        let options = Options { keep_days: args.keep_events, ..Options::default() };
        let store = Store::open(&place, options)
            .await
            .map_err(|e| Failure::Failed(format!("the store of events: {e}")))?;
        let mut app =
            App::new(main, store).map_err(|e| Failure::Failed(format!("cannot start a thread: {e}")))?;
        (app.compare, app.key, app.max_body) = (compare, key, args.max_body);
        app.encoder = (!args.encoders.is_empty()).then(|| Arc::new(encoders) as Arc<dyn encoder::Encoder>);
        listen(Arc::new(app), args.address, args.watch).await
    });
    // What still runs on threads of its own after the time for it is left to itself.
    runtime.shutdown_timeout(Duration::from_secs(5));
    served
}

/// Binds, says where, and answers until a signal to stop.
async fn listen(app: Arc<App>, address: SocketAddr, watch: Option<u64>) -> Outcome {
    let failed = |e: std::io::Error| Failure::Failed(format!("{address}: {e}"));
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    // Before the address is out, so that whoever reads it may send signals.
    let stop = signals(app.clone()).map_err(failed)?;
    output::line(format!("listening on http://{bound}"))?;
    tracing::info!(address = %bound, store = app.store.kind(), "listening");
    if let Some(seconds) = watch {
        tokio::spawn(watch_run(app.clone(), Duration::from_secs(seconds)));
    }
    listen::serve(listener, app::app(app.clone()), app.metrics.clone(), stop).await;
    tracing::info!("stopped");
    Ok(())
}

/// Looks for newer checkpoints. One that cannot be loaded, perhaps since a training has replaced it meanwhile, is tried
/// again the next time.
async fn watch_run(app: Arc<App>, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        refresh(&app).await;
    }
}

async fn refresh(app: &Arc<App>) {
    if let Err(error) = app.refresh().await {
        tracing::warn!(%error, "the newer checkpoint was not loaded; the old one goes on");
    }
}

/// Ends at Ctrl-C or a termination signal; a hang-up looks for a newer checkpoint.
#[cfg(unix)]
fn signals(app: Arc<App>) -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut hang_up = signal(SignalKind::hangup())?;
    Ok(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = hang_up.recv() => {
                    let app = app.clone();
                    tokio::spawn(async move { refresh(&app).await });
                }
            }
        }
        app.stopping();
    })
}

/// Ends at Ctrl-C.
#[cfg(not(unix))]
fn signals(app: Arc<App>) -> std::io::Result<impl Future<Output = ()>> {
    Ok(async move {
        let _ = tokio::signal::ctrl_c().await;
        app.stopping();
    })
}

/// The key that clients must send, hashed; `None` when none is asked for.
fn api_key(file: Option<&Path>) -> Outcome<Option<blake3::Hash>> {
    let text = match file {
        Some(path) => Some(std::fs::read_to_string(path).map_err(|e| Failure::io(path, &e))?),
        None => std::env::var(KEY).ok(),
    };
    let Some(text) = text else { return Ok(None) };
    let key = text.trim();
    if key.len() < 16 || !key.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Failure::Usage("the API key must have at least 16 characters, all visible ASCII".into()));
    }
    Ok(Some(blake3::hash(key.as_bytes())))
}

/// Where candidates come from.
fn index(args: &Serve) -> Outcome<Choice> {
    match args.index.clone().or_else(|| std::env::var(INDEX).ok()) {
        Some(text) => text.parse().map_err(|e| Failure::Usage(format!("index: {e}"))),
        None => Ok(Choice::Exact),
    }
}

/// Where events are kept.
fn place(args: &Serve) -> Outcome<Place> {
    let given = args.store.clone().or_else(|| std::env::var(STORE).ok());
    match given {
        Some(text) => text.parse().map_err(|e| Failure::Usage(format!("store: {e}"))),
        None => home::events(&args.run).map(Place::File),
    }
}
