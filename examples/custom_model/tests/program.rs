//! The program does with its own model what `alike` does with those of the library.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_custom-model"))
}

/// Standard output of a command that must succeed.
fn output(arguments: &[&str]) -> String {
    let found = program().args(arguments).arg("--quiet").output().expect("the program starts");
    assert!(found.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&found.stderr));
    String::from_utf8(found.stdout).expect("text")
}

/// Two groups of people and of items; nobody takes from the other group.
fn log(path: &Path) {
    let mut text = String::from("user,item,time\n");
    for user in 0..40 {
        for step in 0..10 {
            let item = (user / 2 + step) % 20 * 2 + user % 2;
            text += &format!("u{user},i{item},{}\n", 1_600_000_000 + step * 1000 + user);
        }
    }
    std::fs::write(path, text).expect("a log");
}

#[test]
fn a_model_from_outside_is_trained_resumed_evaluated_and_served() {
    let folder = tempfile::tempdir().expect("a folder");
    let [log_file, data, run] = ["log.csv", "data", "run"].map(|name| folder.path().join(name));
    log(&log_file);
    let [log_file, data, run] = [&log_file, &data, &run].map(|path| path.to_str().expect("text"));
    output(&["prepare", "--interactions", log_file, "--k-core", "0", "--out", data]);
    assert!(output(&["models", "popular-bpr"]).contains("popularity"));
    let train = |out: &str, epochs: &str, more: &[&str]| {
        let epochs = format!("epochs={epochs}");
        let fixed = ["--set", "dim=16", "--set", "lr=0.01", "--set", "batch=64", "--set", &epochs];
        let first = ["train", "popular-bpr", "--data", data, "--out", out, "--seed", "3"];
        output(&[&first[..], &fixed[..], more].concat());
    };
    train(run, "10", &[]);
    train(run, "30", &["--resume"]);
    let straight = folder.path().join("straight");
    train(straight.to_str().expect("text"), "30", &[]);
    let tensors = |folder: &Path| -> Vec<(String, Vec<u8>)> {
        let files = std::fs::read_dir(folder).expect("a run").map(|entry| entry.expect("a file").path());
        let name = |path: &Path| path.file_name().expect("a name").to_string_lossy().into_owned();
        let mut found: Vec<_> = files
            .filter(|path| path.extension().is_some_and(|ending| ending == "safetensors"))
            .map(|path| (name(&path), std::fs::read(&path).expect("a file")))
            .collect();
        found.sort();
        found
    };
    let (resumed, straight) = (tensors(Path::new(run)), tensors(&straight));
    assert!(resumed.len() == 2 && resumed == straight, "a resumed run ends with the same bits");
    let found: serde_json::Value =
        serde_json::from_str(&output(&["evaluate", run, "--json"])).expect("metrics as JSON");
    let recall = found["metrics"]["recall@20"].as_f64().or_else(|| found["recall@20"].as_f64());
    assert!(recall.is_some_and(|r| r > 0.5), "{found}");

    let mut server = program()
        .args(["serve", run, "--quiet", "--address", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("a server");
    let mut line = String::new();
    BufReader::new(server.stdout.take().expect("its output")).read_line(&mut line).expect("a line");
    let address = line.trim().trim_start_matches("listening on http://").to_string();
    let mut stream = TcpStream::connect(&address).unwrap_or_else(|e| panic!("{line}: {e}"));
    write!(
        stream,
        "GET /v1/users/u4/recommendations?top=3 HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )
    .expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    server.kill().expect("it ends");
    server.wait().expect("it ended");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"item\""), "{answer}");
}
