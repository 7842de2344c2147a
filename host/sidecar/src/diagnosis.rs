//! What an error means, and what to do about it.

use std::path::Path;
use std::sync::LazyLock;

use regex::RegexSet;

use crate::config::{Launch, SidecarConfig};
use crate::error::{ErrorKind, Probe, SidecarError};
use crate::runtime::Runtime;
use crate::status::unix_ms;

/// What standard error says about the kind of an error, the first that fits. The first three are those of the process bridge; the others
/// are what the same thing looks like in other runtimes.
const PATTERNS: &[(&str, ErrorKind)] = &[
    (r"(?i)address already in use", ErrorKind::PortInUse),
    (r"\b(ModuleNotFoundError|ImportError)\b", ErrorKind::DependencyError),
    (r"(?i)no module named", ErrorKind::DependencyError),
    (r"\bEADDRINUSE\b", ErrorKind::PortInUse),
    (r"(?i)port \d+ is in use", ErrorKind::PortInUse),
    (r"java\.net\.BindException", ErrorKind::PortInUse),
    (r"(?i)Cannot find (module|package) '", ErrorKind::DependencyError),
    (r"\bERR_MODULE_NOT_FOUND\b", ErrorKind::DependencyError),
    (r"\b(ClassNotFoundException|NoClassDefFoundError)\b", ErrorKind::DependencyError),
    (r"cannot load such file --", ErrorKind::DependencyError),
    (r"\bGem::MissingSpecError\b|Could not find gem", ErrorKind::DependencyError),
    (r"error while loading shared libraries", ErrorKind::DependencyError),
    (r"can't open file '.*': \[Errno 2\]", ErrorKind::ScriptNotFound),
    (r"Unable to access jarfile", ErrorKind::ScriptNotFound),
    // What a shell says that was given a program for another kind of machine.
    (r"\x7fELF|cannot execute binary file|Exec format error", ErrorKind::ProcessSpawnError),
];

/// How many of the last lines of standard error say why it ended: a Node.js stack is ten lines below its reason.
const LAST_WORDS: usize = 20;

/// The last line of standard error that tells something, for messages and signatures.
pub(crate) fn last_line(stderr: &[String]) -> Option<&str> {
    stderr.iter().rev().map(|line| line.trim()).find(|line| !line.is_empty())
}

/// What standard error says about the kind of an error, and the line that says it; patterns of the configuration before those built in.
pub(crate) fn kind_of_output<'a>(config: &SidecarConfig, stderr: &'a [String]) -> Option<(ErrorKind, &'a str)> {
    static BUILT_IN: LazyLock<Option<RegexSet>> = LazyLock::new(|| RegexSet::new(PATTERNS.iter().map(|(pattern, _)| pattern)).ok());
    // The newest line first: what was printed last is nearest to the end. What came long before it was no reason to end.
    let own = stderr.iter().rev().take(LAST_WORDS).find_map(|line| {
        let (kind, _) = config.patterns.iter().find(|(_, pattern)| pattern.is_match(line))?;
        Some((*kind, line.trim()))
    });
    own.or_else(|| {
        let set = BUILT_IN.as_ref()?;
        stderr.iter().rev().take(LAST_WORDS).find_map(|line| {
            let first = set.matches(line).iter().next()?;
            PATTERNS.get(first).map(|(_, kind)| (*kind, line.trim()))
        })
    })
}

/// An error with all that a person needs to mend it.
pub(crate) fn explain(
    config: &SidecarConfig,
    name: &str,
    kind: ErrorKind,
    message: impl Into<String>,
    probes: Vec<Probe>,
    stderr: Vec<String>,
) -> SidecarError {
    let port = probes.iter().find_map(|probe| probe.what.strip_prefix("port ").and_then(|port| port.parse().ok()));
    let troubleshooting = steps(config, name, kind, port.unwrap_or(config.port));
    SidecarError { kind, message: message.into(), troubleshooting, probes, stderr, at_ms: unix_ms() }
}

