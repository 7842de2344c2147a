//! What a sidecar needs, looked at before it is started.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::LazyLock;
use std::time::Duration;

use regex::Regex;
use rustix::process::{Pid, Signal, kill_process_group};
use semver::Version;
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use crate::config::{Launch, SidecarConfig};
use crate::environment::{self, find_program};
use crate::error::{ErrorKind, Probe};
use crate::ports;
use crate::process::{Plan, ReaperCommand};
use crate::reaper::COMPLAINT;
use crate::reaper::arguments::Exec;
use crate::runtime::Runtime;

/// How often it is looked again when something is not as it should be (the process bridge's validation).
pub(crate) const RETRIES: u32 = 2;
/// The wait before each.
pub(crate) const RETRY_DELAY: Duration = Duration::from_secs(1);
/// The longest that a program may take to say its version.
const VERSION_PATIENCE: Duration = Duration::from_secs(10);
/// The longest that imports may take: large packages are slow the first time.
const IMPORT_PATIENCE: Duration = Duration::from_secs(60);
/// The most that is read of what such a program writes, in bytes.
const MAX_ANSWER: u64 = 64 * 1024;

/// What was found wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) kind: ErrorKind,
    pub(crate) message: String,
    /// What a program that was tried wrote to its standard error.
    pub(crate) stderr: Vec<String>,
}

impl Fault {
    fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), stderr: Vec::new() }
    }
}

/// What was looked at, and the first thing that is wrong.
#[derive(Debug, Clone, Default)]
pub(crate) struct Findings {
    pub(crate) probes: Vec<Probe>,
    pub(crate) fault: Option<Fault>,
    /// What to start, when nothing is wrong.
    pub(crate) plan: Option<Plan>,
}

impl Findings {
    fn good(&mut self, what: &str, found: impl Into<String>) {
        self.probes.push(Probe::good(what, found));
    }

    fn bad(&mut self, what: &str, found: impl Into<String>, fault: Fault) {
        self.probes.push(Probe::bad(what, found));
        self.fault.get_or_insert(fault);
    }
}

/// How much is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Everything.
    Whole,
    /// Not what takes a process of its own, and so as long as the start itself: version and imports. For one that was ready before, with the
    /// same settings; should it fail all the same, everything is looked at.
    Quick,
}

/// Looks at everything that an instance on `port` needs. Nothing is left out after something is wrong, so that all of it can be mended at
/// once, except where the one makes the other impossible to look at.
///
/// Programs that are tried for what they say run through `reaper`, if there is one, so that they end with this process.
pub(crate) async fn examine(config: &SidecarConfig, instance: u32, port: u16, depth: Depth, reaper: Option<&ReaperCommand>) -> Findings {
    let mut findings = Findings::default();
    let folder = config.folder();
    if let Some(folder) = folder.as_deref().filter(|folder| !folder.is_dir()) {
        let message = format!("the working directory {} does not exist", folder.display());
        findings.bad("working directory", "it does not exist", Fault::new(ErrorKind::ProcessSpawnError, message));
        return findings;
    }
    let variables = match environment::of(config, instance, port, std::env::vars_os()) {
        Ok(variables) => variables,
        Err(error) => {
            findings.bad("environment", error.to_string(), Fault::new(ErrorKind::ProcessSpawnError, error.to_string()));
            return findings;
        }
    };
    let program = program(config, &variables, folder.as_deref(), &mut findings);
    let script = script(config, &mut findings);
    let interpreter = interpreter(config, program.as_deref(), &mut findings);
    if let (Some(program), Depth::Whole) = (&interpreter, depth) {
        let trial = Trial { program, variables: &variables, folder: folder.as_deref(), reaper };
        let runs = version(config, &trial, &mut findings).await;
        if runs && !config.imports.is_empty() {
            imports(config, &trial, &mut findings).await;
        }
    }
    if port != 0 {
        let address = std::net::SocketAddr::new(config.host, port);
        let what = format!("port {port}");
        match ports::taken(address) {
            None => findings.good(&what, "free"),
            Some(who) => {
                let from = &config.port_from;
                let message = format!("Port {port} is already in use: {who} (the port comes from {from})");
                findings.bad(&what, who, Fault::new(ErrorKind::PortInUse, message));
            }
        }
    }
    if let (None, Some(program)) = (&findings.fault, program) {
        findings.plan = Some(plan(config, instance, port, program, script, variables, folder));
    }
    findings
}

