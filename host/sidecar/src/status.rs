//! How sidecars are, as answers of the management API show it.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::error::SidecarError;
use crate::runtime::Runtime;

/// Where an instance is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Not wanted, or not yet.
    Stopped,
    /// Another sidecar must be ready first.
    Waiting,
    /// What it needs is looked at.
    Checking,
    /// It runs and is asked whether it is ready.
    Starting,
    /// It can be used.
    Ready,
    /// It failed; the next start comes after a wait.
    Restarting,
    /// It gets no new calls and ends those that run.
    Draining,
    /// It was told to end.
    Stopping,
    /// It failed and is not started again by itself.
    Failed,
}

impl State {
    /// As answers, metrics and logs write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Waiting => "waiting",
            Self::Checking => "checking",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Restarting => "restarting",
            Self::Draining => "draining",
            Self::Stopping => "stopping",
            Self::Failed => "failed",
        }
    }
}

/// An instance at one moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct InstanceStatus {
    /// Its number, from 0.
    pub instance: u32,
    /// Its endpoint in the upstream, such as `flask/0`.
    pub endpoint: String,
    /// Where it is on its way.
    pub state: State,
    /// Where it is reached, once that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Its process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Starts after a failure, since it was last stable.
    pub restart_attempts: u32,
    /// Starts after a failure, ever.
    pub restarts: u64,
    /// Why it failed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<SidecarError>,
    /// How long it has been ready, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uptime_ms: Option<u64>,
    /// When it last passed a check, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_health_check_ms: Option<u64>,
    /// The memory of the process and its descendants, in bytes, when it was last looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
}

/// Something that happened to an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HistoryEntry {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// To which instance.
    pub instance: u32,
    /// What it became.
    pub state: State,
    /// Why.
    pub detail: String,
}

/// A sidecar at one moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SidecarStatus {
    /// Its name.
    pub name: String,
    /// The upstream that it serves.
    pub upstream: String,
    /// What kind of program it is.
    pub runtime: Runtime,
    /// Whether somebody else runs it.
    pub external: bool,
    /// Whether an instance is ready.
    pub ready: bool,
    /// Whether an instance is about to be started again after a failure.
    pub restarting: bool,
    /// The most starts after a failure of any instance, since it was last stable.
    pub restart_attempts: u32,
    /// How often one may be started again in a row.
    pub max_restart_attempts: u32,
    /// The newest error of any instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<SidecarError>,
    /// How long an instance has been ready, in milliseconds; the longest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uptime_ms: Option<u64>,
    /// When an instance last passed a check, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_health_check_ms: Option<u64>,
    /// By number.
    pub instances: Vec<InstanceStatus>,
    /// What happened lately, the oldest first.
    pub history: Vec<HistoryEntry>,
}

/// Milliseconds since 1970.
pub(crate) fn unix_ms() -> u64 {
    let passed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(passed.as_millis()).unwrap_or(u64::MAX)
}
