//! The routes over sockets, with small limits: clients that do not move, too many of them, and how a server
//! says goodbye.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::Served;
use crate::serve::limits::Limits;
use crate::serve::listen::{self, Tls};
use crate::serve::state::App;

/// A server that listens.
struct Listening {
    served: Served,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Listening {
    async fn new(limits: Limits) -> Self {
        Self::with_app(limits, |_| ()).await
    }

    async fn with_app(mut limits: Limits, change: impl FnOnce(&mut App)) -> Self {
        let listener = listen::bind("127.0.0.1:0".parse().unwrap(), &mut limits).unwrap();
        let served = Served::made("popularity", 60, limits, change).await;
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(listen::serve(listener, served.app.clone(), served.router.clone(), async {
            let _ = stopped.await;
        }));
        Self { served, address, stop: Some(stop), task }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// The answer to a request on a connection of its own.
    async fn ask(&self, request: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        read_to_end(&mut stream).await
    }

    async fn get(&self, path: &str) -> String {
        self.ask(&format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")).await
    }

    /// Waits until `path` is answered by 200.
    async fn serves(&self, path: &str) {
        let end = Instant::now() + Duration::from_secs(10);
        while !self.get(path).await.starts_with("HTTP/1.1 200") {
            assert!(Instant::now() < end, "{path} is not served");
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// What comes until the connection ends.
async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = timeout(Duration::from_secs(10), stream.read_to_end(&mut bytes)).await;
    read.expect("the connection ends").unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// One answer of a connection that goes on; its body must be all that comes.
async fn answer(stream: &mut TcpStream) -> String {
    let mut bytes = vec![0; 1 << 16];
    let count = timeout(Duration::from_secs(10), stream.read(&mut bytes)).await.expect("an answer").unwrap();
    String::from_utf8_lossy(&bytes[..count]).to_lowercase()
}

const LIVE: &[u8] = b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// A client that asks for much and takes little of it into its buffers.
async fn greedy(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(2048).unwrap();
    let stream = socket.connect(address).await.unwrap();
    let requests = b"GET /page/page.css HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(600);
    let _ = stream.try_write(&requests);
    stream
}

#[tokio::test]
async fn clients_that_do_not_read_lose_their_places_and_probes_get_through_meanwhile() {
    let stall = Duration::from_millis(400);
    let limits = Limits { connections: 4, connections_of_one: 4, stall, ..Limits::default() };
    let server = Listening::new(limits).await;
    let mut held = Vec::new();
    for _ in 0..6 {
        held.push(greedy(server.address).await);
    }
    // Nobody else gets a place, but health is answered, and a request for more is told why there is none.
    assert!(server.get("/health/live").await.starts_with("HTTP/1.1 200"));
    assert!(server.get("/metrics").await.contains("alike_connections 5"));
    let refused = server.get("/v1/model").await;
    assert!(refused.starts_with("HTTP/1.1 503") && refused.contains("connection: close"), "{refused}");
    server.serves("/v1/model").await;
    // They were cut off without the last answers.
    assert!(read_to_end(&mut held[0]).await.matches("HTTP/1.1 200").count() < 600);
}

#[tokio::test]
async fn those_who_came_before_the_end_are_answered() {
    let mut server = Listening::new(Limits::default()).await;
    let mut waiting = Vec::new();
    // The server has no turn between these and the end.
    for _ in 0..20 {
        let mut stream = std::net::TcpStream::connect(server.address).unwrap();
        let ask = b"GET /health/live HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        std::io::Write::write_all(&mut stream, ask).unwrap();
        stream.set_nonblocking(true).unwrap();
        waiting.push(stream);
    }
    assert!(server.stop.take().unwrap().send(()).is_ok());
    for stream in waiting {
        let answer = read_to_end(&mut TcpStream::from_std(stream).unwrap()).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

#[tokio::test]
async fn clients_that_read_slowly_get_all_of_it() {
    let limits = Limits { stall: Duration::from_millis(300), ..Limits::default() };
    let server = Listening::new(limits).await;
    let mut stream = server.connect().await;
    let requests = b"GET /page/page.css HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(200);
    stream.write_all(&requests).await.unwrap();
    let (begun, mut read, mut buffer) = (Instant::now(), 0, vec![0; 64 << 10]);
    let wanted = 200 * include_str!("../page/page.css").len();
    while read < wanted {
        read += stream.read(&mut buffer).await.unwrap();
        sleep(Duration::from_millis(20)).await;
    }
    assert!(begun.elapsed() > Duration::from_millis(600), "it took longer than nothing may move");
}

#[tokio::test]
async fn those_who_hold_no_place_make_room_for_one_another() {
    let head = Duration::from_millis(600);
    let limits = Limits { connections: 8, connections_of_one: 2, probes: 3, head, ..Limits::default() };
    let server = Listening::new(limits).await;
    let mut silent = Vec::new();
    for _ in 0..12 {
        silent.push(server.connect().await);
    }
    assert!(server.get("/health/live").await.starts_with("HTTP/1.1 200"));
    let refused = server.get("/v1/model").await;
    assert!(refused.starts_with("HTTP/1.1 503") && refused.contains("connection: close"), "{refused}");
    // The oldest of them went first; those with a place have their time.
    assert_eq!(read_to_end(&mut silent[2]).await, "");
    assert!(server.get("/metrics").await.contains("alike_refused_connections_total"));
    server.serves("/v1/model").await;
    assert_eq!(read_to_end(&mut silent[0]).await, "", "silence is not waited for");
}

#[tokio::test]
async fn connections_end_after_their_share_of_requests_and_of_time() {
    let limits = Limits { requests_of_connection: 3, ..Limits::default() };
    let server = Listening::new(limits).await;
    let mut stream = server.connect().await;
    for last in [false, false, true] {
        stream.write_all(LIVE).await.unwrap();
        let answer = answer(&mut stream).await;
        assert_eq!(answer.contains("connection: close"), last, "{answer}");
    }
    assert_eq!(read_to_end(&mut stream).await, "");
    let limits = Limits { life: Duration::from_millis(200), ..Limits::default() };
    let server = Listening::new(limits).await;
    let mut stream = server.connect().await;
    stream.write_all(LIVE).await.unwrap();
    assert!(answer(&mut stream).await.starts_with("http/1.1 200"));
    assert_eq!(read_to_end(&mut stream).await, "", "it is closed while it idles");
}

#[tokio::test]
async fn bodies_on_their_way_take_no_more_than_their_places() {
    let limits =
        Limits { bodies: 4, bodies_of_one: 2, stall: Duration::from_millis(400), ..Limits::default() };
    let server = Listening::new(limits).await;
    let post = |length: usize, sent: &str| {
        format!(
            "POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{sent}"
        )
    };
    let mut slow = [server.connect().await, server.connect().await];
    for stream in &mut slow {
        stream.write_all(post(100, "{").as_bytes()).await.unwrap();
    }
    sleep(Duration::from_millis(100)).await;
    let refused = server.ask(&post(100, "{")).await;
    assert!(refused.starts_with("HTTP/1.1 503") && refused.contains("connection: close"), "{refused}");
    assert!(server.get("/v1/users/4/recommendations").await.starts_with("HTTP/1.1 200"));
    for stream in &mut slow {
        let answer = read_to_end(stream).await;
        assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("too slowly"), "{answer}");
    }
    let mut stream = server.connect().await;
    let event = r#"{"user": "4", "item": "1", "kind": "take"}"#;
    stream.write_all(post(event.len(), event).as_bytes()).await.unwrap();
    let answer = answer(&mut stream).await;
    assert!(answer.starts_with("http/1.1 200") && !answer.contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn a_refusal_can_be_read_by_those_who_still_send() {
    let server = Listening::new(Limits::default()).await;
    let mut stream = server.connect().await;
    let head = "POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 9000000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    // More than was read of it: a closed socket would answer this by a reset, and the refusal would be lost.
    for _ in 0..8 {
        stream.write_all(&[b' '; 40_000]).await.unwrap();
        sleep(Duration::from_millis(5)).await;
    }
    let answer = read_to_end(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn a_server_that_stops_says_so_first() {
    let mut server = Listening::new(Limits::default()).await;
    let (mut stream, mut idle) = (server.connect().await, server.connect().await);
    for stream in [&mut stream, &mut idle] {
        stream.write_all(LIVE).await.unwrap();
        assert!(!answer(stream).await.contains("connection: close"));
    }
    server.served.app.stopping();
    // Those who come new are told, and those who are there end with their next answer.
    assert!(server.get("/health/ready").await.starts_with("HTTP/1.1 503"));
    assert!(server.get("/v1/model").await.starts_with("HTTP/1.1 200"));
    stream.write_all(LIVE).await.unwrap();
    let last = answer(&mut stream).await;
    assert!(last.starts_with("http/1.1 200") && last.contains("connection: close"), "{last}");
    assert_eq!(read_to_end(&mut stream).await, "");
    assert!(server.stop.take().unwrap().send(()).is_ok());
    timeout(Duration::from_secs(10), server.task).await.expect("it ends").unwrap();
    assert_eq!(read_to_end(&mut idle).await, "");
}

/// Writes a certificate that signs itself, and its key.
fn certify(folder: &Path) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
    std::fs::write(folder.join("certificate.pem"), made.cert.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    made.cert.der().clone()
}

/// The answer to `request` on an encrypted connection to anyone who has `certificate`.
async fn ask_encrypted(
    server: &Listening,
    certificate: CertificateDer<'static>,
    request: &[u8],
) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "localhost".try_into().unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, server.connect().await).await?;
    stream.write_all(request).await?;
    let mut text = String::new();
    timeout(Duration::from_secs(10), stream.read_to_string(&mut text)).await.expect("the connection ends")?;
    Ok(text)
}

#[tokio::test]
async fn connections_are_encrypted_where_there_is_a_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("certificate.pem"), folder.path().join("key.pem"));
    let first = certify(folder.path());
    let limits = Limits { head: Duration::from_millis(500), ..Limits::default() };
    let tls = Tls::open(&certificate, &key).unwrap();
    let server = Listening::with_app(limits, |app| app.tls = Some(tls)).await;
    let request = b"GET /v1/model HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let answer = ask_encrypted(&server, first.clone(), request).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"popularity\""), "{answer}");
    // Who does not speak it, and who says nothing, is not waited for.
    assert!(!server.get("/v1/model").await.contains("200 OK"));
    assert_eq!(read_to_end(&mut server.connect().await).await, "");
    // A renewed certificate is taken over; a damaged one is not.
    let second = certify(folder.path());
    let tls = server.served.app.tls.as_ref().unwrap();
    tls.refresh().unwrap();
    assert!(ask_encrypted(&server, second.clone(), request).await.is_ok());
    assert!(ask_encrypted(&server, first, request).await.is_err());
    std::fs::write(&certificate, "no certificate").unwrap();
    assert!(tls.refresh().unwrap_err().contains("has no certificate"));
    assert!(ask_encrypted(&server, second, request).await.is_ok());
}
