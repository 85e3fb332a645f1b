//! `alike serve`: a trained run that answers over HTTP.
//!
//! `listen` takes connections, within `limits`. A request passes `middleware`, which knows `keys`, `origin`
//! and `rate`, is read by `extract`, looks up its user in `store`, is ranked with others by `ranking`, and is
//! shown by one of `routes`. [`router::router`] puts them together and needs no socket.

mod api_markdown;
mod arriving;
mod encoder;
mod error;
mod extract;
mod filter;
mod home;
mod index;
mod keys;
mod limits;
mod listen;
mod listing;
mod metrics;
mod middleware;
mod model;
mod origin;
mod pace;
mod people;
mod places;
mod pool;
mod ranking;
mod rate;
mod router;
mod routes;
mod rules;
mod scenarios;
mod shelf;
mod similar;
mod state;
pub(crate) mod store;
mod tenants;
#[cfg(test)]
mod tests;
mod trials;
mod unique;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use crate::args::Serve;
use crate::failure::{Failure, Outcome};
use crate::{output, stop};
use index::IndexChoice;
use keys::{KeyRing, KeySources};
use limits::Limits;
use model::{ReloadableModel, ServedAs};
use origin::Origins;
use rate::Rate;
use scenarios::Scenarios;
use state::App;
use store::{Options, Store, StoreAddress};
use trials::Trials;

pub(crate) use api_markdown::page as documentation;
pub(crate) use origin::parse_site;
pub(crate) use store::KEPT as KEPT_OF_USER;

/// Variable of the environment with the API key.
pub(crate) const KEY: &str = "ALIKE_API_KEY";
/// Variable of the environment with the address of the store, which may hold a password.
const STORE: &str = "ALIKE_STORE";
/// The same with which index is used.
const INDEX: &str = "ALIKE_INDEX";

/// How often the store is looked at for changes of others.
const LOOK: Duration = Duration::from_secs(1);

/// Serves until it is told to stop.
pub(crate) fn run(args: &Serve) -> Outcome {
    let mut all = vec![(Vec::new(), args.clone())];
    if let Some(path) = &args.tenants {
        all.extend(
            tenants::read(path, args).map_err(|e| Failure::Usage(format!("{}: {e}", path.display())))?,
        );
    }
    let tls = match (&args.tls_cert, &args.tls_key) {
        (Some(certificate), Some(key)) => Some(listen::Tls::open(certificate, key).map_err(Failure::Failed)?),
        _ => None,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::Failed(format!("cannot start the server: {e}")))?;
    let inside = runtime.enter();
    let parts = all.into_iter().map(|(hosts, args)| Ok((hosts, Parts::open(args)?)));
    let parts = parts.collect::<Outcome<Vec<_>>>()?;
    drop(inside);
    let served = runtime.block_on(async {
        // Before the number of places is fixed, since there may be files for fewer.
        let mut limits = limits(args);
        let failed = |e: std::io::Error| Failure::Failed(format!("{}: {e}", args.address));
        let listener = listen::bind(args.address, &mut limits).map_err(failed)?;
        let mut apps = Vec::new();
        for (hosts, parts) in parts {
            apps.push((hosts, parts.app(limits.clone()).await?));
        }
        apps[0].1.tls = tls;
        let apps = apps.into_iter().map(|(hosts, app)| (hosts, Arc::new(app))).collect();
        answer(apps, listener, args).await
    });
    // What still runs on threads of its own after the time for it is left to itself.
    runtime.shutdown_timeout(Duration::from_secs(5));
    served
}

/// What is opened before a server listens.
struct Parts {
    args: Serve,
    keys: KeyRing,
    place: StoreAddress,
    main: ReloadableModel,
    compare: Option<ReloadableModel>,
    encoders: encoder::SavedEncoders,
    scenarios: Scenarios,
    trials: Trials,
}

