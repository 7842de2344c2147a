//! Programs in other languages that the tests start and stop: services behind adapters, a cache, a client's own tests.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Signal, kill_process};

use crate::service::{Process, base_of};

/// How long a program may take to say where it listens, or to listen.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// The folder of this crate.
#[must_use]
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A program on the search path, or nothing: then the test that wants it says so and ends.
#[must_use]
pub fn program(name: &str) -> Option<PathBuf> {
    let places = std::env::var_os("PATH")?;
    std::env::split_paths(&places).map(|place| place.join(name)).find(|candidate| candidate.is_file())
}

/// A service that prints `listening on http://…` first. It ends when it is dropped.
pub struct ExternalService {
    base: String,
    process: Process,
}

impl ExternalService {
    /// The image-processing service in Python.
    ///
    /// # Errors
    /// When it cannot be started; also when there is no Python.
    pub fn image_service(arguments: &[&str]) -> Result<Self> {
        Self::script("python3", "services/image_service.py", arguments)
    }

    /// The CLIP service in Python, which the image search had.
    ///
    /// # Errors
    /// As [`Self::image_service`].
    pub fn clip_service(arguments: &[&str]) -> Result<Self> {
        Self::script("python3", "services/clip_service.py", arguments)
    }

    /// The service of texts in Python, whose actions are registered.
    ///
    /// # Errors
    /// As [`Self::image_service`].
    pub fn text_service(arguments: &[&str]) -> Result<Self> {
        Self::script("python3", "services/text_service.py", arguments)
    }

    /// The AI service in JavaScript.
    ///
    /// # Errors
    /// When it cannot be started; also when there is no Node.
    pub fn talent_service(arguments: &[&str]) -> Result<Self> {
        Self::script("node", "services/talent_service.mjs", arguments)
    }

    fn script(interpreter: &str, script: &str, arguments: &[&str]) -> Result<Self> {
        let mut command = Command::new(program(interpreter).with_context(|| format!("there is no {interpreter}"))?);
        command.arg(folder().join(script)).args(arguments);
        if !arguments.contains(&"--port") {
            command.args(["--port", "0"]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("could not start {script}"))?;
        let stdout = child.stdout.take().context("no standard output")?;
        let (said, first) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                said.send(line).ok();
            }
        });
        let process = Process::watch(child, None)?;
        let line = first.recv_timeout(READY_WITHIN).map_err(|_| anyhow!("{script} did not say where it listens: {}", process.log()))?;
        let base = base_of(&line).ok_or_else(|| anyhow!("no address in {line:?}"))?;
        Ok(Self { base, process })
    }

    /// Such as `http://127.0.0.1:41234`.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> &str {
        self.base.rsplit(':').next().unwrap_or_default()
    }

    /// Ends it without a word, as a crash would.
    pub fn kill(mut self) {
        kill_process(self.process.pid, Signal::KILL).ok();
        self.process.wait(READY_WITHIN).ok();
    }
}

/// A Redis server on a port of its own, without anything on disk. It ends when it is dropped.
pub struct RedisServer {
    port: u16,
    process: Option<Process>,
}

impl RedisServer {
    /// Starts one on a free port; nothing when Redis is not installed.
    ///
    /// # Errors
    /// When it is installed and does not start.
    pub fn start() -> Result<Option<Self>> {
        let Some(program) = program("redis-server") else { return Ok(None) };
        // Free when it was looked at; another program may take it before Redis does, and then Redis does not start.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut server = Self { port, process: None };
        server.run(&program)?;
        Ok(Some(server))
    }

    fn run(&mut self, program: &Path) -> Result<()> {
        let port = self.port.to_string();
        let arguments = ["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--daemonize", "no"];
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        self.process = Some(Process::watch(command.spawn()?, None)?);
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            if started.elapsed() > READY_WITHIN {
                bail!("Redis does not listen on port {port}");
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Such as `redis://127.0.0.1:41234`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Ends it without a word.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            kill_process(process.pid, Signal::KILL).ok();
            process.wait(READY_WITHIN).ok();
        }
    }

    /// Starts it again on the same port, empty.
    ///
    /// # Errors
    /// When it does not start.
    pub fn restart(&mut self) -> Result<()> {
        let program = program("redis-server").context("Redis is gone")?;
        self.run(&program)
    }
}

/// Runs a program to its end.
///
/// # Errors
/// When it does not start, or ends with a failure; the message holds what it wrote.
pub fn run<A: AsRef<OsStr>>(program: &Path, arguments: &[A], folder: &Path, environment: &[(&str, &str)]) -> Result<String> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).envs(environment.iter().copied()).stdin(Stdio::null());
    let output = command.output().with_context(|| format!("could not start {}", program.display()))?;
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(text) } else { bail!("{} ended with {}:\n{text}", program.display(), output.status) }
}
