//! Kills while events are written, and clients that do not do what clients should.

use std::io::{Read, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::{Server, answer, ask, trained};

/// Kills the server while four clients write events, and looks for every event that was acknowledged.
/// `ALIKE_KILLS` says how often; three times by default.
#[test]
fn no_acknowledged_event_is_lost_when_the_server_is_killed() {
    let rounds = std::env::var("ALIKE_KILLS").map_or(3, |n| n.parse::<u64>().unwrap());
    let world = trained();
    let acknowledged = Mutex::new(Vec::new());
    for round in 0..rounds {
        let mut server = Server::start(&world, &[]);
        let address = server.address.clone();
        std::thread::scope(|scope| {
            for client in 0..4 {
                let (address, acknowledged) = (&address, &acknowledged);
                scope.spawn(move || {
                    for n in 0.. {
                        let user = format!("r{round}c{client}n{n}");
                        let event = json!({ "user": user, "item": "5", "kind": "take", "key": user });
                        match ask(address, "POST", "/v1/events", &event.to_string()) {
                            Ok((status, body)) => {
                                assert_eq!(status, 200, "{body}");
                                acknowledged.lock().unwrap().push(user);
                            }
                            // The connection broke: the server is gone.
                            Err(_) => break,
                        }
                    }
                });
            }
            // At another moment each time.
            std::thread::sleep(Duration::from_millis(100 + round * 37 % 200));
            server.child.kill().unwrap();
            server.child.wait().unwrap();
        });
    }
    let acknowledged = acknowledged.into_inner().unwrap();
    println!("{} events were acknowledged before {rounds} kills", acknowledged.len());
    assert!(acknowledged.len() as u64 > rounds);
    let server = Server::start(&world, &[]);
    for user in &acknowledged {
        let (status, body) = server.ask("GET", &format!("/v1/users/{user}/history"), "");
        assert_eq!((status, &body["count"]), (200, &json!(1)), "{user} is lost");
    }
}

#[test]
fn clients_that_behave_badly_hurt_only_themselves() {
    let world = trained();
    let server = Server::start(&world, &["--max-body", "4KiB"]);
    let still_serves = || assert_eq!(server.ask("GET", "/v1/users/4/recommendations", "").0, 200);
    // Nothing, half a head, half a body, and then silence; many of them.
    let idle: Vec<_> = (0..100)
        .map(|n| {
            let mut stream = server.connect();
            let half = [
                "",
                "GET /v1/mo",
                "POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n{",
            ][n % 3];
            stream.write_all(half.as_bytes()).unwrap();
            stream
        })
        .collect();
    still_serves();
    // What is no HTTP at all.
    for rubbish in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"GET / HTTP/9.9\r\n\r\n",
        &[0; 1000],
        b"\r\n\r\n\r\n",
    ] {
        let mut stream = server.connect();
        stream.write_all(rubbish).unwrap();
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut text = Vec::new();
        let _ = stream.read_to_end(&mut text);
        assert!(text.is_empty() || text.starts_with(b"HTTP/1.1 4"), "{}", String::from_utf8_lossy(&text));
    }
    still_serves();
    // A huge head, and bodies that say that they are huge.
    let mut stream = server.connect();
    let head = format!("GET / HTTP/1.1\r\nhost: localhost\r\nlong: {}\r\n\r\n", "x".repeat(1 << 20));
    let _ = stream.write_all(head.as_bytes());
    if let Ok((status, _)) = answer(&mut stream) {
        assert!([400, 431].contains(&status), "{status}");
    }
    for length in ["99999999999", "5000"] {
        let mut stream = server.connect();
        let head = "POST /v1/events HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n";
        stream.write_all(format!("{head}content-length: {length}\r\n\r\n{{").as_bytes()).unwrap();
        assert_eq!(answer(&mut stream).unwrap().0, 413);
    }
    // Numbers that are no lengths, and both kinds of length at once.
    for lengths in ["content-length: -1", "content-length: x", "content-length: 1\r\ncontent-length: 2"] {
        let mut stream = server.connect();
        stream
            .write_all(format!("POST /v1/events HTTP/1.1\r\nhost: localhost\r\n{lengths}\r\n\r\n").as_bytes())
            .unwrap();
        assert_eq!(answer(&mut stream).unwrap().0, 400);
    }
    // Paths that lead out.
    for path in [
        "/../../etc/passwd",
        "/v1/items/../../../etc/passwd",
        "/v1/items/%2e%2e%2f%2e%2e/image",
        "/%",
        "/v1/items/%ff",
    ] {
        let (status, body) = server.ask("GET", path, "");
        assert!([400, 404].contains(&status) && body["error"]["code"].is_string(), "{path}: {status} {body}");
    }
    // Clients that leave before the answer.
    for _ in 0..50 {
        let mut stream = server.connect();
        stream
            .write_all(
                b"GET /v1/users/4/recommendations?top=1000&reasons=10 HTTP/1.1\r\nhost: localhost\r\n\r\n",
            )
            .unwrap();
    }
    still_serves();
    // Those who send no more are hung up on, by the time for a head.
    let begun = Instant::now();
    let mut first = idle.into_iter().nth(1).unwrap();
    first.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut text = Vec::new();
    let _ = first.read_to_end(&mut text);
    assert!(begun.elapsed() < Duration::from_secs(40), "a slow client keeps its connection");
    still_serves();
}
