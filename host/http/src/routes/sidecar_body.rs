//! How sidecars are, as answers write it.

use breakwater_operations::sidecars::{HistoryEntry, InstanceStatus, Probe, SidecarError, SidecarStatus, State};
use serde::Serialize;
use utoipa::ToSchema;

use crate::wire::each;

/// A local process, or several of a kind, at one moment.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Sidecar)]
pub(crate) struct SidecarBody {
    /// Its name.
    #[schema(example = "flask")]
    name: String,
    /// The upstream that it serves.
    upstream: String,
    /// What kind of program it is: `python`, `node`, `ruby`, `java` or `binary`.
    #[schema(example = "python")]
    runtime: &'static str,
    /// Whether somebody else runs it.
    external: bool,
    /// Whether an instance is ready.
    ready: bool,
    /// Whether an instance is about to be started again after a failure.
    restarting: bool,
    /// The most starts after a failure of any instance, since it was last stable.
    restart_attempts: u32,
    /// How often one may be started again in a row.
    max_restart_attempts: u32,
    /// The newest error of any instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<SidecarErrorBody>,
    /// How long an instance has been ready, in milliseconds; the longest.
    #[serde(skip_serializing_if = "Option::is_none")]
    uptime_ms: Option<u64>,
    /// When an instance last passed a check, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_health_check_ms: Option<u64>,
    /// By number.
    instances: Vec<InstanceBody>,
    /// What happened lately, the oldest first.
    history: Vec<HappenedBody>,
}

/// A process at one moment.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SidecarInstance)]
pub(crate) struct InstanceBody {
    /// Its number, from 0.
    instance: u32,
    /// Its endpoint in the upstream.
    #[schema(example = "flask/0")]
    endpoint: String,
    /// `stopped`, `waiting`, `checking`, `starting`, `ready`, `restarting`, `draining`, `stopping` or `failed`.
    #[schema(example = "ready")]
    state: &'static str,
    /// Where it is reached, once that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// Its process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    /// Starts after a failure, since it was last stable.
    restart_attempts: u32,
    /// Starts after a failure, ever.
    restarts: u64,
    /// Why it failed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<SidecarErrorBody>,
    /// How long it has been ready, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    uptime_ms: Option<u64>,
    /// When it last passed a check, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_health_check_ms: Option<u64>,
    /// The memory of the process and its descendants, in bytes, when it was last looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_bytes: Option<u64>,
}

/// Why a process does not run as it should, with what a person needs to mend it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SidecarError)]
pub(crate) struct SidecarErrorBody {
    /// Its kind: `PYTHON_NOT_FOUND` (any interpreter), `SCRIPT_NOT_FOUND`, `DEPENDENCY_ERROR`, `PORT_IN_USE`, `PROCESS_SPAWN_ERROR`,
    /// `PROCESS_CRASH`, `HEALTH_CHECK_TIMEOUT`, `NETWORK_ERROR` or `UNKNOWN_ERROR`.
    #[serde(rename = "type")]
    #[schema(example = "DEPENDENCY_ERROR")]
    kind: &'static str,
    /// What happened, in one sentence.
    message: String,
    /// What to do about it, step by step. This, `probes` and `stderr` are empty for those who may not steer the sidecar.
    troubleshooting: Vec<String>,
    /// What was looked at.
    probes: Vec<ProbeBody>,
    /// The last lines of its standard error, at most 50.
    stderr: Vec<String>,
    /// When it happened, in milliseconds since 1970.
    at_ms: u64,
}

/// One thing that was looked at, and what was found.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SidecarProbe)]
pub(crate) struct ProbeBody {
    /// What was looked at.
    #[schema(example = "port 5001")]
    what: String,
    /// Whether it is as it should be.
    ok: bool,
    /// What was found.
    found: String,
}

/// Something that happened to an instance.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SidecarHistoryEntry)]
pub(crate) struct HappenedBody {
    /// When, in milliseconds since 1970.
    at_ms: u64,
    /// To which instance.
    instance: u32,
    /// What it became, as in `instances`.
    state: &'static str,
    /// Why.
    detail: String,
}

/// A sidecar in short.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SidecarSummary)]
pub(crate) struct SidecarSummaryBody {
    /// Its name.
    name: String,
    /// The upstream that it serves.
    upstream: String,
    /// What kind of program it is.
    runtime: &'static str,
    /// Whether somebody else runs it.
    external: bool,
    /// Whether an instance is ready.
    ready: bool,
    /// Whether an instance is about to be started again after a failure.
    restarting: bool,
    /// How many instances it has.
    instances: usize,
    /// How many of them are ready.
    ready_instances: usize,
    /// Starts after a failure since this process started, of all instances together.
    restarts: u64,
    /// How long an instance has been ready, in milliseconds; the longest.
    uptime_ms: Option<u64>,
    /// The kind of the newest error.
    last_error: Option<&'static str>,
}

impl From<SidecarStatus> for SidecarBody {
    fn from(status: SidecarStatus) -> Self {
        Self {
            name: status.name,
            upstream: status.upstream,
            runtime: status.runtime.name(),
            external: status.external,
            ready: status.ready,
            restarting: status.restarting,
            restart_attempts: status.restart_attempts,
            max_restart_attempts: status.max_restart_attempts,
            last_error: status.last_error.map(SidecarErrorBody::from),
            uptime_ms: status.uptime_ms,
            last_health_check_ms: status.last_health_check_ms,
            instances: each(status.instances),
            history: each(status.history),
        }
    }
}

