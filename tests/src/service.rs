//! A running service: the real binary on a free port, with folders of its own.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::artifacts::Artifacts;

/// How long a service may take to say where it listens: the first start of a new binary compiles the plugins.
const READY_WITHIN: Duration = Duration::from_secs(180);
/// How long a service may take to stop when its `Service` is dropped.
const STOP_WITHIN: Duration = Duration::from_secs(20);

/// How to start a service.
#[derive(Debug, Default)]
pub struct Launch {
    home: Option<PathBuf>,
    plugins: Option<PathBuf>,
    config: Option<String>,
    arguments: Vec<OsString>,
    environment: BTreeMap<String, String>,
}

impl Launch {
    /// With the plugins of this checkout.
    ///
    /// # Errors
    /// When something is not built.
    pub fn with_plugins() -> Result<Self> {
        let plugins = Artifacts::locate()?.plugins;
        if !plugins.is_dir() {
            bail!("the plugins are not built: run `cargo xtask build-plugins`");
        }
        Ok(Self { plugins: Some(plugins), ..Self::default() })
    }

    /// With no plugins.
    #[must_use]
    pub fn without_plugins() -> Self {
        Self::default()
    }

    /// With data and media below this folder, which stays when the service is gone. Otherwise it gets one that goes with it.
    #[must_use]
    pub fn at(mut self, home: &Path) -> Self {
        self.home = Some(home.to_path_buf());
        self
    }

    /// With this text as its `breakwater.toml`.
    #[must_use]
    pub fn config(mut self, text: &str) -> Self {
        self.config = Some(text.to_owned());
        self
    }

    /// With one more argument of `breakwater serve`.
    #[must_use]
    pub fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// With one more environment variable.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Starts it and waits until it says where it listens.
    ///
    /// # Errors
    /// When it does not start, ends at once or stays silent; the message holds what it logged.
    pub fn start(self) -> Result<Service> {
        let artifacts = Artifacts::locate()?;
        let (home, temporary) = match self.home {
            Some(home) => (home, None),
            None => {
                let folder = tempfile::Builder::new().prefix("breakwater-").tempdir()?;
                (folder.path().to_path_buf(), Some(folder))
            }
        };
        let (data, media) = (home.join("data"), home.join("media"));
        std::fs::create_dir_all(&media).context("could not create the media root")?;
        let mut command = Command::new(&artifacts.binary);
        command.current_dir(&home).args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(&data).arg("--media-root").arg(&media);
        let no_plugins = home.join("no-plugins");
        if self.plugins.is_none() {
            std::fs::create_dir_all(&no_plugins).context("could not create a folder without plugins")?;
        }
        command.arg("--plugins").arg(self.plugins.as_deref().unwrap_or(&no_plugins));
        if let Some(config) = &self.config {
            let file = home.join("breakwater.toml");
            std::fs::write(&file, config).context("could not write the configuration")?;
            command.arg("--config").arg(file);
        }
        command.args(&self.arguments).envs(&self.environment);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().with_context(|| format!("could not start {}", artifacts.binary.display()))?;
        Service::watch(child, home, temporary)
    }
}

/// A service that runs. Dropping it stops it.
pub struct Service {
    base: String,
    announcement: String,
    process: Process,
    home: PathBuf,
    _temporary: Option<TempDir>,
}

impl Service {
    fn watch(mut child: Child, home: PathBuf, temporary: Option<TempDir>) -> Result<Self> {
        let stdout = child.stdout.take().context("the service has no standard output")?;
        let (said, announcements) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // Whoever listened may be gone; the pipe is read on, so that the service never blocks on it.
                said.send(line).ok();
            }
        });
        let process = Process::watch(child, temporary.as_ref().map(TempDir::path))?;
        let announcement = match announcements.recv_timeout(READY_WITHIN) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => {
                bail!("the service did not say where it listens within {READY_WITHIN:?}; it logged:\n{}", process.log())
            }
            Err(RecvTimeoutError::Disconnected) => bail!("the service ended before it was ready; it logged:\n{}", process.log()),
        };
        let base = base_of(&announcement).ok_or_else(|| anyhow!("no address in the service's line {announcement:?}"))?;
        Ok(Self { base, announcement, process, home, _temporary: temporary })
    }

    /// Such as `http://127.0.0.1:41234`.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// `127.0.0.1:41234`.
    #[must_use]
    pub fn address(&self) -> &str {
        self.base.trim_start_matches("http://")
    }

    /// The line it printed when it was ready.
    #[must_use]
    pub fn announcement(&self) -> &str {
        &self.announcement
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Where image paths with a leading slash begin.
    #[must_use]
    pub fn media_root(&self) -> PathBuf {
        self.home.join("media")
    }

    /// The folder that holds its data and media.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// What it logged until now.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(self.process.pid, signal).context("the service is gone")
    }

    /// Asks it to stop and waits until it has.
    ///
    /// # Errors
    /// When it does not stop within `patience`; it is killed then.
    pub fn stop(mut self, patience: Duration) -> Result<ExitStatus> {
        self.process.stop(patience)
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// When it does not within `patience`.
    pub fn wait(mut self, patience: Duration) -> Result<ExitStatus> {
        self.process.wait(patience)
    }

    /// Lets it run on when this program ends.
    pub fn leave_running(mut self) {
        self.process.leave();
        if let Some(folder) = self._temporary.take() {
            let _kept = folder.keep();
        }
    }
}

