//! What goes wrong with a sidecar, in the words of the process bridge that this replaces.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// What kind of error it is. The names are those that clients of the process bridge know; `PYTHON_NOT_FOUND` stands for any interpreter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorKind {
    /// The interpreter is not there, cannot be run, or is too old.
    PythonNotFound,
    /// The script, or the program of a sidecar without interpreter, is not there.
    ScriptNotFound,
    /// A package that the script imports is not installed.
    DependencyError,
    /// Somebody else listens on the port.
    PortInUse,
    /// The process could not be started.
    ProcessSpawnError,
    /// The process ended by itself, or had to be ended.
    ProcessCrash,
    /// The process runs and does not answer as it should in time.
    HealthCheckTimeout,
    /// An external sidecar cannot be reached.
    NetworkError,
    /// None of these.
    UnknownError,
}

impl ErrorKind {
    /// Every kind, in the order of the documentation.
    pub const ALL: [Self; 9] = [
        Self::PythonNotFound,
        Self::ScriptNotFound,
        Self::DependencyError,
        Self::PortInUse,
        Self::ProcessSpawnError,
        Self::ProcessCrash,
        Self::HealthCheckTimeout,
        Self::NetworkError,
        Self::UnknownError,
    ];

    /// As answers and logs write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PythonNotFound => "PYTHON_NOT_FOUND",
            Self::ScriptNotFound => "SCRIPT_NOT_FOUND",
            Self::DependencyError => "DEPENDENCY_ERROR",
            Self::PortInUse => "PORT_IN_USE",
            Self::ProcessSpawnError => "PROCESS_SPAWN_ERROR",
            Self::ProcessCrash => "PROCESS_CRASH",
            Self::HealthCheckTimeout => "HEALTH_CHECK_TIMEOUT",
            Self::NetworkError => "NETWORK_ERROR",
            Self::UnknownError => "UNKNOWN_ERROR",
        }
    }

    /// Whether starting again cannot help before somebody has changed something.
    #[must_use]
    pub const fn needs_a_hand(self) -> bool {
        matches!(self, Self::PythonNotFound | Self::ScriptNotFound | Self::DependencyError)
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for ErrorKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// A text that names no kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected one of PYTHON_NOT_FOUND, SCRIPT_NOT_FOUND, DEPENDENCY_ERROR, PORT_IN_USE, PROCESS_SPAWN_ERROR, PROCESS_CRASH, HEALTH_CHECK_TIMEOUT, NETWORK_ERROR, UNKNOWN_ERROR"
)]
pub struct UnknownKind;

impl FromStr for ErrorKind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|kind| kind.name() == text).ok_or(UnknownKind)
    }
}

/// One thing that was looked at, and what was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Probe {
    /// What was looked at, such as `port 5001`.
    pub what: String,
    /// Whether it is as it should be.
    pub ok: bool,
    /// What was found, such as `Python 3.11.2 at /usr/bin/python3`.
    pub found: String,
}

impl Probe {
    pub(crate) fn good(what: impl Into<String>, found: impl Into<String>) -> Self {
        Self { what: what.into(), ok: true, found: found.into() }
    }

    pub(crate) fn bad(what: impl Into<String>, found: impl Into<String>) -> Self {
        Self { what: what.into(), ok: false, found: found.into() }
    }
}

/// Why a sidecar does not run as it should, with what a person needs to mend it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{message}")]
pub struct SidecarError {
    /// What kind of error it is.
    #[serde(rename = "type")]
    pub kind: ErrorKind,
    /// What happened, in one sentence.
    pub message: String,
    /// What to do about it, step by step.
    pub troubleshooting: Vec<String>,
    /// What was looked at, and what was found.
    pub probes: Vec<Probe>,
    /// The last lines that the process wrote to its standard error, at most 50.
    pub stderr: Vec<String>,
    /// When it happened, in milliseconds since 1970.
    pub at_ms: u64,
}