/// What says a version and can try imports: the interpreter, or for what runs by itself in a virtual environment that one's Python.
fn interpreter(config: &SidecarConfig, program: Option<&Path>, findings: &mut Findings) -> Option<PathBuf> {
    let Some(virtualenv) = config.virtualenv.as_deref().filter(|_| config.runtime() == Runtime::Python) else {
        return program.map(Path::to_path_buf);
    };
    let virtualenv = std::path::absolute(virtualenv).unwrap_or_else(|_| virtualenv.to_path_buf());
    let names = Runtime::Python.interpreters().iter().map(|name| virtualenv.join("bin").join(name));
    let Some(found) = names.into_iter().find(|path| path.is_file()) else {
        let message = format!("the virtual environment {} holds no Python: make it with `python3 -m venv`", virtualenv.display());
        findings.bad("virtual environment", "it holds no Python", Fault::new(ErrorKind::PythonNotFound, message));
        return None;
    };
    // An interpreter that is named is the one that runs.
    if config.program_runtime() == Runtime::Python { program.map(Path::to_path_buf) } else { Some(found) }
}

fn program(
    config: &SidecarConfig,
    variables: &BTreeMap<OsString, OsString>,
    folder: Option<&Path>,
    findings: &mut Findings,
) -> Option<PathBuf> {
    let runtime = config.program_runtime();
    let (what, names): (String, Vec<&str>) = match &config.launch {
        Launch::Script { interpreter: Some(interpreter), .. } => (format!("{} executable", runtime.title()), vec![interpreter]),
        Launch::Script { path, interpreter: None, .. } if runtime == Runtime::Binary => {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            return direct(&path, findings);
        }
        Launch::Script { .. } => (format!("{} executable", runtime.title()), runtime.interpreters().to_vec()),
        Launch::Command(command) => {
            let name = command.first().map(String::as_str).unwrap_or_default();
            let what = if runtime == Runtime::Binary { format!("program {name}") } else { format!("{} executable", runtime.title()) };
            (what, vec![name])
        }
        Launch::External(_) => return None,
    };
    if let Some(found) = names.iter().find_map(|name| find_program(name, variables, folder)) {
        findings.good(&what, found.display().to_string());
        return Some(found);
    }
    let sought = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" nor ");
    let path = variables.get(OsStr::new("PATH")).map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
    let place = if names.iter().all(|name| name.contains('/')) { String::new() } else { format!(" in the PATH ({path})") };
    let found = format!("{}{sought}{place}", if names.len() > 1 { "neither " } else { "no executable " });
    let (kind, subject) = match runtime {
        Runtime::Binary => (ErrorKind::ScriptNotFound, "program not found".to_owned()),
        runtime => (
            ErrorKind::PythonNotFound,
            format!("{} environment validation failed: {} executable not found", runtime.title(), runtime.title()),
        ),
    };
    findings.bad(&what, found.clone(), Fault::new(kind, format!("{subject}: {found}")));
    None
}

/// A script that runs by itself.
fn direct(path: &Path, findings: &mut Findings) -> Option<PathBuf> {
    let shown = path.display();
    if !path.is_file() {
        findings.bad("script", "it does not exist", Fault::new(ErrorKind::ScriptNotFound, format!("the script {shown} does not exist")));
        return None;
    }
    if rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_err() {
        let message = format!("the script {shown} may not be executed: `chmod +x` it, or name its interpreter");
        findings.bad("script", "it may not be executed", Fault::new(ErrorKind::ProcessSpawnError, message));
        return None;
    }
    findings.good("script", shown.to_string());
    Some(path.to_path_buf())
}

