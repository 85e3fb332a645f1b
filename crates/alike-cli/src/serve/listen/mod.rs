//! Connections: taken up to a number, not waited for for ever, and finished before the end.

pub(crate) mod client;
mod files;
mod patient;
pub(crate) mod tls;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{sleep, timeout};

use super::limits::Limits;
use super::places::{Place, Places};
use super::state::App;
use client::Client;
use patient::Patient;
pub(crate) use tls::Tls;

/// How long connections that were taken at the very end have to send what they ask.
const LATE: Duration = Duration::from_millis(100);
/// Bytes of answers that the system keeps for a client that is slow to take them; by default it would be
/// megabytes.
const SEND_BUFFER: u32 = 256 << 10;
/// Connections that the system keeps until they are taken.
const BACKLOG: u32 = 1024;

/// Listens at `address`. The numbers of `limits` become those that the system has files for.
pub(crate) fn bind(address: SocketAddr, limits: &mut Limits) -> std::io::Result<TcpListener> {
    files::make_room(limits);
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A server that was just stopped should be able to start again. (Elsewhere the option means something
    // else.)
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Answers requests by `router` until `stop`, then finishes those that have begun. Connections, their number and
/// their encryption are those of `app`. Returns what `stop` gave.
pub(crate) async fn serve<T>(
    listener: TcpListener,
    app: Arc<App>,
    router: Router,
    stop: impl Future<Output = T>,
) -> T {
    let service = TowerToHyperService::new(router);
    let mut doors = Doors::new(&app.limits);
    let (ends, ending) = watch::channel(false);
    // Nothing is ever sent: it closes when the last connection has ended.
    let (running, mut ended) = mpsc::channel::<()>(1);
    let taken = (app.clone(), ending, running.clone());
    let mut take = move |stream: TcpStream, peer: SocketAddr| {
        let seat = doors.open(peer.ip());
        let probe = matches!(seat, Seat::Probe(_));
        let client = Arc::new(Client::new(peer.ip(), probe, taken.0.limits.requests_of_connection));
        let ((app, ending, running), service) = (taken.clone(), service.clone());
        tokio::spawn(async move {
            app.metrics.connections.inc();
            tokio::select! {
                done = answer(stream, client, service, &app, ending) => {
                    // Clients that break off are no concern of ours.
                    if let Err(error) = done {
                        tracing::debug!(%error, "a connection broke off");
                    }
                }
                () = seat.lost() => {
                    app.metrics.refused_connections.inc();
                }
            }
            app.metrics.connections.dec();
            drop(running);
        });
    };
    let mut stop = pin!(stop);
    let stopped = loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            stopped = &mut stop => break stopped,
        };
        match accepted {
            Ok((stream, peer)) => take(stream, peer),
            Err(error) => {
                // Out of files, for example: others must end first.
                tracing::warn!(%error, "a connection could not be taken");
                sleep(Duration::from_millis(100)).await;
            }
        }
    };
    // Those whom the system let in before it ended are answered too, once each: what they ask is on its way.
    let mut late = false;
    for _ in 0..BACKLOG {
        let Ok(Ok((stream, peer))) = timeout(Duration::ZERO, listener.accept()).await else { break };
        take(stream, peer);
        late = true;
    }
    if late {
        sleep(LATE).await;
    }
    drop(take);
    drop((listener, running));
    let _ = ends.send(true);
    if timeout(app.limits.grace, ended.recv()).await.is_err() {
        tracing::warn!("requests were cut off that did not end in {} s", app.limits.grace.as_secs());
    }
    stopped
}

/// What ended a connection.
type Broken = Box<dyn std::error::Error + Send + Sync>;

/// Answers the requests of one connection.
async fn answer(
    stream: TcpStream,
    client: Arc<Client>,
    service: TowerToHyperService<Router>,
    app: &App,
    mut ending: watch::Receiver<bool>,
) -> Result<(), Broken> {
    let limits = &app.limits;
    // Answers are small: they should not wait for more to send.
    let _ = stream.set_nodelay(true);
    let (head, life) = if client.probe { (limits.probe, limits.probe) } else { (limits.head, limits.life) };
    let stream = Patient::new(stream, client.clone(), limits);
    let end = pin!(async {
        tokio::select! {
            _ = ending.wait_for(|ending| *ending) => {}
            () = sleep(life) => {}
        }
    });
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(client.clone());
        service.call(request)
    });
    match &app.tls {
        None => talk(stream, service, limits, head, end).await,
        Some(tls) => {
            let stream = timeout(head, tls.acceptor().accept(stream)).await??;
            talk(stream, service, limits, head, end).await
        }
    }
}

/// Answers requests until `end`, and then what has begun.
async fn talk<S, R>(
    stream: S,
    service: R,
    limits: &Limits,
    head: Duration,
    end: impl Future<Output = ()>,
) -> Result<(), Broken>
where
    S: AsyncRead + AsyncWrite + Unpin,
    R: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible>,
{
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(Some(head));
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        done = connection.as_mut() => return Ok(done?),
        () = end => {}
    }
    connection.as_mut().graceful_shutdown();
    Ok(timeout(limits.request_timeout + limits.stall, connection).await??)
}

/// What a connection holds.
enum Seat {
    /// One of the places.
    Place(Place),
    /// None of them, and only until so many others have come that hold none; then this resolves.
    Probe(oneshot::Receiver<()>),
}

impl Seat {
    /// Waits until it has to be given to another.
    async fn lost(self) {
        match self {
            Self::Place(_place) => std::future::pending().await,
            Self::Probe(taken) => drop(taken.await),
        }
    }
}

/// Where connections come in.
struct Doors {
    places: Arc<Places>,
    /// Those who hold no place, the oldest first: from this machine, and from others.
    probes: [VecDeque<oneshot::Sender<()>>; 2],
    /// Maximum of each.
    most: usize,
}

impl Doors {
    fn new(limits: &Limits) -> Self {
        let places = Places::new(limits.connections, limits.connections_of_one);
        Self { places, probes: Default::default(), most: limits.probes }
    }

    /// A place for a connection, or where there is none, room to ask for health and counts: probes must get
    /// through when all places are taken, or a server that is merely busy would be taken for dead and killed.
    /// The oldest makes room for the newest, so that those who come and are silent keep nobody out.
    fn open(&mut self, address: IpAddr) -> Seat {
        if let Some(place) = self.places.take(address) {
            return Seat::Place(place);
        }
        let probes = &mut self.probes[usize::from(!address.to_canonical().is_loopback())];
        let (holds, taken) = oneshot::channel();
        probes.push_back(holds);
        if probes.len() > self.most {
            probes.pop_front();
        }
        Seat::Probe(taken)
    }
}
