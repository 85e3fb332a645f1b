//! A server in a process of its own, and requests to it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::world::World;

/// The program.
pub(crate) fn program() -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("alike"));
    command
        .env_remove("ALIKE_API_KEY")
        .env_remove("ALIKE_STORE")
        .env_remove("ALIKE_INDEX")
        .env_remove("RUST_LOG");
    command
}

/// A trained run.
pub(crate) fn trained() -> World {
    let world = World::new().prepared();
    world.train("popularity", "run", &["--quiet"]).assert().success();
    world
}

/// A running server; killed when dropped.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) address: String,
}

impl Server {
    /// Starts one on a free port and waits until it listens.
    pub(crate) fn start(world: &World, more: &[&str]) -> Self {
        Self::of(&world.at("run"), more)
    }

    /// The same for the run at a path.
    pub(crate) fn of(run: &str, more: &[&str]) -> Self {
        let mut command = program();
        command.args(["serve", run, "--address", "127.0.0.1:0"]).args(more);
        if !more.contains(&"--drain") {
            command.args(["--drain", "0"]);
        }
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let Some(address) = line.trim().strip_prefix("listening on http://") else {
            let mut why = String::new();
            child.stderr.take().unwrap().read_to_string(&mut why).unwrap();
            panic!("it does not listen: {line} {why}");
        };
        // The log must be read, or the server would wait for a reader.
        let mut log = child.stderr.take().unwrap();
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Self { address: address.to_string(), child }
    }

    /// A connection on which nothing is waited for longer than ten seconds.
    pub(crate) fn connect(&self) -> TcpStream {
        connect(&self.address).unwrap()
    }

    /// The answer to one request.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let (status, body) = ask(&self.address, method, path, body).unwrap();
        (status, serde_json::from_str(&body).unwrap())
    }

    /// The same of a server that is asked under another name.
    pub(crate) fn ask_as(&self, host: &str, method: &str, path: &str, body: &str) -> (u16, Value) {
        let (status, body) = ask_as(host, &self.address, method, path, body).unwrap();
        (status, serde_json::from_str(&body).unwrap())
    }

    /// Sends a signal by name.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn connect(address: &str) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.set_write_timeout(Some(Duration::from_secs(10)))?;
    Ok(stream)
}

/// Sends one request on a connection of its own; status and body.
pub(crate) fn ask(address: &str, method: &str, path: &str, body: &str) -> std::io::Result<(u16, String)> {
    ask_as("localhost", address, method, path, body)
}

/// The same under the name of a host.
fn ask_as(host: &str, address: &str, method: &str, path: &str, body: &str) -> std::io::Result<(u16, String)> {
    let mut stream = connect(address)?;
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {length}\r\n"
    );
    stream.write_all(format!("{head}content-type: application/json\r\n\r\n{body}").as_bytes())?;
    answer(&mut stream)
}

/// Reads an answer up to the end of the connection.
pub(crate) fn answer(stream: &mut TcpStream) -> std::io::Result<(u16, String)> {
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let broken = || std::io::Error::other(format!("no answer: {text}"));
    let status = text.get(9..12).and_then(|s| s.parse().ok()).ok_or_else(broken)?;
    let (_, body) = text.split_once("\r\n\r\n").ok_or_else(broken)?;
    Ok((status, body.to_string()))
}