/// The script of an interpreter.
fn script(config: &SidecarConfig, findings: &mut Findings) -> Option<PathBuf> {
    let Launch::Script { path, .. } = &config.launch else { return None };
    if config.program_runtime() == Runtime::Binary && matches!(config.launch, Launch::Script { interpreter: None, .. }) {
        return None;
    }
    let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
    let shown = path.display();
    match std::fs::File::open(&path).and_then(|file| file.metadata()) {
        Ok(metadata) if metadata.is_file() => findings.good("script", shown.to_string()),
        Ok(_) => {
            findings.bad("script", "it is no file", Fault::new(ErrorKind::ScriptNotFound, format!("the script {shown} is no file")));
        }
        Err(error) => {
            let message = format!("the script {shown} cannot be read: {error}");
            findings.bad("script", error.to_string(), Fault::new(ErrorKind::ScriptNotFound, message));
        }
    }
    Some(path)
}

/// A program that is run for what it says.
struct Trial<'a> {
    program: &'a Path,
    variables: &'a BTreeMap<OsString, OsString>,
    folder: Option<&'a Path>,
    reaper: Option<&'a ReaperCommand>,
}

/// A process group that ends with this value, unless it has ended by itself.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// What it said.
struct Said {
    ok: bool,
    /// Standard output and standard error.
    text: String,
    stderr: Vec<String>,
}

impl Trial<'_> {
    async fn run(&self, arguments: &[impl AsRef<OsStr>], within: Duration) -> Result<Said, String> {
        let mut command = match self.reaper {
            Some(reaper) => {
                let words = std::iter::once(self.program.as_os_str()).chain(arguments.iter().map(AsRef::as_ref));
                let parent = rustix::process::getpid().as_raw_nonzero().get();
                let exec = Exec { parent, listen: false, command: words.map(OsString::from).collect() };
                let mut command = Command::new(&reaper.program);
                command.arg0("breakwater").args(&reaper.exec).args(exec.write());
                command
            }
            None => {
                let mut command = Command::new(self.program);
                command.args(arguments);
                command
            }
        };
        command.process_group(0).env_clear().envs(self.variables).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.kill_on_drop(true);
        if let Some(folder) = self.folder {
            command.current_dir(folder);
        }
        let mut child = match command.spawn() {
            Ok(child) => child,
            // It cannot be run, now or later.
            Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::PermissionDenied) => {
                return Ok(Said { ok: false, text: String::new(), stderr: vec![error.to_string()] });
            }
            Err(error) => return Err(error.to_string()),
        };
        let mut group = Group(child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?)));
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let running = async { tokio::join!(read_all(stdout), read_all(stderr), child.wait()) };
        let Ok((stdout, stderr, status)) = tokio::time::timeout(within, running).await else {
            return Err(format!("it did not end within {} s", within.as_secs()));
        };
        group.0 = None;
        let ok = status.map_err(|error| error.to_string())?.success();
        let lines = stderr.lines().map(|line| line.strip_prefix(COMPLAINT).unwrap_or(line).to_owned()).collect();
        Ok(Said { ok, text: format!("{stdout}\n{stderr}"), stderr: lines })
    }
}

