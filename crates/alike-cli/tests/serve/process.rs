//! Starting, refusing to start, and ending.

use std::io::Write;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::{Server, answer, program, trained};

/// Runs `alike serve` with arguments that it must refuse.
fn refused(args: &[&str], code: i32, says: &str) {
    let output = program().arg("serve").args(args).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{args:?}: {text}");
    assert!(
        text.starts_with("error: ") && text.lines().count() == 1 && text.contains(says),
        "{args:?}: {text}"
    );
}

#[test]
fn wrong_settings_are_refused_before_anything_listens() {
    let world = trained();
    let run = world.at("run");
    refused(&[&run, "--address", "0.0.0.0:0"], 2, "--api-key-file");
    refused(&[&run, "--address", "localhost"], 2, "invalid value");
    refused(&[&run, "--store", "mysql://x"], 2, "expected sqlite:PATH or postgres://");
    refused(&[&run, "--max-body", "1GB"], 2, "allowed: 1KiB to 256MiB");
    refused(&[&run, "--index", "faiss"], 2, "index: expected exact, hnsw or postgres://");
    refused(&[&run, "--index", "hnsw"], 1, "popularity: an index needs a model that ranks by inner product");
    refused(&[&run, "--watch", "0"], 2, "1..=86400");
    refused(&[&run, "--keep-events", "0"], 2, "1..=36500");
    refused(&[&world.at("nowhere")], 1, "no such run folder");
    refused(&[&run, "--compare", &world.at("nowhere")], 1, "no such run folder");
    refused(&[&run, "--store", "postgres://localhost:1/x"], 1, "the store of events: PostgreSQL");
    refused(&[&run, "--api-key-file", &world.at("nowhere")], 1, "nowhere");
    std::fs::write(world.path("key"), "short\n").unwrap();
    refused(&[&run, "--api-key-file", &world.at("key")], 2, "at least 16 characters");
    std::fs::write(world.path("keys"), "shop read 0123456789abcdef\nshop write fedcba9876543210\n").unwrap();
    refused(&[&run, "--api-keys", &world.at("keys")], 2, "line 2: the name or the key of `shop` comes twice");
    refused(&[&run, "--cors", "*"], 2, "expected a site such as https://shop.example");
    refused(&[&run, "--tls-cert", &world.at("key")], 2, "--tls-key");
    refused(&[&run, "--tls-cert", &world.at("key"), "--tls-key", &world.at("key")], 1, "has no certificate");
    let server = Server::start(&world, &[]);
    refused(&[&run, "--address", &server.address], 1, "ddress already in use");
}

#[test]
fn a_signal_ends_it_while_it_waits_for_its_store() {
    let world = trained();
    // Takes connections and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let store = format!("postgres://{}/x", silent.local_addr().unwrap());
    for signal in ["TERM", "INT"] {
        let mut command = program();
        command.args(["serve", &world.at("run"), "--address", "127.0.0.1:0", "--store", &store]);
        let mut server = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
        let _asked = silent.accept().unwrap();
        let began = Instant::now();
        let sent = std::process::Command::new("kill").args(["-s", signal, &server.id().to_string()]).status();
        assert!(sent.unwrap().success());
        assert_eq!(server.wait().unwrap().code(), Some(130), "{signal}");
        assert!(began.elapsed() < Duration::from_secs(5), "{signal}: it did not wait for the store");
    }
}

