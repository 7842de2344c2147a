//! A real Redis, started for one test.

use std::env;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Where `redis-server` is: what `BREAKWATER_REDIS_SERVER` names, or the first on the path. Says so when there is none.
pub(crate) fn binary() -> Option<PathBuf> {
    let named = env::var_os("BREAKWATER_REDIS_SERVER").map(PathBuf::from);
    let path = env::var_os("PATH").unwrap_or_default();
    let found = named.into_iter().chain(env::split_paths(&path).map(|folder| folder.join("redis-server"))).find(|file| file.is_file());
    if found.is_none() {
        eprintln!("NOT RUN: there is no redis-server (Debian package redis-server; or set BREAKWATER_REDIS_SERVER)");
    }
    found
}

/// A running server with nothing in it, on a port of its own. Ends with the test.
pub(crate) struct RedisServer {
    binary: PathBuf,
    folder: TempDir,
    pub(crate) port: u16,
    options: Vec<&'static str>,
    process: Child,
}

impl RedisServer {
    /// `None`, after saying so, on a machine without Redis.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    pub(crate) fn start_with(options: &[&'static str]) -> Option<Self> {
        let binary = binary()?;
        // Somebody else may take the port before Redis does; then another one is tried.
        for _ in 0..5 {
            let (port, folder) = (free_port(), tempfile::tempdir().unwrap());
            let process = spawn(&binary, &folder, port, options);
            let mut server = Self { binary: binary.clone(), folder, port, options: options.to_vec(), process };
            if server.answers() {
                return Some(server);
            }
        }
        panic!("redis-server does not start");
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Ends it as a crash would: SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts it again on the same port, with nothing in it.
    pub(crate) fn restart(&mut self) {
        self.process = spawn(&self.binary, &self.folder, self.port, &self.options);
        assert!(self.answers(), "redis-server does not start again");
    }

    /// Stops it from doing anything, its connections staying open, as a machine that swaps would.
    pub(crate) fn freeze(&self) {
        self.signal("-STOP");
    }

    pub(crate) fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        assert!(Command::new("kill").args([signal, &self.process.id().to_string()]).status().unwrap().success());
    }

    /// Waits until it answers; `false` when it has ended instead.
    fn answers(&mut self) -> bool {
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(20) {
            if self.process.try_wait().unwrap().is_some() {
                return false;
            }
            if ping(self.port).is_some() {
                return true;
            }
            std::thread::yield_now();
        }
        false
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // SIGKILL reaches a frozen process too. It may have been killed before.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn spawn(binary: &PathBuf, folder: &TempDir, port: u16, options: &[&str]) -> Child {
    let mut command = Command::new(binary);
    command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--appendonly", "no"]);
    command.arg("--dir").arg(folder.path()).args(options);
    command.stdout(Stdio::null()).stderr(Stdio::null()).stdin(Stdio::null()).spawn().unwrap()
}

/// A port nobody listened on a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// Any answer counts: a server with a password refuses the question, and is up.
fn ping(port: u16) -> Option<u8> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
    stream.write_all(b"PING\r\n").ok()?;
    let mut answer = [0];
    stream.read_exact(&mut answer).ok()?;
    Some(answer[0])
}