async fn read_all(pipe: Option<impl tokio::io::AsyncRead + Unpin>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        let _ = (&mut pipe).take(MAX_ANSWER).read_to_end(&mut bytes).await;
        // What is more is read and forgotten, so that nobody waits for us.
        let _ = tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Whether it can be run at all.
async fn version(config: &SidecarConfig, trial: &Trial<'_>, findings: &mut Findings) -> bool {
    let runtime = config.runtime();
    let Some(flag) = runtime.version_flag() else { return false };
    let what = format!("{} version", runtime.title());
    let said = match trial.run(&[flag], VERSION_PATIENCE).await {
        Ok(said) if said.ok => said,
        Ok(said) => {
            let why = said.stderr.last().cloned().unwrap_or_else(|| "it failed without a word".to_owned());
            return not_run(&what, trial, &why, findings);
        }
        // A machine that is too busy says nothing about the program.
        Err(why) => {
            let message = format!("{} could not be asked for its version: {why}", trial.program.display());
            findings.bad(&what, why, Fault::new(ErrorKind::ProcessSpawnError, message));
            return false;
        }
    };
    let found = said.text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().to_owned();
    let Some(wanted) = &config.minimum_version else {
        findings.good(&what, found);
        return true;
    };
    match read_version(&found) {
        Some(version) if version >= *wanted => findings.good(&what, found),
        Some(version) => {
            let message = format!("{} {version} at {} is too old: {wanted} or newer is needed", runtime.title(), trial.program.display());
            findings.bad(&what, format!("{found}; {wanted} or newer is needed"), Fault::new(ErrorKind::PythonNotFound, message));
        }
        None => {
            let message = format!("{} does not say its version: {found}", trial.program.display());
            findings.bad(&what, found, Fault::new(ErrorKind::PythonNotFound, message));
        }
    }
    true
}

fn not_run(what: &str, trial: &Trial<'_>, why: &str, findings: &mut Findings) -> bool {
    let message = format!("{} cannot be run: {why}", trial.program.display());
    findings.bad(what, why, Fault::new(ErrorKind::PythonNotFound, message));
    false
}

/// The first thing that looks like a version.
pub(crate) fn read_version(text: &str) -> Option<Version> {
    static PATTERN: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"(\d{1,9})\.(\d{1,9})(?:\.(\d{1,9}))?").ok());
    let found = PATTERN.as_ref()?.captures(text)?;
    let number = |group: usize| found.get(group).map_or(Some(0), |digits| digits.as_str().parse().ok());
    Some(Version::new(number(1)?, number(2)?, number(3)?))
}

async fn imports(config: &SidecarConfig, trial: &Trial<'_>, findings: &mut Findings) {
    let runtime = config.runtime();
    let Some(arguments) = runtime.try_imports(&config.imports) else { return };
    let what = format!("imports {}", config.imports.join(", "));
    let stderr = match trial.run(&arguments, IMPORT_PATIENCE).await {
        Ok(said) if said.ok => return findings.good(&what, "available"),
        Ok(said) => said.stderr,
        Err(why) => {
            let message = format!("its imports could not be tried: {why}");
            return findings.bad(&what, why, Fault::new(ErrorKind::ProcessSpawnError, message));
        }
    };
    let telling = |line: &&String| !line.trim().is_empty() && !line.starts_with(' ') && !line.starts_with("Node.js v");
    let said = stderr.iter().rev().find(telling).or(stderr.last()).cloned().unwrap_or_else(|| "it failed without a word".to_owned());
    let message = format!("{} dependencies not installed: {}", runtime.title(), said.trim());
    findings.bad(&what, said.trim(), Fault { stderr, ..Fault::new(ErrorKind::DependencyError, message) });
}

fn plan(
    config: &SidecarConfig,
    instance: u32,
    port: u16,
    program: PathBuf,
    script: Option<PathBuf>,
    environment: BTreeMap<OsString, OsString>,
    folder: Option<PathBuf>,
) -> Plan {
    let fill = |argument: &String| -> OsString {
        let filled = argument.replace("{host}", &config.host.to_string()).replace("{instance}", &instance.to_string());
        filled.replace("{port}", &port.to_string()).into()
    };
    let mut command: Vec<OsString> = vec![program.into()];
    match &config.launch {
        Launch::Script { arguments, .. } => {
            if let Some(script) = script {
                command.extend(config.runtime().before_script().iter().map(OsString::from));
                command.push(script.into());
            }
            command.extend(arguments.iter().map(fill));
        }
        Launch::Command(words) => command.extend(words.iter().skip(1).map(fill)),
        Launch::External(_) => {}
    }
    let listen = config.pass_socket.then(|| std::net::SocketAddr::new(config.host, port));
    Plan { command, environment, folder, listen }
}

#[cfg(test)]
mod tests;