impl Parts {
    fn open(args: Serve) -> Outcome<Self> {
        let keys = keys(&args)?;
        if !args.address.ip().is_loopback() && keys.is_empty() && !args.insecure {
            return Err(Failure::Usage(format!(
                "{} is open to others: give an API key (--api-key-file FILE, --api-keys FILE or {KEY}), or say --insecure",
                args.address
            )));
        }
        let (place, index) = (place(&args)?, index(&args)?);
        let (cold_items, held_out) = (args.cold_items, args.held_out_is_history);
        let how = ServedAs { data: args.data.clone(), index, cold_items, held_out };
        let main = ReloadableModel::open(&args.run, how)?;
        let beside = ServedAs { cold_items, held_out, ..IndexChoice::Exact.into() };
        let compare = args.compare.as_deref().map(|run| ReloadableModel::open(run, beside)).transpose()?;
        let encoders = encoder::SavedEncoders::open(&args.encoders, &main.current().recommender.run().data)?;
        let wrong = |path: &Path, why: String| Failure::Usage(format!("{}: {why}", path.display()));
        let scenarios = match &args.scenarios {
            Some(path) => Scenarios::read(path).map_err(|why| wrong(path, why))?,
            None => Scenarios::default(),
        };
        let trials = match &args.tests {
            Some(path) => {
                Trials::read(path, &scenarios, compare.is_some()).map_err(|why| wrong(path, why))?
            }
            None => Trials::default(),
        };
        Ok(Self { keys, place, main, compare, encoders, scenarios, trials, args })
    }

    /// Opens the store and puts everything together.
    async fn app(self, limits: Limits) -> Outcome<App> {
        let Self { args, keys, place, main, compare, encoders, scenarios, trials } = self;
        let options = Options {
            keep_days: args.keep_events,
            keep_of_user: args.keep_events_per_user,
            ..Options::default()
        };
        let store = Store::open(&place, options)
            .await
            .map_err(|e| Failure::Failed(format!("the store of events: {e}")))?;
        let mut app = App::new(main, store, limits)
            .map_err(|e| Failure::Failed(format!("cannot start a thread: {e}")))?;
        (app.compare, app.keys) = (compare, keys);
        app.rate = args.rate.map(Rate::new);
        app.origins = Origins {
            local: args.address.ip().is_loopback(),
            hosts: args.allow_host.clone(),
            sites: args.cors.clone(),
        };
        (app.scenarios, app.trials) = (scenarios, trials);
        app.encoder = (!args.encoders.is_empty()).then(|| Arc::new(encoders) as Arc<dyn encoder::Encoder>);
        Ok(app)
    }
}

/// Servers with the names of hosts that lead to them; to the first lead all others.
type Apps = Vec<(Vec<String>, Arc<App>)>;

/// What clients can take at most.
fn limits(args: &Serve) -> Limits {
    let usual = Limits::default();
    let connections = usize::from(args.connections);
    let of_one = args.connections_per_address.map_or(connections.div_ceil(2), usize::from);
    Limits { connections, connections_of_one: of_one, max_body: args.max_body, ..usual }
}

/// Says where it listens, and answers until a signal to stop.
async fn answer(apps: Apps, listener: TcpListener, args: &Serve) -> Outcome {
    let failed = |e: std::io::Error| Failure::Failed(format!("{}: {e}", args.address));
    let bound = listener.local_addr().map_err(failed)?;
    let all: Vec<Arc<App>> = apps.iter().map(|(_, app)| app.clone()).collect();
    // Before the address is out, so that anyone who reads it may send signals.
    let stop = signals(all.clone(), Duration::from_secs(args.drain)).map_err(failed)?;
    // From here on it ends in its own way: what was begun is done first.
    stop::hand_over();
    for app in &all {
        app.sync_all().await.map_err(|e| Failure::Failed(format!("the store's items: {e}")))?;
        app.place_all().await;
    }
    let first = all[0].clone();
    let scheme = if first.tls.is_some() { "https" } else { "http" };
    output::line(format!("listening on {scheme}://{bound}"))?;
    tracing::info!(address = %bound, store = first.store.kind(), catalogues = all.len(), "listening");
    for app in all {
        if let Some(seconds) = args.watch {
            tokio::spawn(watch_run(app.clone(), Duration::from_secs(seconds)));
        }
        tokio::spawn(watch_store(app));
    }
    let tenants = apps.into_iter().skip(1).map(|(hosts, app)| (hosts, router::router(app))).collect();
    let router = tenants::by_host(tenants, router::router(first.clone()));
    let stopped = listen::serve(listener, first, router, stop).await;
    tracing::info!("stopped");
    match stopped {
        StopSignal::Interrupt => Err(Failure::Interrupted("interrupted; every request was answered".into())),
        StopSignal::Terminate => Ok(()),
    }
}

