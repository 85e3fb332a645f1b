//! `alike nightly` beside a server: three days of a shop, a gate that holds, a night that is killed.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::{Server, program};

const DAY: u64 = 86_400;
const START: u64 = 1_700_000_000;

/// Orders of a shop: user `u` takes items of group `u % 2`, one a day.
fn orders(users: usize, days: usize) -> String {
    let mut log = "user,item,time\n".to_string();
    for u in 0..users {
        for n in 0..days {
            let item = ((u * 7 + n * 5) % 15) * 2 + u % 2;
            log += &format!("u{u},i{item},{}\n", START + n as u64 * DAY + u as u64);
        }
    }
    log
}

/// Ends what waits for the flag, a failed assertion too.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn nightly(config: &Path) -> Output {
    program().arg("nightly").arg(config).arg("--json").output().unwrap()
}

fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

fn write_config(path: &Path, text: &str) {
    let head = "work = \"shop\"\ninteractions = [\"orders.csv\", \"sqlite:shop/live.serve/events.sqlite\"]\nkeep = 2\n";
    fs::write(path, format!("{head}{text}")).unwrap();
}

#[test]
fn three_days_of_a_shop_go_by_without_a_lost_request() {
    let folder = tempfile::tempdir().unwrap();
    let (config, live) = (folder.path().join("shop.toml"), folder.path().join("shop/live"));
    fs::write(folder.path().join("orders.csv"), orders(40, 10)).unwrap();
    write_config(&config, "model = \"itemknn\"\n");
    let first = nightly(&config);
    assert_eq!(first.status.code(), Some(0), "{}", String::from_utf8_lossy(&first.stderr));
    let first = report(&first);
    assert_eq!((&first["promoted"], &first["live"]), (&json!(true), &Value::Null));
    assert!(first["recall"].as_f64().unwrap() > 0.5, "{first}");

    let server = Server::of(&live.display().to_string(), &["--watch", "1", "--held-out-is-history"]);
    let (over, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let user = asked.fetch_add(1, Ordering::Relaxed) % 40;
                let (status, answer) = server.ask("GET", &format!("/v1/users/u{user}/recommendations"), "");
                assert_eq!(status, 200, "{answer}");
            }
        });
        let ends = Ends(&over);
        // The second day: somebody new, who takes what the one group takes, and a return.
        for item in ["i0", "i2", "i4", "i6"] {
            let event = json!({ "user": "newcomer", "item": item, "kind": "take" }).to_string();
            assert_eq!(server.ask("POST", "/v1/events", &event).0, 200);
        }
        let gone = json!({ "user": "u0", "item": "i0", "kind": "remove" }).to_string();
        assert_eq!(server.ask("POST", "/v1/events", &gone).0, 200);
        let second = report(&nightly(&config));
        assert_eq!((&second["promoted"], &second["run"]), (&json!(true), &json!("run-000002")));
        assert_eq!(second["live"]["run"], "run-000001");
        let notes: Value =
            serde_json::from_slice(&fs::read(folder.path().join("shop/data-000002/report.json")).unwrap())
                .unwrap();
        assert!(notes.to_string().contains("taken back later"), "{notes}");
        let end = Instant::now() + Duration::from_secs(20);
        while server.ask("GET", "/v1/model", "").1["version"] != 2 {
            assert!(Instant::now() < end, "the second run is not served");
            std::thread::sleep(Duration::from_millis(100));
        }
        // The third day brings a model that is worse: the second run stays.
        write_config(&config, "model = \"popularity\"\n");
        let third = nightly(&config);
        assert_eq!(third.status.code(), Some(3));
        assert!(String::from_utf8_lossy(&third.stderr).contains("run-000003 was not promoted: recall@20"));
        assert_eq!(report(&third)["promoted"], false);
        assert_eq!(fs::read_link(&live).unwrap(), Path::new("run-000002"));
        // And the fourth one that is not: of the runs two stay.
        write_config(&config, "model = \"ease\"\ntolerance = 0.5\n");
        let fourth = report(&nightly(&config));
        assert_eq!((&fourth["promoted"], &fourth["removed"]), (&json!(true), &json!(["run-000002"])));
        assert!(!folder.path().join("shop/data-000001").exists());
        drop(ends);
    });
    assert!(asked.load(Ordering::Relaxed) > 20);
    let history = server.ask("GET", "/v1/users/newcomer/history", "").1;
    assert_eq!(history["count"], 4, "{history}");
}

#[test]
fn a_night_that_was_killed_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("shop.toml");
    let at = |name: &str| folder.path().join("shop").join(name);
    fs::write(folder.path().join("orders.csv"), orders(40, 10)).unwrap();
    write_config(&config, "model = \"bpr\"\nsettings = { epochs = 400, patience = 400 }\n");
    let mut child = Command::new(program().get_program()).arg("nightly").arg(&config).spawn().unwrap();
    let end = Instant::now() + Duration::from_secs(30);
    while !at("run-000001/state.json").exists() {
        assert!(Instant::now() < end && child.try_wait().unwrap().is_none(), "it does not train");
        std::thread::sleep(Duration::from_millis(5));
    }
    // Two do not work in one folder.
    let other = nightly(&config);
    assert_eq!(other.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&other.stderr).contains("another `alike nightly` works here"));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!at("live").exists());
    let made = || fs::metadata(at("data-000001/manifest.json")).unwrap().modified().unwrap();
    let before = made();
    let done = report(&nightly(&config));
    assert_eq!((&done["promoted"], &done["night"]), (&json!(true), &json!(1)));
    assert_eq!(made(), before, "the data are those of the night that was killed");
    // The next night starts with what this one learned.
    let next = report(&nightly(&config));
    assert_eq!(next["night"], 2);
    let info: Value = serde_json::from_slice(&fs::read(at("run-000002/run.json")).unwrap()).unwrap();
    assert!(info["warm_start"].is_string(), "{info}");
}

#[test]
fn files_that_say_something_wrong_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("shop.toml");
    fs::write(folder.path().join("orders.csv"), orders(40, 10)).unwrap();
    for (text, says) in [
        ("model = \"none\"\n", "none"),
        ("keep = 0\n", "duplicate key"),
        ("tolerance = 2.0\n", "allowed: 0 to below 1"),
        ("kep = 3\n", "unknown field `kep`"),
        ("split = \"daily\"\n", "daily"),
    ] {
        write_config(&config, text);
        let output = nightly(&config);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(matches!(output.status.code(), Some(1 | 2)), "{text}: {error}");
        assert!(error.contains(says) && error.lines().count() == 1, "{text}: {error}");
    }
}