/// What to do, step by step.
fn steps(config: &SidecarConfig, name: &str, kind: ErrorKind, port: u16) -> Vec<String> {
    let runtime = config.runtime();
    let logs = format!("Read all that it wrote: breakwater sidecar logs {name}");
    let doctor = format!("Look at everything that it needs: breakwater sidecar doctor {name}");
    let restart = format!("Start it again: breakwater sidecar restart {name}");
    match kind {
        ErrorKind::PythonNotFound => {
            let mut steps = interpreter(runtime, config);
            steps.extend([doctor, restart]);
            steps
        }
        ErrorKind::ScriptNotFound => vec![
            match &config.launch {
                Launch::Command(command) => {
                    format!("Check that the program exists and is in the PATH: {}", command.first().map(String::as_str).unwrap_or_default())
                }
                Launch::Script { path, .. } => format!("Check that the script exists: {}", path.display()),
                Launch::External(url) => format!("Check the URL: {url}"),
            },
            format!("Relative paths begin in the folder where breakwater was started; set `script` or `command` of [sidecars.{name}]"),
            doctor,
            restart,
        ],
        ErrorKind::DependencyError => {
            let mut steps = install(runtime, config);
            steps.extend([doctor, restart]);
            steps
        }
        ErrorKind::PortInUse => vec![
            format!("Port {port} is already in use"),
            format!("Stop the process using this port (find it with: ss -ltnp 'sport = :{port}')"),
            format!("Or choose another: `port` of [sidecars.{name}], or FLASK_PORT in .env; 0 takes a free one at each start"),
            restart,
        ],
        ErrorKind::ProcessSpawnError => vec![
            "Check that the program may be executed (chmod +x) and was built for this machine".to_owned(),
            "Check working_dir and env_file, and the limits of this user (ulimit -a)".to_owned(),
            doctor,
            restart,
        ],
        ErrorKind::ProcessCrash => vec![
            logs,
            format!("Run it by hand and see what it says: {}", by_hand(config)),
            "If a signal ended it, look for the reason in the kernel's log (dmesg), such as want of memory".to_owned(),
            restart,
        ],
        ErrorKind::HealthCheckTimeout => vec![
            logs,
            format!(
                "Check that it listens on {} port {port} (it is given HOST, PORT and FLASK_PORT) and answers its health check",
                config.host
            ),
            format!("If it needs longer, raise health_check_timeout and health_check_max_retries of [sidecars.{name}]"),
            restart,
        ],
        ErrorKind::NetworkError => vec![
            match &config.launch {
                Launch::External(url) => format!("Check that {url} is right and can be reached from here (curl -v {url})"),
                _ => "Check that the loopback interface is up (ip addr show lo)".to_owned(),
            },
            "Check firewalls, proxies and the name in the URL".to_owned(),
        ],
        ErrorKind::UnknownError => vec![logs, doctor, restart],
    }
}

fn interpreter(runtime: Runtime, config: &SidecarConfig) -> Vec<String> {
    let mut steps = match runtime {
        Runtime::Python => vec![
            "Install Python 3.8+ from https://www.python.org/downloads/".to_owned(),
            "Ensure Python is added to your system PATH".to_owned(),
            "Restart your terminal/IDE after installation".to_owned(),
            "Verify installation: python --version or python3 --version".to_owned(),
        ],
        Runtime::Node => vec![
            "Install Node.js from https://nodejs.org/".to_owned(),
            "Ensure node is in the PATH of the user that runs breakwater (version managers set it for shells only)".to_owned(),
            "Verify installation: node --version".to_owned(),
        ],
        Runtime::Ruby => vec!["Install Ruby from https://www.ruby-lang.org/".to_owned(), "Verify installation: ruby --version".to_owned()],
        Runtime::Java => {
            vec!["Install a Java runtime, such as https://adoptium.net/".to_owned(), "Verify installation: java -version".to_owned()]
        }
        Runtime::Binary => Vec::new(),
    };
    if let Some(virtualenv) = &config.virtualenv {
        steps.push(format!("The virtual environment {} comes first: make it anew if it is broken", virtualenv.display()));
    }
    steps
}

fn install(runtime: Runtime, config: &SidecarConfig) -> Vec<String> {
    let folder = config.folder();
    let place = folder.as_deref().unwrap_or(Path::new(".")).display().to_string();
    match runtime {
        Runtime::Python => {
            let pip = config.virtualenv.as_ref().map_or_else(|| "pip".to_owned(), |venv| venv.join("bin/pip").display().to_string());
            let has_list = folder.as_deref().unwrap_or(Path::new(".")).join("requirements.txt").is_file();
            let packages = if has_list || config.imports.is_empty() { "-r requirements.txt".to_owned() } else { config.imports.join(" ") };
            let mut steps = vec![format!("Install Python dependencies: cd {place} && {pip} install {packages}")];
            if config.virtualenv.is_none() {
                steps.push("If using virtual environment, activate it first: set `virtualenv`".to_owned());
            }
            steps.push("Check for conflicting package versions".to_owned());
            steps
        }
        Runtime::Node => vec![
            format!("Install the packages: cd {place} && npm ci (or npm install)"),
            "Check that package.json names what is imported".to_owned(),
        ],
        Runtime::Ruby => vec![format!("Install the gems: cd {place} && bundle install")],
        Runtime::Java => vec!["Check the class path, and that the jar holds its dependencies".to_owned()],
        Runtime::Binary => vec!["Install the libraries that it needs (ldd shows which are missing)".to_owned()],
    }
}