impl From<InstanceStatus> for InstanceBody {
    fn from(status: InstanceStatus) -> Self {
        Self {
            instance: status.instance,
            endpoint: status.endpoint,
            state: status.state.name(),
            url: status.url,
            pid: status.pid,
            restart_attempts: status.restart_attempts,
            restarts: status.restarts,
            last_error: status.last_error.map(SidecarErrorBody::from),
            uptime_ms: status.uptime_ms,
            last_health_check_ms: status.last_health_check_ms,
            memory_bytes: status.memory_bytes,
        }
    }
}

impl From<SidecarError> for SidecarErrorBody {
    fn from(SidecarError { kind, message, troubleshooting, probes, stderr, at_ms }: SidecarError) -> Self {
        Self { kind: kind.name(), message, troubleshooting, probes: each(probes), stderr, at_ms }
    }
}

impl From<Probe> for ProbeBody {
    fn from(Probe { what, ok, found }: Probe) -> Self {
        Self { what, ok, found }
    }
}

impl From<HistoryEntry> for HappenedBody {
    fn from(HistoryEntry { at_ms, instance, state, detail }: HistoryEntry) -> Self {
        Self { at_ms, instance, state: state.name(), detail }
    }
}

impl From<SidecarStatus> for SidecarSummaryBody {
    fn from(status: SidecarStatus) -> Self {
        Self {
            instances: status.instances.len(),
            ready_instances: status.instances.iter().filter(|instance| instance.state == State::Ready).count(),
            restarts: status.instances.iter().map(|instance| instance.restarts).sum(),
            last_error: status.last_error.map(|error| error.kind.name()),
            runtime: status.runtime.name(),
            external: status.external,
            ready: status.ready,
            restarting: status.restarting,
            uptime_ms: status.uptime_ms,
            name: status.name,
            upstream: status.upstream,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use breakwater_operations::sidecars::{ErrorKind, Runtime};
    use serde_json::json;

    use super::*;

    /// A sidecar of two, of which one could not be started.
    pub(crate) fn sample() -> SidecarStatus {
        let error = SidecarError {
            kind: ErrorKind::DependencyError,
            message: "Python dependencies not installed: flask".into(),
            troubleshooting: vec!["pip install -r requirements.txt".into()],
            probes: vec![Probe { what: "import flask".into(), ok: false, found: "No module named 'flask'".into() }],
            stderr: vec!["ModuleNotFoundError: No module named 'flask'".into()],
            at_ms: 1_700_000_000_000,
        };
        let ready = InstanceStatus {
            instance: 0,
            endpoint: "flask/0".into(),
            state: State::Ready,
            url: Some("http://127.0.0.1:5001".into()),
            pid: Some(4711),
            restart_attempts: 0,
            restarts: 4,
            last_error: None,
            uptime_ms: Some(9000),
            last_health_check_ms: Some(1_700_000_000_500),
            memory_bytes: Some(50 << 20),
        };
        let restarting = InstanceStatus {
            instance: 1,
            endpoint: "flask/1".into(),
            state: State::Restarting,
            url: None,
            pid: None,
            restart_attempts: 2,
            restarts: 2,
            last_error: Some(error.clone()),
            uptime_ms: None,
            last_health_check_ms: None,
            memory_bytes: None,
        };
        SidecarStatus {
            name: "flask".into(),
            upstream: "image-service".into(),
            runtime: Runtime::Python,
            external: false,
            ready: true,
            restarting: true,
            restart_attempts: 2,
            max_restart_attempts: 3,
            last_error: Some(error),
            uptime_ms: Some(9000),
            last_health_check_ms: Some(1_700_000_000_500),
            instances: vec![ready, restarting],
            history: vec![HistoryEntry { at_ms: 5, instance: 1, state: State::Failed, detail: "DEPENDENCY_ERROR: flask".into() }],
        }
    }

    /// One that was never started.
    pub(crate) fn stopped() -> SidecarStatus {
        SidecarStatus {
            ready: false,
            restarting: false,
            restart_attempts: 0,
            last_error: None,
            uptime_ms: None,
            last_health_check_ms: None,
            instances: Vec::new(),
            history: Vec::new(),
            ..sample()
        }
    }

    #[test]
    fn nothing_of_a_status_is_lost() {
        for status in [sample(), stopped()] {
            let expected = serde_json::to_value(&status).unwrap();
            assert_eq!(serde_json::to_value(SidecarBody::from(status)).unwrap(), expected);
        }
    }

    #[test]
    fn a_sidecar_is_summed_up() {
        let summary = |status| serde_json::to_value(SidecarSummaryBody::from(status)).unwrap();
        assert_eq!(
            summary(sample()),
            json!({
                "name": "flask",
                "upstream": "image-service",
                "runtime": "python",
                "external": false,
                "ready": true,
                "restarting": true,
                "instances": 2,
                "ready_instances": 1,
                "restarts": 6,
                "uptime_ms": 9000,
                "last_error": "DEPENDENCY_ERROR",
            })
        );
        assert_eq!((&summary(stopped())["last_error"], &summary(stopped())["uptime_ms"]), (&json!(null), &json!(null)));
    }
}
