//! Settings of one sidecar.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use breakwater_core::{Failure, Method};
use regex::Regex;
use semver::Version;

use crate::error::ErrorKind;
use crate::runtime::Runtime;

/// What is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Launch {
    /// A script, by an interpreter.
    Script {
        /// The script.
        path: PathBuf,
        /// The interpreter: a name that is looked up in `PATH`, or a path. Not given, it follows from the script's extension.
        interpreter: Option<String>,
        /// What stands behind the script. `{port}`, `{host}` and `{instance}` are filled in.
        arguments: Vec<String>,
    },
    /// A program and its arguments, in which `{port}`, `{host}` and `{instance}` are filled in.
    Command(Vec<String>),
    /// Nothing: somebody else runs it at this base URL.
    External(String),
}

/// A request that must be answered with a status below 400.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// How.
    pub method: Method,
    /// What for.
    pub path: String,
    /// With this JSON, if any.
    pub body: Option<String>,
}

/// How it is seen that a sidecar can be used.
#[derive(Debug, Clone)]
pub enum Readiness {
    /// By a request: to its health route, or one that makes it do its real work.
    Http(Request),
    /// Its port accepts a connection.
    Tcp,
    /// It writes a line to its standard output in which this is found. Afterwards it is checked as by [`Self::Tcp`].
    Line(Regex),
}

/// How often and how long it is checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Checks {
    /// The longest that becoming ready may take, all attempts together (`healthCheckTimeout`).
    pub timeout: Duration,
    /// The wait before the second attempt (`healthCheckInterval`).
    pub interval: Duration,
    /// How much longer each further wait is.
    pub factor: f64,
    /// The longest wait.
    pub max_interval: Duration,
    /// The most attempts (`healthCheckMaxRetries`).
    pub max_attempts: u32,
    /// The longest that one attempt may take.
    pub attempt_timeout: Duration,
    /// Once it is ready: the time between two checks.
    pub live_interval: Duration,
    /// Once it is ready: the failed checks in a row after which it is started again; 0 checks nothing.
    pub live_failures: u32,
}

impl Default for Checks {
    /// 10 s and 20 attempts, from 500 ms on with a factor of 1.2 up to 2 s, as the process bridge has it; 2 s an attempt; once it is ready
    /// every 5 s, three failures in a row.
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            interval: Duration::from_millis(500),
            factor: 1.2,
            max_interval: Duration::from_secs(2),
            max_attempts: 20,
            attempt_timeout: Duration::from_secs(2),
            live_interval: Duration::from_secs(5),
            live_failures: 3,
        }
    }
}

/// When it is started again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestartConfig {
    /// Whether it is at all when it fails by itself (`autoRestart`).
    pub auto: bool,
    /// How often in a row (`maxRestartAttempts`); the count begins anew when it was ready for `stable_after`.
    pub max_attempts: u32,
    /// The wait before the first (`restartDelay`); it doubles with each one.
    pub delay: Duration,
    /// The longest wait.
    pub max_delay: Duration,
    /// How long it must have been ready for its failures to be forgotten.
    pub stable_after: Duration,
    /// After how many failures in a row that look the same it is not tried again; 0 always tries.
    pub loop_limit: u32,
    /// The most starts within `start_window`, whatever for.
    pub start_limit: u32,
    /// See `start_limit`.
    pub start_window: Duration,
}

impl Default for RestartConfig {
    /// 3 restarts from 2 s on, as the process bridge has it, at most a minute apart; stable after 30 s; given up after 3 failures that look
    /// the same, or 20 starts in a minute.
    fn default() -> Self {
        Self {
            auto: true,
            max_attempts: 3,
            delay: Duration::from_secs(2),
            max_delay: Duration::from_secs(60),
            stable_after: Duration::from_secs(30),
            loop_limit: 3,
            start_limit: 20,
            start_window: Duration::from_secs(60),
        }
    }
}