fn by_hand(config: &SidecarConfig) -> String {
    let words = match &config.launch {
        Launch::Script { path, interpreter, .. } => {
            let interpreter = interpreter.as_deref().or(config.runtime().interpreters().first().copied()).unwrap_or_default();
            format!("{interpreter} {}", path.display())
        }
        Launch::Command(command) => command.join(" "),
        Launch::External(url) => format!("curl -v {url}"),
    };
    words.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;

    fn config(script: &str) -> SidecarConfig {
        let launch = Launch::Script { path: script.into(), interpreter: None, arguments: Vec::new() };
        SidecarConfig::new("flask", launch)
    }

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn what_runtimes_write_is_understood() {
        for (text, kind) in [
            ("OSError: [Errno 98] Address already in use", ErrorKind::PortInUse),
            ("Address already in use\nPort 5001 is in use by another program. Either identify and stop that program", ErrorKind::PortInUse),
            ("Traceback (most recent call last):\nModuleNotFoundError: No module named 'flask'", ErrorKind::DependencyError),
            ("ImportError: cannot import name 'x' from 'flask'", ErrorKind::DependencyError),
            ("Error: listen EADDRINUSE: address already in use 127.0.0.1:3000\n    at Server.setupListenHandle", ErrorKind::PortInUse),
            ("Error: Cannot find module 'express'\nRequire stack:", ErrorKind::DependencyError),
            ("Exception in thread \"main\" java.net.BindException: Address in use", ErrorKind::PortInUse),
            ("java.lang.NoClassDefFoundError: a/B", ErrorKind::DependencyError),
            ("in `require': cannot load such file -- sinatra (LoadError)", ErrorKind::DependencyError),
            ("./server: error while loading shared libraries: libx.so", ErrorKind::DependencyError),
            ("/srv/tool: 1: \u{7f}ELF\u{2}\u{1}: not found", ErrorKind::ProcessSpawnError),
            ("python3: can't open file '/x/api.py': [Errno 2] No such file or directory", ErrorKind::ScriptNotFound),
        ] {
            assert_eq!(kind_of_output(&config("api.py"), &lines(text)).map(|(kind, _)| kind), Some(kind), "{text}");
        }
        assert_eq!(kind_of_output(&config("api.py"), &lines("INFO ready\nZeroDivisionError: division by zero")), None);
    }

    #[test]
    fn patterns_of_the_configuration_come_first() {
        let patterns = vec![(ErrorKind::DependencyError, Regex::new("model .* is missing").unwrap())];
        let config = SidecarConfig { patterns, ..config("api.py") };
        let stderr = lines("the model a.onnx is missing\nOSError: Address already in use");
        assert_eq!(kind_of_output(&config, &stderr), Some((ErrorKind::DependencyError, "the model a.onnx is missing")));
    }

    #[test]
    fn every_kind_has_steps_that_name_what_to_do() {
        for kind in ErrorKind::ALL {
            for script in ["api.py", "server.mjs", "a.rb", "a.jar", "server"] {
                let error = explain(&config(script), "flask", kind, "it failed", Vec::new(), Vec::new());
                let steps = error.troubleshooting;
                assert!((2..=8).contains(&steps.len()) && steps.iter().all(|step| step.len() > 15), "{kind} {script}: {steps:?}");
                let restarts = steps.iter().any(|step| step == "Start it again: breakwater sidecar restart flask");
                assert_eq!(restarts, kind != ErrorKind::NetworkError, "{kind} {script}: {steps:?}");
            }
        }
        let python = explain(&config("api.py"), "flask", ErrorKind::PythonNotFound, "", Vec::new(), Vec::new()).troubleshooting;
        assert_eq!(python[0], "Install Python 3.8+ from https://www.python.org/downloads/");
        assert_eq!(python[3], "Verify installation: python --version or python3 --version");
        let probes = vec![Probe::bad("port 5002", "taken")];
        let port = explain(&config("api.py"), "flask", ErrorKind::PortInUse, "", probes, Vec::new()).troubleshooting;
        assert_eq!(port[0], "Port 5002 is already in use");
    }
}
