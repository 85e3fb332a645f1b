//! A PostgreSQL of a test's own.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Variable that names a folder with PostgreSQL's programs, to be used before those of the system.
const BIN: &str = "ALIKE_TEST_POSTGRES";
/// Where Debian puts them, a folder for each version.
const SYSTEM: &str = "/usr/lib/postgresql";

/// A private PostgreSQL, which ends with the test.
pub(crate) struct Cluster {
    bin: PathBuf,
    folder: tempfile::TempDir,
    /// Whom it runs as when we are root, which it refuses to be.
    user: Option<&'static str>,
}

impl Cluster {
    /// Starts the system's newest; `None` where it is not installed.
    pub(crate) fn start() -> Option<Self> {
        let versions = std::fs::read_dir(SYSTEM).ok()?;
        let mut bins: Vec<PathBuf> = versions.flatten().map(|v| v.path().join("bin")).collect();
        bins.retain(|bin| bin.join("initdb").exists());
        bins.sort();
        bins.pop().map(|bin| Self::start_from(&bin))
    }

    /// Starts the one that the variable names, otherwise the system's.
    pub(crate) fn named() -> Option<Self> {
        match std::env::var_os(BIN) {
            Some(bin) => Some(Self::start_from(Path::new(&bin))),
            None => Self::start(),
        }
    }

    fn start_from(bin: &Path) -> Self {
        let root = run(Command::new("id").arg("-u")).trim() == "0";
        let known = |user: &&str| Command::new("id").arg(user).output().is_ok_and(|o| o.status.success());
        let user = root.then(|| ["postgres", "nobody"].into_iter().find(known)).flatten();
        let cluster = Self { bin: bin.to_path_buf(), folder: tempfile::tempdir().unwrap(), user };
        if let Some(user) = user {
            run(Command::new("chown").arg(user).arg(cluster.folder.path()));
        }
        run(cluster
            .command("initdb")
            .args(["-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C", "-D"])
            .arg(cluster.data()));
        cluster.control("start");
        cluster
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A program of PostgreSQL.
    fn command(&self, name: &str) -> Command {
        let program = self.bin.join(name);
        let mut command = match self.user {
            None => Command::new(program),
            Some(user) => {
                let mut command = Command::new("runuser");
                command.args(["-u", user, "--"]).arg(program);
                command
            }
        };
        command.current_dir(self.folder.path());
        command
    }

    /// `start` or `stop`.
    pub(crate) fn control(&self, what: &str) {
        let folder = self.folder.path().display();
        let options = format!("-c listen_addresses='' -k {folder}");
        let mut command = self.command("pg_ctl");
        command.args(["-w", "-m", "immediate", "-o", &options, "-l"]);
        run(command.arg(self.folder.path().join("log")).arg("-D").arg(self.data()).arg(what));
    }

    /// Sends a signal to the server and all its processes.
    pub(crate) fn signal(&self, name: &str) {
        let file = std::fs::read_to_string(self.data().join("postmaster.pid")).unwrap();
        let first = file.lines().next().unwrap().trim();
        let all = run(Command::new("ps").args(["-o", "pid=", "--ppid", first, "-p", first]));
        run(Command::new("kill").args(["-s", name]).args(all.split_whitespace()));
    }

    /// Runs a statement as its administrator; what it gives.
    pub(crate) fn sql(&self, statement: &str) -> String {
        let folder = self.folder.path();
        let mut command = self.command("psql");
        command.args(["-U", "postgres", "-At", "-c", statement, "-h"]).arg(folder).arg("postgres");
        run(&mut command)
    }

    /// Makes a database; its address.
    pub(crate) fn database(&self, name: &str) -> String {
        run(self.command("createdb").args(["-U", "postgres", "-h"]).arg(self.folder.path()).arg(name));
        let folder = self.folder.path().display();
        format!("postgresql:///{name}?host={folder}&user=postgres")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.control("stop");
    }
}

/// Runs a program that must succeed; what it printed.
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