/// Settings of one sidecar.
#[derive(Debug, Clone)]
pub struct SidecarConfig {
    /// What is run.
    pub launch: Launch,
    /// The upstream whose endpoints its instances are.
    pub upstream: String,
    /// Where it listens. The process gets it as `HOST`; an unspecified address is reached through the loopback one.
    pub host: IpAddr,
    /// The port of the first instance; each further one has the next. 0: a free one each time. The process gets it as `PORT` and
    /// `FLASK_PORT`.
    pub port: u16,
    /// Where `port` comes from, for messages: such as `port` or `FLASK_PORT in /srv/app/.env`.
    pub port_from: String,
    /// How many instances run.
    pub instances: u32,
    /// Whether the host's side opens the port and hands it over, open, as file descriptor 3 (`LISTEN_FDS`, as systemd does).
    pub pass_socket: bool,
    /// Where it runs. Not given: the folder of the script, or the host's.
    pub working_dir: Option<PathBuf>,
    /// Variables of its environment, beside the host's own and those of `env_file`, which they override.
    pub environment: BTreeMap<String, String>,
    /// Variables of the host that it does not get, such as those that hold the host's secrets.
    pub withheld: BTreeSet<String>,
    /// A file of variables. Not given: `.env` in the working directory, if there is one.
    pub env_file: Option<PathBuf>,
    /// A Python virtual environment.
    pub virtualenv: Option<PathBuf>,
    /// Packages that must be there.
    pub imports: Vec<String>,
    /// The oldest interpreter that will do.
    pub minimum_version: Option<Version>,
    /// How it is seen that it can be used.
    pub readiness: Readiness,
    /// How often that is looked at.
    pub checks: Checks,
    /// How long it has to end by itself when it is told to (`shutdownTimeout`).
    pub shutdown_timeout: Duration,
    /// How long calls that run have to end before an instance is stopped.
    pub drain_timeout: Duration,
    /// Whether what it writes is all shown in the log (`isDevelopment`).
    pub development: bool,
    /// When it is started again.
    pub restart: RestartConfig,
    /// The memory that it may use, with all its descendants, in bytes.
    pub memory_limit: Option<u64>,
    /// Sidecars that must be ready before it is started.
    pub depends_on: Vec<String>,
    /// What else its standard error says about the kind of an error; looked at before what is built in.
    pub patterns: Vec<(ErrorKind, Regex)>,
    /// Requests to the host whose path begins with it are passed through.
    pub route_prefix: Option<String>,
    /// Whether the prefix is taken off before.
    pub strip_prefix: bool,
    /// Whether it starts with the host.
    pub autostart: bool,
}

impl SidecarConfig {
    /// The port when nothing is said (`port`).
    pub const DEFAULT_PORT: u16 = 5001;
    /// The most instances of one sidecar.
    pub const MAX_INSTANCES: u32 = 64;

    /// A sidecar that runs this, with the defaults of the process bridge, but on the loopback address alone.
    #[must_use]
    pub fn new(upstream: impl Into<String>, launch: Launch) -> Self {
        Self {
            launch,
            upstream: upstream.into(),
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: Self::DEFAULT_PORT,
            port_from: "port".to_owned(),
            instances: 1,
            pass_socket: false,
            working_dir: None,
            environment: BTreeMap::new(),
            withheld: BTreeSet::new(),
            env_file: None,
            virtualenv: None,
            imports: Vec::new(),
            minimum_version: None,
            readiness: Readiness::Http(Request { method: Method::Get, path: "/health".to_owned(), body: None }),
            checks: Checks::default(),
            shutdown_timeout: Duration::from_secs(5),
            drain_timeout: Duration::from_secs(10),
            development: true,
            restart: RestartConfig::default(),
            memory_limit: None,
            depends_on: Vec::new(),
            patterns: Vec::new(),
            route_prefix: None,
            strip_prefix: false,
            autostart: true,
        }
    }

    /// What kind of program it is. What runs by itself in a virtual environment is Python's, such as gunicorn.
    #[must_use]
    pub fn runtime(&self) -> Runtime {
        match self.program_runtime() {
            Runtime::Binary if self.virtualenv.is_some() && !matches!(self.launch, Launch::External(_)) => Runtime::Python,
            runtime => runtime,
        }
    }

    /// What kind of program is named.
    pub(crate) fn program_runtime(&self) -> Runtime {
        match &self.launch {
            Launch::Script { path, interpreter: None, .. } => Runtime::of_script(path),
            // An interpreter of a name that tells nothing runs what the script is.
            Launch::Script { path, interpreter: Some(interpreter), .. } => match Runtime::of_program(Path::new(interpreter)) {
                Runtime::Binary => Runtime::of_script(path),
                runtime => runtime,
            },
            Launch::Command(command) => command.first().map_or(Runtime::Binary, |program| Runtime::of_program(Path::new(program))),
            Launch::External(_) => Runtime::Binary,
        }
    }