/// What told the server to stop.
enum StopSignal {
    /// Ctrl-C: the exit code is that of every command.
    Interrupt,
    /// A termination signal, by which service managers stop a server as it should stop.
    Terminate,
}

/// Looks for newer checkpoints. One that cannot be loaded, perhaps since a training has replaced it
/// meanwhile, is tried again the next time.
async fn watch_run(app: Arc<App>, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        refresh(&app).await;
    }
}

/// Looks for items that were changed by others, another server of the same store or a program, and counts new
/// events.
async fn watch_store(app: Arc<App>) {
    loop {
        tokio::time::sleep(LOOK).await;
        if let Err(error) = app.sync_all().await {
            tracing::warn!(%error, "changes to items were not read");
        }
        // Whatever another server was told of is placed beside this.
        if app.has_unplaced() {
            let app = app.clone();
            tokio::spawn(async move { app.place_all().await });
        }
        if let Err(error) = app.counts.update(&app.store).await {
            tracing::warn!(%error, "new events were not counted");
        }
    }
}

async fn refresh(app: &Arc<App>) {
    if let Err(error) = app.refresh().await {
        tracing::warn!(%error, "the newer checkpoint was not loaded; answers come from the old one as before");
    }
}

/// Ends at Ctrl-C at once, and some time after a termination signal: load balancers need it to see that the
/// server is not ready any more, and clients to be told to close their connections. A hang-up looks for a
/// newer checkpoint, a renewed certificate and other keys.
#[cfg(unix)]
fn signals(apps: Vec<Arc<App>>, drain: Duration) -> std::io::Result<impl Future<Output = StopSignal>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut hang_up = signal(SignalKind::hangup())?;
    Ok(async move {
        let at_once = loop {
            tokio::select! {
                _ = terminate.recv() => break false,
                _ = interrupt.recv() => break true,
                _ = hang_up.recv() => for app in apps.clone() {
                    tokio::spawn(async move {
                        if let Some(Err(error)) = app.tls.as_ref().map(listen::Tls::refresh) {
                            tracing::warn!(%error, "the certificate was not loaded; the old one stays in use");
                        }
                        if let Err(error) = app.keys.refresh() {
                            tracing::warn!(%error, "the keys were not loaded; the old ones stay in use");
                        }
                        refresh(&app).await;
                    });
                }
            }
        };
        apps.iter().for_each(|app| app.stopping());
        if at_once {
            return StopSignal::Interrupt;
        }
        if drain.is_zero() {
            return StopSignal::Terminate;
        }
        tracing::info!(
            seconds = drain.as_secs(),
            "stopping; answers go on for a while, so that nobody comes any more"
        );
        tokio::select! {
            () = tokio::time::sleep(drain) => {}
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        StopSignal::Terminate
    })
}

/// Ends at Ctrl-C.
#[cfg(not(unix))]
fn signals(apps: Vec<Arc<App>>, _: Duration) -> std::io::Result<impl Future<Output = StopSignal>> {
    Ok(async move {
        let _ = tokio::signal::ctrl_c().await;
        apps.iter().for_each(|app| app.stopping());
        StopSignal::Interrupt
    })
}

/// The keys of which clients must send one; none when none is asked for.
fn keys(args: &Serve) -> Outcome<KeyRing> {
    let sources = KeySources {
        one: args.api_key_file.clone(),
        given: std::env::var(KEY).ok(),
        several: args.api_keys.clone(),
    };
    for path in sources.one.iter().chain(&sources.several) {
        std::fs::File::open(path).map_err(|e| Failure::io(path, &e))?;
    }
    KeyRing::open(sources).map_err(Failure::Usage)
}

/// Where candidates come from.
fn index(args: &Serve) -> Outcome<IndexChoice> {
    match args.index.clone().or_else(|| std::env::var(INDEX).ok()) {
        Some(text) => text.parse().map_err(|e| Failure::Usage(format!("index: {e}"))),
        None => Ok(IndexChoice::Exact),
    }
}

/// Where events are kept.
fn place(args: &Serve) -> Outcome<StoreAddress> {
    // A tenant without one says nothing, so that it does not take that of the environment.
    let given = args.store.clone().or_else(|| std::env::var(STORE).ok()).filter(|text| !text.is_empty());
    match given {
        Some(text) => text.parse().map_err(|e| Failure::Usage(format!("store: {e}"))),
        None => home::events(&args.run).map(StoreAddress::File),
    }
}