/// The address in the line that a service prints: the first `http://host:port`.
pub(crate) fn base_of(line: &str) -> Option<String> {
    let address = line.split_whitespace().find_map(|word| word.split_once("http://"))?.1;
    let end = address.find(|c: char| !(c.is_alphanumeric() || ".:[]-".contains(c))).unwrap_or(address.len());
    let address = address.get(..end)?.trim_end_matches(['.', ':']);
    (!address.is_empty()).then(|| format!("http://{address}"))
}

/// A child process that does not outlive its parent unless it is left running.
pub(crate) struct Process {
    pub(crate) pid: Pid,
    log: Arc<Mutex<String>>,
    exit: Mutex<Receiver<std::io::Result<ExitStatus>>>,
    ended: bool,
    _guard: Guard,
}

impl Process {
    pub(crate) fn watch(mut child: Child, folder: Option<&Path>) -> Result<Self> {
        let pid = Pid::from_child(&child);
        let log = Arc::new(Mutex::new(String::new()));
        let stderr = child.stderr.take().context("the service has no standard error")?;
        let kept = Arc::clone(&log);
        thread::spawn(move || keep(stderr, &kept));
        let (ended, exit) = channel();
        thread::spawn(move || ended.send(child.wait()));
        Ok(Self { pid, log, exit: Mutex::new(exit), ended: false, _guard: Guard::over(pid, folder)? })
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn wait(&mut self, patience: Duration) -> Result<ExitStatus> {
        let status = self
            .exit
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .recv_timeout(patience)
            .map_err(|_| anyhow!("the process did not end within {patience:?}"))?;
        self.ended = true;
        Ok(status?)
    }

    fn stop(&mut self, patience: Duration) -> Result<ExitStatus> {
        kill_process(self.pid, Signal::TERM).context("the process is gone")?;
        self.wait(patience)
    }

    fn leave(&mut self) {
        self.ended = true;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.ended && self.stop(STOP_WITHIN).is_err() {
            kill_process(self.pid, Signal::KILL).ok();
        }
    }
}

fn keep(mut source: impl Read, log: &Mutex<String>) {
    let mut buffer = [0_u8; 4096];
    while let Ok(length) = source.read(&mut buffer) {
        let Some(text) = buffer.get(..length).filter(|text| !text.is_empty()) else { return };
        log.lock().unwrap_or_else(PoisonError::into_inner).push_str(&String::from_utf8_lossy(text));
    }
}

/// A shell that waits for our end, however it comes, and then ends the process and removes its folder: tests are killed, panics can
/// abort, and statics are never dropped.
struct Guard {
    shell: Child,
    lifeline: Option<ChildStdin>,
}

impl Guard {
    fn over(pid: Pid, folder: Option<&Path>) -> Result<Self> {
        // `read` succeeds when we say that nothing is to be done, and fails at the end of input when we are gone.
        const SCRIPT: &str = r#"read -r _ && exit
            kill -TERM "$1"
            for _ in $(seq 100); do kill -0 "$1" || break; sleep 0.1; done
            [ -z "$2" ] || rm -rf -- "$2""#;
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "guard"]).arg(pid.as_raw_nonzero().to_string()).arg(folder.unwrap_or(Path::new("")));
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut shell = command.spawn().context("could not start a shell")?;
        let lifeline = shell.stdin.take();
        Ok(Self { shell, lifeline })
    }
}

impl Drop for Guard {
    /// Whoever drops it has seen to the process.
    fn drop(&mut self) {
        if let Some(mut lifeline) = self.lifeline.take() {
            lifeline.write_all(b"done\n").ok();
        }
        self.shell.wait().ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_found_in_the_line() {
        for line in [
            "breakwater listens on http://127.0.0.1:8080",
            "http://127.0.0.1:8080/ ready.",
            "listening: http://127.0.0.1:8080, http://[::1]:9",
        ] {
            assert_eq!(base_of(line).as_deref(), Some("http://127.0.0.1:8080"), "{line}");
        }
        assert_eq!(base_of("ready"), None);
    }

    #[test]
    fn a_process_is_stopped_when_its_owner_goes() {
        let child = Command::new("sleep").arg("1000").stderr(Stdio::piped()).spawn().unwrap();
        let process = Process::watch(child, None).unwrap();
        let pid = process.pid;
        drop(process);
        assert!(rustix::process::test_kill_process(pid).is_err());
    }
}