    /// Where it runs; nothing for the host's own folder.
    #[must_use]
    pub fn folder(&self) -> Option<PathBuf> {
        let of_script = || match &self.launch {
            Launch::Script { path, .. } => path.parent().filter(|folder| !folder.as_os_str().is_empty()).map(Path::to_path_buf),
            _ => None,
        };
        self.working_dir.clone().or_else(of_script)
    }

    /// The port of an instance; 0 when it is chosen at each start.
    pub(crate) fn port_of(&self, instance: u32) -> u16 {
        if self.port == 0 { 0 } else { u16::try_from(u32::from(self.port).saturating_add(instance)).unwrap_or(u16::MAX) }
    }

    /// Where an instance is reached that listens on `port`.
    pub(crate) fn reached_at(&self, port: u16) -> SocketAddr {
        let host = match self.host {
            IpAddr::V4(host) if host.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(host) if host.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            host => host,
        };
        SocketAddr::new(host, port)
    }

    /// Whether the settings make sense. `others` are the names of all sidecars.
    ///
    /// # Errors
    /// `sidecar.config` (invalid request) with the first thing that does not.
    pub fn validate(&self, name: &str, others: &BTreeSet<&str>) -> Result<(), Failure> {
        let wrong = |what: String| Err(Failure::invalid("sidecar.config", format!("the sidecar `{name}` cannot be set up: {what}")));
        match &self.launch {
            Launch::Command(command) if command.first().is_none_or(String::is_empty) => {
                return wrong("its command names no program".to_owned());
            }
            Launch::Script { path, .. } if path.as_os_str().is_empty() => return wrong("its script has no name".to_owned()),
            Launch::External(_) if self.instances != 1 => return wrong("an external one has one instance".to_owned()),
            Launch::External(_) if self.pass_socket => return wrong("an external one is handed no socket".to_owned()),
            Launch::External(_) if matches!(self.readiness, Readiness::Line(_)) => {
                return wrong("an external one's output cannot be seen".to_owned());
            }
            _ => {}
        }
        if !(1..=Self::MAX_INSTANCES).contains(&self.instances) {
            return wrong(format!("it has 1 to {} instances", Self::MAX_INSTANCES));
        }
        let words: &[String] = match &self.launch {
            Launch::Script { arguments, .. } => arguments,
            Launch::Command(command) => command,
            Launch::External(_) => &[],
        };
        if self.port == 0 && self.pass_socket && words.iter().any(|word| word.contains("{port}")) {
            return wrong(
                "the port of a socket that is handed over is known as PORT alone, not as {port}, unless `port` names it".to_owned(),
            );
        }
        if self.port != 0 && u32::from(self.port) + self.instances - 1 > u32::from(u16::MAX) {
            return wrong(format!("there are no {} ports from {} on", self.instances, self.port));
        }
        if let Some(missing) = self.depends_on.iter().find(|other| !others.contains(other.as_str())) {
            return wrong(format!("it depends on `{missing}`, which there is not"));
        }
        if let Readiness::Http(request) = &self.readiness
            && !request.path.starts_with('/')
        {
            return wrong("the path of its health check begins with `/`".to_owned());
        }
        if self.route_prefix.as_deref().is_some_and(|prefix| !is_prefix(prefix)) {
            return wrong("a route prefix begins with `/`, does not end with it, and holds no `*`, `{`, `?` or `#`".to_owned());
        }
        let checks = &self.checks;
        if checks.max_attempts == 0 || checks.factor < 1.0 || checks.timeout.is_zero() || checks.attempt_timeout.is_zero() {
            return wrong("it is checked at least once, with a factor of at least 1 and some time".to_owned());
        }
        if checks.live_failures > 0 && checks.live_interval < Duration::from_millis(10) {
            return wrong("it is checked every 10 ms at most".to_owned());
        }
        Ok(())
    }
}

fn is_prefix(prefix: &str) -> bool {
    prefix.starts_with('/') && !prefix.ends_with('/') && !prefix.contains(['*', '{', '}', '?', '#', ' '])
}
