//! Several catalogues in one process, and keys that change while it runs.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::{Server, program, trained};

#[test]
fn each_host_has_a_catalogue_and_a_store_of_its_own() {
    let world = trained();
    world.train("bpr", "other", &["--quiet", "--set", "epochs=2"]).assert().success();
    let file = world.at("tenants.toml");
    let one = format!("[[tenants]]\nhosts = ['b.example', 'www.b.example']\nrun = {:?}\n", world.at("other"));
    fs::write(&file, &one).unwrap();
    let server = Server::start(&world, &["--tenants", &file, "--allow-host", "a.example"]);
    let model = |host: &str| server.ask_as(host, "GET", "/v1/model", "").1["name"].clone();
    assert_eq!((model("localhost"), model("a.example")), (json!("popularity"), json!("popularity")));
    assert_eq!((model("b.example"), model("WWW.b.example:8080")), (json!("bpr"), json!("bpr")));
    assert_eq!(server.ask_as("c.example", "GET", "/v1/model", "").0, 421);
    // What is said of one is not said of the other.
    let event = json!({"user": "anna", "item": "3", "kind": "take"}).to_string();
    assert_eq!(server.ask_as("b.example", "POST", "/v1/events", &event).0, 200);
    let anna = |host: &str| server.ask_as(host, "GET", "/v1/users/anna/history", "").0;
    assert_eq!((anna("b.example"), anna("localhost")), (200, 404));
    let hidden = json!({"hidden": true}).to_string();
    assert_eq!(server.ask_as("b.example", "PATCH", "/v1/items/3", &hidden).0, 200);
    let listed = |host: &str| server.ask_as(host, "GET", "/v1/items/3", "").1["listed"].clone();
    assert_eq!((listed("b.example"), listed("localhost")), (json!(false), json!(true)));
    assert!(
        world.path("other.serve/events.sqlite").exists() && world.path("run.serve/events.sqlite").exists()
    );

    let run = world.at("run");
    for (text, says) in [
        ("", "missing field `tenants`".to_string()),
        ("tenants = []", "has 0 tenants; allowed: 1 to 100".into()),
        (&one.replace("'b.example', 'www.b.example'", ""), "has no `hosts`".into()),
        (&one.replace("'b.example'", "'b.example:80'"), "`hosts` has b.example:80".into()),
        (&format!("{one}{one}"), "b.example leads to another one too".into()),
        (&one.replace(&world.at("other"), &run), "is served already".into()),
        (&one.replace("run =", "rum ="), "unknown field `rum`".into()),
        (&one.replace(&world.at("other"), &world.at("nowhere")), "no such run folder".into()),
    ] {
        fs::write(&file, text).unwrap();
        let output = program().args(["serve", &run, "--tenants", &file]).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(
            !output.status.success() && error.lines().count() == 1 && error.contains(&says),
            "{text}: {error}"
        );
    }
}

#[cfg(unix)]
#[test]
fn a_hang_up_reads_the_keys_again() {
    let world = trained();
    let file = world.path("keys");
    fs::write(&file, "old read 0123456789abcdef\n").unwrap();
    let server = Server::start(&world, &["--api-keys", &world.at("keys")]);
    let status = |key: &str| {
        use std::io::Write;
        let mut stream = server.connect();
        let ask =
            format!("GET /v1/model HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-api-key: {key}\r\n\r\n");
        stream.write_all(ask.as_bytes()).unwrap();
        crate::client::answer(&mut stream).unwrap().0
    };
    let becomes = |key: &str, wanted: u16| {
        let end = Instant::now() + Duration::from_secs(10);
        while status(key) != wanted {
            assert!(Instant::now() < end, "{key} is not {wanted}");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    assert_eq!((status("0123456789abcdef"), status("fedcba9876543210")), (200, 401));
    fs::write(&file, "old read 0123456789abcdef\nnew read fedcba9876543210\n").unwrap();
    server.signal("HUP");
    becomes("fedcba9876543210", 200);
    assert_eq!(status("0123456789abcdef"), 200);
    fs::write(&file, "new read fedcba9876543210\n").unwrap();
    server.signal("HUP");
    becomes("0123456789abcdef", 401);
    fs::write(&file, "nothing that is a key\n").unwrap();
    server.signal("HUP");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(status("fedcba9876543210"), 200);
}