#[test]
fn a_termination_signal_ends_it_with_what_was_begun_done() {
    let world = trained();
    let mut server = Server::start(&world, &["--log", "text"]);
    let event = json!({ "user": "anna", "item": "3", "kind": "take" }).to_string();
    assert_eq!(server.ask("POST", "/v1/events", &event).0, 200);
    // Half a request is on its way when the signal comes.
    let mut late = server.connect();
    let head = format!(
        "POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        event.len()
    );
    late.write_all(head.as_bytes()).unwrap();
    late.write_all(&event.as_bytes()[..10]).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    server.signal("TERM");
    std::thread::sleep(Duration::from_millis(200));
    assert!(server.child.try_wait().unwrap().is_none(), "it waits for the request");
    late.write_all(&event.as_bytes()[10..]).unwrap();
    assert_eq!(answer(&mut late).unwrap().0, 200);
    let end = Instant::now() + Duration::from_secs(10);
    let code = loop {
        if let Some(status) = server.child.try_wait().unwrap() {
            break status.code();
        }
        assert!(Instant::now() < end, "it does not end");
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(code, Some(0));
    let again = Server::start(&world, &[]);
    assert_eq!(again.ask("GET", "/v1/users/anna/history", "").1["count"], 1);
}

#[test]
fn ctrl_c_has_the_exit_code_that_it_has_everywhere() {
    let mut server = Server::start(&trained(), &["--drain", "5"]);
    let begun = Instant::now();
    server.signal("INT");
    assert_eq!(server.child.wait().unwrap().code(), Some(130));
    assert!(begun.elapsed() < Duration::from_secs(2));
}

#[test]
fn after_a_termination_signal_it_is_there_until_others_know() {
    let world = trained();
    let mut server = Server::start(&world, &["--drain", "1"]);
    let begun = Instant::now();
    server.signal("TERM");
    while server.ask("GET", "/health/ready", "").0 == 200 {
        assert!(begun.elapsed() < Duration::from_millis(900), "it does not say that it stops");
    }
    assert_eq!(server.ask("GET", "/v1/users/4/recommendations", "").0, 200);
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
    assert!(begun.elapsed() >= Duration::from_secs(1) && begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_hang_up_signal_loads_what_was_trained_meanwhile() {
    let world = trained();
    let server = Server::start(&world, &[]);
    let hash = |server: &Server| server.ask("GET", "/v1/model", "").1["checkpoint"].clone();
    let before = hash(&server);
    let take = |item: &str| {
        let event = json!({ "user": "anna", "item": item, "kind": "take" }).to_string();
        assert_eq!(server.ask("POST", "/v1/events", &event).0, 200);
    };
    take("3");
    // Another model's run takes the place of this one: the events stay with the name.
    world.train("slim", "new", &["--quiet"]).assert().success();
    std::fs::rename(world.path("run"), world.path("old")).unwrap();
    std::fs::rename(world.path("new"), world.path("run")).unwrap();
    take("5");
    server.signal("HUP");
    let end = Instant::now() + Duration::from_secs(20);
    while hash(&server) == before {
        assert!(Instant::now() < end, "the new run is not loaded");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(server.ask("GET", "/v1/model", "").1["name"], "slim");
    take("7");
    drop(server);
    let again = Server::start(&world, &[]);
    assert_eq!(again.ask("GET", "/v1/users/anna/history", "").1["count"], 3);
}

#[test]
fn the_log_is_json_and_names_no_people() {
    let world = trained();
    let mut command = program();
    command.args(["serve", &world.at("run"), "--address", "127.0.0.1:0", "--drain", "0"]);
    let mut child =
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line)
        .unwrap();
    let server =
        Server { address: line.trim().trim_start_matches("listening on http://").to_string(), child };
    server.ask("GET", "/v1/users/39/recommendations", "");
    server.ask("GET", "/v1/users/nobody-at-all/history", "");
    server.signal("TERM");
    let mut server = server;
    let mut log = String::new();
    std::io::Read::read_to_string(&mut server.child.stderr.take().unwrap(), &mut log).unwrap();
    let lines: Vec<serde_json::Value> = log.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let answered: Vec<_> = lines.iter().filter(|l| l["message"] == "answered").collect();
    assert_eq!(answered.len(), 2, "{log}");
    assert_eq!(
        (&answered[0]["route"], &answered[0]["status"]),
        (&json!("/v1/users/{user}/recommendations"), &json!(200))
    );
    assert!(answered[0]["milliseconds"].as_f64().unwrap() > 0.0 && answered[0]["request"].is_string());
    assert!(!log.contains("nobody-at-all"));
}
